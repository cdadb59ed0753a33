//! From a text to its terms: NFKC and lower case, words as in Unicode Standard Annex 29, stop words
//! left out, Snowball stems.
//!
//! Promises: never fails, and the terms of a text are those of its pieces between ASCII white space,
//! in order. No term is empty, holds white space, or is longer than [`MAX_TERM_BYTES`]. May import
//! `error` alone.

use std::borrow::Cow;
use std::iter;

use rust_stemmers::Stemmer;
use rustc_hash::FxHashSet;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::language::{APOSTROPHE, Language, Spelling};
use crate::error::{Error, Result};

/// Longest term in bytes. A longer word becomes several terms, none of them longer than this.
pub const MAX_TERM_BYTES: usize = 64 << 10;

/// Longest word in bytes that is stemmed. What is longer is hardly a word of a language, and the time
/// of a stemmer grows with the square of the length.
pub const MAX_STEMMED_BYTES: usize = 255;

/// Makes terms of text, of documents and queries alike.
///
/// In this order: NFKC, spelling rules of the language (typographic apostrophes become plain ones; in
/// French and Italian an apostrophe ends a word; in Turkish I and İ are the capitals of ı and i), lower
/// case, words with a letter or a digit, stop words left out, stems.
pub struct Analyzer {
    spelling: Spelling,
    stop_words: FxHashSet<String>,
    stemmer: Option<Stemmer>,
}

impl Analyzer {
    /// `language` is the name in English and in lower case; without one, words are not stemmed.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown language, or for stop words where there are none.
    pub fn new(language: Option<&str>, stop_words: bool) -> Result<Self> {
        let language = language.map(Language::find).transpose()?;
        let words = match language {
            _ if !stop_words => &[],
            Some(language) => language.stop_words()?,
            None => {
                let message = "stop words need a language: choose one or turn stop_words off";
                return Err(Error::InvalidInput(message.into()));
            }
        };
        let mut analyzer = Self {
            spelling: language.map_or(APOSTROPHE, |language| language.spelling),
            stop_words: FxHashSet::default(),
            stemmer: language.map(|language| Stemmer::create(language.algorithm)),
        };
        analyzer.stop_words = words.iter().map(|word| analyzer.normalize(word)).collect();
        Ok(analyzer)
    }

    /// The terms of `text` in order, repeated ones repeatedly.
    pub fn analyze(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        for piece in text.split_ascii_whitespace() {
            self.for_each_word(piece, |word| {
                terms.extend(self.term(word).map(Cow::into_owned))
            });
        }
        terms
    }

    /// Calls `visit` with the normalised words of a piece of text in order.
    pub(super) fn for_each_word(&self, piece: &str, visit: impl FnMut(&str)) {
        let normal = self.normalize(piece);
        let words = normal.split_whitespace().flat_map(str::unicode_words);
        words.flat_map(split_long).for_each(visit);
    }

    /// The term of a normalised word; none of a stop word.
    pub(super) fn term<'w>(&self, word: &'w str) -> Option<Cow<'w, str>> {
        if self.stop_words.contains(word) {
            return None;
        }
        let short = word.len() <= MAX_STEMMED_BYTES;
        let stemmer = self.stemmer.as_ref().filter(|_| short);
        let stem = stemmer.map(|stemmer| stemmer.stem(word));
        // Some stemmers leave nothing of a word that is all affixes.
        let stem = stem.filter(|stem| !stem.is_empty());
        Some(stem.unwrap_or(Cow::Borrowed(word)))
    }

    fn normalize(&self, text: &str) -> String {
        let respell = |letter| self.respell(letter);
        let mut text: String = match text.is_ascii() {
            true => text.chars().map(respell).collect(),
            false => text.nfkc().map(respell).collect(),
        };
        if text.is_ascii() {
            text.make_ascii_lowercase();
            return text;
        }
        // J̌ is two characters and its small form ǰ one, so lower case has to be composed again.
        text.to_lowercase().nfkc().collect()
    }

    fn respell(&self, letter: char) -> char {
        let rule = self.spelling.iter().find(|(from, _)| *from == letter);
        rule.map_or(letter, |(_, to)| *to)
    }
}

