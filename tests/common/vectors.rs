//! Random collections of vectors in which blocks, windows and segments matter, an index of each, and the
//! definition of a search over it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use weft::index::{
    Answer, AttributeKind, Batch, Filter, Options, Schema, Snapshot, SparseRows, SparseSchema,
    Values, Writer,
};
use weft::pool::Interrupt;
use weft::sparse::Plan;
use weft::storage::keys::{Key, KeyKind, Keys};
use weft::storage::vfs_sim::SimVfs;

/// Terms with weights.
pub type Row = Vec<(i64, f32)>;

pub const MAX_WEIGHT: f32 = 3.0;
pub const PLANS: [Option<Plan>; 4] = [
    None,
    Some(Plan::Exhaustive),
    Some(Plan::BlockMax),
    Some(Plan::Rows),
];
/// Values of the attribute `part`.
pub const PARTS: i64 = 10;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and below 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.share() * limit as f64) as usize
    }

    /// Below `limit`; number `x` is about `x` times as rare as the first.
    pub fn skewed(&mut self, limit: usize) -> usize {
        ((limit as f64 + 1.0).powf(self.share()) - 1.0) as usize
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Weights {
    /// All the same, so that all scores of one term tie.
    Same,
    /// A few, one of which is clipped and one of which is none.
    Few,
    /// Mostly light.
    Skewed,
}

impl Weights {
    fn draw(self, random: &mut Random) -> f32 {
        match self {
            Self::Same => 1.0,
            Self::Few => random.pick(&[0.0, 0.5, 0.5, 1.0, 1.0, 3.0, 9.0]),
            Self::Skewed => (MAX_WEIGHT * (-4.0 * random.share()).exp() as f32).max(0.001),
        }
    }
}

/// What a random collection is like, and how it is laid out.
#[derive(Clone, Debug)]
pub struct Shape {
    pub seed: u64,
    pub documents: usize,
    /// Documents of a cluster share terms that no other has.
    pub clusters: usize,
    /// Whether the documents of a cluster come one after the other.
    pub sorted: bool,
    pub terms_of_cluster: usize,
    pub common_terms: usize,
    /// Share of the terms of a document that are common ones.
    pub common: f64,
    pub terms_of_document: usize,
    pub weights: Weights,
    pub block_size: u32,
    pub reorder: bool,
    pub segments: usize,
    /// Share of the documents.
    pub deleted: f64,
    pub merge: bool,
}

pub const BLOCK_SIZES: [u32; 6] = [8, 16, 32, 64, 128, 256];

pub fn shapes(documents: usize) -> impl Strategy<Value = Shape> {
    let size = prop_oneof![
        1 => 1..20_usize,
        1 => 20..300_usize.min(documents),
        3 => documents / 4..documents,
    ];
    let clusters = (
        prop_oneof![Just(1), 2..40_usize],
        any::<bool>(),
        1..30_usize,
    );
    let terms = (1..60_usize, 0.0..1.0, 1..10_usize);
    let weights = prop_oneof![
        Just(Weights::Same),
        Just(Weights::Few),
        Just(Weights::Skewed)
    ];
    let block_size = prop::sample::select(&BLOCK_SIZES[..]);
    let deleted = prop_oneof![Just(0.0), Just(0.02), 0.0..1.0];
    let layout = (
        block_size,
        any::<bool>(),
        1..5_usize,
        deleted,
        any::<bool>(),
    );
    (any::<u64>(), size, clusters, terms, weights, layout).prop_map(
        |(seed, documents, clusters, terms, weights, layout)| Shape {
            seed,
            documents,
            clusters: clusters.0,
            sorted: clusters.1,
            terms_of_cluster: clusters.2,
            common_terms: terms.0,
            common: terms.1,
            terms_of_document: terms.2,
            weights,
            block_size: layout.0,
            reorder: layout.1,
            segments: layout.2,
            deleted: layout.3,
            merge: layout.4,
        },
    )
}

impl Shape {
    pub fn rows(&self) -> Vec<Row> {
        let mut random = Random(self.seed);
        let row = |document| {
            let cluster = match self.sorted {
                true => document * self.clusters / self.documents,
                false => random.below(self.clusters),
            };
            let mut row = BTreeMap::new();
            for _ in 0..random.below(self.terms_of_document + 1) {
                let term = self.term(cluster, &mut random);
                row.insert(term, self.weights.draw(&mut random));
            }
            row.into_iter().collect()
        };
        (0..self.documents).map(row).collect()
    }

    fn term(&self, cluster: usize, random: &mut Random) -> i64 {
        match random.chance(self.common) {
            true => random.skewed(self.common_terms) as i64,
            false => (1000 * (cluster + 1) + random.skewed(self.terms_of_cluster)) as i64,
        }
    }

    /// Mostly of terms that the documents have.
    pub fn query(&self, documents: &[(i64, Row)], random: &mut Random) -> Row {
        let cluster = random.below(self.clusters);
        let like = documents.get(random.below(documents.len()));
        let like = like.map_or(&[][..], |(_, row)| row);
        let weights = random.pick(&[self.weights, Weights::Same, Weights::Skewed]);
        let mut query = BTreeMap::new();
        for _ in 0..random.skewed(14) {
            let term = match random.below(10) {
                0 => -1,
                1..=4 => self.term(cluster, random),
                _ if like.is_empty() => continue,
                _ => like[random.below(like.len())].0,
            };
            // A term that no document has.
            let term = if term < 0 { i64::MAX } else { term };
            query.insert(term, weights.draw(random));
        }
        query.into_iter().collect()
    }
}

pub struct Columns {
    indptr: Vec<i64>,
    terms: Vec<i64>,
    weights: Vec<f32>,
}

impl Columns {
    pub fn of(rows: &[Row]) -> Self {
        let (terms, weights) = rows.iter().flatten().copied().unzip();
        let mut indptr = vec![0];
        for row in rows {
            indptr.push(indptr.last().unwrap() + row.len() as i64);
        }
        Self {
            indptr,
            terms,
            weights,
        }
    }

    pub fn rows(&self) -> SparseRows<'_> {
        SparseRows {
            indptr: &self.indptr,
            terms: Keys::Int(&self.terms),
            weights: &self.weights,
        }
    }
}

