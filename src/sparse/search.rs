//! A query against the segments of an index: what every way of searching needs, and the choice between
//! them by what they cost.

use std::ops::Range;
use std::time::Instant;

use fixedbitset::FixedBitSet;

use super::reader::SparseSegment;
use super::{block_max, exhaustive, rows};
use crate::error::{Error, Result};
use crate::kernels;
use crate::topk::{Scored, TopK};

/// A query in one segment.
pub struct Part<'a> {
    pub segment: &'a SparseSegment,
    /// Numbers in the segment, with integer weights.
    pub terms: Vec<(u32, u32)>,
    /// All documents may be found when `None`.
    pub eligible: Option<&'a Eligible>,
    /// The insertion ordinal of document `d` is `first_ordinal + d`.
    pub first_ordinal: u64,
}

/// Documents of a segment that may be found.
pub struct Eligible {
    slots: FixedBitSet,
    count: usize,
}

impl Eligible {
    pub fn new(segment: &SparseSegment, documents: &FixedBitSet) -> Result<Self> {
        let slots = segment.slots(documents)?;
        Ok(Self {
            count: slots.count_ones(..),
            slots,
        })
    }

    /// Slots, ascending.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.slots.ones()
    }
}

/// What approximate search gives up. The default gives up nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knobs {
    /// A block is left out when its bound times `alpha` cannot enter the top k; above 0, at most 1.
    pub alpha: f32,
    /// Share of the query's terms, the heaviest, that bounds are made of; above 0, at most 1.
    pub beta: f32,
    /// Superblocks visited at most, in all segments together; 0 for no limit.
    pub gamma: usize,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            beta: 1.0,
            gamma: 0,
        }
    }
}

impl Knobs {
    pub fn validate(&self) -> Result<()> {
        let share = |value: f32| value > 0.0 && value <= 1.0;
        match share(self.alpha) && share(self.beta) {
            true => Ok(()),
            false => Err(Error::InvalidInput(format!(
                "{self:?}: alpha and beta are above 0 and at most 1"
            ))),
        }
    }
}

/// A way of searching a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Every posting of the query's terms.
    Exhaustive,
    /// The blocks that may hold a document of the top k.
    BlockMax,
    /// The rows of the eligible documents.
    Rows,
}

pub struct Request {
    pub knobs: Knobs,
    /// The cheapest is chosen when `None`.
    pub plan: Option<Plan>,
    pub deadline: Option<Instant>,
}

