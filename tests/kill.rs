//! R1: a process killed at any of its system calls on files leaves an index from which the next one goes
//! on. The binary runs itself under `strace`, which kills it at the Nth call of each kind while it works
//! through a history on a real directory; what had been committed by then is in a ledger outside the
//! index. A second pass interrupts the calls that the system may interrupt, which must not show.
//! `WEFT_EXHAUSTIVE=1` takes a long history. Skipped where there is no `strace`.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;

use common::{Expected, LARGE, SMALL, Step, docs, exhaustive, history, ids, on_two_threads, run};
use weft::storage::vfs::{OsVfs, Vfs};

/// Calls that create, write, truncate, sync, rename or remove; those that a system lacks are passed over.
const CALLS: [&str; 12] = [
    "mkdir",
    "openat",
    "write",
    "ftruncate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "flock",
];
/// Calls that may be interrupted by a signal, after which the caller repeats them.
const INTERRUPTIBLE: [&str; 3] = ["openat", "write", "fsync"];
const SIGKILL: i32 = 9;
const CHILD: &str = "--child";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [child, directory, ledger] if child == CHILD => work(directory.as_ref(), ledger.as_ref()),
        [list, ..] if list == "--list" => println!("kill_at_every_call: test"),
        [filter, ..] if !filter.starts_with('-') && !"kill_at_every_call".contains(filter) => (),
        _ if !strace_works() => println!("skipped: strace is not installed, or may not trace"),
        _ => return kill_at_every_call(),
    }
    ExitCode::SUCCESS
}

/// Create, append, replace, delete, flush, merge and collect.
fn steps() -> Vec<Step> {
    if exhaustive() {
        return [history(), history()].concat();
    }
    vec![
        Step::Open {
            memory_limit: LARGE,
        },
        Step::Add(docs(0..30, 0)),
        Step::Commit,
        Step::Open {
            memory_limit: SMALL,
        },
        Step::Add(docs(30..40, 0)),
        Step::Add(docs(5..10, 1)),
        Step::Delete(ids([1, 32])),
        Step::Commit,
        Step::Merge(1),
        Step::Delete(ids(20..25)),
        Step::Commit,
        Step::Add(docs(50..55, 0)),
        Step::Rollback,
        Step::Add(docs(60..65, 0)),
        Step::Commit,
        Step::Add(docs(65..70, 0)),
        Step::Delete(ids([60])),
        Step::Commit,
    ]
}

/// The child: the history on a directory, each generation in the ledger once its commit has returned.
fn work(directory: &Path, ledger: &Path) {
    let mut ledger = OpenOptions::new()
        .append(true)
        .create(true)
        .open(ledger)
        .unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new(directory));
    // One call for a line, so that the ledger never has half of one.
    let published = |generation| {
        let line = format!("{generation}\n");
        ledger.write_all(line.as_bytes()).unwrap();
    };
    run(&vfs, &steps(), published).unwrap();
}

fn strace_works() -> bool {
    let traced = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    traced.is_ok_and(|status| status.success())
}

/// A place for one run of the child.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the child under `strace` with these options.
    fn run(&self, options: &[&str]) -> ExitStatus {
        Command::new("strace")
            .args(["-f", "-qq", "-o"])
            .arg(self.path("trace"))
            .args(options)
            .arg(std::env::current_exe().unwrap())
            .args([
                CHILD.as_ref(),
                self.path("index").as_os_str(),
                self.path("ledger").as_os_str(),
            ])
            .stderr(Stdio::null())
            .status()
            .unwrap()
    }

    fn committed(&self) -> u64 {
        let ledger = fs::read_to_string(self.path("ledger")).unwrap_or_default();
        ledger
            .lines()
            .last()
            .map_or(0, |line| line.parse().unwrap())
    }

    fn index(&self) -> Arc<dyn Vfs> {
        Arc::new(OsVfs::new(self.path("index")))
    }

    /// Numbers of the traced calls of a kind that the child made after it opened the ledger.
    fn moments<'a>(&self, call: &'a str) -> impl Iterator<Item = (&'a str, usize)> {
        let trace = fs::read_to_string(self.path("trace")).unwrap();
        let entry = format!(" {call}(");
        let begin = trace.find("/ledger\"").unwrap();
        let before = trace[..begin].matches(&entry).count();
        let all = trace.matches(&entry).count();
        (before + 1..=all).map(move |number| (call, number))
    }
}

