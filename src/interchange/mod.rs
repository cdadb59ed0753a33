//! Formats that other engines read and write: `ciff`, the Common Index File Format, on top of
//! `protobuf`, its encoding. Files come from outside, so every length is compared with the bytes that are
//! left before it is believed, and whatever the bytes are there is an error that names the place or a
//! correct result. Reading imports `error` and `pool`; writing `sparse` and `storage` too.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![deny(clippy::arithmetic_side_effects)]

pub mod ciff;
mod protobuf;
