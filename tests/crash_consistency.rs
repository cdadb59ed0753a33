//! P1 and P2: whatever the moment of a crash, and whatever of the unsynced operations reached the disk,
//! opening finds the last generation whose commit had returned or the one under way, whole; and a new
//! writer goes on from there. `WEFT_EXHAUSTIVE=1` tries more.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use common::{Expected, Step, exhaustive, generation_of, history, moments, on_two_threads, run};
use weft::storage::vfs::Vfs;
use weft::storage::vfs_sim::{Crash, SimVfs};

struct Recording {
    vfs: SimVfs,
    /// Operations that had been done when the commit of each generation returned, from generation 1.
    returned: Vec<usize>,
    expected: Expected,
}

impl Recording {
    fn of(steps: &[Step]) -> Self {
        let vfs = SimVfs::new();
        let mut returned = vec![];
        let writable: Arc<dyn Vfs> = Arc::new(vfs.clone());
        run(&writable, steps, |generation| {
            returned.push(vfs.operation_count());
            assert_eq!(generation, returned.len() as u64);
        })
        .unwrap();
        let expected = Expected::of(steps);
        assert_eq!(expected.check(&vfs), expected.last());
        common::check_files(&vfs);
        Self {
            vfs,
            returned,
            expected,
        }
    }

    /// The generation that no crash after `prefix` operations may lose.
    fn durable(&self, prefix: usize) -> u64 {
        self.returned
            .partition_point(|&returned| returned <= prefix) as u64
    }
}

/// Says which image it was when a check fails.
fn on_image<T>(name: impl Fn() -> String, check: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        eprintln!("failed on: {}", name());
        resume_unwind(panic)
    })
}

fn crashes(seeds: u64) -> Vec<Crash> {
    let seeds = (0..seeds).map(Crash::Random);
    [Crash::All, Crash::Synced]
        .into_iter()
        .chain(seeds)
        .collect()
}

#[test]
fn power_loss_at_any_moment_leaves_one_whole_generation() {
    let recording = Recording::of(&history());
    let moments = moments(&recording.vfs, 0);
    let crashes = crashes(if exhaustive() { 100 } else { 8 });
    let images = on_two_threads(|part, parts| {
        let own = moments.iter().skip(part).step_by(parts);
        let images = own.flat_map(|prefix| crashes.iter().map(move |how| (*prefix, *how)));
        images
            .map(|(prefix, how)| after_power_loss(&recording, prefix, how))
            .sum::<u64>()
    });
    let images: u64 = images.iter().sum();
    println!("{images} crash images");
    assert!(images >= 2000);
}

fn after_power_loss(recording: &Recording, prefix: usize, how: Crash) -> u64 {
    on_image(
        || format!("{how:?} after {prefix} operations"),
        || {
            let image = recording.vfs.crash_image(prefix, how);
            let generation = recording.expected.check(&image);
            let durable = recording.durable(prefix);
            assert!(
                [durable, durable + 1].contains(&generation),
                "{generation}, not {durable}"
            );
            recording
                .expected
                .go_on(&(Arc::new(image) as Arc<dyn Vfs>), generation);
        },
    );
    1
}

/// The second process sees a generation that a power loss would still take back.
#[test]
fn power_loss_after_a_kill_and_a_new_writer_loses_nothing() {
    let recording = Recording::of(&history());
    let moments = moments(&recording.vfs, 0);
    let step = if exhaustive() { 1 } else { 5 };
    let images = on_two_threads(|part, parts| {
        let own = moments.iter().skip(part).step_by(parts * step);
        own.map(|&killed| after_kill(&recording, killed))
            .sum::<u64>()
    });
    println!("{} crash images after a kill", images.iter().sum::<u64>());
}

fn after_kill(recording: &Recording, killed: usize) -> u64 {
    let second = recording.vfs.killed(killed);
    let seen = recording.expected.check(&second);
    let begin = second.operation_count();
    recording
        .expected
        .go_on(&(Arc::new(second.clone()) as Arc<dyn Vfs>), seen);
    let mut images = 0;
    for prefix in moments(&second, begin) {
        for how in crashes(2) {
            let check = || {
                let image = second.crash_image(prefix, how);
                let durable = recording.durable(killed);
                match generation_of(&image) {
                    next if next == seen + 1 => (),
                    _ => assert!((durable..=seen).contains(&recording.expected.check(&image))),
                }
            };
            on_image(
                || format!("kill after {killed}, {how:?} after {prefix}"),
                check,
            );
            images += 1;
        }
    }
    images
}
