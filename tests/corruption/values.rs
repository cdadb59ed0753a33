//! Values of a sparse file damaged at random, and what a search of it leaves behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use weft::index::Snapshot;
use weft::sparse::Plan;
use weft::storage::vfs::Vfs;
use weft::storage::vfs_sim::SimVfs;

use super::common::{LARGE, Step, docs, exhaustive, hits, on_two_threads, run};
use super::forge::{Files, put};
use super::lists::{edit, section};
use super::{Healthy, Random, golden, use_index};

/// Bytes of an item of a section.
fn width(section: &str) -> usize {
    match section {
        "row_impacts" => 1,
        "row_terms" | "row_steps" | "maxima_blocks" => 2,
        "postings" | "maxima" => 3,
        "terms.int" => 8,
        _ => 4,
    }
}

/// Damages a few items of the sections of a sparse file.
fn damage(sections: &mut [(String, Vec<u8>)], random: &mut Random) -> Vec<String> {
    let mut done = vec![];
    for _ in 0..1 + random.below(4) {
        let chosen = random.below(sections.len());
        let (name, content) = &mut sections[chosen];
        let width = width(name);
        let items = content.len() / width;
        if items == 0 {
            continue;
        }
        let at = width * random.below(items);
        let kind = random.below(6);
        let other = width * random.below(items);
        let copied = content[other..other + width].to_vec();
        let item = &mut content[at..at + width];
        match kind {
            0 => item.fill(0),
            1 => item.fill(0xff),
            2 => item[random.below(width)] ^= 1 << random.below(8),
            3 => item[0] = item[0].wrapping_add(1),
            4 => item[0] = item[0].wrapping_sub(1),
            _ => put(item, 0, &copied),
        }
        done.push(format!("{name} at {at} by {kind}"));
    }
    done
}

/// Damage of values, at random: all searches, merging and export end without harm.
#[test]
fn damaged_lists_do_no_harm() {
    let golden = Files::of(&golden());
    let samples = if exhaustive() { 100_000 } else { 2400 };
    on_two_threads(|part, parts| {
        let mut random = Random((part as u64 + 1) << 41);
        let healthy = Healthy::new();
        for sample in 0..samples / parts {
            let mut files = golden.clone();
            let mut done = vec![];
            let kind = ["1.sparse", "2.sparse"][random.below(2)];
            files.edit_sections(kind, |sections| done = damage(sections, &mut random));
            let vfs = files.vfs();
            let used = catch_unwind(AssertUnwindSafe(|| {
                use_index(&vfs, sample % 4 == 0).is_ok()
            }));
            assert!(used.is_ok(), "a panic after {done:?}");
            assert_eq!(healthy.differs(), None, "after {done:?}");
        }
    });
}

/// The last block of the damaged index has a posting behind the last document. Whatever a search of it
/// leaves in memory, a search of another index on the same thread does not find.
#[test]
fn a_damaged_index_changes_no_answer_of_another() {
    let healthy = Healthy::new();
    let vfs = SimVfs::new();
    let handle: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let steps = [
        Step::Open {
            memory_limit: LARGE,
        },
        Step::Add(docs(1..13, 0)),
        Step::Commit,
    ];
    run(&handle, &steps, |_| ()).unwrap();
    let golden = Files::of(&vfs);
    let postings = section(&golden, "postings").len() / 3;
    for number in 0..postings {
        for place in 12..16_u16 {
            let mut files = golden.clone();
            edit(&mut files, "postings", |content| {
                put(content, 3 * number, &place.to_le_bytes());
            });
            let snapshot = Snapshot::open(&files.vfs()).unwrap();
            let _ = hits(&snapshot, Some(Plan::BlockMax));
            assert_eq!(healthy.differs(), None, "posting {number} at {place}");
        }
    }
}