/// The parts of a word of at most [`MAX_TERM_BYTES`].
fn split_long(mut word: &str) -> impl Iterator<Item = &str> {
    iter::from_fn(move || {
        let (part, rest) = word.split_at(word.floor_char_boundary(MAX_TERM_BYTES));
        word = rest;
        Some(part).filter(|part| !part.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(language: Option<&str>, text: &str) -> String {
        Analyzer::new(language, false)
            .unwrap()
            .analyze(text)
            .join(" ")
    }

    #[test]
    fn words_are_normalized_and_lower_case() {
        let cases = [
            ("", ""),
            (" \t\n .,;:!? -- … 🙂 ", ""),
            (
                "The QUICK (“brown”) fox can’t jump 32.3 feet, right?",
                "the quick brown fox can't jump 32.3 feet right",
            ),
            (
                "ﬁne ＦＵＬＬ ｗｉｄｔｈ x² №5 ㎏",
                "fine full width x2 no5 kg",
            ),
            ("e\u{301}tat É J\u{30C} ÅNGSTRÖM Å", "état é ǰ ångström å"),
            ("ΟΔΟΣ ΟΔΟΣ, Straße STRASSE", "οδος οδος straße strasse"),
            (
                "state-of-the-art snake_case a.b.c http://x.org/~y",
                "state of the art snake_case a.b.c http x.org y",
            ),
            ("中文 カタカナ ไทย", "中 文 カタカナ ไ ท ย"),
            ("a\u{A0}b\u{3000}c\u{2028}d\u{FC5E}", "a b c d ٌّ"),
            ("nul\0nul", "nul nul"),
        ];
        for (text, expected) in cases {
            assert_eq!(terms(None, text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_stemmed_by_language() {
        let cases = [
            (
                "english",
                "Nature’s fairly running, relational cats'",
                "natur fair run relat cat",
            ),
            (
                "french",
                "L'avion d’histoires aujourd'hui",
                "l avion d histoir aujourd hui",
            ),
            ("italian", "dell'arte", "dell arte"),
            ("german", "Häuser Straßen", "haus strass"),
            ("turkish", "IŞIK ışık İstanbul", "ışık ışık istanbul"),
            ("russian", "Книги книга", "книг книг"),
        ];
        for (language, text, expected) in cases {
            assert_eq!(terms(Some(language), text), expected, "{language}");
        }
    }

    #[test]
    fn stop_words_go_before_stemming() {
        let english = Analyzer::new(Some("english"), true).unwrap();
        assert_eq!(
            english.analyze("THE cat isn’t on the doing mat"),
            ["cat", "mat"]
        );
        let french = Analyzer::new(Some("french"), true).unwrap();
        assert_eq!(french.analyze("L'avion qu’il eût été"), ["avion"]);
    }

    #[test]
    fn a_word_of_affixes_stays_whole() {
        assert_eq!(terms(Some("arabic"), "وال"), "وال");
    }

    #[test]
    fn long_words_are_kept() {
        let english = Analyzer::new(Some("english"), false).unwrap();
        for (letter, size) in [("s", 1), ("é", 2), ("한", 3), ("𝒳", 1)] {
            let letters = MAX_TERM_BYTES / size + 2;
            let terms = english.analyze(&letter.repeat(letters));
            let count: usize = terms.iter().map(|term| term.chars().count()).sum();
            assert_eq!((terms.len(), count), (2, letters), "{letter}");
            assert!(terms.iter().all(|term| term.len() <= MAX_TERM_BYTES));
        }
        let long = "running".repeat(MAX_STEMMED_BYTES / 7);
        assert_eq!(english.analyze(&long), [long.strip_suffix("ning").unwrap()]);
        let longer = "x".repeat(MAX_STEMMED_BYTES) + "s";
        assert_eq!(english.analyze(&longer), [longer]);
    }

    #[test]
    fn stop_words_need_a_language_that_has_them() {
        let error = |language| Analyzer::new(language, true).err().unwrap().to_string();
        assert!(error(None).contains("need a language"));
        assert!(error(Some("arabic")).contains("no stop words for arabic"));
        assert!(error(Some("")).contains("unknown language \"\""));
    }

    #[test]
    fn normalizing_twice_changes_nothing() {
        for language in [None, Some("french"), Some("turkish")] {
            let analyzer = Analyzer::new(language, false).unwrap();
            for letter in '\0'..=char::MAX {
                let once = analyzer.normalize(&letter.to_string());
                assert_eq!(analyzer.normalize(&once), once, "{language:?} {letter:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn terms_of_any_text_are_sound(
            text in any::<String>(),
            language in prop::sample::select(vec!["arabic", "english", "french", "turkish"]),
        ) {
            let terms = Analyzer::new(Some(language), false).unwrap().analyze(&text);
            for term in terms {
                prop_assert!(!term.is_empty() && !term.contains(char::is_whitespace), "{term:?}");
            }
        }

        #[test]
        fn terms_are_their_own_terms(text in any::<String>()) {
            let analyzer = Analyzer::new(None, false).unwrap();
            let terms = analyzer.analyze(&text);
            prop_assert_eq!(analyzer.analyze(&terms.join(" ")), terms);
        }

        /// What a text in one piece would give.
        #[test]
        fn cutting_at_white_space_changes_nothing(text in "[a-zA-Z0-9ÉéßΣσİ中カ .,:;'’_\n\t\r-]{0,60}") {
            let analyzer = Analyzer::new(None, false).unwrap();
            let whole = analyzer.normalize(&text);
            let words: Vec<_> = whole.unicode_words().collect();
            prop_assert_eq!(analyzer.analyze(&text), words);
        }
    }
}
