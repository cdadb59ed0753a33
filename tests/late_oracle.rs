//! Search by token vectors equals scoring every document, bit for bit, ties included: exact search
//! against the scores that each document gets alone, whatever the codec, segments, deletions, filter and
//! number of threads; approximate search with as many candidates as there are documents as well.
//! `WEFT_EXHAUSTIVE=1` tries more.

use std::sync::Arc;

use half::f16;
use proptest::prelude::*;
use weft::index::{
    Batch, Filter, Late, MultiVectorSchema, Options, Schema, Snapshot, TokenQueries, TokenRows,
    Writer,
};
use weft::pool::Interrupt;
use weft::storage::keys::{Key, KeyKind, Keys};
use weft::storage::vfs_sim::SimVfs;

const CODECS: [&str; 9] = [
    "pq2",
    "pq4",
    "scalar1",
    "scalar2",
    "scalar3",
    "scalar4",
    "f16",
    "pq2+scalar3",
    "scalar2+f16",
];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// An index and what was put into it.
struct Made {
    snapshot: Snapshot,
    dim: usize,
    /// Ids of live documents in insertion order, with the number of their tokens.
    live: Vec<(i64, usize)>,
}

/// Vectors of few distinct values, so that there are ties, duplicates and zeros.
fn vector(dim: usize, random: &mut Random) -> Vec<f32> {
    match random.below(12) {
        0 => vec![0.0; dim],
        1 => (0..dim).map(|i| f32::from(u8::from(i == 0))).collect(),
        2 => vec![1000.0; dim],
        _ => (0..dim)
            .map(|_| random.below(5) as f32 / 2.0 - 1.0)
            .collect(),
    }
}

fn make(seed: u64) -> Made {
    let random = &mut Random(seed);
    let dim = random.pick(&[8, 16, 24]);
    let documents = random.pick(&[1, 2, 9, 40, 120]);
    let schema = Schema {
        encoders: Default::default(),
        sketch: None,
        ids: KeyKind::Int,
        sparse: None,
        multivector: Some(MultiVectorSchema {
            dim,
            codec: random.pick(&CODECS).into(),
            centroids: random.pick(&[None, Some(1), Some(5)]),
        }),
        attributes: [].into(),
    };
    let vfs = SimVfs::new();
    let mut writer = Writer::open(
        Arc::new(vfs.clone()),
        Some(schema),
        1 << 30,
        Interrupt::never(),
    )
    .unwrap();
    let mut live: Vec<(i64, usize)> = vec![];
    let parts = 1 + random.below(3);
    for _ in 0..parts {
        let ids: Vec<i64> = (0..documents).filter(|_| random.below(3) > 0).collect();
        let (mut offsets, mut values) = (vec![0], vec![]);
        for _ in &ids {
            let tokens = random.pick(&[0, 1, 1, 2, 7, 33]);
            for _ in 0..tokens {
                values.extend(vector(dim, random).into_iter().map(f16::from_f32));
            }
            offsets.push((values.len() / dim) as i64);
        }
        writer
            .add(&Batch {
                ids: Keys::Int(&ids),
                sparse: None,
                text: None,
                multivector: Some(TokenRows {
                    dim,
                    offsets: &offsets,
                    values: &values,
                }),
                attributes: vec![],
            })
            .unwrap();
        live.retain(|(id, _)| !ids.contains(id));
        let tokens = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
        live.extend(ids.into_iter().zip(tokens));
        if random.below(3) > 0 {
            writer.commit().unwrap();
        }
    }
    let gone: Vec<i64> = (0..documents).filter(|_| random.below(8) == 0).collect();
    writer.delete(&Keys::Int(&gone)).unwrap();
    live.retain(|(id, _)| !gone.contains(id));
    writer.commit().unwrap();
    match random.below(4) {
        0 => drop(writer.merge(1).unwrap()),
        1 => drop(writer.retrain().unwrap()),
        _ => {}
    }
    Made {
        snapshot: Snapshot::open(&vfs).unwrap(),
        dim,
        live,
    }
}

type Hits = Vec<(i64, f32)>;

fn id_of(snapshot: &Snapshot, hit: weft::index::Hit) -> i64 {
    match snapshot.id(hit).unwrap() {
        Key::Int(id) => id,
        Key::Str(_) => unreachable!(),
    }
}