pub fn schema(block_size: u32, reorder: bool) -> Schema {
    Schema {
        ids: KeyKind::Int,
        sparse: Some(SparseSchema {
            terms: KeyKind::Int,
            max_weight: Some(MAX_WEIGHT.into()),
            bm25: None,
            block_size,
            reorder,
        }),
        attributes: [("part".to_owned(), AttributeKind::Int64)].into(),
    }
}

/// A directory in memory.
pub struct Directory {
    vfs: SimVfs,
    schema: Schema,
}

impl Directory {
    pub fn new(block_size: u32, reorder: bool) -> Self {
        Self {
            vfs: SimVfs::new(),
            schema: schema(block_size, reorder),
        }
    }

    pub fn writer(&self) -> Writer {
        let vfs = Arc::new(self.vfs.clone());
        let schema = Some(self.schema.clone());
        Writer::open(vfs, schema, 1 << 30, Interrupt::never()).unwrap()
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::open(&self.vfs).unwrap()
    }
}

/// The attribute `part` of a document is its id modulo `PARTS`.
pub fn add(writer: &mut Writer, ids: &[i64], rows: &[Row]) {
    let columns = Columns::of(rows);
    let parts = ids.iter().map(|id| Some(id % PARTS)).collect();
    let batch = Batch {
        ids: Keys::Int(ids),
        sparse: Some(columns.rows()),
        text: None,
        attributes: vec![("part".into(), Values::Int64(parts))],
    };
    writer.add(&batch).unwrap();
}

/// A snapshot in one segment.
pub fn index(documents: &[(i64, Row)], block_size: u32, reorder: bool) -> Snapshot {
    let directory = Directory::new(block_size, reorder);
    let mut writer = directory.writer();
    let (ids, rows): (Vec<i64>, Vec<Row>) = documents.iter().cloned().unzip();
    add(&mut writer, &ids, &rows);
    writer.commit().unwrap();
    directory.snapshot()
}

/// An index of a random collection, and its live documents in insertion order.
pub struct Indexed {
    pub shape: Shape,
    pub live: Vec<(i64, Row)>,
    pub snapshot: Snapshot,
}

