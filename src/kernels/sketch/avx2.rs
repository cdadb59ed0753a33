//! AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{GROUP, Tables, scalar};

const LANES: usize = 8;

compile! {
    "avx2,fma":
    fn add_parts(blocks: &mut [f32], places: &[u32], values: &[f32], length: usize);
    fn spread(keys: &mut [u64]);
}

/// `hadamard` on a processor that `dispatch` has found to have what it needs.
pub fn hadamard(vector: &[f32], factors: &[f32], values: &mut [f32]) {
    assert!(values.len().is_power_of_two() && values.len() >= LANES);
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { vector_hadamard(vector, factors, values) }
}

#[target_feature(enable = "avx2")]
fn vector_hadamard(vector: &[f32], factors: &[f32], values: &mut [f32]) {
    let given = vector.as_chunks::<LANES>().0;
    let factors = factors.as_chunks::<LANES>().0;
    let lanes = values.as_chunks_mut::<LANES>().0.iter_mut();
    for ((lanes, given), factors) in lanes.zip(given).zip(factors) {
        store(lanes, within(_mm256_mul_ps(load(given), load(factors))));
    }
    let mut half = 1;
    let lanes = values.as_chunks_mut::<LANES>().0;
    // Two steps at a time, as long as there are two.
    while half * 4 <= lanes.len() {
        for four in lanes.chunks_exact_mut(half * 4) {
            let (ab, cd) = four.split_at_mut(half * 2);
            let ((a, b), (c, d)) = (ab.split_at_mut(half), cd.split_at_mut(half));
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (x, y, z, w) = (load(a), load(b), load(c), load(d));
                let (x, y) = (_mm256_add_ps(x, y), _mm256_sub_ps(x, y));
                let (z, w) = (_mm256_add_ps(z, w), _mm256_sub_ps(z, w));
                store(a, _mm256_add_ps(x, z));
                store(b, _mm256_add_ps(y, w));
                store(c, _mm256_sub_ps(x, z));
                store(d, _mm256_sub_ps(y, w));
            }
        }
        half *= 4;
    }
    if half < lanes.len() {
        let (first, second) = lanes.split_at_mut(half);
        for (a, b) in first.iter_mut().zip(second) {
            let (x, y) = (load(a), load(b));
            store(a, _mm256_add_ps(x, y));
            store(b, _mm256_sub_ps(x, y));
        }
    }
}

/// The steps within eight values.
#[inline]
#[target_feature(enable = "avx2")]
fn within(v: __m256) -> __m256 {
    let sign = |pattern: [bool; LANES]| {
        let bit = |lane: usize| if pattern[lane] { i32::MIN } else { 0 };
        _mm256_castsi256_ps(_mm256_setr_epi32(
            bit(0),
            bit(1),
            bit(2),
            bit(3),
            bit(4),
            bit(5),
            bit(6),
            bit(7),
        ))
    };
    let (t, f) = (true, false);
    let swapped = _mm256_permute_ps::<0b10_11_00_01>(v);
    let v = _mm256_add_ps(swapped, _mm256_xor_ps(v, sign([f, t, f, t, f, t, f, t])));
    let swapped = _mm256_permute_ps::<0b01_00_11_10>(v);
    let v = _mm256_add_ps(swapped, _mm256_xor_ps(v, sign([f, f, t, t, f, f, t, t])));
    let swapped = _mm256_permute2f128_ps::<1>(v, v);
    _mm256_add_ps(swapped, _mm256_xor_ps(v, sign([f, f, f, f, t, t, t, t])))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(lanes: &[f32; LANES]) -> __m256 {
    // SAFETY: eight floats are read from an array of eight.
    unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(lanes: &mut [f32; LANES], values: __m256) {
    // SAFETY: eight floats are written to an array of eight.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), values) }
}

/// `above_zero` on a processor that `dispatch` has found to have what it needs.
pub fn above_zero(values: &[f32], words: &mut [u64]) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { vector_above_zero(values, words) }
}

#[target_feature(enable = "avx2")]
fn vector_above_zero(values: &[f32], words: &mut [u64]) {
    words.fill(0);
    let (all, rest) = values.as_chunks::<LANES>();
    for (at, lanes) in all.iter().enumerate() {
        let above = _mm256_cmp_ps::<_CMP_GT_OQ>(load(lanes), _mm256_setzero_ps());
        let bits = _mm256_movemask_ps(above) as u64;
        words[at / 8] |= bits << (at % 8 * LANES);
    }
    for (at, value) in (all.len() * LANES..).zip(rest) {
        words[at / 64] |= u64::from(*value > 0.0) << (at % 64);
    }
}

/// `add_up` on a processor that `dispatch` has found to have what it needs.
pub fn add_up(codes: &[[u8; GROUP]], places: &[u32], tables: &[Tables], sums: &mut [u32; GROUP]) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { vector_add_up(codes, places, tables, sums) }
}

/// Places whose sums fit 16 bits: 65,535 / (2 * 127).
const TOGETHER: usize = 256;

#[target_feature(enable = "avx2")]
fn vector_add_up(
    codes: &[[u8; GROUP]],
    places: &[u32],
    tables: &[Tables],
    sums: &mut [u32; GROUP],
) {
    sums.fill(0);
    let nibble = _mm256_set1_epi8(15);
    let low_byte = _mm256_set1_epi16(255);
    for (places, tables) in places.chunks(TOGETHER).zip(tables.chunks(TOGETHER)) {
        let (mut even, mut odd) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (place, table) in places.iter().zip(tables) {
            let bytes = &codes[*place as usize];
            // SAFETY: an array of 32 bytes is read, and the two halves of another.
            let (bytes, low, high) = unsafe {
                (
                    _mm256_loadu_si256(bytes.as_ptr().cast()),
                    _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())),
                    _mm256_broadcastsi128_si256(_mm_loadu_si128(table[16..].as_ptr().cast())),
                )
            };
            let low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, nibble));
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
            let both = _mm256_add_epi8(low, _mm256_shuffle_epi8(high, upper));
            even = _mm256_add_epi16(even, _mm256_and_si256(both, low_byte));
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16::<8>(both));
        }
        let mut words = [[0_u16; GROUP / 2]; 2];
        // SAFETY: two arrays of 32 bytes are written.
        unsafe {
            _mm256_storeu_si256(words[0].as_mut_ptr().cast(), even);
            _mm256_storeu_si256(words[1].as_mut_ptr().cast(), odd);
        }
        for (pair, (even, odd)) in sums
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .zip(words[0].iter().zip(&words[1]))
        {
            pair[0] += u32::from(*even);
            pair[1] += u32::from(*odd);
        }
    }
}
