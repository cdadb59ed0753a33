//! P7: search equals scoring every document one by one, bit for bit, ties included, in every plan; and
//! equals itself however the documents lie in blocks, windows and segments, in whatever order, on any
//! number of threads, after saving and opening again. `WEFT_EXHAUSTIVE=1` tries more than 100,000 queries.

#[path = "common/vectors.rs"]
mod vectors;

use std::cell::Cell;

use proptest::prelude::*;
use vectors::*;
use weft::index::{Filter, Options};

/// For an index of `documents`.
fn wanted_hits(documents: usize, random: &mut Random) -> usize {
    let around = [documents, documents + 1, usize::MAX];
    match random.below(11) {
        number @ 0..8 => [0, 1, 9, 10, 11, 100, 1000, 1001][number],
        number => around[number - 8],
    }
}

/// Asks an index many things; returns their number.
fn compare_with_the_definition(shape: &Shape) -> usize {
    let indexed = Indexed::new(shape);
    let snapshot = &indexed.snapshot;
    let mut random = Random(shape.seed ^ 1);
    let queries: Vec<Row> = (0..4).map(|_| indexed.query(&mut random)).collect();
    let mut compared = 0;
    for query in &queries {
        for _ in 0..2 {
            let restriction = indexed.restriction(&mut random);
            let ranking = indexed.ranking(query, &restriction);
            for _ in 0..3 {
                let k = wanted_hits(indexed.live.len(), &mut random);
                for plan in PLANS {
                    let options = exactly(k, plan);
                    let found =
                        restriction.with_filter(|f| search_one(snapshot, query, f, &options));
                    let told = || format!("{plan:?}, k = {k}, {query:?}, {restriction:?}");
                    assert_eq!(found.hits, ranking.best(k), "{}", told());
                    assert!(found.exact, "{}", told());
                    ranking.check(&found, &options);
                }
                compared += 1;
            }
        }
    }
    let everything = |query| indexed.ranking(query, &Restriction::None);
    let expected: Vec<Ranking> = queries.iter().map(everything).collect();
    for threads in [1, 2, 8] {
        let options = Options {
            threads,
            ..exactly(10, None)
        };
        let found = search(snapshot, &queries, &Filter::default(), &options);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.hits, expected.best(10), "{threads} threads");
        }
    }
    compared
}

#[test]
fn equals_the_definition() {
    let compared = Cell::new(0);
    let documents = cases(2000, 4000) as usize;
    for_each_case(cases(200, 12_000), &shapes(documents), |shape| {
        compared.set(compared.get() + compare_with_the_definition(&shape));
    });
    let compared = compared.into_inner();
    println!("{compared} random cases in {} plans each", PLANS.len());
    assert!(compared >= cases(4000, 100_001) as usize);
}

/// Documents in more than one window, where blocks of some windows are passed over.
#[test]
fn windows_join_without_a_seam() {
    for (number, block_size) in BLOCK_SIZES.into_iter().enumerate() {
        let random = &mut Random(number as u64);
        let shape = Shape {
            seed: number as u64,
            documents: 2 * 65_536 + 17,
            clusters: 300,
            sorted: number % 2 == 0,
            terms_of_cluster: 8,
            common_terms: 40,
            common: 0.3,
            terms_of_document: 3,
            weights: random.pick(&[Weights::Same, Weights::Skewed]),
            block_size,
            reorder: number % 2 == 1,
            rescore: number % 3 == 1,
            segments: 1,
            deleted: 0.001,
            merge: number % 2 == 1,
        };
        if number < cases(2, BLOCK_SIZES.len() as u32) as usize {
            compare_with_the_definition(&shape);
        }
    }
}

/// Documents on both sides of the borders between windows.
#[test]
fn borders_of_windows_are_no_borders_of_an_answer() {
    let documents: Vec<(i64, Row)> = (0..2 * 65_536_i64 + 17)
        .map(|id| match id % 65_536 {
            0 | 1 | 65_535 => (id, vec![(7, 2.0)]),
            rest if rest % 1000 == 0 => (id, vec![(7, 1.0), (8, 0.5)]),
            _ => (id, vec![(9, 1.0)]),
        })
        .collect();
    let snapshot = index(&documents, 64, false);
    for query in [vec![(7, 1.0)], vec![(7, 0.1), (8, 3.0)], vec![(9, 1.0)]] {
        for k in [1, 10, 1000] {
            assert_exact(&snapshot, &documents, &query, k);
        }
    }
}

/// Terms and weights, few of them.
fn row() -> impl Strategy<Value = Row> {
    let weight = prop_oneof![Just(0.0_f32), Just(1.0), Just(9.0), 0.001_f32..3.0];
    prop::collection::btree_map(0_i64..6, weight, 0..6).prop_map(|row| row.into_iter().collect())
}

#[test]
fn replacing_documents_equals_building_anew() {
    let steps = prop::collection::vec((0_i64..8, row(), any::<bool>()), 1..40);
    for_each_case(cases(300, 10_000), &(steps, row()), |(steps, query)| {
        let directory = Directory::new(8, true);
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
        let ids: Vec<_> = snapshot.ids().map(|id| id.unwrap().to_string()).collect();
        let expected: Vec<_> = model.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(ids, expected);
        assert_exact(&snapshot, &model, &query, 5);
    });
}
