//! The ids file of a segment: external ids in document order, and the documents ordered by id, to find
//! one. Bytes: storage/FORMAT.md, "Ids file".

use std::cmp::Ordering;

use rayon::prelude::*;

use crate::error::Result;
use crate::pool;
use crate::storage::keys::{Key, KeyColumn, KeyKind, partition_point, write_keys};
use crate::storage::section::{Array, SectionFile, SectionWriter};

pub struct Ids {
    ids: KeyColumn,
    /// Documents in ascending order of their ids.
    order: Array<u32>,
    file: SectionFile,
}

impl Ids {
    pub fn open(file: SectionFile, kind: KeyKind, documents: usize) -> Result<Self> {
        let ids = KeyColumn::open(&file, "ids", kind)?;
        if ids.len() != documents {
            return Err(file.corrupt(format!("{} ids for {documents} documents", ids.len())));
        }
        let order = file.array_of("order", documents)?;
        Ok(Self { ids, order, file })
    }

    pub fn get(&self, document: u32) -> Result<Key<'_>> {
        let id = self.ids.get(document as usize);
        id.ok_or_else(|| self.file.corrupt(format!("id of document {document}")))
    }

    /// The document with an id, deleted or not.
    pub fn find(&self, id: Key<'_>) -> Option<u32> {
        let compare = |position: usize| {
            let document = self.order.get(position)?;
            self.ids.compare(*document as usize, id)
        };
        let below = |position| compare(position) == Some(Ordering::Less);
        let position = partition_point(self.order.len(), below);
        let found = compare(position) == Some(Ordering::Equal);
        self.order.get(position).copied().filter(|_| found)
    }
}

/// `id(document)` gives the id of each of `documents` documents.
pub fn write_ids<'a>(
    file: &mut SectionWriter,
    kind: KeyKind,
    documents: usize,
    id: impl Fn(usize) -> Result<Key<'a>>,
) -> Result<()> {
    write_keys(file, "ids", kind, || (0..documents).map(&id))?;
    let ids: Vec<Key<'a>> = (0..documents).map(&id).collect::<Result<_>>()?;
    let mut order: Vec<u32> = (0..documents as u32).collect();
    pool::run(0, || {
        order.par_sort_unstable_by_key(|&document| ids[document as usize])
    })?;
    file.section("order", &order)
}
