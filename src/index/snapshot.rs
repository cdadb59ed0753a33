//! One generation of an index, mapped: search, lookup, statistics. It never changes, whatever a writer
//! does, and needs no lock.

use std::collections::BTreeMap;
use std::time::Instant;

use half::f16;
use rayon::prelude::*;

use super::attributes::Value;
use super::content::{self, Content};
use super::eligible::{Filter, Slots};
use super::options::{Answer, Options};
use super::query::{Contribution, Query};
use super::rescore::Weighted;
use super::schema::{Schema, SparseSchema};
use super::segment::Segment;
use crate::error::{Error, Result};
use crate::multivector::Codebook;
use crate::pool;
use crate::sketch::Sketcher;
use crate::sparse::search::{self, Part, Request};
use crate::sparse::{QuantizedQuery, Scale};
use crate::storage::keys::{Key, OwnedKey};
use crate::storage::manifest::{self, FileEntry};
use crate::storage::vfs::Vfs;
use crate::text::Analyzer;
use crate::topk::TopK;

pub struct Snapshot {
    pub(super) generation: u64,
    pub(super) content: Content,
    pub(super) segments: Vec<Segment>,
    pub(super) codebook: Option<Codebook>,
    pub(super) sketcher: Option<Sketcher>,
    /// Files that all segments share.
    pub(super) shared_files: Vec<FileEntry>,
    /// Insertion ordinal of the first document of each segment.
    pub(super) first_ordinals: Vec<u64>,
    pub(super) analyzer: Option<Analyzer>,
}

/// A found document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub score: f32,
    pub(super) segment: u32,
    pub(super) document: u32,
}

/// All that is kept of a document.
#[derive(Debug)]
pub struct Document<'a> {
    pub attributes: Vec<(&'a str, Option<Value<'a>>)>,
    /// Terms with their weights after quantisation.
    pub sparse: Option<Vec<(Key<'a>, f32)>>,
    /// Token vectors after quantisation, one after the other.
    pub multivector: Option<Vec<f32>>,
}

impl Snapshot {
    /// Opens the newest generation.
    pub fn open(vfs: &dyn Vfs) -> Result<Self> {
        manifest::with_latest(vfs, |generation| Self::open_generation(vfs, generation))
    }

    fn open_generation(vfs: &dyn Vfs, generation: u64) -> Result<Self> {
        let manifest = content::read(vfs, generation)?;
        let codebook = content::open_codebook(vfs, &manifest)?;
        let sketcher = content::open_sketcher(vfs, &manifest)?;
        let segments =
            content::open_segments(vfs, &manifest, codebook.as_ref(), sketcher.as_ref())?;
        let mut next = 0_u64;
        let first_ordinals = segments.iter().map(|segment| {
            next += u64::from(segment.entry.documents);
            next - u64::from(segment.entry.documents)
        });
        let content = manifest.content;
        Ok(Self {
            generation,
            first_ordinals: first_ordinals.collect(),
            analyzer: content.schema.analyzer()?,
            segments,
            codebook,
            sketcher,
            shared_files: manifest
                .files
                .into_iter()
                .filter(|file| file.name.starts_with("codebook-"))
                .collect(),
            content,
        })
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn schema(&self) -> &Schema {
        &self.content.schema
    }

    /// What was noted by name.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.content.notes
    }

