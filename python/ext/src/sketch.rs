//! Fixed-dimensional encodings of arrays.

use half::f16;
use numpy::{PyArray1, PyReadonlyArray2, PyReadwriteArray2, ToPyArray};
use pyo3::prelude::*;
use weft::sketch::batch::{self, Number, Sets};
use weft::sketch::fde::{Fde, Fill, Order, Shape, Side};

use crate::error::IntoPy;
use crate::late::HeldVectors;

#[pyclass(frozen, module = "weft._native")]
pub struct FdeEncoder(Fde);

/// Where encodings (n, dimensions) are written.
#[derive(FromPyObject)]
enum Encodings<'py> {
    Single(PyReadwriteArray2<'py, f32>),
    Half(PyReadwriteArray2<'py, f16>),
    Byte(PyReadwriteArray2<'py, i8>),
}

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

    /// Writes the encodings, and returns what the numbers of each are to be multiplied by.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        vectors: HeldVectors<'py>,
        query: bool,
        encodings: Encodings<'py>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let (_, offsets, vectors) = vectors.views()?;
        let sets = Sets { vectors, offsets };
        let side = if query { Side::Query } else { Side::Document };
        let scales = match encodings {
            Encodings::Single(numbers) => self.write(py, sets, side, threads, numbers)?,
            Encodings::Half(numbers) => self.write(py, sets, side, threads, numbers)?,
            Encodings::Byte(numbers) => self.write(py, sets, side, threads, numbers)?,
        };
        Ok(scales.to_pyarray(py))
    }
}

impl FdeEncoder {
    fn write<N: Number + numpy::Element>(
        &self,
        py: Python<'_>,
        sets: Sets<'_>,
        side: Side,
        threads: usize,
        mut numbers: PyReadwriteArray2<'_, N>,
    ) -> PyResult<Vec<f32>> {
        let numbers = numbers.as_slice_mut()?;
        py.detach(|| batch::encode(&self.0, sets, side, threads, numbers))
            .into_py(py)
    }
}
