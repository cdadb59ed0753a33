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
    /// The product of the Hadamard matrix of 1 and -1 in Sylvester's order with `vector`, each value of
    /// which is multiplied by its factor before: value `i` is the sum of all products `j`, subtracted where
    /// `i & j` has an odd number of bits. As many of each as a power of two, at least eight.
    hadamard(vector: &[f32], factors: &[f32], values: &mut [f32])
}

compiled! {
    /// Sets bit `i % 64` of word `i / 64` where value `i` is above 0, and clears the others.
    above_zero(values: &[f32], words: &mut [u64])
}

compiled! {
    /// Adds part `i` of the values to block `places[i]`; blocks and parts have `length` values.
    add_parts(blocks: &mut [f32], places: &[u32], values: &[f32], length: usize)
}

compiled! {
    /// `keys[i]` becomes the least of `keys[j] + distance(i, j) * STEP`, where the distance is the number
    /// of bits in which the places differ. As many keys as a power of two.
    spread(keys: &mut [u64])
}

/// What a key grows by for each bit of distance.
pub const STEP: u64 = 1 << 32;

compiled! {
    /// `sums[document]` becomes the sum of what tables `i` say of byte `places[i]` of its code. Byte `p`
    /// of the codes of a group is `codes[p][document]`. At most 2^24 places, entries at most
    /// `LARGEST_ENTRY`.
    add_up(codes: &[[u8; GROUP]], places: &[u32], tables: &[Tables], sums: &mut [u32; GROUP])
}
