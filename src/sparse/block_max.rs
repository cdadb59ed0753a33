//! Exact search that reads only blocks which may hold a document of the top k. A block cannot score
//! more than the sum of its largest impacts, each times the weight of its term; blocks are visited in
//! the order of these bounds until the next bound is below the k-th best score so far. Bounds and
//! scores are integers in the same unit, so nothing is lost to rounding.
//! (Mallia et al., "Faster learned sparse retrieval with block-max pruning", SIGIR 2024; superblocks:
//! Carlson et al., "Dynamic superblock pruning for fast learned sparse retrieval", 2025.)

use std::cell::RefCell;
use std::cmp::Reverse;

use super::lists::{Hits, Lists};
use super::search::{Part, Request, cost};
use crate::error::Result;
use crate::kernels;
use crate::topk::TopK;

/// Blocks in a superblock.
const SUPERBLOCK: usize = kernels::LANES;
/// Blocks found at once, at first; the number doubles.
const GROUP: usize = 64;
/// Blocks whose postings are asked for before they are read.
const AHEAD: usize = 4;

/// Memory that a thread keeps from query to query.
#[derive(Default)]
struct Scratch {
    /// Of the blocks of all windows.
    bounds: Vec<u32>,
    /// Of the superblocks.
    superblocks: Vec<u32>,
    /// Blocks to visit, with their bounds.
    blocks: Vec<(u32, u32)>,
    group: Group,
}

/// What visiting a group of blocks needs.
#[derive(Default)]
struct Group {
    /// The blocks, ascending.
    numbers: Vec<u32>,
    /// Bound of each block, largest first, and its position in `numbers`.
    order: Vec<(u32, u32)>,
    hits: Hits,
    /// One for each slot of a block; all 0 between blocks.
    scores: Vec<u32>,
    found: Vec<(u32, u32)>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// As `search::search`; `None` when so many blocks are left that reading all postings costs less.
pub fn search(parts: &[&Part<'_>], request: &Request, top: &mut TopK) -> Result<Option<u32>> {
    let lists = Lists::of(parts, request.knobs.beta)?;
    let search = Search {
        parts,
        request,
        left_out: 0,
        lists,
    };
    SCRATCH.with_borrow_mut(|scratch| {
        let searched = search.run(top, scratch);
        if searched.is_err() {
            *scratch = Scratch::default();
        }
        searched
    })
}

struct Search<'a> {
    parts: &'a [&'a Part<'a>],
    request: &'a Request,
    lists: Lists<'a>,
    /// The largest bound of a block that is left out without proof; 0 when there is none.
    left_out: u32,
}

impl Search<'_> {
    fn run(mut self, top: &mut TopK, scratch: &mut Scratch) -> Result<Option<u32>> {
        self.lists.bound(&mut scratch.bounds)?;
        scratch.superblocks.clear();
        kernels::largest_of_lanes(&scratch.bounds, &mut scratch.superblocks);
        self.keep_superblocks(scratch);
        self.visit_superblocks(top, scratch)?;
        let Scratch {
            bounds,
            blocks,
            group,
            ..
        } = scratch;
        blocks.clear();
        kernels::drain_above(bounds, top.floor() - 1, blocks);
        blocks.retain(|(_, bound)| self.keeps(*bound, top.floor()));
        if self.request.plan.is_none() && self.is_dear(blocks.len()) {
            return Ok(None);
        }
        let mut rest = &mut blocks[..];
        let mut size = GROUP;
        while rest.len() > size {
            rest.select_nth_unstable_by_key(size, |(_, bound)| Reverse(*bound));
            let (best, others) = rest.split_at_mut(size);
            self.visit(best, group, top)?;
            rest = others;
            size *= 2;
        }
        self.visit(rest, group, top)?;
        if self.lists.unbounded() > 0 {
            // Whatever was left out had a bound below the floor of its time.
            self.leave_out(top.floor() - 1);
        }
        Ok(Some(self.left_out))
    }

    /// Whether a block is visited; if not, and only because of `alpha`, it is left out without proof.
    fn keeps(&mut self, bound: u32, floor: u32) -> bool {
        let alpha = self.request.knobs.alpha;
        let kept = match alpha < 1.0 {
            true => f64::from(bound) * f64::from(alpha) >= f64::from(floor),
            false => bound >= floor,
        };
        if !kept && bound >= floor {
            self.leave_out(bound);
        }
        kept
    }

