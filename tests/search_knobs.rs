//! What an answer says of itself is true: approximate search, a deadline and a least score leave out only
//! what `exact` and `bound` admit, and the knobs at their ends leave out nothing.

#[path = "common/vectors.rs"]
mod vectors;

use std::time::Duration;

use vectors::*;
use weft::index::{Filter, Options};
use weft::sparse::{Knobs, Plan};

fn knobs(random: &mut Random) -> Knobs {
    Knobs {
        alpha: random.pick(&[1.0, 0.99, 0.9, 0.7, 0.4, 0.05]),
        beta: random.pick(&[1.0, 1.0, 0.8, 0.5, 0.2, 0.01]),
        gamma: random.pick(&[0, 0, 1, 2, 5, 20]),
    }
}

/// Asks an index under random options; calls `check` with the definition and the answer.
fn ask(
    shape: &Shape,
    options: impl Fn(&Ranking, &mut Random) -> Options,
    check: impl Fn(&Ranking, &Found, &Options),
) {
    let indexed = Indexed::new(shape);
    let random = &mut Random(shape.seed ^ 2);
    for _ in 0..6 {
        let query = indexed.query(random);
        let restriction = indexed.restriction(random);
        let ranking = indexed.ranking(&query, &restriction);
        for _ in 0..6 {
            let options = options(&ranking, random);
            let snapshot = &indexed.snapshot;
            let found =
                restriction.with_filter(|filter| search_one(snapshot, &query, filter, &options));
            ranking.check(&found, &options);
            check(&ranking, &found, &options);
        }
    }
}

fn some_k(random: &mut Random) -> usize {
    random.pick(&[1, 3, 10, 10, 100, 1000])
}

#[test]
fn approximate_answers_admit_what_they_may_lack() {
    for_each_case(cases(60, 3000), &shapes(2000), |shape| {
        let options = |_: &Ranking, random: &mut Random| Options {
            k: some_k(random),
            knobs: knobs(random),
            plan: random.pick(&[None, Some(Plan::BlockMax)]),
            ..Options::default()
        };
        ask(&shape, options, |_, _, _| ());
    });
}

/// Knobs that give up nothing are exact, and others do find less: the tests above try something.
#[test]
fn knobs_matter() {
    let mut inexact = 0;
    let mut short = 0;
    for seed in 0..20 {
        let shape = Shape {
            seed,
            documents: 1500,
            clusters: 12,
            sorted: true,
            terms_of_cluster: 12,
            common_terms: 30,
            common: 0.4,
            terms_of_document: 8,
            weights: Weights::Skewed,
            block_size: 8,
            reorder: seed % 2 == 0,
            rescore: false,
            segments: 2,
            deleted: 0.02,
            merge: false,
        };
        let indexed = Indexed::new(&shape);
        let random = &mut Random(seed);
        let query = indexed.query(random);
        let ranking = indexed.ranking(&query, &Restriction::None);
        for (alpha, beta, gamma) in [(0.5, 1.0, 0), (1.0, 0.3, 0), (1.0, 1.0, 1)] {
            let options = Options {
                knobs: Knobs { alpha, beta, gamma },
                ..exactly(10, Some(Plan::BlockMax))
            };
            let found = search_one(&indexed.snapshot, &query, &Filter::default(), &options);
            ranking.check(&found, &options);
            inexact += usize::from(!found.exact);
            short += usize::from(found.hits != ranking.best(10));
        }
    }
    assert!(inexact >= 20, "{inexact} answers are not exact");
    assert!(short >= 5, "{short} answers lack something");
}

/// Whatever a deadline cuts off is admitted, in every plan.
#[test]
fn deadlines_cut_off_what_they_admit() {
    for_each_case(cases(40, 2000), &shapes(2000), |shape| {
        let options = |_: &Ranking, random: &mut Random| Options {
            k: some_k(random),
            plan: random.pick(&PLANS),
            deadline: Some(Duration::from_micros(random.pick(&[0, 0, 1, 5, 20, 60]))),
            ..Options::default()
        };
        let check = |ranking: &Ranking, found: &Found, options: &Options| {
            if options.deadline == Some(Duration::ZERO) && !ranking.0.is_empty() {
                assert!(found.hits.is_empty() && !found.exact);
            }
        };
        ask(&shape, options, check);
    });
}

#[test]
fn a_long_deadline_changes_nothing() {
    for_each_case(cases(10, 300), &shapes(500), |shape| {
        let options = |_: &Ranking, random: &mut Random| Options {
            k: some_k(random),
            plan: random.pick(&PLANS),
            deadline: Some(random.pick(&[Duration::from_secs(3600), Duration::MAX])),
            ..Options::default()
        };
        ask(&shape, options, |_, found, _| assert!(found.exact));
    });
}

/// A least score leaves out the documents below, and no others.
#[test]
fn a_least_score_equals_filtering_the_exact_answer() {
    for_each_case(cases(60, 3000), &shapes(2000), |shape| {
        let options = |ranking: &Ranking, random: &mut Random| {
            let scores = &ranking.0;
            let some = match scores.is_empty() {
                true => 1.0,
                false => scores[random.skewed(scores.len())].1,
            };
            let beside = [some, some.next_up(), some.next_down()];
            let extreme = [0.0, -1.0, f32::MIN_POSITIVE, 1e9, f32::INFINITY];
            let least = match random.chance(0.8) {
                true => random.pick(&beside),
                false => random.pick(&extreme),
            };
            Options {
                min_score: Some(least),
                ..exactly(some_k(random), random.pick(&PLANS))
            }
        };
        ask(&shape, options, |ranking, found, options| {
            assert!(found.exact);
            assert_eq!(found.hits, ranking.best_from(options.k, options.min_score));
        });
    });
}

/// Knobs, a deadline and a least score together.
#[test]
fn options_combine() {
    for_each_case(cases(40, 2000), &shapes(2000), |shape| {
        let options = |ranking: &Ranking, random: &mut Random| Options {
            k: some_k(random),
            knobs: knobs(random),
            min_score: ranking.0.get(random.skewed(50)).map(|(_, score)| *score),
            deadline: random
                .chance(0.3)
                .then(|| Duration::from_micros(random.below(60) as u64)),
            plan: random.pick(&PLANS),
            ..Options::default()
        };
        ask(&shape, options, |_, _, _| ());
    });
}

#[test]
fn the_order_of_documents_changes_no_answer() {
    for_each_case(cases(30, 1000), &shapes(2000), |shape| {
        let ordered = |reorder| {
            Indexed::new(&Shape {
                reorder,
                ..shape.clone()
            })
        };
        let (one, other) = (ordered(false), ordered(true));
        let random = &mut Random(shape.seed ^ 3);
        for _ in 0..8 {
            let query = one.query(random);
            let restriction = one.restriction(random);
            let options = exactly(some_k(random), random.pick(&PLANS));
            let [a, b] = [&one, &other].map(|indexed| {
                restriction
                    .with_filter(|filter| search_one(&indexed.snapshot, &query, filter, &options))
            });
            assert_eq!(a, b);
        }
    });
}
