//! AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Impact, scalar};

/// `drain_above` on a processor that `dispatch` has found to have AVX2.
pub fn drain_above_checked(scores: &mut [u32], floor: u32, found: &mut Vec<(u32, u32)>) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { drain_above(scores, floor, found) }
}

#[target_feature(enable = "avx2")]
pub fn drain_above(scores: &mut [u32], floor: u32, found: &mut Vec<(u32, u32)>) {
    let (lanes, rest) = scores.as_chunks_mut::<8>();
    let floors = _mm256_set1_epi32(floor as i32);
    let zero = _mm256_setzero_si256();
    let done = lanes.len() * 8;
    for (number, lane) in lanes.iter_mut().enumerate() {
        let address = lane.as_mut_ptr().cast::<__m256i>();
        // SAFETY: `lane` is 32 writable bytes; the instruction needs no alignment.
        let values = unsafe { _mm256_loadu_si256(address) };
        let at_most = _mm256_cmpeq_epi32(_mm256_max_epu32(values, floors), floors);
        let mut above = !_mm256_movemask_ps(_mm256_castsi256_ps(at_most)) as u32 & 0xff;
        while above != 0 {
            let position = above.trailing_zeros();
            found.push((number as u32 * 8 + position, lane[position as usize]));
            above &= above - 1;
        }
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(address, zero) };
    }
    let from = found.len();
    scalar::drain_above(rest, floor, found);
    found[from..]
        .iter_mut()
        .for_each(|(p, _)| *p += done as u32);
}

/// `add_maxima` on a processor that `dispatch` has found to have AVX2.
pub fn add_maxima_checked(bounds: &mut [u32], rows: &[(&[Impact], u32)]) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { add_maxima(bounds, rows) }
}

/// Bounds that stay in registers while the rows are added up.
const TILE: usize = 32;

#[target_feature(enable = "avx2")]
pub fn add_maxima(bounds: &mut [u32], rows: &[(&[Impact], u32)]) {
    let lengths = rows.iter().map(|(maxima, _)| maxima.len());
    let length = lengths.fold(bounds.len(), usize::min);
    // Loads of 16 bytes for 12 pass the end of a tile by 4.
    let tiles = length.saturating_sub(2) / TILE;
    for start in (0..tiles).map(|tile| tile * TILE) {
        let tile = bounds[start..start + TILE].as_chunks_mut::<8>().0;
        let mut sums = [_mm256_setzero_si256(); TILE / 8];
        for (sum, bounds) in sums.iter_mut().zip(&*tile) {
            // SAFETY: `bounds` is 32 readable bytes; the instruction needs no alignment.
            *sum = unsafe { _mm256_loadu_si256(bounds.as_ptr().cast()) };
        }
        for (maxima, weight) in rows {
            let weights = _mm256_set1_epi32(*weight as i32);
            for (number, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the row has two maxima, which is 6 bytes, beyond the tile.
                let values = unsafe { eight_values(maxima.as_ptr().add(start + number * 8)) };
                // Both factors fit the lower 16 bits of their lane, signed; the upper are 0.
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(values, weights));
            }
        }
        for (sum, bounds) in sums.iter().zip(tile) {
            // SAFETY: `bounds` is 32 writable bytes.
            unsafe { _mm256_storeu_si256(bounds.as_mut_ptr().cast(), *sum) };
        }
    }
    let done = tiles * TILE;
    for (maxima, weight) in rows {
        scalar::add_maxima(
            &mut bounds[done..length],
            &[(&maxima[done..length], *weight)],
        );
    }
}

/// The values of eight impacts, each in 32 bits.
///
/// # Safety
/// 28 bytes must be readable.
#[target_feature(enable = "avx2")]
unsafe fn eight_values(impacts: *const Impact) -> __m256i {
    // SAFETY: the loads end after 16 and after 28 bytes.
    let (low, high) = unsafe {
        let low = _mm_loadu_si128(impacts.cast());
        (low, _mm_loadu_si128(impacts.add(4).cast()))
    };
    let both = _mm256_set_m128i(high, low);
    let values = _mm_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1);
    _mm256_shuffle_epi8(both, _mm256_broadcastsi128_si256(values))
}

/// `largest_of_lanes` on a processor that `dispatch` has found to have AVX2.
pub fn largest_of_lanes_checked(bounds: &[u32], largest: &mut Vec<u32>) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { largest_of_lanes(bounds, largest) }
}

#[target_feature(enable = "avx2")]
pub fn largest_of_lanes(bounds: &[u32], largest: &mut Vec<u32>) {
    scalar::largest_of_lanes(bounds, largest);
}

pub fn prefetch<T>(value: &T) {
    // SAFETY: the address is of a live value; the instruction is part of every x86-64 and only hints.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
}
