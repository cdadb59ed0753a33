//! Python values as the core takes them, and back. Arrays are borrowed, never copied.

use half::f16;
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use serde_json::Value as Json;
use weft::index::{SparseRows, TokenQueries, TokenRows};
use weft::storage::keys::{Key, Keys};

use crate::error::invalid;

/// External ids or terms, held while the core borrows them.
pub enum HeldKeys<'py> {
    Int(PyReadonlyArray1<'py, i64>),
    Str(Vec<pyo3::pybacked::PyBackedStr>),
}

impl<'py> FromPyObject<'_, 'py> for HeldKeys<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = object.cast::<PyArray1<i64>>() {
            return Ok(HeldKeys::Int(array.try_readonly()?));
        }
        Ok(HeldKeys::Str(object.extract()?))
    }
}

/// Borrowed views into `HeldKeys`.
pub enum KeyViews<'a> {
    Int(&'a [i64]),
    Str(Vec<&'a str>),
}

impl HeldKeys<'_> {
    pub fn views(&self) -> PyResult<KeyViews<'_>> {
        Ok(match self {
            HeldKeys::Int(array) => KeyViews::Int(array.as_slice()?),
            HeldKeys::Str(strings) => KeyViews::Str(strings.iter().map(|s| &**s).collect()),
        })
    }
}

impl KeyViews<'_> {
    pub fn keys(&self) -> Keys<'_> {
        match self {
            KeyViews::Int(values) => Keys::Int(values),
            KeyViews::Str(values) => Keys::Str(values),
        }
    }
}

/// CSR rows, held while the core borrows them.
pub struct HeldRows<'py> {
    indptr: PyReadonlyArray1<'py, i64>,
    terms: HeldKeys<'py>,
    weights: PyReadonlyArray1<'py, f32>,
}

impl<'py> FromPyObject<'_, 'py> for HeldRows<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (indptr, terms, weights) = object.extract()?;
        Ok(Self {
            indptr,
            terms,
            weights,
        })
    }
}

pub struct RowViews<'a> {
    indptr: &'a [i64],
    terms: KeyViews<'a>,
    weights: &'a [f32],
}

impl HeldRows<'_> {
    pub fn views(&self) -> PyResult<RowViews<'_>> {
        Ok(RowViews {
            indptr: self.indptr.as_slice()?,
            terms: self.terms.views()?,
            weights: self.weights.as_slice()?,
        })
    }
}

impl RowViews<'_> {
    pub fn rows(&self) -> SparseRows<'_> {
        SparseRows {
            indptr: self.indptr,
            terms: self.terms.keys(),
            weights: self.weights,
        }
    }
}

/// Token vectors as `flat` (T, dim) and `offsets` (n + 1,), held while the core borrows them.
pub struct HeldTokens<'py, T: numpy::Element> {
    flat: PyReadonlyArray2<'py, T>,
    offsets: PyReadonlyArray1<'py, i64>,
}

impl<'py, T: numpy::Element> FromPyObject<'_, 'py> for HeldTokens<'py, T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (flat, offsets) = object.extract()?;
        Ok(Self { flat, offsets })
    }
}

impl<T: numpy::Element> HeldTokens<'_, T> {
    pub fn dim(&self) -> usize {
        self.flat.shape()[1]
    }

    pub fn values(&self) -> PyResult<&[T]> {
        Ok(self.flat.as_slice()?)
    }

    pub fn offsets(&self) -> PyResult<&[i64]> {
        Ok(self.offsets.as_slice()?)
    }
}

impl HeldTokens<'_, f16> {
    pub fn rows(&self) -> PyResult<TokenRows<'_>> {
        Ok(TokenRows {
            dim: self.dim(),
            offsets: self.offsets()?,
            values: self.values()?,
        })
    }
}

impl HeldTokens<'_, f32> {
    pub fn queries(&self) -> PyResult<TokenQueries<'_>> {
        Ok(TokenQueries {
            dim: self.dim(),
            offsets: self.offsets()?,
            values: self.values()?,
        })
    }
}

/// One external id.
pub enum HeldKey {
    Int(i64),
    Str(String),
}

impl HeldKey {
    pub fn extract(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyString>() {
            return Ok(HeldKey::Str(object.extract()?));
        }
        match object.extract() {
            Ok(id) => Ok(HeldKey::Int(id)),
            Err(_) => Err(invalid(
                object.py(),
                format!(
                    "id {}: an id is a str or an integer of 64 bits",
                    object.repr()?
                ),
            )),
        }
    }

    pub fn key(&self) -> Key<'_> {
        match self {
            HeldKey::Int(id) => Key::Int(*id),
            HeldKey::Str(id) => Key::Str(id),
        }
    }
}

pub fn key_to_python<'py>(py: Python<'py>, key: Key<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match key {
        Key::Int(value) => value.into_pyobject(py)?.into_any(),
        Key::Str(value) => PyString::new(py, value).into_any(),
    })
}

/// A value that serialises to a JSON object, as a dict.
pub fn to_dict<'py>(
    py: Python<'py>,
    value: &impl serde::Serialize,
) -> PyResult<Bound<'py, PyDict>> {
    let json = serde_json::to_value(value).map_err(|e| PyTypeError::new_err(e.to_string()))?;
    Ok(json_to_python(py, &json)?.cast_into::<PyDict>()?)
}

fn json_to_python<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    Ok(match json {
        Json::Null => py.None().into_bound(py),
        Json::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Json::Number(number) => match number.as_i64() {
            Some(value) => value.into_pyobject(py)?.into_any(),
            None => number.as_f64().into_pyobject(py)?.into_any(),
        },
        Json::String(text) => PyString::new(py, text).into_any(),
        Json::Array(items) => {
            let items = items.iter().map(|item| json_to_python(py, item));
            items
                .collect::<PyResult<Vec<_>>>()?
                .into_pyobject(py)?
                .into_any()
        }
        Json::Object(members) => {
            let dict = PyDict::new(py);
            for (name, value) in members {
                dict.set_item(name, json_to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