    /// Live documents.
    pub fn len(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| u64::from(segment.live()))
            .sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids of all live documents in insertion order.
    pub fn ids(&self) -> impl Iterator<Item = Result<Key<'_>>> {
        self.segments.iter().flat_map(|segment| {
            let documents = 0..segment.entry.documents;
            let live = documents.filter(|document| !segment.deleted.contains(*document));
            live.map(|document| segment.ids.get(document))
        })
    }

    pub fn contains(&self, id: Key<'_>) -> bool {
        self.locate(id).is_some()
    }

    pub fn get(&self, id: Key<'_>) -> Result<Document<'_>> {
        let (segment, document) = self.located(id)?;
        let sparse = match (&segment.sparse, self.scale()) {
            (Some(sparse), Some(scale)) => {
                let row = sparse.weighted_row(document)?;
                let weights = row.map(|(term, steps)| Ok((sparse.key(term)?, scale.weight(steps))));
                Some(weights.collect::<Result<_>>()?)
            }
            _ => None,
        };
        Ok(Document {
            attributes: segment.attributes.of_document(document as usize).collect(),
            sparse,
            multivector: self.token_vectors(segment, document)?,
        })
    }

    /// External id of a hit of this snapshot.
    pub fn id(&self, hit: Hit) -> Result<Key<'_>> {
        self.segments[hit.segment as usize].ids.get(hit.document)
    }

    /// Answers each query; documents that share no term with a query are not hits.
    pub fn search(
        &self,
        queries: &[Query],
        filter: &Filter<'_>,
        options: &Options,
    ) -> Result<Vec<Answer>> {
        self.sparse_schema()?;
        let longest = options.deadline;
        let deadline = longest.and_then(|longest| Instant::now().checked_add(longest));
        let request = Request {
            knobs: self.knobs(options)?,
            plan: options.plan,
            deadline,
        };
        let eligible = self.slots(self.eligible(filter)?)?;
        let search = |query: &Query| self.search_one(query, options, &request, &eligible);
        match queries {
            [query] => Ok(vec![search(query)?]),
            _ => pool::run(options.threads, || queries.par_iter().map(search).collect())?,
        }
    }

    pub(super) fn search_one(
        &self,
        query: &Query,
        options: &Options,
        request: &Request,
        eligible: &[Slots<'_>],
    ) -> Result<Answer> {
        let nothing = Answer {
            exact: true,
            ..Answer::default()
        };
        let k = options.k.min(self.len() as usize);
        let Some(scale) = self.scale().filter(|_| k > 0) else {
            return Ok(nothing);
        };
        let quantized = QuantizedQuery::new(&query.weights, scale)?;
        if self.sparse_schema()?.rescore {
            let weighted = Weighted::new(query, &quantized, scale);
            return self.search_weights(&weighted, k, options, request, eligible);
        }
        let least = options
            .min_score
            .map_or(0, |least| quantized.at_least(least));
        let mut top = TopK::new(k, least);
        let parts = self.parts(query, &quantized, eligible);
        let left_out = search::search(&parts, request, &mut top)?;
        let full = top.is_full();
        let sorted = top.into_sorted();
        let worst = sorted
            .last()
            .filter(|_| full)
            .map_or(0, |worst| worst.score);
        let hits = sorted.into_iter();
        Ok(Answer {
            exact: left_out < worst.max(least).max(1),
            bound: quantized.score(left_out.max(worst)),
            hits: hits
                .map(|s| self.hit(s.ordinal, quantized.score(s.score)))
                .collect(),
        })
    }

    pub(super) fn parts<'a>(
        &'a self,
        query: &Query,
        quantized: &QuantizedQuery,
        eligible: &'a [Slots<'_>],
    ) -> Vec<Part<'a>> {
        let segments = self.segments.iter().zip(&self.first_ordinals).zip(eligible);
        let parts = segments.filter_map(|((segment, &first_ordinal), eligible)| {
            let sparse = segment.sparse.as_ref()?;
            let weighted = query.terms.iter().zip(&quantized.weights);
            let terms = weighted.filter(|(_, weight)| **weight > 0);
            let found =
                terms.filter_map(|(term, &weight)| Some((sparse.find(term.as_key())?, weight)));
            Some(Part {
                segment: sparse,
                terms: found.collect(),
                eligible: eligible.get(),
                first_ordinal,
            })
        });
        parts.collect()
    }

    pub(super) fn hit(&self, ordinal: u64, score: f32) -> Hit {
        let segment = self
            .first_ordinals
            .partition_point(|first| *first <= ordinal)
            - 1;
        Hit {
            score,
            segment: segment as u32,
            document: (ordinal - self.first_ordinals[segment]) as u32,
        }
    }

    /// What each term of the query adds to the score of a document, terms it lacks left out.
    pub fn explain(&self, id: Key<'_>, query: &Query) -> Result<Vec<Contribution>> {
        self.sparse_schema()?;
        let (segment, document) = self.located(id)?;
        let (Some(sparse), Some(scale)) = (&segment.sparse, self.scale()) else {
            return Ok(vec![]);
        };
        let quantized = QuantizedQuery::new(&query.weights, scale)?;
        let rescore = self.sparse_schema()?.rescore;
        let row: Vec<(u32, f16)> = sparse.weighted_row(document)?.collect();
        let mut contributions = vec![];
        let given = query.terms.iter().zip(&query.weights);
        for ((term, &given), &weight) in given.zip(&quantized.weights) {
            let number = sparse.find(term.as_key());
            let posting = row.iter().find(|(term, _)| Some(*term) == number);
            if let Some(&(_, steps)) = posting.filter(|_| weight > 0) {
                let document_weight = scale.weight(steps);
                // An impact is a whole number of steps.
                let (query_weight, contribution) = match rescore {
                    true => (given, given * document_weight),
                    false => (
                        quantized.weight(weight, scale),
                        quantized.score(weight * steps.to_f32() as u32),
                    ),
                };
                contributions.push(Contribution {
                    term: term.clone(),
                    query_weight,
                    document_weight,
                    contribution,
                });
            }
        }
        Ok(contributions)
    }

    pub(super) fn locate(&self, id: Key<'_>) -> Option<(&Segment, u32)> {
        let mut segments = self.segments.iter();
        segments.find_map(|segment| Some((segment, segment.find(id)?)))
    }

    pub(super) fn located(&self, id: Key<'_>) -> Result<(&Segment, u32)> {
        let missing = || Error::NotFound(format!("no document {id} in the index"));
        self.locate(id).ok_or_else(missing)
    }

    pub(super) fn scale(&self) -> Option<Scale> {
        self.content.max_weight.map(Scale::new)
    }

    pub(super) fn sparse_schema(&self) -> Result<&SparseSchema> {
        self.content.schema.sparse.as_ref().ok_or_else(|| {
            Error::SchemaMismatch("this index has no sparse vectors to search".into())
        })
    }

    /// Documents that have a term, exactly.
    pub fn document_frequency(&self, term: &OwnedKey) -> Result<u64> {
        let count = |segment: &Segment| segment.document_frequency(term.as_key()).map(u64::from);
        self.segments.iter().map(count).sum()
    }
}
