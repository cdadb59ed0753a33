//! Text to terms.
//!
//! Promises: analysis is a pure function of the text and the settings, so documents and queries analysed alike
//! meet in the same terms; it accepts every string, drops nothing but stop words and what holds no letter or
//! digit, and never fails. May import `error` alone.

mod analyzer;
mod bm25;
mod language;
mod rows;

pub use analyzer::{Analyzer, MAX_STEMMED_BYTES, MAX_TERM_BYTES};
pub use bm25::Bm25;
pub use rows::TermRows;
