//! MaxSim of vectors as they are: a query against every document, in 32-bit floats.

use rayon::prelude::*;

use super::query::add_up;
use crate::error::{Error, Result};
use crate::kernels::tokens::{self, FloatRows, Vectors};
use crate::pool;

/// Tokens that are multiplied together.
const TOGETHER: usize = 32;
/// Documents that a thread takes at a time.
const DOCUMENTS: usize = 64;

/// The score of each document: the sum over rows of the query of the largest product with a vector of
/// the document, minus infinity for a document without vectors. 16-bit values must be finite, others are
/// for the caller to check. Document `i` has the vectors from
/// `offsets[i]` to `offsets[i + 1]`.
pub fn maxsim(
    query: &[f32],
    dim: usize,
    vectors: Vectors<'_>,
    offsets: &[i64],
    threads: usize,
) -> Result<Vec<f32>> {
    let rows = FloatRows::new(query, dim);
    let count = query.len() / dim;
    let mut scores = vec![0.0; offsets.len().saturating_sub(1)];
    let score = |(chunk, scores): (usize, &mut [f32])| {
        let mut scorer = Scorer::new(&rows, count);
        for (number, score) in scores.iter_mut().enumerate() {
            let document = chunk * DOCUMENTS + number;
            *score = scorer.score(
                vectors,
                offsets[document] as usize..offsets[document + 1] as usize,
            );
        }
        scorer.finite
    };
    let finite = match threads {
        1 => scores
            .chunks_mut(DOCUMENTS)
            .enumerate()
            .map(score)
            .fold(true, |all, some| all & some),
        threads => pool::run(threads, || {
            let chunks = scores.par_chunks_mut(DOCUMENTS).enumerate();
            chunks.map(score).reduce(|| true, |all, some| all & some)
        })?,
    };
    match finite {
        true => Ok(scores),
        false => Err(Error::InvalidInput(
            "documents hold a value that is not a finite number of 16 bits".into(),
        )),
    }
}

struct Scorer<'a> {
    rows: &'a FloatRows,
    count: usize,
    best: Vec<f32>,
    products: Vec<f32>,
    values: Vec<f32>,
    /// Whether all 16-bit values so far are.
    finite: bool,
}

impl<'a> Scorer<'a> {
    fn new(rows: &'a FloatRows, count: usize) -> Self {
        Self {
            best: vec![0.0; rows.lanes()],
            products: vec![0.0; TOGETHER * rows.lanes()],
            values: vec![0.0; TOGETHER * rows.dim()],
            finite: true,
            rows,
            count,
        }
    }

    fn score(&mut self, vectors: Vectors<'_>, tokens: std::ops::Range<usize>) -> f32 {
        if tokens.is_empty() {
            return f32::NEG_INFINITY;
        }
        if self.count == 0 {
            return 0.0;
        }
        let dim = self.rows.dim();
        self.best.fill(f32::NEG_INFINITY);
        for start in tokens.clone().step_by(TOGETHER) {
            let some = start * dim..tokens.end.min(start + TOGETHER) * dim;
            let products = &mut self.products[..some.len() / dim * self.rows.lanes()];
            let values = match vectors {
                Vectors::Single(all) => &all[some],
                Vectors::Half(all) => {
                    let values = &mut self.values[..some.len()];
                    tokens::check_finite(&all[some.clone()], &mut self.finite);
                    tokens::widen(&all[some], values);
                    values
                }
            };
            tokens::float_products(self.rows, values, products);
            tokens::raise_floats(&mut self.best, products);
        }
        add_up(self.best[..self.count].iter().map(|best| f64::from(*best)))
    }
}
