//! Rows of random orthogonal bases: one basis after the other, each the Hadamard matrix after a random
//! change of signs. Products with all rows of a basis take `d log d` additions. Rows of one basis add no
//! error of projection where all of them are used, which independent rows do.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::kernels::sketch;

#[derive(Clone)]
pub struct Bases {
    dim: usize,
    /// Values of a vector with zeros behind it: a power of two, at least eight.
    padded: usize,
    /// 1 or -1 for each value of each basis, times the length that rows are scaled by.
    factors: Vec<f32>,
}

/// The least that the transform takes.
const LEAST: usize = 8;

fn padded(dim: usize) -> usize {
    dim.next_power_of_two().max(LEAST)
}

impl Bases {
    pub fn random(dim: usize, rows: usize, scale: f32, random: &mut ChaCha8Rng) -> Self {
        let count = Self::count(dim, rows);
        let sign = |_| {
            if random.random::<bool>() {
                scale
            } else {
                -scale
            }
        };
        Self::from_factors(dim, (0..count).map(sign).collect())
    }

    pub fn from_factors(dim: usize, factors: Vec<f32>) -> Self {
        Self {
            dim,
            padded: padded(dim),
            factors,
        }
    }

    /// How many factors so many rows have.
    pub fn count(dim: usize, rows: usize) -> usize {
        rows.next_multiple_of(padded(dim))
    }

    pub fn factors(&self) -> &[f32] {
        &self.factors
    }

    /// Values that `multiply` leaves for each vector, those behind the last row of no use.
    pub fn width(&self) -> usize {
        self.factors.len()
    }

    /// Products of each vector with all rows, `width` values each.
    pub fn multiply(&self, vectors: &[f32], products: &mut Vec<f32>) {
        products.resize(vectors.len() / self.dim * self.width(), 0.0);
        let each = products.chunks_exact_mut(self.width().max(1));
        let each = each.zip(vectors.chunks_exact(self.dim));
        if self.dim == self.padded {
            return each
                .for_each(|(products, vector)| sketch::hadamard(vector, &self.factors, products));
        }
        let mut vector = vec![0.0; self.padded];
        for (products, given) in each {
            vector[..self.dim].copy_from_slice(given);
            sketch::hadamard(&vector, &self.factors, products);
        }
    }
}
