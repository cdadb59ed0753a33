//! AVX2 and FMA.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use half::f16;

use super::{ByteRows, FloatRows, GROUP, LANES, Number, scalar};

compile! {
    "avx2,fma":
    fn raise(best: &mut [f32], bases: &[&[f32]], products: &[i32], steps: &[f32], units: &[f32]);
    fn add_steps(sums: &mut [f32], lanes: usize, bases: &[&[f32]], products: &[i32], steps: &[f32]);
    fn raise_floats(best: &mut [f32], products: &[f32]);
    fn note_best(
        best: &mut [f32],
        which: &mut [u32],
        products: &[i32],
        first: u32,
        steps: &[f32],
        biases: &[f32],
        units: &[f32],
    );
    fn raise_bytes<N: Number>(best: &mut [u8], table: &[u8], numbers: &[N]);
    fn nearest(vectors: &[f32], codebook: &[f32], halves: &[f32; 256], found: &mut [u8]);
    fn check_finite(halves: &[f16], finite: &mut bool);
}

/// `products` on a processor that `dispatch` has found to have what it needs.
pub fn products(rows: &ByteRows, tokens: &[u8], products: &mut [i32]) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { vector_products(rows, tokens, products) }
}

/// Rows of half a tile.
const HALF: usize = LANES / 2;
/// Tokens whose sums stay in registers together.
const TOKENS: usize = 4;

#[target_feature(enable = "avx2")]
fn vector_products(rows: &ByteRows, tokens: &[u8], products: &mut [i32]) {
    let (dim, lanes) = (rows.dim, rows.lanes());
    if tokens.is_empty() || lanes == 0 {
        return;
    }
    let full = tokens.len() / dim / TOKENS * TOKENS;
    let (first, rest) = tokens.split_at(full * dim);
    for tile in 0..lanes / LANES {
        let values = &rows.values[tile * LANES * dim..(tile + 1) * LANES * dim];
        let offsets = &rows.offsets[tile * LANES..(tile + 1) * LANES];
        for (number, tokens) in first.chunks_exact(TOKENS * dim).enumerate() {
            let products = &mut products[number * TOKENS * lanes + tile * LANES..];
            some_products::<TOKENS>(values, offsets, dim, tokens, products, lanes);
        }
        for (number, token) in (full..).zip(rest.chunks_exact(dim)) {
            let products = &mut products[number * lanes + tile * LANES..];
            some_products::<1>(values, offsets, dim, token, products, lanes);
        }
    }
}

