//! Product quantisation: a residual is cut into parts, each stored as the number of the nearest of 256
//! codewords of its own codebook (Jégou, Douze and Schmid, 2011).

use rand::seq::index;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::quantize;
use super::residual::Residual;
use crate::kernels::tokens;

const CODEWORDS: usize = 256;
const ITERATIONS: usize = 12;

pub struct Product {
    /// Values of a part.
    size: usize,
    step: f32,
    /// Step, then the codewords of all parts as floats, `[part][value][codeword]`.
    floats: Vec<f32>,
    halves: Vec<[f32; CODEWORDS]>,
    /// `[part][codeword][value]`, as tokens have them.
    bytes: Vec<u8>,
}

impl Product {
    pub fn train(sample: &[f32], dim: usize, parts: usize, seed: u64) -> Self {
        let size = dim / parts;
        let codebooks = (0..parts).into_par_iter().map(|part| {
            let vectors = sample.chunks_exact(dim);
            let vectors: Vec<f32> = vectors
                .flat_map(|vector| &vector[part * size..(part + 1) * size])
                .copied()
                .collect();
            codewords(&vectors, size, seed ^ (part as u64) << 32)
        });
        let codebooks: Vec<Vec<f32>> = codebooks.collect();
        let rows = codebooks.concat();
        let step = quantize::token_step(&rows);
        let mut bytes = vec![];
        quantize::push_token(&rows, step, &mut bytes);
        let columns = codebooks.iter().flat_map(|rows| columns(rows, size));
        Self::new(size, std::iter::once(step).chain(columns).collect(), bytes)
    }

    pub fn open(dim: usize, parts: usize, floats: &[f32], bytes: &[u8]) -> Option<Self> {
        let fits = floats.len() == 1 + CODEWORDS * dim && bytes.len() == CODEWORDS * dim;
        fits.then(|| Self::new(dim / parts, floats.to_vec(), bytes.to_vec()))
    }

    fn new(size: usize, floats: Vec<f32>, bytes: Vec<u8>) -> Self {
        let codebooks = floats[1..].chunks_exact(size * CODEWORDS);
        Self {
            size,
            step: floats[0],
            halves: codebooks.map(halves).collect(),
            floats,
            bytes,
        }
    }
}

/// The codewords that k-means finds, one after the other.
fn codewords(vectors: &[f32], size: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = vectors.len() / size;
    let first = index::sample(&mut random, count, count.min(CODEWORDS));
    let first = first
        .iter()
        .flat_map(|number| &vectors[number * size..(number + 1) * size]);
    let mut rows: Vec<f32> = first.copied().collect();
    rows.resize(size * CODEWORDS, 0.0);
    for _ in 0..if count == 0 { 0 } else { ITERATIONS } {
        rows = means(vectors, &rows, size, &mut random);
    }
    rows
}

/// The mean of the vectors that are nearest to each codeword; a random vector where there are none.
fn means(vectors: &[f32], rows: &[f32], size: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let count = vectors.len() / size;
    let codebook = columns(rows, size);
    let mut found = vec![0; count];
    tokens::nearest(vectors, &codebook, &halves(&codebook), &mut found);
    let mut sums = vec![0.0_f64; rows.len()];
    let mut members = [0_u32; CODEWORDS];
    for (vector, codeword) in vectors.chunks_exact(size).zip(&found) {
        members[usize::from(*codeword)] += 1;
        let sums = sums[usize::from(*codeword) * size..].iter_mut();
        sums.zip(vector)
            .for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let mut means = Vec::with_capacity(rows.len());
    for (sums, members) in sums.chunks_exact(size).zip(members) {
        match members {
            0 => {
                let spare = random.random_range(0..count);
                means.extend_from_slice(&vectors[spare * size..(spare + 1) * size]);
            }
            members => means.extend(sums.iter().map(|sum| (sum / f64::from(members)) as f32)),
        }
    }
    means
}

/// `[value][codeword]` of codewords that lie one after the other.
fn columns(rows: &[f32], size: usize) -> Vec<f32> {
    let at = |value: usize| rows[value..].iter().step_by(size).copied();
    (0..size).flat_map(at).collect()
}

/// Half the squared length of each codeword of `[value][codeword]`.
fn halves(codebook: &[f32]) -> [f32; CODEWORDS] {
    std::array::from_fn(|codeword| {
        let values = codebook[codeword..].iter().step_by(CODEWORDS);
        values.fold(0.0_f32, |sum, value| value.mul_add(*value, sum)) / 2.0
    })
}

impl Residual for Product {
    fn width(&self) -> usize {
        self.halves.len()
    }

    fn step(&self) -> f32 {
        self.step
    }

    fn encode(&self, residuals: &[f32], codes: &mut [u8]) {
        let (parts, dim) = (self.width(), self.width() * self.size);
        let codebooks = self.floats[1..].chunks_exact(self.size * CODEWORDS);
        let mut vectors = Vec::with_capacity(residuals.len() / parts);
        let mut found = vec![0; residuals.len() / dim];
        for (part, (codebook, halves)) in codebooks.zip(&self.halves).enumerate() {
            vectors.clear();
            for residual in residuals.chunks_exact(dim) {
                vectors.extend_from_slice(&residual[part * self.size..(part + 1) * self.size]);
            }
            tokens::nearest(&vectors, codebook, halves, &mut found);
            let column = codes.iter_mut().skip(part).step_by(parts);
            column.zip(&found).for_each(|(code, found)| *code = *found);
        }
    }

    fn decode(&self, codes: &[u8], tokens: &mut [u8]) {
        match self.size {
            2 => self.copy::<2>(codes, tokens),
            4 => self.copy::<4>(codes, tokens),
            8 => self.copy::<8>(codes, tokens),
            16 => self.copy::<16>(codes, tokens),
            size => {
                let books = self.bytes.chunks_exact(size * CODEWORDS).cycle();
                for ((code, book), part) in
                    codes.iter().zip(books).zip(tokens.chunks_exact_mut(size))
                {
                    part.copy_from_slice(&book[usize::from(*code) * size..][..size]);
                }
            }
        }
    }

    fn parts(&self) -> (&[f32], &[u8]) {
        (&self.floats, &self.bytes)
    }
}

impl Product {
    fn copy<const SIZE: usize>(&self, codes: &[u8], tokens: &mut [u8]) {
        let books = self.bytes.as_chunks::<SIZE>().0.as_chunks::<CODEWORDS>().0;
        let codes = codes.chunks_exact(books.len());
        let parts = tokens
            .as_chunks_mut::<SIZE>()
            .0
            .chunks_exact_mut(books.len());
        for (codes, parts) in codes.zip(parts) {
            for ((code, book), part) in codes.iter().zip(books).zip(parts) {
                *part = book[usize::from(*code)];
            }
        }
    }
}