impl Indexed {
    pub fn new(shape: &Shape) -> Self {
        let rows = shape.rows();
        // No order of ids is that of insertion.
        let ids: Vec<i64> = (0..rows.len() as i64).map(|number| number ^ 0x2b).collect();
        let directory = Directory::new(shape.block_size, shape.reorder);
        let mut writer = directory.writer();
        let batch = rows.len().div_ceil(shape.segments);
        for (ids, rows) in ids.chunks(batch).zip(rows.chunks(batch)) {
            add(&mut writer, ids, rows);
            writer.commit().unwrap();
        }
        let mut random = Random(!shape.seed);
        let mut live: Vec<(i64, Row)> = ids.into_iter().zip(rows).collect();
        let mut deleted = vec![];
        live.retain(|(id, _)| match random.chance(shape.deleted) {
            true => {
                deleted.push(*id);
                false
            }
            false => true,
        });
        writer.delete(&Keys::Int(&deleted)).unwrap();
        writer.commit().unwrap();
        if shape.merge {
            writer.merge(1).unwrap();
        }
        Self {
            shape: shape.clone(),
            live,
            snapshot: directory.snapshot(),
        }
    }

    pub fn query(&self, random: &mut Random) -> Row {
        self.shape.query(&self.live, random)
    }

    /// Documents that a random restriction lets through.
    pub fn restriction(&self, random: &mut Random) -> Restriction {
        let share = random.pick(&[0.0, 0.01, 0.1, 0.5, 1.0]);
        match random.below(6) {
            0 => {
                let chosen = self.live.iter().filter(|_| random.chance(share));
                let mut ids: Vec<i64> = chosen.map(|(id, _)| *id).chain([-1, i64::MAX]).collect();
                ids.sort_unstable();
                Restriction::Subset(ids)
            }
            1 => Restriction::Mask(self.live.iter().map(|_| random.chance(share)).collect()),
            2 => Restriction::Below(random.below(PARTS as usize + 1) as i64),
            _ => Restriction::None,
        }
    }

    /// The definition of a search of the documents that are let through.
    pub fn ranking(&self, query: &Row, restriction: &Restriction) -> Ranking {
        let places = 0..self.live.len();
        let allowed = places.filter(|place| restriction.allows(*place, self.live[*place].0));
        Ranking::of(allowed.map(|place| &self.live[place]), query)
    }
}

#[derive(Clone, Debug)]
pub enum Restriction {
    None,
    /// Ascending.
    Subset(Vec<i64>),
    Mask(Vec<bool>),
    /// Only documents whose `part` is below.
    Below(i64),
}

impl Restriction {
    pub fn allows(&self, place: usize, id: i64) -> bool {
        match self {
            Self::None => true,
            Self::Subset(ids) => ids.binary_search(&id).is_ok(),
            Self::Mask(mask) => mask[place],
            Self::Below(part) => id % PARTS < *part,
        }
    }

    /// Calls `with` with the filter that lets the same documents through.
    pub fn with_filter<R>(&self, with: impl FnOnce(&Filter<'_>) -> R) -> R {
        let expression = match self {
            Self::Below(part) => format!("part < {part}"),
            _ => String::new(),
        };
        let mut filter = Filter::default();
        match self {
            Self::None => (),
            Self::Subset(ids) => filter.subset = Some(Keys::Int(ids)),
            Self::Mask(mask) => filter.mask = Some(mask),
            Self::Below(_) => filter.expression = Some(&expression),
        }
        with(&filter)
    }
}

pub fn impact(weight: f32) -> u64 {
    let step = f64::from(MAX_WEIGHT) / 255.0;
    (f64::from(weight) / step)
        .round_ties_even()
        .clamp(1.0, 255.0) as u64
}

/// All documents that share a term with a query, best first, with their ids and scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking(pub Vec<(i64, f32)>);

impl Ranking {
    /// `documents` are in insertion order.
    pub fn of<'a>(documents: impl Iterator<Item = &'a (i64, Row)>, query: &Row) -> Self {
        let query: Vec<_> = query.iter().filter(|(_, weight)| *weight > 0.0).collect();
        let largest = query.iter().map(|(_, weight)| *weight).fold(0.0, f32::max);
        let room = u64::from(u32::MAX) / (255 * query.len().max(1) as u64);
        let levels = room.min(16_383) as f64;
        let level = |weight: f32| {
            (f64::from(weight) * levels / f64::from(largest)).round_ties_even() as u64
        };
        let unit = f64::from(MAX_WEIGHT) / 255.0 * f64::from(largest) / levels;
        let levels: HashMap<i64, u64> = query.iter().map(|(t, w)| (*t, level(*w))).collect();
        let score = |(id, row): &(i64, Row)| {
            let products = row.iter().filter(|(_, weight)| *weight > 0.0);
            let products = products
                .map(|(term, weight)| levels.get(term).map_or(0, |level| level * impact(*weight)));
            (products.sum::<u64>(), *id)
        };
        let mut scored: Vec<(u64, i64)> = documents.map(score).collect();
        scored.retain(|(score, _)| *score > 0);
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        let float = |(score, id): (u64, i64)| (id, (score as f64 * unit) as f32);
        Self(scored.into_iter().map(float).collect())
    }

