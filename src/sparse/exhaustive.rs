//! Exact search by reading every posting of the query's terms, tile by tile: one accumulator for each
//! slot of the tile, then one pass that keeps what can enter the top k. It is the oracle of pruned
//! search, and the fast path where bounds would exclude little.

use std::cell::RefCell;

use super::reader::Runs;
use super::search::{Part, Request};
use crate::error::Result;
use crate::kernels::{self, Impact, WINDOW};
use crate::topk::TopK;

/// Slots whose accumulators fit the first-level cache.
const TILE: usize = 8192;
/// Accumulators read between two looks at the floor, which rises as documents enter.
const STRIDE: usize = 512;

/// Memory that a thread keeps from query to query; scores are 0 between searches.
struct Scratch {
    scores: Vec<u32>,
    found: Vec<(u32, u32)>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        scores: vec![0; TILE],
        found: Vec::with_capacity(STRIDE),
    });
}

/// As `search::search`, for one part.
pub fn search(part: &Part<'_>, request: &Request, top: &mut TopK) -> Result<u32> {
    let mut cursors = Vec::with_capacity(part.terms.len());
    for &(term, weight) in &part.terms {
        cursors.push((part.segment.runs(term)?, weight));
    }
    SCRATCH.with_borrow_mut(|scratch| {
        let searched = search_windows(part, &mut cursors, request, top, scratch);
        if searched.is_err() {
            scratch.scores.fill(0);
        }
        searched
    })
}

fn search_windows(
    part: &Part<'_>,
    cursors: &mut [(Runs<'_>, u32)],
    request: &Request,
    top: &mut TopK,
    scratch: &mut Scratch,
) -> Result<u32> {
    let mut lists = Vec::with_capacity(cursors.len());
    while let Some(window) = cursors.iter().filter_map(|(runs, _)| runs.window()).min() {
        if request.is_late() {
            return Ok(part.bound());
        }
        lists.clear();
        for (runs, weight) in &mut *cursors {
            if runs.window() == Some(window)
                && let Some(run) = runs.take()?
            {
                lists.push((run.postings, *weight));
            }
        }
        search_window(part, window, &mut lists, top, scratch)?;
    }
    Ok(0)
}

fn search_window(
    part: &Part<'_>,
    window: u32,
    lists: &mut Vec<(&[Impact], u32)>,
    top: &mut TopK,
    scratch: &mut Scratch,
) -> Result<()> {
    let start = window as usize * WINDOW;
    let end = part.segment.window_len(window)?;
    let next = |(postings, _): &(&[Impact], u32)| postings.first().map(|next| next.place);
    while let Some(place) = lists.iter().filter_map(next).min() {
        let first = usize::from(place) / TILE * TILE;
        let slots = TILE.min(end.saturating_sub(first));
        let scores = &mut scratch.scores[..slots];
        for (postings, weight) in &mut *lists {
            let taken = kernels::accumulate(scores, postings, first as u16, *weight);
            *postings = &postings[taken..];
        }
        if lists.iter().filter_map(next).any(|next| next <= place) {
            let file = part.segment.file();
            return Err(file.corrupt("a posting lies behind the last document, or out of order"));
        }
        let first = start + first;
        if part.is_excluded(first..first + slots) {
            scores.fill(0);
            continue;
        }
        for (number, scores) in scores.chunks_mut(STRIDE).enumerate() {
            part.offer(first + number * STRIDE, scores, &mut scratch.found, top)?;
        }
    }
    Ok(())
}
