//! Search by token vectors: alone, after sparse vectors, or joined with them; scores of given documents;
//! and which tokens a score comes from.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::time::Instant;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::batch::{check_dimensions, check_offsets, not_finite};
use super::eligible::{Documents, Filter, Slots};
use super::options::{Answer, Fuse, Options, Source};
use super::query::Query as SparseQuery;
use super::segment::Segment;
use super::snapshot::{Hit, Snapshot};
use crate::error::{Error, Result};
use crate::multivector::candidates::Candidate;
use crate::multivector::search::{Effort, Part, Search};
use crate::multivector::{Codebook, Query, Scorer, decode, is_padding};
use crate::pool;
use crate::sketch;
use crate::sparse::Request;
use crate::storage::keys::{Key, Keys};
use crate::topk::{Scored, TopK, key, score_of};

/// Rows of 32-bit floats: query `i` has those from `offsets[i]` to `offsets[i + 1]` of `values`.
#[derive(Clone, Copy, Debug)]
pub struct TokenQueries<'a> {
    pub dim: usize,
    pub offsets: &'a [i64],
    pub values: &'a [f32],
}

/// The token of a document that a row of a query matches best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenMatch {
    pub query_token: usize,
    pub document_token: usize,
    pub score: f32,
}

/// Documents found by their sketches for each that is scored: what a sketch ranks too low, the centroids
/// of the document's tokens put right, in a thirtieth of the time of a score.
const SKETCHED: usize = 16;
/// Values of queries are below, so that no product overflows.
const LARGEST: f32 = 1e36;
/// More rows are not searched with.
const MOST_ROWS: usize = 1024;
/// Scores of centroids that a thread keeps memory for.
const KEPT_SCORES: usize = 1 << 24;

impl<'a> TokenQueries<'a> {
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, query: usize) -> &'a [f32] {
        let (start, end) = (
            self.offsets[query] as usize,
            self.offsets[query + 1] as usize,
        );
        &self.values[start * self.dim..end * self.dim]
    }

    fn check(&self, dim: usize) -> Result<()> {
        check_dimensions(self.dim, dim)?;
        check_offsets(self.offsets, self.values.len(), dim)?;
        if let Some(at) = self
            .values
            .iter()
            .position(|value| value.abs().partial_cmp(&LARGEST) != Some(Ordering::Less))
        {
            return Err(not_finite(
                self.offsets,
                at / dim,
                at % dim,
                "query",
                "1e36",
            ));
        }
        let longest = self
            .offsets
            .windows(2)
            .position(|pair| pair[1] - pair[0] > MOST_ROWS as i64);
        match longest {
            Some(query) => Err(Error::InvalidInput(format!(
                "query {query} has more than {MOST_ROWS} rows; cut it into several"
            ))),
            None => Ok(()),
        }
    }
}

thread_local! {
    /// Memory for the scores of centroids that a thread keeps from query to query.
    static CENTROID_SCORES: RefCell<Vec<f32>> = const { RefCell::new(vec![]) };
}

/// Does something with a query that is ready.
fn with_query<R>(
    codebook: &Codebook,
    vectors: &[f32],
    work: impl FnOnce(&Query) -> Result<R>,
) -> Result<R> {
    let query = Query::new(codebook, vectors, CENTROID_SCORES.take());
    let done = work(&query);
    if query.centroid_scores.capacity() <= KEPT_SCORES {
        CENTROID_SCORES.set(query.centroid_scores);
    }
    done
}

/// What all queries of a call have in common.
struct Common<'a> {
    options: &'a Options,
    effort: Effort,
    request: Request,
    eligible: Vec<Documents<'a>>,
    slots: Vec<Slots<'a>>,
}

/// One query of a call, its rows as they came and ready to search with.
struct One<'a> {
    vectors: &'a [f32],
    search: Search<'a>,
    /// For each segment its number among the parts of the search.
    numbers: &'a [Option<u32>],
    common: &'a Common<'a>,
    k: usize,
}

