//! The order of documents: a permutation whatever happens, never worse than the given one, the same on any
//! number of threads, and one that brings together what belongs together.

use std::process::Command;
use std::time::Instant;

use proptest::prelude::*;

use super::super::reorder::order;
use super::*;

const LONG: Duration = Duration::from_secs(3600);

fn ordered(rows: &Rows, leaf: usize) -> Vec<u32> {
    order(rows, leaf, Instant::now() + LONG, &Interrupt::never()).unwrap()
}

fn is_permutation(order: &[u32], documents: usize) -> bool {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..documents as u32)
}

/// Pairs of a block and one of the heaviest terms of a document in it.
fn cost(rows: &Rows, order: &[u32], leaf: usize) -> usize {
    let heaviest = |document: &u32| {
        let mut row = rows.rows[*document as usize].clone();
        row.sort_by_key(|(term, impact)| (u8::MAX - impact, *term));
        row.into_iter().take(24).map(|(term, _)| term)
    };
    let terms = |block: &[u32]| {
        let terms = block.iter().flat_map(heaviest);
        terms.collect::<std::collections::BTreeSet<u32>>().len()
    };
    order.chunks(leaf).map(terms).sum()
}

/// Document `d` is of cluster `d % clusters` and has some of its terms.
fn interleaved(seed: u64, documents: usize, clusters: usize) -> Rows {
    let mut random = Random(seed);
    let row = |document: usize| {
        let first = (document % clusters * 30) as u32;
        let mut row: Vec<_> = (0..10).map(|_| (first + random.below(30), 9)).collect();
        row.sort_unstable();
        row.dedup();
        row
    };
    compact((0..documents).map(row).collect())
}

#[test]
fn interleaved_clusters_separate() {
    for (documents, leaf) in [(64, 8), (512, 8), (512, 64), (1000, 16), (4096, 256)] {
        for seed in 0..5 {
            let order = ordered(&interleaved(seed, documents, 2), leaf);
            let borders = order.windows(2).filter(|w| w[0] % 2 != w[1] % 2).count();
            // Where the halves are not whole blocks of one cluster, one block has both.
            let expected = if documents / 2 % leaf == 0 { 1 } else { leaf };
            assert!(
                borders <= expected,
                "{borders} borders in {documents} by {leaf}"
            );
        }
    }
}

#[test]
fn many_clusters_separate() {
    for clusters in [4, 8, 16] {
        let order = ordered(&interleaved(1, clusters * 128, clusters), 32);
        let mixed = |block: &&[u32]| {
            let first = block[0] as usize % clusters;
            block.iter().any(|d| *d as usize % clusters != first)
        };
        let mixed = order.chunks(32).filter(mixed).count();
        assert!(
            mixed <= clusters / 4,
            "{mixed} blocks of {clusters} clusters"
        );
    }
}

#[test]
fn an_expired_deadline_leaves_a_valid_order() {
    let rows = clustered(1, 3000, 9, 20, 30);
    let past = Instant::now();
    let expired = order(&rows, 8, past, &Interrupt::never()).unwrap();
    assert!(expired.into_iter().eq(0..3000), "the order as it came");
    let given: Vec<u32> = (0..3000).collect();
    for micros in [10, 100, 300, 1000, 3000, 10_000, 30_000] {
        let deadline = Instant::now() + Duration::from_micros(micros);
        let order = order(&rows, 8, deadline, &Interrupt::never()).unwrap();
        assert!(is_permutation(&order, 3000), "{micros} us");
        assert!(cost(&rows, &order, 8) <= cost(&rows, &given, 8));
    }
}

#[test]
fn an_interruption_is_an_error() {
    let rows = clustered(1, 3000, 9, 20, 30);
    let stop = Interrupt::new(|| true);
    let ordered = order(&rows, 8, Instant::now() + LONG, &stop);
    assert!(matches!(ordered, Err(crate::Error::Interrupted)));
}

#[test]
fn nothing_and_little_is_ordered() {
    let nothing = Rows::default();
    assert!(ordered(&nothing, 8).is_empty());
    for documents in [1, 2, 7, 8, 9, 15, 16, 17] {
        let empty = Rows {
            terms: 0,
            rows: vec![vec![]; documents],
        };
        assert!(ordered(&empty, 8).into_iter().eq(0..documents as u32));
        let rows = interleaved(3, documents, 2);
        assert!(is_permutation(&ordered(&rows, 8), documents));
        let same = Rows {
            terms: 1,
            rows: vec![vec![(0, 1)]; documents],
        };
        assert!(ordered(&same, 8).into_iter().eq(0..documents as u32));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn an_order_is_never_worse_than_the_given_one(
        seed in any::<u64>(),
        documents in 0_usize..600,
        clusters in 1_u32..12,
        of_cluster in 1_u32..40,
        common in 0_u32..40,
        leaf in prop::sample::select(vec![8, 16, 64, 256]),
    ) {
        let rows = clustered(seed, documents, clusters, of_cluster, common);
        let order = ordered(&rows, leaf);
        prop_assert!(is_permutation(&order, documents));
        let given: Vec<u32> = (0..documents as u32).collect();
        prop_assert!(cost(&rows, &order, leaf) <= cost(&rows, &given, leaf));
    }
}

/// Enough documents that parts of the work are done in parallel.
fn large() -> Rows {
    clustered(17, 40_000, 50, 30, 200)
}

/// Names the checksum of the order that a child of the test must find.
const EXPECTED: &str = "WEFT_ORDER_OF_DOCUMENTS";

#[test]
fn the_order_is_the_same_on_any_number_of_threads() {
    let order = ordered(&large(), 16);
    assert!(is_permutation(&order, 40_000) && !order.is_sorted());
    let checksum = crc32c::crc32c(bytemuck::cast_slice(&order)).to_string();
    if let Ok(expected) = std::env::var(EXPECTED) {
        assert_eq!(checksum, expected);
        return;
    }
    for threads in ["1", "2", "8"] {
        let test = "sparse::tests::reorder::the_order_is_the_same_on_any_number_of_threads";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(EXPECTED, &checksum)
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        let output = String::from_utf8(child.stdout).unwrap();
        assert!(output.contains("1 passed"), "{threads} threads: {output}");
    }
}