/// The products with the rows of one tile. Bytes of tokens are below 128 and those of rows within 127 of
/// 0, so that a sum of two products fits 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn some_products<const TOKENS: usize>(
    values: &[i8],
    offsets: &[i32],
    dim: usize,
    tokens: &[u8],
    products: &mut [i32],
    lanes: usize,
) {
    assert!(values.len() == LANES * dim && tokens.len() == TOKENS * dim && offsets.len() == LANES);
    assert!(products.len() >= (TOKENS - 1) * lanes + LANES);
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_si256(); 2]; TOKENS];
    for sum in &mut sums {
        for (half, sum) in sum.iter_mut().enumerate() {
            // SAFETY: there are sixteen offsets of 4 bytes.
            *sum = unsafe { _mm256_loadu_si256(offsets.as_ptr().add(half * HALF).cast()) };
        }
    }
    for group in 0..dim / GROUP {
        let mut rows = [_mm256_setzero_si256(); 2];
        for (half, row) in rows.iter_mut().enumerate() {
            let at = (group * LANES + half * HALF) * GROUP;
            // SAFETY: a tile has `dim / 4` groups of 64 bytes.
            *row = unsafe { _mm256_loadu_si256(values.as_ptr().add(at).cast()) };
        }
        for (token, sum) in sums.iter_mut().enumerate() {
            // SAFETY: a token has `dim / 4` groups of 4 bytes.
            let four = unsafe {
                tokens
                    .as_ptr()
                    .add(token * dim + group * GROUP)
                    .cast::<i32>()
                    .read_unaligned()
            };
            let four = _mm256_set1_epi32(four);
            for (sum, row) in sum.iter_mut().zip(&rows) {
                let pairs = _mm256_maddubs_epi16(four, *row);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    for (token, sum) in sums.iter().enumerate() {
        for (half, sum) in sum.iter().enumerate() {
            // SAFETY: the assertion above leaves room for sixteen products of each token.
            unsafe {
                _mm256_storeu_si256(
                    products
                        .as_mut_ptr()
                        .add(token * lanes + half * HALF)
                        .cast(),
                    *sum,
                )
            };
        }
    }
}

/// `to_bytes` on a processor that `dispatch` has found to have what it needs.
pub fn to_bytes(values: &[f32], factors: &[f32], bytes: &mut [u8]) {
    // SAFETY: `dispatch::level` returns `Avx2` or more only where the processor has it.
    unsafe { vector_to_bytes(values, factors, bytes) }
}

#[target_feature(enable = "avx2")]
fn vector_to_bytes(values: &[f32], factors: &[f32], bytes: &mut [u8]) {
    let factors = factors.as_chunks::<LANES>().0;
    let values = values.as_chunks::<LANES>().0;
    let bytes = bytes.as_chunks_mut::<LANES>().0;
    for ((values, factors), bytes) in values.iter().zip(factors.iter().cycle()).zip(bytes) {
        let half = |half: usize| {
            // SAFETY: both have sixteen floats.
            let level = unsafe {
                let values = _mm256_loadu_ps(values.as_ptr().add(half * HALF));
                _mm256_mul_ps(values, _mm256_loadu_ps(factors.as_ptr().add(half * HALF)))
            };
            let level = _mm256_max_ps(level, _mm256_setzero_ps());
            _mm256_cvttps_epi32(_mm256_min_ps(level, _mm256_set1_ps(255.0)))
        };
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(half(0), half(1)));
        let low = _mm256_castsi256_si128(words);
        let packed = _mm_packus_epi16(low, _mm256_extracti128_si256::<1>(words));
        // SAFETY: there are sixteen writable bytes.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), packed) };
    }
}

/// `expand` on a processor that `dispatch` has found to have what it needs.
pub fn expand(codes: &[u8], bits: usize, table: &[u8; 16], tokens: &mut [u8], dim: usize) {
    // SAFETY: `dispatch::level` returns `Avx2` or more only where the processor has it.
    unsafe {
        match bits {
            1 => vector_expand::<1>(codes, table, tokens, dim),
            2 => vector_expand::<2>(codes, table, tokens, dim),
            3 => vector_expand::<3>(codes, table, tokens, dim),
            _ => vector_expand::<4>(codes, table, tokens, dim),
        }
    }
}

/// Numbers that are expanded together.
const NUMBERS: usize = 16;

#[target_feature(enable = "avx2")]
fn vector_expand<const BITS: usize>(codes: &[u8], table: &[u8; 16], tokens: &mut [u8], dim: usize) {
    let eighth = dim / 8;
    if !eighth.is_multiple_of(NUMBERS) {
        return scalar::expand(codes, BITS, table, tokens, dim);
    }
    // SAFETY: the table has 16 bytes.
    let values = unsafe { _mm_loadu_si128(table.as_ptr().cast()) };
    let each = codes
        .chunks_exact(eighth * BITS)
        .zip(tokens.chunks_exact_mut(dim));
    for (code, token) in each {
        for at in (0..eighth).step_by(NUMBERS) {
            for part in 0..8 {
                let low = if BITS == 3 { 2 } else { BITS };
                let mut numbers = bits_of(code, part % low * eighth + at, part / low * low, low);
                if BITS == 3 {
                    let high = bits_of(code, 2 * eighth + at, part, 1);
                    numbers = _mm_or_si128(numbers, _mm_slli_epi16::<2>(high));
                }
                let token = &mut token[part * eighth + at..][..NUMBERS];
                // SAFETY: `token` is 16 writable bytes.
                unsafe {
                    _mm_storeu_si128(token.as_mut_ptr().cast(), _mm_shuffle_epi8(values, numbers))
                };
            }
        }
    }
}

/// `bits` bits, from bit `shift` on, of sixteen bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn bits_of(code: &[u8], at: usize, shift: usize, bits: usize) -> __m128i {
    let code = &code[at..][..NUMBERS];
    // SAFETY: `code` is 16 readable bytes.
    let bytes = unsafe { _mm_loadu_si128(code.as_ptr().cast()) };
    let shifted = _mm_srl_epi16(bytes, _mm_cvtsi32_si128(shift as i32));
    _mm_and_si128(shifted, _mm_set1_epi8((1 << bits) - 1))
}