    pub fn best(&self, k: usize) -> &[(i64, f32)] {
        &self.0[..k.min(self.0.len())]
    }

    /// The best `k` of those that score `least` or more.
    pub fn best_from(&self, k: usize, least: Option<f32>) -> &[(i64, f32)] {
        let end = self
            .0
            .partition_point(|(_, score)| least.is_none_or(|least| *score >= least));
        &self.0[..k.min(end)]
    }

    /// What an answer promises, whatever it gives up: its hits are some of the best, in their order and
    /// with their scores; no other scores above its bound; and they are the best where it says so.
    pub fn check(&self, found: &Found, options: &Options) {
        let least = options.min_score;
        let mut rest = self.best_from(usize::MAX, least).iter();
        let mut missing = 0.0_f32;
        for hit in &found.hits {
            loop {
                let next = rest.next();
                let (id, score) = next.unwrap_or_else(|| panic!("{hit:?} is no hit here"));
                if (*id, *score) == *hit {
                    break;
                }
                missing = missing.max(*score);
            }
        }
        missing = rest
            .next()
            .map_or(missing, |(_, score)| missing.max(*score));
        assert!(found.hits.len() <= options.k, "more than k hits");
        assert!(
            missing <= found.bound || options.k == 0,
            "a document scores {missing}, above the bound {}",
            found.bound
        );
        if found.exact {
            assert_eq!(found.hits, self.best_from(options.k, least), "not exact");
        }
    }
}

/// An answer with external ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub hits: Vec<(i64, f32)>,
    pub exact: bool,
    pub bound: f32,
}

impl Found {
    fn of(snapshot: &Snapshot, answer: Answer) -> Self {
        let id = |hit| match snapshot.id(hit).unwrap() {
            Key::Int(id) => id,
            Key::Str(_) => unreachable!(),
        };
        let hits = answer.hits.into_iter();
        Self {
            hits: hits.map(|hit| (id(hit), hit.score)).collect(),
            exact: answer.exact,
            bound: answer.bound,
        }
    }
}

/// Runs `test` on random values, as many as are wanted of them.
pub fn for_each_case<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value)) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let tried = TestRunner::new(config).run(strategy, |value| {
        test(value);
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

/// `raised` where the slow, complete form of a test is wanted.
pub fn cases(normal: u32, raised: u32) -> u32 {
    match std::env::var_os("WEFT_EXHAUSTIVE") {
        Some(_) => raised,
        None => normal,
    }
}

pub fn search(
    snapshot: &Snapshot,
    queries: &[Row],
    filter: &Filter<'_>,
    options: &Options,
) -> Vec<Found> {
    let columns = Columns::of(queries);
    let queries = snapshot.vector_queries(&columns.rows()).unwrap();
    let answers = snapshot.search(&queries, filter, options).unwrap();
    let answers = answers.into_iter();
    answers.map(|answer| Found::of(snapshot, answer)).collect()
}

/// The answer to one query.
pub fn search_one(
    snapshot: &Snapshot,
    query: &Row,
    filter: &Filter<'_>,
    options: &Options,
) -> Found {
    search(snapshot, std::slice::from_ref(query), filter, options).remove(0)
}

/// The options of an exact search.
pub fn exactly(k: usize, plan: Option<Plan>) -> Options {
    Options {
        k,
        plan,
        ..Options::default()
    }
}

/// Asserts that every plan finds what the definition says.
pub fn assert_exact(snapshot: &Snapshot, documents: &[(i64, Row)], query: &Row, k: usize) {
    let ranking = Ranking::of(documents.iter(), query);
    for plan in PLANS {
        let found = search_one(snapshot, query, &Filter::default(), &exactly(k, plan));
        assert_eq!(found.hits, ranking.best(k), "{plan:?}, k = {k}");
        assert!(found.exact, "{plan:?}, k = {k}");
    }
}
