//! Read-only memory of a file: the one place outside `kernels` with `unsafe` code. Imports nothing
//! of the crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;

/// The bytes of a file, mapped; the start is page-aligned.
pub struct Mapping(memmap2::Mmap);

impl Mapping {
    pub fn of_file(file: &File) -> io::Result<Self> {
        // SAFETY: files of an index are written once, under a name that no reader looks for before they
        // are complete, and never changed or truncated afterwards; removal keeps the mapped pages. That
        // nobody else truncates them is an assumption stated to the user.
        unsafe { memmap2::Mmap::map(file) }.map(Self)
    }

    /// A copy of `bytes` with the same alignment as a mapped file.
    pub fn of_bytes(bytes: &[u8]) -> io::Result<Self> {
        let mut map = memmap2::MmapMut::map_anon(bytes.len())?;
        map.copy_from_slice(bytes);
        map.make_read_only().map(Self)
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
