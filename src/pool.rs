//! Threads and interruption. The pool is ours, so that a caller's own use of rayon and ours do not meet,
//! and is made anew after a fork, where the parent's threads do not exist. Imports `error` only.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, IoContext, Result};

struct Pool {
    process: u32,
    threads: usize,
    pool: Arc<ThreadPool>,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// More threads are not started, whatever is asked for.
const MOST_THREADS: usize = 256;

/// Runs `work` in a pool of `threads` threads, 0 for one per processor. The last pool is kept.
pub fn run<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> Result<R> {
    Ok(pool(threads.min(MOST_THREADS))?.install(work))
}

fn pool(threads: usize) -> Result<Arc<ThreadPool>> {
    let process = process::id();
    let mut kept = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = &*kept
        && kept.process == process
        && kept.threads == threads
    {
        return Ok(kept.pool.clone());
    }
    let built = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("weft-{number}"))
        .build()
        .map_err(std::io::Error::other)
        .at("start threads for", "weft".as_ref())?;
    let pool = Arc::new(built);
    let previous = kept.replace(Pool {
        process,
        threads,
        pool: pool.clone(),
    });
    // Dropping a pool whose threads are in the parent process would wait for them for ever.
    if let Some(previous) = previous
        && previous.process != process
    {
        std::mem::forget(previous);
    }
    Ok(pool)
}

/// Asked now and then during long work whether to stop, and told how far it is.
pub struct Interrupt {
    wanted: Box<dyn Fn() -> bool + Send + Sync>,
    told: Box<Told>,
}

/// Takes the name of some work, how many parts of it are done, and of how many.
type Told = dyn Fn(&'static str, usize, usize) + Send + Sync;

impl Interrupt {
    pub fn new(wanted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            wanted: Box::new(wanted),
            told: Box::new(|_, _, _| ()),
        }
    }

    pub fn never() -> Self {
        Self::new(|| false)
    }

    pub fn telling(
        self,
        told: impl Fn(&'static str, usize, usize) + Send + Sync + 'static,
    ) -> Self {
        Self {
            told: Box::new(told),
            ..self
        }
    }

    pub fn check(&self) -> Result<()> {
        if (self.wanted)() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    /// Says that `done` of `total` parts of some work are done; asks as `check` does.
    pub fn tell(&self, work: &'static str, done: usize, total: usize) -> Result<()> {
        (self.told)(work, done, total);
        self.check()
    }
}
