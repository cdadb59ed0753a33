//! A segment: an immutable run of documents in insertion order, as a few files, and the set of those
//! deleted since.

use std::sync::OnceLock;

use fixedbitset::FixedBitSet;
use serde::{Deserialize, Serialize};

use super::attributes::Attributes;
use super::deleted::Deleted;
use super::ids::Ids;
use super::schema::Schema;
use crate::error::{Error, Result};
use crate::multivector::{Codebook, MultiVectorSegment};
use crate::sketch::{SketchSegment, Sketcher};
use crate::sparse::{Eligible, SparseSegment};
use crate::storage::keys::Key;
use crate::storage::manifest::{FileEntry, IndexId};
use crate::storage::section::SectionFile;
use crate::storage::vfs::Vfs;

/// What the manifest says of a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEntry {
    pub id: u64,
    pub documents: u32,
    pub deleted: u32,
    /// Generation in the name of the file of deleted documents, if there is one.
    pub deleted_generation: Option<u64>,
    pub postings: u64,
    /// Postings whose weight was above the scale of the index.
    pub clipped: u64,
    /// Tokens of the documents, where they came as text.
    pub tokens: u64,
    /// Token vectors in its multivector file; without any it has no such file.
    #[serde(default)]
    pub vectors: u64,
    /// Of all its token vectors when they were encoded: the squared error by the squared length, added up.
    #[serde(default)]
    pub squared_error: f64,
    /// Of all its documents with token vectors when they were sketched: the error, added up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sketch_error: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl SegmentEntry {
    pub fn file_name(&self, kind: &str) -> String {
        format!("segment-{}.{kind}", self.id)
    }

    pub fn deleted_name(&self, generation: u64) -> String {
        self.file_name(&format!("deleted-{generation}"))
    }
}

pub struct Segment {
    pub entry: SegmentEntry,
    pub files: Vec<FileEntry>,
    pub ids: Ids,
    pub sparse: Option<SparseSegment>,
    pub multivector: Option<MultiVectorSegment>,
    pub sketch: Option<SketchSegment>,
    pub attributes: Attributes,
    pub deleted: Deleted,
    /// Documents that are not deleted, and where they lie; made when first asked for.
    live: OnceLock<FixedBitSet>,
    live_slots: OnceLock<Eligible>,
}

impl Segment {
    /// Opens the files of `entry`, which must be among `files`.
    pub fn open(
        vfs: &dyn Vfs,
        index: IndexId,
        schema: &Schema,
        (codebook, sketcher): (Option<&Codebook>, Option<&Sketcher>),
        entry: SegmentEntry,
        files: &[FileEntry],
    ) -> Result<Self> {
        let mut own = Vec::new();
        let mut open = |name: String| {
            let Some(file) = files.iter().find(|file| file.name == name) else {
                return Err(Error::corrupt(
                    &vfs.path(&name),
                    "not listed in the manifest",
                ));
            };
            own.push(file.clone());
            SectionFile::open(vfs, file, index)
        };
        let documents = entry.documents;
        let ids = open(entry.file_name("ids"))?;
        let ids = Ids::open(ids, schema.ids, documents as usize)?;
        let attributes = open(entry.file_name("attributes"))?;
        let attributes = Attributes::open(&attributes, schema, documents as usize)?;
        let sparse = match &schema.sparse {
            Some(sparse) => {
                let file = open(entry.file_name("sparse"))?;
                let block = sparse.block_size as usize;
                let steps = sparse.rescore;
                Some(SparseSegment::open(
                    file,
                    sparse.terms,
                    block,
                    steps,
                    documents,
                )?)
            }
            None => None,
        };
        let multivector = match codebook.filter(|_| entry.vectors > 0) {
            Some(codebook) => {
                let file = open(entry.file_name("multivector"))?;
                let segment = MultiVectorSegment::open(file, codebook, documents)?;
                if segment.token_count() as u64 != entry.vectors {
                    return Err(segment
                        .file()
                        .corrupt("the number of token vectors is wrong"));
                }
                Some(segment)
            }
            None => None,
        };
        let sketch = match sketcher.filter(|_| entry.vectors > 0) {
            Some(sketcher) => {
                let file = open(entry.file_name("sketch"))?;
                let (bits, dimensions) = (sketcher.bits(), sketcher.dimensions());
                Some(SketchSegment::open(file, bits, dimensions, documents)?)
            }
            None => None,
        };
        let deleted = match entry.deleted_generation {
            Some(generation) => Deleted::open(&open(entry.deleted_name(generation))?, documents)?,
            None => Deleted::none(documents),
        };
        if deleted.count() != entry.deleted {
            let path = vfs.path(&entry.file_name("deleted"));
            return Err(Error::corrupt(
                &path,
                "the number of deleted documents is wrong",
            ));
        }
        Ok(Self {
            entry,
            files: own,
            ids,
            sparse,
            multivector,
            sketch,
            attributes,
            deleted,
            live: OnceLock::new(),
            live_slots: OnceLock::new(),
        })
    }

    /// The document with an id, unless it is deleted.
    pub fn find(&self, id: Key<'_>) -> Option<u32> {
        self.ids
            .find(id)
            .filter(|document| !self.deleted.contains(*document))
    }

    pub fn live_documents(&self) -> &FixedBitSet {
        self.live.get_or_init(|| {
            let mut live = self.deleted.documents().clone();
            live.toggle_range(..);
            live
        })
    }

    /// `sparse` is its own.
    pub fn live_slots(&self, sparse: &SparseSegment) -> Result<&Eligible> {
        if self.live_slots.get().is_none() {
            let live = Eligible::new(sparse, self.live_documents())?;
            let _ = self.live_slots.set(live);
        }
        let missing = || sparse.file().corrupt("documents that are not deleted");
        self.live_slots.get().ok_or_else(missing)
    }

    pub fn live(&self) -> u32 {
        self.entry.documents - self.deleted.count()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }

    /// Live documents that have `term`.
    pub fn document_frequency(&self, term: Key<'_>) -> Result<u32> {
        let Some(sparse) = &self.sparse else {
            return Ok(0);
        };
        match sparse.find(term) {
            Some(term) => {
                let all = sparse.document_frequency(term)?;
                Ok(all.saturating_sub(self.deleted.with_term(term)))
            }
            None => Ok(0),
        }
    }
}
