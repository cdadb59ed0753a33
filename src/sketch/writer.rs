//! Writes the sketch file of a segment, group by group, from anything that has the codes of its documents.

use super::codes::{Scale, grouped};
use super::reader::SketchSegment;
use crate::error::Result;
use crate::kernels::sketch::GROUP;
use crate::pool::Interrupt;
use crate::storage::section::SectionWriter;

/// Documents are numbered from 0.
pub trait Source {
    fn documents(&self) -> u32;
    /// Bytes of a code.
    fn bytes(&self) -> usize;
    /// Copies the code of a document.
    fn copy(&self, document: u32, code: &mut [u8]) -> Result<Scale>;
}

/// Groups between two looks at the interrupt.
const STRIDE: usize = 64;

pub fn write<S: Source>(file: &mut SectionWriter, source: &S, interrupt: &Interrupt) -> Result<()> {
    let documents: Vec<u32> = (0..source.documents()).collect();
    let bytes = source.bytes();
    let mut scales = Vec::with_capacity(documents.len());
    let mut codes = vec![0; GROUP * bytes];
    file.begin("codes")?;
    for (number, group) in documents.chunks(GROUP).enumerate() {
        if number.is_multiple_of(STRIDE) {
            interrupt.check()?;
        }
        let codes = &mut codes[..group.len() * bytes];
        for (document, code) in group.iter().zip(codes.chunks_exact_mut(bytes)) {
            scales.push(source.copy(*document, code)?);
        }
        file.write(&grouped(codes, bytes))?;
    }
    file.section("scales", &scales)
}

/// Documents just coded.
pub struct Coded {
    pub codes: Vec<u8>,
    pub scales: Vec<Scale>,
    pub bytes: usize,
}

impl Coded {
    pub fn new(bytes: usize) -> Self {
        Self {
            codes: vec![],
            scales: vec![],
            bytes,
        }
    }

    /// Adds documents behind those there are.
    pub fn append(&mut self, more: Self) {
        self.codes.extend(more.codes);
        self.scales.extend(more.scales);
    }

    /// Documents that have a sketch.
    pub fn count(&self) -> usize {
        self.scales.iter().filter(|scale| !scale.is_none()).count()
    }
}

impl Source for Coded {
    fn documents(&self) -> u32 {
        self.scales.len() as u32
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn copy(&self, document: u32, code: &mut [u8]) -> Result<Scale> {
        let at = document as usize;
        code.copy_from_slice(&self.codes[at * self.bytes..(at + 1) * self.bytes]);
        Ok(self.scales[at])
    }
}

/// Documents of several segments.
pub struct Merge<'a> {
    /// `None` for one without sketches.
    pub segments: Vec<Option<&'a SketchSegment>>,
    /// Segment and document in it, for each new document.
    pub origins: &'a [(u32, u32)],
    pub bytes: usize,
}

impl Source for Merge<'_> {
    fn documents(&self) -> u32 {
        self.origins.len() as u32
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn copy(&self, document: u32, code: &mut [u8]) -> Result<Scale> {
        let (segment, document) = self.origins[document as usize];
        match self.segments[segment as usize] {
            Some(segment) => segment.copy(document, code),
            None => {
                code.fill(0);
                Ok(Scale::NONE)
            }
        }
    }
}
