//! The definition of every kernel. Most are written so that a compiler vectorises them, and the other files
//! compile these bodies for their instruction set.

use half::f16;

use super::{BIAS, ByteRows, FloatRows, GROUP, LANES, Number, places};

pub fn products(rows: &ByteRows, tokens: &[u8], products: &mut [i32]) {
    let (dim, lanes) = (rows.dim, rows.lanes());
    if lanes == 0 {
        return;
    }
    for (token, products) in tokens
        .chunks_exact(dim)
        .zip(products.chunks_exact_mut(lanes))
    {
        products.fill(0);
        let tiles = rows.values.chunks_exact(LANES * dim);
        for (tile, products) in tiles.zip(products.as_chunks_mut::<LANES>().0) {
            let groups = tile.as_chunks::<{ LANES * GROUP }>().0;
            for (token, group) in token.as_chunks::<GROUP>().0.iter().zip(groups) {
                for (product, row) in products.iter_mut().zip(group.as_chunks::<GROUP>().0) {
                    for (t, r) in token.iter().zip(row) {
                        *product += (i32::from(*t) - i32::from(BIAS)) * i32::from(*r);
                    }
                }
            }
        }
    }
}

#[inline(always)]
pub fn check_finite(halves: &[f16], finite: &mut bool) {
    const EXPONENT: u16 = 0x7c00;
    let mut found = 0_u16;
    for half in halves {
        found |= u16::from(half.to_bits() & EXPONENT == EXPONENT);
    }
    *finite &= found == 0;
}

pub fn float_products(rows: &FloatRows, tokens: &[f32], products: &mut [f32]) {
    let lanes = rows.lanes.max(1);
    for (token, products) in tokens
        .chunks_exact(rows.dim)
        .zip(products.chunks_exact_mut(lanes))
    {
        products.fill(0.0);
        for (value, row) in token.iter().zip(rows.values.chunks_exact(lanes)) {
            for (product, row) in products.iter_mut().zip(row) {
                *product = value.mul_add(*row, *product);
            }
        }
    }
}

/// What a token adds to a product: `(base[lane] + product * step) * unit`.
type Token<'a> = (((&'a [i32], &'a &'a [f32]), &'a f32), &'a f32);

#[inline(always)]
fn score(tile: usize, (((products, base), step), unit): Token<'_>) -> Option<[f32; LANES]> {
    let products = products[tile * LANES..].first_chunk::<LANES>()?;
    let base = base[tile * LANES..].first_chunk::<LANES>()?;
    let mut scores = *base;
    for (score, product) in scores.iter_mut().zip(products) {
        *score = (*score + *product as f32 * step) * unit;
    }
    Some(scores)
}

#[inline(always)]
pub fn raise(best: &mut [f32], bases: &[&[f32]], products: &[i32], steps: &[f32], units: &[f32]) {
    let lanes = best.len();
    for (tile, best) in best.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut highest = *best;
        for token in products
            .chunks_exact(lanes)
            .zip(bases)
            .zip(steps)
            .zip(units)
        {
            let Some(scores) = score(tile, token) else {
                return;
            };
            for (highest, score) in highest.iter_mut().zip(&scores) {
                *highest = if *score > *highest { *score } else { *highest };
            }
        }
        *best = highest;
    }
}

#[inline(always)]
pub fn add_steps(
    sums: &mut [f32],
    lanes: usize,
    bases: &[&[f32]],
    products: &[i32],
    steps: &[f32],
) {
    let tokens = products.chunks_exact(lanes).zip(bases).zip(steps);
    for (token, sums) in tokens.zip(sums.chunks_exact_mut(lanes)) {
        for (tile, sums) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let Some(scores) = score(tile, (token, &1.0)) else {
                return;
            };
            *sums = scores;
        }
    }
}

