//! Term-weight vectors: 8-bit impacts (`quantize`), rows waiting in memory (`buffer`) until they
//! are written (`flush`), the file that holds them by term and by document (`writer`, `reader`), joining such
//! files (`merge`), and the search
//! that reads every posting of the query's terms (`exhaustive`). Bytes: storage/FORMAT.md, "Sparse file".
//! May import `error`, `topk`, `pool`, `kernels` and `storage`.

pub mod buffer;
pub mod exhaustive;
pub mod flush;
pub mod merge;
pub mod quantize;
pub mod reader;
pub mod writer;

pub use buffer::SparseBuffer;
pub use quantize::{QuantizedQuery, Scale};
pub use reader::SparseSegment;
