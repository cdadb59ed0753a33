//! Scalar quantisation: each value of a residual is stored as the nearest of 2, 4, 8 or 16 levels, the
//! same for all values. Levels are those of least squared error (Lloyd 1957, Max 1960). Bytes:
//! storage/FORMAT.md, "Codes".

use super::quantize;
use super::residual::Residual;
use crate::kernels::tokens;

const ITERATIONS: usize = 40;
/// Values that levels are learned from.
const VALUES: usize = 1 << 20;

pub struct Scalar {
    dim: usize,
    bits: usize,
    /// Step, then the levels, ascending.
    floats: Vec<f32>,
    /// The levels as tokens have them, repeated to sixteen.
    bytes: Vec<u8>,
}

impl Scalar {
    pub fn train(sample: &[f32], dim: usize, bits: usize) -> Self {
        let mut values = sample[..sample.len().min(VALUES)].to_vec();
        values.sort_unstable_by(f32::total_cmp);
        let levels = lloyd_max(&values, 1 << bits);
        Self::of_levels(&levels, dim, bits)
    }

    /// `levels` ascend; there are as many as the bits can tell apart.
    pub fn of_levels(levels: &[f32], dim: usize, bits: usize) -> Self {
        let step = quantize::token_step(levels);
        let mut bytes = vec![];
        quantize::push_token(levels, step, &mut bytes);
        Self {
            dim,
            bits,
            floats: [&[step], levels].concat(),
            bytes: bytes.iter().copied().cycle().take(16).collect(),
        }
    }

    pub fn open(dim: usize, bits: usize, floats: &[f32], bytes: &[u8]) -> Option<Self> {
        let fits = floats.len() == 1 + (1 << bits) && bytes.len() == 16;
        fits.then(|| Self {
            dim,
            bits,
            floats: floats.to_vec(),
            bytes: bytes.to_vec(),
        })
    }

    /// The levels in the order of their numbers.
    fn levels(&self) -> &[f32] {
        &self.floats[1..]
    }
}

/// Levels that each are the mean of the values nearest to them. `sorted` values ascend.
fn lloyd_max(sorted: &[f32], count: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64];
    for value in sorted {
        sums.push(sums[sums.len() - 1] + f64::from(*value));
    }
    let quantile = |part: usize| {
        let at = (2 * part + 1) * sorted.len() / (2 * count);
        sorted.get(at).copied().unwrap_or(0.0)
    };
    let mut levels: Vec<f32> = (0..count).map(quantile).collect();
    for _ in 0..ITERATIONS {
        let borders = levels
            .windows(2)
            .map(|pair| f32::midpoint(pair[0], pair[1]));
        let mut ends: Vec<usize> = borders
            .map(|b| sorted.partition_point(|value| *value < b))
            .collect();
        ends.push(sorted.len());
        let mut start = 0;
        for (level, end) in levels.iter_mut().zip(ends) {
            if end > start {
                *level = ((sums[end] - sums[start]) / (end - start) as f64) as f32;
                start = end;
            }
        }
    }
    levels
}

impl Residual for Scalar {
    fn width(&self) -> usize {
        self.dim / 8 * self.bits
    }

    fn step(&self) -> f32 {
        self.floats[0]
    }

    fn encode(&self, residuals: &[f32], codes: &mut [u8]) {
        let borders: Vec<f32> = self
            .levels()
            .windows(2)
            .map(|pair| f32::midpoint(pair[0], pair[1]))
            .collect();
        let mut numbers = vec![0_u8; self.dim];
        let vectors = residuals.chunks_exact(self.dim);
        for (vector, code) in vectors.zip(codes.chunks_exact_mut(self.width())) {
            numbers.fill(0);
            for border in &borders {
                let above = numbers.iter_mut().zip(vector);
                above.for_each(|(number, value)| *number += u8::from(value > border));
            }
            pack(&numbers, self.bits, code);
        }
    }

    fn decode(&self, codes: &[u8], tokens: &mut [u8]) {
        if let Some(table) = self.bytes.first_chunk() {
            tokens::expand(codes, self.bits, table, tokens, self.dim);
        }
    }

    fn parts(&self) -> (&[f32], &[u8]) {
        (&self.floats, &self.bytes)
    }
}

/// Packs numbers of so many bits, as `kernels::tokens::expand` reads them.
pub fn pack(numbers: &[u8], bits: usize, code: &mut [u8]) {
    code.fill(0);
    let eighth = numbers.len() / 8;
    for (part, numbers) in numbers.chunks_exact(eighth).enumerate() {
        for place in tokens::places(part, bits) {
            let bytes = &mut code[place.eighth * eighth..(place.eighth + 1) * eighth];
            for (byte, number) in bytes.iter_mut().zip(numbers) {
                *byte |= place.byte(*number);
            }
        }
    }
}
