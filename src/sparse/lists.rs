//! The postings of a query's terms, window by window, with what is known of their largest impacts: the
//! bounds of blocks, and the scores of the documents of some blocks.

use std::cmp::Reverse;
use std::ops::Range;

use super::reader::{Run, SparseSegment};
use super::search::Part;
use crate::error::{Error, Result};
use crate::kernels::{self, Impact, WINDOW};

/// The lists of all windows of all segments.
#[derive(Default)]
pub struct Lists<'a> {
    pub windows: Vec<Window<'a>>,
    lists: Vec<List<'a>>,
    /// Maxima and weights of the lists that have a maximum for every block.
    rows: Vec<(&'a [Impact], u32)>,
    unbounded: u32,
}

pub struct Window<'a> {
    /// Position of its segment among the parts of the query.
    pub part: usize,
    first_slot: usize,
    /// Its blocks among those of all windows.
    pub blocks: Range<usize>,
    segment: &'a SparseSegment,
    lists: Range<usize>,
    rows: Range<usize>,
}

struct List<'a> {
    postings: &'a [Impact],
    maxima: &'a [Impact],
    /// Of the maxima, where not every block has one.
    blocks: &'a [u16],
    weight: u32,
    form: Form,
    /// Whether bounds count it.
    bounding: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// A maximum for every block.
    Every,
    /// Maxima for the blocks that have postings.
    Some,
    /// No maxima.
    Short,
}

/// Postings of a list that lie in one block.
#[derive(Clone, Copy)]
struct Hit {
    list: u32,
    start: u32,
    end: u32,
    /// Another hit in the same block, counted from 1, or 0.
    next: u32,
}

/// What the lists have in a group of blocks. Memory is kept from group to group.
#[derive(Default)]
pub struct Hits {
    hits: Vec<Hit>,
    /// First hit of each block of the group, counted from 1, or 0.
    first: Vec<u32>,
    /// Of the blocks of a window: place in the group, counted from 1, or 0. All 0 between uses.
    places: Vec<u32>,
}

impl Hits {
    fn push(&mut self, place: usize, list: usize, postings: Range<usize>) {
        self.hits.push(Hit {
            list: list as u32,
            start: postings.start as u32,
            end: postings.end as u32,
            next: self.first[place],
        });
        self.first[place] = self.hits.len() as u32;
    }
}

