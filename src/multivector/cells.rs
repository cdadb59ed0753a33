//! For each centroid, the documents that have a token nearest to it: its *cell*. Windows of 65,536
//! documents have lists of their own, so that a document takes two bytes.

use super::reader::number_at;
use super::writer::{Source, check_now_and_then};
use crate::error::Result;
use crate::pool::Interrupt;
use crate::storage::section::{Array, SectionFile, SectionWriter};

/// Documents of a window.
pub const WINDOW: usize = 1 << 16;
/// A segment with fewer tokens for each centroid has no cells: to look at all its tokens takes no longer.
const TOKENS_PER_CENTROID: usize = 2;

/// Writes the cells of a source whose column of centroids is `width` bytes wide.
pub fn write<S: Source>(
    file: &mut SectionWriter,
    source: &S,
    width: usize,
    centroids: usize,
    tokens: usize,
    interrupt: &Interrupt,
) -> Result<()> {
    let windows = match tokens / TOKENS_PER_CENTROID < centroids {
        true => 0,
        false => (source.documents() as usize).div_ceil(WINDOW),
    };
    let mut starts: Vec<u32> = vec![];
    let mut documents: Vec<u16> = vec![];
    for window in 0..windows {
        let first = (window * WINDOW) as u32;
        let last = source.documents().min(first + WINDOW as u32);
        let mut counts = vec![0_u32; centroids + 1];
        each_cell(source, width, first..last, interrupt, |cell, _| {
            if let Some(count) = counts.get_mut(cell + 1) {
                *count += 1;
            }
        })?;
        counts[0] = documents.len() as u32;
        for cell in 0..centroids {
            counts[cell + 1] += counts[cell];
        }
        documents.resize(counts[centroids] as usize, 0);
        let mut next = counts.clone();
        each_cell(source, width, first..last, interrupt, |cell, document| {
            if cell < centroids {
                documents[next[cell] as usize] = document;
                next[cell] += 1;
            }
        })?;
        starts.extend_from_slice(&counts);
    }
    file.section("cell_starts", &starts)?;
    file.section("cell_documents", &documents)
}

/// Calls `visit` with each distinct centroid of each document and the number of the document in its window.
fn each_cell<S: Source>(
    source: &S,
    width: usize,
    documents: std::ops::Range<u32>,
    interrupt: &Interrupt,
    mut visit: impl FnMut(usize, u16),
) -> Result<()> {
    let mut cells = vec![];
    for document in documents {
        check_now_and_then(document, interrupt)?;
        cells.clear();
        cells.extend(
            source
                .column(0, document)?
                .chunks_exact(width)
                .map(number_at),
        );
        cells.sort_unstable();
        cells.dedup();
        cells.iter().for_each(|cell| visit(*cell, document as u16));
    }
    Ok(())
}

/// The cells of a segment.
pub struct Cells {
    centroids: usize,
    starts: Array<u32>,
    documents: Array<u16>,
}

impl Cells {
    /// `None` where a segment has none.
    pub fn open(file: &SectionFile, centroids: usize, documents: u32) -> Result<Option<Self>> {
        let starts: Array<u32> = file.array("cell_starts")?;
        let windows = (documents as usize).div_ceil(WINDOW);
        if !starts.is_empty() && starts.len() != windows * (centroids + 1) {
            return Err(file.corrupt("cell_starts: not one for each centroid"));
        }
        let cells = Self {
            centroids,
            documents: file.array("cell_documents")?,
            starts,
        };
        Ok((!cells.starts.is_empty()).then_some(cells))
    }

    pub fn windows(&self) -> usize {
        self.starts.len() / (self.centroids + 1)
    }

    /// Documents of a cell, counted from the first of the window, ascending.
    pub fn documents(&self, window: usize, cell: u32) -> &[u16] {
        let at = window * (self.centroids + 1) + cell as usize;
        let range = self.starts.get(at).zip(self.starts.get(at + 1));
        let documents =
            range.and_then(|(start, end)| self.documents.get(*start as usize..*end as usize));
        documents.unwrap_or_default()
    }
}
