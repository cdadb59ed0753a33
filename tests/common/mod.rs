//! A small deterministic history of an index — create, append, replace, delete, roll back, merge,
//! collect — and a model that knows everything each of its generations must answer.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use half::f16;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use weft::index::{
    Answer, AttributeKind, Batch, Document, Filter, Late, MultiVectorSchema, Options, Schema,
    Snapshot, SparseRows, SparseSchema, TokenQueries, TokenRows, Value, Values, Writer,
};
use weft::pool::Interrupt;
use weft::sketch::Settings;
use weft::sparse::{Plan, QuantizedQuery, Scale};
use weft::storage::keys::{Key, KeyKind, Keys, OwnedKey};
use weft::storage::manifest::{self, Manifest};
use weft::storage::verify::verify;
use weft::storage::vfs::Vfs;
use weft::storage::vfs_sim::SimVfs;
use weft::{Error, Result};

/// A buffer of this size is flushed by every `add`.
pub const SMALL: u64 = 1;
pub const LARGE: u64 = 1 << 30;
const MAX_WEIGHT: f32 = 4.0;
const TERMS: i64 = 61;
/// Most documents have it.
const COMMON_TERM: i64 = 60;
const DIM: usize = 8;
const FILTER: &str = "lang = 'en' and year >= 2005";

pub fn schema() -> Schema {
    let attributes = [
        ("lang", AttributeKind::Keyword),
        ("size", AttributeKind::Float64),
        ("year", AttributeKind::Int64),
    ];
    Schema {
        encoders: Default::default(),
        sketch: Some(Settings::Fde {
            repetitions: 2,
            bits: 1,
            projection: 8,
            orthogonal: true,
            code_bits: 1,
        }),
        ids: KeyKind::Str,
        sparse: Some(SparseSchema {
            terms: KeyKind::Int,
            max_weight: Some(MAX_WEIGHT.into()),
            bm25: None,
            block_size: 8,
            reorder: true,
            rescore: true,
        }),
        multivector: Some(MultiVectorSchema {
            dim: DIM,
            codec: "scalar2+f16".into(),
            centroids: Some(3),
        }),
        attributes: attributes
            .map(|(name, kind)| (name.to_owned(), kind))
            .into(),
    }
}

/// What document `number` holds after it was added for the `version`th time.
#[derive(Clone, Debug)]
pub struct Doc {
    pub id: String,
    pub terms: BTreeMap<i64, f32>,
    pub lang: Option<&'static str>,
    pub size: Option<f64>,
    pub year: Option<i64>,
    /// Up to three token vectors, of eighths, which 16 bits hold exactly.
    pub vectors: Vec<f32>,
}

impl Doc {
    pub fn new(number: i64, version: i64) -> Self {
        let weight = |i: i64| 0.05 + ((number * 31 + version * 17 + i * 7) % 79) as f32 / 20.0;
        let term = |i: i64| (number * 5 + version + i * i) % TERMS;
        let attribute = |period: i64| (number + version) % period != 0;
        let mut terms: BTreeMap<i64, f32> =
            (0..1 + number % 12).map(|i| (term(i), weight(i))).collect();
        if number % 4 != 0 {
            terms.insert(COMMON_TERM, weight(number));
        }
        Self {
            id: format!("doc-{number}"),
            terms,
            lang: attribute(5).then(|| ["de", "en", "fr"][(number % 3) as usize]),
            size: attribute(7).then_some(number as f64 / 8.0),
            year: attribute(4).then_some(2000 + number % 10),
            vectors: (0..number % 4 * DIM as i64)
                .map(|i| ((number * 13 + version * 5 + i * i) % 17 - 8) as f32 / 8.0)
                .collect(),
        }
    }
}

pub fn docs(numbers: impl IntoIterator<Item = i64>, version: i64) -> Vec<Doc> {
    numbers
        .into_iter()
        .map(|number| Doc::new(number, version))
        .collect()
}