impl Snapshot {
    /// Answers each query by token vectors; with `sparse`, as many queries, as `Late` says. Documents
    /// without token vectors are not hits unless scores are joined.
    pub fn search_late(
        &self,
        sparse: Option<&[SparseQuery]>,
        queries: &TokenQueries<'_>,
        filter: &Filter<'_>,
        options: &Options,
    ) -> Result<Vec<Answer>> {
        queries.check(self.dim()?)?;
        if options.late.source == Some(Source::Sketch) && self.content.schema.sketch.is_none() {
            return Err(Error::SchemaMismatch(
                "this index has no sketches to find candidates by; make it with a schema that has some".into(),
            ));
        }
        if let Some(sparse) = sparse
            && sparse.len() != queries.len()
        {
            let (sparse, tokens) = (sparse.len(), queries.len());
            return Err(Error::InvalidInput(format!(
                "{sparse} sparse queries but {tokens} of token vectors; pass one of each"
            )));
        }
        let common = Common {
            options,
            effort: self.effort(options)?,
            request: Request {
                knobs: options.knobs,
                plan: options.plan,
                deadline: options
                    .deadline
                    .and_then(|longest| Instant::now().checked_add(longest)),
            },
            slots: match sparse {
                Some(_) => self.slots(self.eligible(filter)?)?,
                None => vec![],
            },
            eligible: self.eligible(filter)?,
        };
        let search = |number: usize| {
            let sparse = sparse.map(|sparse| &sparse[number]);
            self.search_one_late(sparse, queries.get(number), &common)
        };
        match queries.len() {
            1 => Ok(vec![search(0)?]),
            many => pool::run(options.threads, || {
                (0..many).into_par_iter().map(search).collect()
            })?,
        }
    }

    fn search_one_late(
        &self,
        sparse: Option<&SparseQuery>,
        vectors: &[f32],
        common: &Common<'_>,
    ) -> Result<Answer> {
        let options = common.options;
        let k = options.k.min(self.len() as usize);
        if k == 0 {
            return Ok(complete(vec![]));
        }
        let Some(codebook) = &self.codebook else {
            return self.search_without_tokens(sparse, common, k);
        };
        with_query(codebook, vectors, |query| {
            let (parts, numbers) = self.late_parts(&common.eligible);
            let one = One {
                vectors,
                search: Search {
                    codebook,
                    query,
                    parts: &parts,
                    deadline: common.request.deadline,
                },
                numbers: &numbers,
                common,
                k,
            };
            let late = options.late;
            match sparse {
                // Every document is scored, wherever candidates would have come from.
                Some(sparse) if !late.exact || late.fuse.is_some() => {
                    self.search_both(sparse, &one)
                }
                _ => self.search_alone(&one),
            }
        })
    }

    fn search_alone(&self, one: &One<'_>) -> Result<Answer> {
        let (search, common) = (&one.search, one.common);
        if search.query.rows == 0 {
            return Ok(complete(vec![]));
        }
        let least = common.options.min_score;
        let mut top = TopK::new(one.k, least.map_or(0, key));
        let late = common.options.late;
        // Sketches are used where they are asked for, however few documents there are.
        let may_be_small = late.source != Some(Source::Sketch);
        let all = match late.exact || may_be_small && search.is_small(common.effort)? {
            true => search.exact(&mut top)?,
            false => {
                let candidates = self.candidates(one, common.effort)?;
                search.refine(candidates, &mut top)?;
                false
            }
        };
        Ok(self.answer(top, all))
    }

