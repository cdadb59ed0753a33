//! `weft._native.CiffReader` and `weft._native.write_ciff`.

use std::path::Path;

use numpy::{PyArray1, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::PyList;
use weft::interchange::ciff::Reader;
use weft::pool::Interrupt;
use weft::storage::mmap::Mapping;
use weft::storage::vfs::{OsVfs, Vfs};

use crate::error::{IntoPy, invalid};
use crate::index::Index;
use crate::writer::{Raised, interrupt_on_signals, lock};

#[pyclass(module = "weft._native")]
pub struct CiffReader(Reader<Mapping>);

/// ids, indptr, numbers of terms, weights.
type Rows<'py> = (
    Bound<'py, PyList>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<f32>>,
);

#[pymethods]
impl CiffReader {
    #[new]
    fn new(py: Python<'_>, path: &str) -> PyResult<Self> {
        let (vfs, name) = located(py, path)?;
        let map = vfs.map(name).map_err(|source| weft::Error::Io {
            operation: "open",
            path: path.into(),
            source,
        });
        let map = map.into_py(py)?;
        interruptible(py, |interrupt| Reader::open(map, path.as_ref(), interrupt)).map(Self)
    }

    #[getter]
    fn documents(&self) -> usize {
        self.0.documents()
    }

    #[getter]
    fn postings(&self) -> u64 {
        self.0.postings()
    }

    #[getter]
    fn largest(&self) -> u32 {
        self.0.largest()
    }

    #[getter]
    fn description(&self) -> &str {
        self.0.description()
    }

    fn terms<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.terms().into_py(py)?)
    }

    fn next_rows<'py>(&mut self, py: Python<'py>, budget: usize) -> PyResult<Option<Rows<'py>>> {
        let rows = py.detach(|| self.0.next_rows(budget)).into_py(py)?;
        let Some(rows) = rows else {
            return Ok(None);
        };
        Ok(Some((
            PyList::new(py, rows.ids)?,
            rows.indptr.to_pyarray(py),
            rows.terms.to_pyarray(py),
            rows.weights.to_pyarray(py),
        )))
    }
}

#[pyfunction]
pub fn write_ciff(py: Python<'_>, path: &str, index: &Bound<'_, Index>) -> PyResult<()> {
    let snapshot = index.get().snapshot();
    let (vfs, name) = located(py, path)?;
    interruptible(py, |interrupt| snapshot.export_ciff(&vfs, name, interrupt))
}

/// The folder of a file and its name there.
fn located<'a>(py: Python<'_>, path: &'a str) -> PyResult<(OsVfs, &'a str)> {
    let parts = Path::new(path).parent().zip(Path::new(path).file_name());
    match parts.and_then(|(folder, name)| Some((folder, name.to_str()?))) {
        Some((folder, name)) => Ok((OsVfs::new(folder), name)),
        None => Err(invalid(py, format!("{path:?} does not name a file"))),
    }
}

/// Runs `work` without the interpreter lock, until it is done or a signal handler raises.
fn interruptible<R: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Interrupt) -> weft::Result<R> + Send,
) -> PyResult<R> {
    let raised = Raised::default();
    let interrupt = interrupt_on_signals(raised.clone());
    let done = py.detach(|| work(&interrupt));
    match (done, lock(&raised).take()) {
        (Err(weft::Error::Interrupted), Some(error)) => Err(error),
        (done, _) => done.into_py(py),
    }
}
