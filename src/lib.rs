//! Learned-sparse and multi-vector retrieval in one crash-safe index: vectors or text go in, an
//! immutable, memory-mapped directory comes out, and any process can search it.
//!
//! `index` is the way in: [`index::Writer`] and [`index::Snapshot`]. The other modules are its parts;
//! ARCHITECTURE.md shows how they stand on one another.
#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("files are mapped as they are, so weft needs a little-endian processor");

pub mod error;
pub mod index;
pub mod interchange;
pub mod kernels;
pub mod multivector;
pub mod pool;
pub mod sketch;
pub mod sparse;
pub mod storage;
pub mod text;
pub mod topk;

pub use error::{Error, Result};
