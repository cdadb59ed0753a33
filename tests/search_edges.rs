//! Sizes, weights, terms and queries at the edges: every plan finds what the definition says.

#[path = "common/vectors.rs"]
mod vectors;

use std::sync::Arc;

use vectors::*;
use weft::index::{Filter, Schema, Snapshot, SparseSchema, Writer};
use weft::pool::Interrupt;
use weft::storage::keys::{Key, OwnedKey};
use weft::storage::vfs_sim::SimVfs;

/// Numbers of hits around those of which something is often kept, and around the number of documents.
fn all_k(documents: usize) -> [usize; 14] {
    let n = documents;
    [
        0,
        1,
        2,
        9,
        10,
        11,
        99,
        100,
        1000,
        1001,
        n.saturating_sub(1),
        n,
        n + 1,
        usize::MAX,
    ]
}

/// Asserts that every plan is exact for each query and number of hits.
fn check(documents: &[(i64, Row)], block_size: u32, reorder: bool, queries: &[Row]) {
    let snapshot = index(documents, block_size, reorder);
    for query in queries {
        for k in all_k(documents.len()) {
            assert_exact(&snapshot, documents, query, k);
        }
    }
}

fn numbered(rows: impl IntoIterator<Item = Row>) -> Vec<(i64, Row)> {
    (0..).zip(rows).collect()
}

#[test]
fn the_last_block_is_scored() {
    for block in BLOCK_SIZES {
        for blocks in [1, 2, 3, 17] {
            for past in [1, 2, block as i64 - 1, block as i64] {
                let last = (blocks - 1) * i64::from(block) + past - 1;
                // By one query the last document is the best, by another the worst.
                let row = |id| match id == last {
                    true => vec![(5, 0.1), (6, 2.0)],
                    false => vec![(5, 2.0)],
                };
                let documents = numbered((0..=last).map(row));
                let queries = [vec![(5, 1.0), (6, 1.0)], vec![(6, 1.0)], vec![(5, 1.0)]];
                let snapshot = index(&documents, block, false);
                for query in queries {
                    for k in [1, 10, documents.len()] {
                        assert_exact(&snapshot, &documents, &query, k);
                    }
                }
            }
        }
    }
}

#[test]
fn a_collection_may_be_smaller_than_a_block_or_as_large_as_a_few() {
    let sizes = [
        1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 33, 64, 128, 255, 256, 257,
    ];
    for (number, documents) in sizes.into_iter().enumerate() {
        let row = |id: i64| vec![(id % 3, 1.0 + (id % 5) as f32 / 4.0), (7, 0.5)];
        let documents = numbered((0..documents).map(row));
        let block = BLOCK_SIZES[number % BLOCK_SIZES.len()];
        for (block, reorder) in [(8, false), (8, true), (block, true), (256, false)] {
            let queries = [vec![(7, 1.0)], vec![(0, 1.0), (2, 0.3)]];
            check(&documents, block, reorder, &queries);
        }
    }
}

#[test]
fn one_document_is_found() {
    let documents = [(-7, vec![(3, 0.001)])];
    check(&documents, 8, true, &[vec![(3, 1.0)], vec![(3, 1e-30)]]);
}

/// Ties are broken by insertion order, wherever the documents lie.
#[test]
fn all_scores_may_tie() {
    let same = numbered((0..700).map(|_| vec![(1, 1.0), (2, 1.0)]));
    let some = numbered((0..700).map(|id| match id % 7 {
        0..3 => vec![(1, 1.0)],
        3..5 => vec![(2, 1.0)],
        _ => vec![],
    }));
    for documents in [same, some] {
        for (block, reorder) in [(8, true), (64, false), (64, true), (256, true)] {
            check(
                &documents,
                block,
                reorder,
                &[vec![(1, 1.0)], vec![(1, 1.0), (2, 1.0)]],
            );
        }
    }
}

