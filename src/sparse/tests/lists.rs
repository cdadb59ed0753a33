//! Bounds of blocks are the sums of their largest impacts; scores of blocks are those of their documents,
//! whatever the form of a run and the way to find a block in it.

use super::super::lists::{Hits, Lists};
use super::super::search::Part;
use super::*;
use crate::kernels::WINDOW;

/// A run with a maximum for every block, one with maxima of some blocks, and one without.
fn three_forms(block: usize) -> Rows {
    let documents = 400 * block as u32 + 3;
    let row = |document: u32| {
        let mut row = vec![(0, 1 + (document * 7 % 255) as u8)];
        if document % (10 * block as u32) < 2 {
            row.push((1, 1 + (document % 200) as u8));
        }
        if document.is_multiple_of(999) {
            row.push((2, 255));
        }
        row
    };
    Rows {
        terms: 3,
        rows: (0..documents).map(row).collect(),
    }
}

fn part(segment: &SparseSegment, terms: Vec<(u32, u32)>) -> Part<'_> {
    Part {
        segment,
        terms,
        eligible: None,
        first_ordinal: 0,
    }
}

#[test]
fn all_forms_of_runs_occur() {
    for block in [8, 64] {
        let rows = three_forms(block);
        let segment = segment(&rows, block, false);
        let blocks = rows.rows.len().min(WINDOW).div_ceil(block);
        let sizes = |term| {
            let run = segment.runs(term).unwrap().take().unwrap().unwrap();
            (run.maxima.len(), run.blocks.len())
        };
        assert_eq!(sizes(0), (blocks, 0));
        assert_eq!(sizes(1), (41, 41));
        assert_eq!(sizes(2), (0, 0));
    }
}

/// The largest sum of products in each block: of the largest impacts, and of a document.
fn bounds(segments: &[(&Rows, &SparseSegment)], terms: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut all = vec![];
    for (rows, segment) in segments {
        let in_slot = |slot: usize| &rows.rows[segment.document(slot).unwrap() as usize];
        let impact = |slot: usize, term: u32| {
            let posting = in_slot(slot).iter().find(|(other, _)| *other == term);
            posting.map_or(0, |(_, impact)| u32::from(*impact))
        };
        // Windows without a posting of the query have no blocks.
        for first in (0..rows.rows.len()).step_by(WINDOW) {
            let end = rows.rows.len().min(first + WINDOW);
            let mut window = vec![];
            for start in (first..end).step_by(segment.block()) {
                let slots = start..end.min(start + segment.block());
                let largest = |&(term, weight): &(u32, u32)| {
                    weight * slots.clone().map(|slot| impact(slot, term)).max().unwrap()
                };
                let score = |slot| terms.iter().map(|(t, w)| w * impact(slot, *t)).sum::<u32>();
                let best = slots.clone().map(score).max().unwrap();
                window.push((terms.iter().map(largest).sum(), best));
            }
            if window.iter().any(|(bound, _)| *bound > 0) {
                all.extend(window);
            }
        }
    }
    all
}

#[test]
fn bounds_are_the_sums_of_the_largest_impacts() {
    for (block, reorder) in [(8, false), (32, true), (256, true)] {
        let rows = [
            clustered(1, 3000, 9, 20, 30),
            three_forms(8),
            clustered(3, 5, 1, 4, 0),
        ];
        let segments: Vec<_> = rows.iter().map(|r| segment(r, block, reorder)).collect();
        let pairs: Vec<_> = rows.iter().zip(&segments).collect();
        for terms in [
            vec![(0, 1), (1, 16_383), (2, 9)],
            vec![(1, 70)],
            vec![(2, 1)],
        ] {
            let parts: Vec<_> = segments.iter().map(|s| part(s, terms.clone())).collect();
            let lists = Lists::of(&parts.iter().collect::<Vec<_>>(), 1.0).unwrap();
            let mut found = vec![9; 3];
            lists.bound(&mut found).unwrap();
            let expected = bounds(&pairs, &terms);
            assert_eq!(
                found,
                expected.iter().map(|(bound, _)| *bound).collect::<Vec<_>>()
            );
            assert!(expected.iter().all(|(bound, best)| best <= bound));
            assert_eq!(lists.unbounded(), 0);
        }
    }
}