pub fn ids(numbers: impl IntoIterator<Item = i64>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|number| format!("doc-{number}"))
        .collect()
}

#[derive(Clone, Debug)]
pub enum Step {
    /// Opens the writer, anew where there is one.
    Open {
        memory_limit: u64,
    },
    Add(Vec<Doc>),
    Delete(Vec<String>),
    Rollback,
    /// Publishes a generation, as every commit and merge of the history does.
    Commit,
    Merge(usize),
}

pub fn history() -> Vec<Step> {
    use Step::*;
    let mut steps = vec![
        Open {
            memory_limit: LARGE,
        },
        Add(docs(0..40, 0)),
        Commit,
        Add(docs(40..60, 0)),
        Add(docs(10..20, 1)),
        Commit,
        Delete(ids((0..60).step_by(7))),
        Commit,
        // Segments flushed before the commit; one that is never published; a document twice.
        Open {
            memory_limit: SMALL,
        },
        Add(docs(60..80, 0)),
        Add(docs([60, 61, 3], 1)),
        Delete(ids([62, 4])),
        Commit,
        Add(docs(80..90, 0)),
        Delete(ids(20..30)),
        Rollback,
        Add(docs(84..88, 2)),
        Commit,
        Merge(2),
    ];
    // Enough small segments that commits merge, and one that dies out.
    for number in 100..109 {
        steps.extend([Add(docs([number, number + 20, number - 90], 3)), Commit]);
    }
    let rest = [
        Delete(ids([108, 128, 18])),
        Commit,
        Open {
            memory_limit: LARGE,
        },
        Merge(1),
        Delete(ids(100..105)),
        Add(docs(200..210, 0)),
        Commit,
    ];
    steps.extend(rest);
    steps
}

/// Does what the steps say; calls `published(generation)` after each commit and merge.
pub fn run(vfs: &Arc<dyn Vfs>, steps: &[Step], mut published: impl FnMut(u64)) -> Result<()> {
    let mut writer = None;
    for step in steps {
        if let Step::Open { memory_limit } = step {
            drop(writer.take());
            writer = Some(open(vfs, *memory_limit)?);
        }
        let writer = writer.as_mut().expect("a history starts with Open");
        if let Some(generation) = apply(writer, step)? {
            published(generation);
        }
    }
    Ok(())
}

pub fn open(vfs: &Arc<dyn Vfs>, memory_limit: u64) -> Result<Writer> {
    Writer::open(
        vfs.clone(),
        Some(schema()),
        memory_limit,
        Interrupt::never(),
    )
}

/// Returns the generation that the step published.
pub fn apply(writer: &mut Writer, step: &Step) -> Result<Option<u64>> {
    match step {
        Step::Open { .. } => Ok(None),
        Step::Add(docs) => add(writer, docs).map(|()| None),
        Step::Delete(ids) => {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            writer.delete(&Keys::Str(&ids)).map(|_| None)
        }
        Step::Rollback => writer.rollback().map(|()| None),
        Step::Commit => writer.commit().map(Some),
        Step::Merge(max_segments) => writer.merge(*max_segments).map(Some),
    }
}

