//! Reads a CIFF file as rows. The file lists postings by term, rows are by document: opening reads the
//! file once, checks everything and counts the postings of each document; then each call takes as many
//! further documents as a budget allows and goes on in every list where the call before stopped, so that
//! each posting is read twice in all. Memory: 48 bytes a term, 40 bytes a document, and the budget.
//! Imports `error` and `pool`.

use std::ops::{Deref, Range};
use std::path::Path;

use super::scan::{Document, List, Posting, Scan};
use crate::error::{Error, Result};
use crate::pool::Interrupt;

/// What a posting takes in a batch, and what a document does beside its postings.
const BYTES_PER_POSTING: usize = 8;
const BYTES_PER_DOCUMENT: usize = 8;

/// A CIFF file that has been read once and found sound.
pub struct Reader<B> {
    bytes: B,
    path: String,
    description: String,
    /// In ascending order of the terms.
    lists: Vec<List>,
    documents: Vec<Document>,
    postings: u64,
    largest: u32,
    /// The first document not handed over yet.
    next: usize,
}

/// Consecutive documents with their terms, by number and ascending, and weights: row `i` is
/// `indptr[i]..indptr[i + 1]`.
pub struct Rows<'a> {
    pub ids: Vec<&'a str>,
    pub indptr: Vec<i64>,
    pub terms: Vec<u32>,
    pub weights: Vec<f32>,
}

impl<B: Deref<Target = [u8]>> Reader<B> {
    /// Reads and checks all of `bytes`; `path` is for messages.
    pub fn open(bytes: B, path: &Path, interrupt: &Interrupt) -> Result<Self> {
        let path = path.display().to_string();
        let scan = Scan::of(&bytes, &path, interrupt)?;
        Ok(Self {
            path,
            description: scan.description,
            lists: scan.lists,
            documents: scan.documents,
            postings: scan.postings,
            largest: scan.largest,
            next: 0,
            bytes,
        })
    }

    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    pub fn postings(&self) -> u64 {
        self.postings
    }

    /// The largest weight, 0 when there is none.
    pub fn largest(&self) -> u32 {
        self.largest
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    /// All terms in ascending order; term number `t` of a row is the one at `t`.
    pub fn terms(&self) -> Result<Vec<&str>> {
        let terms = self.lists.iter().map(|list| self.text(&list.term));
        terms.collect()
    }

    /// The next documents whose rows fit `budget` bytes, at least one; `None` when all were taken.
    pub fn next_rows(&mut self, budget: usize) -> Result<Option<Rows<'_>>> {
        let taken = self.next..self.fitting(budget);
        let Some(documents) = self.documents.get(taken.clone()).filter(|d| !d.is_empty()) else {
            return Ok(None);
        };
        let mut rows = Filling::new(documents, taken.start);
        for (number, list) in (0..).zip(&mut self.lists) {
            let due = |posting: &Posting| (posting.document as usize) < taken.end;
            while let Some(posting) = list.next.filter(due) {
                let advanced = list.advance(&self.bytes, self.documents.len());
                let filled = rows.push(number, posting);
                if advanced.is_err() || filled.is_none() {
                    return Err(changed(&self.path));
                }
            }
        }
        self.next = taken.end;
        let documents = self.documents.get(taken).unwrap_or_default();
        let ids = documents.iter().map(|document| self.text(&document.id));
        Ok(Some(Rows {
            ids: ids.collect::<Result<_>>()?,
            indptr: rows.indptr,
            terms: rows.terms,
            weights: rows.weights,
        }))
    }

    /// The end of the documents from `next` that fit `budget` bytes.
    fn fitting(&self, budget: usize) -> usize {
        let mut left = budget;
        let mut end = self.next;
        for document in self.documents.get(self.next..).unwrap_or_default() {
            let postings = (document.postings as usize).saturating_mul(BYTES_PER_POSTING);
            let remaining = left.checked_sub(postings.saturating_add(BYTES_PER_DOCUMENT));
            if remaining.is_none() && end > self.next {
                break;
            }
            left = remaining.unwrap_or(0);
            end = end.saturating_add(1);
        }
        end
    }

    fn text(&self, range: &Range<usize>) -> Result<&str> {
        let bytes = self.bytes.get(range.clone()).unwrap_or_default();
        str::from_utf8(bytes).map_err(|_| changed(&self.path))
    }
}

fn changed(path: &str) -> Error {
    Error::InvalidInput(format!("{path}: the file changed while it was read"))
}

/// A batch of rows being filled, term by term.
struct Filling {
    first: usize,
    /// Where the next posting of each row goes.
    free: Vec<usize>,
    indptr: Vec<i64>,
    terms: Vec<u32>,
    weights: Vec<f32>,
}

impl Filling {
    fn new(documents: &[Document], first: usize) -> Self {
        let mut end = 0_usize;
        let ends = documents.iter().map(|document| {
            end = end.saturating_add(document.postings as usize);
            end
        });
        let mut free: Vec<usize> = [0].into_iter().chain(ends).collect();
        let indptr = free.iter().map(|start| *start as i64).collect();
        free.pop();
        Self {
            first,
            free,
            indptr,
            terms: vec![0; end],
            weights: vec![0.0; end],
        }
    }

    /// `None` when the document does not belong to the batch or has no place left.
    fn push(&mut self, term: u32, posting: Posting) -> Option<()> {
        let row = (posting.document as usize).checked_sub(self.first)?;
        let place = self.free.get_mut(row)?;
        *self.terms.get_mut(*place)? = term;
        *self.weights.get_mut(*place)? = posting.weight as f32;
        *place = place.saturating_add(1);
        Some(())
    }
}
