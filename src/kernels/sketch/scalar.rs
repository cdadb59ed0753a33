//! The definition of every kernel. Those that `avx2` does not write out are compiled for its instruction set.

use super::{GROUP, STEP, Tables};

pub fn hadamard(vector: &[f32], factors: &[f32], values: &mut [f32]) {
    let each = values
        .chunks_exact_mut(vector.len())
        .zip(factors.chunks_exact(vector.len()));
    for (values, factors) in each {
        for ((value, given), factor) in values.iter_mut().zip(vector).zip(factors) {
            *value = given * factor;
        }
        let mut half = 1;
        while half < values.len() {
            for pair in values.chunks_exact_mut(2 * half) {
                let (first, second) = pair.split_at_mut(half);
                for (a, b) in first.iter_mut().zip(second) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
            half *= 2;
        }
    }
}

pub fn sides(values: &[f32], width: usize, bits: usize, sides: &mut [u32]) {
    for (number, sides) in sides.iter_mut().enumerate() {
        let values = values[number * width..][..bits].iter().rev();
        *sides = values.fold(0, |sides, value| 2 * sides + u32::from(*value > 0.0));
    }
}

/// Values that are added together.
const LANES: usize = 8;

#[inline(always)]
pub fn add_parts(blocks: &mut [f32], places: &[u32], values: &[f32], width: usize, length: usize) {
    blocks.fill(0.0);
    for (number, place) in places.iter().enumerate() {
        let (sums, rest) = blocks[*place as usize * length..][..length].as_chunks_mut::<LANES>();
        let (part, last) = values[number * width..][..length].as_chunks::<LANES>();
        for (sums, part) in sums.iter_mut().zip(part) {
            sums.iter_mut()
                .zip(part)
                .for_each(|(sum, value)| *sum += value);
        }
        rest.iter_mut()
            .zip(last)
            .for_each(|(sum, value)| *sum += value);
    }
}

#[inline(always)]
pub fn average(blocks: &mut [f32], counts: &[u32]) {
    let length = blocks.len() / counts.len();
    for (block, count) in blocks.chunks_exact_mut(length).zip(counts) {
        let share = 1.0 / (*count).max(1) as f32;
        let (whole, rest) = block.as_chunks_mut::<LANES>();
        for values in whole {
            values.iter_mut().for_each(|value| *value *= share);
        }
        rest.iter_mut().for_each(|value| *value *= share);
    }
}

#[inline(always)]
pub fn spread(keys: &mut [u32], lanes: usize) {
    let mut half = lanes;
    while half < keys.len() {
        for pair in keys.chunks_exact_mut(2 * half) {
            let (first, second) = pair.split_at_mut(half);
            for (a, b) in first.iter_mut().zip(second) {
                (*a, *b) = ((*a).min(*b + STEP), (*b).min(*a + STEP));
            }
        }
        half *= 2;
    }
}

#[inline(always)]
pub fn to_steps(values: &[f32], numbers: &mut [i8], step: &mut f32) {
    let mut largest = [0.0_f32; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for values in whole {
        for (largest, value) in largest.iter_mut().zip(values) {
            *largest = if value.abs() > *largest {
                value.abs()
            } else {
                *largest
            };
        }
    }
    let largest = largest
        .iter()
        .chain(rest)
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    *step = (largest / LARGEST_STEPS).max(f32::MIN_POSITIVE);
    let per_step = 1.0 / *step;
    for (number, value) in numbers.iter_mut().zip(values) {
        // The nearest integer lies in the lowest bits of the sum.
        *number = (value * per_step + ROUNDING).to_bits() as i8;
    }
}

const LARGEST_STEPS: f32 = 127.0;
/// Large enough that floats nearby are whole numbers, the lowest bits of which are 0.
const ROUNDING: f32 = 12_582_912.0;

pub fn add_up(codes: &[[u8; GROUP]], places: &[u32], tables: &[Tables], sums: &mut [u32; GROUP]) {
    sums.fill(0);
    for (place, table) in places.iter().zip(tables) {
        for (sum, byte) in sums.iter_mut().zip(&codes[*place as usize]) {
            let (low, high) = (usize::from(byte & 15), usize::from(byte >> 4));
            *sum += u32::from(table[low]) + u32::from(table[16 + high]);
        }
    }
}
