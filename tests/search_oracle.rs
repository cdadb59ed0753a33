//! P7: search equals scoring every document one by one, bit for bit, ties included; and equals itself
//! however the documents lie in segments, on any number of threads, after saving and opening again.

use std::sync::Arc;

use proptest::prelude::*;
use weft::index::{Batch, Filter, Schema, Snapshot, SparseRows, SparseSchema, Writer};
use weft::pool::Interrupt;
use weft::storage::keys::{Key, KeyKind, Keys};
use weft::storage::vfs_sim::SimVfs;

type Row = Vec<(i64, f32)>;

/// Random indexes that each property is tried on.
fn cases() -> u32 {
    match std::env::var_os("WEFT_EXHAUSTIVE") {
        Some(_) => 20_000,
        None => 500,
    }
}

const MAX_WEIGHT: f32 = 3.0;

fn schema() -> Schema {
    Schema {
        ids: KeyKind::Int,
        sparse: Some(SparseSchema {
            terms: KeyKind::Int,
            max_weight: Some(MAX_WEIGHT.into()),
            bm25: None,
        }),
        attributes: Default::default(),
    }
}

struct Columns {
    indptr: Vec<i64>,
    terms: Vec<i64>,
    weights: Vec<f32>,
}

impl Columns {
    fn of(rows: &[Row]) -> Self {
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

    fn rows(&self) -> SparseRows<'_> {
        SparseRows {
            indptr: &self.indptr,
            terms: Keys::Int(&self.terms),
            weights: &self.weights,
        }
    }
}

/// An index in memory.
struct Directory(SimVfs);

impl Directory {
    fn new() -> Self {
        Self(SimVfs::new())
    }

    fn writer(&self) -> Writer {
        let vfs = Arc::new(self.0.clone());
        Writer::open(vfs, Some(schema()), 1 << 30, Interrupt::never()).unwrap()
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::open(&self.0).unwrap()
    }
}

fn add(writer: &mut Writer, ids: &[i64], rows: &[Row]) {
    let columns = Columns::of(rows);
    let batch = Batch {
        ids: Keys::Int(ids),
        sparse: Some(columns.rows()),
        text: None,
        attributes: vec![],
    };
    writer.add(&batch).unwrap();
}

fn impact(weight: f32) -> u64 {
    let step = f64::from(MAX_WEIGHT) / 255.0;
    (f64::from(weight) / step)
        .round_ties_even()
        .clamp(1.0, 255.0) as u64
}

/// Ids and scores by the definition.
fn oracle(documents: &[(i64, Row)], query: &Row, k: usize) -> Vec<(i64, f32)> {
    let query: Vec<_> = query.iter().filter(|(_, weight)| *weight > 0.0).collect();
    let largest = query.iter().map(|(_, weight)| *weight).fold(0.0, f32::max);
    let levels = 16_383.min((1_u64 << 32).wrapping_sub(1) / (255 * query.len().max(1) as u64));
    let level = |weight: f32| {
        (f64::from(weight) * levels as f64 / f64::from(largest)).round_ties_even() as u64
    };
    let unit = f64::from(MAX_WEIGHT) / 255.0 * f64::from(largest) / levels as f64;
    let mut scored: Vec<(u64, i64)> = vec![];
    for (id, row) in documents {
        let dot = row
            .iter()
            .filter(|(_, weight)| *weight > 0.0)
            .map(|(term, weight)| {
                let matching = query.iter().find(|(other, _)| other == term);
                matching.map_or(0, |(_, q)| level(*q) * impact(*weight))
            });
        scored.push((dot.sum(), *id));
    }
    scored.retain(|(score, _)| *score > 0);
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.truncate(k);
    let float = |(score, id): &(u64, i64)| (*id, (*score as f64 * unit) as f32);
    scored.iter().map(float).collect()
}

fn search(
    snapshot: &Snapshot,
    queries: &[Row],
    k: usize,
    filter: &Filter<'_>,
    threads: usize,
) -> Vec<Vec<(i64, f32)>> {
    let columns = Columns::of(queries);
    let queries = snapshot.vector_queries(&columns.rows()).unwrap();
    let hits = snapshot.search(&queries, k, filter, threads).unwrap();
    let id = |hit| match snapshot.id(hit).unwrap() {
        Key::Int(id) => id,
        Key::Str(_) => unreachable!(),
    };
    hits.iter()
        .map(|hits| hits.iter().map(|hit| (id(*hit), hit.score)).collect())
        .collect()
}