    fn is_dear(&self, blocks: usize) -> bool {
        let scan: f64 = self.parts.iter().map(|part| part.scan_cost()).sum();
        cost::of_reaching(self.parts, blocks) > scan
    }

    /// A block that `bound` was said of is left out, though it may reach the floor.
    fn leave_out(&mut self, bound: u32) {
        let bound = bound.saturating_add(self.lists.unbounded());
        self.left_out = self.left_out.max(bound);
    }

    /// Leaves out all but the best `gamma` superblocks.
    fn keep_superblocks(&mut self, scratch: &mut Scratch) {
        let gamma = self.request.knobs.gamma;
        if gamma == 0 || gamma >= scratch.superblocks.len() {
            return;
        }
        let mut order: Vec<usize> = (0..scratch.superblocks.len()).collect();
        order.select_nth_unstable_by_key(gamma, |number| Reverse(scratch.superblocks[*number]));
        for &number in &order[gamma..] {
            self.leave_out(scratch.superblocks[number]);
            scratch.superblocks[number] = 0;
            let first = number * SUPERBLOCK;
            let last = (first + SUPERBLOCK).min(scratch.bounds.len());
            scratch.bounds[first..last].fill(0);
        }
    }

    /// Visits superblocks, best first, until `top` is full.
    fn visit_superblocks(&mut self, top: &mut TopK, scratch: &mut Scratch) -> Result<()> {
        while !top.is_full() && !self.request.is_late() {
            let best = (0..)
                .zip(&scratch.superblocks)
                .max_by_key(|(_, bound)| **bound);
            let Some((number, _)) = best.filter(|(_, bound)| **bound >= top.floor()) else {
                break;
            };
            scratch.superblocks[number] = 0;
            let first = number * SUPERBLOCK;
            let last = (first + SUPERBLOCK).min(scratch.bounds.len());
            let bounds = &mut scratch.bounds[first..last];
            let blocks = &mut scratch.blocks;
            blocks.clear();
            blocks.extend((first as u32..).zip(bounds.iter().copied()));
            bounds.fill(0);
            self.visit(blocks, &mut scratch.group, top)?;
        }
        Ok(())
    }

    /// Scores the documents of those blocks whose bounds reach the floor, in the order of their bounds.
    fn visit(
        &mut self,
        blocks: &mut [(u32, u32)],
        group: &mut Group,
        top: &mut TopK,
    ) -> Result<()> {
        blocks.sort_unstable();
        group.numbers.clear();
        group.order.clear();
        let late = self.request.is_late();
        for &(number, bound) in &*blocks {
            if !self.keeps(bound, top.floor()) || self.is_excluded(number) {
                continue;
            }
            if late {
                self.leave_out(bound);
                continue;
            }
            group.order.push((bound, group.numbers.len() as u32));
            group.numbers.push(number);
        }
        group
            .order
            .sort_unstable_by_key(|(bound, _)| Reverse(*bound));
        self.lists.find(&group.numbers, &mut group.hits);
        for (_, place) in group.order.iter().take(AHEAD) {
            self.lists.prefetch(&group.hits, *place);
        }
        for (position, &(bound, place)) in group.order.iter().enumerate() {
            if let Some((_, ahead)) = group.order.get(position + AHEAD) {
                self.lists.prefetch(&group.hits, *ahead);
            }
            if !self.keeps(bound, top.floor()) {
                break;
            }
            let number = group.numbers[place as usize] as usize;
            let window = &self.lists.windows[self.lists.window(number)];
            let part = self.parts[window.part];
            let slots = window.slots(number);
            group
                .scores
                .resize(window.block().max(group.scores.len()), 0);
            let scores = &mut group.scores[..window.block()];
            self.lists.score(&group.hits, place, scores)?;
            // In a damaged file the last block may have postings behind the last document.
            let (scores, behind) = scores.split_at_mut(slots.len());
            behind.fill(0);
            part.offer(slots.start, scores, &mut group.found, top)?;
        }
        Ok(())
    }

    fn is_excluded(&self, number: u32) -> bool {
        let window = &self.lists.windows[self.lists.window(number as usize)];
        let part = self.parts[window.part];
        part.eligible.is_some() && part.is_excluded(window.slots(number as usize))
    }
}