impl<'a> Lists<'a> {
    /// Bounds are made of the share `beta` of the terms, the heaviest.
    pub fn of(parts: &[&Part<'a>], beta: f32) -> Result<Self> {
        let mut lists = Self::default();
        for (number, part) in parts.iter().enumerate() {
            lists.add_part(number, part, beta)?;
        }
        Ok(lists)
    }

    fn add_part(&mut self, number: usize, part: &Part<'a>, beta: f32) -> Result<()> {
        let segment = part.segment;
        let mut terms = part.terms.clone();
        terms.sort_unstable_by_key(|(_, weight)| Reverse(*weight));
        let bounding = (terms.len() as f64 * f64::from(beta)).ceil() as usize;
        let (_, others) = terms.split_at(bounding.min(terms.len()));
        let unbounded = others
            .iter()
            .map(|(_, weight)| weight * u32::from(u8::MAX))
            .sum();
        self.unbounded = self.unbounded.max(unbounded);
        let mut cursors = Vec::with_capacity(terms.len());
        for (rank, &(term, weight)) in terms.iter().enumerate() {
            cursors.push((segment.runs(term)?, weight, rank < bounding));
        }
        while let Some(window) = cursors.iter().filter_map(|(runs, ..)| runs.window()).min() {
            let blocks = segment.window_len(window)?.div_ceil(segment.block());
            let first = self.blocks();
            let (lists, rows) = (self.lists.len(), self.rows.len());
            for (runs, weight, bounding) in &mut cursors {
                if runs.window() == Some(window)
                    && let Some(run) = runs.take()?
                {
                    self.add_run(segment, run, *weight, *bounding, blocks)?;
                }
            }
            self.windows.push(Window {
                part: number,
                first_slot: window as usize * WINDOW,
                blocks: first..first + blocks,
                segment,
                lists: lists..self.lists.len(),
                rows: rows..self.rows.len(),
            });
        }
        Ok(())
    }

    fn add_run(
        &mut self,
        segment: &SparseSegment,
        run: Run<'a>,
        weight: u32,
        bounding: bool,
        blocks: usize,
    ) -> Result<()> {
        let form = match (run.maxima.len(), run.blocks.len()) {
            (0, 0) => Form::Short,
            (maxima, 0) if maxima == blocks => Form::Every,
            (maxima, named) if maxima == named => Form::Some,
            _ => {
                return Err(segment
                    .file()
                    .corrupt("a run with too few or too many maxima"));
            }
        };
        // They are read soon, one list after the other.
        if let ([maximum, ..], [block, ..]) = (run.maxima, run.blocks) {
            kernels::prefetch(maximum);
            kernels::prefetch(block);
        }
        if bounding && form == Form::Every {
            self.rows.push((run.maxima, weight));
        }
        self.lists.push(List {
            postings: run.postings,
            maxima: run.maxima,
            blocks: run.blocks,
            weight,
            form,
            bounding,
        });
        Ok(())
    }

    /// Blocks of all windows.
    pub fn blocks(&self) -> usize {
        self.windows.last().map_or(0, |window| window.blocks.end)
    }

    /// The most that the terms which bounds leave out add to a score.
    pub fn unbounded(&self) -> u32 {
        self.unbounded
    }

    /// The window of a block.
    pub fn window(&self, block: usize) -> usize {
        self.windows
            .partition_point(|window| window.blocks.end <= block)
    }

    /// Sets `bounds` to the most that a document of each block can score.
    pub fn bound(&self, bounds: &mut Vec<u32>) -> Result<()> {
        bounds.clear();
        bounds.resize(self.blocks(), 0);
        for window in &self.windows {
            let bounds = &mut bounds[window.blocks.clone()];
            kernels::add_maxima(bounds, &self.rows[window.rows.clone()]);
            for list in self.lists[window.lists.clone()]
                .iter()
                .filter(|list| list.bounding)
            {
                let added = match list.form {
                    Form::Every => Some(()),
                    Form::Some => list.add_maxima(bounds),
                    Form::Short => list.add_postings(bounds, window.shift()),
                };
                added.ok_or_else(|| window.corrupt())?;
            }
        }
        Ok(())
    }

    /// Finds what the lists have in a group of blocks, ascending.
    pub fn find(&self, group: &[u32], hits: &mut Hits) {
        hits.hits.clear();
        hits.first.clear();
        hits.first.resize(group.len(), 0);
        let mut start = 0;
        while let Some(&first) = group.get(start) {
            let window = &self.windows[self.window(first as usize)];
            let rest = &group[start..];
            let end = start + rest.partition_point(|number| (*number as usize) < window.blocks.end);
            self.find_in_window(window, group, start..end, hits);
            start = end;
        }
    }

    fn find_in_window(
        &self,
        window: &Window<'_>,
        group: &[u32],
        range: Range<usize>,
        hits: &mut Hits,
    ) {
        let local = |place: usize| group[place] as usize - window.blocks.start;
        let mut places = std::mem::take(&mut hits.places);
        places.resize(window.blocks.len().max(places.len()), 0);
        for place in range.clone() {
            places[local(place)] = place as u32 + 1;
        }
        for number in window.lists.clone() {
            let list = &self.lists[number];
            match list.form {
                Form::Every => {
                    for place in range.clone() {
                        let block = local(place);
                        if list.maxima[block].value != 0 {
                            hits.push(place, number, list.block(block));
                        }
                    }
                }
                Form::Some if range.len() * SEARCH < list.blocks.len() => {
                    for place in range.clone() {
                        if let Ok(position) = list.blocks.binary_search(&(local(place) as u16)) {
                            hits.push(place, number, list.block(position));
                        }
                    }
                }
                Form::Some => {
                    for (position, &block) in list.blocks.iter().enumerate() {
                        if let Some(place @ 1..) = places.get(usize::from(block)).copied() {
                            hits.push(place as usize - 1, number, list.block(position));
                        }
                    }
                }
                Form::Short => {
                    for (position, posting) in list.postings.iter().enumerate() {
                        let block = usize::from(posting.place) >> window.shift();
                        if let Some(place @ 1..) = places.get(block).copied() {
                            hits.push(place as usize - 1, number, position..position + 1);
                        }
                    }
                }
            }
        }
        for place in range {
            places[local(place)] = 0;
        }
        hits.places = places;
    }

    /// Asks for the postings in the block at a place of the group.
    pub fn prefetch(&self, hits: &Hits, place: u32) {
        let mut next = hits.first[place as usize];
        while next != 0 {
            let hit = hits.hits[next as usize - 1];
            let list = &self.lists[hit.list as usize];
            if let Some(posting) = list.postings.get(hit.start as usize) {
                kernels::prefetch(posting);
            }
            next = hit.next;
        }
    }

    /// Adds up the scores of the documents in the block at a place of the group; one for each slot of a
    /// whole block.
    pub fn score(&self, hits: &Hits, place: u32, scores: &mut [u32]) -> Result<()> {
        let low = scores.len() - 1;
        let mut next = hits.first[place as usize];
        while next != 0 {
            let hit = hits.hits[next as usize - 1];
            let list = &self.lists[hit.list as usize];
            let postings = list.postings.get(hit.start as usize..hit.end as usize);
            for &Impact { place, value } in postings.ok_or_else(|| self.windows[0].corrupt())? {
                let score = &mut scores[usize::from(place) & low];
                *score = score.wrapping_add(list.weight * u32::from(value));
            }
            next = hit.next;
        }
        Ok(())
    }
}

impl Window<'_> {
    /// Slots in a block.
    pub fn block(&self) -> usize {
        self.segment.block()
    }

