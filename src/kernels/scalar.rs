//! The definition of every kernel.

use super::{Impact, LANES};

pub fn accumulate(scores: &mut [u32], postings: &[Impact], first: u16, weight: u32) -> usize {
    for (taken, &Impact { place, value }) in postings.iter().enumerate() {
        let Some(score) = scores.get_mut(usize::from(place.wrapping_sub(first))) else {
            return taken;
        };
        *score = score.wrapping_add(weight.wrapping_mul(u32::from(value)));
    }
    postings.len()
}

pub fn drain_above(scores: &mut [u32], floor: u32, found: &mut Vec<(u32, u32)>) {
    for (position, score) in scores.iter_mut().enumerate() {
        if *score > floor {
            found.push((position as u32, *score));
        }
        *score = 0;
    }
}

pub fn add_maxima(bounds: &mut [u32], rows: &[(&[Impact], u32)]) {
    for (maxima, weight) in rows {
        for (bound, maximum) in bounds.iter_mut().zip(*maxima) {
            *bound = bound.wrapping_add(weight.wrapping_mul(u32::from(maximum.value)));
        }
    }
}

pub fn largest_of_lanes(bounds: &[u32], largest: &mut Vec<u32>) {
    let chunks = bounds.chunks(LANES);
    largest.extend(chunks.map(|chunk| chunk.iter().fold(0, |a, b| a.max(*b))));
}
