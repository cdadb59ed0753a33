//! `weft._native`: borrows arrays, releases the interpreter lock, calls one function of the core, wraps
//! the result. Computes nothing.

mod arrays;
mod ciff;
mod error;
mod index;
mod late;
mod sketch;
mod writer;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use weft::storage::verify;
use weft::storage::vfs::OsVfs;
use weft::text::Analyzer;

use error::IntoPy;

/// Reads every byte of the newest generation and compares the checksums.
#[pyfunction(name = "verify")]
fn verify_index<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyDict>> {
    let verified = py
        .detach(|| verify::verify(&OsVfs::new(path)))
        .into_py(py)?;
    arrays::to_dict(py, &verified)
}

/// The terms that a text is made of.
#[pyfunction]
fn analyze(
    py: Python<'_>,
    text: &str,
    language: Option<&str>,
    stop_words: bool,
) -> PyResult<Vec<String>> {
    let analyzer = Analyzer::new(language, stop_words).into_py(py)?;
    Ok(py.detach(|| analyzer.analyze(text)))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<writer::Writer>()?;
    module.add_class::<index::Index>()?;
    module.add_class::<ciff::CiffReader>()?;
    module.add_class::<sketch::FdeEncoder>()?;
    module.add_function(wrap_pyfunction!(ciff::write_ciff, module)?)?;
    module.add_function(wrap_pyfunction!(late::maxsim, module)?)?;
    module.add_function(wrap_pyfunction!(verify_index, module)?)?;
    module.add_function(wrap_pyfunction!(analyze, module)?)
}