pub fn add(writer: &mut Writer, docs: &[Doc]) -> Result<()> {
    let ids: Vec<&str> = docs.iter().map(|doc| doc.id.as_str()).collect();
    let mut indptr = vec![0];
    let (mut terms, mut weights) = (vec![], vec![]);
    for doc in docs {
        terms.extend(doc.terms.keys());
        weights.extend(doc.terms.values());
        indptr.push(terms.len() as i64);
    }
    let langs = docs.iter().map(|doc| doc.lang.map(str::to_owned)).collect();
    let years = docs.iter().map(|doc| doc.year).collect();
    let sizes = docs.iter().map(|doc| doc.size).collect();
    let vectors = docs.iter().flat_map(|doc| &doc.vectors);
    let vectors: Vec<f16> = vectors.map(|value| f16::from_f32(*value)).collect();
    let mut offsets = vec![0];
    for doc in docs {
        offsets.push(offsets[offsets.len() - 1] + (doc.vectors.len() / DIM) as i64);
    }
    writer.add(&Batch {
        ids: Keys::Str(&ids),
        sparse: Some(SparseRows {
            indptr: &indptr,
            terms: Keys::Int(&terms),
            weights: &weights,
        }),
        text: None,
        multivector: Some(TokenRows {
            dim: DIM,
            offsets: &offsets,
            values: &vectors,
        }),
        attributes: vec![
            ("lang".into(), Values::Keyword(langs)),
            ("year".into(), Values::Int64(years)),
            ("size".into(), Values::Float64(sizes)),
        ],
    })
}

/// Everything that an index says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    ids: Vec<String>,
    /// As JSON.
    documents: Vec<String>,
    pub hits: Hits,
    late_hits: Hits,
    document_frequencies: Vec<u64>,
}

type Query = &'static [(i64, f32)];
const QUERIES: [Query; 3] = [
    &[(7, 1.0)],
    &[
        (0, 0.5),
        (3, 2.0),
        (7, 1.25),
        (12, 0.01),
        (COMMON_TERM, 3.0),
    ],
    &[(TERMS + 1, 1.0)],
];
/// Two rows, and one of zeros between them.
const LATE_QUERY: [f32; 3 * DIM] = [
    0.5, -1.0, 0.25, 0.0, 1.0, 0.75, -0.5, 0.125, //
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, //
    -0.25, 0.5, 1.0, -1.0, 0.0, 0.5, 0.25, -0.75,
];
const SUBSET: [&str; 4] = ["doc-3", "doc-60", "doc-11", "nobody"];

/// The documents of a generation in insertion order.
#[derive(Clone, Default)]
pub struct Model {
    docs: Vec<Doc>,
}

impl Model {
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Add(docs) => {
                let new: BTreeSet<_> = docs.iter().map(|doc| &doc.id).collect();
                self.docs.retain(|doc| !new.contains(&doc.id));
                self.docs.extend_from_slice(docs);
            }
            Step::Delete(ids) => self.docs.retain(|doc| !ids.contains(&doc.id)),
            _ => (),
        }
    }

    pub fn answers(&self) -> Answers {
        let english = |doc: &Doc| doc.lang == Some("en") && doc.year >= Some(2005);
        let chosen = |doc: &Doc| SUBSET.contains(&doc.id.as_str());
        let hits = QUERIES.iter().flat_map(|query| {
            [
                self.search(query, 5, |_| true),
                self.search(query, 1000, |_| true),
                self.search(query, 10, english),
                self.search(query, 10, chosen),
            ]
        });
        let has = |term| {
            self.docs
                .iter()
                .filter(|doc| doc.terms.contains_key(&term))
                .count()
        };
        Answers {
            ids: self.docs.iter().map(|doc| doc.id.clone()).collect(),
            documents: self.docs.iter().map(describe_expected).collect(),
            hits: hits.collect(),
            late_hits: vec![
                self.search_late(5, |_| true),
                self.search_late(1000, |_| true),
                self.search_late(10, english),
                self.search_late(10, chosen),
            ],
            document_frequencies: (0..TERMS).map(|term| has(term) as u64).collect(),
        }
    }

    /// The definition of a search: every document scored, sorted, cut.
    fn search(&self, query: Query, k: usize, wanted: impl Fn(&Doc) -> bool) -> Vec<(String, f32)> {
        let scale = Scale::new(MAX_WEIGHT);
        let weights: Vec<f32> = query.iter().map(|(_, weight)| *weight).collect();
        let quantized = QuantizedQuery::new(&weights, scale).unwrap();
        let counted = query.iter().zip(&quantized.weights);
        let counted = counted.filter(|(_, weight)| **weight > 0);
        let counted: BTreeMap<i64, f32> = counted.map(|(given, _)| *given).collect();
        let score = |doc: &Doc| {
            let product = |(term, weight): (&i64, &f32)| {
                let given = f64::from(*counted.get(term)?);
                Some(given * f64::from(scale.weight(scale.steps(*weight))))
            };
            doc.terms.iter().filter_map(product).sum::<f64>() as f32
        };
        let docs = self.docs.iter().filter(|doc| wanted(doc));
        let mut scored: Vec<_> = docs.map(|doc| (doc.id.clone(), score(doc))).collect();
        scored.retain(|(_, score)| *score > 0.0);
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.truncate(k);
        scored
    }
}

