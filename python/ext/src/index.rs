//! `weft._native.Index`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, ToPyArray};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyDict;
use weft::index::{Answer, Contribution, Filter, Hit, Options, Query, Snapshot, Value};
use weft::sparse::{Knobs, Plan};
use weft::storage::keys::{Key, KeyKind};
use weft::storage::vfs::OsVfs;

use crate::arrays::{HeldKey, HeldKeys, HeldRows, HeldTokens, KeyViews, key_to_python, to_dict};
use crate::error::{IntoPy, invalid};
use crate::late::{self, LateChoices};

#[pyclass(frozen, module = "weft._native")]
pub struct Index {
    vfs: OsVfs,
    snapshot: RwLock<Arc<Snapshot>>,
}

/// ids (B, k), scores (B, k), counts (B,), exact (B,), bound (B,).
type Arrays<'py> = (
    Bound<'py, PyAny>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<bool>>,
    Bound<'py, PyArray1<f32>>,
);

/// Alpha, beta, gamma, target recall, least score, seconds until the deadline, plan, threads.
type Choices = (
    f32,
    f32,
    usize,
    Option<f32>,
    Option<f32>,
    Option<f64>,
    Option<PyBackedStr>,
    usize,
);

type TermContribution<'py> = (Bound<'py, PyAny>, f32, f32, f32);

/// `subset=`: ids, or one flag for each document.
#[derive(FromPyObject)]
pub enum HeldSubset<'py> {
    Mask(PyReadonlyArray1<'py, bool>),
    Ids(HeldKeys<'py>),
}

struct Subset<'a> {
    mask: Option<&'a [bool]>,
    ids: Option<KeyViews<'a>>,
}

impl<'a> Subset<'a> {
    fn new(held: Option<&'a HeldSubset<'_>>) -> PyResult<Self> {
        let (mask, ids) = match held {
            None => (None, None),
            Some(HeldSubset::Mask(mask)) => (Some(mask.as_slice()?), None),
            Some(HeldSubset::Ids(ids)) => (None, Some(ids.views()?)),
        };
        Ok(Self { mask, ids })
    }

    fn filter(&'a self, expression: Option<&'a str>) -> Filter<'a> {
        Filter {
            expression,
            subset: self.ids.as_ref().map(KeyViews::keys),
            mask: self.mask,
        }
    }
}

impl Index {
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[pymethods]
impl Index {
    #[new]
    fn new(py: Python<'_>, path: &str) -> PyResult<Self> {
        let vfs = OsVfs::new(path);
        let snapshot = py.detach(|| Snapshot::open(&vfs)).into_py(py)?;
        Ok(Self {
            vfs,
            snapshot: RwLock::new(Arc::new(snapshot)),
        })
    }

    #[getter]
    fn schema(&self) -> String {
        self.snapshot().schema().to_json()
    }

    #[getter]
    fn generation(&self) -> u64 {
        self.snapshot().generation()
    }

    #[getter]
    fn notes(&self) -> BTreeMap<String, String> {
        self.snapshot().notes().clone()
    }

    fn __len__(&self) -> usize {
        self.snapshot().len() as usize
    }

