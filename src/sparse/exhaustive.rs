//! Exact search by reading every posting of the query's terms, window by window: one accumulator for
//! each document of the window, then one pass that keeps what can enter the top k. It is the oracle of
//! every pruned search, and the fast path where an index is small or a filter leaves little.

use std::cell::RefCell;

use fixedbitset::FixedBitSet;

use super::reader::{Runs, SparseSegment};
use crate::error::Result;
use crate::kernels::{self, Accumulators, WINDOW};
use crate::topk::{Scored, TopK};

/// Accumulators read between two looks at the floor, which rises as documents enter.
const STRIDE: usize = 1024;

/// Memory that a thread keeps from query to query.
struct Scratch {
    scores: Box<Accumulators>,
    found: Vec<(u32, u32)>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        scores: vec![0; WINDOW].try_into().unwrap_or_else(|_| unreachable!()),
        found: Vec::with_capacity(STRIDE),
    });
}

/// Offers to `top` every document of the segment that shares a term with the query and is `eligible`
/// (all are when `None`). `terms` are numbers in the segment with integer weights; the ordinal of
/// document `d` is `first_ordinal + d`. Segments are searched in insertion order.
pub fn search(
    segment: &SparseSegment,
    terms: &[(u32, u32)],
    eligible: Option<&FixedBitSet>,
    first_ordinal: u64,
    top: &mut TopK,
) -> Result<()> {
    let mut cursors = Vec::with_capacity(terms.len());
    for &(term, weight) in terms {
        cursors.push((segment.runs(term)?, weight));
    }
    SCRATCH.with_borrow_mut(|scratch| {
        let searched = search_windows(segment, &mut cursors, eligible, first_ordinal, top, scratch);
        if searched.is_err() {
            scratch.scores.fill(0);
        }
        searched
    })
}

fn search_windows(
    segment: &SparseSegment,
    cursors: &mut [(Runs<'_>, u32)],
    eligible: Option<&FixedBitSet>,
    first_ordinal: u64,
    top: &mut TopK,
    scratch: &mut Scratch,
) -> Result<()> {
    while let Some(window) = cursors.iter().filter_map(|(runs, _)| runs.window()).min() {
        let start = window as usize * WINDOW;
        let end = (start + WINDOW).min(segment.documents() as usize);
        if start >= end {
            return Err(segment
                .file()
                .corrupt("a run lies behind the last document"));
        }
        if eligible.is_some_and(|eligible| eligible.count_ones(start..end) == 0) {
            pass_over(cursors, window)?;
            continue;
        }
        score_window(cursors, window, &mut scratch.scores, end - start, segment)?;
        for first in (start..end).step_by(STRIDE) {
            let last = (first + STRIDE).min(end);
            let scores = &mut scratch.scores[first - start..last - start];
            kernels::drain_above(scores, top.floor(), &mut scratch.found);
            for (position, score) in scratch.found.drain(..) {
                let document = first + position as usize;
                if score > top.floor() && eligible.is_none_or(|e| e.contains(document)) {
                    let ordinal = first_ordinal + document as u64;
                    top.offer(Scored { score, ordinal });
                }
            }
        }
    }
    Ok(())
}

fn pass_over(cursors: &mut [(Runs<'_>, u32)], window: u32) -> Result<()> {
    for (runs, _) in cursors {
        if runs.window() == Some(window) {
            runs.take()?;
        }
    }
    Ok(())
}

/// Adds up the scores of the `documents` documents of a window.
fn score_window(
    cursors: &mut [(Runs<'_>, u32)],
    window: u32,
    scores: &mut Accumulators,
    documents: usize,
    segment: &SparseSegment,
) -> Result<()> {
    for (runs, weight) in cursors {
        if runs.window() != Some(window) {
            continue;
        }
        if let Some(run) = runs.take()? {
            let largest = kernels::accumulate(scores, run.documents, run.impacts, *weight);
            if largest as usize >= documents {
                return Err(segment
                    .file()
                    .corrupt("a posting lies behind the last document"));
            }
        }
    }
    Ok(())
}
