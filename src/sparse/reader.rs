//! The sparse file of a segment, mapped. Values are checked where they are used, so that a damaged file
//! gives an error, never an access out of bounds.

use std::ops::Range;

use fixedbitset::FixedBitSet;
use half::f16;

use super::writer::RunRecord;
use crate::error::{Error, Result};
use crate::kernels::{Impact, WINDOW};
use crate::storage::keys::{Key, KeyColumn, KeyKind};
use crate::storage::section::{Array, SectionFile};

pub struct SparseSegment {
    file: SectionFile,
    pub terms: KeyColumn,
    /// Slots in a block.
    block: usize,
    documents: usize,
    /// Both empty where every document is in the slot of its own number.
    slot_documents: Array<u32>,
    document_slots: Array<u32>,
    term_runs: Array<u32>,
    /// One more than there are runs.
    runs: Array<RunRecord>,
    maxima: Array<Impact>,
    maxima_blocks: Array<u16>,
    postings: Array<Impact>,
    row_starts: Array<u32>,
    row_terms: RowTerms,
    row_impacts: Array<u8>,
    /// Where the index keeps weights in 16 bits.
    row_steps: Option<Array<f16>>,
}

/// Terms of all rows; 16 bits each where the segment has no more than 65,536 terms.
enum RowTerms {
    Narrow(Array<u16>),
    Wide(Array<u32>),
}

/// The postings of a term in a window, in ascending order of slots, which count from its start.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub window: u32,
    pub postings: &'a [Impact],
    /// The largest impact in each block of the window. There are none where a run is so short that
    /// reading all of it is as quick.
    pub maxima: &'a [Impact],
    /// The blocks that the maxima are of, ascending, where not every block has one.
    pub blocks: &'a [u16],
}

impl SparseSegment {
    /// `block` is a power of two, at most `WINDOW`; `steps` says whether there are weights in 16 bits.
    pub fn open(
        file: SectionFile,
        kind: KeyKind,
        block: usize,
        steps: bool,
        documents: u32,
    ) -> Result<Self> {
        let documents = documents as usize;
        let terms = KeyColumn::open(&file, "terms", kind)?;
        let postings: Array<Impact> = file.array("postings")?;
        let row_terms = match terms.len() <= 1 << 16 {
            true => RowTerms::Narrow(file.array_of("row_terms", postings.len())?),
            false => RowTerms::Wide(file.array_of("row_terms", postings.len())?),
        };
        let slot_documents: Array<u32> = file.array("slot_documents")?;
        if !slot_documents.is_empty() && slot_documents.len() != documents {
            return Err(file.corrupt("slot_documents: not one for each document"));
        }
        Ok(Self {
            document_slots: file.array_of("document_slots", slot_documents.len())?,
            term_runs: file.array_of("term_runs", terms.len() + 1)?,
            runs: file.array("runs")?,
            maxima: file.array("maxima")?,
            maxima_blocks: file.array("maxima_blocks")?,
            row_starts: file.array_of("row_starts", documents + 1)?,
            row_impacts: file.array_of("row_impacts", postings.len())?,
            row_steps: steps
                .then(|| file.array_of("row_steps", postings.len()))
                .transpose()?,
            terms,
            block,
            documents,
            slot_documents,
            postings,
            row_terms,
            file,
        })
    }

    pub fn documents(&self) -> usize {
        self.documents
    }

    pub fn postings(&self) -> usize {
        self.postings.len()
    }

    /// Slots in a block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// The document in a slot.
    pub fn document(&self, slot: usize) -> Result<u32> {
        let document = match self.slot_documents.is_empty() {
            true => Some(slot as u32),
            false => self.slot_documents.get(slot).copied(),
        };
        let known = document.filter(|document| (*document as usize) < self.documents);
        known.ok_or_else(|| self.file.corrupt(format!("document in slot {slot}")))
    }

    /// The slots of a set of documents.
    pub fn slots(&self, documents: &FixedBitSet) -> Result<FixedBitSet> {
        if self.document_slots.is_empty() {
            return Ok(documents.clone());
        }
        let mut slots = FixedBitSet::with_capacity(self.documents);
        for document in documents.ones() {
            let slot = self.document_slots.get(document);
            let slot = slot.filter(|slot| (**slot as usize) < self.documents);
            let broken = || self.file.corrupt(format!("slot of document {document}"));
            slots.insert(*slot.ok_or_else(broken)? as usize);
        }
        Ok(slots)
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
        let records = pair(&self.term_runs, term)
            .and_then(|range| self.runs.get(range.start..range.end + 1))
            .ok_or_else(|| self.file.corrupt(format!("runs of term {term}")))?;
        Ok(Runs {
            records,
            segment: self,
        })
    }

