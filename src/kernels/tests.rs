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

type AddMaxima = fn(&mut [u32], &[(&[Impact], u32)]);

/// The vector versions of `add_maxima` that this processor can run.
fn additions() -> Vec<(&'static str, AddMaxima)> {
    #[allow(unused_mut)]
    let mut all: Vec<(&'static str, AddMaxima)> = vec![];
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        all.push(("avx2", avx2::add_maxima_checked));
    }
    all
}

fn check_additions(bounds: &[u32], rows: &[(&[Impact], u32)]) {
    let mut expected = bounds.to_vec();
    scalar::add_maxima(&mut expected, rows);
    for (name, add) in additions() {
        let mut found = bounds.to_vec();
        add(&mut found, rows);
        assert_eq!(found, expected, "{name}");
    }
}

fn impacts(length: usize, value: impl Fn(usize) -> u8) -> Vec<Impact> {
    let impact = |i: usize| Impact {
        place: i.wrapping_mul(40_503) as u16,
        value: value(i),
    };
    (0..length).map(impact).collect()
}

const LARGEST_WEIGHT: u32 = (1 << 15) - 1;

#[test]
fn add_maxima_at_every_length_and_alignment() {
    let bounds: Vec<u32> = (0..300).map(|i| i * 977).collect();
    let one = impacts(300, |i| (i * 37 % 256) as u8);
    let other = impacts(300, |i| (255 - i % 256) as u8);
    for length in 0..=200 {
        for start in [0, 1, 2, 3, 5, 8, 13, 31, 32] {
            let rows = [
                (&one[start..start + length], 1),
                (&other[start / 2..start / 2 + length], LARGEST_WEIGHT),
                (&one[start + 1..start + 1 + length], 16_383),
            ];
            for count in 0..=rows.len() {
                check_additions(&bounds[start..start + length], &rows[..count]);
            }
        }
    }
}

#[test]
fn add_maxima_of_the_largest_values() {
    for length in [1, 31, 32, 33, 34, 35, 64, 66, 67, 200] {
        let full = impacts(length, |_| u8::MAX);
        // As many terms of the largest weight as a score has room for.
        let rows = vec![(&full[..], 16_383); 1028];
        check_additions(&vec![0; length], &rows);
        let mut bounds = vec![0; length];
        add_maxima(&mut bounds, &rows);
        assert!(bounds.iter().all(|bound| *bound == 1028 * 16_383 * 255));
    }
}

/// Rows that are shorter or longer than the bounds, which a damaged file may have, are not read past
/// their end.
#[test]
fn add_maxima_of_rows_of_other_lengths() {
    for (bounds, first, second) in [(100, 40, 100), (40, 100, 64), (66, 66, 65), (64, 0, 64)] {
        let rows = [impacts(first, |_| 1), impacts(second, |_| 2)];
        let rows = [(&rows[0][..], 3), (&rows[1][..], 5)];
        for (_, add) in additions() {
            let mut found = vec![7; bounds];
            add(&mut found, &rows);
            let shortest = bounds.min(first).min(second);
            assert!(found[..shortest].iter().all(|bound| *bound == 7 + 3 + 10));
        }
    }
}

type LargestOfLanes = fn(&[u32], &mut Vec<u32>);

/// The vector versions of `largest_of_lanes` that this processor can run.
fn largest() -> Vec<(&'static str, LargestOfLanes)> {
    #[allow(unused_mut)]
    let mut all: Vec<(&'static str, LargestOfLanes)> = vec![];
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        all.push(("avx2", avx2::largest_of_lanes_checked));
    }
    all
}

#[test]
fn largest_of_lanes_at_every_length_and_alignment() {
    let hash = |i: u32| i.wrapping_mul(2_654_435_761);
    let values: Vec<u32> = (0..300).map(hash).chain([u32::MAX, 0, 1]).collect();
    for start in 0..40 {
        for length in 0..=200 {
            let bounds = &values[start..start + length];
            let mut expected = vec![7];
            scalar::largest_of_lanes(bounds, &mut expected);
            let chunks = bounds
                .chunks(LANES)
                .map(|chunk| *chunk.iter().max().unwrap());
            assert!(expected[1..].iter().copied().eq(chunks));
            for (name, largest) in largest() {
                let mut found = vec![7];
                largest(bounds, &mut found);
                assert_eq!(found, expected, "{name}");
            }
        }
    }
}

#[test]
fn accumulate_stops_at_a_posting_out_of_range_or_order() {
    let impact = |place| Impact { place, value: 2 };
    for (places, first, taken) in [
        (vec![10, 17, 18], 10, 2),
        (vec![9, 10], 10, 0),
        (vec![12, 3, 13], 10, 1),
        (vec![], 0, 0),
    ] {
        let postings: Vec<Impact> = places.into_iter().map(impact).collect();
        let mut scores = vec![0; 8];
        assert_eq!(accumulate(&mut scores, &postings, first, 3), taken);
        assert_eq!(scores.iter().sum::<u32>(), 6 * taken as u32);
        assert_eq!(accumulate(&mut [], &postings, first, 3), 0);
    }
}

proptest! {
    #[test]
    fn add_maxima_of_any_values(
        bounds in prop::collection::vec(any::<u32>(), 0..150),
        rows in prop::collection::vec((any::<u64>(), 0..=LARGEST_WEIGHT), 0..6),
    ) {
        let value = |seed: u64| move |i: usize| (seed.rotate_left(i as u32) ^ i as u64) as u8;
        let rows: Vec<_> =
            rows.iter().map(|&(seed, weight)| (impacts(bounds.len(), value(seed)), weight)).collect();
        let rows: Vec<_> = rows.iter().map(|(row, weight)| (&row[..], *weight)).collect();
        check_additions(&bounds, &rows);
    }

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
        postings in prop::collection::btree_map(0_u16..3000, 1_u8.., 0..50),
        first in 0_u16..1500,
        slots in 0_usize..3000,
        weight in 0_u32..16_384,
    ) {
        let behind = postings.range(first..).map(|(&place, &value)| Impact { place, value });
        let list: Vec<Impact> = behind.collect();
        let mut scores = vec![3; slots];
        let taken = accumulate(&mut scores, &list, first, weight);
        let among = |place: u16| usize::from(place - first) < slots;
        prop_assert_eq!(taken, list.iter().filter(|posting| among(posting.place)).count());
        for (slot, score) in scores.iter().enumerate() {
            let value = postings.get(&(first + slot as u16)).copied().unwrap_or(0);
            prop_assert_eq!(*score, 3 + weight * u32::from(value));
        }
    }
}