fn search(
    made: &Made,
    query: &TokenQueries<'_>,
    filter: &Filter<'_>,
    k: usize,
    late: Late,
) -> Hits {
    let options = Options {
        k,
        late,
        threads: 1,
        ..Options::default()
    };
    let answers = made
        .snapshot
        .search_late(None, query, filter, &options)
        .unwrap();
    assert!(answers[0].exact || !late.exact);
    answers[0]
        .hits
        .iter()
        .map(|hit| (id_of(&made.snapshot, *hit), hit.score))
        .collect()
}

/// The score that a document has when it is scored alone, by a path that prunes nothing.
fn ranking(made: &Made, query: &TokenQueries<'_>, allowed: &[i64]) -> Hits {
    let mut scored = vec![];
    for (id, tokens) in &made.live {
        let answers = made
            .snapshot
            .rerank(query, &[Keys::Int(&[*id])], 1)
            .unwrap();
        assert_eq!(
            answers[0].hits.len(),
            usize::from(*tokens > 0 && !is_zero(query))
        );
        scored.extend(answers[0].hits.iter().map(|hit| (*id, hit.score)));
    }
    scored.retain(|(id, _)| allowed.contains(id));
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    scored
}

fn is_zero(query: &TokenQueries<'_>) -> bool {
    query.values.iter().all(|value| *value == 0.0)
}

/// Returns the number of searches compared.
fn compare(seed: u64) -> usize {
    let made = make(seed);
    let random = &mut Random(seed ^ 77);
    let mut compared = 0;
    for _ in 0..4 {
        let rows = random.pick(&[1, 2, 16, 17, 33]);
        let values: Vec<f32> = (0..rows).flat_map(|_| vector(made.dim, random)).collect();
        let query = TokenQueries {
            dim: made.dim,
            offsets: &[0, rows as i64],
            values: &values,
        };
        let some: Vec<i64> = (0..120).filter(|_| random.below(2) == 0).collect();
        let all: Vec<i64> = made.live.iter().map(|(id, _)| *id).collect();
        for (filter, allowed) in [
            (Filter::default(), &all),
            (
                Filter {
                    subset: Some(Keys::Int(&some)),
                    ..Filter::default()
                },
                &some,
            ),
        ] {
            let expected = ranking(&made, &query, allowed);
            for k in [1, 3, 10, 1000] {
                let best = &expected[..k.min(expected.len())];
                let exact = Late {
                    exact: true,
                    ..Late::default()
                };
                assert_eq!(
                    search(&made, &query, &filter, k, exact),
                    best,
                    "seed {seed}, k {k}"
                );
                let wide = Late {
                    candidates: Some(1000),
                    ..Late::default()
                };
                assert_eq!(
                    search(&made, &query, &filter, k, wide),
                    best,
                    "seed {seed}, k {k}"
                );
                let narrow = Late {
                    candidates: Some(3),
                    probes: Some(1),
                    ..Late::default()
                };
                for (id, score) in search(&made, &query, &filter, k, narrow) {
                    assert!(
                        expected.contains(&(id, score)),
                        "seed {seed}: a score of its own"
                    );
                }
                compared += 3;
            }
        }
    }
    compared
}

#[test]
fn exact_search_equals_scoring_every_document() {
    let cases = match std::env::var_os("WEFT_EXHAUSTIVE") {
        Some(_) => 3000,
        None => 250,
    };
    let compared: usize = (0..cases).map(compare).sum();
    println!("{compared} searches compared");
    assert!(compared >= 20_000);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20) })]

    #[test]
    fn threads_change_nothing(seed: u64) {
        let made = make(seed);
        let random = &mut Random(seed ^ 5);
        let rows = 6;
        let values: Vec<f32> = (0..3 * rows).flat_map(|_| vector(made.dim, random)).collect();
        let queries = TokenQueries { dim: made.dim, offsets: &[0, 6, 6, 18], values: &values };
        let mut answers = [1, 2, 8].map(|threads| {
            let options = Options { threads, ..Options::default() };
            let found = made.snapshot.search_late(None, &queries, &Filter::default(), &options).unwrap();
            found.into_iter().map(|answer| answer.hits).collect::<Vec<_>>()
        }).into_iter();
        let first = answers.next().unwrap();
        prop_assert!(first[1].is_empty());
        prop_assert!(answers.all(|other| other == first));
    }
}
