//! The one error type. Each variant carries what a person needs to act: the path, what was expected,
//! what was found, and the way out. Imports nothing of the crate.

use std::io;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value passed by the caller is not acceptable; nothing was changed.
    #[error("{0}")]
    InvalidInput(String),

    /// The call does not fit the schema of the index; nothing was changed.
    #[error("{0}")]
    SchemaMismatch(String),

    /// A file of the index does not hold what its format requires.
    #[error("{}: {detail}; restore the index from a copy or build it again", path.display())]
    Corrupt { path: PathBuf, detail: String },

    /// A file was written by a newer version of this library.
    #[error(
        "{}: format version {found}, this library reads up to {supported}; upgrade weft to open it",
        path.display()
    )]
    FormatVersion {
        path: PathBuf,
        found: u32,
        supported: u32,
    },

    /// Another writer holds the index.
    #[error("{}: another writer has this index open; close it first", path.display())]
    Locked { path: PathBuf },

    /// A document or an index that is not there.
    #[error("{0}")]
    NotFound(String),

    /// The operating system refused an operation on a file.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    /// A commit failed at a point where the state of the disk is unknown.
    #[error(
        "an earlier commit of this writer failed, so the state of the disk is unknown; \
         close the writer and open a new one (the last published generation is intact)"
    )]
    Poisoned,

    /// The caller asked to stop.
    #[error("interrupted; nothing was published")]
    Interrupted,
}

impl Error {
    pub(crate) fn corrupt(path: &Path, detail: impl Into<String>) -> Self {
        Error::Corrupt {
            path: path.to_path_buf(),
            detail: detail.into(),
        }
    }
}

/// Adds the operation and the path to an error of the operating system.
pub(crate) trait IoContext<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            operation,
            path: path.to_path_buf(),
            source,
        })
    }
}
