//! Writes the multivector file of a segment from anything that has the columns of its documents: vectors
//! just encoded, or other segments.

use super::buffer::TokenBuffer;
use super::cells;
use super::codec::Codec;
use super::encode::Encoded;
use super::reader::MultiVectorSegment;
use crate::error::{Error, Result};
use crate::pool::Interrupt;
use crate::storage::section::SectionWriter;

/// Documents are numbered from 0.
pub trait Source {
    fn documents(&self) -> u32;
    /// The bytes of a column for all tokens of a document.
    fn column(&self, column: usize, document: u32) -> Result<&[u8]>;
    /// For each level, no decoded residual is longer before it is scaled.
    fn longest(&self) -> Vec<f32>;
}

const STRIDE: u32 = 1024;

/// Returns the number of tokens.
pub fn write<S: Source>(
    file: &mut SectionWriter,
    codec: &Codec,
    centroids: usize,
    source: &S,
    interrupt: &Interrupt,
) -> Result<u64> {
    let columns = codec.columns(centroids);
    let mut starts = vec![0_u32];
    let mut tokens = 0;
    for document in 0..source.documents() {
        check_now_and_then(document, interrupt)?;
        tokens += source.column(0, document)?.len() / columns[0].width;
        starts.push(u32::try_from(tokens).map_err(|_| too_many())?);
    }
    file.section("starts", &starts)?;
    file.section("longest", &source.longest())?;
    for (number, column) in columns.iter().enumerate() {
        file.begin(&column.name)?;
        for document in 0..source.documents() {
            check_now_and_then(document, interrupt)?;
            file.write(source.column(number, document)?)?;
        }
    }
    cells::write(file, source, columns[0].width, centroids, tokens, interrupt)?;
    Ok(tokens as u64)
}

fn too_many() -> Error {
    Error::InvalidInput(
        "a segment would have more than 4,294,967,295 tokens; lower memory_limit so that segments are smaller".into(),
    )
}

pub fn check_now_and_then(document: u32, interrupt: &Interrupt) -> Result<()> {
    match document.is_multiple_of(STRIDE) {
        true => interrupt.check(),
        false => Ok(()),
    }
}

/// Rows of a buffer, encoded.
pub struct Flush<'a> {
    pub buffer: &'a TokenBuffer,
    pub encoded: &'a Encoded,
    /// Rows that become documents.
    pub rows: &'a [u32],
    pub widths: Vec<usize>,
}

impl Source for Flush<'_> {
    fn documents(&self) -> u32 {
        self.rows.len() as u32
    }

    fn column(&self, column: usize, document: u32) -> Result<&[u8]> {
        let row = self.buffer.row(self.rows[document as usize]);
        let width = self.widths[column];
        Ok(&self.encoded.columns[column][row.start * width..row.end * width])
    }

    fn longest(&self) -> Vec<f32> {
        self.encoded.longest.clone()
    }
}

/// Documents of several segments.
pub struct Merge<'a> {
    pub segments: Vec<&'a MultiVectorSegment>,
    /// Segment and document in it, for each new document.
    pub origins: &'a [(u32, u32)],
}

impl Source for Merge<'_> {
    fn documents(&self) -> u32 {
        self.origins.len() as u32
    }

    fn column(&self, column: usize, document: u32) -> Result<&[u8]> {
        let (segment, document) = self.origins[document as usize];
        let segment = self.segments[segment as usize];
        segment.column(column, segment.tokens(document)?)
    }

    fn longest(&self) -> Vec<f32> {
        let of_segments = self.segments.iter().map(|segment| segment.longest());
        let longest = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(b).map(|(a, b)| a.max(b)).collect();
        of_segments.reduce(longest).unwrap_or_default()
    }
}
