//! Rows turned into postings by term, in the order of slots, a range of terms at a time so that memory
//! stays within a limit.

use std::ops::Range;

use super::writer::{Source, check_now_and_then};
use crate::error::Result;
use crate::pool::Interrupt;

/// What a posting takes while its range of terms is in memory.
pub const BYTES_PER_POSTING: usize = 4 + 1;

/// All postings of a source, as many terms at once as memory allows.
pub struct Inversion<'a, S> {
    source: &'a S,
    /// Document in each slot.
    order: &'a [u32],
    ranges: Vec<Range<u32>>,
    /// Number of documents of each term.
    frequencies: &'a [u32],
    /// The range held in memory.
    held: Option<(Range<u32>, Postings)>,
}

/// Postings of term `first + t` are `starts[t]..starts[t + 1]`.
struct Postings {
    starts: Vec<usize>,
    slots: Vec<u32>,
    impacts: Vec<u8>,
}

impl<'a, S: Source> Inversion<'a, S> {
    /// `memory` is in bytes; the postings of one term may exceed it.
    pub fn new(source: &'a S, order: &'a [u32], frequencies: &'a [u32], memory: usize) -> Self {
        let room = memory / BYTES_PER_POSTING;
        let mut ranges: Vec<Range<u32>> = vec![];
        let mut postings = 0;
        for (term, &frequency) in (0..).zip(frequencies) {
            postings += frequency as usize;
            match ranges.last_mut() {
                Some(range) if postings <= room => range.end = term + 1,
                _ => {
                    postings = frequency as usize;
                    ranges.push(term..term + 1);
                }
            }
        }
        Self {
            source,
            order,
            ranges,
            frequencies,
            held: None,
        }
    }

    /// Calls `visit(slots, impacts)` for each term in turn, slots ascending.
    pub fn each_term(
        &mut self,
        interrupt: &Interrupt,
        mut visit: impl FnMut(&[u32], &[u8]) -> Result<()>,
    ) -> Result<()> {
        for range in self.ranges.clone() {
            let postings = match self.held.take() {
                Some((held, postings)) if held == range => postings,
                _ => self.invert(&range, interrupt)?,
            };
            for (number, bounds) in (0..).zip(postings.starts.windows(2)) {
                check_now_and_then(number, interrupt)?;
                let list = bounds[0]..bounds[1];
                visit(&postings.slots[list.clone()], &postings.impacts[list])?;
            }
            self.held = Some((range, postings));
        }
        Ok(())
    }

    fn invert(&self, terms: &Range<u32>, interrupt: &Interrupt) -> Result<Postings> {
        let frequencies = &self.frequencies[terms.start as usize..terms.end as usize];
        let mut starts = vec![0];
        let mut end = 0;
        starts.extend(frequencies.iter().map(|&frequency| {
            end += frequency as usize;
            end
        }));
        let mut next = starts.clone();
        let mut postings = Postings {
            starts,
            slots: vec![0; end],
            impacts: vec![0; end],
        };
        for (slot, &document) in (0..).zip(self.order) {
            check_now_and_then(slot, interrupt)?;
            self.source.row(document, |term, impact| {
                if terms.contains(&term) {
                    let next = &mut next[(term - terms.start) as usize];
                    postings.slots[*next] = slot;
                    postings.impacts[*next] = impact;
                    *next += 1;
                }
                Ok(())
            })?;
        }
        Ok(postings)
    }
}
