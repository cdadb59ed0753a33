//! The best `k` of a stream of scored documents. Order: score descending, then insertion order, so
//! that equal scores rank the same however documents lie in segments. Imports nothing of the crate.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A document with its score in integer units. `ordinal` counts documents in insertion order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scored {
    pub score: u32,
    pub ordinal: u64,
}

pub struct TopK {
    k: usize,
    /// The worst kept document is on top.
    heap: BinaryHeap<Reverse<(u32, Reverse<u64>)>>,
}

impl TopK {
    pub fn new(k: usize) -> Self {
        Self {
            k,
            heap: BinaryHeap::new(),
        }
    }

    /// A document with a score at or below the floor cannot enter, if every document offered so far
    /// came before it in insertion order. A score of 0 is no match.
    pub fn floor(&self) -> u32 {
        match self.heap.peek() {
            _ if self.k == 0 => u32::MAX,
            Some(Reverse((worst, _))) if self.heap.len() == self.k => *worst,
            _ => 0,
        }
    }

    pub fn offer(&mut self, candidate: Scored) {
        let entry = Reverse((candidate.score, Reverse(candidate.ordinal)));
        if self.heap.len() < self.k {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
    }

    /// Best first.
    pub fn into_sorted(self) -> Vec<Scored> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        sorted
            .map(|Reverse((score, Reverse(ordinal)))| Scored { score, ordinal })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_sorting_everything(
            scores in prop::collection::vec(1_u32..6, 0..60),
            k in 0_usize..70,
        ) {
            let all: Vec<Scored> =
                scores.iter().zip(0..).map(|(&score, ordinal)| Scored { score, ordinal }).collect();
            let mut expected = all.clone();
            expected.sort_by_key(|s| (Reverse(s.score), s.ordinal));
            expected.truncate(k);

            let mut forward = TopK::new(k);
            for &scored in &all {
                if scored.score > forward.floor() {
                    forward.offer(scored);
                }
            }
            prop_assert_eq!(forward.into_sorted(), expected.clone());

            let mut backward = TopK::new(k);
            all.iter().rev().for_each(|&scored| backward.offer(scored));
            prop_assert_eq!(backward.into_sorted(), expected);
        }
    }
}