impl Model {
    /// The definition of a search by token vectors.
    fn search_late(&self, k: usize, wanted: impl Fn(&Doc) -> bool) -> Vec<(String, f32)> {
        let product =
            |row: &[f32], token: &[f32]| -> f32 { row.iter().zip(token).map(|(r, t)| r * t).sum() };
        let score = |doc: &Doc| -> f32 {
            let best = |row: &[f32]| {
                doc.vectors
                    .chunks(DIM)
                    .map(|token| product(row, token))
                    .fold(f32::MIN, f32::max)
            };
            LATE_QUERY.chunks(DIM).map(best).sum()
        };
        let docs = self
            .docs
            .iter()
            .filter(|doc| !doc.vectors.is_empty() && wanted(doc));
        let mut scored: Vec<_> = docs.map(|doc| (doc.id.clone(), score(doc))).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.truncate(k);
        scored
    }
}

fn describe_expected(doc: &Doc) -> String {
    let scale = Scale::new(MAX_WEIGHT);
    let stored = |(term, weight): (&i64, &f32)| {
        let weight = scale.weight(scale.steps(*weight));
        (Key::Int(*term), weight)
    };
    describe(&Document {
        attributes: vec![
            ("lang", doc.lang.map(Value::Keyword)),
            ("size", doc.size.map(Value::Float64)),
            ("year", doc.year.map(Value::Int64)),
        ],
        sparse: Some(doc.terms.iter().map(stored).collect()),
        multivector: Some(doc.vectors.clone()),
    })
}