/// `widen` on a processor that `dispatch` has found to have what it needs.
pub fn widen(halves: &[f16], floats: &mut [f32]) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { vector_widen(halves, floats) }
}

#[target_feature(enable = "avx2,f16c")]
fn vector_widen(halves: &[f16], floats: &mut [f32]) {
    let full = halves.len().min(floats.len()) / FLOATS * FLOATS;
    let (some, rest) = floats.split_at_mut(full);
    let each = halves
        .as_chunks::<FLOATS>()
        .0
        .iter()
        .zip(some.as_chunks_mut::<FLOATS>().0);
    for (halves, floats) in each {
        // SAFETY: both have a full register.
        unsafe {
            _mm256_storeu_ps(
                floats.as_mut_ptr(),
                _mm256_cvtph_ps(_mm_loadu_si128(halves.as_ptr().cast())),
            )
        };
    }
    scalar::widen(&halves[full..], rest);
}

/// Lanes of a register of floats.
const FLOATS: usize = 8;

/// `float_products` on a processor that `dispatch` has found to have what it needs.
pub fn float_products(rows: &FloatRows, tokens: &[f32], products: &mut [f32]) {
    // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
    unsafe { vector_float_products(rows, tokens, products) }
}

#[target_feature(enable = "avx2,fma")]
fn vector_float_products(rows: &FloatRows, tokens: &[f32], products: &mut [f32]) {
    let mut lane = 0;
    while lane < rows.lanes {
        float_columns::<2, 4>(rows, lane, tokens, products);
        lane += 2 * FLOATS;
    }
}

/// The products of `WIDE` registers of lanes from `lane` on, `TOKENS` tokens at a time.
#[target_feature(enable = "avx2,fma")]
fn float_columns<const WIDE: usize, const TOKENS: usize>(
    rows: &FloatRows,
    lane: usize,
    tokens: &[f32],
    products: &mut [f32],
) {
    let full = tokens.len() / rows.dim / TOKENS * TOKENS;
    let (first, rest) = tokens.split_at(full * rows.dim);
    for (number, tokens) in first.chunks_exact(TOKENS * rows.dim).enumerate() {
        let products = &mut products[number * TOKENS * rows.lanes + lane..];
        some_float_products::<WIDE, TOKENS>(rows, lane, tokens, products);
    }
    for (number, token) in (full..).zip(rest.chunks_exact(rows.dim)) {
        let products = &mut products[number * rows.lanes + lane..];
        some_float_products::<WIDE, 1>(rows, lane, token, products);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn some_float_products<const WIDE: usize, const TOKENS: usize>(
    rows: &FloatRows,
    lane: usize,
    tokens: &[f32],
    products: &mut [f32],
) {
    let (dim, lanes) = (rows.dim, rows.lanes);
    assert!(rows.values.len() == dim * lanes && lane + WIDE * FLOATS <= lanes);
    assert!(tokens.len() == TOKENS * dim && products.len() >= (TOKENS - 1) * lanes + WIDE * FLOATS);
    let mut sums = [[_mm256_setzero_ps(); WIDE]; TOKENS];
    for position in 0..dim {
        let mut row = [_mm256_setzero_ps(); WIDE];
        for (wide, row) in row.iter_mut().enumerate() {
            // SAFETY: there are `dim` rows of `lanes` values, and these lanes are among them.
            *row = unsafe {
                _mm256_loadu_ps(
                    rows.values
                        .as_ptr()
                        .add(position * lanes + lane + wide * FLOATS),
                )
            };
        }
        for (token, sum) in sums.iter_mut().enumerate() {
            // SAFETY: each of the tokens has `dim` values.
            let value = _mm256_set1_ps(unsafe { *tokens.get_unchecked(token * dim + position) });
            for (sum, row) in sum.iter_mut().zip(&row) {
                *sum = _mm256_fmadd_ps(value, *row, *sum);
            }
        }
    }
    for (token, sum) in sums.iter().enumerate() {
        for (wide, sum) in sum.iter().enumerate() {
            // SAFETY: the assertion above leaves room for these lanes of every token.
            unsafe {
                _mm256_storeu_ps(
                    products.as_mut_ptr().add(token * lanes + wide * FLOATS),
                    *sum,
                )
            };
        }
    }
}
