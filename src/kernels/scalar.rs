//! The definition of every kernel.

use super::Accumulators;

pub fn accumulate(
    scores: &mut Accumulators,
    documents: &[u16],
    impacts: &[u8],
    weight: u32,
) -> u16 {
    let mut largest = 0;
    for (&document, &impact) in documents.iter().zip(impacts) {
        let score = &mut scores[document as usize];
        *score = score.wrapping_add(weight.wrapping_mul(u32::from(impact)));
        largest = document.max(largest);
    }
    largest
}

pub fn drain_above(scores: &mut [u32], floor: u32, found: &mut Vec<(u32, u32)>) {
    for (position, score) in scores.iter_mut().enumerate() {
        if *score > floor {
            found.push((position as u32, *score));
        }
        *score = 0;
    }
}