    /// True when a newer generation was found.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        let newest = py.detach(|| Snapshot::open(&self.vfs)).into_py(py)?;
        let mut snapshot = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let newer = newest.generation() > snapshot.generation();
        if newer {
            *snapshot = Arc::new(newest);
        }
        Ok(newer)
    }

    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let snapshot = self.snapshot();
        let ids: Vec<Key<'_>> = snapshot.ids().collect::<weft::Result<_>>().into_py(py)?;
        match snapshot.schema().ids {
            KeyKind::Int => {
                let int = |id| if let Key::Int(id) = id { id } else { 0 };
                let ids: Vec<i64> = ids.into_iter().map(int).collect();
                Ok(ids.to_pyarray(py).into_any())
            }
            KeyKind::Str => {
                let ids = ids
                    .into_iter()
                    .map(|id| Ok(key_to_python(py, id)?.unbind()));
                Ok(PyArray1::from_vec(py, ids.collect::<PyResult<_>>()?).into_any())
            }
        }
    }

    fn contains<'py>(
        &self,
        py: Python<'py>,
        ids: HeldKeys<'py>,
    ) -> PyResult<Bound<'py, PyArray1<bool>>> {
        let snapshot = self.snapshot();
        let ids = ids.views()?;
        let contains = || {
            ids.keys()
                .iter()
                .map(|id| snapshot.contains(id))
                .collect::<Vec<_>>()
        };
        Ok(py.detach(contains).to_pyarray(py))
    }

    fn get<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.snapshot();
        let key = HeldKey::extract(id)?;
        let document = snapshot.get(key.key()).into_py(py)?;
        let attributes = PyDict::new(py);
        for (name, value) in &document.attributes {
            match value {
                None => attributes.set_item(name, py.None())?,
                Some(Value::Keyword(word)) => attributes.set_item(name, word)?,
                Some(Value::Int64(value)) => attributes.set_item(name, value)?,
                Some(Value::Float64(value)) => attributes.set_item(name, value)?,
            }
        }
        let found = PyDict::new(py);
        found.set_item("id", id)?;
        found.set_item("attributes", attributes)?;
        if let Some(vectors) = document.multivector {
            let dim = snapshot
                .schema()
                .multivector
                .as_ref()
                .map_or(1, |schema| schema.dim);
            let tokens = vectors.len() / dim;
            found.set_item(
                "multivector",
                PyArray1::from_vec(py, vectors).reshape([tokens, dim])?,
            )?;
        }
        if let Some(row) = &document.sparse {
            let sparse = PyDict::new(py);
            for (term, weight) in row {
                sparse.set_item(key_to_python(py, *term)?, weight)?;
            }
            found.set_item("sparse", sparse)?;
        }
        Ok(found)
    }

    #[pyo3(signature = (queries, k, r#where, subset, options))]
    fn search_sparse<'py>(
        &self,
        py: Python<'py>,
        queries: HeldRows<'py>,
        k: usize,
        r#where: Option<&str>,
        subset: Option<HeldSubset<'py>>,
        options: Choices,
    ) -> PyResult<Arrays<'py>> {
        let options = self::options(py, k, &options)?;
        let snapshot = self.snapshot();
        let rows = queries.views()?;
        let subset = Subset::new(subset.as_ref())?;
        let search = || {
            let queries = snapshot.vector_queries(&rows.rows())?;
            snapshot.search(&queries, &subset.filter(r#where), &options)
        };
        let answers = py.detach(search).into_py(py)?;
        arrays(py, &snapshot, &answers, k)
    }

    #[pyo3(signature = (queries, k, r#where, subset, options))]
    fn search_text<'py>(
        &self,
        py: Python<'py>,
        queries: Vec<PyBackedStr>,
        k: usize,
        r#where: Option<&str>,
        subset: Option<HeldSubset<'py>>,
        options: Choices,
    ) -> PyResult<Arrays<'py>> {
        let options = self::options(py, k, &options)?;
        let snapshot = self.snapshot();
        let texts: Vec<&str> = queries.iter().map(|text| &**text).collect();
        let subset = Subset::new(subset.as_ref())?;
        let search = || {
            let queries = snapshot.text_queries(&texts)?;
            snapshot.search(&queries, &subset.filter(r#where), &options)
        };
        let answers = py.detach(search).into_py(py)?;
        arrays(py, &snapshot, &answers, k)
    }

    /// Queries of token vectors, and of sparse vectors or text beside them.
    #[pyo3(signature = (queries, sparse, text, k, r#where, subset, options, late))]
    #[allow(clippy::too_many_arguments)]
    fn search_late<'py>(
        &self,
        py: Python<'py>,
        queries: HeldTokens<'py, f32>,
        sparse: Option<HeldRows<'py>>,
        text: Option<Vec<PyBackedStr>>,
        k: usize,
        r#where: Option<&str>,
        subset: Option<HeldSubset<'py>>,
        options: Choices,
        late: LateChoices,
    ) -> PyResult<Arrays<'py>> {
        let mut options = self::options(py, k, &options)?;
        options.late = late::choices(py, &late)?;
        let snapshot = self.snapshot();
        let rows = sparse.as_ref().map(HeldRows::views).transpose()?;
        let texts = text
            .as_ref()
            .map(|text| text.iter().map(|text| &**text).collect());
        let queries = queries.queries()?;
        let subset = Subset::new(subset.as_ref())?;
        let search = || {
            let texts: Option<Vec<&str>> = texts;
            let sparse = match (&rows, &texts) {
                (Some(rows), _) => Some(snapshot.vector_queries(&rows.rows())?),
                (None, Some(texts)) => Some(snapshot.text_queries(texts)?),
                (None, None) => None,
            };
            let filter = subset.filter(r#where);
            snapshot.search_late(sparse.as_deref(), &queries, &filter, &options)
        };
        let answers = py.detach(search).into_py(py)?;
        arrays(py, &snapshot, &answers, k)
    }

    /// Scores of the given documents, a list of ids for each query.
    fn rerank<'py>(
        &self,
        py: Python<'py>,
        queries: HeldTokens<'py, f32>,
        ids: Vec<HeldKeys<'py>>,
        threads: usize,
    ) -> PyResult<Arrays<'py>> {
        let snapshot = self.snapshot();
        let queries = queries.queries()?;
        let views = ids
            .iter()
            .map(HeldKeys::views)
            .collect::<PyResult<Vec<_>>>()?;
        let rerank = || {
            let keys: Vec<_> = views.iter().map(KeyViews::keys).collect();
            snapshot.rerank(&queries, &keys, threads)
        };
        let answers = py.detach(rerank).into_py(py)?;
        let widest = answers
            .iter()
            .map(|answer| answer.hits.len())
            .max()
            .unwrap_or(0);
        arrays(py, &snapshot, &answers, widest)
    }

    /// Row of the query, token of the document, product.
    fn explain_late<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
        query: HeldTokens<'py, f32>,
    ) -> PyResult<Vec<(usize, usize, f32)>> {
        let key = HeldKey::extract(id)?;
        let matches = self
            .snapshot()
            .explain_late(key.key(), &query.queries()?)
            .into_py(py)?;
        let each = matches
            .iter()
            .map(|m| (m.query_token, m.document_token, m.score));
        Ok(each.collect())
    }

    fn explain_sparse<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
        query: HeldRows<'py>,
    ) -> PyResult<Vec<TermContribution<'py>>> {
        let snapshot = self.snapshot();
        let rows = query.views()?;
        let queries = snapshot.vector_queries(&rows.rows()).into_py(py)?;
        explain(&snapshot, id, queries)
    }

    fn explain_text<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
        query: &str,
    ) -> PyResult<Vec<TermContribution<'py>>> {
        let snapshot = self.snapshot();
        let queries = snapshot.text_queries(&[query]).into_py(py)?;
        explain(&snapshot, id, queries)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        to_dict(py, &self.snapshot().stats())
    }
}