/// The k-th and the next best score the same and lie in blocks of different bounds.
#[test]
fn the_last_hit_may_tie_with_documents_of_other_blocks() {
    for better in [0_i64, 3, 9, 10] {
        // Documents of the same score, each in a block of its own, beside ever more of another term.
        let row = |id: i64| match id % 8 {
            0 if id / 8 < better => vec![(1, 2.0)],
            0 => vec![(1, 1.0)],
            place if place <= id / 8 % 8 => vec![(2, 0.5 + (id / 64) as f32 / 16.0)],
            _ => vec![(3, 1.0)],
        };
        let documents = numbered((0..1600).map(row));
        for reorder in [false, true] {
            let queries = [vec![(1, 1.0)], vec![(1, 1.0), (2, 0.9)]];
            check(&documents, 8, reorder, &queries);
        }
    }
}

#[test]
fn a_query_may_find_nothing() {
    let documents = numbered((0..100).map(|id| vec![(id % 5, 1.0)]));
    let unknown = vec![(i64::MAX, 1.0), (77, 2.0)];
    let queries = [unknown, vec![], vec![(1, 0.0)], vec![(1, 0.0), (77, 1.0)]];
    check(&documents, 8, true, &queries);
    check(&[(1, vec![]), (2, vec![])], 8, true, &queries);
    check(&[], 8, true, &queries);
}

/// Weights above `max_weight` are clipped and counted, and never wrap.
#[test]
fn large_weights_clip() {
    let vfs = SimVfs::new();
    let schema = Schema {
        encoders: Default::default(),
        sketch: None,
        sparse: Some(SparseSchema {
            max_weight: Some(255.0),
            ..schema(8, true).sparse.unwrap()
        }),
        ..schema(8, true)
    };
    let handle = Arc::new(vfs.clone());
    let mut writer = Writer::open(handle, Some(schema), 1 << 30, Interrupt::never()).unwrap();
    let weights = [1.0, 54.0, 254.0, 255.0, 256.0, 310.0, 1e6, f32::MAX];
    let documents = numbered(weights.map(|weight| vec![(9, weight)]));
    let (ids, rows): (Vec<i64>, Vec<Row>) = documents.into_iter().unzip();
    add(&mut writer, &ids, &rows);
    writer.commit().unwrap();
    let snapshot = Snapshot::open(&vfs).unwrap();
    let stored = |id: &i64| snapshot.get(Key::Int(*id)).unwrap().sparse.unwrap()[0].1;
    let stored: Vec<f32> = ids.iter().map(stored).collect();
    assert_eq!(
        stored,
        [1.0, 54.0, 254.0, 255.0, 255.0, 255.0, 255.0, 255.0]
    );
    assert_eq!(snapshot.stats().clipped, 4);
    for plan in PLANS {
        let options = exactly(10, plan);
        let found = search_one(&snapshot, &vec![(9, 2.0)], &Filter::default(), &options);
        let ids: Vec<i64> = found.hits.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [3, 4, 5, 6, 7, 2, 1, 0]);
        assert_eq!(found.hits[0].1, 510.0);
    }
}

/// Sums of the largest weights fit however many there are.
#[test]
fn long_queries_do_not_overflow() {
    let row: Row = (0..10_000).map(|term| (term, MAX_WEIGHT)).collect();
    let mut documents = numbered((0..40).map(|id| row[..id * 250].to_vec()));
    documents.push((999, row.clone()));
    for reorder in [false, true] {
        let snapshot = index(&documents, 8, reorder);
        for terms in [1, 63, 64, 65, 1000, 1028, 1029, 5000, 10_000] {
            for k in [1, 10, 100] {
                assert_exact(&snapshot, &documents, &row[..terms].to_vec(), k);
            }
        }
        let options = exactly(1, None);
        let found = search_one(&snapshot, &row, &Filter::default(), &options);
        assert_eq!(found.hits[0].0, 999);
        assert!((found.hits[0].1 / 90_000.0 - 1.0).abs() < 1e-5);
    }
}

