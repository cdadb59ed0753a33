//! From a query to the best documents: candidates by their centroids, or given, or all; their scores by the first
//! stage of codes; and of the best, the finalists, by the last.

use std::time::Instant;

use fixedbitset::FixedBitSet;

use super::candidates::{self, Candidate};
use super::codebook::Codebook;
use super::query::Query;
use super::reader::MultiVectorSegment;
use super::score::Scorer;
use crate::error::Result;
use crate::topk::{Scored, TopK};

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
}

/// How much of an index a search looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Cells that each row of the query looks into.
    pub probes: usize,
    /// Documents scored by their codes.
    pub candidates: usize,
}

pub struct Request {
    pub effort: Effort,
    pub deadline: Option<Instant>,
}

/// A score as an integer of the same order, at least 1.
pub fn key(score: f32) -> u32 {
    let bits = score.to_bits();
    match bits >> 31 {
        0 => bits | 1 << 31,
        _ => !bits,
    }
}

/// The score that `key` made an integer of.
pub fn score_of(key: u32) -> f32 {
    f32::from_bits(match key >> 31 {
        1 => key & !(1 << 31),
        _ => !key,
    })
}

/// Documents gathered by their cells for each that is scored.
const GATHERED: usize = 4;

/// Offers the best documents to `top`.
pub fn search(
    codebook: &Codebook,
    query: &Query,
    parts: &[Part<'_>],
    request: &Request,
    top: &mut TopK,
) -> Result<()> {
    let Effort { probes, candidates } = request.effort;
    let found = candidates::find(query, parts, probes, candidates * GATHERED, candidates)?;
    refine(codebook, query, parts, &found, top)
}

/// Offers the candidates to `top` with their scores by the last stage; of many, those that are among the best by the
/// first stage.
pub fn refine(
    codebook: &Codebook,
    query: &Query,
    parts: &[Part<'_>],
    candidates: &[Candidate],
    top: &mut TopK,
) -> Result<()> {
    let mut scorer = Scorer::new(codebook, query);
    for candidate in candidates {
        let part = &parts[candidate.part as usize];
        if let Some(score) = scorer.score(part.segment, candidate.document, 0)? {
            let ordinal = part.first_ordinal + u64::from(candidate.document);
            top.offer(Scored {
                score: key(score),
                ordinal,
            });
        }
    }
    Ok(())
}
