//! Writes the multivector file of a segment from anything that has the columns of its documents: vectors
//! just encoded, or other segments.

use half::f16;

use super::buffer::TokenBuffer;
use super::cells;
use super::codebook::Codebook;
use super::decode::decode;
use super::encode::{Encoded, Errors, encode};
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
/// Values that are encoded anew at a time.
const RECODED_TOGETHER: usize = 1 << 22;

/// Returns the number of tokens.
pub fn write<S: Source>(
    file: &mut SectionWriter,
    codebook: &Codebook,
    source: &S,
    interrupt: &Interrupt,
) -> Result<u64> {
    let centroids = codebook.centroids.len();
    let columns = codebook.codec.columns(centroids);
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

/// Documents of several segments, encoded anew.
pub struct Recoded {
    encoded: Encoded,
    /// Tokens of document `d` are `starts[d]..starts[d + 1]`.
    starts: Vec<usize>,
    widths: Vec<usize>,
}

impl Recoded {
    /// From `segments` that `old` coded.
    pub fn new(
        merge: &Merge<'_>,
        old: &Codebook,
        new: &Codebook,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut vectors: Vec<f16> = vec![];
        let mut starts = vec![0];
        let mut encoded = Encoded::new(new);
        for document in 0..merge.documents() {
            let (segment, document) = merge.origins[document as usize];
            let Some(segment) = merge.segments[segment as usize] else {
                starts.push(starts[starts.len() - 1]);
                continue;
            };
            let tokens = segment.tokens(document)?;
            starts.push(starts[starts.len() - 1] + tokens.len());
            let values = decode(old, segment, tokens)?;
            vectors.extend(values.into_iter().map(f16::from_f32));
            if vectors.len() >= RECODED_TOGETHER {
                encoded.append(encode(new, &vectors, interrupt)?);
                vectors.clear();
            }
        }
        encoded.append(encode(new, &vectors, interrupt)?);
        Ok(Self {
            widths: new.widths(),
            encoded,
            starts,
        })
    }

    pub fn errors(&self) -> Errors {
        self.encoded.errors
    }
}

impl Source for Recoded {
    fn documents(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    fn column(&self, column: usize, document: u32) -> Result<&[u8]> {
        let width = self.widths[column];
        let (start, end) = (
            self.starts[document as usize],
            self.starts[document as usize + 1],
        );
        Ok(&self.encoded.columns[column][start * width..end * width])
    }

    fn longest(&self) -> Vec<f32> {
        self.encoded.longest.clone()
    }
}

/// Documents of several segments.
pub struct Merge<'a> {
    /// `None` for one without token vectors.
    pub segments: Vec<Option<&'a MultiVectorSegment>>,
    /// Segment and document in it, for each new document.
    pub origins: &'a [(u32, u32)],
}

impl Merge<'_> {
    /// Whether a document has a token.
    pub fn has_tokens(&self) -> Result<bool> {
        for document in 0..self.documents() {
            if !self.column(0, document)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Source for Merge<'_> {
    fn documents(&self) -> u32 {
        self.origins.len() as u32
    }

    fn column(&self, column: usize, document: u32) -> Result<&[u8]> {
        let (segment, document) = self.origins[document as usize];
        match self.segments[segment as usize] {
            Some(segment) => segment.column(column, segment.tokens(document)?),
            None => Ok(&[]),
        }
    }

    fn longest(&self) -> Vec<f32> {
        let of_segments = self
            .segments
            .iter()
            .flatten()
            .map(|segment| segment.longest().to_vec());
        let longest = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(b).map(|(a, b)| a.max(b)).collect();
        of_segments.reduce(longest).unwrap_or_default()
    }
}