fn explain<'py>(
    snapshot: &Snapshot,
    id: &Bound<'py, PyAny>,
    queries: Vec<Query>,
) -> PyResult<Vec<TermContribution<'py>>> {
    let py = id.py();
    let key = HeldKey::extract(id)?;
    let query = queries.into_iter().next().unwrap_or_default();
    let contributions = snapshot.explain(key.key(), &query).into_py(py)?;
    let wrap = |c: Contribution| {
        let term = key_to_python(py, c.term.as_key())?;
        Ok((term, c.query_weight, c.document_weight, c.contribution))
    };
    contributions.into_iter().map(wrap).collect()
}

fn options(py: Python<'_>, k: usize, choices: &Choices) -> PyResult<Options> {
    let &(alpha, beta, gamma, target_recall, min_score, deadline, ref plan, threads) = choices;
    let plan = match plan.as_deref() {
        None => None,
        Some("exhaustive") => Some(Plan::Exhaustive),
        Some("block-max") => Some(Plan::BlockMax),
        Some("rows") => Some(Plan::Rows),
        Some(other) => return Err(invalid(py, format!("plan {other:?} is unknown"))),
    };
    let deadline = deadline.map(Duration::try_from_secs_f64).transpose();
    Ok(Options {
        k,
        knobs: Knobs { alpha, beta, gamma },
        target_recall,
        min_score,
        deadline: deadline.map_err(|error| invalid(py, format!("deadline: {error}")))?,
        plan,
        threads,
        ..Options::default()
    })
}

/// Answers as arrays with one row a query and a column for each hit that there can be; places without a
/// hit hold None or -1 and minus infinity.
fn arrays<'py>(
    py: Python<'py>,
    snapshot: &Snapshot,
    answers: &[Answer],
    k: usize,
) -> PyResult<Arrays<'py>> {
    let width = k.min(snapshot.len() as usize);
    let shape = [answers.len(), width];
    let padded = || {
        answers
            .iter()
            .flat_map(|answer| (0..width).map(|rank| answer.hits.get(rank)))
    };
    let scores = padded().map(|hit| hit.map_or(f32::NEG_INFINITY, |hit| hit.score));
    let scores = PyArray1::from_iter(py, scores).reshape(shape)?;
    let counts = answers.iter().map(|answer| answer.hits.len() as i64);
    let exact = answers.iter().map(|answer| answer.exact);
    let bound = answers.iter().map(|answer| answer.bound);
    let id = |hit: Option<&Hit>| hit.map(|hit| snapshot.id(*hit)).transpose().into_py(py);
    let ids = match snapshot.schema().ids {
        KeyKind::Int => {
            let int = |hit| {
                Ok(if let Some(Key::Int(id)) = id(hit)? {
                    id
                } else {
                    -1
                })
            };
            let ids = padded().map(int).collect::<PyResult<Vec<i64>>>()?;
            PyArray1::from_vec(py, ids).reshape(shape)?.into_any()
        }
        KeyKind::Str => {
            let object = |hit| match id(hit)? {
                Some(key) => Ok(key_to_python(py, key)?.unbind()),
                None => Ok(py.None()),
            };
            let ids = padded().map(object).collect::<PyResult<Vec<Py<PyAny>>>>()?;
            PyArray1::from_vec(py, ids).reshape(shape)?.into_any()
        }
    };
    Ok((
        ids,
        scores,
        PyArray1::from_iter(py, counts),
        PyArray1::from_iter(py, exact),
        PyArray1::from_iter(py, bound),
    ))
}
