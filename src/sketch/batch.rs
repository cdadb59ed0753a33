//! Encodings of many sets of vectors at once, for use outside of an index: all processors, and no wider
//! numbers in memory than are asked for.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::fde::{Encoder, Fde, MOST_VECTORS, Side};
use crate::error::{Error, Result};
use crate::kernels::sketch;
use crate::kernels::tokens::{self, Vectors};
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

impl Number for i8 {
    fn put(encoding: &[f32], numbers: &mut [Self]) -> f32 {
        let mut step = 0.0;
        sketch::to_steps(encoding, numbers, &mut step);
        step
    }
}

/// Writes encodings one after the other, and returns what the numbers of each are to be multiplied by.
pub fn encode<N: Number>(
    fde: &Fde,
    sets: Sets<'_>,
    side: Side,
    threads: usize,
    numbers: &mut [N],
) -> Result<Vec<f32>> {
    let dimensions = fde.dimensions();
    sets.check(fde.shape().dim)?;
    let mut scales = vec![0.0; numbers.len() / dimensions];
    let start = || Work {
        encoder: Encoder::new(fde),
        vectors: vec![],
        wide: vec![0.0; fde.shape().dimensions()],
    };
    let one = |work: &mut Work<'_>, (set, (numbers, scale)): (usize, (&mut [N], &mut f32))| {
        work.read(sets, set, fde.shape().dim)?;
        *scale = work.encode(side, numbers);
        Ok(())
    };
    let outputs = numbers.chunks_exact_mut(dimensions).zip(&mut scales);
    match threads {
        1 => {
            let mut work = start();
            outputs
                .enumerate()
                .try_for_each(|output| one(&mut work, output))
        }
        threads => pool::run(threads, || {
            let outputs = numbers.par_chunks_exact_mut(dimensions).zip(&mut scales);
            outputs.enumerate().try_for_each_init(start, one)
        })?,
    }?;
    Ok(scales)
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
}

/// What a thread keeps from set to set.
struct Work<'a> {
    encoder: Encoder<'a>,
    vectors: Vec<f32>,
    wide: Vec<f32>,
}

impl Work<'_> {
    fn read(&mut self, sets: Sets<'_>, set: usize, dim: usize) -> Result<()> {
        let range = sets.offsets[set] as usize * dim..sets.offsets[set + 1] as usize * dim;
        if range.len() / dim > MOST_VECTORS {
            let count = range.len() / dim;
            return Err(Error::InvalidInput(format!(
                "multivector: row {set} has {count} vectors; at most {MOST_VECTORS} are encoded together"
            )));
        }
        self.vectors.resize(range.len(), 0.0);
        match sets.vectors {
            Vectors::Single(all) => self.vectors.copy_from_slice(&all[range]),
            Vectors::Half(all) => {
                let mut finite = true;
                tokens::check_finite(&all[range.clone()], &mut finite);
                if !finite {
                    return Err(Error::InvalidInput(format!(
                        "multivector: row {set} holds a value that is not a finite number of 16 bits"
                    )));
                }
                tokens::widen(&all[range], &mut self.vectors);
            }
        }
        Ok(())
    }

    fn encode<N: Number>(&mut self, side: Side, numbers: &mut [N]) -> f32 {
        match N::in_place(numbers) {
            Some(encoding) if !self.encoder.is_folded() => {
                self.encoder.encode(side, &self.vectors, encoding);
                1.0
            }
            _ => {
                self.encoder.encode(side, &self.vectors, &mut self.wide);
                N::put(self.encoder.folded(&self.wide), numbers)
            }
        }
    }
}
