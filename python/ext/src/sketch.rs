//! Fixed-dimensional encodings of arrays.

use half::f16;
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;
use weft::sketch::batch::{self, Number, Sets};
use weft::sketch::fde::{Fde, Fill, Order, Shape, Side};

use crate::error::{IntoPy, invalid};
use crate::late::HeldVectors;

#[pyclass(frozen, module = "weft._native")]
pub struct FdeEncoder(Fde);

/// Encodings (n, dimensions), and what each is to be multiplied by.
type Encodings<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray1<f32>>);

#[pymethods]
impl FdeEncoder {
    /// `rows`: hyperplanes and projections, (rows, dim) each; random ones
    /// where there are none.
    #[new]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        dim: usize,
        shape: (usize, usize, usize),
        orthogonal: bool,
        gray: bool,
        first_cell: bool,
        seed: u64,
        rows: Option<(PyReadonlyArray2<'_, f32>, PyReadonlyArray2<'_, f32>)>,
        last: Option<usize>,
    ) -> PyResult<Self> {
        let (repetitions, bits, projection) = shape;
        let shape = Shape {
            dim,
            repetitions,
            bits,
            projection,
            order: if gray { Order::Gray } else { Order::Plain },
            fill: if first_cell {
                Fill::FirstCell
            } else {
                Fill::FirstVector
            },
        };
        shape.validate().into_py(py)?;
        let fde = match &rows {
            Some((hyperplanes, projections)) => {
                Fde::given(shape, hyperplanes.as_slice()?, projections.as_slice()?)
            }
            None if orthogonal => Fde::orthogonal(shape, seed),
            None => Fde::independent(shape, seed),
        };
        Ok(Self(match last {
            Some(dimensions) => fde.folded(dimensions, seed),
            None => fde,
        }))
    }

    #[getter]
    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    /// `kind` is that of the numbers: float32, float16 or int8.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        vectors: HeldVectors<'py>,
        query: bool,
        kind: &str,
        threads: usize,
    ) -> PyResult<Encodings<'py>> {
        let (_, offsets, vectors) = vectors.views()?;
        let sets = Sets { vectors, offsets };
        let side = if query { Side::Query } else { Side::Document };
        match kind {
            "float32" => self.encode_as::<f32>(py, sets, side, threads),
            "float16" => self.encode_as::<f16>(py, sets, side, threads),
            "int8" => self.encode_as::<i8>(py, sets, side, threads),
            other => Err(invalid(py, format!("kind {other:?} is unknown"))),
        }
    }
}

impl FdeEncoder {
    fn encode_as<'py, N: Number + numpy::Element>(
        &self,
        py: Python<'py>,
        sets: Sets<'_>,
        side: Side,
        threads: usize,
    ) -> PyResult<Encodings<'py>> {
        let encoded = py.detach(|| batch::encode::<N>(&self.0, sets, side, threads));
        let (numbers, scales) = encoded.into_py(py)?;
        let numbers = PyArray1::from_vec(py, numbers);
        let numbers = numbers.reshape([scales.len(), self.0.dimensions()])?;
        Ok((numbers.into_any(), scales.to_pyarray(py)))
    }
}