fn row(terms: i64) -> impl Strategy<Value = Row> {
    // Few distinct weights, so that scores tie.
    let weight = prop_oneof![
        Just(0.0_f32),
        Just(0.5),
        Just(1.0),
        Just(3.0),
        Just(9.0),
        0.001_f32..3.0
    ];
    prop::collection::btree_map(0..terms, weight, 0..8).prop_map(|row| row.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn equals_the_definition(
        rows in prop::collection::vec(row(12), 0..60),
        queries in prop::collection::vec(row(14), 1..4),
        batch in 1_usize..30,
        deleted in prop::collection::btree_set(0_i64..60, 0..20),
        subset in prop::option::of(prop::collection::btree_set(0_i64..60, 0..30)),
        k in prop_oneof![0_usize..12, Just(1000), Just(usize::MAX)],
        merge in any::<bool>(),
    ) {
        let directory = Directory::new();
        let mut writer = directory.writer();
        let ids: Vec<i64> = (0..rows.len() as i64).collect();
        for (ids, rows) in ids.chunks(batch).zip(rows.chunks(batch)) {
            add(&mut writer, ids, rows);
            writer.commit().unwrap();
        }
        let deleted: Vec<i64> = deleted.into_iter().collect();
        writer.delete(&Keys::Int(&deleted)).unwrap();
        writer.commit().unwrap();
        if merge {
            writer.merge(1).unwrap();
        }
        let subset: Option<Vec<i64>> = subset.map(|ids| ids.into_iter().collect());
        let allowed = |id: &i64| {
            !deleted.contains(id) && subset.as_ref().is_none_or(|subset| subset.contains(id))
        };
        let live: Vec<(i64, Row)> =
            ids.iter().copied().zip(rows.clone()).filter(|(id, _)| allowed(id)).collect();
        let filter = Filter { subset: subset.as_deref().map(Keys::Int), ..Filter::default() };
        let expected: Vec<_> = queries.iter().map(|query| oracle(&live, query, k)).collect();
        let snapshot = directory.snapshot();
        for threads in [1, 2, 8] {
            let found = search(&snapshot, &queries, k, &filter, threads);
            prop_assert_eq!(&found, &expected, "{} threads", threads);
        }
        for (query, expected) in queries.iter().zip(&expected) {
            let found = search(&snapshot, std::slice::from_ref(query), k, &filter, 1);
            prop_assert_eq!(&found[0], expected);
        }
    }

    #[test]
    fn replacing_documents_equals_building_anew(
        steps in prop::collection::vec((0_i64..8, row(6), any::<bool>()), 1..40),
        query in row(6),
    ) {
        let directory = Directory::new();
        let mut writer = directory.writer();
        let mut model: Vec<(i64, Row)> = vec![];
        for (id, row, commit) in steps {
            add(&mut writer, &[id], std::slice::from_ref(&row));
            model.retain(|(other, _)| *other != id);
            model.push((id, row));
            if commit {
                writer.commit().unwrap();
            }
        }
        writer.commit().unwrap();
        let snapshot = directory.snapshot();
        let ids: Vec<_> = snapshot.ids().map(|id| format!("{}", id.unwrap())).collect();
        let expected: Vec<_> = model.iter().map(|(id, _)| id.to_string()).collect();
        prop_assert_eq!(ids, expected);
        let found = search(&snapshot, std::slice::from_ref(&query), 5, &Filter::default(), 1);
        prop_assert_eq!(&found[0], &oracle(&model, &query, 5));
    }
}

/// Documents on both sides of the borders between windows, in one segment.
#[test]
fn windows_join_without_a_seam() {
    let count = 3 * 65_536_i64 + 17;
    let rows: Vec<Row> = (0..count)
        .map(|id| match id % 65_536 {
            0 | 1 | 65_535 => vec![(7, 2.0)],
            r if r % 1000 == 0 => vec![(7, 1.0), (8, 0.5)],
            _ => vec![(9, 1.0)],
        })
        .collect();
    let ids: Vec<i64> = (0..count).collect();
    let directory = Directory::new();
    let mut writer = directory.writer();
    add(&mut writer, &ids, &rows);
    writer.commit().unwrap();
    let documents: Vec<(i64, Row)> = ids.into_iter().zip(rows).collect();
    let snapshot = directory.snapshot();
    for query in [vec![(7, 1.0)], vec![(7, 0.1), (8, 3.0)], vec![(9, 1.0)]] {
        for k in [1, 10, 1000] {
            let found = search(
                &snapshot,
                std::slice::from_ref(&query),
                k,
                &Filter::default(),
                1,
            );
            assert_eq!(found[0], oracle(&documents, &query, k), "k = {k}");
        }
    }
}

/// More terms than 16 bits can number, and a query of very many terms.
#[test]
fn vocabularies_and_queries_may_be_large() {
    let directory = Directory::new();
    let mut writer = directory.writer();
    let row: Row = (0..70_000).map(|term| (term * 1_000_003, 3.0)).collect();
    add(
        &mut writer,
        &[1, 2],
        &[row.clone(), vec![(65_535 * 1_000_003, 3.0)]],
    );
    writer.commit().unwrap();
    let snapshot = directory.snapshot();
    let documents = [(1, row.clone()), (2, vec![(65_535 * 1_000_003, 3.0)])];
    for query in [
        row,
        vec![(65_535 * 1_000_003, 1.0)],
        vec![(i64::MAX, 1.0)],
        vec![],
    ] {
        let found = search(
            &snapshot,
            std::slice::from_ref(&query),
            10,
            &Filter::default(),
            1,
        );
        assert_eq!(found[0], oracle(&documents, &query, 10));
    }
}