    /// Candidates by token vectors alone.
    fn candidates(&self, one: &One<'_>, effort: Effort) -> Result<Vec<Candidate>> {
        let common = one.common;
        let late = common.options.late;
        // A scan of sketches may stop at the deadline, but an exact search is about all documents.
        let by_cells = late.exact || late.source == Some(Source::Centroids);
        let sketcher = self.sketcher.as_ref().filter(|_| !by_cells);
        let Some(sketcher) = sketcher else {
            return one.search.candidates(effort);
        };
        let mut parts = vec![];
        let each = self.segments.iter().zip(&self.first_ordinals);
        for ((segment, first_ordinal), eligible) in each.zip(&common.eligible) {
            parts.extend(segment.sketch.as_ref().map(|segment| sketch::search::Part {
                segment,
                eligible: eligible.get(),
                first_ordinal: *first_ordinal,
            }));
        }
        let mut top = TopK::new(effort.candidates.saturating_mul(SKETCHED), 0);
        let query = sketcher.query(one.vectors);
        sketch::search::scan(&query, &parts, common.request.deadline, &mut top);
        let sorted = top.into_sorted().into_iter();
        let hits: Vec<Hit> = sorted
            .map(|scored| self.hit(scored.ordinal, score_of(scored.score)))
            .collect();
        one.search
            .keep_candidates(given(&hits, one.numbers), effort)
    }

    /// Candidates by sparse vectors, by token vectors, or both; ordered by token vectors, or by both scores.
    fn search_both(&self, sparse: &SparseQuery, one: &One<'_>) -> Result<Answer> {
        let (search, common, k) = (&one.search, one.common, one.k);
        let late = common.options.late;
        let source = late.source.unwrap_or(match late.fuse {
            Some(_) => Source::Both,
            None => Source::Sparse,
        });
        let alone = matches!(source, Source::Centroids | Source::Sketch);
        let by_sparse = match alone && late.fuse.is_none() {
            true => complete(vec![]),
            false => self.first_stage(sparse, common, k)?,
        };
        let sparse_hits = by_sparse.hits;
        let mut found: FxHashMap<(u32, u32), f32> = FxHashMap::default();
        let mut in_time = true;
        if search.query.rows > 0 {
            let mut candidates = match alone {
                true => vec![],
                false => given(&sparse_hits, one.numbers),
            };
            if source != Source::Sparse {
                let effort = Effort {
                    candidates: self.wanted(common, k),
                    ..common.effort
                };
                candidates.extend(self.candidates(one, effort)?);
                candidates.sort_unstable_by_key(|candidate| (candidate.part, candidate.document));
                candidates.dedup_by_key(|candidate| (candidate.part, candidate.document));
            }
            let most = if late.fuse.is_some() {
                candidates.len()
            } else {
                k
            };
            let mut top = TopK::new(most, 0);
            in_time = search.refine(candidates, &mut top)?;
            for scored in top.into_sorted() {
                let hit = self.hit(scored.ordinal, score_of(scored.score));
                found.insert((hit.segment, hit.document), hit.score);
            }
        }
        let joined = match late.fuse {
            None => found,
            Some(fuse) => join(&sparse_hits, &found, fuse),
        };
        let all = late.exact && source != Source::Sparse;
        Ok(self.joined_answer(joined, common, k, all && by_sparse.exact && in_time))
    }

    /// Without any token vectors, joined scores are those of sparse vectors; there are no others.
    fn search_without_tokens(
        &self,
        sparse: Option<&SparseQuery>,
        common: &Common<'_>,
        k: usize,
    ) -> Result<Answer> {
        let late = common.options.late;
        let (Some(sparse), Some(fuse)) = (sparse, late.fuse) else {
            return Ok(complete(vec![]));
        };
        let by_sparse = self.first_stage(sparse, common, k)?;
        let joined = join(&by_sparse.hits, &FxHashMap::default(), fuse);
        Ok(self.joined_answer(joined, common, k, late.exact && by_sparse.exact))
    }

    /// The documents that sparse vectors find for token vectors to score.
    fn first_stage(&self, sparse: &SparseQuery, common: &Common<'_>, k: usize) -> Result<Answer> {
        let options = Options {
            k: self.wanted(common, k),
            min_score: None,
            ..common.options.clone()
        };
        self.search_one(sparse, &options, &common.request, &common.slots)
    }

