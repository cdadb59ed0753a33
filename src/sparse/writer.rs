//! Writes the sparse file of a segment from anything that can list the rows of its documents: rows in
//! memory (`flush`) or other segments (`merge`).

use std::time::{Duration, Instant};

use bytemuck::{AnyBitPattern, NoUninit};
use half::f16;

use super::invert::Inversion;
use super::reorder;
use crate::error::Result;
use crate::kernels::{Impact, WINDOW};
use crate::pool::Interrupt;
use crate::storage::keys::{Key, KeyKind, write_keys};
use crate::storage::section::SectionWriter;

/// Documents and terms are numbered from 0.
pub trait Source {
    fn documents(&self) -> u32;
    /// Every term has a posting.
    fn terms(&self) -> u32;
    fn key(&self, term: u32) -> Result<Key<'_>>;
    /// Calls `visit(term, impact)` for each posting of a document, terms ascending.
    fn row(&self, document: u32, visit: impl FnMut(u32, u8) -> Result<()>) -> Result<()>;
    /// Calls `visit` with the weight in steps of each posting of a document, in the order of `row`. Impacts
    /// where nothing finer is known.
    fn steps(&self, document: u32, mut visit: impl FnMut(f16) -> Result<()>) -> Result<()> {
        self.row(document, |_, impact| visit(impact.into()))
    }
}

/// The window of a run, and where its postings, its maxima and the blocks they are of start.
#[repr(C)]
#[derive(Clone, Copy, Default, AnyBitPattern, NoUninit)]
pub struct RunRecord {
    pub window: u32,
    pub postings: u32,
    pub maxima: u32,
    pub blocks: u32,
}

/// How the file is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub terms: KeyKind,
    /// Slots in a block: a power of two, at most `WINDOW`.
    pub block: usize,
    /// Longest time to spend on the order of documents; they stay in the order they came without.
    pub reorder: Option<Duration>,
    /// Whether weights in 16 bits are kept beside impacts.
    pub steps: bool,
    /// Bytes to use while writing.
    pub memory: usize,
}

/// A run of so few postings has no maxima: its postings take no longer to read.
const FEW: usize = 32;
/// A run that has postings in one block of so many, or more, has a maximum for every block.
const SPARSE: usize = 2;

/// Returns the number of postings.
pub fn write<S: Source>(
    file: &mut SectionWriter,
    layout: Layout,
    source: &S,
    interrupt: &Interrupt,
) -> Result<u64> {
    let terms = 0..source.terms();
    write_keys(file, "terms", layout.terms, || {
        terms.clone().map(|t| source.key(t))
    })?;
    interrupt.check()?;
    let frequencies = write_rows(file, source, interrupt)?;
    if layout.steps {
        file.begin("row_steps")?;
        for document in 0..source.documents() {
            check_now_and_then(document, interrupt)?;
            source.steps(document, |steps| file.write(&[steps]))?;
        }
    }
    let order = write_order(file, layout, source, interrupt)?;
    let mut postings = Inversion::new(source, &order, &frequencies, layout.memory);

    let mut runs = Runs::new(layout.block, source.documents());
    file.begin("postings")?;
    let mut list: Vec<Impact> = vec![];
    postings.each_term(interrupt, |slots, impacts| {
        runs.add_term(slots);
        list.clear();
        let in_window = slots.iter().map(|&slot| slot as u16);
        list.extend(
            in_window
                .zip(impacts)
                .map(|(place, &value)| Impact { place, value }),
        );
        file.write(&list)
    })?;
    write_maxima(file, &runs, &mut postings, interrupt)?;
    file.section("term_runs", &runs.of_term)?;
    file.section("runs", &runs.records)?;
    Ok(runs.records.last().map_or(0, |end| end.postings).into())
}

/// Returns the number of documents of each term.
fn write_rows<S: Source>(
    file: &mut SectionWriter,
    source: &S,
    interrupt: &Interrupt,
) -> Result<Vec<u32>> {
    let narrow = source.terms() <= 1 << 16;
    let mut frequencies = vec![0; source.terms() as usize];
    let mut start = 0_u32;
    file.begin("row_starts")?;
    file.write(&[start])?;
    for document in 0..source.documents() {
        check_now_and_then(document, interrupt)?;
        source.row(document, |term, _| {
            frequencies[term as usize] += 1;
            // The file passes 4 GiB, and is refused, long before this does.
            start = start.saturating_add(1);
            Ok(())
        })?;
        file.write(&[start])?;
    }
    file.begin("row_terms")?;
    for document in 0..source.documents() {
        check_now_and_then(document, interrupt)?;
        source.row(document, |term, _| match narrow {
            true => file.write(&[term as u16]),
            false => file.write(&[term]),
        })?;
    }
    file.begin("row_impacts")?;
    for document in 0..source.documents() {
        check_now_and_then(document, interrupt)?;
        source.row(document, |_, impact| file.write(&[impact]))?;
    }
    Ok(frequencies)
}

