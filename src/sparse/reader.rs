//! The sparse file of a segment, mapped. Values are checked where they are used, so that a damaged file
//! gives an error, never an access out of bounds.

use std::ops::Range;

use crate::error::Result;
use crate::storage::keys::{Key, KeyColumn, KeyKind};
use crate::storage::section::{Array, SectionFile};

pub struct SparseSegment {
    file: SectionFile,
    pub terms: KeyColumn,
    term_runs: Array<u32>,
    run_windows: Array<u32>,
    run_starts: Array<u32>,
    posting_documents: Array<u16>,
    posting_impacts: Array<u8>,
    row_starts: Array<u32>,
    row_terms: RowTerms,
    row_impacts: Array<u8>,
}

/// Terms of all rows; 16 bits each where the segment has no more than 65,536 terms.
enum RowTerms {
    Narrow(Array<u16>),
    Wide(Array<u32>),
}

/// The postings of a term in a window. Documents count from the start of the window.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub window: u32,
    pub documents: &'a [u16],
    pub impacts: &'a [u8],
}

impl SparseSegment {
    pub fn open(file: SectionFile, kind: KeyKind, documents: u32) -> Result<Self> {
        let terms = KeyColumn::open(&file, "terms", kind)?;
        let run_windows: Array<u32> = file.array("run_windows")?;
        let posting_impacts: Array<u8> = file.array("posting_impacts")?;
        let postings = posting_impacts.len();
        let row_terms = match terms.len() <= 1 << 16 {
            true => RowTerms::Narrow(file.array_of("row_terms", postings)?),
            false => RowTerms::Wide(file.array_of("row_terms", postings)?),
        };
        Ok(Self {
            term_runs: file.array_of("term_runs", terms.len() + 1)?,
            run_starts: file.array_of("run_starts", run_windows.len() + 1)?,
            posting_documents: file.array_of("posting_docs", postings)?,
            row_starts: file.array_of("row_starts", documents as usize + 1)?,
            row_impacts: file.array_of("row_impacts", postings)?,
            terms,
            run_windows,
            posting_impacts,
            row_terms,
            file,
        })
    }

    pub fn documents(&self) -> u32 {
        self.row_starts.len() as u32 - 1
    }

    /// Number of a term, if the segment has it.
    pub fn find(&self, term: Key<'_>) -> Option<u32> {
        self.terms.find(term).map(|term| term as u32)
    }

    pub fn key(&self, term: u32) -> Result<Key<'_>> {
        let key = self.terms.get(term as usize);
        key.ok_or_else(|| self.file.corrupt(format!("term {term} is damaged")))
    }

    /// The runs of a term, in ascending order of windows.
    pub fn runs(&self, term: u32) -> Result<Runs<'_>> {
        let range = pair(&self.term_runs, term).filter(|runs| runs.end <= self.run_windows.len());
        let range = range.ok_or_else(|| self.file.corrupt(format!("runs of term {term}")))?;
        Ok(Runs {
            windows: &self.run_windows[range.clone()],
            starts: &self.run_starts[range.start..=range.end],
            documents: &self.posting_documents,
            impacts: &self.posting_impacts,
            file: &self.file,
        })
    }

    /// Number of documents that have a term, deleted ones included.
    pub fn document_frequency(&self, term: u32) -> Result<u32> {
        let runs = self.runs(term)?;
        let ends = runs.starts.first().zip(runs.starts.last());
        Ok(ends.map_or(0, |(first, last)| last.saturating_sub(*first)))
    }

    /// Terms and impacts of a document, terms ascending.
    pub fn row(&self, document: u32) -> Result<impl Iterator<Item = (u32, u8)> + '_> {
        let broken = || self.file.corrupt(format!("row of document {document}"));
        let range = pair(&self.row_starts, document).ok_or_else(broken)?;
        let impacts = self.row_impacts.get(range.clone()).ok_or_else(broken)?;
        let (narrow, wide): (&[u16], &[u32]) = match &self.row_terms {
            RowTerms::Narrow(terms) => (terms.get(range).ok_or_else(broken)?, &[]),
            RowTerms::Wide(terms) => (&[], terms.get(range).ok_or_else(broken)?),
        };
        let terms = narrow
            .iter()
            .map(|&term| u32::from(term))
            .chain(wide.iter().copied());
        Ok(terms.zip(impacts.iter().copied()))
    }

    /// Checks that every posting belongs to one term and one document, so that reading all of them takes
    /// no longer than the file is long. `open` leaves that out, to stay independent of the size.
    pub fn check_lists(&self) -> Result<()> {
        let postings = self.posting_impacts.len();
        let lists = [
            (&self.term_runs, self.run_windows.len()),
            (&self.run_starts, postings),
            (&self.row_starts, postings),
        ];
        let fits = |starts: &[u32], end: usize| {
            let ends = starts.first().copied().zip(starts.last().copied());
            ends == Some((0, end as u32)) && starts.is_sorted()
        };
        match lists.iter().all(|(starts, end)| fits(starts, *end)) {
            true => Ok(()),
            false => Err(self
                .file
                .corrupt("the lists of postings overlap or leave gaps")),
        }
    }

    pub fn file(&self) -> &SectionFile {
        &self.file
    }
}

/// The range that item `number` of a list of starts begins, where it is one.
fn pair(starts: &[u32], number: u32) -> Option<Range<usize>> {
    let start = *starts.get(number as usize)? as usize;
    let end = *starts.get(number as usize + 1)? as usize;
    (start <= end).then_some(start..end)
}

/// The runs of one term.
#[derive(Clone, Copy)]
pub struct Runs<'a> {
    windows: &'a [u32],
    starts: &'a [u32],
    documents: &'a [u16],
    impacts: &'a [u8],
    file: &'a SectionFile,
}

impl<'a> Runs<'a> {
    /// The next run, without taking it.
    pub fn window(&self) -> Option<u32> {
        self.windows.first().copied()
    }

    /// Takes the next run.
    pub fn take(&mut self) -> Result<Option<Run<'a>>> {
        let Some((&window, windows)) = self.windows.split_first() else {
            return Ok(None);
        };
        if windows.first().is_some_and(|next| *next <= window) {
            return Err(self.file.corrupt("the windows of a term do not ascend"));
        }
        let Some(range) = pair(self.starts, 0) else {
            return Err(self.file.corrupt("the starts of the runs do not ascend"));
        };
        let postings = self
            .documents
            .get(range.clone())
            .zip(self.impacts.get(range));
        let Some((documents, impacts)) = postings else {
            return Err(self.file.corrupt("a run passes the end of the postings"));
        };
        self.windows = windows;
        self.starts = &self.starts[1..];
        Ok(Some(Run {
            window,
            documents,
            impacts,
        }))
    }
}
