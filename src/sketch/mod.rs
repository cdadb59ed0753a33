//! Sketches: one vector for the many of a document, whose inner products rank about like MaxSim, to find
//! candidates by.
//!
//! Two kinds (`settings`): fixed-dimensional encodings (`fde`, over random `bases`), and learned weights
//! (`lemur`, with the `linear` algebra to learn them). `batch` makes encodings for use elsewhere. What all segments of an index share is a `sketcher`;
//! documents are stored as `codes` (`writer`, `reader`) and found by a scan of them (`search`). Bytes:
//! storage/FORMAT.md, "Sketch file". May import `error`, `topk`, `pool`, `kernels` and `storage`.

mod bases;
pub mod batch;
mod codes;
pub mod fde;
mod lemur;
mod linear;
mod random;
mod reader;
pub mod search;
mod settings;
mod sketcher;
#[cfg(test)]
mod tests;
pub mod writer;

pub use codes::{Bits, Query, Scale};
pub use reader::SketchSegment;
pub use settings::Settings;
pub use sketcher::Sketcher;