impl Request {
    pub fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Offers to `top` the documents that can enter it. Returns the most that a document can score that was
/// left out without proof; 0 when there is none.
pub fn search(parts: &[Part<'_>], request: &Request, top: &mut TopK) -> Result<u32> {
    let mut left_out = 0;
    let (few, many): (Vec<_>, Vec<_>) = parts
        .iter()
        .partition(|part| request.plan.unwrap_or_else(|| part.plan()) == Plan::Rows);
    for part in few {
        left_out = left_out.max(rows::search(part, request, top)?);
    }
    let scan: f64 = many.iter().map(|part| part.scan_cost()).sum();
    let plan = match request.plan {
        None if scan > cost::of_pruning(&many, top.k(), request.knobs) => Plan::BlockMax,
        None => Plan::Exhaustive,
        Some(plan) => plan,
    };
    let more = match plan {
        Plan::BlockMax => {
            let before = top.clone();
            match block_max::search(&many, request, top)? {
                Some(more) => more,
                None => {
                    let floor = top.floor();
                    *top = before;
                    top.raise_floor(floor);
                    scan_all(&many, request, top)?
                }
            }
        }
        _ => scan_all(&many, request, top)?,
    };
    Ok(left_out.max(more))
}

fn scan_all(parts: &[&Part<'_>], request: &Request, top: &mut TopK) -> Result<u32> {
    let mut left_out = 0;
    for part in parts {
        left_out = left_out.max(exhaustive::search(part, request, top)?);
    }
    Ok(left_out)
}

/// What the ways of searching take, in nanoseconds of one machine; only the ratios matter.
pub(super) mod cost {
    use super::{Knobs, Part};
    use crate::kernels::WINDOW;

    pub const SCAN_POSTING: f64 = 1.2;
    pub const SCAN_SLOT: f64 = 0.12;
    pub const ROW: f64 = 60.0;
    pub const ROW_POSTING: f64 = 1.0;
    /// Of the blocks whose bounds reach the first floor, the share that reaches the last.
    const VISITED: f64 = 0.4;
    /// Blocks of a superblock that are scored.
    const VISITED_IN_SUPERBLOCK: f64 = 4.0;
    /// Of a list in a block that is scored.
    const LIST_IN_BLOCK: f64 = 21.0;
    /// Of finding a list, of its maxima in a window, and of all else.
    const LIST: f64 = 300.0;
    const LIST_IN_WINDOW: f64 = 100.0;
    const PRUNE: f64 = 8_000.0;

    /// Before anything is known of the bounds. About `20 k^0.55` blocks hold the top k and what may be.
    pub fn of_pruning(parts: &[&Part<'_>], k: usize, knobs: Knobs) -> f64 {
        let most = match knobs.gamma {
            0 => f64::INFINITY,
            gamma => gamma as f64 * VISITED_IN_SUPERBLOCK,
        };
        let blocks = 20.0 * (k as f64).powf(0.55) * f64::from(knobs.alpha).powi(4);
        let windows = |part: &Part<'_>| part.segment.documents().div_ceil(WINDOW) as f64;
        let lists =
            |part: &&Part<'_>| part.terms.len() as f64 * (LIST + LIST_IN_WINDOW * windows(part));
        PRUNE + parts.iter().map(lists).sum::<f64>() + of_blocks(parts, blocks.min(most))
    }

    /// Of the blocks whose bounds reach the first floor.
    pub fn of_reaching(parts: &[&Part<'_>], blocks: usize) -> f64 {
        of_blocks(parts, blocks as f64 * VISITED)
    }

    fn of_blocks(parts: &[&Part<'_>], blocks: f64) -> f64 {
        let lists = parts.iter().map(|part| part.terms.len()).max().unwrap_or(0);
        blocks * lists as f64 * LIST_IN_BLOCK
    }
}

impl Part<'_> {
    /// Rows, or one of the others.
    fn plan(&self) -> Plan {
        let row = self.segment.postings() as f64 / self.segment.documents().max(1) as f64;
        let of_row = cost::ROW + row * cost::ROW_POSTING;
        match self.eligible {
            Some(few) if few.count as f64 * of_row < self.scan_cost() => Plan::Rows,
            _ => Plan::Exhaustive,
        }
    }

    pub(super) fn scan_cost(&self) -> f64 {
        let frequency =
            |&(term, _): &(u32, u32)| self.segment.document_frequency(term).unwrap_or(0);
        let postings: u64 = self
            .terms
            .iter()
            .map(|term| u64::from(frequency(term)))
            .sum();
        postings as f64 * cost::SCAN_POSTING + self.segment.documents() as f64 * cost::SCAN_SLOT
    }

    /// The most that any document can score.
    pub(super) fn bound(&self) -> u32 {
        self.terms
            .iter()
            .map(|(_, weight)| weight * u32::from(u8::MAX))
            .sum()
    }

    /// True when no slot of the range may be found.
    pub fn is_excluded(&self, slots: Range<usize>) -> bool {
        self.eligible
            .is_some_and(|eligible| eligible.slots.count_ones(slots) == 0)
    }

    /// Offers the documents in the slots from `first` on to `top`, and sets their scores to 0. `found`
    /// is empty before and after.
    pub fn offer(
        &self,
        first: usize,
        scores: &mut [u32],
        found: &mut Vec<(u32, u32)>,
        top: &mut TopK,
    ) -> Result<()> {
        kernels::drain_above(scores, top.floor() - 1, found);
        for (position, score) in found.drain(..) {
            let slot = first + position as usize;
            if score >= top.floor() && self.eligible.is_none_or(|e| e.slots.contains(slot)) {
                self.offer_slot(slot, score, top)?;
            }
        }
        Ok(())
    }

    pub fn offer_slot(&self, slot: usize, score: u32, top: &mut TopK) -> Result<()> {
        let ordinal = self.first_ordinal + u64::from(self.segment.document(slot)?);
        top.offer(Scored { score, ordinal });
        Ok(())
    }
}
