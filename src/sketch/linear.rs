//! The little linear algebra that learning needs, on row-major matrices. Sums are taken in one order, so
//! that results do not depend on the number of threads.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::random::normal;
use crate::kernels::tokens::{self, FloatRows};

#[derive(Clone)]
pub struct Matrix {
    values: Vec<f32>,
    columns: usize,
}

/// Values of a sum that are added in one go.
const STEP: usize = 256;
/// Rows of a matrix that a thread takes at a time.
const ROWS: usize = 64;
/// Rounds of the iteration for principal directions.
const ROUNDS: usize = 8;

impl Matrix {
    pub fn new(values: Vec<f32>, columns: usize) -> Self {
        Self { values, columns }
    }

    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    pub fn values(&self) -> &[f32] {
        &self.values
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub fn as_rows(&self) -> FloatRows {
        FloatRows::new(&self.values, self.columns)
    }

    /// Some of the columns, as far as there are.
    pub fn columns(&self, first: usize, count: usize) -> Self {
        let range = first..self.columns.min(first + count);
        self.column_range(range)
    }

    fn column_range(&self, range: Range<usize>) -> Self {
        let rows = self.values.chunks_exact(self.columns);
        Self {
            columns: range.len(),
            values: rows.flat_map(|row| &row[range.clone()]).copied().collect(),
        }
    }

    fn transposed(&self) -> Self {
        let (rows, columns) = (self.rows(), self.columns);
        let value = |at: usize| self.values[at % rows * columns + at / rows];
        Self {
            values: (0..rows * columns).map(value).collect(),
            columns: rows,
        }
    }

    pub fn mean_row(&self) -> Vec<f32> {
        let count = self.rows() as f32;
        self.sum_row().iter().map(|sum| sum / count).collect()
    }

    pub fn sum_row(&self) -> Vec<f32> {
        let mut sums = vec![0.0; self.columns];
        for row in self.values.chunks_exact(self.columns) {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        sums
    }

    pub fn minus_row(mut self, row: &[f32]) -> Self {
        for values in self.values.chunks_exact_mut(self.columns) {
            values
                .iter_mut()
                .zip(row)
                .for_each(|(value, less)| *value -= less);
        }
        self
    }

    /// `self otherᵀ`.
    pub fn times_transposed(&self, other: &Self) -> Self {
        let columns = other.rows();
        let mut values = vec![0.0; self.rows() * columns];
        for first in (0..self.columns).step_by(STEP) {
            let rows = other.columns(first, STEP).as_rows();
            let own = self.columns(first, STEP);
            let chunks = values.par_chunks_mut(ROWS * columns);
            chunks.enumerate().for_each(|(number, sums)| {
                let from = number * ROWS * own.columns;
                let own = &own.values[from..][..sums.len() / columns * own.columns];
                let mut products = vec![0.0; sums.len() / columns * rows.lanes()];
                tokens::float_products(&rows, own, &mut products);
                let products = products.chunks_exact(rows.lanes());
                for (sums, products) in sums.chunks_exact_mut(columns).zip(products) {
                    sums.iter_mut()
                        .zip(products)
                        .for_each(|(sum, product)| *sum += product);
                }
            });
        }
        Self { values, columns }
    }

    /// `self other`.
    pub fn times(&self, other: &Self) -> Self {
        self.times_transposed(&other.transposed())
    }

    /// `selfᵀ self`.
    pub fn gram(&self) -> Square {
        let transposed = self.transposed();
        let product = transposed.times_transposed(&transposed);
        Square {
            size: product.columns,
            values: product.values.into_iter().map(f64::from).collect(),
        }
    }
}

/// A square matrix of double precision, row by row.
pub struct Square {
    values: Vec<f64>,
    size: usize,
}

impl Square {
    /// Adds so many times its mean to the diagonal.
    pub fn raise_diagonal(&mut self, times: f64) {
        let diagonal = |at| self.row(at)[at];
        let mean = (0..self.size).map(diagonal).sum::<f64>() / self.size.max(1) as f64;
        for at in 0..self.size {
            *self.at(at, at) += times * mean;
        }
    }

    fn at(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.values[row * self.size + column]
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.size..(row + 1) * self.size]
    }
}

/// The lower triangle of Cholesky's decomposition.
pub struct Lower(Square);

/// `matrix` is positive definite.
pub fn cholesky(mut matrix: Square) -> Lower {
    let size = matrix.size;
    for column in 0..size {
        let done = matrix.row(column)[..column].to_vec();
        let square: f64 = done.iter().map(|value| value * value).sum();
        let diagonal = (matrix.row(column)[column] - square)
            .max(f64::MIN_POSITIVE)
            .sqrt();
        *matrix.at(column, column) = diagonal;
        let below = matrix.values[(column + 1) * size..].par_chunks_exact_mut(size);
        below.for_each(|row| {
            row[column] = (row[column] - dot(&row[..column], &done)) / diagonal;
        });
    }
    Lower(matrix)
}

impl Lower {
    /// Each row `b` becomes `L⁻¹ b`.
    pub fn solve_rows(&self, rows: &Matrix) -> Matrix {
        self.solve_each(rows, |values| {
            for at in 0..values.len() {
                let row = self.0.row(at);
                values[at] = (values[at] - dot(&row[..at], &values[..at])) / row[at];
            }
        })
    }