    /// How many documents each source of candidates gives.
    fn wanted(&self, common: &Common<'_>, k: usize) -> usize {
        match common.options.late.exact {
            true => self.len() as usize,
            false => common.effort.candidates.max(k),
        }
    }

    fn joined_answer(
        &self,
        joined: FxHashMap<(u32, u32), f32>,
        common: &Common<'_>,
        k: usize,
        exact: bool,
    ) -> Answer {
        let mut top = TopK::new(k, common.options.min_score.map_or(0, key));
        for ((segment, document), score) in joined {
            let ordinal = self.first_ordinals[segment as usize] + u64::from(document);
            top.offer(Scored {
                score: key(score),
                ordinal,
            });
        }
        self.answer(top, exact)
    }

    /// Scores the documents `ids[i]` for each query `i`; best first, those without token vectors left out.
    pub fn rerank(
        &self,
        queries: &TokenQueries<'_>,
        ids: &[Keys<'_>],
        threads: usize,
    ) -> Result<Vec<Answer>> {
        queries.check(self.dim()?)?;
        if ids.len() != queries.len() {
            let (lists, queries) = (ids.len(), queries.len());
            return Err(Error::InvalidInput(format!(
                "{queries} queries but {lists} lists of ids; pass one for each"
            )));
        }
        let all: Vec<Documents<'_>> = self.segments.iter().map(|_| Documents::All).collect();
        let (parts, numbers) = self.late_parts(&all);
        let rerank = |number: usize| {
            let mut hits = vec![];
            for id in ids[number].iter() {
                let (segment, document) = self.place(id)?;
                hits.push(Hit {
                    score: 0.0,
                    segment,
                    document,
                });
            }
            hits.sort_unstable_by_key(|hit| (hit.segment, hit.document));
            hits.dedup_by_key(|hit| (hit.segment, hit.document));
            let Some(codebook) = &self.codebook else {
                return Ok(complete(vec![]));
            };
            with_query(codebook, queries.get(number), |query| {
                let search = Search {
                    codebook,
                    query,
                    parts: &parts,
                    deadline: None,
                };
                let mut top = TopK::new(hits.len(), 0);
                if query.rows > 0 {
                    search.refine(given(&hits, &numbers), &mut top)?;
                }
                Ok(self.answer(top, true))
            })
        };
        match queries.len() {
            1 => Ok(vec![rerank(0)?]),
            many => pool::run(threads, || (0..many).into_par_iter().map(rerank).collect())?,
        }
    }

    /// For each row of a query, the token of a document that it matches best; rows of zeros match none.
    pub fn explain_late(&self, id: Key<'_>, query: &TokenQueries<'_>) -> Result<Vec<TokenMatch>> {
        queries_of_one(query)?;
        query.check(self.dim()?)?;
        let (segment, document) = self.located(id)?;
        let (Some(codebook), Some(stored)) = (&self.codebook, &segment.multivector) else {
            return Ok(vec![]);
        };
        with_query(codebook, query.get(0), |ready| {
            Scorer::new(codebook, ready).matches(stored, document)
        })
        .map(|matches| number_rows(query, matches))
    }

    /// The token vectors of a document after quantisation.
    pub(super) fn token_vectors(
        &self,
        segment: &Segment,
        document: u32,
    ) -> Result<Option<Vec<f32>>> {
        match (&self.codebook, &segment.multivector) {
            (Some(codebook), Some(stored)) => {
                decode(codebook, stored, stored.tokens(document)?).map(Some)
            }
            _ => Ok(self.content.schema.multivector.as_ref().map(|_| vec![])),
        }
    }

    fn dim(&self) -> Result<usize> {
        let multivector = self.content.schema.multivector.as_ref();
        let missing = || Error::SchemaMismatch("this index has no token vectors to search".into());
        Ok(multivector.ok_or_else(missing)?.dim)
    }

    fn place(&self, id: Key<'_>) -> Result<(u32, u32)> {
        let found = (0..)
            .zip(&self.segments)
            .find_map(|(n, segment)| Some((n, segment.find(id)?)));
        found.ok_or_else(|| Error::NotFound(format!("no document {id} in the index")))
    }

    /// The segments with token vectors, and for each segment its number among them.
    fn late_parts<'a>(
        &'a self,
        eligible: &'a [Documents<'_>],
    ) -> (Vec<Part<'a>>, Vec<Option<u32>>) {
        let mut parts = vec![];
        let mut numbers = vec![];
        let each = self.segments.iter().zip(&self.first_ordinals).zip(eligible);
        for ((segment, &first_ordinal), eligible) in each {
            numbers.push(segment.multivector.as_ref().map(|_| parts.len() as u32));
            parts.extend(segment.multivector.as_ref().map(|segment| Part {
                segment,
                eligible: eligible.get(),
                first_ordinal,
            }));
        }
        (parts, numbers)
    }

    /// Scores of `top` are keys of floats.
    pub(super) fn answer(&self, top: TopK, exact: bool) -> Answer {
        let full = top.is_full();
        let sorted = top.into_sorted().into_iter();
        let hits: Vec<Hit> = sorted
            .map(|s| self.hit(s.ordinal, score_of(s.score)))
            .collect();
        let worst = hits
            .last()
            .filter(|_| full)
            .map_or(f32::NEG_INFINITY, |hit| hit.score);
        Answer {
            exact,
            bound: if exact { worst } else { f32::INFINITY },
            hits,
        }
    }
}

