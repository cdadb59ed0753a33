//! AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::scalar;

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