fn kill_at_every_call() -> ExitCode {
    let expected = Expected::of(&steps());
    let whole = Scene::new();
    let traced: Vec<String> = CALLS.iter().map(|call| format!("?{call}")).collect();
    let status = whole.run(&["-e", &format!("trace={}", traced.join(","))]);
    assert!(status.success(), "the child fails without a kill");
    assert_eq!(whole.committed(), expected.last());
    let moments: Vec<(&str, usize)> = CALLS
        .into_iter()
        .flat_map(|call| whole.moments(call))
        .collect();
    for needed in ["openat", "write", "fsync", "rename", "unlink"] {
        assert!(
            moments.iter().any(|(call, _)| call.starts_with(needed)),
            "no {needed} is traced"
        );
    }
    let passed = on_two_threads(|part, parts| {
        let own = moments.iter().skip(part).step_by(parts);
        own.filter(|(call, number)| passes(call, *number, || kill(call, *number, &expected)))
            .count()
    });
    let interrupted = INTERRUPTIBLE.iter().filter(|call| {
        let first = whole.moments(call).next().map_or(1, |(_, number)| number);
        passes(call, first, || interrupt(call, first, &expected))
    });
    let parent = usize::from(passes("fsync", 1, parent_is_synced));
    let passed = passed[0] + passed[1] + interrupted.count() + parent;
    let failed = moments.len() + INTERRUPTIBLE.len() + 1 - passed;
    println!("kill at every call: {passed} passed, {failed} failed");
    assert!(moments.len() >= 200, "too few calls");
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn passes(call: &str, number: usize, check: impl FnOnce()) -> bool {
    let passed = catch_unwind(AssertUnwindSafe(check)).is_ok();
    if !passed {
        eprintln!("failed: {call} number {number}");
    }
    passed
}

/// Kills the child as it enters its call of this number, looks at what is left, and goes on.
fn kill(call: &str, number: usize, expected: &Expected) {
    let scene = Scene::new();
    let inject = format!("inject={call}:signal=KILL:when={number}");
    let status = scene.run(&["-e", &format!("trace={call}"), "-e", &inject]);
    assert_eq!(
        status.signal(),
        Some(SIGKILL),
        "the child was not killed: {status}"
    );
    let committed = scene.committed();
    let found = expected.check(&*scene.index());
    assert!(
        [committed, committed + 1].contains(&found),
        "{found}, after commit {committed}"
    );
    expected.go_on(&scene.index(), found);
}

/// Interrupts every seventh call of the child from this number on.
fn interrupt(call: &str, first: usize, expected: &Expected) {
    let scene = Scene::new();
    let inject = format!("inject={call}:error=EINTR:when={first}+7");
    let status = scene.run(&["-e", &format!("trace={call}"), "-e", &inject]);
    assert!(status.success(), "an interrupted {call} shows: {status}");
    assert_eq!(expected.check(&*scene.index()), expected.last());
}

/// A process killed right after making the directory leaves it empty and its name uncertain. The next one
/// must sync the parent before its first commit returns.
fn parent_is_synced() {
    let scene = Scene::new();
    fs::create_dir(scene.path("index")).unwrap();
    assert!(scene.run(&["-y", "-e", "trace=fsync,write"]).success());
    let trace = fs::read_to_string(scene.path("trace")).unwrap();
    let parent = scene.folder.path().canonicalize().unwrap();
    let synced = trace.lines().position(|line| {
        line.contains("fsync(") && line.contains(&format!("<{}>", parent.display()))
    });
    let committed = trace.lines().position(|line| line.contains("/ledger>"));
    assert!(
        synced.is_some() && synced < committed,
        "the parent is not synced"
    );
}
