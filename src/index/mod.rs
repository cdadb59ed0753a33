//! The index: documents with one space of ids, any of the representations in the schema, attributes to
//! filter by. `writer` makes generations, `snapshot` reads one. Combines `storage`, `sparse` and `text`,
//! and may import everything.

mod attributes;
mod batch;
mod buffer;
mod content;
mod deleted;
mod export;
mod filter;
mod filter_syntax;
mod flush;
mod ids;
mod merge;
mod options;
mod query;
mod schema;
mod segment;
mod snapshot;
mod stats;
mod writer;

pub use attributes::Value;
pub use batch::{Batch, SparseRows, Values};
pub use options::{Answer, OperatingPoint, Options};
pub use query::{Contribution, Query};
pub use schema::{AttributeKind, Schema, SparseSchema};
pub use snapshot::{Document, Filter, Hit, Snapshot};
pub use stats::Stats;
pub use writer::Writer;
