//! The analyser: NFKC and lower case, words by Unicode Standard Annex #29, stop words, Snowball stems.
//!
//! Promises: total, pure, and indifferent to how a text is cut at white space: the terms of a text are the terms
//! of its pieces, in order. No term is empty or holds white space. May import `error` alone.

use std::borrow::Cow;
use std::iter;

use rust_stemmers::Stemmer;
use rustc_hash::FxHashSet;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::language::{APOSTROPHE, Language, Spelling};
use crate::error::{Error, Result};

/// Longest term in bytes of UTF-8: a longer word is split into terms of at most this length.
pub const MAX_TERM_BYTES: usize = 64 << 10;

/// Longest word that is stemmed, in bytes of UTF-8. Stemmers take time quadratic in the length of a word; what is
/// longer than this is a sequence, a link or an encoding, and stays as it is.
pub const MAX_STEMMED_BYTES: usize = 255;

/// Turns text into terms, for documents and queries alike.
///
/// In this order: the language's spelling rules (typographic apostrophes; in French and Italian an apostrophe ends
/// a word; in Turkish I and İ are the capitals of ı and i), NFKC, lower case, words of UAX #29 that hold a letter
/// or a digit, stop words dropped, Snowball stems.
pub struct Analyzer {
    spelling: Spelling,
    stop_words: FxHashSet<String>,
    stemmer: Option<Stemmer>,
}

impl Analyzer {
    /// `language` as in English, lower case ("english"); without one, words are not stemmed.
    ///
    /// # Errors
    /// `InvalidInput` when the language is unknown, or `stop_words` is asked for where there is no list.
    pub fn new(language: Option<&str>, stop_words: bool) -> Result<Self> {
        let Some(name) = language else {
            return Self::without_language(stop_words);
        };
        let language = Language::find(name)?;
        let mut analyzer = Self {
            spelling: language.spelling,
            stop_words: FxHashSet::default(),
            stemmer: Some(Stemmer::create(language.algorithm)),
        };
        if stop_words {
            let words = language.stop_words()?;
            analyzer.stop_words = words.iter().map(|word| analyzer.normalise(word)).collect();
        }
        Ok(analyzer)
    }

    fn without_language(stop_words: bool) -> Result<Self> {
        if stop_words {
            return Err(Error::InvalidInput(
                "stop words need a language: name one or turn stop_words off".to_owned(),
            ));
        }
        Ok(Self {
            spelling: APOSTROPHE,
            stop_words: FxHashSet::default(),
            stemmer: None,
        })
    }

    /// The terms of `text` in order, repetitions included.
    pub fn analyze(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        for piece in text.split_ascii_whitespace() {
            self.for_each_term(piece, |term| terms.push(term.to_owned()));
        }
        terms
    }

    /// Calls `emit` with the terms of `piece` in order.
    pub(super) fn for_each_term(&self, piece: &str, mut emit: impl FnMut(&str)) {
        let normal = self.normalise(piece);
        let words = normal
            .split_whitespace()
            .flat_map(UnicodeSegmentation::unicode_words);
        for word in words.flat_map(split_long) {
            if !self.stop_words.contains(word) {
                emit(&self.stem(word));
            }
        }
    }

    /// Lower-casing can undo composition (J̌ has no capital of its own, ǰ exists), hence the second pass.
    fn normalise(&self, text: &str) -> String {
        if text.is_ascii() {
            return text.to_ascii_lowercase();
        }
        let spelled = text.chars().map(|letter| self.respell(letter));
        let lower = spelled.nfkc().collect::<String>().to_lowercase();
        lower.nfkc().collect()
    }

    fn respell(&self, letter: char) -> char {
        self.spelling
            .iter()
            .find(|(from, _)| *from == letter)
            .map_or(letter, |(_, to)| *to)
    }

    /// The word itself where nothing is left of it: some stemmers take a word made of affixes for affixes alone.
    fn stem<'w>(&self, word: &'w str) -> Cow<'w, str> {
        match &self.stemmer {
            Some(stemmer) if word.len() <= MAX_STEMMED_BYTES => match stemmer.stem(word) {
                stem if stem.is_empty() => Cow::Borrowed(word),
                stem => stem,
            },
            _ => Cow::Borrowed(word),
        }
    }
}

/// `word` in parts of at most `MAX_TERM_BYTES`.
fn split_long(mut word: &str) -> impl Iterator<Item = &str> {
    iter::from_fn(move || {
        let (part, rest) = word.split_at(word.floor_char_boundary(MAX_TERM_BYTES));
        word = rest;
        (!part.is_empty()).then_some(part)
    })
}
