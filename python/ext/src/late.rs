//! Token vectors: how to search them, and MaxSim of arrays.

use half::f16;
use numpy::{PyArray1, ToPyArray};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use weft::index::{Fuse, Late, Source};
use weft::kernels::tokens::Vectors;
use weft::multivector;

use crate::arrays::HeldTokens;
use crate::error::{IntoPy, invalid};

/// Exact, candidates, probes, source of candidates, kind of fusion, weights of sparse and token vectors.
pub type LateChoices = (
    bool,
    Option<usize>,
    Option<usize>,
    Option<PyBackedStr>,
    Option<PyBackedStr>,
    Option<(f32, f32)>,
);

pub fn choices(py: Python<'_>, choices: &LateChoices) -> PyResult<Late> {
    let &(exact, candidates, probes, ref source, ref fuse, weights) = choices;
    let source = match source.as_deref() {
        None => None,
        Some("sparse") => Some(Source::Sparse),
        Some("centroids") => Some(Source::Centroids),
        Some("sketch") => Some(Source::Sketch),
        Some("both") => Some(Source::Both),
        Some(other) => return Err(invalid(py, format!("source {other:?} is unknown"))),
    };
    let fuse = match (fuse.as_deref(), weights) {
        (None, _) => None,
        (Some("weights"), Some((sparse, multivector))) => Some(Fuse::Weights {
            sparse,
            multivector,
        }),
        (Some(_), _) => Some(Fuse::Rrf),
    };
    Ok(Late {
        exact,
        candidates,
        probes,
        source,
        fuse,
    })
}

/// Documents of 16 or 32-bit floats.
#[derive(FromPyObject)]
pub enum HeldVectors<'py> {
    Half(HeldTokens<'py, f16>),
    Single(HeldTokens<'py, f32>),
}

impl HeldVectors<'_> {
    /// Dimensions, offsets and values.
    pub fn views(&self) -> PyResult<(usize, &[i64], Vectors<'_>)> {
        Ok(match self {
            Self::Half(held) => (held.dim(), held.offsets()?, Vectors::Half(held.values()?)),
            Self::Single(held) => (held.dim(), held.offsets()?, Vectors::Single(held.values()?)),
        })
    }
}

/// The score of each document for a query (n_q, dim), whose shape the caller has checked.
#[pyfunction]
pub fn maxsim<'py>(
    py: Python<'py>,
    query: numpy::PyReadonlyArray2<'py, f32>,
    documents: HeldVectors<'py>,
    threads: usize,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let query = query.as_slice()?;
    let (dim, offsets, vectors) = documents.views()?;
    let scores = py.detach(|| multivector::maxsim(query, dim, vectors, offsets, threads));
    Ok(scores.into_py(py)?.to_pyarray(py))
}
