//! An order of documents that puts those with common terms side by side, so that a block of neighbours
//! has few terms and its maxima are close to the impacts below them. Recursive graph bisection
//! (Dhulipala et al., "Compressing graphs and indexes with recursive graph bisection", 2016): halves
//! exchange documents while that lowers the cost of listing each term's documents in both, then each
//! half is split in turn. Stopping early leaves a valid order. Imports `error`, `pool`.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;

use super::writer::{Source, check_now_and_then};
use crate::error::Result;
use crate::pool::{self, Interrupt};

/// Terms of a document that decide its place: the heaviest, which make the bounds of a block. With all
/// of them the order takes twice as long to find and prunes no better.
const TERMS_PER_DOCUMENT: usize = 24;
/// Exchanges between the halves of a part, at most.
const ROUNDS: usize = 20;
/// Parts of so many documents work on them in parallel.
const PARALLEL: usize = 1 << 14;

/// What a document takes while its place is sought.
pub const BYTES_PER_DOCUMENT: usize = TERMS_PER_DOCUMENT * 4 + 24;

/// The document at each place of an order in which every `leaf` places hold documents that belong
/// together; the order as it came, where that is as good or nothing better is found by `deadline`.
pub fn order<S: Source>(
    source: &S,
    leaf: usize,
    deadline: Instant,
    interrupt: &Interrupt,
) -> Result<Vec<u32>> {
    let rows = Rows::heaviest(source, interrupt)?;
    let as_it_came: Vec<u32> = (0..source.documents()).collect();
    let mut order = as_it_came.clone();
    let bisection = Bisection {
        rows: &rows,
        steps: steps(order.len()),
        terms: source.terms() as usize,
        leaf,
        scratch: Mutex::new(vec![]),
        stop: || Instant::now() >= deadline || interrupt.check().is_err(),
    };
    pool::run(0, || bisection.run(&mut order))?;
    interrupt.check()?;
    let terms = source.terms() as usize;
    match rows.runs(&order, terms, leaf) < rows.runs(&as_it_came, terms, leaf) {
        true => Ok(order),
        false => Ok(as_it_came),
    }
}

/// The heaviest terms of each document.
struct Rows {
    /// Row `d` is `starts[d]..starts[d + 1]`.
    starts: Vec<u32>,
    terms: Vec<u32>,
}

impl Rows {
    fn heaviest<S: Source>(source: &S, interrupt: &Interrupt) -> Result<Self> {
        let mut rows = Self {
            starts: vec![0],
            terms: vec![],
        };
        let mut row = vec![];
        for document in 0..source.documents() {
            check_now_and_then(document, interrupt)?;
            row.clear();
            source.row(document, |term, impact| {
                row.push((u8::MAX - impact, term));
                Ok(())
            })?;
            if row.len() > TERMS_PER_DOCUMENT {
                row.select_nth_unstable(TERMS_PER_DOCUMENT);
                row.truncate(TERMS_PER_DOCUMENT);
            }
            rows.terms.extend(row.iter().map(|(_, term)| *term));
            rows.starts.push(rows.terms.len() as u32);
        }
        Ok(rows)
    }

    fn of(&self, document: u32) -> &[u32] {
        let document = document as usize;
        &self.terms[self.starts[document] as usize..self.starts[document + 1] as usize]
    }

    /// Pairs of a term and a block of `block` neighbours in which it occurs.
    fn runs(&self, order: &[u32], terms: usize, block: usize) -> usize {
        let mut last_block = vec![usize::MAX; terms];
        let mut runs = 0;
        for (number, documents) in order.chunks(block).enumerate() {
            for &term in documents.iter().flat_map(|&document| self.of(document)) {
                let last = &mut last_block[term as usize];
                runs += usize::from(*last != number);
                *last = number;
            }
        }
        runs
    }
}

/// `steps[x]`: what a term that `x` documents of a half have costs more with one document more, when
/// a list of `x` takes `x log(1 + x)`.
fn steps(documents: usize) -> Vec<f32> {
    let cost = |x: usize| x as f64 * (x as f64 + 1.0).log2();
    let step = |x| (cost(x + 1) - cost(x)) as f32;
    (0..=documents).map(step).collect()
}

struct Bisection<'a, Stop> {
    rows: &'a Rows,
    steps: Vec<f32>,
    terms: usize,
    leaf: usize,
    scratch: Mutex<Vec<Scratch>>,
    stop: Stop,
}

