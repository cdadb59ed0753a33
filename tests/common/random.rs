//! Random collections in which blocks, windows and segments matter, and queries like them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{MAX_WEIGHT, Row};

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
    pub rescore: bool,
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
        prop::bool::weighted(0.3),
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
            rescore: layout.5,
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
