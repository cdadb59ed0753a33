//! The one place where errors of the core become Python exceptions, by the classes of `weft.errors`.

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use weft::Error;

pub trait IntoPy<T> {
    fn into_py(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> IntoPy<T> for weft::Result<T> {
    fn into_py(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| to_exception(py, error))
    }
}

fn to_exception(py: Python<'_>, error: Error) -> PyErr {
    let message = error.to_string();
    let made = match &error {
        Error::InvalidInput(_) => instance(py, "InvalidInput", (message,)),
        Error::SchemaMismatch(_) => instance(py, "SchemaMismatch", (message,)),
        Error::Corrupt { .. } => instance(py, "CorruptIndex", (message,)),
        Error::FormatVersion { .. } => instance(py, "FormatVersion", (message,)),
        Error::Locked { .. } => instance(py, "Locked", (message,)),
        Error::NotFound(_) => instance(py, "NotFound", (message,)),
        Error::Poisoned => instance(py, "Error", (message,)),
        Error::Interrupted => Ok(PyKeyboardInterrupt::new_err(())),
        Error::Io {
            operation,
            path,
            source,
        } => {
            let reason = source.to_string();
            // Python adds the number itself.
            let reason = reason.split(" (os error").next().unwrap_or_default();
            let message = format!("cannot {operation}: {reason}");
            let path = path.to_string_lossy().into_owned();
            instance(
                py,
                "IoError",
                (source.raw_os_error().unwrap_or(0), message, path),
            )
        }
    };
    made.unwrap_or_else(|failure| failure)
}

fn instance<'py, A>(py: Python<'py>, class: &str, arguments: A) -> PyResult<PyErr>
where
    A: pyo3::call::PyCallArgs<'py>,
{
    let class = py.import("weft.errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call1(arguments)?))
}

pub fn invalid(py: Python<'_>, message: String) -> PyErr {
    to_exception(py, Error::InvalidInput(message))
}

pub fn closed() -> PyErr {
    PyRuntimeError::new_err("the writer is closed")
}