#[test]
fn bounds_of_some_terms_leave_out_what_the_others_may_add() {
    let rows = clustered(5, 2000, 5, 20, 30);
    let segment = segment(&rows, 8, true);
    let terms: Vec<(u32, u32)> = (0..10).map(|t| (t, 100 * (t * 7 % 10) + 3)).collect();
    for kept in 0..=10_usize {
        let beta = kept as f32 / 10.0 - 0.01;
        let part = part(&segment, terms.clone());
        let lists = Lists::of(&[&part], beta).unwrap();
        let mut heaviest = terms.clone();
        heaviest.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        let others: u32 = heaviest[kept..]
            .iter()
            .map(|(_, weight)| 255 * weight)
            .sum();
        assert_eq!(lists.unbounded(), others, "{kept} terms");
        let mut found = vec![];
        lists.bound(&mut found).unwrap();
        let expected = bounds(&[(&rows, &segment)], &heaviest[..kept]);
        match expected.is_empty() {
            true => assert!(found.iter().all(|bound| *bound == 0)),
            false => assert!(found.iter().eq(expected.iter().map(|(bound, _)| bound))),
        }
    }
}

/// Finds and scores a group of blocks; compares with the documents in them.
fn check_group(
    rows: &Rows,
    segment: &SparseSegment,
    lists: &Lists<'_>,
    group: &[u32],
    terms: &[(u32, u32)],
) {
    let mut hits = Hits::default();
    for _ in 0..2 {
        lists.find(group, &mut hits);
        for (place, &number) in (0..).zip(group) {
            lists.prefetch(&hits, place);
            let window = &lists.windows[lists.window(number as usize)];
            let mut scores = vec![0; window.block()];
            lists.score(&hits, place, &mut scores).unwrap();
            let slots = window.slots(number as usize);
            let mut expected = vec![0; window.block()];
            for slot in slots.clone() {
                for (term, impact) in &rows.rows[segment.document(slot).unwrap() as usize] {
                    let weight = terms.iter().find(|(other, _)| other == term);
                    expected[slot - slots.start] +=
                        weight.map_or(0, |(_, weight)| weight * u32::from(*impact));
                }
            }
            assert_eq!(scores, expected, "block {number}");
        }
    }
}

#[test]
fn groups_of_blocks_are_scored_however_large_they_are() {
    let terms = [(0, 3), (1, 16_383), (2, 9)];
    for (block, reorder) in [(8, false), (64, false), (64, true)] {
        let rows = three_forms(block);
        let segment = segment(&rows, block, reorder);
        let part = part(&segment, terms.to_vec());
        let lists = Lists::of(&[&part], 1.0).unwrap();
        let blocks = lists.blocks() as u32;
        for step in [1, 2, 3, 7, 50, 100, 133, 1000] {
            for first in [0, 1, 9] {
                let group: Vec<u32> = (first..blocks).step_by(step).collect();
                check_group(&rows, &segment, &lists, &group, &terms);
            }
        }
        check_group(&rows, &segment, &lists, &[blocks - 1], &terms);
        check_group(&rows, &segment, &lists, &[], &terms);
    }
}

#[test]
fn groups_may_span_windows() {
    let documents = 2 * WINDOW as u32 + 9;
    let row = |document: u32| match document % WINDOW as u32 {
        place if !(40..=65_500).contains(&place) => vec![(0, 1 + (document % 250) as u8)],
        place if place % 1000 == 0 => vec![(0, 2), (1, 200)],
        _ => vec![],
    };
    let rows = Rows {
        terms: 2,
        rows: (0..documents).map(row).collect(),
    };
    for block in [8, 256] {
        let segment = segment(&rows, block, false);
        let terms = [(0, 5), (1, 2)];
        let part = part(&segment, terms.to_vec());
        let lists = Lists::of(&[&part], 1.0).unwrap();
        assert_eq!(lists.windows.len(), 3);
        let blocks = lists.blocks() as u32;
        let mut found = vec![];
        lists.bound(&mut found).unwrap();
        let expected = bounds(&[(&rows, &segment)], &terms);
        assert!(found.iter().eq(expected.iter().map(|(bound, _)| bound)));
        for step in [1, 5, 200] {
            let group: Vec<u32> = (0..blocks).step_by(step).collect();
            check_group(&rows, &segment, &lists, &group, &terms);
        }
        let border = WINDOW as u32 / block as u32;
        let group = [
            0,
            border - 1,
            border,
            2 * border - 1,
            2 * border,
            blocks - 1,
        ];
        let group = std::collections::BTreeSet::from(group);
        let group: Vec<u32> = group.into_iter().collect();
        check_group(&rows, &segment, &lists, &group, &terms);
    }
}
