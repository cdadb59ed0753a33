//! The operations on files that an index needs, as a trait over one flat directory, and their
//! implementation by the operating system. Everything that reads or writes files goes through it, so
//! that `vfs_sim` can stand in and lose power at any operation. Errors are the system's own; callers
//! add the path.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::mmap::Mapping;

/// A file being written. `write` may be short or interrupted, as the system's is.
pub trait VfsFile: io::Write + Send {
    /// Returns when the bytes written so far survive a power loss.
    fn sync(&mut self) -> io::Result<()>;
}

/// One directory. Names are plain file names. A created or renamed name survives a power loss only
/// after `sync_directory`.
pub trait Vfs: Send + Sync {
    /// Path of `name`, or of the directory for an empty one, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// Makes the directory itself, if it is not there, and makes its name durable.
    fn create_directory(&self) -> io::Result<()>;
    /// Creates or empties `name`.
    fn create(&self, name: &str) -> io::Result<Box<dyn VfsFile>>;
    /// The whole content, for small files.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// The whole content, without reading it.
    fn map(&self, name: &str) -> io::Result<Mapping>;
    /// Names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Atomically gives `from` the name `to`, replacing what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn sync_directory(&self) -> io::Result<()>;
    /// An exclusive lock that lasts until the guard is dropped or the process ends; `None` when held.
    fn try_lock(&self, name: &str) -> io::Result<Option<LockGuard>>;
}

/// Keeps a lock; dropping it unlocks.
pub struct LockGuard {
    _held: Box<dyn Send + Sync>,
}

impl LockGuard {
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self {
            _held: Box::new(held),
        }
    }
}

/// A directory of the local file system.
pub struct OsVfs {
    root: PathBuf,
}

impl OsVfs {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

/// Repeats a call that a signal has interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

impl VfsFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Vfs for OsVfs {
    fn path(&self, name: &str) -> PathBuf {
        match name {
            "" => self.root.clone(),
            name => self.root.join(name),
        }
    }

    fn create_directory(&self) -> io::Result<()> {
        match fs::create_dir(&self.root) {
            Err(error) if !self.root.is_dir() => return Err(error),
            // One that is there may come from a process killed before it could sync the parent.
            _ => {}
        }
        let parent = match self.root.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(File::create(self.path(name))?))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn map(&self, name: &str) -> io::Result<Mapping> {
        Mapping::of_file(&File::open(self.path(name))?)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = retry(|| fs::read_dir(&self.root))?.map(|entry| Ok(entry?.file_name()));
        names
            .filter_map(|name: io::Result<_>| name.map(|n| n.into_string().ok()).transpose())
            .collect()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.root)?.sync_all()
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path(name))?;
        let locked = retry(|| match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        })?;
        Ok(locked.then(|| LockGuard::new(file)))
    }
}
