//! Products of query rows with token vectors. Rows lie in lanes, sixteen to a tile, and tokens pass by: a
//! maximum over tokens then needs no step across lanes. Integer products are exact, and floats are
//! added in one order, so that every instruction set gives the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(test)]
mod tests;

use half::f16;

use super::dispatch::{Level, level};

/// Rows of a tile.
pub const LANES: usize = 16;
/// Values that one step of a product takes from a row and a token.
const GROUP: usize = 4;
/// What a byte of a token is above the value that it stands for.
pub const BIAS: u8 = 64;
/// The largest value of a token, and of a row.
pub const LARGEST_TOKEN: i8 = 63;
pub const LARGEST_ROW: i8 = 127;

/// The number of lanes that hold `rows` rows.
pub fn padded(rows: usize) -> usize {
    rows.next_multiple_of(LANES)
}

/// Rows of 8-bit values from -127 to 127, a multiple of four each, in the order in which products take
/// them; lanes without a row are 0.
#[derive(Clone, Default)]
pub struct ByteRows {
    dim: usize,
    /// `[tile][group][lane][value]`.
    values: Vec<i8>,
    /// For each lane, minus `BIAS` times the sum of its row.
    offsets: Vec<i32>,
}

impl ByteRows {
    /// `rows` has `dim` values a row.
    pub fn new(rows: &[i8], dim: usize) -> Self {
        let mut new = Self::default();
        new.fill(rows, dim);
        new
    }

