//! The sparse file read and made again as FORMAT.md says: the lists by term follow from the rows, the order
//! of the documents, and the form of each run.

use std::collections::BTreeMap;

use super::forge::{u32_at, u32s};

const WINDOW: usize = 1 << 16;

type Sections = BTreeMap<String, Vec<u8>>;

fn numbers(section: &[u8]) -> Vec<usize> {
    let numbers = section.chunks_exact(4);
    numbers.map(|bytes| u32_at(bytes, 0) as usize).collect()
}

/// A slot in its window with an impact, or the first posting of a block with the largest.
fn impact(place: usize, value: u8) -> [u8; 3] {
    let [low, high] = (place as u16).to_le_bytes();
    [low, high, value]
}

/// Slots and impacts of each term, by the rows.
fn lists(sections: &Sections, terms: usize) -> Vec<Vec<(usize, u8)>> {
    let starts = numbers(&sections["row_starts"]);
    let slots = match numbers(&sections["document_slots"]) {
        slots if slots.is_empty() => (0..starts.len() - 1).collect(),
        slots => slots,
    };
    let mut lists = vec![vec![]; terms];
    for (document, row) in starts.windows(2).enumerate() {
        for posting in row[0]..row[1] {
            let term = &sections["row_terms"][2 * posting..];
            let term = u16::from_le_bytes([term[0], term[1]]);
            let impact = sections["row_impacts"][posting];
            lists[usize::from(term)].push((slots[document], impact));
        }
    }
    lists.iter_mut().for_each(|list| list.sort_unstable());
    lists
}

/// What a run adds to `postings`, `maxima` and `maxima_blocks`. `counts` are its maxima and blocks.
fn run(
    list: &[(usize, u8)],
    blocks: usize,
    size: usize,
    counts: [usize; 2],
) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let postings = list
        .iter()
        .map(|(slot, value)| impact(slot % WINDOW, *value));
    let of_block = |block: usize| {
        let before = |(slot, _): &&(usize, u8)| slot % WINDOW / size < block;
        let within = |(slot, _): &&(usize, u8)| slot % WINDOW / size == block;
        let first = list.iter().filter(before).count();
        let largest = list.iter().filter(within).map(|(_, value)| *value).max();
        impact(first, largest.unwrap_or(0))
    };
    let mut named: Vec<usize> = list.iter().map(|(slot, _)| slot % WINDOW / size).collect();
    named.dedup();
    let (maxima, named): (Vec<_>, _) = match counts {
        [0, 0] => (vec![], vec![]),
        [_, 0] => ((0..blocks).map(of_block).collect(), vec![]),
        _ => (named.iter().map(|block| of_block(*block)).collect(), named),
    };
    let named = named.iter().flat_map(|block| (*block as u16).to_le_bytes());
    let postings = postings.collect::<Vec<_>>().concat();
    (postings, maxima.concat(), named.collect())
}

/// Makes the lists by term anew; asserts that they are the same. Returns how many runs there are of each
/// form: none, every block, named blocks.
pub fn check(sections: &[(String, Vec<u8>)], block_size: usize) -> [usize; 3] {
    let sections: Sections = sections.iter().cloned().collect();
    let terms = sections["terms.int"].len() / 8;
    let documents = sections["row_starts"].len() / 4 - 1;
    let stored = numbers(&sections["runs"]);
    let mut made: [Vec<u8>; 3] = Default::default();
    let (mut term_runs, mut runs, mut forms) = (vec![0], vec![], [0; 3]);
    for list in lists(&sections, terms) {
        for list in list.chunk_by(|a, b| a.0 / WINDOW == b.0 / WINDOW) {
            let number = runs.len() / 4;
            let counts =
                [2, 3].map(|field| stored[4 * number + 4 + field] - stored[4 * number + field]);
            let window = list[0].0 / WINDOW;
            runs.push(window as u32);
            runs.extend(
                [made[0].len() / 3, made[1].len() / 3, made[2].len() / 2].map(|n| n as u32),
            );
            let blocks = (documents - window * WINDOW)
                .min(WINDOW)
                .div_ceil(block_size);
            let (postings, maxima, named) = run(list, blocks, block_size, counts);
            made[0].extend(postings);
            made[1].extend(maxima);
            made[2].extend(named);
            match counts {
                [0, 0] => forms[0] += 1,
                [_, 0] => forms[1] += 1,
                _ => forms[2] += 1,
            }
            assert!(
                list.len() > 32 || counts == [0, 0],
                "a short run has maxima"
            );
        }
        term_runs.push(runs.len() as u32 / 4);
    }
    runs.push(0);
    runs.extend([made[0].len() / 3, made[1].len() / 3, made[2].len() / 2].map(|n| n as u32));
    assert!(made[0] == sections["postings"], "postings");
    assert!(made[1] == sections["maxima"], "maxima");
    assert!(made[2] == sections["maxima_blocks"], "maxima_blocks");
    assert!(u32s(&term_runs) == sections["term_runs"], "term_runs");
    assert!(u32s(&runs) == sections["runs"], "runs");
    let (documents, slots) = (&sections["slot_documents"], &sections["document_slots"]);
    let (documents, slots) = (numbers(documents), numbers(slots));
    assert_eq!(documents.len(), slots.len());
    assert!(
        slots
            .iter()
            .enumerate()
            .all(|(document, slot)| documents[*slot] == document)
    );
    forms
}
