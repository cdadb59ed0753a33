//! Which documents of a segment are deleted, and how many postings of each term died with them, so that
//! document frequencies stay exact. Bytes: storage/FORMAT.md, "Deleted file".

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;

use crate::error::Result;
use crate::sparse::SparseSegment;
use crate::storage::manifest::{FileEntry, IndexId};
use crate::storage::section::{SectionFile, SectionWriter};
use crate::storage::vfs::Vfs;

#[derive(Clone)]
pub struct Deleted {
    documents: FixedBitSet,
    count: u32,
    /// Deleted documents that have a term, for the terms where there are any.
    of_term: BTreeMap<u32, u32>,
}

impl Deleted {
    pub fn none(documents: u32) -> Self {
        Self {
            documents: FixedBitSet::with_capacity(documents as usize),
            count: 0,
            of_term: BTreeMap::new(),
        }
    }

    pub fn open(file: &SectionFile, documents: u32) -> Result<Self> {
        let length = documents as usize;
        let words = file.array_of::<u64>("documents", length.div_ceil(64))?;
        let set = (0..length).filter(|document| words[document / 64] >> (document % 64) & 1 == 1);
        let mut bits = FixedBitSet::with_capacity(length);
        set.for_each(|document| bits.insert(document));
        let all: u32 = words.iter().map(|word| word.count_ones()).sum();
        if all as usize != bits.count_ones(..) {
            return Err(file.corrupt("documents behind the last one are deleted"));
        }
        let terms = file.array::<u32>("terms")?;
        let counts = file.array_of::<u32>("counts", terms.len())?;
        Ok(Self {
            count: bits.count_ones(..) as u32,
            documents: bits,
            of_term: terms.iter().copied().zip(counts.iter().copied()).collect(),
        })
    }

    pub fn write(&self, vfs: &dyn Vfs, name: &str, index: IndexId) -> Result<FileEntry> {
        let mut file = SectionWriter::create(vfs, name, index)?;
        let mut words = vec![0_u64; self.documents.len().div_ceil(64)];
        self.documents
            .ones()
            .for_each(|document| words[document / 64] |= 1 << (document % 64));
        file.section("documents", &words)?;
        file.section("terms", &self.of_term.keys().copied().collect::<Vec<_>>())?;
        file.section(
            "counts",
            &self.of_term.values().copied().collect::<Vec<_>>(),
        )?;
        file.finish()
    }

    /// Deletes a document that is not deleted yet.
    pub fn insert(&mut self, document: u32, sparse: Option<&SparseSegment>) -> Result<()> {
        if let Some(sparse) = sparse {
            let terms: Vec<u32> = sparse.row(document)?.map(|(term, _)| term).collect();
            for term in terms {
                let count = self.of_term.entry(term).or_default();
                *count = count.saturating_add(1);
            }
        }
        self.documents.insert(document as usize);
        self.count += 1;
        Ok(())
    }

    pub fn contains(&self, document: u32) -> bool {
        self.documents.contains(document as usize)
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn documents(&self) -> &FixedBitSet {
        &self.documents
    }

    /// Deleted documents that have `term`.
    pub fn with_term(&self, term: u32) -> u32 {
        self.of_term.get(&term).copied().unwrap_or(0)
    }
}
