//! The sketch file of a segment, mapped.

use super::codes::{Bits, Scale};
use crate::error::Result;
use crate::kernels::sketch::GROUP;
use crate::storage::section::{Array, SectionFile};

pub struct SketchSegment {
    file: SectionFile,
    scales: Array<Scale>,
    codes: Array<[u8; GROUP]>,
    /// Bytes of the code of a document.
    bytes: usize,
}

impl SketchSegment {
    pub fn open(file: SectionFile, bits: Bits, dimensions: usize, documents: u32) -> Result<Self> {
        let bytes = bits.bytes(dimensions);
        let groups = (documents as usize).div_ceil(GROUP);
        Ok(Self {
            scales: file.array_of("scales", documents as usize)?,
            codes: file.array_of("codes", groups * bytes)?,
            bytes,
            file,
        })
    }

    pub fn scales(&self) -> &[Scale] {
        &self.scales
    }

    /// Documents that have a sketch.
    pub fn count(&self) -> usize {
        self.scales.iter().filter(|scale| !scale.is_none()).count()
    }

    /// The codes of groups of documents, one after the other.
    pub fn groups(&self) -> impl Iterator<Item = &[[u8; GROUP]]> {
        self.codes.chunks_exact(self.bytes)
    }

    /// Copies the code of a document.
    pub fn copy(&self, document: u32, code: &mut [u8]) -> Result<Scale> {
        let at = document as usize;
        let group = self.codes.chunks_exact(self.bytes).nth(at / GROUP);
        match (group, self.scales.get(at)) {
            (Some(group), Some(scale)) => {
                let bytes = group.iter().map(|lanes| lanes[at % GROUP]);
                code.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
                Ok(*scale)
            }
            _ => Err(self
                .file
                .corrupt(format!("the sketch of document {document}"))),
        }
    }
}
