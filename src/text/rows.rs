//! A chunk of documents as rows of term frequencies.
//!
//! Promises: the terms of [`Analyzer::analyze`], counted. Within a chunk, each distinct piece of text
//! between white space is cut into words once and each distinct word is stemmed once, which makes it
//! fast: most of a text has been seen before. May import `error` alone.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::Analyzer;

/// Term frequencies of a chunk of documents, with a dictionary of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TermRows {
    /// Distinct terms, in order of first appearance in the chunk.
    pub terms: Vec<String>,
    /// Per document, index into `terms` and frequency of each of its terms, once each, in order of first
    /// appearance.
    pub rows: Vec<Vec<(u32, u32)>>,
    /// Per document, its number of terms, repetitions included.
    pub lengths: Vec<u32>,
}

impl Analyzer {
    /// Analyses and counts the documents of one chunk. Memory is in proportion to the text: ten to
    /// thirty times its bytes where no word repeats.
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
    /// Piece of text to its terms, a range of `sequences`.
    pieces: FxHashMap<&'t str, (usize, usize)>,
    sequences: Vec<u32>,
    /// Word to its term; stop words have none.
    words: FxHashMap<String, Option<u32>>,
    terms: FxHashMap<String, u32>,
    /// For each term, where the current row may hold it. It does if the entry there names the term, so
    /// nothing has to be cleared between rows.
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
        analyzer.for_each_word(piece, |word| {
            let term = match self.words.get(word) {
                Some(&term) => term,
                None => {
                    let term = analyzer
                        .term(word)
                        .map(|term| intern(&mut self.terms, term));
                    self.words.insert(word.to_owned(), term);
                    term
                }
            };
            self.sequences.extend(term);
        });
        self.slots.resize(self.terms.len(), 0);
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

/// Numbers terms from 0 as they come.
fn intern(terms: &mut FxHashMap<String, u32>, term: Cow<'_, str>) -> u32 {
    let next = terms.len() as u32;
    *terms.entry(term.into_owned()).or_insert(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: every text analysed by itself.
    fn count_one_by_one(analyzer: &Analyzer, texts: &[&str]) -> TermRows {
        let mut expected = TermRows::default();
        for text in texts {
            let terms = analyzer.analyze(text);
            expected.lengths.push(terms.len() as u32);
            let mut row: Vec<(u32, u32)> = Vec::new();
            for term in terms {
                let known = expected.terms.iter().position(|other| *other == term);
                let index = known.unwrap_or_else(|| {
                    expected.terms.push(term);
                    expected.terms.len() - 1
                }) as u32;
                match row.iter_mut().find(|(other, _)| *other == index) {
                    Some((_, frequency)) => *frequency += 1,
                    None => row.push((index, 1)),
                }
            }
            expected.rows.push(row);
        }
        expected
    }

    #[test]
    fn rows_by_hand() {
        let analyzer = Analyzer::new(Some("english"), true).unwrap();
        let rows = analyzer.analyze_rows(&["Cats: the cat, cat-food.", "", "the", "Food cats dog"]);
        assert_eq!(rows.terms, ["cat", "food", "dog"]);
        assert_eq!(
            rows.rows,
            [
                vec![(0, 3), (1, 1)],
                vec![],
                vec![],
                vec![(1, 1), (0, 1), (2, 1)]
            ]
        );
        assert_eq!(rows.lengths, [4, 0, 0, 3]);
        assert_eq!(analyzer.analyze_rows(&[]), TermRows::default());
    }

    proptest! {
        #[test]
        fn rows_are_the_terms_of_each_text_counted(
            texts in prop::collection::vec("([Aa] |b|bs[ ,]|the |É|[a-c]{1,3} ){0,30}|\\PC{0,20}", 0..8),
            stop_words in any::<bool>(),
        ) {
            let analyzer = Analyzer::new(Some("english"), stop_words).unwrap();
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            let rows = analyzer.analyze_rows(&texts);
            prop_assert_eq!(rows, count_one_by_one(&analyzer, &texts));
        }
    }
}