/// All that is kept of a document, as JSON.
pub fn describe(document: &Document<'_>) -> String {
    let attribute = |(name, value): &(&str, Option<Value<'_>>)| {
        let value = match value {
            Some(Value::Keyword(word)) => json!(word),
            Some(Value::Int64(number)) => json!(number),
            Some(Value::Float64(number)) => json!(number),
            None => json!(null),
        };
        json!([name, value])
    };
    let term = |(term, weight): &(Key<'_>, f32)| json!([text_of(term), weight]);
    let sparse = document.sparse.iter().flatten().map(term);
    json!({
        "attributes": document.attributes.iter().map(attribute).collect::<Vec<_>>(),
        "sparse": sparse.collect::<Vec<_>>(),
        "multivector": document.multivector,
    })
    .to_string()
}

/// Everything that a snapshot answers. An error of any part is the error of the whole.
pub fn answers(snapshot: &Snapshot) -> Result<Answers> {
    let keys = snapshot.ids().collect::<Result<Vec<_>>>()?;
    let documents = keys
        .iter()
        .map(|id| snapshot.get(*id).map(|document| describe(&document)));
    let frequency = |term| snapshot.document_frequency(&OwnedKey::Int(term));
    Ok(Answers {
        ids: keys.iter().map(text_of).collect(),
        documents: documents.collect::<Result<_>>()?,
        hits: hits(snapshot, None)?,
        late_hits: late_hits(snapshot)?,
        document_frequencies: (0..TERMS).map(frequency).collect::<Result<_>>()?,
    })
}

pub fn text_of(key: &Key<'_>) -> String {
    match key {
        Key::Str(text) => (*text).to_owned(),
        Key::Int(value) => value.to_string(),
    }
}

/// Every way to search a segment.
pub const PLANS: [Option<Plan>; 4] = [
    None,
    Some(Plan::Exhaustive),
    Some(Plan::BlockMax),
    Some(Plan::Rows),
];

/// Ids and scores, for each query and each way to restrict it.
pub type Hits = Vec<Vec<(String, f32)>>;

pub fn hits(snapshot: &Snapshot, plan: Option<Plan>) -> Result<Hits> {
    let options = Options {
        plan,
        ..Options::default()
    };
    hits_with(snapshot, &options)
}

/// The same for other options; `k` is given.
pub fn hits_with(snapshot: &Snapshot, options: &Options) -> Result<Hits> {
    let found = QUERIES.iter().map(|query| search(snapshot, query, options));
    Ok(found.collect::<Result<Vec<_>>>()?.concat())
}

fn search(snapshot: &Snapshot, query: Query, options: &Options) -> Result<Hits> {
    let (terms, weights): (Vec<i64>, Vec<f32>) = query.iter().copied().unzip();
    let queries = snapshot.vector_queries(&SparseRows {
        indptr: &[0, terms.len() as i64],
        terms: Keys::Int(&terms),
        weights: &weights,
    })?;
    in_each_way(snapshot, options, |filter, options| {
        snapshot.search(&queries, filter, options)
    })
}

/// Exact hits by token vectors, for each way to restrict the query.
pub fn late_hits(snapshot: &Snapshot) -> Result<Hits> {
    let rows = (LATE_QUERY.len() / DIM) as i64;
    let query = TokenQueries {
        dim: DIM,
        offsets: &[0, rows],
        values: &LATE_QUERY,
    };
    let exactly = Options {
        late: Late {
            exact: true,
            ..Late::default()
        },
        ..Options::default()
    };
    in_each_way(snapshot, &exactly, |filter, options| {
        snapshot.search_late(None, &query, filter, options)
    })
}

fn in_each_way(
    snapshot: &Snapshot,
    options: &Options,
    search: impl Fn(&Filter<'_>, &Options) -> Result<Vec<Answer>>,
) -> Result<Hits> {
    let all = Filter::default();
    let english = Filter {
        expression: Some(FILTER),
        ..Filter::default()
    };
    let chosen = Filter {
        subset: Some(Keys::Str(&SUBSET)),
        ..Filter::default()
    };
    let ways = [(5, &all), (1000, &all), (10, &english), (10, &chosen)];
    let hits = |(k, filter): (usize, &Filter<'_>)| {
        let options = Options {
            k,
            ..options.clone()
        };
        let answers = search(filter, &options)?;
        let name = |hit: &weft::index::Hit| Ok((text_of(&snapshot.id(*hit)?), hit.score));
        answers[0].hits.iter().map(name).collect()
    };
    ways.into_iter().map(hits).collect()
}

/// What every generation of a history must answer; none exists as number 0.
pub struct Expected {
    generations: Vec<Model>,
    answers: Vec<Answers>,
}

impl Expected {
    pub fn of(steps: &[Step]) -> Self {
        let mut model = Model::default();
        let mut generations = vec![model.clone()];
        for step in steps {
            match step {
                Step::Rollback => model = generations[generations.len() - 1].clone(),
                Step::Commit | Step::Merge(_) => generations.push(model.clone()),
                step => model.apply(step),
            }
        }
        Self {
            answers: generations.iter().map(Model::answers).collect(),
            generations,
        }
    }

    pub fn last(&self) -> u64 {
        self.generations.len() as u64 - 1
    }

    /// Opens and verifies what the directory holds and compares all of it with the model of exactly
    /// that generation, which is returned; 0 where there is no index.
    pub fn check(&self, vfs: &dyn Vfs) -> u64 {
        let snapshot = match Snapshot::open(vfs) {
            Ok(snapshot) => snapshot,
            Err(Error::NotFound(_)) => return 0,
            Err(error) => panic!("open: {error}"),
        };
        let generation = snapshot.generation();
        let verified = verify(vfs).unwrap_or_else(|error| panic!("verify: {error}"));
        assert_eq!(verified.generation, generation);
        let found = answers(&snapshot).unwrap_or_else(|error| panic!("read: {error}"));
        let expected = &self.answers[generation as usize];
        assert_eq!(snapshot.len(), expected.ids.len() as u64);
        assert!(
            found == *expected,
            "generation {generation} differs:\n{found:?}\n{expected:?}"
        );
        for plan in PLANS {
            let found = hits(&snapshot, plan).unwrap_or_else(|error| panic!("{plan:?}: {error}"));
            assert!(found == expected.hits, "{plan:?} differs");
        }
        generation
    }

    /// A new writer finds `generation`, adds to it, commits, and leaves no file that is not needed.
    pub fn go_on(&self, vfs: &Arc<dyn Vfs>, generation: u64) {
        let mut writer = open(vfs, LARGE).unwrap_or_else(|error| panic!("open writer: {error}"));
        assert_eq!(writer.generation(), generation);
        let step = Step::Add(docs([1000, 1001, 7], 9));
        apply(&mut writer, &step).unwrap_or_else(|error| panic!("add: {error}"));
        let next = writer
            .commit()
            .unwrap_or_else(|error| panic!("commit: {error}"));
        assert_eq!(next, generation + 1);
        let mut model = self.generations[generation as usize].clone();
        model.apply(&step);
        self.check_against(&**vfs, next, &model);
        drop(writer);
        check_files(&**vfs);
    }

    fn check_against(&self, vfs: &dyn Vfs, generation: u64, model: &Model) {
        let snapshot = Snapshot::open(vfs).unwrap_or_else(|error| panic!("open: {error}"));
        assert_eq!(snapshot.generation(), generation);
        let found = answers(&snapshot).unwrap_or_else(|error| panic!("read: {error}"));
        assert!(found == model.answers(), "generation {generation} differs");
        verify(vfs).unwrap_or_else(|error| panic!("verify: {error}"));
    }
}

/// The directory holds the newest generation and the lock, and nothing else.
pub fn check_files(vfs: &dyn Vfs) {
    let generation = manifest::latest(vfs).unwrap().expect("a generation");
    let manifest: Manifest<IgnoredAny> = manifest::read(vfs, generation).unwrap();
    let mut expected = BTreeSet::from(["LOCK".to_owned(), manifest::name_of(generation)]);
    expected.extend(manifest.files.into_iter().map(|file| file.name));
    let found = BTreeSet::from_iter(vfs.list().unwrap());
    assert_eq!(
        found, expected,
        "files that no generation needs, or too few"
    );
}

/// Numbers of operations after which a crash can differ from one before.
pub fn moments(vfs: &SimVfs, from: usize) -> Vec<usize> {
    let operations = vfs.operations();
    let changes = (from..operations.len()).filter(|&last| operations[last].kind.changes_disk());
    std::iter::once(from)
        .chain(changes.map(|last| last + 1))
        .collect()
}

/// The newest generation in the directory, whole or not; 0 where there is none.
pub fn generation_of(vfs: &dyn Vfs) -> u64 {
    manifest::latest(vfs).unwrap().unwrap_or(0)
}

/// Runs tests by the million on two threads: `work(part, parts)`.
pub fn on_two_threads<T: Send>(work: impl Fn(usize, usize) -> T + Sync) -> [T; 2] {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| work(1, 2));
        [work(0, 2), other.join().unwrap()]
    })
}

/// True when the slow, complete form of a test is wanted.
pub fn exhaustive() -> bool {
    std::env::var_os("WEFT_EXHAUSTIVE").is_some()
}
