//! Segments made of given rows, compared with what defines them.

mod lists;
mod reorder;
mod writing;

use std::time::Duration;

use super::SparseSegment;
use super::writer::{self, Layout, Source};
use crate::error::Result;
use crate::pool::Interrupt;
use crate::storage::keys::{Key, KeyKind};
use crate::storage::manifest::IndexId;
use crate::storage::section::{SectionFile, SectionWriter};
use crate::storage::vfs_sim::SimVfs;

/// Terms of each document with their impacts, terms ascending; each term is its own key.
#[derive(Clone, Debug, Default)]
struct Rows {
    terms: u32,
    rows: Vec<Vec<(u32, u8)>>,
}

impl Source for Rows {
    fn documents(&self) -> u32 {
        self.rows.len() as u32
    }

    fn terms(&self) -> u32 {
        self.terms
    }

    fn key(&self, term: u32) -> Result<Key<'_>> {
        Ok(Key::Int(term.into()))
    }

    fn row(&self, document: u32, mut visit: impl FnMut(u32, u8) -> Result<()>) -> Result<()> {
        let row = &self.rows[document as usize];
        row.iter()
            .try_for_each(|&(term, impact)| visit(term, impact))
    }
}

fn layout(block: usize, reorder: bool) -> Layout {
    Layout {
        terms: KeyKind::Int,
        block,
        reorder: reorder.then_some(Duration::from_secs(600)),
        steps: false,
        memory: 1 << 30,
    }
}

const NAME: &str = "segment-1.sparse";

/// A directory with the sparse file of these rows.
fn write(rows: &Rows, layout: Layout) -> (SimVfs, SectionFile) {
    let (vfs, index) = (SimVfs::new(), IndexId([7; 16]));
    let mut file = SectionWriter::create(&vfs, NAME, index).unwrap();
    let postings = writer::write(&mut file, layout, rows, &Interrupt::never()).unwrap();
    assert_eq!(
        postings,
        rows.rows.iter().map(Vec::len).sum::<usize>() as u64
    );
    let file = SectionFile::open(&vfs, &file.finish().unwrap(), index).unwrap();
    (vfs, file)
}

fn segment(rows: &Rows, block: usize, reorder: bool) -> SparseSegment {
    let (_, file) = write(rows, layout(block, reorder));
    let documents = rows.rows.len() as u32;
    let segment = SparseSegment::open(file, KeyKind::Int, block, false, documents).unwrap();
    segment.check_lists().unwrap();
    segment
}

/// A generator of test data.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

/// Rows of `clusters` kinds in no order, with `of_cluster` terms of their own each; of the `common` ones
/// the first is in many rows.
fn clustered(seed: u64, documents: usize, clusters: u32, of_cluster: u32, common: u32) -> Rows {
    let mut random = Random(seed);
    let row = |_| {
        let cluster = random.below(clusters);
        let mut row = vec![];
        for _ in 0..random.below(12) {
            let own = common == 0 || random.below(10) < 7;
            let term = match own {
                true => common + cluster * of_cluster + random.below(of_cluster),
                false => random.below(common) * random.below(2),
            };
            row.push((term, 1 + random.below(255) as u8));
        }
        row.sort_unstable();
        row.dedup_by_key(|(term, _)| *term);
        row
    };
    compact((0..documents).map(row).collect())
}

/// Renumbers the terms so that every one has a posting.
fn compact(mut rows: Vec<Vec<(u32, u8)>>) -> Rows {
    let all = rows.iter().flatten().map(|(term, _)| *term);
    let used: std::collections::BTreeSet<u32> = all.collect();
    let used: Vec<u32> = used.into_iter().collect();
    for (term, _) in rows.iter_mut().flatten() {
        *term = used.binary_search(term).unwrap() as u32;
    }
    Rows {
        terms: used.len() as u32,
        rows,
    }
}
