//! Encodings of many sets of vectors at once, for use outside of an index: all processors, and no wider
//! numbers in memory than are asked for.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::fde::{Encoder, Fde, Side};
use crate::error::{Error, Result};
use crate::kernels::tokens::Vectors;
use crate::pool;

/// Sets of vectors of 16 or 32-bit floats; set `i` has those from `offsets[i]` to `offsets[i + 1]`.
#[derive(Clone, Copy)]
pub struct Sets<'a> {
    pub vectors: Vectors<'a>,
    pub offsets: &'a [i64],
}

/// A number that an encoding is written in.
pub trait Number: Copy + Default + Send {
    /// The numbers themselves, if encodings can be made in place.
    fn in_place(_numbers: &mut [Self]) -> Option<&mut [f32]> {
        None
    }

    /// Writes an encoding, and returns what its numbers are to be multiplied by.
    fn put(encoding: &[f32], numbers: &mut [Self]) -> f32;
}

impl Number for f32 {
    fn in_place(numbers: &mut [Self]) -> Option<&mut [f32]> {
        Some(numbers)
    }

    fn put(encoding: &[f32], numbers: &mut [Self]) -> f32 {
        numbers.copy_from_slice(encoding);
        1.0
    }
}

impl Number for f16 {
    fn put(encoding: &[f32], numbers: &mut [Self]) -> f32 {
        numbers.convert_from_f32_slice(encoding);
        for number in numbers.iter_mut().filter(|number| number.is_infinite()) {
            *number = f16::MAX.copysign(*number);
        }
        1.0
    }
}

const LARGEST: f32 = 127.0;

impl Number for i8 {
    fn put(encoding: &[f32], numbers: &mut [Self]) -> f32 {
        let largest = encoding
            .iter()
            .fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let step = (largest / LARGEST).max(f32::MIN_POSITIVE);
        let per_step = 1.0 / step;
        for (number, value) in numbers.iter_mut().zip(encoding) {
            *number = ((value * per_step + 128.5) as i16 - 128) as i8;
        }
        step
    }
}

/// Encodings one after the other, and what the numbers of each are to be multiplied by.
pub fn encode<N: Number>(
    fde: &Fde,
    sets: Sets<'_>,
    side: Side,
    threads: usize,
) -> Result<(Vec<N>, Vec<f32>)> {
    let count = sets.offsets.len().saturating_sub(1);
    let dimensions = fde.dimensions();
    sets.check(fde.shape().dim)?;
    let mut numbers: Vec<N> = vec![];
    let length = count.saturating_mul(dimensions);
    numbers.try_reserve_exact(length).map_err(|_| {
        let bytes = length.saturating_mul(size_of::<N>());
        Error::InvalidInput(format!(
            "encodings of {bytes} bytes do not fit in memory; encode fewer at a time"
        ))
    })?;
    numbers.resize(length, N::default());
    let mut scales = vec![0.0; count];
    let start = || {
        (
            Encoder::new(fde),
            vec![],
            vec![0.0; fde.shape().dimensions()],
        )
    };
    let one = |(encoder, vectors, wide): &mut (Encoder<'_>, Vec<f32>, Vec<f32>),
               (set, (numbers, scale)): (usize, (&mut [N], &mut f32))| {
        sets.copy(set, fde.shape().dim, vectors);
        match N::in_place(numbers) {
            Some(encoding) if !fde.is_folded() => {
                encoder.encode(side, vectors, encoding);
                *scale = 1.0;
            }
            _ => {
                encoder.encode(side, vectors, wide);
                *scale = N::put(encoder.folded(wide), numbers);
            }
        }
    };
    let places = numbers
        .chunks_exact_mut(dimensions)
        .zip(&mut scales)
        .enumerate();
    match threads {
        1 => {
            let mut state = start();
            places.for_each(|place| one(&mut state, place));
        }
        threads => pool::run(threads, || {
            let places = numbers.par_chunks_exact_mut(dimensions).zip(&mut scales);
            places.enumerate().for_each_init(start, one);
        })?,
    }
    Ok((numbers, scales))
}

/// Values are below, so that no product overflows.
const LARGEST_VALUE: f32 = 1e36;

impl Sets<'_> {
    fn check(&self, dim: usize) -> Result<()> {
        let Vectors::Single(values) = self.vectors else {
            return Ok(());
        };
        let at = values.iter().position(|value| value.abs() >= LARGEST_VALUE);
        at.map_or(Ok(()), |at| {
            let token = (at / dim) as i64;
            let row = self.offsets.partition_point(|start| *start <= token);
            Err(Error::InvalidInput(format!(
                "multivector: row {} holds {}; values must be below 1e36",
                row.saturating_sub(1),
                values[at]
            )))
        })
    }

    fn copy(&self, set: usize, dim: usize, vectors: &mut Vec<f32>) {
        let range = self.offsets[set] as usize * dim..self.offsets[set + 1] as usize * dim;
        vectors.clear();
        match self.vectors {
            Vectors::Single(all) => vectors.extend_from_slice(&all[range]),
            Vectors::Half(all) => {
                vectors.resize(range.len(), 0.0);
                all[range].convert_to_f32_slice(vectors);
            }
        }
    }
}
