//! Learned weights (Jääsaari et al., LEMUR, 2026, with random features): MaxSim with a document is close to
//! linear in features of a token, `relu(W x)`. The document's weights are those of least squared error
//! over a sample of tokens, `w = (ZᵀZ + λ)⁻¹ Zᵀ (y - ȳ)`, where `y` holds the largest product of each
//! sampled token with the document and `ȳ` its mean over documents, the same for all. With
//! `ZᵀZ + λ = L Lᵀ`, the product of a query's features with `w` is that of `L⁻¹ Σ relu(W q)` and
//! `L⁻¹ Zᵀ (y - ȳ)`; both are projected to the directions in which documents vary most, and rotated so that
//! all values have about one size.

use std::sync::OnceLock;

use half::f16;
use half::slice::HalfFloatSliceExt;
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::linear::{Matrix, cholesky, orthonormal, principal};
use super::random::normal;
use crate::error::Result;
use crate::kernels::tokens::{self, FloatRows};
use crate::pool::Interrupt;

pub struct Lemur {
    /// Random rows, `features` of them.
    features: Matrix,
    feature_rows: FloatRows,
    /// The sampled tokens.
    sample: Vec<f16>,
    /// From features to sketches.
    inward: Matrix,
    inward_rows: FloatRows,
    /// The mean over documents of the largest product with each sampled token.
    targets: Vec<f32>,
    /// Made when the first document is sketched: queries do without.
    chunks: OnceLock<Vec<Chunk>>,
}

/// Some of the sampled tokens, and what the products with them add to a sketch.
struct Chunk {
    tokens: FloatRows,
    weights: FloatRows,
}

/// What is stored.
pub struct Parts<'a> {
    pub features: &'a [f32],
    pub sample: &'a [f16],
    pub inward: &'a [f32],
    pub targets: &'a [f32],
}

/// Sampled tokens of a chunk.
const CHUNK: usize = 128;
/// Tokens multiplied together.
const TOGETHER: usize = 32;
/// Documents whose products with the sample are learned from.
pub const DOCUMENTS: usize = 1024;
/// Tokens in the sample.
pub const SAMPLE: usize = 8192;
/// λ, by the mean of the diagonal of ZᵀZ.
const RIDGE: f64 = 0.0025;
const FEATURES: u64 = 1;
const TOKENS: u64 = 2;
const ROTATION: u64 = 3;

impl Lemur {
    /// Learns from documents, rows of token vectors of which at least one is not empty.
    pub fn train(
        dim: usize,
        features: usize,
        dimensions: usize,
        documents: &[&[f16]],
        seed: u64,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let stream = |number| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(number);
            random
        };
        let rows = normal(features * dim, &mut stream(FEATURES));
        let features = Matrix::new(rows, dim);
        let sample = choose_tokens(documents, dim, &mut stream(TOKENS));
        let feature_rows = features.as_rows();
        let z = feature_matrix(&feature_rows, &widened(&sample));
        interrupt.check()?;
        let mut gram = z.gram();
        gram.raise_diagonal(RIDGE);
        let lower = cholesky(gram);
        interrupt.check()?;

        // Targets of the documents: `[document][sampled token]`.
        let chunks = token_chunks(&sample, dim);
        let targets = documents.par_iter().map(|document| {
            interrupt.check()?;
            let vectors = widened(document);
            let mut target = vec![0.0; sample.len() / dim];
            for (chunk, target) in chunks.iter().zip(target.chunks_mut(CHUNK)) {
                largest(chunk, &vectors, target);
            }
            Ok(target)
        });
        let targets: Vec<Vec<f32>> = targets.collect::<Result<_>>()?;
        let targets = Matrix::new(targets.concat(), sample.len() / dim);
        let mean = targets.mean_row();
        let centred = targets.minus_row(&mean);
        interrupt.check()?;

