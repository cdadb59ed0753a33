//! Centroids, in 7-bit values with a step for each, and the nearest of them to each of many vectors.

use rand::{RngExt, SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::quantize;
use super::sample::Sample;
use crate::error::Result;
use crate::kernels::tokens::{self, ByteRows, LANES};
use crate::pool::Interrupt;

#[derive(Clone)]
pub struct Centroids {
    dim: usize,
    /// Row by row, as tokens have them.
    pub bytes: Vec<u8>,
    pub steps: Vec<f32>,
    /// Half the squared length of each.
    halves: Vec<f32>,
}

/// Vectors that are assigned together: two tiles.
const TOGETHER: usize = 2 * LANES;
/// Centroids whose products with them stay in the first-level cache.
const BLOCK: usize = 64;

impl Centroids {
    pub fn new(dim: usize, bytes: Vec<u8>, steps: Vec<f32>) -> Self {
        let square = |(row, step): (&[u8], &f32)| {
            let sum: f32 = row.iter().map(|byte| quantize::level(*byte).powi(2)).sum();
            sum * step * step / 2.0
        };
        let halves = bytes.chunks_exact(dim).zip(&steps).map(square).collect();
        Self {
            dim,
            bytes,
            steps,
            halves,
        }
    }

    fn of_floats(dim: usize, floats: &[f32]) -> Self {
        let mut bytes = Vec::with_capacity(floats.len());
        let mut steps = Vec::with_capacity(floats.len() / dim);
        for row in floats.chunks_exact(dim) {
            let step = quantize::token_step(row);
            quantize::push_token(row, step, &mut bytes);
            steps.push(step);
        }
        Self::new(dim, bytes, steps)
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Values of a centroid.
    pub fn values(&self, centroid: u32) -> impl Iterator<Item = f32> + '_ {
        let centroid = centroid as usize;
        let row = &self.bytes[centroid * self.dim..(centroid + 1) * self.dim];
        let step = self.steps[centroid];
        row.iter().map(move |byte| quantize::level(*byte) * step)
    }

    /// The nearest centroid of each vector, by the product of both rounded to bytes.
    pub fn nearest(&self, vectors: &[f32]) -> Vec<u32> {
        let mut rows = ByteRows::default();
        let mut bytes = vec![];
        let mut found = Vec::with_capacity(vectors.len() / self.dim);
        for vectors in vectors.chunks(TOGETHER * self.dim) {
            bytes.clear();
            let steps: Vec<f32> = vectors
                .chunks_exact(self.dim)
                .map(|vector| quantize::push_row(vector, &mut bytes))
                .collect();
            rows.fill(&bytes, self.dim);
            let mut units = vec![1.0; rows.lanes()];
            let positive = units
                .iter_mut()
                .zip(&steps)
                .filter(|(_, step)| **step > 0.0);
            positive.for_each(|(unit, step)| *unit = step.recip());
            let which = self.nearest_to(&rows, &units);
            found.extend_from_slice(&which[..steps.len()]);
        }
        found
    }

    fn nearest_to(&self, rows: &ByteRows, units: &[f32]) -> Vec<u32> {
        let lanes = rows.lanes();
        let (mut best, mut which) = (vec![f32::MIN; lanes], vec![0; lanes]);
        let mut products = vec![0; BLOCK * lanes];
        let blocks = self
            .bytes
            .chunks(BLOCK * self.dim)
            .zip(self.steps.chunks(BLOCK));
        for (number, ((bytes, steps), halves)) in blocks.zip(self.halves.chunks(BLOCK)).enumerate()
        {
            let products = &mut products[..steps.len() * lanes];
            tokens::products(rows, bytes, products);
            let first = (number * BLOCK) as u32;
            tokens::note_best(&mut best, &mut which, products, first, steps, halves, units);
        }
        which
    }

    /// Lloyd's k-means, the same for a seed on any number of threads. A centroid that no vector is
    /// nearest to becomes a random vector.
    pub fn train(
        sample: &Sample<'_>,
        count: usize,
        iterations: usize,
        seed: u64,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let dim = sample.dim();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let first = index::sample(&mut random, sample.len(), count);
        let first: Vec<f32> = first
            .iter()
            .flat_map(|number| sample.vector(number))
            .collect();
        let mut centroids = Self::of_floats(dim, &sample.rotation().apply(&first));
        for iteration in 0..iterations {
            interrupt.tell("learning centroids", iteration, iterations)?;
            let members = Members::of(&centroids.assign(sample, interrupt)?, count);
            let spare: Vec<usize> = (0..count)
                .map(|_| random.random_range(0..sample.len()))
                .collect();
            let means = (0..count).into_par_iter().flat_map_iter(|centroid| {
                match members.of_centroid(centroid) {
                    [] => sample.vector(spare[centroid]),
                    members => sample.mean(members),
                }
            });
            let means: Vec<f32> = means.collect();
            centroids = Self::of_floats(dim, &sample.rotation().apply(&means));
        }
        Ok(centroids)
    }

    fn assign(&self, sample: &Sample<'_>, interrupt: &Interrupt) -> Result<Vec<u32>> {
        let chunks: Vec<_> = (0..sample.len().div_ceil(Sample::CHUNK)).collect();
        let assigned = chunks.into_par_iter().map(|chunk| {
            interrupt.check()?;
            Ok(self.nearest(&sample.rotated(chunk)))
        });
        let assigned: Vec<Vec<u32>> = assigned.collect::<Result<_>>()?;
        Ok(assigned.concat())
    }
}

/// Vectors by the centroid that is nearest to them.
struct Members {
    starts: Vec<usize>,
    vectors: Vec<u32>,
}

impl Members {
    fn of(assigned: &[u32], count: usize) -> Self {
        let mut starts = vec![0; count + 1];
        assigned
            .iter()
            .for_each(|centroid| starts[*centroid as usize + 1] += 1);
        for centroid in 0..count {
            starts[centroid + 1] += starts[centroid];
        }
        let mut next = starts.clone();
        let mut vectors = vec![0; assigned.len()];
        for (vector, centroid) in (0..).zip(assigned) {
            let at = &mut next[*centroid as usize];
            vectors[*at] = vector;
            *at += 1;
        }
        Self { starts, vectors }
    }

    fn of_centroid(&self, centroid: usize) -> &[u32] {
        &self.vectors[self.starts[centroid]..self.starts[centroid + 1]]
    }
}
