//! `weft._native.Writer`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use half::f16;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};
use weft::index::{self, AttributeKind, Batch, EffortPoint, OperatingPoint, Schema, Values};
use weft::pool::Interrupt;
use weft::storage::vfs::OsVfs;

use crate::arrays::{HeldKeys, HeldRows, HeldTokens};
use crate::error::{IntoPy, closed, invalid};

#[pyclass(frozen, module = "weft._native")]
pub struct Writer {
    core: Mutex<Option<index::Writer>>,
    raised: Raised,
}

/// What a signal handler raised during a long call, until that call returns.
pub type Raised = Arc<Mutex<Option<PyErr>>>;

/// How often a long call looks for signals such as Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn interrupt_on_signals(raised: Raised) -> Interrupt {
    let last = Mutex::new(Instant::now());
    Interrupt::new(move || {
        let mut last = lock(&last);
        if last.elapsed() < SIGNAL_INTERVAL {
            return false;
        }
        *last = Instant::now();
        let signal = Python::attach(|py| py.check_signals());
        let interrupted = signal.is_err();
        if let Err(error) = signal {
            lock(&raised).replace(error);
        }
        interrupted
    })
}

/// Calls a Python function with the work, what is done of it and the whole; what that raises is not of this
/// call.
fn tell_now_and_then(
    progress: Py<PyAny>,
) -> impl Fn(&'static str, usize, usize) + Send + Sync + 'static {
    let last = Mutex::new(None::<(&str, Instant)>);
    move |work, done, total| {
        let mut last = lock(&last);
        if last.is_some_and(|(of, at)| of == work && at.elapsed() < SIGNAL_INTERVAL) {
            return;
        }
        *last = Some((work, Instant::now()));
        Python::attach(|py| {
            if let Err(error) = progress.call1(py, (work, done, total)) {
                error.write_unraisable(py, None);
            }
        });
    }
}

impl Writer {
    /// Runs `work` on the writer without the interpreter lock.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut index::Writer) -> weft::Result<R> + Send,
    ) -> PyResult<R> {
        let done = py
            .detach(|| lock(&self.core).as_mut().map(work))
            .ok_or_else(closed)?;
        match (done, lock(&self.raised).take()) {
            (Err(weft::Error::Interrupted), Some(error)) => Err(error),
            (done, _) => done.into_py(py),
        }
    }
}

#[pymethods]
impl Writer {
    #[new]
    fn new(
        py: Python<'_>,
        path: &str,
        schema: Option<&str>,
        memory_limit: u64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let schema = schema.map(Schema::from_json).transpose().into_py(py)?;
        let raised = Raised::default();
        let mut interrupt = interrupt_on_signals(raised.clone());
        if let Some(progress) = progress {
            interrupt = interrupt.telling(tell_now_and_then(progress));
        }
        let open =
            || index::Writer::open(Arc::new(OsVfs::new(path)), schema, memory_limit, interrupt);
        let core = py.detach(open).into_py(py)?;
        Ok(Self {
            core: Mutex::new(Some(core)),
            raised,
        })
    }