    /// Number of documents that have a term, deleted ones included.
    pub fn document_frequency(&self, term: u32) -> Result<u32> {
        let records = self.runs(term)?.records;
        let ends = records.first().zip(records.last());
        Ok(ends.map_or(0, |(first, end)| {
            end.postings.saturating_sub(first.postings)
        }))
    }

    /// Terms and impacts of a document, terms ascending.
    pub fn row(&self, document: u32) -> Result<impl Iterator<Item = (u32, u8)> + '_> {
        let (range, terms) = self.row_terms(document)?;
        let impacts = self.row_impacts.get(range);
        let impacts = impacts.ok_or_else(|| self.broken_row(document))?;
        Ok(terms.zip(impacts.iter().copied()))
    }

    /// Terms of a document with their weights in steps: in 16 bits, or impacts where there are no others.
    pub fn weighted_row(&self, document: u32) -> Result<impl Iterator<Item = (u32, f16)> + '_> {
        let broken = || self.broken_row(document);
        let (range, terms) = self.row_terms(document)?;
        let (steps, impacts): (&[f16], &[u8]) = match &self.row_steps {
            Some(steps) => (steps.get(range).ok_or_else(broken)?, &[]),
            None => (&[], self.row_impacts.get(range).ok_or_else(broken)?),
        };
        let impacts = impacts.iter().map(|impact| f16::from(*impact));
        Ok(terms.zip(steps.iter().copied().chain(impacts)))
    }

    fn row_terms(&self, document: u32) -> Result<(Range<usize>, impl Iterator<Item = u32> + '_)> {
        let broken = || self.broken_row(document);
        let range = pair(&self.row_starts, document).ok_or_else(broken)?;
        let (narrow, wide): (&[u16], &[u32]) = match &self.row_terms {
            RowTerms::Narrow(terms) => (terms.get(range.clone()).ok_or_else(broken)?, &[]),
            RowTerms::Wide(terms) => (&[], terms.get(range.clone()).ok_or_else(broken)?),
        };
        let narrow = narrow.iter().map(|&term| u32::from(term));
        Ok((range, narrow.chain(wide.iter().copied())))
    }

    fn broken_row(&self, document: u32) -> Error {
        self.file.corrupt(format!("row of document {document}"))
    }

    /// Checks that every posting belongs to one term and one document, so that reading all of them takes
    /// no longer than the file is long. `open` leaves that out, to stay independent of the size.
    pub fn check_lists(&self) -> Result<()> {
        let ends = |starts: &[u32]| starts.first().copied().zip(starts.last().copied());
        let fits = |starts: &[u32], end| ends(starts) == Some((0, end)) && starts.is_sorted();
        let runs: Vec<u32> = self.runs.iter().map(|run| run.postings).collect();
        let postings = self.postings.len() as u32;
        match fits(&self.row_starts, postings)
            && fits(&runs, postings)
            && fits(&self.term_runs, runs.len() as u32 - 1)
        {
            true => Ok(()),
            false => Err(self
                .file
                .corrupt("the lists of postings overlap or leave gaps")),
        }
    }

    /// Slots of a window.
    pub fn window_len(&self, window: u32) -> Result<usize> {
        let start = window as usize * WINDOW;
        let slots = self.documents.saturating_sub(start).min(WINDOW);
        match slots {
            0 => Err(self.file.corrupt("a run lies behind the last document")),
            slots => Ok(slots),
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
    /// One more than there are runs left.
    records: &'a [RunRecord],
    segment: &'a SparseSegment,
}

impl<'a> Runs<'a> {
    /// The window of the next run, without taking it.
    pub fn window(&self) -> Option<u32> {
        match self.records {
            [run, _, ..] => Some(run.window),
            _ => None,
        }
    }

    /// Takes the next run.
    pub fn take(&mut self) -> Result<Option<Run<'a>>> {
        let (segment, file) = (self.segment, &self.segment.file);
        let [run, next, ..] = self.records else {
            return Ok(None);
        };
        self.records = &self.records[1..];
        if self.window().is_some_and(|window| window <= run.window) {
            return Err(file.corrupt("the windows of a term do not ascend"));
        }
        let range = |start: u32, end: u32| start as usize..end as usize;
        let postings = segment.postings.get(range(run.postings, next.postings));
        let maxima = segment.maxima.get(range(run.maxima, next.maxima));
        let blocks = segment.maxima_blocks.get(range(run.blocks, next.blocks));
        match (postings, maxima, blocks) {
            (Some(postings), Some(maxima), Some(blocks)) => Ok(Some(Run {
                window: run.window,
                postings,
                maxima,
                blocks,
            })),
            _ => Err(file.corrupt("a run passes the end of the postings or their maxima")),
        }
    }
}