/// Terms are told apart on both sides of what 16 bits can number.
#[test]
fn vocabularies_may_be_large() {
    for terms in [65_535_i64, 65_536, 65_537, 200_000] {
        let weight = |term: i64| 0.5 + (term % 7) as f32 / 4.0;
        let starts = (0..terms).step_by(5000);
        let row = |start: i64| (start..terms.min(start + 5000)).map(|term| (term, weight(term)));
        let documents = numbered(starts.map(|start| row(start).collect()));
        let snapshot = index(&documents, 8, true);
        let last = terms - 1;
        let edges = [0, 1, 32_767, 32_768, 65_533, 65_534, 65_535, 65_536, last];
        for term in edges.into_iter().filter(|term| *term < terms) {
            assert_exact(&snapshot, &documents, &vec![(term, 1.0)], 10);
            let frequency = snapshot.document_frequency(&OwnedKey::Int(term));
            assert_eq!(frequency.unwrap(), 1, "term {term} of {terms}");
        }
        let many: Row = (0..terms).step_by(997).map(|term| (term, 1.0)).collect();
        assert_exact(&snapshot, &documents, &many, 10);
        for (id, row) in [&documents[0], &documents[documents.len() - 1]] {
            let stored = snapshot.get(Key::Int(*id)).unwrap().sparse.unwrap();
            let stored = stored.iter().map(|(term, _)| term.to_string());
            let expected = row.iter().map(|(term, _)| term.to_string());
            assert!(stored.eq(expected), "document {id} of {terms} terms");
        }
    }
}

/// Ids of terms that are the same in some of their bits are not the same.
#[test]
fn ids_of_terms_never_collide() {
    let bits = [8, 15, 16, 17, 30, 31, 32, 33, 48, 62];
    let terms = bits.map(|bit| 5 + (1_i64 << bit));
    let documents = numbered(
        [5, i64::MAX, i64::MAX - 1, 0]
            .into_iter()
            .chain(terms)
            .map(|term| vec![(term, 1.0)]),
    );
    let snapshot = index(&documents, 8, true);
    for (id, row) in &documents {
        let found = search_one(&snapshot, row, &Filter::default(), &exactly(10, None));
        assert_eq!(
            found.hits.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [*id]
        );
        assert_exact(&snapshot, &documents, row, 10);
    }
    let all: Row = documents.iter().map(|(_, row)| row[0]).collect();
    assert_exact(&snapshot, &documents, &all, 100);
}

/// A term in every document of a window, and terms in very few of very many.
#[test]
fn lists_may_be_full_or_nearly_empty() {
    let documents = numbered((0..66_000).map(|id| {
        let mut row = vec![(1, 1.0 + (id % 9) as f32 / 8.0)];
        if id % 2200 == 7 {
            row.push((2, 0.25));
        }
        if id % 65_535 == 0 {
            row.push((3, 2.0));
        }
        row
    }));
    for (block, reorder) in [(8, false), (256, true)] {
        let snapshot = index(&documents, block, reorder);
        let every = vec![(1, 0.5), (2, 1.0), (3, 0.1)];
        for query in [vec![(1, 1.0)], vec![(2, 1.0), (3, 1.0)], every] {
            for k in [1, 10, 1000, 66_000] {
                assert_exact(&snapshot, &documents, &query, k);
            }
        }
    }
}

/// More documents than are looked at first have the same impact.
#[test]
fn weights_order_what_impacts_tie() {
    let weight = |number: i64| 1.0 + (number * 37 % 300) as f32 * 1e-5;
    let documents: Vec<(i64, Row)> = (0..300)
        .map(|number| (number, vec![(7, weight(number))]))
        .collect();
    let snapshot = index_of_weights(&documents, 8);
    let query = vec![(7, 1.0)];
    let ranking = Ranking::by_weights(documents.iter(), &query);
    for k in [1, 10, 100, 300] {
        for plan in PLANS {
            let found = search_one(&snapshot, &query, &Filter::default(), &exactly(k, plan));
            assert_eq!(found.hits, ranking.best(k), "{plan:?}, k = {k}");
            assert!(found.exact, "{plan:?}, k = {k}");
        }
    }
}
