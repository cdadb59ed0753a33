//! Token vectors waiting in memory to become a segment.

use half::f16;

use super::codec::Codec;

#[derive(Default)]
pub struct TokenBuffer {
    /// Row `i` is `ends[i - 1]..ends[i]` of the vectors, in tokens, the first from 0.
    ends: Vec<usize>,
    vectors: Vec<f16>,
    dim: usize,
    bytes_per_token: usize,
}

/// Bytes for each token while its segment is written, besides its columns: the cells it is in.
const WHILE_WRITING: usize = 12;

impl TokenBuffer {
    pub fn new(codec: &Codec) -> Self {
        let columns = codec.columns(usize::MAX);
        let encoded: usize = columns.iter().map(|column| column.width).sum();
        Self {
            dim: codec.dim,
            bytes_per_token: size_of::<f16>() * codec.dim + encoded + WHILE_WRITING,
            ..Self::default()
        }
    }

    /// Appends a row of vectors, one after the other.
    pub fn push(&mut self, values: &[f16]) {
        self.vectors.extend_from_slice(values);
        self.ends.push(self.vectors.len() / self.dim.max(1));
    }

    /// What the rows take until they are in a segment.
    pub fn memory(&self) -> usize {
        self.tokens() * self.bytes_per_token + self.ends.len() * size_of::<usize>()
    }

    pub fn tokens(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// All vectors, those of rows that were deleted since included.
    pub fn vectors(&self) -> &[f16] {
        &self.vectors
    }

    /// Where the values of a row lie.
    pub fn values(&self, row: u32) -> std::ops::Range<usize> {
        let tokens = self.row(row);
        tokens.start * self.dim..tokens.end * self.dim
    }

    /// How many rows there are, those that were deleted since included.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Where a row lies.
    pub fn row(&self, row: u32) -> std::ops::Range<usize> {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |previous| self.ends[previous]);
        start..self.ends[row]
    }
}
