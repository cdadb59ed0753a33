//! A directory in memory that remembers every operation, fails on demand, and can lose power: the
//! stand-in for the operating system with which the tests prove the promises about crashes and faults.
//!
//! The model is a POSIX file system that grants no more than POSIX says. The bytes of a file are
//! certain once that file has been synced; a name (create, rename, remove) is certain once the
//! directory has been synced; a rename's two halves happen together; all else may happen in any order
//! or not at all. A file is an object apart from its names. What a failed sync left unwritten stays
//! uncertain for ever, whatever later syncs report.
//!
//! Imports `vfs` and `mmap`. Used by tests only: nothing of the library calls it, so the wheel does not
//! contain it, and a wrong index here is a failed test.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::mmap::Mapping;
use super::vfs::{LockGuard, Vfs, VfsFile};

mod disk;
#[cfg(test)]
mod tests;

use disk::{Disk, Effect, FileNumber, SplitMix64};

const EINTR: i32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    CreateDirectory,
    Lock,
    Create,
    Write,
    Sync,
    Rename,
    Remove,
    SyncDirectory,
    /// `read` and `map`.
    Read,
    List,
}

impl Kind {
    /// True for operations after which a crash can leave something else than before them.
    pub fn changes_disk(self) -> bool {
        !matches!(self, Kind::CreateDirectory | Kind::Read | Kind::List)
    }

    pub fn is_sync(self) -> bool {
        matches!(self, Kind::Sync | Kind::SyncDirectory)
    }
}

/// What was asked of the directory; failed requests are remembered too.
#[derive(Clone, Debug)]
pub struct Operation {
    pub kind: Kind,
    /// The file, by the name that it was created under; the old name of a rename; `""` for the directory.
    pub name: String,
    /// False when a fault was injected here.
    pub done: bool,
    effect: Effect,
}

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fails with this `errno` and has no effect; after a sync, the uncertain stays so for ever.
    Error(i32),
    /// A write takes half of its bytes; other operations are not affected.
    ShortWrite,
    /// A write fails with `EINTR` and has no effect; other operations are repeated behind the trait, as
    /// the standard library does.
    Interrupted,
}

/// What of the uncertain operations reached the disk before the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// All of them.
    All,
    /// None of them.
    Synced,
    /// A subset drawn from this seed: sectors of writes, the last write torn at any byte, lengths that
    /// grew before their bytes arrived, and directory operations.
    Random(u64),
}

#[derive(Default)]
struct State {
    /// What the disk held, for certain, before the first operation of the log.
    base: Disk,
    /// What a running process sees.
    disk: Disk,
    log: Vec<Operation>,
    fault: Option<(Range<usize>, Fault)>,
    lock: Weak<()>,
}

impl State {
    /// Logs an operation that does `effect` unless a fault strikes it.
    fn run(&mut self, kind: Kind, name: &str, effect: Effect) -> io::Result<()> {
        let errno = match self.next_fault() {
            Some(Fault::Error(errno)) => Some(errno),
            Some(Fault::Interrupted) if kind == Kind::Write => Some(EINTR),
            _ => None,
        };
        let effect = match (errno, effect) {
            (None, effect) => effect,
            (Some(_), Effect::Barrier { file, .. }) => Effect::Barrier {
                file,
                honest: false,
            },
            (Some(_), _) => Effect::None,
        };
        self.disk.apply(&effect);
        self.log.push(Operation {
            kind,
            name: name.to_owned(),
            done: errno.is_none(),
            effect,
        });
        errno.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }

    fn next_fault(&self) -> Option<Fault> {
        let (range, fault) = self.fault.as_ref()?;
        range.contains(&self.log.len()).then_some(*fault)
    }

    /// The effect of opening `name` for writing.
    fn naming(&self, name: &str) -> (FileNumber, Effect) {
        match self.disk.names.get(name) {
            Some(&file) => (file, Effect::Empty { file }),
            None => {
                let file = self.disk.files.len();
                let name = name.to_owned();
                (file, Effect::Name { name, file })
            }
        }
    }
}

/// The simulated directory. Clones are handles of the same one.
#[derive(Clone, Default)]
pub struct SimVfs {
    state: Arc<Mutex<State>>,
}

impl SimVfs {
    pub fn new() -> Self {
        Self::default()
    }

    /// All operations so far; the position of an operation is its number.
    pub fn operations(&self) -> Vec<Operation> {
        self.state().log.clone()
    }

    /// The number that the next operation will have.
    pub fn operation_count(&self) -> usize {
        self.state().log.len()
    }

    /// Strikes the operation of this number.
    pub fn fault(&self, number: usize, fault: Fault) {
        self.state().fault = Some((number..number + 1, fault));
    }

    /// Strikes the operation of this number and all after it.
    pub fn fault_from(&self, number: usize, fault: Fault) {
        self.state().fault = Some((number..usize::MAX, fault));
    }