/// Returns the document in each slot.
fn write_order<S: Source>(
    file: &mut SectionWriter,
    layout: Layout,
    source: &S,
    interrupt: &Interrupt,
) -> Result<Vec<u32>> {
    let as_it_came = || (0..source.documents()).collect();
    let memory = source.documents() as usize * reorder::BYTES_PER_DOCUMENT;
    let order = match layout.reorder {
        Some(longest) if memory <= layout.memory => {
            reorder::order(source, layout.block, Instant::now() + longest, interrupt)?
        }
        _ => as_it_came(),
    };
    if order.is_sorted() {
        file.section::<u32>("slot_documents", &[])?;
        file.section::<u32>("document_slots", &[])?;
        return Ok(order);
    }
    let mut slots = vec![0; order.len()];
    for (slot, &document) in (0..).zip(&order) {
        slots[document as usize] = slot;
    }
    file.section("slot_documents", &order)?;
    file.section("document_slots", &slots)?;
    Ok(order)
}

/// The postings of one term in one window make a run.
struct Runs {
    block: usize,
    documents: usize,
    /// Runs of term `t` are `of_term[t]..of_term[t + 1]`.
    of_term: Vec<u32>,
    /// One more than there are runs: what a run has ends where that of the next starts.
    records: Vec<RunRecord>,
}

impl Runs {
    fn new(block: usize, documents: u32) -> Self {
        Self {
            block,
            documents: documents as usize,
            of_term: vec![0],
            records: vec![RunRecord::default()],
        }
    }

    fn add_term(&mut self, slots: &[u32]) {
        for run in slots.chunk_by(|a, b| window(*a) == window(*b)) {
            let maxima = self.count_maxima(run);
            let every = maxima == self.blocks(window(run[0]));
            let record = self.records.last_mut();
            // The file passes 4 GiB, and is refused, long before an end does.
            let end = |start: u32, length: usize| start.saturating_add(length as u32);
            let next = record.map(|record| {
                record.window = window(run[0]);
                RunRecord {
                    window: 0,
                    postings: end(record.postings, run.len()),
                    maxima: end(record.maxima, maxima),
                    blocks: end(record.blocks, if every { 0 } else { maxima }),
                }
            });
            self.records.extend(next);
        }
        self.of_term.push(self.records.len() as u32 - 1);
    }

    fn count_maxima(&self, slots: &[u32]) -> usize {
        let all = self.blocks(window(slots[0]));
        let block = |slot: &u32| *slot as usize / self.block;
        match slots.chunk_by(|a, b| block(a) == block(b)).count() {
            _ if slots.len() <= FEW => 0,
            blocks if blocks * SPARSE >= all => all,
            blocks => blocks,
        }
    }

    fn blocks(&self, window: u32) -> usize {
        let start = window as usize * WINDOW;
        (self.documents - start).min(WINDOW).div_ceil(self.block)
    }
}

fn window(slot: u32) -> u32 {
    slot / WINDOW as u32
}

fn write_maxima<S: Source>(
    file: &mut SectionWriter,
    runs: &Runs,
    postings: &mut Inversion<'_, S>,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut maxima = Maxima::default();
    let mut each_run = |visit: &mut dyn FnMut(&Maxima) -> Result<()>| {
        let mut number = 0;
        postings.each_term(interrupt, |slots, impacts| {
            let mut start = 0;
            for run in slots.chunk_by(|a, b| window(*a) == window(*b)) {
                let end = start + run.len();
                let count = runs.records[number + 1].maxima - runs.records[number].maxima;
                maxima.set(runs, run, &impacts[start..end], count as usize);
                visit(&maxima)?;
                (start, number) = (end, number + 1);
            }
            Ok(())
        })
    };
    file.begin("maxima")?;
    each_run(&mut |maxima| file.write(&maxima.impacts))?;
    file.begin("maxima_blocks")?;
    each_run(&mut |maxima| file.write(&maxima.blocks))
}

/// The largest impact in each block of one run, with its first posting. Blocks are named where not every
/// one has a maximum.
#[derive(Default)]
struct Maxima {
    impacts: Vec<Impact>,
    blocks: Vec<u16>,
}

impl Maxima {
    fn set(&mut self, runs: &Runs, slots: &[u32], impacts: &[u8], count: usize) {
        self.impacts.clear();
        self.blocks.clear();
        if count == 0 {
            return;
        }
        let every = count == runs.blocks(window(slots[0]));
        let block = |slot: u32| slot as usize % WINDOW / runs.block;
        let mut start = 0;
        let none = |start| Impact {
            place: start as u16,
            value: 0,
        };
        for postings in slots.chunk_by(|a, b| block(*a) == block(*b)) {
            let end = start + postings.len();
            let number = block(postings[0]);
            match every {
                true => self.impacts.resize(number, none(start)),
                false => self.blocks.push(number as u16),
            }
            let largest = impacts[start..end].iter().copied().max().unwrap_or(0);
            self.impacts.push(Impact {
                place: start as u16,
                value: largest,
            });
            start = end;
        }
        self.impacts.resize(count, none(start));
    }
}

/// Checks at the first of every 1,024 steps.
pub(super) fn check_now_and_then(step: u32, interrupt: &Interrupt) -> Result<()> {
    match step % 1024 {
        0 => interrupt.check(),
        _ => Ok(()),
    }
}
