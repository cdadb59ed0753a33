//! The full check: every byte of every file of the newest generation against its checksums.

use serde::Serialize;
use serde::de::IgnoredAny;

use super::manifest::{self, Manifest};
use super::section::SectionFile;
use super::vfs::Vfs;
use crate::error::Result;

/// What a successful check has read.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub generation: u64,
    pub files: usize,
    pub bytes: u64,
}

/// Reads everything; the error of the first damaged file, if there is one.
pub fn verify(vfs: &dyn Vfs) -> Result<Verified> {
    manifest::with_latest(vfs, |generation| verify_generation(vfs, generation))
}

fn verify_generation(vfs: &dyn Vfs, generation: u64) -> Result<Verified> {
    let manifest: Manifest<IgnoredAny> = manifest::read(vfs, generation)?;
    let mut bytes = 0_u64;
    for entry in &manifest.files {
        let file = SectionFile::open(vfs, entry, manifest.index)?;
        bytes = bytes.saturating_add(file.verify()?);
    }
    Ok(Verified {
        generation,
        files: manifest.files.len(),
        bytes,
    })
}
