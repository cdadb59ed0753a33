//! Every instruction set equals the definition, bit for bit, over lengths, alignments and extremes.

use super::*;
use proptest::prelude::*;

type DrainAbove = fn(&mut [u32], u32, &mut Vec<(u32, u32)>);

/// The vector versions of `drain_above` that this processor can run.
fn drains() -> Vec<(&'static str, DrainAbove)> {
    #[allow(unused_mut)]
    let mut all: Vec<(&'static str, DrainAbove)> = vec![];
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        all.push(("avx2", avx2::drain_above_checked));
    }
    all
}

fn check_drains(scores: &[u32], floor: u32) {
    let mut expected_scores = scores.to_vec();
    let mut expected = vec![(7, 7)];
    scalar::drain_above(&mut expected_scores, floor, &mut expected);
    for (name, drain) in drains() {
        let mut left = scores.to_vec();
        let mut found = vec![(7, 7)];
        drain(&mut left, floor, &mut found);
        assert_eq!(found, expected, "{name}");
        assert_eq!(left, expected_scores, "{name}");
    }
}

#[test]
fn drain_above_at_every_length_and_alignment() {
    let values: Vec<u32> = (0..1100_u32)
        .map(|i| i.wrapping_mul(2_654_435_761))
        .collect();
    for start in 0..16 {
        for length in (0..=64).chain([127, 128, 129, 1000, 1024]) {
            check_drains(&values[start..start + length], 1 << 31);
        }
    }
}

proptest! {
    #[test]
    fn drain_above_with_ties_and_extremes(
        scores in prop::collection::vec(
            prop_oneof![Just(0), Just(1), Just(u32::MAX), Just(1 << 31), any::<u32>()], 0..200),
        floor in prop_oneof![Just(0), Just(1), Just(u32::MAX), Just((1 << 31) - 1), any::<u32>()],
    ) {
        check_drains(&scores, floor);
    }

    #[test]
    fn accumulate_is_the_sum_of_products(
        postings in prop::collection::btree_map(any::<u16>(), 1_u8.., 0..50),
        weight in 0_u32..16_384,
    ) {
        let mut scores: Box<Accumulators> = vec![3; WINDOW].try_into().unwrap();
        let (documents, impacts): (Vec<u16>, Vec<u8>) = postings.iter().unzip();
        let largest = accumulate(&mut scores, &documents, &impacts, weight);
        prop_assert_eq!(largest, documents.last().copied().unwrap_or(0));
        for (document, score) in scores.iter().enumerate() {
            let impact = postings.get(&(document as u16)).copied().unwrap_or(0);
            prop_assert_eq!(*score, 3 + weight * u32::from(impact));
        }
    }
}
