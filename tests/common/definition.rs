//! The definition of a search, and what an answer promises.

use std::collections::HashMap;

use half::f16;
use weft::index::{Answer, Options, Snapshot};
use weft::storage::keys::Key;

use super::{MAX_WEIGHT, Row};

fn impact(weight: f32) -> u64 {
    let step = f64::from(MAX_WEIGHT) / 255.0;
    (f64::from(weight) / step)
        .round_ties_even()
        .clamp(1.0, 255.0) as u64
}

/// A weight after rounding to 16 bits, in steps.
fn stored(weight: f32) -> f32 {
    let step = f64::from(MAX_WEIGHT) / 255.0;
    let steps = f16::from_f64((f64::from(weight) / step).min(255.0));
    (f64::from(steps) * step) as f32
}

/// The integer weights of the terms of a query, and what 1 in a score is worth.
fn levels(query: &Row) -> (HashMap<i64, u64>, f64) {
    let query: Vec<_> = query.iter().filter(|(_, weight)| *weight > 0.0).collect();
    let largest = query.iter().map(|(_, weight)| *weight).fold(0.0, f32::max);
    let room = u64::from(u32::MAX) / (255 * query.len().max(1) as u64);
    let levels = room.min(16_383) as f64;
    let level =
        |weight: f32| (f64::from(weight) * levels / f64::from(largest)).round_ties_even() as u64;
    let unit = f64::from(MAX_WEIGHT) / 255.0 * f64::from(largest) / levels;
    (query.iter().map(|(t, w)| (*t, level(*w))).collect(), unit)
}

/// All documents that share a term with a query, best first, with their ids and scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking(pub Vec<(i64, f32)>);

impl Ranking {
    /// `documents` are in insertion order.
    pub fn of<'a>(documents: impl Iterator<Item = &'a (i64, Row)>, query: &Row) -> Self {
        let (levels, unit) = levels(query);
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

    /// By weights in 16 bits, added up in the order of terms, and query weights as they are given; those too
    /// light for a level count for nothing.
    pub fn by_weights<'a>(documents: impl Iterator<Item = &'a (i64, Row)>, query: &Row) -> Self {
        let (levels, _) = levels(query);
        let given = query
            .iter()
            .filter(|(term, _)| levels.get(term).is_some_and(|level| *level > 0));
        let given: HashMap<i64, f32> = given.copied().collect();
        let score = |(id, row): &(i64, Row)| {
            let mut postings: Row = row
                .iter()
                .filter(|(_, weight)| *weight > 0.0)
                .copied()
                .collect();
            postings.sort_unstable_by_key(|(term, _)| *term);
            let shared = postings
                .iter()
                .filter_map(|(term, weight)| Some((given.get(term)?, *weight)));
            let products =
                shared.map(|(given, weight)| f64::from(*given) * f64::from(stored(weight)));
            let products: Vec<f64> = products.collect();
            (!products.is_empty()).then(|| (*id, products.iter().sum::<f64>() as f32))
        };
        let mut scored: Vec<(i64, f32)> = documents.filter_map(score).collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        Self(scored)
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
    pub fn of(snapshot: &Snapshot, answer: Answer) -> Self {
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
