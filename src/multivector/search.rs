//! From a query to the best documents: candidates by their centroids, or given, or all; their scores by
//! the first stage of codes; and of the best, the finalists, by the last. Exact search scores every
//! document by the last stage that its bound does not exclude.

use std::time::Instant;

use fixedbitset::FixedBitSet;

use super::candidates::{self, Candidate, keep_best, order};
use super::codebook::Codebook;
use super::query::Query;
use super::reader::MultiVectorSegment;
use super::score::Scorer;
use crate::error::Result;
use crate::topk::{Scored, TopK, key};

/// A segment that is searched.
pub struct Part<'a> {
    pub segment: &'a MultiVectorSegment,
    /// Documents that may be found; all when `None`.
    pub eligible: Option<&'a FixedBitSet>,
    /// The insertion ordinal of document `d` is `first_ordinal + d`.
    pub first_ordinal: u64,
}

impl Part<'_> {
    pub fn is_eligible(&self, document: u32) -> bool {
        self.eligible
            .is_none_or(|eligible| eligible.contains(document as usize))
    }

    pub fn documents(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self.eligible {
            Some(eligible) => Box::new(eligible.ones().map(|document| document as u32)),
            None => Box::new(0..self.segment.documents()),
        }
    }
}

/// How much of an index a search looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Cells that each row of the query looks into.
    pub probes: usize,
    /// Documents scored by their codes.
    pub candidates: usize,
}

impl Effort {
    /// Of the exact best `k` about 99 % are among so many candidates; see ARCHITECTURE.md.
    pub fn for_hits(k: usize) -> Self {
        Self {
            probes: 8,
            candidates: k.saturating_mul(4).max(128),
        }
    }
}

/// Of the documents scored by the first stage, those scored by the last.
pub fn finalists(k: usize) -> usize {
    k.saturating_add((k / 2).max(20))
}

/// Documents gathered by their cells for each that is scored.
const GATHERED: usize = 4;
/// So many tokens are scored in about the time that candidates are found in.
const FEW_TOKENS: usize = 1 << 14;
/// Documents between two looks at the clock.
const STRIDE: usize = 16;

/// The search of one query in the segments of an index.
pub struct Search<'a> {
    pub codebook: &'a Codebook,
    pub query: &'a Query,
    pub parts: &'a [Part<'a>],
    pub deadline: Option<Instant>,
}

impl Search<'_> {
    /// Whether looking at every document takes no longer than choosing among them.
    pub fn is_small(&self, effort: Effort) -> Result<bool> {
        let (mut documents, mut tokens) = (0, 0);
        for part in self.parts {
            for document in part.documents() {
                documents += 1;
                tokens += part.segment.tokens(document)?.len();
                if documents > effort.candidates && tokens > FEW_TOKENS {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    pub fn candidates(&self, effort: Effort) -> Result<Vec<Candidate>> {
        let gathered = effort.candidates.saturating_mul(GATHERED);
        candidates::find(
            self.query,
            self.parts,
            effort.probes,
            gathered,
            effort.candidates,
        )
    }

    /// Of many documents, those to be scored by their codes.
    pub fn keep_candidates(&self, found: Vec<Candidate>, effort: Effort) -> Result<Vec<Candidate>> {
        candidates::keep_by_centroids(self.query, self.parts, found, effort.candidates)
    }

    /// Offers candidates to `top` with their scores by the last stage; of many, those that are among the
    /// best by the first. False when time ran out before.
    pub fn refine(&self, mut candidates: Vec<Candidate>, top: &mut TopK) -> Result<bool> {
        let mut scorer = Scorer::new(self.codebook, self.query);
        let last = self.codebook.codec.stages() - 1;
        let mut in_time = true;
        if last > 0 && candidates.len() > finalists(top.k()) {
            in_time = self.score(&mut scorer, &mut candidates, 0)?;
            keep_best(&mut candidates, finalists(top.k()));
            candidates.sort_unstable_by(order);
        }
        in_time &= self.score(&mut scorer, &mut candidates, last)?;
        for candidate in &candidates {
            top.offer(self.scored(candidate));
        }
        Ok(in_time)
    }

    /// Scores candidates by a stage, and drops those that have no tokens or come too late; the first few never do.
    fn score(
        &self,
        scorer: &mut Scorer<'_>,
        candidates: &mut Vec<Candidate>,
        stage: usize,
    ) -> Result<bool> {
        let mut kept = 0;
        for number in 0..candidates.len() {
            if number > 0 && number.is_multiple_of(STRIDE) && self.is_late() {
                candidates.truncate(kept);
                return Ok(false);
            }
            let mut candidate = candidates[number];
            let segment = self.parts[candidate.part as usize].segment;
            if let Some(score) = scorer.score(segment, candidate.document, stage)? {
                candidate.score = score;
                candidates[kept] = candidate;
                kept += 1;
            }
        }
        candidates.truncate(kept);
        Ok(true)
    }

    /// Offers the best of all documents to `top`, in insertion order; false when time ran out before, and then those
    /// found first and not reached yet are offered too.
    pub fn exact(&self, top: &mut TopK) -> Result<bool> {
        let first = self.first(top)?;
        if let Some(worst) = first.last().filter(|_| first.len() >= top.k()) {
            top.raise_floor(worst.score);
        }
        let mut scorer = Scorer::new(self.codebook, self.query);
        let last = self.codebook.codec.stages() - 1;
        let mut bounds = Bounds::default();
        let mut looked_at = 0_usize;
        for (part, in_part) in (0..).zip(self.parts) {
            for document in in_part.documents() {
                if looked_at > 0 && looked_at.is_multiple_of(STRIDE) && self.is_late() {
                    let next = in_part.first_ordinal + u64::from(document);
                    let rest = first.iter().filter(|scored| scored.ordinal >= next);
                    rest.for_each(|scored| top.offer(*scored));
                    return Ok(false);
                }
                looked_at += 1;
                if bounds.pay()
                    && let Some(bound) = scorer.bound(in_part.segment, document)?
                    && bounds.note(key(bound) < top.floor())
                {
                    continue;
                }
                if let Some(score) = scorer.score(in_part.segment, document, last)? {
                    top.offer(self.scored(&Candidate {
                        score,
                        part,
                        document,
                    }));
                }
            }
        }
        Ok(true)
    }

    /// The best `k` of an approximate search, best first; none where there are few documents.
    fn first(&self, top: &TopK) -> Result<Vec<Scored>> {
        let mut first = TopK::new(top.k(), top.floor());
        let effort = Effort::for_hits(top.k());
        let documents: u64 = self
            .parts
            .iter()
            .map(|part| u64::from(part.segment.documents()))
            .sum();
        if documents > 4 * effort.candidates as u64 {
            self.refine(self.candidates(effort)?, &mut first)?;
        }
        Ok(first.into_sorted())
    }

    fn scored(&self, candidate: &Candidate) -> Scored {
        let first_ordinal = self.parts[candidate.part as usize].first_ordinal;
        Scored {
            score: key(candidate.score),
            ordinal: first_ordinal + u64::from(candidate.document),
        }
    }

    fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Whether bounds exclude enough documents to be worth their time.
#[derive(Default)]
struct Bounds {
    tried: u32,
    excluded: u32,
}

impl Bounds {
    const TRIAL: u32 = 512;

    /// A bound takes about a fifth of the time of a score.
    fn pay(&self) -> bool {
        self.tried < Self::TRIAL || self.excluded > self.tried / 5
    }

    fn note(&mut self, excluded: bool) -> bool {
        self.tried += 1;
        self.excluded += u32::from(excluded);
        excluded
    }
}
