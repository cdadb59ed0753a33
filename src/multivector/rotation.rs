//! A random rotation of token vectors. It spreads variance evenly over the values, so that one table of
//! levels, or one size of codebook, fits all of them; products between vectors stay what they are.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::kernels::tokens::{self, FloatRows};

pub struct Rotation {
    dim: usize,
    /// Row by row.
    matrix: Vec<f32>,
    rows: FloatRows,
    inverse: FloatRows,
}

impl Rotation {
    /// The rows are an orthonormal basis.
    pub fn from_matrix(matrix: Vec<f32>, dim: usize) -> Self {
        let transposed: Vec<f32> = (0..dim * dim)
            .map(|at| matrix[at % dim * dim + at / dim])
            .collect();
        Self {
            rows: FloatRows::new(&matrix, dim),
            inverse: FloatRows::new(&transposed, dim),
            dim,
            matrix,
        }
    }

    /// Random vectors, each made orthogonal to those before it (Gram and Schmidt), twice for precision.
    pub fn random(dim: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut basis: Vec<Vec<f64>> = Vec::with_capacity(dim);
        while basis.len() < dim {
            let mut row: Vec<f64> = (0..dim).map(|_| random.random::<f64>() - 0.5).collect();
            for _ in 0..2 {
                for other in &basis {
                    let along = dot(&row, other);
                    row.iter_mut().zip(other).for_each(|(r, o)| *r -= along * o);
                }
            }
            let length = dot(&row, &row).sqrt();
            if length > 1e-3 {
                basis.push(row.iter().map(|value| value / length).collect());
            }
        }
        let matrix = basis.iter().flatten().map(|value| *value as f32);
        Self::from_matrix(matrix.collect(), dim)
    }

    pub fn identity(dim: usize) -> Self {
        let matrix = (0..dim * dim).map(|at| f32::from(u8::from(at % dim == at / dim)));
        Self::from_matrix(matrix.collect(), dim)
    }

    pub fn matrix(&self) -> &[f32] {
        &self.matrix
    }

    /// Rotates vectors one after the other.
    pub fn apply(&self, vectors: &[f32]) -> Vec<f32> {
        self.multiply(&self.rows, vectors)
    }

    /// Rotates vectors back.
    pub fn undo(&self, vectors: &[f32]) -> Vec<f32> {
        self.multiply(&self.inverse, vectors)
    }

    fn multiply(&self, rows: &FloatRows, vectors: &[f32]) -> Vec<f32> {
        let (dim, lanes) = (self.dim, rows.lanes());
        let mut products = vec![0.0; vectors.len() / dim * lanes];
        tokens::float_products(rows, vectors, &mut products);
        if lanes != dim {
            let values = products.chunks_exact(lanes).flat_map(|row| &row[..dim]);
            return values.copied().collect();
        }
        products
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_keeps_products_and_can_be_undone() {
        for dim in [8, 24, 128] {
            let rotation = Rotation::random(dim, 7);
            let vectors: Vec<f32> = (0..3 * dim).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
            let rotated = rotation.apply(&vectors);
            let product =
                |v: &[f32]| -> f32 { v[..dim].iter().zip(&v[dim..]).map(|(a, b)| a * b).sum() };
            let (before, after) = (product(&vectors), product(&rotated));
            assert!(
                (before - after).abs() < before.abs() * 1e-4 + 1.0,
                "{before} {after}"
            );
            for (value, back) in vectors.iter().zip(rotation.undo(&rotated)) {
                assert!((value - back).abs() < 1e-3);
            }
        }
    }
}
