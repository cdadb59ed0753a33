//! The token vectors that a codebook learns from: some of those in memory, rotated as they are read.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;

use super::rotation::Rotation;

pub struct Sample<'a> {
    vectors: &'a [f16],
    /// Numbers of the vectors that were chosen, ascending.
    chosen: Vec<u32>,
    rotation: &'a Rotation,
    dim: usize,
}

impl<'a> Sample<'a> {
    /// Vectors that are rotated together.
    pub const CHUNK: usize = 1024;

    /// At most `most` of the vectors, which lie one after the other.
    pub fn new(
        vectors: &'a [f16],
        dim: usize,
        most: usize,
        rotation: &'a Rotation,
        seed: u64,
    ) -> Self {
        let count = vectors.len() / dim;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut chosen: Vec<u32> = match count <= most {
            true => (0..count as u32).collect(),
            false => index::sample(&mut random, count, most)
                .iter()
                .map(|n| n as u32)
                .collect(),
        };
        chosen.sort_unstable();
        Self {
            vectors,
            chosen,
            rotation,
            dim,
        }
    }

    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn rotation(&self) -> &Rotation {
        self.rotation
    }

    /// A vector as it came.
    pub fn vector(&self, number: usize) -> Vec<f32> {
        let mut values = vec![0.0; self.dim];
        self.halves(number).convert_to_f32_slice(&mut values);
        values
    }

    fn halves(&self, number: usize) -> &[f16] {
        let at = self.chosen[number] as usize * self.dim;
        &self.vectors[at..at + self.dim]
    }

    /// The mean of some vectors as they came.
    pub fn mean(&self, numbers: &[u32]) -> Vec<f32> {
        let mut sums = vec![0.0_f32; self.dim];
        let mut values = vec![0.0; self.dim];
        for number in numbers {
            self.halves(*number as usize)
                .convert_to_f32_slice(&mut values);
            sums.iter_mut()
                .zip(&values)
                .for_each(|(sum, value)| *sum += value);
        }
        sums.iter().map(|sum| sum / numbers.len() as f32).collect()
    }

    /// The vectors of a chunk, rotated.
    pub fn rotated(&self, chunk: usize) -> Vec<f32> {
        let numbers = chunk * Self::CHUNK..((chunk + 1) * Self::CHUNK).min(self.len());
        let mut values = vec![0.0; numbers.len() * self.dim];
        for (number, values) in numbers.zip(values.chunks_exact_mut(self.dim)) {
            self.halves(number).convert_to_f32_slice(values);
        }
        self.rotation.apply(&values)
    }
}
