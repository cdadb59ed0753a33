//! The Common Index File Format (Lin et al. 2020): one file with a header, the postings lists of all terms
//! and the records of all documents, each a Protocol Buffers message behind its length. Documents have
//! numbers from 0; a list holds the first as it is and then the gaps between them. What the format calls
//! the term frequency is the weight, an integer.

pub mod reader;
mod scan;
#[cfg(test)]
mod tests;
pub mod writer;

pub use reader::Reader;
pub use writer::write;

const VERSION: i32 = 1;

/// Numbers of the fields, by message.
mod header {
    pub const VERSION: u64 = 1;
    pub const LISTS: u64 = 2;
    pub const DOCUMENTS: u64 = 3;
    pub const TOTAL_LISTS: u64 = 4;
    pub const TOTAL_DOCUMENTS: u64 = 5;
    pub const TOTAL_TERMS: u64 = 6;
    pub const AVERAGE_LENGTH: u64 = 7;
    pub const DESCRIPTION: u64 = 8;
}

mod list {
    pub const TERM: u64 = 1;
    pub const DOCUMENT_FREQUENCY: u64 = 2;
    pub const COLLECTION_FREQUENCY: u64 = 3;
    pub const POSTING: u64 = 4;
}

mod posting {
    pub const GAP: u64 = 1;
    pub const FREQUENCY: u64 = 2;
}

mod record {
    pub const DOCUMENT: u64 = 1;
    pub const ID: u64 = 2;
    pub const LENGTH: u64 = 3;
}
