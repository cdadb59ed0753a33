//! AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{GROUP, Tables, scalar};

const LANES: usize = 8;

compile! {
    "avx2,fma":
    fn add_parts(blocks: &mut [f32], places: &[u32], values: &[f32], width: usize, length: usize);
    fn average(blocks: &mut [f32], counts: &[u32]);
    fn to_steps(values: &[f32], numbers: &mut [i8], step: &mut f32);
    fn spread(keys: &mut [u32], lanes: usize);
}

/// `hadamard` on a processor that `dispatch` has found to have what it needs.
pub fn hadamard(vector: &[f32], factors: &[f32], values: &mut [f32]) {
    assert!(vector.len().is_power_of_two() && vector.len() >= LANES);
    let each = values
        .chunks_exact_mut(vector.len())
        .zip(factors.chunks_exact(vector.len()));
    for (values, factors) in each {
        // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
        unsafe { vector_hadamard(vector, factors, values) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn vector_hadamard(vector: &[f32], factors: &[f32], values: &mut [f32]) {
    let given = vector.as_chunks::<LANES>().0;
    let factors = factors.as_chunks::<LANES>().0;
    let lanes = values.as_chunks_mut::<LANES>().0;
    let started = |given: &_, factors: &_| within(_mm256_mul_ps(load(given), load(factors)));
    let mut half = 1;
    // Two steps at a time, as long as there are two.
    if let (fours, []) = lanes.as_chunks_mut::<4>() {
        let given = given
            .as_chunks::<4>()
            .0
            .iter()
            .zip(factors.as_chunks::<4>().0);
        for (four, ([a, b, c, d], [e, f, g, h])) in fours.iter_mut().zip(given) {
            let made = crossed([started(a, e), started(b, f), started(c, g), started(d, h)]);
            four.iter_mut()
                .zip(made)
                .for_each(|(lanes, made)| store(lanes, made));
        }
        half = 4;
    } else {
        let given = given.iter().zip(factors);
        for (lanes, (given, factors)) in lanes.iter_mut().zip(given) {
            store(lanes, started(given, factors));
        }
    }
    while half * 4 <= lanes.len() {
        for four in lanes.chunks_exact_mut(half * 4) {
            let (ab, cd) = four.split_at_mut(half * 2);
            let ((a, b), (c, d)) = (ab.split_at_mut(half), cd.split_at_mut(half));
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let made = crossed([load(a), load(b), load(c), load(d)]);
                [a, b, c, d]
                    .into_iter()
                    .zip(made)
                    .for_each(|(lanes, made)| store(lanes, made));
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

/// Two steps.
#[inline]
#[target_feature(enable = "avx2")]
fn crossed([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    let (a, b) = (_mm256_add_ps(a, b), _mm256_sub_ps(a, b));
    let (c, d) = (_mm256_add_ps(c, d), _mm256_sub_ps(c, d));
    [
        _mm256_add_ps(a, c),
        _mm256_add_ps(b, d),
        _mm256_sub_ps(a, c),
        _mm256_sub_ps(b, d),
    ]
}

/// The steps within eight values.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn within(v: __m256) -> __m256 {
    let (p, m) = (1.0, -1.0);
    let swapped = _mm256_permute_ps::<0b10_11_00_01>(v);
    let v = _mm256_fmadd_ps(v, _mm256_setr_ps(p, m, p, m, p, m, p, m), swapped);
    let swapped = _mm256_permute_ps::<0b01_00_11_10>(v);
    let v = _mm256_fmadd_ps(v, _mm256_setr_ps(p, p, m, m, p, p, m, m), swapped);
    let swapped = _mm256_permute2f128_ps::<1>(v, v);
    _mm256_fmadd_ps(v, _mm256_setr_ps(p, p, p, p, m, m, m, m), swapped)
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

/// `sides` on a processor that `dispatch` has found to have what it needs.
pub fn sides(values: &[f32], width: usize, bits: usize, sides: &mut [u32]) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { vector_sides(values, width, bits, sides) }
}

#[target_feature(enable = "avx2")]
fn vector_sides(values: &[f32], width: usize, bits: usize, sides: &mut [u32]) {
    // With few bits, all but the last have eight values from their first one on.
    let readable = match bits {
        1..=LANES => (values.len() + width).saturating_sub(LANES) / width,
        _ => 0,
    };
    let (whole, rest) = sides.split_at_mut(readable.min(sides.len()));
    let mask = (1_u32 << bits.min(LANES)) - 1;
    for (number, sides) in whole.iter_mut().enumerate() {
        let lanes = values[number * width..].as_chunks::<LANES>().0;
        let above = _mm256_cmp_ps::<_CMP_GT_OQ>(load(&lanes[0]), _mm256_setzero_ps());
        *sides = _mm256_movemask_ps(above) as u32 & mask;
    }
    scalar::sides(
        values.get(whole.len() * width..).unwrap_or_default(),
        width,
        bits,
        rest,
    );
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
