//! R3 and R4: every operation fails in every way, once or from then on. Short and interrupted writes are
//! absorbed. An error carries errno and path and leaves the generation before intact; trying again works,
//! but after a failed sync or rename only with a new writer; and no file is left over after that.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Expected, Step, apply, generation_of, history, moments, on_two_threads, open};
use weft::index::{Snapshot, Writer};
use weft::storage::vfs::Vfs;
use weft::storage::vfs_sim::{Crash, Fault, Kind, Operation, SimVfs};
use weft::{Error, Result};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A history under way.
struct Run<'a> {
    vfs: SimVfs,
    steps: &'a [Step],
    next: usize,
    writer: Option<Writer>,
    generation: u64,
}

impl<'a> Run<'a> {
    fn new(steps: &'a [Step]) -> Self {
        Self {
            vfs: SimVfs::new(),
            steps,
            next: 0,
            writer: None,
            generation: 0,
        }
    }

    fn handle(&self) -> Arc<dyn Vfs> {
        Arc::new(self.vfs.clone())
    }

    /// Does the remaining steps up to the first error; the step that failed is next again.
    fn go(&mut self) -> Result<()> {
        while let Some(step) = self.steps.get(self.next) {
            if let Step::Open { memory_limit } = step {
                self.writer = None;
                self.writer = Some(open(&self.handle(), *memory_limit)?);
            }
            let writer = self.writer.as_mut().expect("a history starts with Open");
            if let Some(generation) = apply(writer, step)? {
                self.generation = generation;
            }
            self.next += 1;
        }
        Ok(())
    }
}

/// Operations of the history when nothing fails.
fn operations() -> Vec<Operation> {
    let steps = history();
    let mut run = Run::new(&steps);
    run.go().unwrap();
    run.writer = None;
    run.vfs.operations()
}

/// Strikes each operation of the history in turn; returns the number of strikes.
fn strike_each(strike: impl Fn(&[Step], &Expected, usize) + Sync) -> usize {
    let steps = history();
    let expected = Expected::of(&steps);
    let count = operations().len();
    on_two_threads(|part, parts| {
        for number in (part..count).step_by(parts) {
            strike(&steps, &expected, number);
        }
    });
    count
}

#[test]
fn short_and_interrupted_writes_are_absorbed() {
    let count = strike_each(|steps, expected, number| {
        for fault in [Fault::ShortWrite, Fault::Interrupted] {
            let mut run = Run::new(steps);
            run.vfs.fault(number, fault);
            run.go()
                .unwrap_or_else(|error| panic!("operation {number}, {fault:?}: {error}"));
            assert_eq!(expected.check(&run.vfs), expected.last());
            common::check_files(&run.vfs);
        }
    });
    let steps = history();
    let mut run = Run::new(&steps);
    run.vfs.fault_from(0, Fault::ShortWrite);
    run.go().unwrap();
    println!("{count} operations short and interrupted");
}

#[test]
fn an_error_is_reported_and_trying_again_works() {
    let count = strike_each(|steps, expected, number| {
        for errno in [EIO, ENOSPC] {
            let mut run = Run::new(steps);
            run.vfs.fault(number, Fault::Error(errno));
            let result = run.go();
            if run.vfs.operation_count() <= number {
                run.writer = None;
            }
            let struck = run.vfs.operations()[number].clone();
            let name = format!("operation {number}, {:?} {:?}", struck.kind, struck.name);
            match result {
                Ok(()) => assert!(
                    may_be_ignored(struck.kind),
                    "{name}: the error was swallowed"
                ),
                Err(error) => check_error(&error, &struck, errno, &run.vfs),
            }
            recover(run, expected, &struck);
        }
    });
    println!("{count} operations failed once");
}

/// Collecting tries again at the next commit; what it reads may fail too.
fn may_be_ignored(kind: Kind) -> bool {
    matches!(kind, Kind::Remove | Kind::Read | Kind::List)
}

fn check_error(error: &Error, struck: &Operation, errno: i32, vfs: &SimVfs) {
    let Error::Io { path, source, .. } = error else {
        panic!("{:?} of {:?}: {error:?}", struck.kind, struck.name);
    };
    assert_eq!(source.raw_os_error(), Some(errno));
    assert_eq!(*path, vfs.path(&struck.name));
}

