//! Fixed-dimensional sketches: the fast Hadamard transform that makes them, and the scan of their codes.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use super::dispatch::{Level, level};
/// Nothing here gains from it.
#[cfg(target_arch = "x86_64")]
use avx2 as avx512;

/// Documents whose codes lie together.
pub const GROUP: usize = 32;
/// The largest entry of a table: two of them fit a byte.
pub const LARGEST_ENTRY: u8 = 127;

/// What the low and the high half of a byte of a code add to a sum: sixteen entries each.
pub type Tables = [u8; 32];

compiled! {
    /// Products of the Hadamard matrix of 1 and -1 in Sylvester's order with `vector`, each value of which
    /// is multiplied by its factor before: value `i` is the sum of all products `j`, subtracted where `i & j`
    /// has an odd number of bits. A vector has as many values as a power of two, at least eight; for each so
    /// many factors there are as many values.
    hadamard(vector: &[f32], factors: &[f32], values: &mut [f32])
}

compiled! {
    /// Bit `b` of sides `i` is whether value `i * width + b` is above 0; at most 32 bits.
    sides(values: &[f32], width: usize, bits: usize, sides: &mut [u32])
}

compiled! {
    /// Block `i` becomes the sum of the parts whose place is `i`; part `p` is of the `length` values, as
    /// many as a block has, from `values[p * width]` on.
    add_parts(blocks: &mut [f32], places: &[u32], values: &[f32], width: usize, length: usize)
}

compiled! {
    /// Divides each block by its count, unless that is 0.
    average(blocks: &mut [f32], counts: &[u32])
}

compiled! {
    /// Key `i` of each lane becomes the least of keys `j` plus `distance(i, j) * STEP`, where the distance
    /// is the number of bits in which the places differ. Keys are `[place][lane]`, places as many as a
    /// power of two, the largest key at most `u32::MAX - STEP`.
    spread(keys: &mut [u32], lanes: usize)
}

compiled! {
    /// Values in steps, of which the largest value is 127, and the size of a step.
    to_steps(values: &[f32], numbers: &mut [i8], step: &mut f32)
}

/// What a key grows by for each bit of distance.
pub const STEP: u32 = 1 << 27;

compiled! {
    /// `sums[document]` becomes the sum of what tables `i` say of byte `places[i]` of its code. Byte `p`
    /// of the codes of a group is `codes[p][document]`. At most 2^24 places, entries at most
    /// `LARGEST_ENTRY`.
    add_up(codes: &[[u8; GROUP]], places: &[u32], tables: &[Tables], sums: &mut [u32; GROUP])
}
