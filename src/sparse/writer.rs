//! Writes the sparse file of a segment from anything that can list its postings twice, by term and by
//! document: rows in memory (`flush`) or other segments (`merge`). Memory: eight bytes for each run of
//! a term in a window, and what the source holds.

use crate::error::Result;
use crate::kernels::WINDOW;
use crate::pool::Interrupt;
use crate::storage::keys::{Key, KeyKind, write_keys};
use crate::storage::section::SectionWriter;

/// Documents and terms are numbered from 0; both listings ascend.
pub trait Source {
    fn documents(&self) -> u32;
    fn terms(&self) -> u32;
    fn key(&self, term: u32) -> Result<Key<'_>>;
    /// Calls `visit(document, impact)` for each posting of a term, which has at least one.
    fn postings(&self, term: u32, visit: impl FnMut(u32, u8) -> Result<()>) -> Result<()>;
    /// Calls `visit(term, impact)` for each posting of a document.
    fn row(&self, document: u32, visit: impl FnMut(u32, u8) -> Result<()>) -> Result<()>;
}

/// Returns the number of postings.
pub fn write<S: Source>(
    file: &mut SectionWriter,
    kind: KeyKind,
    source: &S,
    interrupt: &Interrupt,
) -> Result<u64> {
    let terms = 0..source.terms();
    write_keys(file, "terms", kind, || terms.clone().map(|t| source.key(t)))?;
    interrupt.check()?;
    let runs = Runs::of(source, interrupt)?;
    file.section("term_runs", &runs.of_term)?;
    file.section("run_windows", &runs.windows)?;
    file.section("run_starts", &runs.starts)?;
    write_postings(file, source, interrupt)?;
    write_forward(file, source, interrupt)?;
    Ok(runs.starts.last().copied().unwrap_or(0).into())
}

/// The postings of one term in one window make a run.
struct Runs {
    /// Runs of term `t` are `of_term[t]..of_term[t + 1]`.
    of_term: Vec<u32>,
    windows: Vec<u32>,
    /// Postings of run `r` are `starts[r]..starts[r + 1]`.
    starts: Vec<u32>,
}

impl Runs {
    fn of<S: Source>(source: &S, interrupt: &Interrupt) -> Result<Self> {
        let mut runs = Self {
            of_term: vec![0],
            windows: vec![],
            starts: vec![],
        };
        let mut postings = 0_u32;
        for term in 0..source.terms() {
            check_now_and_then(term, interrupt)?;
            let first = runs.windows.len();
            source.postings(term, |document, _| {
                let window = document / WINDOW as u32;
                if runs.windows[first..].last() != Some(&window) {
                    runs.windows.push(window);
                    runs.starts.push(postings);
                }
                // The file passes 4 GiB, and is refused, long before this does.
                postings = postings.saturating_add(1);
                Ok(())
            })?;
            runs.of_term.push(runs.windows.len() as u32);
        }
        runs.starts.push(postings);
        Ok(runs)
    }
}

fn write_postings<S: Source>(
    file: &mut SectionWriter,
    source: &S,
    interrupt: &Interrupt,
) -> Result<()> {
    file.begin("posting_docs")?;
    for term in 0..source.terms() {
        check_now_and_then(term, interrupt)?;
        source.postings(term, |document, _| file.write(&[document as u16]))?;
    }
    file.begin("posting_impacts")?;
    for term in 0..source.terms() {
        check_now_and_then(term, interrupt)?;
        source.postings(term, |_, impact| file.write(&[impact]))?;
    }
    Ok(())
}

fn write_forward<S: Source>(
    file: &mut SectionWriter,
    source: &S,
    interrupt: &Interrupt,
) -> Result<()> {
    let narrow = source.terms() <= 1 << 16;
    let mut start = 0_u32;
    file.begin("row_starts")?;
    file.write(&[start])?;
    for document in 0..source.documents() {
        check_now_and_then(document, interrupt)?;
        source.row(document, |_, _| {
            start = start.saturating_add(1);
            Ok(())
        })?;
        file.write(&[start])?;
    }
    file.begin("row_terms")?;
    for document in 0..source.documents() {
        check_now_and_then(document, interrupt)?;
        source.row(document, |term, _| match narrow {
            true => file.write(&[term as u16]),
            false => file.write(&[term]),
        })?;
    }
    file.begin("row_impacts")?;
    for document in 0..source.documents() {
        check_now_and_then(document, interrupt)?;
        source.row(document, |_, impact| file.write(&[impact]))?;
    }
    Ok(())
}

/// Checks at the first of every 1,024 steps.
pub(super) fn check_now_and_then(step: u32, interrupt: &Interrupt) -> Result<()> {
    match step % 1024 {
        0 => interrupt.check(),
        _ => Ok(()),
    }
}