    /// The slots of one of its blocks.
    pub fn slots(&self, block: usize) -> Range<usize> {
        let start = self.first_slot + (block - self.blocks.start) * self.block();
        start..(start + self.block()).min(self.segment.documents())
    }

    fn shift(&self) -> u32 {
        self.segment.block().trailing_zeros()
    }

    fn corrupt(&self) -> Error {
        self.segment
            .file()
            .corrupt("a posting lies behind the last document")
    }
}

/// Reading a block of a list of so many blocks is found sooner by search than by going through all.
const SEARCH: usize = 25;

impl List<'_> {
    /// `None` when a block is not there.
    fn add_maxima(&self, bounds: &mut [u32]) -> Option<()> {
        for (&block, maximum) in self.blocks.iter().zip(self.maxima) {
            let bound = bounds.get_mut(usize::from(block))?;
            *bound = bound.wrapping_add(self.weight * u32::from(maximum.value));
        }
        Some(())
    }

    /// Adds the largest impact of each block; `None` when a block is not there.
    fn add_postings(&self, bounds: &mut [u32], shift: u32) -> Option<()> {
        let mut previous = (usize::MAX, 0);
        for &Impact { place, value } in self.postings {
            let block = usize::from(place) >> shift;
            let before = if previous.0 == block { previous.1 } else { 0 };
            let largest = value.max(before);
            let bound = bounds.get_mut(block)?;
            *bound = bound.wrapping_add(self.weight * u32::from(largest - before));
            previous = (block, largest);
        }
        Some(())
    }

    /// The postings behind a maximum.
    fn block(&self, position: usize) -> Range<usize> {
        let end = self.maxima.get(position + 1).map(|next| next.place);
        let start = self.maxima[position].place;
        usize::from(start)..end.map_or(self.postings.len(), usize::from)
    }
}