    /// Each row `b` becomes `L⁻ᵀ b`.
    pub fn solve_rows_transposed(&self, rows: &Matrix) -> Matrix {
        self.solve_each(rows, |values| {
            for at in (0..values.len()).rev() {
                let row = self.0.row(at);
                values[at] /= row[at];
                let solved = values[at];
                let before = values[..at].iter_mut().zip(row);
                before.for_each(|(value, below)| *value -= below * solved);
            }
        })
    }

    fn solve_each(&self, rows: &Matrix, solve: impl Fn(&mut [f64]) + Sync) -> Matrix {
        let solved = (0..rows.rows()).into_par_iter().flat_map_iter(|row| {
            let mut values: Vec<f64> = rows.row(row).iter().copied().map(f64::from).collect();
            solve(&mut values);
            values.into_iter().map(|value| value as f32)
        });
        Matrix::new(solved.collect(), rows.columns)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.0.iter().zip(b.0) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f64 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// `count` random orthonormal rows, by Gram and Schmidt, twice for precision.
pub fn orthonormal(count: usize, columns: usize, random: &mut ChaCha8Rng) -> Matrix {
    let mut matrix = Matrix::new(normal(count * columns, random), columns);
    orthonormalise(&mut matrix);
    matrix
}

/// Makes rows orthonormal, from the first on; one that depends on those before it becomes zeros.
fn orthonormalise(matrix: &mut Matrix) {
    let columns = matrix.columns;
    for row in 0..matrix.rows() {
        let (before, rest) = matrix.values.split_at_mut(row * columns);
        let own = &mut rest[..columns];
        let mut values: Vec<f64> = own.iter().copied().map(f64::from).collect();
        let start = dot(&values, &values);
        for _ in 0..2 {
            let along: Vec<f64> = before
                .par_chunks_exact(columns)
                .map(|other| mixed_dot(other, &values))
                .collect();
            for (other, along) in before.chunks_exact(columns).zip(along) {
                let values = values.iter_mut().zip(other);
                values.for_each(|(value, other)| *value -= along * f64::from(*other));
            }
        }
        let square = dot(&values, &values);
        let per_length = match square > start * 1e-12 {
            true => 1.0 / square.sqrt(),
            false => 0.0,
        };
        let scaled = own.iter_mut().zip(&values);
        scaled.for_each(|(value, new)| *value = (new * per_length) as f32);
    }
}

fn mixed_dot(a: &[f32], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum()
}

/// `count` orthonormal rows that span about the directions in which the rows of `matrix` are longest, by
/// orthogonal iteration; zeros where these have fewer.
pub fn principal(matrix: &Matrix, count: usize, random: &mut ChaCha8Rng) -> Matrix {
    let mut directions = orthonormal(count, matrix.columns, random);
    for _ in 0..ROUNDS {
        let products = directions.times_transposed(matrix);
        let mut next = products.times(matrix);
        orthonormalise(&mut next);
        directions = next;
    }
    directions
}
