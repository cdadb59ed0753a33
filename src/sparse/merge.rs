//! Several segments as the source of one: dictionaries joined, deleted documents left out, everything
//! read from the mapped files as it is written. Memory: four bytes for each term of each segment.

use fixedbitset::FixedBitSet;
use half::f16;

use super::reader::SparseSegment;
use super::writer::{Source, check_now_and_then};
use crate::error::Result;
use crate::kernels::{Impact, WINDOW};
use crate::pool::Interrupt;
use crate::storage::keys::Key;

/// Where the documents of the new segment come from, in its order.
pub struct DocumentMap {
    /// Segment and document in it, for each new document.
    pub origins: Vec<(u32, u32)>,
    /// New number of each old document of each segment; `DELETED` for those left out.
    renumbered: Vec<Vec<u32>>,
}

const DELETED: u32 = u32::MAX;

impl DocumentMap {
    /// Takes the documents of each segment, in order, that are not deleted.
    pub fn new<'a>(segments: impl Iterator<Item = (u32, &'a FixedBitSet)>) -> Self {
        let mut map = Self {
            origins: vec![],
            renumbered: vec![],
        };
        for (segment, (documents, deleted)) in segments.enumerate() {
            let mut numbers = vec![DELETED; documents as usize];
            for (document, number) in numbers.iter_mut().enumerate() {
                if !deleted.contains(document) {
                    *number = map.origins.len() as u32;
                    map.origins.push((segment as u32, document as u32));
                }
            }
            map.renumbered.push(numbers);
        }
        map
    }

    fn new_number(&self, segment: usize, document: u32) -> Option<u32> {
        let number = *self.renumbered.get(segment)?.get(document as usize)?;
        (number != DELETED).then_some(number)
    }
}

pub struct Merge<'a> {
    segments: Vec<&'a SparseSegment>,
    map: &'a DocumentMap,
    /// Segment and term in it, for all new terms one after the other.
    occurrences: Vec<(u32, u32)>,
    /// Occurrences of new term `t` are `starts[t]..starts[t + 1]`.
    starts: Vec<u32>,
    /// New number of each old term of each segment.
    renumbered: Vec<Vec<u32>>,
}

impl<'a> Merge<'a> {
    pub fn new(
        segments: Vec<&'a SparseSegment>,
        map: &'a DocumentMap,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        segments
            .iter()
            .try_for_each(|segment| segment.check_lists())?;
        let renumbered = segments.iter().map(|s| vec![0; s.terms.len()]).collect();
        let mut merge = Self {
            segments,
            map,
            occurrences: vec![],
            starts: vec![0],
            renumbered,
        };
        merge.join_dictionaries(interrupt)?;
        Ok(merge)
    }

    fn join_dictionaries(&mut self, interrupt: &Interrupt) -> Result<()> {
        let mut next = vec![0_u32; self.segments.len()];
        while let Some(smallest) = self.smallest(&next)? {
            check_now_and_then(self.starts.len() as u32, interrupt)?;
            let first = self.occurrences.len();
            for (segment, next) in next.iter_mut().enumerate() {
                let terms = &self.segments[segment].terms;
                if terms.compare(*next as usize, smallest) == Some(std::cmp::Ordering::Equal) {
                    if self.is_alive(segment, *next)? {
                        self.occurrences.push((segment as u32, *next));
                    }
                    self.renumbered[segment][*next as usize] = self.starts.len() as u32 - 1;
                    *next += 1;
                }
            }
            if self.occurrences.len() > first {
                self.starts.push(self.occurrences.len() as u32);
            }
        }
        Ok(())
    }

    /// The smallest of the next terms of all segments.
    fn smallest(&self, next: &[u32]) -> Result<Option<Key<'a>>> {
        let mut smallest = None;
        for (segment, &next) in self.segments.iter().zip(next) {
            if (next as usize) < segment.terms.len() {
                let key = segment.key(next)?;
                smallest = Some(smallest.map_or(key, |smallest: Key<'a>| smallest.min(key)));
            }
        }
        Ok(smallest)
    }

    /// True when a document that stays has the term.
    fn is_alive(&self, segment: usize, term: u32) -> Result<bool> {
        let mut runs = self.segments[segment].runs(term)?;
        while let Some(run) = runs.take()? {
            let start = run.window as usize * WINDOW;
            for &Impact { place, .. } in run.postings {
                let document = self.segments[segment].document(start + usize::from(place))?;
                if self.map.new_number(segment, document).is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Source for Merge<'_> {
    fn documents(&self) -> u32 {
        self.map.origins.len() as u32
    }

    fn terms(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    fn key(&self, term: u32) -> Result<Key<'_>> {
        let (segment, term) = self.occurrences[self.starts[term as usize] as usize];
        self.segments[segment as usize].key(term)
    }

    fn row(&self, document: u32, mut visit: impl FnMut(u32, u8) -> Result<()>) -> Result<()> {
        let (segment, document) = self.map.origins[document as usize];
        let renumbered = &self.renumbered[segment as usize];
        for (term, impact) in self.segments[segment as usize].row(document)? {
            // A term that only deleted documents have has no number of its own.
            let term = renumbered.get(term as usize).copied();
            let term = term.filter(|term| *term < self.terms());
            let file = self.segments[segment as usize].file();
            visit(term.ok_or_else(|| file.corrupt("term of a row"))?, impact)?;
        }
        Ok(())
    }

    fn steps(&self, document: u32, mut visit: impl FnMut(f16) -> Result<()>) -> Result<()> {
        let (segment, document) = self.map.origins[document as usize];
        let mut row = self.segments[segment as usize].weighted_row(document)?;
        row.try_for_each(|(_, steps)| visit(steps))
    }
}
