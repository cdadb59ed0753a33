//! BM25: how much a term says about a document, and how rare it is.
//!
//! S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond",
//! Foundations and Trends in Information Retrieval 3 (2009): the weight of a term in a document, times
//! the constant k1 + 1, and its idf. The logarithm of the idf takes 1 more than theirs, as in Lucene,
//! so that no term ever counts against a document. May import `error` alone.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The parameters of BM25 and of the analysis of text, as the schema holds them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bm25 {
    /// How slowly repetitions of a term saturate; 0 counts a term once.
    pub k1: f64,
    /// How much the length of a document matters: 0 not at all, 1 in full.
    pub b: f64,
    /// As [`super::Analyzer::new`] takes it.
    pub language: Option<String>,
    pub stop_words: bool,
    /// Mean length of a document in terms; measured when `None`.
    pub average_length: Option<f64>,
}

impl Bm25 {
    /// # Errors
    /// `InvalidInput` naming the number, its value and what it may be. The language is left to
    /// [`super::Analyzer::new`].
    pub fn validate(&self) -> Result<()> {
        require("k1", self.k1, 0.0..=1e6)?;
        require("b", self.b, 0.0..=1.0)?;
        self.average_length.map_or(Ok(()), |length| {
            require("average_length", length, 1e-6..=1e9)
        })
    }

    /// The weight of a term that occurs `frequency` > 0 times in a document of `length` terms, where
    /// documents have `average_length` > 0 terms: positive, and at most [`Self::max_weight`].
    pub fn document_weight(&self, frequency: u32, length: u32, average_length: f64) -> f32 {
        let frequency = f64::from(frequency);
        let length = f64::from(length) / average_length;
        let saturation = self.k1 * (1.0 - self.b + self.b * length);
        (frequency * (self.k1 + 1.0) / (frequency + saturation)) as f32
    }

    /// The least upper bound of the weights of documents.
    pub fn max_weight(&self) -> f32 {
        (self.k1 + 1.0) as f32
    }

    /// Inverse document frequency of a term that n of N documents hold, n <= N: the natural logarithm
    /// of 1 + (N - n + 1/2) / (n + 1/2), which is positive.
    pub fn idf(&self, documents: u64, document_frequency: u64) -> f64 {
        let without = documents.saturating_sub(document_frequency) as f64;
        ((without + 0.5) / (document_frequency as f64 + 0.5)).ln_1p()
    }
}

fn require(name: &str, value: f64, range: RangeInclusive<f64>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = range.into_inner();
    Err(Error::InvalidInput(format!(
        "BM25: {name} is {value}; choose it between {low} and {high}"
    )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bm25(k1: f64, b: f64) -> Bm25 {
        Bm25 {
            k1,
            b,
            language: None,
            stop_words: false,
            average_length: None,
        }
    }

    #[test]
    fn weights_by_hand() {
        assert_eq!(bm25(1.2, 0.75).document_weight(2, 10, 20.0), 1.6);
        assert_eq!(bm25(2.0, 0.0).document_weight(2, 999, 1.0), 1.5);
        assert_eq!(bm25(0.0, 0.75).document_weight(7, 10, 20.0), 1.0);
        assert_eq!(bm25(1.2, 0.75).max_weight(), 2.2);
    }

    #[test]
    fn idf_by_hand() {
        let idf = |documents, frequency| bm25(1.2, 0.75).idf(documents, frequency);
        assert_eq!(idf(2, 1), std::f64::consts::LN_2);
        assert_eq!(idf(0, 0), std::f64::consts::LN_2);
        assert!((idf(100, 3) - (1.0_f64 + 97.5 / 3.5).ln()).abs() < 1e-12);
        assert!(idf(u64::MAX, u64::MAX) > 0.0);
    }

    proptest! {
        #[test]
        fn weights_stay_in_their_bounds_and_follow_frequency_and_length(
            k1 in prop_oneof![Just(0.0), 0.0..1e6],
            b in 0.0..=1.0,
            frequency in 1..u32::MAX,
            length in 1..u32::MAX,
            average_length in 1e-6..1e9,
        ) {
            let bm25 = bm25(k1, b);
            prop_assert!(bm25.validate().is_ok());
            let weight = bm25.document_weight(frequency, length, average_length);
            prop_assert!(0.0 < weight && weight <= bm25.max_weight());
            prop_assert!(weight <= bm25.document_weight(frequency + 1, length, average_length));
            prop_assert!(weight >= bm25.document_weight(frequency, length + 1, average_length));
        }

        #[test]
        fn idf_is_positive_and_falls(documents in 1..u64::MAX, part in 0.0..1.0) {
            let idf = |frequency| bm25(1.2, 0.75).idf(documents, frequency);
            let frequency = (documents as f64 * part) as u64;
            let rarer = idf(frequency.min(documents - 1));
            let commoner = idf(frequency.min(documents - 1) + 1);
            prop_assert!(0.0 < commoner && commoner <= rarer);
        }
    }

    #[test]
    fn invalid_parameters_are_named() {
        let invalid = [
            (
                bm25(-0.1, 0.5),
                "k1 is -0.1; choose it between 0 and 1000000",
            ),
            (bm25(f64::NAN, 0.5), "k1 is NaN"),
            (bm25(f64::INFINITY, 0.5), "k1 is inf"),
            (bm25(1.2, 1.01), "b is 1.01; choose it between 0 and 1"),
            (bm25(1.2, f64::NAN), "b is NaN"),
        ];
        for (bm25, expected) in invalid {
            let message = bm25.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        for average_length in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let average_length = Some(average_length);
            let bm25 = Bm25 {
                average_length,
                ..bm25(1.2, 0.75)
            };
            let message = bm25.validate().unwrap_err().to_string();
            assert!(message.contains("average_length"), "{message}");
        }
    }

    #[test]
    fn json_is_as_the_manifest_has_it() {
        let json =
            r#"{"k1":1.2,"b":0.75,"language":"english","stop_words":false,"average_length":null}"#;
        let bm25: Bm25 = serde_json::from_str(json).unwrap();
        assert!(bm25.validate().is_ok());
        assert_eq!(serde_json::to_string(&bm25).unwrap(), json);
        let unknown = json.replace("k1", "k2");
        assert!(serde_json::from_str::<Bm25>(&unknown).is_err());
    }
}