fn recover(mut run: Run<'_>, expected: &Expected, struck: &Operation) {
    let found = expected.check(&run.vfs);
    let published_unsynced = struck.kind == Kind::SyncDirectory && found == run.generation + 1;
    assert!(
        found == run.generation || published_unsynced,
        "{found}, not {}",
        run.generation
    );
    if struck.kind.is_sync() || struck.kind == Kind::Rename {
        check_poisoned(&mut run, expected);
        expected.go_on(&run.handle(), found);
        return;
    }
    let vfs = run.vfs.clone();
    run.go()
        .unwrap_or_else(|error| panic!("trying again: {error}"));
    assert_eq!(expected.check(&vfs), expected.last());
    drop(run);
    expected.go_on(&(Arc::new(vfs) as Arc<dyn Vfs>), expected.last());
}

/// A writer that saw a failed sync or rename does nothing more, least of all sync.
fn check_poisoned(run: &mut Run<'_>, expected: &Expected) {
    let before = run.vfs.operation_count();
    if let Some(mut writer) = run.writer.take() {
        for step in &run.steps[1..] {
            let refused = matches!(apply(&mut writer, step), Err(Error::Poisoned));
            assert!(
                refused || matches!(step, Step::Open { .. }),
                "{step:?} was not refused"
            );
        }
    }
    let after = &run.vfs.operations()[before..];
    assert!(
        after.iter().all(|operation| !operation.kind.changes_disk()),
        "{after:?}"
    );
    expected.check(&run.vfs);
}

/// The power goes after a sync has failed: at any moment of giving up and of starting again.
#[test]
fn power_loss_after_a_failed_sync_loses_nothing() {
    let operations = operations();
    let images = AtomicUsize::new(0);
    strike_each(|steps, expected, number| {
        if !operations[number].kind.is_sync() {
            return;
        }
        let mut run = Run::new(steps);
        run.vfs.fault(number, Fault::Error(EIO));
        run.go().unwrap_err();
        run.writer = None;
        let seen = expected.check(&run.vfs);
        expected.go_on(&run.handle(), seen);
        for prefix in moments(&run.vfs, number + 1) {
            for how in [Crash::Synced, Crash::Random(1), Crash::Random(2)] {
                let image = run.vfs.crash_image(prefix, how);
                let found = generation_of(&image);
                let allowed = run.generation..=seen + 1;
                assert!(
                    allowed.contains(&found),
                    "{number}: {how:?} after {prefix}: {found}"
                );
                if found <= seen {
                    expected.check(&image);
                }
                images.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    println!("{} crash images after a failed sync", images.into_inner());
}

/// A dying disk: everything fails from some operation on, also what a writer does while it is dropped.
#[test]
fn a_disk_that_stays_broken_keeps_the_generation() {
    let count = strike_each(|steps, expected, number| {
        let mut run = Run::new(steps);
        run.vfs.fault_from(number, Fault::Error(EIO));
        let failed = run.go().is_err();
        run.writer = None;
        run.vfs.clear_fault();
        let found = expected.check(&run.vfs);
        let allowed = run.generation..=run.generation + u64::from(failed);
        assert!(
            allowed.contains(&found),
            "operation {number}: {found}, not {allowed:?}"
        );
        expected.go_on(&run.handle(), found);
    });
    println!("{count} operations failed for good");
}

#[test]
fn a_reader_reports_what_it_cannot_read() {
    let steps = history();
    let mut run = Run::new(&steps);
    run.go().unwrap();
    run.writer = None;
    let begin = run.vfs.operation_count();
    Snapshot::open(&run.vfs).unwrap();
    let operations = run.vfs.operations().split_off(begin);
    assert!(operations.len() > 3);
    for (position, operation) in operations.iter().enumerate() {
        run.vfs
            .fault(run.vfs.operation_count() + position, Fault::Error(EIO));
        let error = Snapshot::open(&run.vfs).map(drop).unwrap_err();
        check_error(&error, operation, EIO, &run.vfs);
        run.vfs.clear_fault();
        Snapshot::open(&run.vfs).unwrap();
    }
}
