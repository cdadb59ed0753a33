//! Rows of a buffer as a source of postings: terms numbered in ascending order, weights quantised. The
//! buffer stays as it is, so that an interrupted flush can be tried again.

use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use super::buffer::SparseBuffer;
use super::quantize::Scale;
use super::writer::{Source, check_now_and_then};
use crate::error::Result;
use crate::pool::{self, Interrupt};
use crate::storage::keys::Key;

pub struct Flush<'a> {
    buffer: &'a SparseBuffer,
    /// For each term, its number in the buffer; ascending by key.
    terms: Vec<u32>,
    rows: Lists,
}

/// Lists of numbers with impacts, and weights in steps: list `i` is `starts[i]..starts[i + 1]`.
struct Lists {
    starts: Vec<u32>,
    numbers: Vec<u32>,
    impacts: Vec<u8>,
    steps: Vec<f16>,
}

/// What a posting takes in a `Flush`.
pub const BYTES_PER_POSTING: usize = 4 + 1 + 2;

impl<'a> Flush<'a> {
    /// Takes the rows numbered in `rows`; `weigh(row, weight)` gives the weight of a posting, `steps` says
    /// whether it is kept in 16 bits as well.
    pub fn new(
        buffer: &'a SparseBuffer,
        rows: &[u32],
        scale: Scale,
        steps: bool,
        mut weigh: impl FnMut(u32, f32) -> f32,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let (terms, rank) = sorted_terms(buffer, rows)?;
        let mut lists = Lists {
            starts: vec![0],
            numbers: vec![],
            impacts: vec![],
            steps: vec![],
        };
        let mut sorted: Vec<(u32, f32)> = vec![];
        for (document, &row) in (0..).zip(rows) {
            check_now_and_then(document, interrupt)?;
            sorted.clear();
            let postings = buffer.row(row);
            sorted.extend(postings.map(|(term, w)| (rank[term as usize], weigh(row, w))));
            sorted.sort_unstable_by_key(|(term, _)| *term);
            lists.push(&sorted, scale);
            if steps {
                let weights = sorted.iter().map(|(_, weight)| scale.steps(*weight));
                lists.steps.extend(weights);
            }
        }
        Ok(Self {
            buffer,
            terms,
            rows: lists,
        })
    }
}

/// The terms that some of the rows have, in ascending order, and the rank of each term of the buffer.
fn sorted_terms(buffer: &SparseBuffer, rows: &[u32]) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut used = vec![false; buffer.dictionary_len()];
    for &row in rows {
        buffer
            .row(row)
            .for_each(|(term, _)| used[term as usize] = true);
    }
    let mut terms: Vec<u32> = (0..)
        .zip(&used)
        .filter(|(_, used)| **used)
        .map(|(t, _)| t)
        .collect();
    pool::run(0, || {
        terms.par_sort_unstable_by_key(|&term| buffer.key(term))
    })?;
    let mut rank = vec![0; used.len()];
    for (new, &term) in (0..).zip(&terms) {
        rank[term as usize] = new;
    }
    Ok((terms, rank))
}

impl Lists {
    fn push(&mut self, list: &[(u32, f32)], scale: Scale) {
        self.numbers.extend(list.iter().map(|(term, _)| *term));
        self.impacts
            .extend(list.iter().map(|(_, weight)| scale.impact(*weight)));
        self.starts.push(self.numbers.len() as u32);
    }

    fn range(&self, list: u32) -> Range<usize> {
        let list = list as usize;
        self.starts[list] as usize..self.starts[list + 1] as usize
    }

    fn list(&self, list: u32) -> impl Iterator<Item = (u32, u8)> + '_ {
        let range = self.range(list);
        let impacts = self.impacts[range.clone()].iter().copied();
        self.numbers[range].iter().copied().zip(impacts)
    }
}

impl Source for Flush<'_> {
    fn documents(&self) -> u32 {
        self.rows.starts.len() as u32 - 1
    }

    fn terms(&self) -> u32 {
        self.terms.len() as u32
    }

    fn key(&self, term: u32) -> Result<Key<'_>> {
        Ok(self.buffer.key(self.terms[term as usize]))
    }

    fn row(&self, document: u32, mut visit: impl FnMut(u32, u8) -> Result<()>) -> Result<()> {
        self.rows
            .list(document)
            .try_for_each(|(term, impact)| visit(term, impact))
    }

    fn steps(&self, document: u32, visit: impl FnMut(f16) -> Result<()>) -> Result<()> {
        let steps = &self.rows.steps[self.rows.range(document)];
        steps.iter().copied().try_for_each(visit)
    }
}
