//! Exact search that scores each eligible document from its row: the way when a filter leaves few.

use std::cell::RefCell;

use super::search::{Part, Request};
use crate::error::Result;
use crate::topk::TopK;

/// Documents between two looks at the clock.
const STRIDE: usize = 1024;

thread_local! {
    /// Weight of each term of the segment; all 0 between searches.
    static WEIGHTS: RefCell<Vec<u32>> = RefCell::default();
}

/// As `search::search`, for one part.
pub fn search(part: &Part<'_>, request: &Request, top: &mut TopK) -> Result<u32> {
    WEIGHTS.with_borrow_mut(|weights| {
        weights.resize(part.segment.terms.len().max(weights.len()), 0);
        for &(term, weight) in &part.terms {
            weights[term as usize] = weight;
        }
        let searched = match part.eligible {
            Some(eligible) => search_slots(part, eligible.slots(), request, weights, top),
            None => search_slots(part, 0..part.segment.documents(), request, weights, top),
        };
        for &(term, _) in &part.terms {
            weights[term as usize] = 0;
        }
        searched
    })
}

fn search_slots(
    part: &Part<'_>,
    slots: impl Iterator<Item = usize>,
    request: &Request,
    weights: &[u32],
    top: &mut TopK,
) -> Result<u32> {
    for (number, slot) in slots.enumerate() {
        if number % STRIDE == 0 && request.is_late() {
            return Ok(part.bound());
        }
        let row = part.segment.row(part.segment.document(slot)?)?;
        let weight = |term: u32| weights.get(term as usize).copied().unwrap_or(0);
        // A damaged row may name a term twice.
        let score = row.fold(0_u32, |score, (term, impact)| {
            score.wrapping_add(weight(term) * u32::from(impact))
        });
        part.offer_slot(slot, score, top)?;
    }
    Ok(0)
}