    #[getter]
    fn schema(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |writer| Ok(writer.schema().to_json()))
    }

    #[getter]
    fn generation(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |writer| Ok(writer.generation()))
    }

    #[getter]
    fn pending(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |writer| Ok(writer.pending()))
    }

    fn add(
        &self,
        py: Python<'_>,
        ids: HeldKeys<'_>,
        sparse: Option<HeldRows<'_>>,
        text: Option<Vec<PyBackedStr>>,
        multivector: Option<HeldTokens<'_, f16>>,
        attributes: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let attributes = self.attributes(py, attributes)?;
        let ids = ids.views()?;
        let rows = sparse.as_ref().map(HeldRows::views).transpose()?;
        let text: Option<Vec<&str>> = text
            .as_ref()
            .map(|text| text.iter().map(|text| &**text).collect());
        let tokens = multivector.as_ref().map(HeldTokens::rows).transpose()?;
        self.with(py, |writer| {
            writer.add(&Batch {
                ids: ids.keys(),
                sparse: rows.as_ref().map(|rows| rows.rows()),
                text: text.as_deref(),
                multivector: tokens,
                attributes,
            })
        })
    }

    fn delete(&self, py: Python<'_>, ids: HeldKeys<'_>) -> PyResult<usize> {
        let ids = ids.views()?;
        self.with(py, |writer| writer.delete(&ids.keys()))
    }

    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, index::Writer::commit)
    }

    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, index::Writer::rollback)
    }

    fn merge(&self, py: Python<'_>, max_segments: usize) -> PyResult<()> {
        self.with(py, |writer| writer.merge(max_segments).map(drop))
    }

    /// k, target recall, alpha, beta and gamma of each.
    fn set_operating_points(
        &self,
        py: Python<'_>,
        points: Vec<(usize, f32, f32, f32, usize)>,
    ) -> PyResult<()> {
        let point = |(k, recall, alpha, beta, gamma)| OperatingPoint {
            k,
            recall,
            alpha,
            beta,
            gamma,
        };
        let points = points.into_iter().map(point).collect();
        self.with(py, |writer| writer.set_operating_points(points))
    }

    /// Learns the codebook of token vectors from a sample.
    fn train(&self, py: Python<'_>, sample: HeldTokens<'_, f16>) -> PyResult<()> {
        let rows = sample.rows()?;
        self.with(py, |writer| writer.train(&rows))
    }

    fn retrain(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |writer| writer.retrain().map(drop))
    }

    /// k, target recall, probes and candidates of each.
    fn set_effort_points(
        &self,
        py: Python<'_>,
        points: Vec<(usize, f32, usize, usize)>,
    ) -> PyResult<()> {
        let point = |(k, recall, probes, candidates)| EffortPoint {
            k,
            recall,
            probes,
            candidates,
        };
        let points = points.into_iter().map(point).collect();
        self.with(py, |writer| writer.set_effort_points(points))
    }

    fn set_note(&self, py: Python<'_>, name: &str, note: Option<&str>) -> PyResult<()> {
        self.with(py, |writer| writer.set_note(name, note))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(lock(&self.core).take()));
    }
}

impl Writer {
    /// The columns of a batch, each of the kind that the schema says; others are left to the core.
    fn attributes(
        &self,
        py: Python<'_>,
        columns: &Bound<'_, PyDict>,
    ) -> PyResult<Vec<(String, Values)>> {
        let schema = self.with(py, |writer| Ok(writer.schema().clone()))?;
        let mut attributes = vec![];
        for (name, column) in columns {
            let name: String = name.extract()?;
            let items: Vec<Bound<'_, PyAny>> = column.extract()?;
            let kind = schema.attributes.get(&name).copied();
            attributes.push((name.clone(), values(py, &name, kind, &items)?));
        }
        Ok(attributes)
    }
}

fn values(
    py: Python<'_>,
    name: &str,
    kind: Option<AttributeKind>,
    items: &[Bound<'_, PyAny>],
) -> PyResult<Values> {
    let Some(kind) = kind else {
        // The core says that there is no such attribute.
        return Ok(Values::Keyword(vec![None; items.len()]));
    };
    let refuse = |row: usize| {
        let kind = kind.name();
        let value = items[row]
            .repr()
            .map(|text| text.to_string())
            .unwrap_or_default();
        invalid(
            py,
            format!(
                "attribute {name:?}, row {row}: {value} is not a value for {kind}; use None for none"
            ),
        )
    };
    Ok(match kind {
        AttributeKind::Int64 => Values::Int64(column(items, refuse, |item| {
            item.is_instance_of::<PyInt>() && !item.is_instance_of::<PyBool>()
        })?),
        AttributeKind::Float64 => Values::Float64(column(items, refuse, |item| {
            let number = item.is_instance_of::<PyFloat>() || item.is_instance_of::<PyInt>();
            number && !item.is_instance_of::<PyBool>()
        })?),
        AttributeKind::Keyword => Values::Keyword(column(items, refuse, |item| {
            item.is_instance_of::<PyString>()
        })?),
    })
}

fn column<'py, T: for<'a> FromPyObject<'a, 'py>>(
    items: &[Bound<'py, PyAny>],
    refuse: impl Fn(usize) -> PyErr,
    accept: impl Fn(&Bound<'py, PyAny>) -> bool,
) -> PyResult<Vec<Option<T>>> {
    let convert = |(row, item): (usize, &Bound<'py, PyAny>)| match item.is_none() {
        true => Ok(None),
        false if accept(item) => item.extract().map(Some).map_err(|_| refuse(row)),
        false => Err(refuse(row)),
    };
    items.iter().enumerate().map(convert).collect()
}
