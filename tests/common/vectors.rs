//! Indexes of random collections of vectors, and searches that are compared with their definition.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

mod definition;
mod random;

use std::sync::Arc;

use weft::index::{
    AttributeKind, Batch, Filter, Options, Schema, Snapshot, SparseRows, SparseSchema, Values,
    Writer,
};
use weft::pool::Interrupt;
use weft::sparse::Plan;
use weft::storage::keys::{KeyKind, Keys};
use weft::storage::vfs_sim::SimVfs;

pub use definition::{Found, Ranking};
pub use random::{BLOCK_SIZES, Random, Shape, Weights, cases, for_each_case, shapes};

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
    schema_of(block_size, reorder, false)
}

fn schema_of(block_size: u32, reorder: bool, rescore: bool) -> Schema {
    Schema {
        encoders: Default::default(),
        sketch: None,
        ids: KeyKind::Int,
        sparse: Some(SparseSchema {
            terms: KeyKind::Int,
            max_weight: Some(MAX_WEIGHT.into()),
            bm25: None,
            block_size,
            reorder,
            rescore,
        }),
        multivector: None,
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
        Self::of(schema(block_size, reorder))
    }

    fn of(schema: Schema) -> Self {
        Self {
            vfs: SimVfs::new(),
            schema,
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
        multivector: None,
        attributes: vec![("part".into(), Values::Int64(parts))],
    };
    writer.add(&batch).unwrap();
}

/// A snapshot in one segment.
pub fn index(documents: &[(i64, Row)], block_size: u32, reorder: bool) -> Snapshot {
    index_in(&Directory::new(block_size, reorder), documents)
}

/// The same, of an index that keeps weights in 16 bits.
pub fn index_of_weights(documents: &[(i64, Row)], block_size: u32) -> Snapshot {
    index_in(&Directory::of(schema_of(block_size, true, true)), documents)
}

fn index_in(directory: &Directory, documents: &[(i64, Row)]) -> Snapshot {
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
        let schema = schema_of(shape.block_size, shape.reorder, shape.rescore);
        let directory = Directory::of(schema);
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
        let documents = allowed.map(|place| &self.live[place]);
        match self.shape.rescore {
            true => Ranking::by_weights(documents, query),
            false => Ranking::of(documents, query),
        }
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