fn queries_of_one(query: &TokenQueries<'_>) -> Result<()> {
    match query.len() {
        1 => Ok(()),
        many => Err(Error::InvalidInput(format!(
            "explain takes one query, not {many}"
        ))),
    }
}

/// Matches know rows that are not zeros; this gives them the numbers that rows have in the query.
fn number_rows(query: &TokenQueries<'_>, matches: Vec<(usize, f32)>) -> Vec<TokenMatch> {
    let rows = query.get(0).chunks_exact(query.dim).enumerate();
    let rows = rows.filter(|(_, row)| !is_padding(row));
    let each = rows
        .zip(matches)
        .map(|((query_token, _), (document_token, score))| TokenMatch {
            query_token,
            document_token,
            score,
        });
    each.collect()
}

fn complete(hits: Vec<Hit>) -> Answer {
    Answer {
        hits,
        exact: true,
        bound: f32::NEG_INFINITY,
    }
}

/// Hits as candidates; `numbers` are those of segments among parts.
fn given(hits: &[Hit], numbers: &[Option<u32>]) -> Vec<Candidate> {
    let candidate = |hit: &Hit| {
        Some(Candidate {
            score: hit.score,
            part: numbers[hit.segment as usize]?,
            document: hit.document,
        })
    };
    hits.iter().filter_map(candidate).collect()
}

/// The constant of reciprocal rank fusion.
const RRF: f32 = 60.0;

fn join(
    sparse: &[Hit],
    late: &FxHashMap<(u32, u32), f32>,
    fuse: Fuse,
) -> FxHashMap<(u32, u32), f32> {
    let mut joined: FxHashMap<(u32, u32), f32> = FxHashMap::default();
    let mut add = |place: (u32, u32), more: f32| *joined.entry(place).or_default() += more;
    let mut ranked: Vec<_> = late.iter().map(|(place, score)| (*score, *place)).collect();
    ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (rank, hit) in (1_u32..).zip(sparse) {
        let place = (hit.segment, hit.document);
        match fuse {
            Fuse::Rrf => add(place, 1.0 / (RRF + rank as f32)),
            Fuse::Weights { sparse, .. } => add(place, sparse * hit.score),
        }
    }
    for (rank, (score, place)) in (1_u32..).zip(ranked) {
        match fuse {
            Fuse::Rrf => add(place, 1.0 / (RRF + rank as f32)),
            Fuse::Weights { multivector, .. } => add(place, multivector * score),
        }
    }
    joined
}
