//! Numbers about a snapshot.

use std::collections::BTreeMap;

use serde::Serialize;

use super::snapshot::Snapshot;
use crate::sketch::{Scale, SketchSegment};

#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    pub generation: u64,
    pub documents: u64,
    /// Deleted documents whose space a merge will free.
    pub deleted: u64,
    pub segments: usize,
    pub postings: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes on disk of the files of each kind.
    pub bytes_by_kind: BTreeMap<String, u64>,
    pub bytes_per_posting: Option<f64>,
    /// The weight that the largest impact stands for.
    pub max_weight: Option<f32>,
    /// Postings whose weight was above it.
    pub clipped: u64,
    /// Mean tokens of a document, where documents came as text.
    pub average_length: Option<f64>,
    pub multivector: Option<MultiVectorStats>,
    pub sketch: Option<SketchStats>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SketchStats {
    pub dimensions: usize,
    pub bytes_per_document: usize,
    /// Of the documents that sketches were learned from: the mean share of a document that its sketch does
    /// not explain, or with encodings, that its code loses.
    pub error: f64,
    /// The same of all documents, divided by it: well above 1 where they have drifted away.
    pub drift: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct MultiVectorStats {
    /// Token vectors, of deleted documents too.
    pub tokens: u64,
    pub centroids: usize,
    /// Bytes of the codes of a token.
    pub bytes_per_code: usize,
    /// Bytes on disk of all that belongs to token vectors, for each of them.
    pub bytes_per_token: Option<f64>,
    /// Mean squared error of the tokens that the codebook was learned from, by their squared length.
    pub error: f64,
    /// The same of all tokens, divided by it: well above 1 where they have drifted away from the codebook.
    pub drift: Option<f64>,
}

impl Snapshot {
    pub fn stats(&self) -> Stats {
        let segments = || self.segments.iter();
        let sum = |count: fn(&super::segment::Segment) -> u64| segments().map(count).sum::<u64>();
        let mut bytes_by_kind = BTreeMap::new();
        let files = segments()
            .flat_map(|segment| &segment.files)
            .chain(&self.shared_files);
        for file in files {
            let suffix = file.name.split_once('.').map_or("", |(_, suffix)| suffix);
            let kind = suffix.split('-').next().unwrap_or("");
            *bytes_by_kind.entry(kind.to_owned()).or_default() += file.length;
        }
        let postings = sum(|segment| segment.entry.postings);
        let sparse = bytes_by_kind.get("sparse").filter(|_| postings > 0);
        let tokens = sum(|segment| segment.entry.tokens);
        let documents = sum(|segment| segment.entry.documents.into());
        let multivector = self.multivector_stats(bytes_by_kind.get("multivector").copied());
        Stats {
            generation: self.generation,
            documents: self.len(),
            deleted: sum(|segment| segment.deleted.count().into()),
            segments: self.segments.len(),
            postings,
            bytes: bytes_by_kind.values().sum(),
            bytes_per_posting: sparse.map(|bytes| *bytes as f64 / postings as f64),
            bytes_by_kind,
            max_weight: self.content.max_weight,
            clipped: sum(|segment| segment.entry.clipped),
            multivector,
            sketch: self.sketch_stats(),
            average_length: (tokens > 0).then(|| tokens as f64 / documents as f64),
        }
    }

    fn sketch_stats(&self) -> Option<SketchStats> {
        let (entry, sketcher) = self.content.sketcher.zip(self.sketcher.as_ref())?;
        let with = self
            .segments
            .iter()
            .filter_map(|segment| segment.sketch.as_ref());
        let count: usize = with.map(SketchSegment::count).sum();
        let sum: f64 = self
            .segments
            .iter()
            .map(|segment| segment.entry.sketch_error)
            .sum();
        let mean = (count > 0).then(|| sum / count as f64);
        Some(SketchStats {
            dimensions: sketcher.dimensions(),
            bytes_per_document: sketcher.bytes() + size_of::<Scale>(),
            error: entry.error,
            drift: mean
                .filter(|_| entry.error > 0.0)
                .map(|mean| mean / entry.error),
        })
    }

    fn multivector_stats(&self, bytes: Option<u64>) -> Option<MultiVectorStats> {
        let (entry, codebook) = self.content.codebook.zip(self.codebook.as_ref())?;
        let entries = || self.segments.iter().map(|segment| &segment.entry);
        let tokens: u64 = entries().map(|entry| entry.vectors).sum();
        let squared: f64 = entries().map(|entry| entry.squared_error).sum();
        let mean = (tokens > 0).then(|| squared / tokens as f64);
        Some(MultiVectorStats {
            tokens,
            centroids: codebook.centroids.len(),
            bytes_per_code: codebook.widths().iter().sum(),
            bytes_per_token: bytes
                .filter(|_| tokens > 0)
                .map(|bytes| bytes as f64 / tokens as f64),
            error: entry.error,
            drift: mean
                .filter(|_| entry.error > 0.0)
                .map(|mean| mean / entry.error),
        })
    }
}
