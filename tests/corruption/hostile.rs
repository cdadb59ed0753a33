//! R8: files made by hand to do harm, their checksums right. Each gives the error that says so, or is
//! used without harm; none makes the library allocate more than the files' size and 16 MiB.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;
use std::io::ErrorKind::NotFound;
use std::panic::{AssertUnwindSafe, catch_unwind};

use weft::index::Snapshot;
use weft::{Error, Result};

use super::forge::Files;
use super::{Healthy, cases, golden, use_index};

const MEBIBYTES: usize = 1 << 20;

/// What must come of a hostile directory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Opening says that a file is damaged.
    Refused,
    /// Opening says that the format is too new.
    TooNew,
    /// Opening says that a file is not there.
    Missing,
    /// It opens; reading everything says that a file is damaged.
    Found,
    /// It opens; whatever is done with it ends without harm.
    Harmless,
}

#[test]
fn hostile_files_do_no_harm() {
    let golden = Files::of(&golden());
    let healthy = Healthy::new();
    let mut failed = vec![];
    let mut count = 0;
    for (name, expected, forge) in cases::all() {
        let mut files = golden.clone();
        forge(&mut files);
        count += 1;
        if let Err(message) = try_case(&files, expected) {
            failed.push(format!("{name}: {message}"));
        }
        if let Some(plan) = healthy.differs() {
            failed.push(format!("{name}: then {plan:?} misreads another index"));
        }
    }
    println!("{count} hostile directories");
    assert!(count >= 64);
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

fn try_case(files: &Files, expected: Outcome) -> std::result::Result<(), String> {
    let vfs = files.vfs();
    let start = ALLOCATED.get();
    PEAK.set(start);
    let read = catch_unwind(AssertUnwindSafe(|| {
        let opened = Snapshot::open(&vfs).map(drop);
        (opened, use_index(&vfs, false))
    }));
    let peak = (PEAK.get() - start).unsigned_abs();
    let written = catch_unwind(AssertUnwindSafe(|| drop(use_index(&vfs, true))));
    let (opened, read) = read.map_err(|_| "reading panics".to_owned())?;
    written.map_err(|_| "writing panics".to_owned())?;
    // The simulator copies a file once more than a mapping does.
    if peak > 2 * files.bytes() + 16 * MEBIBYTES {
        return Err(format!(
            "allocates {peak} bytes for files of {}",
            files.bytes()
        ));
    }
    match outcome_fits(expected, &opened, &read) {
        true => Ok(()),
        false => Err(format!("{expected:?}, but {opened:?} and then {read:?}")),
    }
}

fn outcome_fits(expected: Outcome, opened: &Result<()>, read: &Result<()>) -> bool {
    match expected {
        Outcome::Refused => matches!(opened, Err(Error::Corrupt { .. })),
        Outcome::TooNew => matches!(opened, Err(Error::FormatVersion { .. })),
        Outcome::Missing => {
            matches!(opened, Err(Error::Io { source, .. }) if source.kind() == NotFound)
        }
        Outcome::Found => opened.is_ok() && matches!(read, Err(Error::Corrupt { .. })),
        Outcome::Harmless => opened.is_ok(),
    }
}

/// Counts what this thread holds.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counters left.
    let _ = ALLOCATED.try_with(|allocated| {
        allocated.set(allocated.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(allocated.get())));
    });
}

// SAFETY: all work is the system's allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        count(memory.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, at: *mut u8, memory: Memory) {
        count(-(memory.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, memory) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