/// Of each term; all 0 between uses.
struct Scratch {
    /// Documents of each half that have the term.
    counts: Vec<[u32; 2]>,
    /// What the term adds to the key of a document of each half.
    keys: Vec<[f32; 2]>,
}

/// How strongly a document belongs in the right half, and its place.
type Keyed = (f32, u32);

impl<Stop: Fn() -> bool + Sync> Bisection<'_, Stop> {
    fn run(&self, documents: &mut [u32]) {
        if documents.len() <= self.leaf || (self.stop)() {
            return;
        }
        let leaves = documents.len().div_ceil(self.leaf);
        let half = leaves / 2 * self.leaf;
        let mut scratch = self.take_scratch();
        self.split(documents, half, &mut scratch);
        self.lock().push(scratch);
        let (left, right) = documents.split_at_mut(half);
        rayon::join(|| self.run(left), || self.run(right));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_scratch(&self) -> Scratch {
        let kept = self.lock().pop();
        kept.unwrap_or_else(|| Scratch {
            counts: vec![[0; 2]; self.terms],
            keys: vec![[0.0; 2]; self.terms],
        })
    }

    /// Exchanges documents between the first `half` and the rest until that gains nothing.
    fn split(&self, documents: &mut [u32], half: usize, scratch: &mut Scratch) {
        let side = |place: usize| usize::from(place >= half);
        let mut present = vec![];
        for (place, &document) in documents.iter().enumerate() {
            for &term in self.rows.of(document) {
                let counts = &mut scratch.counts[term as usize];
                if *counts == [0; 2] {
                    present.push(term);
                }
                counts[side(place)] += 1;
            }
        }
        let mut next = vec![0; documents.len()];
        for round in 0..ROUNDS {
            if (self.stop)() {
                break;
            }
            self.weigh(&present, scratch);
            let keys = self.keys(documents, side, &scratch.keys);
            let pivot = nth(&keys, half);
            let (mut left, mut right, mut moved) = (0, half, 0);
            for (place, (&document, &key)) in documents.iter().zip(&keys).enumerate() {
                let (to, from) = (usize::from(compare(&key, &pivot).is_ge()), side(place));
                let free = if to == 0 { &mut left } else { &mut right };
                next[*free] = document;
                *free += 1;
                if to != from {
                    moved += 1;
                    for &term in self.rows.of(document) {
                        let counts = &mut scratch.counts[term as usize];
                        counts[from] -= 1;
                        counts[to] += 1;
                    }
                }
            }
            documents.copy_from_slice(&next);
            if moved == 0 || (round >= 2 && moved * 200 < documents.len()) {
                break;
            }
        }
        for term in present {
            scratch.counts[term as usize] = [0; 2];
        }
    }

    /// A document adds its terms to the lists of one half; the key compares what that costs on the
    /// right and on the left, the document itself counted in neither.
    fn weigh(&self, present: &[u32], scratch: &mut Scratch) {
        for &term in present {
            // Rows of a damaged file may name a term twice.
            let most = self.steps.len() as u32 - 1;
            let counts = scratch.counts[term as usize];
            let [left, right] = counts.map(|count| count.min(most) as usize);
            let keys = &mut scratch.keys[term as usize];
            *keys = [0.0; 2];
            if left > 0 {
                keys[0] = self.steps[right] - self.steps[left - 1];
            }
            if right > 0 {
                keys[1] = self.steps[right - 1] - self.steps[left];
            }
        }
    }

    fn keys(
        &self,
        documents: &[u32],
        side: impl Fn(usize) -> usize + Sync,
        keys: &[[f32; 2]],
    ) -> Vec<Keyed> {
        let key = |(place, &document): (usize, &u32)| {
            let side = side(place);
            let terms = self.rows.of(document).iter();
            let key = terms.map(|&term| keys[term as usize][side]).sum();
            (key, place as u32)
        };
        match documents.len() < PARALLEL {
            true => documents.iter().enumerate().map(key).collect(),
            false => documents.par_iter().enumerate().map(key).collect(),
        }
    }
}

fn compare(a: &Keyed, b: &Keyed) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

fn nth(keys: &[Keyed], position: usize) -> Keyed {
    let mut keys = keys.to_vec();
    *keys.select_nth_unstable_by(position, compare).1
}
