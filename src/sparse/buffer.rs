//! Rows waiting in memory to become a segment: weights as they came, terms numbered as first seen.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::quantize::Scale;
use super::{flush, invert, reorder};
use crate::storage::keys::{Key, OwnedKey};

#[derive(Default)]
pub struct SparseBuffer {
    dictionary: IndexSet<OwnedKey, FxBuildHasher>,
    dictionary_bytes: usize,
    /// Row `i` is `ends[i - 1]..ends[i]`, the first from 0.
    ends: Vec<usize>,
    terms: Vec<u32>,
    weights: Vec<f32>,
    largest_weight: f32,
}

/// What a posting takes until it is in a segment: term and weight here, and its copies while flushing.
const BYTES_PER_POSTING: usize = 4 + 4 + flush::BYTES_PER_POSTING + invert::BYTES_PER_POSTING;

impl SparseBuffer {
    /// Number of `term`, for `push`.
    pub fn intern(&mut self, term: Key<'_>) -> u32 {
        if let Some(number) = self.dictionary.get_index_of(&term) {
            return number as u32;
        }
        let term = OwnedKey::from(term);
        self.dictionary_bytes += 2 * size_of::<usize>() + term.size();
        self.dictionary.insert_full(term).0 as u32
    }

    /// Appends to the row under way. `weight` is positive and finite, terms of a row are distinct.
    pub fn push(&mut self, term: u32, weight: f32) {
        self.terms.push(term);
        self.weights.push(weight);
        self.largest_weight = self.largest_weight.max(weight);
    }

    pub fn end_row(&mut self) {
        self.ends.push(self.terms.len());
    }

    pub fn memory(&self) -> usize {
        self.dictionary_bytes
            + self.terms.len() * BYTES_PER_POSTING
            + self.ends.len() * (size_of::<usize>() + reorder::BYTES_PER_DOCUMENT)
    }

    /// The scale that fits what is buffered; of 1 when nothing is.
    pub fn observed_scale(&self) -> Scale {
        match self.largest_weight > 0.0 {
            true => Scale::for_observed(self.largest_weight),
            false => Scale::new(1.0),
        }
    }

    pub fn dictionary_len(&self) -> usize {
        self.dictionary.len()
    }

    pub fn key(&self, term: u32) -> Key<'_> {
        self.dictionary[term as usize].as_key()
    }

    pub fn row(&self, row: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |previous| self.ends[previous]);
        let range = start..self.ends[row];
        let weights = self.weights[range.clone()].iter().copied();
        self.terms[range].iter().copied().zip(weights)
    }
}
