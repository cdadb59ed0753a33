//! A chunk of documents as rows of term frequencies.
//!
//! Promises: the same terms as `Analyzer::analyze`, counted. Every distinct piece of text between white space is
//! analysed once per chunk, which is what makes it fast: most pieces of a natural text have been seen before.

use rustc_hash::FxHashMap;

use super::Analyzer;

/// Term frequencies of a chunk of documents, with a dictionary of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TermRows {
    /// Distinct terms, in order of first appearance in the chunk.
    pub terms: Vec<String>,
    /// Per document (index into `terms`, term frequency): each term once, in order of first appearance.
    pub rows: Vec<Vec<(u32, u32)>>,
    /// Per document its length: the number of its terms, repetitions included.
    pub lengths: Vec<u32>,
}

impl Analyzer {
    /// Analyses and counts the documents of one chunk, row by row.
    pub fn analyze_rows(&self, texts: &[&str]) -> TermRows {
        let mut chunk = Chunk::default();
        let mut rows = Vec::with_capacity(texts.len());
        let mut lengths = Vec::with_capacity(texts.len());
        for text in texts {
            let mut length = 0_u32;
            let mut row = Vec::new();
            for piece in text.split_ascii_whitespace() {
                length = length.saturating_add(chunk.count(self, piece, &mut row));
            }
            rows.push(row);
            lengths.push(length);
        }
        TermRows {
            terms: chunk.into_terms(),
            rows,
            lengths,
        }
    }
}

/// What is known of the chunk so far.
#[derive(Default)]
struct Chunk<'t> {
    /// Term to its index.
    terms: FxHashMap<String, u32>,
    /// Piece of text to its terms, a range of `sequences`.
    pieces: FxHashMap<&'t str, (usize, usize)>,
    sequences: Vec<u32>,
    /// Per term, where the current row may hold it: true only if that entry names the term, so never cleared.
    slots: Vec<u32>,
}

impl<'t> Chunk<'t> {
    /// Adds the terms of `piece` to `row`; returns how many there were.
    fn count(&mut self, analyzer: &Analyzer, piece: &'t str, row: &mut Vec<(u32, u32)>) -> u32 {
        let (start, end) = match self.pieces.get(piece) {
            Some(&range) => range,
            None => self.learn(analyzer, piece),
        };
        for &term in &self.sequences[start..end] {
            let slot = &mut self.slots[term as usize];
            match row.get_mut(*slot as usize) {
                Some((known, frequency)) if *known == term => {
                    *frequency = frequency.saturating_add(1)
                }
                _ => {
                    *slot = row.len() as u32;
                    row.push((term, 1));
                }
            }
        }
        (end - start) as u32
    }

    fn learn(&mut self, analyzer: &Analyzer, piece: &'t str) -> (usize, usize) {
        let start = self.sequences.len();
        analyzer.for_each_term(piece, |term| {
            let index = match self.terms.get(term) {
                Some(&index) => index,
                None => {
                    let index = self.terms.len() as u32;
                    self.terms.insert(term.to_owned(), index);
                    self.slots.push(0);
                    index
                }
            };
            self.sequences.push(index);
        });
        let range = (start, self.sequences.len());
        self.pieces.insert(piece, range);
        range
    }

    fn into_terms(self) -> Vec<String> {
        let mut terms = vec![String::new(); self.terms.len()];
        for (term, index) in self.terms {
            terms[index as usize] = term;
        }
        terms
    }
}