        // Fitted values in an orthonormal basis of the features, their principal directions, and back.
        let fitted = lower.solve_rows(&centred.times(&z));
        let directions = principal(&fitted, dimensions, &mut stream(ROTATION));
        let rotation = orthonormal(dimensions, dimensions, &mut stream(ROTATION + 1));
        let inward = lower.solve_rows_transposed(&rotation.times(&directions));
        interrupt.check()?;
        Ok(Self::new(features, sample, inward, mean))
    }

    pub fn new(features: Matrix, sample: Vec<f16>, inward: Matrix, targets: Vec<f32>) -> Self {
        Self {
            chunks: OnceLock::new(),
            inward_rows: inward.as_rows(),
            feature_rows: features.as_rows(),
            features,
            sample,
            inward,
            targets,
        }
    }

    pub fn dimensions(&self) -> usize {
        self.inward.rows()
    }

    fn chunks(&self) -> &[Chunk] {
        self.chunks.get_or_init(|| {
            let features = feature_matrix(&self.feature_rows, &widened(&self.sample));
            let weights = self.inward.times_transposed(&features);
            let chunks = token_chunks(&self.sample, self.feature_rows.dim());
            let chunk = |(number, tokens): (usize, FloatRows)| Chunk {
                weights: weights.columns(number * CHUNK, CHUNK).as_rows(),
                tokens,
            };
            chunks.into_iter().enumerate().map(chunk).collect()
        })
    }

    pub fn parts(&self) -> Parts<'_> {
        Parts {
            features: self.features.values(),
            sample: &self.sample,
            inward: self.inward.values(),
            targets: &self.targets,
        }
    }

    pub fn query(&self, vectors: &[f32]) -> Vec<f32> {
        let features = feature_matrix(&self.feature_rows, vectors);
        let total = features.sum_row();
        let mut sketch = vec![0.0; self.inward_rows.lanes()];
        tokens::float_products(&self.inward_rows, &total, &mut sketch);
        sketch.truncate(self.dimensions());
        sketch
    }

    /// Writes the sketches of documents, one after the other, anything for one without vectors; returns
    /// for each the share of its products that the features do not explain.
    pub fn documents(&self, documents: &[&[f16]], sketches: &mut [f32]) -> Vec<f64> {
        let dimensions = self.dimensions();
        let vectors: Vec<Vec<f32>> = documents.iter().map(|vectors| widened(vectors)).collect();
        sketches.fill(0.0);
        let mut squares = vec![0.0; documents.len()];
        let mut products = vec![];
        for (chunk, mean) in self.chunks().iter().zip(self.targets.chunks(CHUNK)) {
            let mut targets = vec![0.0; documents.len() * mean.len()];
            let each = targets.chunks_exact_mut(mean.len()).zip(&mut squares);
            for (vectors, (target, square)) in vectors.iter().zip(each) {
                largest(&chunk.tokens, vectors, target);
                for (value, mean) in target.iter_mut().zip(mean) {
                    *value -= mean;
                    *square += f64::from(*value).powi(2);
                }
            }
            let lanes = chunk.weights.lanes();
            products.resize(documents.len() * lanes, 0.0);
            tokens::float_products(&chunk.weights, &targets, &mut products);
            let each = products.chunks_exact(lanes);
            for (sketch, products) in sketches.chunks_exact_mut(dimensions).zip(each) {
                let values = sketch.iter_mut().zip(products);
                values.for_each(|(value, product)| *value += product);
            }
        }
        let sketches = sketches.chunks_exact(dimensions);
        let unexplained = squares.iter().zip(sketches).map(|(square, sketch)| {
            let explained: f64 = sketch.iter().map(|value| f64::from(*value).powi(2)).sum();
            if *square > 0.0 {
                (1.0 - explained / square).max(0.0)
            } else {
                0.0
            }
        });
        unexplained.collect()
    }
}

fn widened(halves: &[f16]) -> Vec<f32> {
    let mut floats = vec![0.0; halves.len()];
    halves.convert_to_f32_slice(&mut floats);
    floats
}

/// Tokens of documents, all or as many as the sample has.
fn choose_tokens(documents: &[&[f16]], dim: usize, random: &mut ChaCha8Rng) -> Vec<f16> {
    let all: usize = documents.iter().map(|document| document.len() / dim).sum();
    let mut chosen = index::sample(random, all, SAMPLE.min(all)).into_vec();
    chosen.sort_unstable();
    let mut vectors = documents
        .iter()
        .flat_map(|document| document.chunks_exact(dim));
    let mut sample = Vec::with_capacity(chosen.len() * dim);
    let mut next = 0;
    for number in chosen {
        if let Some(vector) = vectors.nth(number - next) {
            sample.extend_from_slice(vector);
        }
        next = number + 1;
    }
    sample
}

fn token_chunks(sample: &[f16], dim: usize) -> Vec<FloatRows> {
    let chunks = sample.chunks(CHUNK * dim);
    chunks
        .map(|chunk| FloatRows::new(&widened(chunk), dim))
        .collect()
}

/// `relu(W x)` of each vector.
fn feature_matrix(rows: &FloatRows, vectors: &[f32]) -> Matrix {
    let mut features = vec![0.0; vectors.len() / rows.dim() * rows.lanes()];
    tokens::float_products(rows, vectors, &mut features);
    features
        .iter_mut()
        .for_each(|value| *value = value.max(0.0));
    Matrix::new(features, rows.lanes())
}

/// The largest product of each row with a vector; 0 where there are none.
fn largest(rows: &FloatRows, vectors: &[f32], largest: &mut [f32]) {
    if vectors.is_empty() {
        return;
    }
    let lanes = rows.lanes();
    let mut best = [f32::NEG_INFINITY; CHUNK];
    let mut products = [0.0; TOGETHER * CHUNK];
    for some in vectors.chunks(TOGETHER * rows.dim()) {
        let products = &mut products[..some.len() / rows.dim() * lanes];
        tokens::float_products(rows, some, products);
        tokens::raise_floats(&mut best[..lanes], products);
    }
    let count = largest.len();
    largest.copy_from_slice(&best[..count]);
}
