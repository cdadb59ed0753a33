//! The definition of every kernel. Those that `avx2` does not write out are compiled for its instruction set.

use super::{GROUP, STEP, Tables};

pub fn hadamard(vector: &[f32], factors: &[f32], values: &mut [f32]) {
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

pub fn above_zero(values: &[f32], words: &mut [u64]) {
    words.fill(0);
    for (at, value) in values.iter().enumerate() {
        words[at / 64] |= u64::from(*value > 0.0) << (at % 64);
    }
}

#[inline(always)]
pub fn add_parts(blocks: &mut [f32], places: &[u32], values: &[f32], length: usize) {
    for (place, part) in places.iter().zip(values.chunks_exact(length)) {
        let block = &mut blocks[*place as usize * length..][..length];
        for (sum, value) in block.iter_mut().zip(part) {
            *sum += value;
        }
    }
}

#[inline(always)]
pub fn spread(keys: &mut [u64]) {
    let mut half = 1;
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

pub fn add_up(codes: &[[u8; GROUP]], places: &[u32], tables: &[Tables], sums: &mut [u32; GROUP]) {
    sums.fill(0);
    for (place, table) in places.iter().zip(tables) {
        for (sum, byte) in sums.iter_mut().zip(&codes[*place as usize]) {
            let (low, high) = (usize::from(byte & 15), usize::from(byte >> 4));
            *sum += u32::from(table[low]) + u32::from(table[16 + high]);
        }
    }
}
