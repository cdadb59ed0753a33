//! The only code that touches files: the operations on a directory (`vfs`), checksummed files of named
//! sections (`section`), columns of keys inside them (`keys`), the manifest that names the files of a
//! generation (`manifest`), its atomic publication (`commit`) and the full check (`verify`).
//! The bytes are specified in FORMAT.md. Knows nothing of documents or postings.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![deny(clippy::arithmetic_side_effects)]

pub mod commit;
pub mod keys;
pub mod manifest;
pub mod mmap;
pub mod section;
pub mod verify;
pub mod vfs;
pub mod vfs_sim;

/// The newest format that this library writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// No file of an index is larger, so that 32-bit offsets suffice inside it.
pub const MAX_FILE_LENGTH: u64 = u32::MAX as u64;
