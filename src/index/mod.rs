//! The index: documents with one space of ids, any of the representations in the schema, attributes to
//! filter by. `writer` makes generations, `snapshot` reads one. Combines `storage`, `sparse` and `text`,
//! and may import everything.

mod attributes;
mod batch;
mod buffer;
mod codebook;
mod content;
mod deleted;
mod eligible;
mod export;
mod filter;
mod filter_syntax;
mod flush;
mod ids;
mod late;
mod merge;
mod options;
mod query;
mod rescore;
mod schema;
mod segment;
mod snapshot;
mod stats;
mod writer;

pub use attributes::Value;
pub use batch::{Batch, SparseRows, TokenRows, Values};
pub use eligible::Filter;
pub use late::{TokenMatch, TokenQueries};
pub use options::{Answer, EffortPoint, Fuse, Late, OperatingPoint, Options, Source};
pub use query::{Contribution, Query};
pub use schema::{AttributeKind, MultiVectorSchema, Schema, SparseSchema};
pub use snapshot::{Document, Hit, Snapshot};
pub use stats::Stats;
pub use writer::Writer;
