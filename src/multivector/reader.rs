//! The multivector file of a segment, mapped. Values are checked where they are used, so that a damaged
//! file gives an error or a wrong score, never an access out of bounds.

use std::ops::Range;

use super::cells::Cells;
use super::codebook::Codebook;
use crate::error::Result;
use crate::storage::section::{Array, SectionFile};

pub struct MultiVectorSegment {
    file: SectionFile,
    starts: Array<u32>,
    longest: Array<f32>,
    columns: Vec<(usize, Array<u8>)>,
    cells: Option<Cells>,
}

impl MultiVectorSegment {
    /// `codebook` is the one that the segment was written with.
    pub fn open(file: SectionFile, codebook: &Codebook, documents: u32) -> Result<Self> {
        let (codec, centroids) = (&codebook.codec, codebook.centroids.len());
        let starts = file.array_of::<u32>("starts", documents as usize + 1)?;
        let tokens = starts.last().copied().unwrap_or(0) as usize;
        let mut columns = vec![];
        for column in codec.columns(centroids) {
            let bytes = tokens.saturating_mul(column.width);
            columns.push((column.width, file.array_of(&column.name, bytes)?));
        }
        Ok(Self {
            longest: file.array_of("longest", codec.levels.len())?,
            cells: Cells::open(&file, centroids, documents)?,
            columns,
            starts,
            file,
        })
    }

    pub fn documents(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    /// Tokens of all documents.
    pub fn token_count(&self) -> usize {
        self.starts.last().copied().unwrap_or(0) as usize
    }

    /// Where the tokens of a document lie.
    pub fn tokens(&self, document: u32) -> Result<Range<usize>> {
        let at = document as usize;
        let range = self.starts.get(at).zip(self.starts.get(at + 1));
        let range = range.map(|(start, end)| *start as usize..*end as usize);
        let valid =
            range.filter(|range| range.start <= range.end && range.end <= self.token_count());
        valid.ok_or_else(|| self.file.corrupt(format!("tokens of document {document}")))
    }

    /// Bytes of a column for a range that `tokens` gave, or a part of it.
    pub fn column(&self, column: usize, tokens: Range<usize>) -> Result<&[u8]> {
        let (width, bytes) = &self.columns[column];
        let bytes = bytes.get(tokens.start * width..tokens.end * width);
        bytes.ok_or_else(|| self.file.corrupt("tokens behind the last one"))
    }

    /// Bytes of a centroid number.
    pub fn number_width(&self) -> usize {
        self.columns[0].0
    }

    pub fn cells(&self) -> Option<&Cells> {
        self.cells.as_ref()
    }

    /// For each level, no decoded residual is longer before it is scaled.
    pub fn longest(&self) -> &[f32] {
        &self.longest
    }

    pub fn file(&self) -> &SectionFile {
        &self.file
    }
}

/// The number of a centroid in two or three bytes.
pub fn number_at(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}
