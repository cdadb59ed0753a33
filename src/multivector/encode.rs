//! Token vectors to columns of codes.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::codebook::{Codebook, length};
use super::quantize;
use crate::error::Result;
use crate::pool::{self, Interrupt};

/// Columns of tokens in memory, and what was measured on the way.
#[derive(Debug, Default)]
pub struct Encoded {
    pub columns: Vec<Vec<u8>>,
    pub errors: Errors,
    /// For each level, the length of the longest decoded residual before it is scaled.
    pub longest: Vec<f32>,
}

/// How far decoded tokens are from what they were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Errors {
    pub tokens: u64,
    /// Sum over tokens of the squared distance, divided by the squared length.
    pub squared: f64,
}

impl Errors {
    pub fn mean(self) -> f64 {
        self.squared / self.tokens.max(1) as f64
    }

    fn add(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.squared += other.squared;
    }
}

/// Tokens that are encoded together.
const CHUNK: usize = 1024;

/// Chunks whose codes wait to be joined.
const WAITING: usize = 64;

/// Encodes vectors that lie one after the other.
pub fn encode(codebook: &Codebook, vectors: &[f16], interrupt: &Interrupt) -> Result<Encoded> {
    let chunk = CHUNK * codebook.codec.dim;
    let mut encoded = Encoded::new(codebook);
    for (column, width) in encoded.columns.iter_mut().zip(codebook.widths()) {
        column.reserve_exact(vectors.len() / codebook.codec.dim * width);
    }
    let steps = vectors.chunks(WAITING * chunk);
    let count = steps.len();
    for (number, vectors) in steps.enumerate() {
        interrupt.tell("coding token vectors", number, count)?;
        let parts = vectors
            .par_chunks(chunk)
            .map(|vectors| encode_chunk(codebook, vectors));
        let parts: Vec<Encoded> = pool::run(0, || parts.collect())?;
        parts.into_iter().for_each(|part| encoded.append(part));
    }
    Ok(encoded)
}

fn encode_chunk(codebook: &Codebook, vectors: &[f16]) -> Encoded {
    let mut values = vec![0.0; vectors.len()];
    vectors.convert_to_f32_slice(&mut values);
    let mut encoder = Encoder::new(codebook);
    encoder.encode_rotated(&codebook.rotation.apply(&values));
    let mut encoded = encoder.encoded;
    if codebook.codec.halves {
        encoded.columns.push(bytemuck::cast_slice(vectors).to_vec());
    }
    encoded
}

impl Encoded {
    /// No tokens yet.
    pub fn new(codebook: &Codebook) -> Self {
        Self {
            columns: codebook.widths().iter().map(|_| vec![]).collect(),
            longest: vec![0.0; codebook.levels.len()],
            ..Self::default()
        }
    }

    pub fn append(&mut self, more: Self) {
        for (column, more) in self.columns.iter_mut().zip(more.columns) {
            column.extend_from_slice(&more);
        }
        self.errors.add(more.errors);
        let longest = self.longest.iter_mut().zip(more.longest);
        longest.for_each(|(longest, more)| *longest = longest.max(more));
    }
}

/// Encodes a few tokens, level by level.
pub struct Encoder<'a> {
    codebook: &'a Codebook,
    encoded: Encoded,
    /// What is left of each token.
    residuals: Vec<f32>,
}

impl<'a> Encoder<'a> {
    pub fn new(codebook: &'a Codebook) -> Self {
        Self {
            codebook,
            encoded: Encoded::default(),
            residuals: vec![],
        }
    }

    pub fn into_residuals(self) -> Vec<f32> {
        self.residuals
    }

    /// All columns but halves, of vectors that are rotated already.
    pub fn encode_rotated(&mut self, vectors: &[f32]) {
        let dim = self.codebook.codec.dim;
        let centroids = &self.codebook.centroids;
        let nearest = centroids.nearest(vectors);
        let width = self.codebook.widths()[0];
        let numbers = nearest
            .iter()
            .flat_map(|number| number.to_le_bytes().into_iter().take(width));
        self.encoded.columns.push(numbers.collect());
        self.residuals = vectors.to_vec();
        for (residual, centroid) in self.residuals.chunks_exact_mut(dim).zip(&nearest) {
            let values = residual.iter_mut().zip(centroids.values(*centroid));
            values.for_each(|(left, value)| *left -= value);
        }
        let mut units = vec![1.0; nearest.len()];
        for level in 0..self.codebook.levels.len() {
            units = self.encode_level(level, vectors);
        }
        self.measure(vectors, &units);
    }

    /// Returns what the decoded tokens are scaled by.
    fn encode_level(&mut self, level: usize, vectors: &[f32]) -> Vec<f32> {
        let dim = self.codebook.codec.dim;
        let level = &self.codebook.levels[level];
        let tokens = self.residuals.len() / dim;
        let mut lengths = Vec::with_capacity(tokens);
        let mut scaled = self.residuals.clone();
        for residual in scaled.chunks_exact_mut(dim) {
            let length = level.lengths.nearest(length(residual));
            let factor = level.lengths.get(length);
            if factor > 0.0 {
                residual.iter_mut().for_each(|value| *value /= factor);
            }
            lengths.push(length);
        }
        let mut codes = vec![0; tokens * level.residual.width()];
        level.residual.encode(&scaled, &mut codes);
        let mut decoded = vec![0; tokens * dim];
        level.residual.decode(&codes, &mut decoded);
        let (mut units, mut unit_bytes) = (vec![], vec![]);
        let mut longest = 0.0_f32;
        let each = self
            .residuals
            .chunks_exact_mut(dim)
            .zip(decoded.chunks_exact(dim));
        for (((left, decoded), vector), byte) in each.zip(vectors.chunks_exact(dim)).zip(&lengths) {
            let step = level.lengths.get(*byte) * level.residual.step();
            let square: f32 = decoded
                .iter()
                .map(|byte| quantize::level(*byte).powi(2))
                .sum();
            longest = longest.max(square.sqrt() * level.residual.step());
            let mut square = 0.0;
            for ((left, byte), value) in left.iter_mut().zip(decoded).zip(vector) {
                *left -= quantize::level(*byte) * step;
                square += (value - *left).powi(2);
            }
            let byte = self.codebook.units.nearest(length(vector) / square.sqrt());
            units.push(self.codebook.units.get(byte));
            unit_bytes.push(byte);
        }
        self.encoded.columns.extend([lengths, unit_bytes, codes]);
        self.encoded.longest.push(longest);
        units
    }

    fn measure(&mut self, vectors: &[f32], units: &[f32]) {
        let dim = self.codebook.codec.dim;
        let tokens = vectors
            .chunks_exact(dim)
            .zip(self.residuals.chunks_exact(dim))
            .zip(units);
        for ((vector, left), unit) in tokens {
            let error =
                |(value, left): (&f32, &f32)| f64::from(value - (value - left) * unit).powi(2);
            let squared: f64 = vector.iter().zip(left).map(error).sum();
            let length = f64::from(length(vector)).powi(2);
            self.encoded.errors.tokens += 1;
            self.encoded.errors.squared += if length > 0.0 { squared / length } else { 0.0 };
        }
    }
}
