//! What a language brings to the analyser: spelling rules, stop words, a Snowball stemmer. May import
//! `error` alone.

use rust_stemmers::Algorithm;

use crate::error::{Error, Result};

/// Letters replaced before lower case.
pub(super) type Spelling = &'static [(char, char)];

/// The typographic apostrophe is the one that stemmers and stop words are written with.
pub(super) const APOSTROPHE: Spelling = &[('\u{2019}', '\'')];

/// An apostrophe ends a word: "l'avion" holds "avion".
const ELISION: Spelling = &[('\'', ' '), ('\u{2019}', ' ')];

/// I and İ are the capitals of ı and i.
const DOTTED_I: Spelling = &[('I', 'ı'), ('İ', 'i'), ('\u{2019}', '\'')];

pub(super) struct Language {
    name: &'static str,
    pub algorithm: Algorithm,
    pub spelling: Spelling,
    /// Name of the stop list.
    stop_list: Option<&'static str>,
}

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

/// Ordered by name. Greek is absent because its stemmer panics on some words. Stop lists descend
/// from Snowball's and hold function words; others go further, to numerals and names of months.
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

impl Language {
    /// # Errors
    /// `InvalidInput` listing the known languages.
    pub fn find(name: &str) -> Result<&'static Self> {
        let language = LANGUAGES.iter().find(|language| language.name == name);
        language.ok_or_else(|| {
            let known = names(|_| true);
            Error::InvalidInput(format!(
                "unknown language {name:?}: choose one of {known}, or none to leave words unstemmed"
            ))
        })
    }

    /// # Errors
    /// `InvalidInput` listing the languages that have stop words.
    pub fn stop_words(&self) -> Result<&'static [&'static str]> {
        let words = self.stop_list.and_then(stop_words::lookup);
        words.ok_or_else(|| {
            let name = self.name;
            let listed = names(|language| language.stop_list.is_some());
            Error::InvalidInput(format!(
                "no stop words for {name}: turn stop_words off or choose one of {listed}"
            ))
        })
    }
}

fn names(wanted: impl Fn(&Language) -> bool) -> String {
    let wanted = LANGUAGES.iter().filter(|language| wanted(language));
    wanted
        .map(|language| language.name)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_ordered_and_found_by_name() {
        assert!(LANGUAGES.is_sorted_by(|a, b| a.name < b.name));
        for language in &LANGUAGES {
            assert_eq!(Language::find(language.name).unwrap().name, language.name);
        }
    }

    #[test]
    fn stop_lists_are_there_and_hold_function_words_only() {
        for language in LANGUAGES
            .iter()
            .filter(|language| language.stop_list.is_some())
        {
            let words = language.stop_words().unwrap();
            assert!(
                (50..350).contains(&words.len()),
                "{}: {}",
                language.name,
                words.len()
            );
        }
        let english = Language::find("english").unwrap().stop_words().unwrap();
        assert!(english.contains(&"the") && !english.contains(&"world"));
    }

    #[test]
    fn errors_list_the_choices() {
        let unknown = Language::find("klingon").err().unwrap().to_string();
        assert!(unknown.contains("\"klingon\""), "{unknown}");
        assert!(unknown.contains("arabic, danish") && unknown.contains("tamil, turkish"));
        let unlisted = Language::find("tamil")
            .unwrap()
            .stop_words()
            .unwrap_err()
            .to_string();
        assert!(unlisted.contains("for tamil"), "{unlisted}");
        assert!(unlisted.contains("danish, dutch, english") && !unlisted.contains("arabic"));
    }
}
