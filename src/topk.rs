//! The best `k` of a stream of scored documents in any order. Ranking: score descending, then insertion
//! order, so that equal scores rank the same however documents lie in segments. Imports nothing of the
//! crate.

use std::cmp::Ordering;

/// A document with its score in integer units. `ordinal` counts documents in insertion order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scored {
    pub score: u32,
    pub ordinal: u64,
}

impl Scored {
    /// Better documents first.
    fn rank(&self, other: &Self) -> Ordering {
        other
            .score
            .cmp(&self.score)
            .then(self.ordinal.cmp(&other.ordinal))
    }
}

/// Keeps somewhat more than `k` documents and drops the surplus now and then, which takes a third of
/// the time of a heap for large `k`.
#[derive(Clone)]
pub struct TopK {
    k: usize,
    floor: u32,
    kept: Vec<Scored>,
}

impl TopK {
    /// Keeps documents that score `least` and above; a score of 0 is no match whatever `least` is.
    pub fn new(k: usize, least: u32) -> Self {
        Self {
            k,
            floor: least.max(1),
            kept: vec![],
        }
    }

    /// A document below the floor cannot enter; one at the floor enters if enough of those with its
    /// score come after it.
    pub fn floor(&self) -> u32 {
        self.floor
    }

    /// For a caller that knows of `k` documents at or above the floor, to be offered yet.
    pub fn raise_floor(&mut self, floor: u32) {
        self.floor = self.floor.max(floor);
    }

    pub fn k(&self) -> usize {
        self.k
    }

    pub fn is_full(&self) -> bool {
        self.kept.len() >= self.k
    }

    pub fn offer(&mut self, candidate: Scored) {
        if candidate.score < self.floor {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() > self.k + self.k / 4 + 4 {
            self.drop_surplus();
        }
    }

    /// Raises the floor to the score of the worst of the best `k`.
    fn drop_surplus(&mut self) {
        if self.k > 0 && self.kept.len() >= self.k {
            let (_, worst, _) = self.kept.select_nth_unstable_by(self.k - 1, Scored::rank);
            self.floor = worst.score;
        }
        self.kept.truncate(self.k);
    }

    /// Best first.
    pub fn into_sorted(mut self) -> Vec<Scored> {
        self.drop_surplus();
        self.kept.sort_unstable_by(Scored::rank);
        self.kept
    }
}

/// A score as an integer of the same order, at least 1.
pub fn key(score: f32) -> u32 {
    let bits = score.to_bits();
    match bits >> 31 {
        0 => bits | 1 << 31,
        _ => !bits,
    }
}

/// The score that `key` made an integer of.
pub fn score_of(key: u32) -> f32 {
    f32::from_bits(match key >> 31 {
        1 => key & !(1 << 31),
        _ => !key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_sorting_everything(
            scores in prop::collection::vec(0_u32..6, 0..60),
            turn in any::<prop::sample::Index>(),
            k in 0_usize..70,
            least in 0_u32..4,
        ) {
            let mut all: Vec<Scored> =
                scores.iter().zip(0..).map(|(&score, ordinal)| Scored { score, ordinal }).collect();
            let mut expected = all.clone();
            expected.sort_by_key(|s| (std::cmp::Reverse(s.score), s.ordinal));
            expected.retain(|s| s.score >= least.max(1));
            expected.truncate(k);

            let turn = turn.index(all.len().max(1)).min(all.len());
            all.rotate_left(turn);
            let mut top = TopK::new(k, least);
            for &scored in &all {
                top.offer(scored);
            }
            prop_assert_eq!(top.into_sorted(), expected);
        }
    }

    #[test]
    fn keys_keep_the_order_of_scores() {
        let scores = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.5,
            -1e-40,
            0.0,
            1e-40,
            1.0,
            1.5,
            f32::MAX,
            f32::INFINITY,
        ];
        for pair in scores.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
        for score in scores {
            assert!(key(score) > 0);
            assert_eq!(score_of(key(score)), score);
        }
    }
}
