//! A segment holds the postings of its rows, in the order and with the maps that it says.

use super::*;
use crate::kernels::{Impact, WINDOW};

#[test]
fn a_segment_holds_its_rows_by_document_and_by_term() {
    for (seed, documents) in [(1, 1), (2, 9), (3, 700), (4, 5000)] {
        let rows = clustered(seed, documents, 7, 20, 50);
        for (block, reorder) in [(8, true), (64, false), (256, true)] {
            let segment = segment(&rows, block, reorder);
            for (document, row) in (0..).zip(&rows.rows) {
                assert!(segment.row(document).unwrap().eq(row.iter().copied()));
            }
            let mut by_term = vec![vec![]; rows.terms as usize];
            for slot in 0..documents {
                for &(term, impact) in &rows.rows[segment.document(slot).unwrap() as usize] {
                    by_term[term as usize].push((slot, impact));
                }
            }
            for (term, expected) in (0..).zip(by_term) {
                let mut runs = segment.runs(term).unwrap();
                let mut found = vec![];
                while let Some(run) = runs.take().unwrap() {
                    let start = run.window as usize * WINDOW;
                    let postings = run.postings.iter();
                    found.extend(
                        postings.map(|&Impact { place, value }| (start + place as usize, value)),
                    );
                }
                assert_eq!(found, expected);
                let frequency = segment.document_frequency(term).unwrap();
                assert_eq!(frequency as usize, expected.len());
            }
        }
    }
}

#[test]
fn slots_and_documents_are_inverse() {
    let rows = clustered(9, 3000, 7, 20, 50);
    let segment = segment(&rows, 16, true);
    let moved = (0..3000).filter(|slot| segment.document(*slot).unwrap() != *slot as u32);
    assert!(moved.count() > 1000);
    let mut seen = vec![false; 3000];
    for slot in 0..3000 {
        let document = segment.document(slot).unwrap() as usize;
        let mut one = fixedbitset::FixedBitSet::with_capacity(3000);
        one.insert(document);
        let slots: Vec<usize> = segment.slots(&one).unwrap().ones().collect();
        assert_eq!(slots, [slot]);
        assert!(!std::mem::replace(&mut seen[document], true));
    }
    assert!(segment.document(3000).is_err());
}

/// Ranges of terms that fit the memory are written one after the other; the file is the same.
#[test]
fn little_memory_gives_the_same_file() {
    let rows = clustered(11, 900, 7, 10, 20);
    let bytes = |memory| {
        let layout = Layout {
            memory,
            ..layout(8, false)
        };
        write(&rows, layout).0.get(NAME).unwrap()
    };
    let expected = bytes(1 << 30);
    for memory in [0, 1, 100, 1000, 5000, 20_000] {
        assert!(bytes(memory) == expected, "{memory} bytes");
    }
}

#[test]
fn nothing_is_written_after_an_interruption() {
    let rows = clustered(13, 100, 7, 10, 20);
    let vfs = SimVfs::new();
    let mut file = SectionWriter::create(&vfs, NAME, IndexId([7; 16])).unwrap();
    let interrupt = Interrupt::new(|| true);
    let written = writer::write(&mut file, layout(8, true), &rows, &interrupt);
    assert!(matches!(written, Err(crate::Error::Interrupted)));
}