    /// Replaces the rows, keeping the memory.
    pub fn fill(&mut self, rows: &[i8], dim: usize) {
        assert!(dim > 0 && dim.is_multiple_of(GROUP) && rows.len().is_multiple_of(dim));
        let lanes = padded(rows.len() / dim);
        self.dim = dim;
        self.values.clear();
        self.values.resize(lanes * dim, 0);
        self.offsets.clear();
        self.offsets.resize(lanes, 0);
        for (lane, row) in rows.chunks_exact(dim).enumerate() {
            let sum: i32 = row.iter().map(|value| i32::from(*value)).sum();
            self.offsets[lane] = -i32::from(BIAS) * sum;
            let tile = &mut self.values[lane / LANES * LANES * dim..];
            for (group, values) in row.as_chunks::<GROUP>().0.iter().enumerate() {
                let at = (group * LANES + lane % LANES) * GROUP;
                tile[at..at + GROUP].copy_from_slice(values);
            }
        }
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Rows, rounded up to full tiles.
    pub fn lanes(&self) -> usize {
        self.offsets.len()
    }
}

/// Vectors one after the other.
#[derive(Clone, Copy)]
pub enum Vectors<'a> {
    Half(&'a [f16]),
    Single(&'a [f32]),
}

/// Rows of floats, `[value][lane]`; lanes without a row are 0.
#[derive(Clone, Default)]
pub struct FloatRows {
    dim: usize,
    lanes: usize,
    values: Vec<f32>,
}

impl FloatRows {
    pub fn new(rows: &[f32], dim: usize) -> Self {
        assert!(dim > 0 && rows.len().is_multiple_of(dim));
        let lanes = padded(rows.len() / dim);
        let mut values = vec![0.0; lanes * dim];
        for (lane, row) in rows.chunks_exact(dim).enumerate() {
            for (position, value) in row.iter().enumerate() {
                values[position * lanes + lane] = *value;
            }
        }
        Self { dim, lanes, values }
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// The rows one after the other, those of empty lanes included.
    pub fn to_rows(&self) -> Vec<f32> {
        let lane = |lane| self.values.iter().skip(lane).step_by(self.lanes).copied();
        (0..self.lanes).flat_map(lane).collect()
    }
}

compiled! {
    /// The product of every row with every token: `products[token][lane]`. Bytes of tokens are values from
    /// -64 to 63 plus `BIAS`.
    products(rows: &ByteRows, tokens: &[u8], products: &mut [i32])
}

compiled! {
    /// `products[token][lane]`, each a chain of fused multiplications and additions over the values in
    /// order.
    float_products(rows: &FloatRows, tokens: &[f32], products: &mut [f32])
}

compiled! {
    /// Raises `best[lane]` to `(base[lane] + product[lane] * step) * unit` of every token: there are as
    /// many steps, units, bases and rows of products as tokens.
    raise(best: &mut [f32], bases: &[&[f32]], products: &[i32], steps: &[f32], units: &[f32])
}

compiled! {
    /// `sums[token][lane]` becomes `base[lane] + product[lane] * step` of each token.
    add_steps(sums: &mut [f32], lanes: usize, bases: &[&[f32]], products: &[i32], steps: &[f32])
}

compiled! {
    /// Raises `best[lane]` to `products[token][lane]` of every token.
    raise_floats(best: &mut [f32], products: &[f32])
}

compiled! {
    /// For each lane, notes the row `first + i` of products where `product * step[i] - bias[i] *
    /// unit[lane]` is above `best[lane]`, and raises that.
    note_best(
        best: &mut [f32],
        which: &mut [u32],
        products: &[i32],
        first: u32,
        steps: &[f32],
        biases: &[f32],
        units: &[f32],
    )
}

compiled! {
    /// Raises `best[lane]` to `table[number][lane]` for each of the numbers. Rows of the table are as
    /// long as `best`, a multiple of sixteen; numbers behind its end are passed over.
    raise_bytes<N: Number>(best: &mut [u8], table: &[u8], numbers: &[N])
}

compiled! {
    /// For each vector, the number of the nearest of 256 codewords, the first where several are:
    /// `codebook` is `[value][codeword]`, `halves` half the squared length of each codeword.
    nearest(vectors: &[f32], codebook: &[f32], halves: &[f32; 256], found: &mut [u8])
}

compiled! {
    /// Clears `finite` where a half is infinite or not a number: all bits of its exponent are set.
    check_finite(halves: &[f16], finite: &mut bool)
}

compiled! {
    /// Each half as a float; there are as many of both.
    widen(halves: &[f16], floats: &mut [f32])
}

/// Where an eighth of the numbers of a vector has some of its bits: a code has as many eighths as a
/// number has bits.
#[derive(Clone, Copy)]
pub struct Place {
    /// Which eighth of the code.
    pub eighth: usize,
    /// Lowest bit in each byte of the code.
    pub shift: u32,
    pub mask: u8,
    /// What that bit is in the number.
    pub from: u32,
}

impl Place {
    fn number(self, byte: u8) -> u8 {
        (byte >> self.shift & self.mask) << self.from
    }

    pub fn byte(self, number: u8) -> u8 {
        (number >> self.from & self.mask) << self.shift
    }
}

/// The places of part `part` of eight. With 1, 2 and 4 bits a byte holds a number of each eighth, fourth
/// and half of the vector, low bits first. Three bits are two, as with 2 bits, and after them the
/// highest, as with 1 bit.
pub fn places(part: usize, bits: usize) -> impl Iterator<Item = Place> {
    let place = move |bits: usize, first: usize, from: u32| Place {
        eighth: first + part % bits,
        shift: (part / bits * bits) as u32,
        mask: (1 << bits) - 1,
        from,
    };
    let (low, high) = match bits {
        3 => (place(2, 0, 0), Some(place(1, 2, 2))),
        bits => (place(bits, 0, 0), None),
    };
    std::iter::once(low).chain(high)
}

compiled! {
    /// `bytes[row][lane]` becomes `values[row][lane] * factors[lane]`, rounded down, at least 0 and at
    /// most 255.
    to_bytes(values: &[f32], factors: &[f32], bytes: &mut [u8])
}

compiled! {
    /// Writes the tokens of codes of `bits` bits a value, packed as `places` says: each number becomes
    /// its value in the table. `dim` is a multiple of eight.
    expand(codes: &[u8], bits: usize, table: &[u8; 16], tokens: &mut [u8], dim: usize)
}

/// The number of a row of a table.
pub trait Number: Copy {
    fn index(self) -> usize;
}

/// 16 bits, least significant first.
impl Number for [u8; 2] {
    fn index(self) -> usize {
        usize::from(u16::from_le_bytes(self))
    }
}

/// 24 bits, least significant first.
impl Number for [u8; 3] {
    fn index(self) -> usize {
        usize::from(self[0]) | usize::from(self[1]) << 8 | usize::from(self[2]) << 16
    }
}
