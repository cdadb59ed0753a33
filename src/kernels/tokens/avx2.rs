//! AVX2 and FMA.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{ByteRows, FloatRows, GROUP, LANES, Number, scalar};

/// Compiles a definition of `scalar` for this instruction set.
macro_rules! compile {
    ($(fn $name:ident $(<$generic:ident: $bound:path>)? ($($argument:ident: $kind:ty),* $(,)?);)*) => {$(
        pub fn $name $(<$generic: $bound>)? ($($argument: $kind),*) {
            #[target_feature(enable = "avx2,fma")]
            fn compiled $(<$generic: $bound>)? ($($argument: $kind),*) {
                scalar::$name($($argument),*)
            }
            // SAFETY: `dispatch::level` returns `Avx2` only where the processor has it.
            unsafe { compiled($($argument),*) }
        }
    )*};
}

compile! {
    fn float_products(rows: &FloatRows, tokens: &[f32], products: &mut [f32]);
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

/// The products with the rows of one tile. Bytes of tokens are below 128 and those of rows within 127 of 0, so
/// that a sum of two products fits 16 bits.
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