#[inline(always)]
pub fn raise_floats(best: &mut [f32], products: &[f32]) {
    let lanes = best.len();
    for (tile, best) in best.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut highest = *best;
        for products in products.chunks_exact(lanes) {
            let Some(products) = products[tile * LANES..].first_chunk::<LANES>() else {
                return;
            };
            for (highest, product) in highest.iter_mut().zip(products) {
                *highest = if *product > *highest {
                    *product
                } else {
                    *highest
                };
            }
        }
        *best = highest;
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub fn note_best(
    best: &mut [f32],
    which: &mut [u32],
    products: &[i32],
    first: u32,
    steps: &[f32],
    biases: &[f32],
    units: &[f32],
) {
    let lanes = best.len();
    let tiles = best.as_chunks_mut::<LANES>().0.iter_mut();
    let tiles = tiles
        .zip(which.as_chunks_mut::<LANES>().0)
        .zip(units.as_chunks::<LANES>().0);
    for (tile, ((best, which), units)) in tiles.enumerate() {
        let (mut highest, mut of) = (*best, *which);
        let rows = products.chunks_exact(lanes).zip(steps).zip(biases);
        for (number, ((products, step), bias)) in (first..).zip(rows) {
            let Some(products) = products[tile * LANES..].first_chunk::<LANES>() else {
                return;
            };
            for lane in 0..LANES {
                let score = products[lane] as f32 * step - bias * units[lane];
                let above = score > highest[lane];
                highest[lane] = if above { score } else { highest[lane] };
                of[lane] = if above { number } else { of[lane] };
            }
        }
        (*best, *which) = (highest, of);
    }
}

#[inline(always)]
pub fn raise_bytes<N: Number>(best: &mut [u8], table: &[u8], numbers: &[N]) {
    match best.len() {
        16 => raise_bytes_of::<16, N>(best, table, numbers),
        32 => raise_bytes_of::<32, N>(best, table, numbers),
        lanes => {
            for number in numbers {
                let row = number.index() * lanes;
                let Some(row) = table.get(row..row + lanes) else {
                    continue;
                };
                best.iter_mut()
                    .zip(row)
                    .for_each(|(best, value)| *best = (*best).max(*value));
            }
        }
    }
}

#[inline(always)]
fn raise_bytes_of<const L: usize, N: Number>(best: &mut [u8], table: &[u8], numbers: &[N]) {
    let Some(best) = best.first_chunk_mut::<L>() else {
        return;
    };
    let table = table.as_chunks::<L>().0;
    let mut highest = *best;
    for number in numbers {
        let Some(row) = table.get(number.index()) else {
            continue;
        };
        highest
            .iter_mut()
            .zip(row)
            .for_each(|(highest, value)| *highest = (*highest).max(*value));
    }
    *best = highest;
}

#[inline(always)]
pub fn nearest(vectors: &[f32], codebook: &[f32], halves: &[f32; 256], found: &mut [u8]) {
    let dim = codebook.len() / 256;
    for (vector, found) in vectors.chunks_exact(dim).zip(found) {
        let (mut best, mut which) = ([f32::MIN; LANES], [0_u32; LANES]);
        for (tile, halves) in (0..).zip(halves.as_chunks::<LANES>().0) {
            let mut scores = halves.map(|half| -half);
            for (value, codewords) in vector.iter().zip(codebook.as_chunks::<256>().0) {
                let Some((codewords, _)) = codewords[tile * LANES..].split_first_chunk::<LANES>()
                else {
                    return;
                };
                for (score, codeword) in scores.iter_mut().zip(codewords) {
                    *score = value.mul_add(*codeword, *score);
                }
            }
            for lane in 0..LANES {
                let above = scores[lane] > best[lane];
                best[lane] = if above { scores[lane] } else { best[lane] };
                which[lane] = if above { tile as u32 } else { which[lane] };
            }
        }
        let codeword = |lane: usize| which[lane] * LANES as u32 + lane as u32;
        let first = (1..LANES).fold(0, |first, lane| {
            let better = best[lane] > best[first]
                || best[lane] == best[first] && codeword(lane) < codeword(first);
            if better { lane } else { first }
        });
        *found = codeword(first) as u8;
    }
}

pub fn expand(codes: &[u8], bits: usize, table: &[u8; 16], tokens: &mut [u8], dim: usize) {
    let eighth = dim / 8;
    let each = codes
        .chunks_exact(eighth * bits)
        .zip(tokens.chunks_exact_mut(dim));
    for (code, token) in each {
        for part in 0..8 {
            let token = &mut token[part * eighth..(part + 1) * eighth];
            for (at, value) in token.iter_mut().enumerate() {
                let number =
                    places(part, bits).map(|place| place.number(code[place.eighth * eighth + at]));
                *value = table[usize::from(number.fold(0, |number, bits| number | bits))];
            }
        }
    }
}

pub fn widen(halves: &[f16], floats: &mut [f32]) {
    for (half, float) in halves.iter().zip(floats) {
        *float = half.to_f32();
    }
}

pub fn to_bytes(values: &[f32], factors: &[f32], bytes: &mut [u8]) {
    let factors = factors.iter().cycle();
    for ((value, factor), byte) in values.iter().zip(factors).zip(bytes) {
        // The conversion turns what is below 0, and NaN, into 0, and what is above 255 into 255.
        *byte = (value * factor) as u8;
    }
}
