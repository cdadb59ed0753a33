//! AVX-512 with VNNI.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use half::f16;

pub use super::avx2::{expand, to_bytes};
use super::{ByteRows, FloatRows, GROUP, LANES, Number, scalar};

compile! {
    "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni":
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
    // SAFETY: `dispatch::level` returns `Avx512` only where the processor has it.
    unsafe { vector_products(rows, tokens, products) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn vector_products(rows: &ByteRows, tokens: &[u8], products: &mut [i32]) {
    let (dim, lanes) = (rows.dim, rows.lanes());
    if tokens.is_empty() || lanes == 0 {
        return;
    }
    let size = LANES * dim;
    let mut tile = 0;
    while (tile + 2) * LANES <= lanes {
        let values = &rows.values[tile * size..(tile + 2) * size];
        columns::<2, 4>(
            values,
            &rows.offsets[tile * LANES..],
            dim,
            tokens,
            &mut products[tile * LANES..],
            lanes,
        );
        tile += 2;
    }
    if tile * LANES < lanes {
        let values = &rows.values[tile * size..];
        columns::<1, 8>(
            values,
            &rows.offsets[tile * LANES..],
            dim,
            tokens,
            &mut products[tile * LANES..],
            lanes,
        );
    }
}

/// The products with `TILES` tiles, `TOKENS` tokens at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn columns<const TILES: usize, const TOKENS: usize>(
    values: &[i8],
    offsets: &[i32],
    dim: usize,
    tokens: &[u8],
    products: &mut [i32],
    lanes: usize,
) {
    let full = tokens.len() / dim / TOKENS * TOKENS;
    let (first, rest) = tokens.split_at(full * dim);
    for (number, tokens) in first.chunks_exact(TOKENS * dim).enumerate() {
        let products = &mut products[number * TOKENS * lanes..];
        some_products::<TILES, TOKENS>(values, offsets, dim, tokens, products, lanes);
    }
    for (number, token) in (full..).zip(rest.chunks_exact(dim)) {
        let products = &mut products[number * lanes..];
        some_products::<TILES, 1>(values, offsets, dim, token, products, lanes);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn some_products<const TILES: usize, const TOKENS: usize>(
    values: &[i8],
    offsets: &[i32],
    dim: usize,
    tokens: &[u8],
    products: &mut [i32],
    lanes: usize,
) {
    assert!(values.len() == TILES * LANES * dim && tokens.len() == TOKENS * dim);
    assert!(offsets.len() >= TILES * LANES);
    assert!(products.len() >= (TOKENS - 1) * lanes + TILES * LANES);
    let mut sums = [[_mm512_setzero_si512(); TILES]; TOKENS];
    for sum in &mut sums {
        for (tile, sum) in sum.iter_mut().enumerate() {
            // SAFETY: there are sixteen offsets of 4 bytes for each tile.
            *sum = unsafe { _mm512_loadu_si512(offsets.as_ptr().add(tile * LANES).cast()) };
        }
    }
    for group in 0..dim / GROUP {
        let mut rows = [_mm512_setzero_si512(); TILES];
        for (tile, row) in rows.iter_mut().enumerate() {
            let at = (tile * dim / GROUP + group) * LANES * GROUP;
            // SAFETY: a tile has `dim / 4` groups of 64 bytes.
            *row = unsafe { _mm512_loadu_si512(values.as_ptr().add(at).cast()) };
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
            let four = _mm512_set1_epi32(four);
            for (sum, row) in sum.iter_mut().zip(&rows) {
                *sum = _mm512_dpbusd_epi32(*sum, four, *row);
            }
        }
    }
    for (token, sum) in sums.iter().enumerate() {
        for (tile, sum) in sum.iter().enumerate() {
            // SAFETY: the assertion above leaves room for sixteen products of each tile and token.
            unsafe {
                _mm512_storeu_si512(
                    products
                        .as_mut_ptr()
                        .add(token * lanes + tile * LANES)
                        .cast(),
                    *sum,
                )
            };
        }
    }
}

/// `widen` on a processor that `dispatch` has found to have what it needs.
pub fn widen(halves: &[f16], floats: &mut [f32]) {
    // SAFETY: `dispatch::level` returns `Avx512` only where the processor has it.
    unsafe { vector_widen(halves, floats) }
}

#[target_feature(enable = "avx512f")]
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
            _mm512_storeu_ps(
                floats.as_mut_ptr(),
                _mm512_cvtph_ps(_mm256_loadu_si256(halves.as_ptr().cast())),
            )
        };
    }
    scalar::widen(&halves[full..], rest);
}

/// Lanes of a register of floats.
const FLOATS: usize = 16;

/// `float_products` on a processor that `dispatch` has found to have what it needs.
pub fn float_products(rows: &FloatRows, tokens: &[f32], products: &mut [f32]) {
    // SAFETY: `dispatch::level` returns `Avx512` only where the processor has it.
    unsafe { vector_float_products(rows, tokens, products) }
}

#[target_feature(enable = "avx512f")]
fn vector_float_products(rows: &FloatRows, tokens: &[f32], products: &mut [f32]) {
    let mut lane = 0;
    while lane + 2 * FLOATS <= rows.lanes {
        float_columns::<2, 8>(rows, lane, tokens, products);
        lane += 2 * FLOATS;
    }
    if lane < rows.lanes {
        float_columns::<1, 8>(rows, lane, tokens, products);
    }
}

/// The products of `WIDE` registers of lanes from `lane` on, `TOKENS` tokens at a time.
#[target_feature(enable = "avx512f")]
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
#[target_feature(enable = "avx512f")]
fn some_float_products<const WIDE: usize, const TOKENS: usize>(
    rows: &FloatRows,
    lane: usize,
    tokens: &[f32],
    products: &mut [f32],
) {
    let (dim, lanes) = (rows.dim, rows.lanes);
    assert!(rows.values.len() == dim * lanes && lane + WIDE * FLOATS <= lanes);
    assert!(tokens.len() == TOKENS * dim && products.len() >= (TOKENS - 1) * lanes + WIDE * FLOATS);
    let mut sums = [[_mm512_setzero_ps(); WIDE]; TOKENS];
    for position in 0..dim {
        let mut row = [_mm512_setzero_ps(); WIDE];
        for (wide, row) in row.iter_mut().enumerate() {
            // SAFETY: there are `dim` rows of `lanes` values, and these lanes are among them.
            *row = unsafe {
                _mm512_loadu_ps(
                    rows.values
                        .as_ptr()
                        .add(position * lanes + lane + wide * FLOATS),
                )
            };
        }
        for (token, sum) in sums.iter_mut().enumerate() {
            // SAFETY: each of the tokens has `dim` values.
            let value = _mm512_set1_ps(unsafe { *tokens.get_unchecked(token * dim + position) });
            for (sum, row) in sum.iter_mut().zip(&row) {
                *sum = _mm512_fmadd_ps(value, *row, *sum);
            }
        }
    }
    for (token, sum) in sums.iter().enumerate() {
        for (wide, sum) in sum.iter().enumerate() {
            // SAFETY: the assertion above leaves room for these lanes of every token.
            unsafe {
                _mm512_storeu_ps(
                    products.as_mut_ptr().add(token * lanes + wide * FLOATS),
                    *sum,
                )
            };
        }
    }
}
