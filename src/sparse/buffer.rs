//! Rows waiting in memory to become a segment: weights as they came, terms numbered as first seen.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::quantize::Scale;
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

/// What a posting costs while its segment is made: term and weight here, document and impact in the
/// inverted copy.
const BYTES_PER_POSTING: usize = 4 + 4 + 4 + 1;

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
            + self.ends.len() * size_of::<usize>()
    }

    /// The scale that fits what is buffered; of 1 when nothing is.
    pub fn observed_scale(&self) -> Scale {
        match self.largest_weight > 0.0 {
            true => Scale::for_observed(self.largest_weight),
            false => Scale::new(1.0),
        }
    }

    /// Numbers the terms in ascending order, and orders each row so. Nothing else changes.
    pub fn sort_terms(&mut self) {
        let mut order: Vec<u32> = (0..self.dictionary.len() as u32).collect();
        order.sort_unstable_by_key(|&number| &self.dictionary[number as usize]);
        let mut rank = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            rank[old as usize] = new as u32;
        }
        self.dictionary.sort_unstable();
        let mut start = 0;
        let mut row = Vec::new();
        for &end in &self.ends {
            row.clear();
            let terms = self.terms[start..end]
                .iter()
                .map(|&term| rank[term as usize]);
            row.extend(terms.zip(self.weights[start..end].iter().copied()));
            row.sort_unstable_by_key(|&(term, _)| term);
            for (position, &(term, weight)) in (start..end).zip(&row) {
                self.terms[position] = term;
                self.weights[position] = weight;
            }
            start = end;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_terms_keeps_every_row() {
        let mut buffer = SparseBuffer::default();
        let rows = [
            vec![("weft", 1.0), ("warp", 2.0)],
            vec![],
            vec![("loom", 3.0), ("weft", 4.0)],
        ];
        for row in &rows {
            for &(term, weight) in row {
                let number = buffer.intern(Key::Str(term));
                buffer.push(number, weight);
            }
            buffer.end_row();
        }
        buffer.sort_terms();
        let read = |row| {
            let pairs = buffer
                .row(row)
                .map(|(term, weight)| (buffer.key(term), weight));
            pairs.collect::<Vec<_>>()
        };
        assert_eq!(read(0), [(Key::Str("warp"), 2.0), (Key::Str("weft"), 1.0)]);
        assert_eq!(read(1), []);
        assert_eq!(read(2), [(Key::Str("loom"), 3.0), (Key::Str("weft"), 4.0)]);
        assert!((0..3).map(|t| buffer.key(t)).is_sorted());
    }
}
