//! Term-weight vectors. Building: 8-bit impacts (`quantize`), rows waiting in memory (`buffer`) until they are
//! written (`flush`), the order of documents (`reorder`), rows by term (`invert`), the file (`writer`,
//! `reader`), joining files (`merge`). Searching: the choice of a way (`search`) among blocks with bounds
//! (`block_max` over `lists`), all postings (`exhaustive`) and rows (`rows`). Bytes: storage/FORMAT.md,
//! "Sparse file". May import `error`, `topk`, `pool`, `kernels` and `storage`.

mod block_max;
pub mod buffer;
mod exhaustive;
pub mod flush;
pub mod invert;
mod lists;
pub mod merge;
pub mod quantize;
pub mod reader;
mod reorder;
mod rows;
pub mod search;
#[cfg(test)]
mod tests;
pub mod writer;

pub use buffer::SparseBuffer;
pub use quantize::{QuantizedQuery, Scale};
pub use reader::SparseSegment;
pub use search::{Eligible, Knobs, Part, Plan, Request};