    pub fn clear_fault(&self) {
        self.state().fault = None;
    }

    /// The directory as it may be found when the power goes after the first `prefix` operations; not
    /// locked, with an empty log.
    pub fn crash_image(&self, prefix: usize, how: Crash) -> SimVfs {
        let state = self.state();
        let log = &state.log[..prefix];
        let certain = disk::certain(log.iter().map(|operation| &operation.effect));
        let under_way = log.iter().rposition(|o| o.kind == Kind::Write);
        let mut disk = state.base.clone();
        let mut random = SplitMix64(match how {
            Crash::Random(seed) => seed,
            Crash::All | Crash::Synced => 0,
        });
        for (number, operation) in log.iter().enumerate() {
            let effect = &operation.effect;
            match how {
                _ if certain[number] => disk.apply(effect),
                Crash::All => disk.apply(effect),
                Crash::Synced => (),
                Crash::Random(_) => {
                    disk.apply_part(effect, under_way == Some(number), &mut random);
                }
            }
        }
        Self::of_state(State {
            base: disk.clone(),
            disk,
            ..State::default()
        })
    }

    /// The directory as the next process finds it when this one is killed after the first `prefix`
    /// operations: nothing is lost yet, and what was uncertain still is. Not locked.
    pub fn killed(&self, prefix: usize) -> SimVfs {
        let state = self.state();
        let log = state.log[..prefix].to_vec();
        let mut disk = state.base.clone();
        log.iter()
            .for_each(|operation| disk.apply(&operation.effect));
        Self::of_state(State {
            base: state.base.clone(),
            disk,
            log,
            ..State::default()
        })
    }

    /// Gives `name` this content, durably and behind the log: for damage done by others.
    pub fn set(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let known = state.disk.names.get(name).copied();
        let number = known.unwrap_or(state.disk.files.len());
        let State { base, disk, .. } = &mut *state;
        for side in [base, disk] {
            *side.file(number) = bytes.to_vec();
            side.names.insert(name.to_owned(), number);
        }
    }

    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.state().disk.content(name).ok().map(<[u8]>::to_vec)
    }

    /// Ascending.
    pub fn names(&self) -> Vec<String> {
        self.state().disk.names.keys().cloned().collect()
    }

    fn of_state(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        state.run(Kind::Read, name, Effect::None)?;
        state.disk.content(name).map(<[u8]>::to_vec)
    }
}

struct SimFile {
    vfs: SimVfs,
    name: String,
    file: FileNumber,
    position: usize,
}

impl io::Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.vfs.state();
        let taken = match state.next_fault() {
            Some(Fault::ShortWrite) => bytes.len().div_ceil(2),
            _ => bytes.len(),
        };
        let effect = Effect::Data {
            file: self.file,
            offset: self.position,
            bytes: bytes[..taken].into(),
        };
        state.run(Kind::Write, &self.name, effect)?;
        self.position += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for SimFile {
    fn sync(&mut self) -> io::Result<()> {
        let file = Some(self.file);
        let effect = Effect::Barrier { file, honest: true };
        self.vfs.state().run(Kind::Sync, &self.name, effect)
    }
}

impl Vfs for SimVfs {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("simulated").join(name)
    }

    fn create_directory(&self) -> io::Result<()> {
        self.state().run(Kind::CreateDirectory, "", Effect::None)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn VfsFile>> {
        let mut state = self.state();
        let (file, effect) = state.naming(name);
        state.run(Kind::Create, name, effect)?;
        Ok(Box::new(SimFile {
            vfs: self.clone(),
            name: name.to_owned(),
            file,
            position: 0,
        }))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.content(name)
    }

    fn map(&self, name: &str) -> io::Result<Mapping> {
        Mapping::of_bytes(&self.content(name)?)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.state().run(Kind::List, "", Effect::None)?;
        Ok(self.names())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.disk.names.get(from).copied();
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        let effect = Effect::Move {
            from: from.to_owned(),
            to: to.to_owned(),
            file,
        };
        state.run(Kind::Rename, from, effect)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.disk.content(name)?;
        let effect = Effect::Unname {
            name: name.to_owned(),
        };
        state.run(Kind::Remove, name, effect)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let effect = Effect::Barrier {
            file: None,
            honest: true,
        };
        self.state().run(Kind::SyncDirectory, "", effect)
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        let mut state = self.state();
        let effect = match state.naming(name) {
            (_, named @ Effect::Name { .. }) => named,
            _ => Effect::None,
        };
        state.run(Kind::Lock, name, effect)?;
        if state.lock.upgrade().is_some() {
            return Ok(None);
        }
        let held = Arc::new(());
        state.lock = Arc::downgrade(&held);
        Ok(Some(LockGuard::new(held)))
    }
}
