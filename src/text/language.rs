//! What each language brings to the analyser: a Snowball stemmer, a stop list, spelling rules.
//!
//! May import `error` alone.

use rust_stemmers::Algorithm;

use crate::error::{Error, Result};

/// Replacements made before anything else, character by character.
pub(super) type Spelling = &'static [(char, char)];

/// The typographic apostrophe is written like the one that stemmers and stop lists know.
pub(super) const APOSTROPHE: Spelling = &[('\u{2019}', '\'')];

/// An apostrophe ends a word, so that "l'avion" holds "avion".
const ELISION: Spelling = &[('\'', ' '), ('\u{2019}', ' ')];

/// The two letters whose small forms differ from everybody else's.
const DOTTED_I: Spelling = &[('I', 'ı'), ('İ', 'i'), ('\u{2019}', '\'')];

/// A language known to the analyser.
pub(super) struct Language {
    pub name: &'static str,
    pub algorithm: Algorithm,
    pub spelling: Spelling,
    /// Code of the stop list.
    stop_list: Option<&'static str>,
}

/// In alphabetical order. Greek is absent because its stemmer panics on some words. A stop list is named only
/// where it is Snowball's own; the others on offer hold numerals, months and currencies, or are of unclear origin.
const LANGUAGES: [Language; 17] = [
    language("arabic", Algorithm::Arabic, APOSTROPHE, None),
    language("danish", Algorithm::Danish, APOSTROPHE, Some("da")),
    language("dutch", Algorithm::Dutch, APOSTROPHE, Some("nl")),
    language("english", Algorithm::English, APOSTROPHE, Some("en")),
    language("finnish", Algorithm::Finnish, APOSTROPHE, Some("fi")),
    language("french", Algorithm::French, ELISION, Some("fr")),
    language("german", Algorithm::German, APOSTROPHE, Some("de")),
    language("hungarian", Algorithm::Hungarian, APOSTROPHE, Some("hu")),
    language("italian", Algorithm::Italian, ELISION, Some("it")),
    language("norwegian", Algorithm::Norwegian, APOSTROPHE, Some("no")),
    language("portuguese", Algorithm::Portuguese, APOSTROPHE, Some("pt")),
    language("romanian", Algorithm::Romanian, APOSTROPHE, None),
    language("russian", Algorithm::Russian, APOSTROPHE, Some("ru")),
    language("spanish", Algorithm::Spanish, APOSTROPHE, Some("es")),
    language("swedish", Algorithm::Swedish, APOSTROPHE, Some("sv")),
    language("tamil", Algorithm::Tamil, APOSTROPHE, None),
    language("turkish", Algorithm::Turkish, DOTTED_I, Some("tr")),
];

const fn language(
    name: &'static str,
    algorithm: Algorithm,
    spelling: Spelling,
    stop_list: Option<&'static str>,
) -> Language {
    Language {
        name,
        algorithm,
        spelling,
        stop_list,
    }
}

impl Language {
    pub(super) fn find(name: &str) -> Result<&'static Self> {
        LANGUAGES
            .iter()
            .find(|language| language.name == name)
            .ok_or_else(|| {
                Error::InvalidInput(format!(
                    "unknown language '{}': choose one of {}, or none to leave words unstemmed",
                    name.escape_debug(),
                    names(|_| true),
                ))
            })
    }

    pub(super) fn stop_words(&self) -> Result<&'static [&'static str]> {
        self.stop_list.and_then(stop_words::lookup).ok_or_else(|| {
            Error::InvalidInput(format!(
                "no stop words for '{}': turn stop_words off or choose one of {}",
                self.name,
                names(|language| language.stop_list.is_some()),
            ))
        })
    }
}

fn names(wanted: impl Fn(&Language) -> bool) -> String {
    let names: Vec<_> = LANGUAGES
        .iter()
        .filter(|language| wanted(language))
        .map(|language| language.name)
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_sorted_and_found_by_name() {
        assert!(LANGUAGES.is_sorted_by(|a, b| a.name < b.name));
        for language in &LANGUAGES {
            assert_eq!(Language::find(language.name).unwrap().name, language.name);
        }
    }

    #[test]
    fn every_named_stop_list_exists() {
        for language in LANGUAGES
            .iter()
            .filter(|language| language.stop_list.is_some())
        {
            assert!(
                language.stop_words().unwrap().len() > 40,
                "{}",
                language.name
            );
        }
    }

    #[test]
    fn errors_list_the_choices() {
        let unknown = Language::find("klingon").err().unwrap().to_string();
        assert!(
            unknown.contains("'klingon'")
                && unknown.contains("english")
                && unknown.contains("turkish")
        );
        let missing = Language::find("tamil")
            .unwrap()
            .stop_words()
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("'tamil'")
                && missing.contains("english")
                && !missing.contains("romanian")
        );
    }
}
