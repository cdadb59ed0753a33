//! Text to terms, and the weights that BM25 gives them.
//!
//! Promises: the terms are a function of the text and the settings alone, so that documents and
//! queries meet in the same terms; any text is accepted, and nothing is lost of it but stop words and
//! what holds neither letter nor digit. May import `error` alone.

mod analyzer;
mod bm25;
mod language;
mod rows;

pub use analyzer::{Analyzer, MAX_STEMMED_BYTES, MAX_TERM_BYTES};
pub use bm25::Bm25;
pub use rows::TermRows;
