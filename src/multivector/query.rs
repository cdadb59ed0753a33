//! A query ready to be compared with tokens of one codebook: its rows in bytes, and their products with all
//! centroids.

use super::codebook::Codebook;
use super::quantize;
use crate::kernels::tokens::{self, ByteRows, FloatRows};

pub struct Query {
    /// Rows that are not all zeros.
    pub rows: usize,
    /// Rotated.
    pub bytes: ByteRows,
    /// For each row, what a byte of 1 stands for.
    pub steps: Vec<f32>,
    /// For each lane, at least the length of the bytes of its row.
    pub lengths: Vec<i32>,
    /// As they came, where vectors are stored as they came.
    pub floats: Option<FloatRows>,
    /// `[centroid][lane]`, in steps of the row.
    pub centroid_scores: Vec<f32>,
}

/// Centroids whose products are computed together.
const BLOCK: usize = 64;

impl Query {
    /// `vectors` are rows of finite values. Rows that are padding are left out.
    pub fn new(codebook: &Codebook, vectors: &[f32], mut centroid_scores: Vec<f32>) -> Self {
        let dim = codebook.codec.dim;
        let rows = vectors.chunks_exact(dim).filter(|row| !is_padding(row));
        let rows: Vec<f32> = rows.flatten().copied().collect();
        let mut bytes = vec![];
        let rotated = codebook.rotation.apply(&rows);
        let rotated = rotated.chunks_exact(dim);
        let steps: Vec<f32> = rotated
            .map(|row| quantize::push_row(row, &mut bytes))
            .collect();
        let square = |row: &[i8]| row.iter().map(|byte| i32::from(*byte).pow(2)).sum::<i32>();
        let mut lengths: Vec<i32> = bytes
            .chunks_exact(dim)
            .map(|row| f64::from(square(row)).sqrt().ceil() as i32)
            .collect();
        lengths.resize(tokens::padded(lengths.len()), 0);
        let bytes = ByteRows::new(&bytes, dim);
        score_centroids(codebook, &bytes, &mut centroid_scores);
        Self {
            rows: steps.len(),
            floats: codebook.codec.halves.then(|| FloatRows::new(&rows, dim)),
            bytes,
            steps,
            lengths,
            centroid_scores,
        }
    }

    pub fn lanes(&self) -> usize {
        self.bytes.lanes()
    }

    /// The products of a centroid with the rows.
    pub fn centroid(&self, number: usize) -> Option<&[f32]> {
        let lanes = self.lanes();
        self.centroid_scores
            .get(number * lanes..(number + 1) * lanes)
    }

    /// The score of a document from the best product of each row, in steps.
    pub fn total(&self, best: &[f32]) -> f32 {
        let products = best
            .iter()
            .zip(&self.steps)
            .map(|(best, step)| f64::from(best * step));
        add_up(products)
    }
}

/// Values up to here count as 0.
const TINY: f32 = 1e-30;

/// Whether a row is of zeros: its product with every token is 0.
pub fn is_padding(row: &[f32]) -> bool {
    row.iter().all(|value| value.abs() <= TINY)
}

/// A sum in the order of the terms; never minus 0, which would rank behind 0.
pub fn add_up(terms: impl Iterator<Item = f64>) -> f32 {
    terms.fold(0.0, |sum, term| sum + term) as f32
}

fn score_centroids(codebook: &Codebook, rows: &ByteRows, scores: &mut Vec<f32>) {
    let (dim, lanes) = (codebook.codec.dim, rows.lanes());
    let centroids = &codebook.centroids;
    scores.resize(centroids.len() * lanes, 0.0);
    if lanes == 0 {
        return;
    }
    let zeros = vec![0.0; lanes];
    let bases = [&zeros[..]; BLOCK];
    let mut products = vec![0; BLOCK * lanes];
    let blocks = centroids
        .bytes
        .chunks(BLOCK * dim)
        .zip(centroids.steps.chunks(BLOCK));
    for ((bytes, steps), scores) in blocks.zip(scores.chunks_mut(BLOCK * lanes)) {
        let products = &mut products[..scores.len()];
        tokens::products(rows, bytes, products);
        tokens::add_steps(scores, lanes, &bases, products, steps);
    }
}
