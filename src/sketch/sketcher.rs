//! What all sketches of an index are made by, so that products of all segments compare: an encoding with
//! its random rows, or learned weights, and the code. Bytes: storage/FORMAT.md, "Codebook of sketches".

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::bases::Bases;
use super::codes::{Bits, Query, Scale};
use super::fde::{Encoder, Fde, Rows, Shape, Side};
use super::lemur::{self, Lemur};
use super::linear::Matrix;
use super::settings::Settings;
use super::writer::Coded;
use crate::error::Result;
use crate::pool::{self, Interrupt};
use crate::storage::manifest::{FileEntry, IndexId};
use crate::storage::section::{SectionFile, SectionWriter};
use crate::storage::vfs::Vfs;

pub struct Sketcher {
    dim: usize,
    bits: Bits,
    model: Model,
}

enum Model {
    /// With the mean of the documents that it was made for, which codes leave out.
    Fde(Box<Fde>, Vec<f32>),
    Lemur(Box<Lemur>),
}

/// Documents sketched together.
const TOGETHER: usize = 16;
/// Documents that the mean encoding is taken of.
const AVERAGED: usize = 8192;
const SEED: u64 = 0x7765_6674;

impl Sketcher {
    /// Learns from documents, each a range of the vectors in values, of which at least one is not empty.
    pub fn train(
        settings: &Settings,
        dim: usize,
        values: &[f16],
        documents: &[Range<usize>],
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let documents: Vec<&[f16]> = documents
            .iter()
            .map(|range| &values[range.clone()])
            .filter(|vectors| !vectors.is_empty())
            .collect();
        let model = || match *settings {
            Settings::Lemur {
                features,
                dimensions,
                ..
            } => {
                let some = evenly(&documents, lemur::DOCUMENTS);
                let lemur = Lemur::train(dim, features, dimensions, &some, SEED, interrupt)?;
                Ok(Model::Lemur(Box::new(lemur)))
            }
            Settings::Fde {
                repetitions,
                bits,
                projection,
                orthogonal,
                ..
            } => {
                let shape = Shape::plain(dim, repetitions, bits, projection);
                let fde = match orthogonal {
                    true => Fde::orthogonal(shape, SEED),
                    false => Fde::independent(shape, SEED),
                };
                let mean = mean_encoding(&fde, &evenly(&documents, AVERAGED), interrupt)?;
                Ok(Model::Fde(Box::new(fde), mean))
            }
        };
        Ok(Self {
            dim,
            bits: settings.code()?,
            model: pool::run(0, model)??,
        })
    }

    pub fn dimensions(&self) -> usize {
        match &self.model {
            Model::Fde(fde, _) => fde.shape().dimensions(),
            Model::Lemur(lemur) => lemur.dimensions(),
        }
    }

    pub fn bits(&self) -> Bits {
        self.bits
    }

    /// Bytes of the code of a document.
    pub fn bytes(&self) -> usize {
        self.bits.bytes(self.dimensions())
    }

    pub fn query(&self, vectors: &[f32]) -> Query {
        let sketch = match &self.model {
            Model::Lemur(lemur) => lemur.query(vectors),
            Model::Fde(fde, _) => {
                let mut sketch = vec![0.0; fde.shape().dimensions()];
                Encoder::new(fde).encode(Side::Query, vectors, &mut sketch);
                sketch
            }
        };
        Query::new(&sketch, self.bits)
    }

    /// Sketches of documents, each a range of the values, and the sum of their errors.
    pub fn encode(
        &self,
        values: &[f16],
        documents: &[Range<usize>],
        interrupt: &Interrupt,
    ) -> Result<(Coded, f64)> {
        let bytes = self.bytes();
        let mut coded = Coded {
            codes: vec![0; documents.len() * bytes],
            scales: vec![Scale::NONE; documents.len()],
            bytes,
        };
        let errors: Vec<f64> = pool::run(0, || {
            let outputs = coded
                .codes
                .par_chunks_mut(TOGETHER * bytes)
                .zip(coded.scales.par_chunks_mut(TOGETHER));
            let chunks = documents.par_chunks(TOGETHER).zip(outputs);
            let (done, count) = (AtomicUsize::new(0), documents.len().div_ceil(TOGETHER));
            let errors = chunks.map(|(documents, (codes, scales))| {
                let number = done.fetch_add(1, Ordering::Relaxed);
                interrupt.tell("sketching documents", number, count)?;
                let documents: Vec<&[f16]> = documents
                    .iter()
                    .map(|range| &values[range.clone()])
                    .collect();
                Ok(self.encode_some(&documents, codes, scales))
            });
            errors.collect::<Result<_>>()
        })??;
        Ok((coded, errors.iter().sum()))
    }

    /// Returns the sum of the errors.
    fn encode_some(&self, documents: &[&[f16]], codes: &mut [u8], scales: &mut [Scale]) -> f64 {
        let dimensions = self.dimensions();
        let mut sketches = vec![0.0; documents.len() * dimensions];
        let mut errors = self.sketch(documents, &mut sketches);
        let each = documents.iter().zip(sketches.chunks_exact(dimensions));
        let outputs = codes.chunks_exact_mut(self.bytes()).zip(scales);
        let mut sum = 0.0;
        for (number, ((vectors, sketch), (code, scale))) in each.zip(outputs).enumerate() {
            if vectors.is_empty() {
                continue;
            }
            *scale = self.bits.encode(sketch, code);
            if let Model::Fde(..) = self.model {
                errors[number] =
                    relative_error(sketch, &self.bits.decode(code, *scale, dimensions));
            }
            sum += errors[number];
        }
        sum
    }

    /// Writes the sketches, and returns for each how much of a document learned weights do not explain.
    fn sketch(&self, documents: &[&[f16]], sketches: &mut [f32]) -> Vec<f64> {
        match &self.model {
            Model::Lemur(lemur) => lemur.documents(documents, sketches),
            Model::Fde(fde, mean) => {
                let mut encoder = Encoder::new(fde);
                let mut vectors = vec![];
                for (document, sketch) in
                    documents.iter().zip(sketches.chunks_exact_mut(mean.len()))
                {
                    vectors.resize(document.len(), 0.0);
                    document.convert_to_f32_slice(&mut vectors);
                    encoder.encode(Side::Document, &vectors, sketch);
                    sketch
                        .iter_mut()
                        .zip(mean)
                        .for_each(|(value, mean)| *value -= mean);
                }
                vec![0.0; documents.len()]
            }
        }
    }

    pub fn write(&self, vfs: &dyn Vfs, name: &str, index: IndexId) -> Result<FileEntry> {
        let mut file = SectionWriter::create(vfs, name, index)?;
        match &self.model {
            Model::Fde(fde, mean) => {
                let (hyperplanes, projections) = fde.rows();
                let (planes, rows) = (fde.shape().hyperplanes(), fde.shape().projections());
                file.section("hyperplanes", &stored(hyperplanes, planes * self.dim))?;
                file.section("projections", &stored(projections, rows * self.dim))?;
                file.section("mean", mean)?;
            }
            Model::Lemur(lemur) => {
                let parts = lemur.parts();
                file.section("features", parts.features)?;
                file.section("sample", parts.sample)?;
                file.section("inward", parts.inward)?;
                file.section("targets", parts.targets)?;
            }
        }
        file.finish()
    }

    /// `settings` are valid.
    pub fn open(file: &SectionFile, settings: &Settings, dim: usize) -> Result<Self> {
        let finite = |name: &str, count: Option<usize>| {
            let values = match count {
                Some(count) => file.array_of::<f32>(name, count)?,
                None => file.array::<f32>(name)?,
            };
            match values.iter().all(|value| value.is_finite()) {
                true => Ok(values.to_vec()),
                false => {
                    Err(file.corrupt(format!("section {name:?} has a number that is not finite")))
                }
            }
        };
        let model = match *settings {
            Settings::Fde {
                repetitions,
                bits,
                projection,
                orthogonal,
                ..
            } => {
                let shape = Shape::plain(dim, repetitions, bits, projection);
                let count = |rows: usize| match orthogonal {
                    true => Bases::count(dim, rows),
                    false => rows * dim,
                };
                let hyperplanes = finite("hyperplanes", Some(count(shape.hyperplanes())))?;
                let projections = finite("projections", Some(count(shape.projections())))?;
                let mean = finite("mean", Some(shape.dimensions()))?;
                let fde = Fde::stored(shape, orthogonal, hyperplanes, projections);
                Model::Fde(Box::new(fde), mean)
            }
            Settings::Lemur {
                features,
                dimensions,
                ..
            } => {
                let rows = Matrix::new(finite("features", Some(features * dim))?, dim);
                let targets = finite("targets", None)?;
                if targets.is_empty() || targets.len() > lemur::SAMPLE {
                    return Err(file.corrupt(format!("{} sampled tokens", targets.len())));
                }
                let sample = file
                    .array_of::<f16>("sample", targets.len() * dim)?
                    .to_vec();
                let inward = Matrix::new(finite("inward", Some(dimensions * features))?, features);
                Model::Lemur(Box::new(Lemur::new(rows, sample, inward, targets)))
            }
        };
        Ok(Self {
            dim,
            bits: settings.code()?,
            model,
        })
    }
}

/// The numbers that rows are made of again; `count` of those that are given as they are.
fn stored(rows: &Rows, count: usize) -> Vec<f32> {
    match rows {
        Rows::Bases(bases) => bases.factors().to_vec(),
        Rows::Dense(rows) => rows.to_rows()[..count].to_vec(),
    }
}

fn mean_encoding(fde: &Fde, documents: &[&[f16]], interrupt: &Interrupt) -> Result<Vec<f32>> {
    let dimensions = fde.shape().dimensions();
    let mut encoder = Encoder::new(fde);
    let mut sums = vec![0.0_f64; dimensions];
    let mut encoding = vec![0.0; dimensions];
    let mut vectors = vec![];
    for document in documents {
        interrupt.check()?;
        vectors.resize(document.len(), 0.0);
        document.convert_to_f32_slice(&mut vectors);
        encoder.encode(Side::Document, &vectors, &mut encoding);
        sums.iter_mut()
            .zip(&encoding)
            .for_each(|(sum, value)| *sum += f64::from(*value));
    }
    Ok(sums
        .iter()
        .map(|sum| (sum / documents.len().max(1) as f64) as f32)
        .collect())
}

/// At most so many, spread over all of them.
fn evenly<'a>(documents: &[&'a [f16]], most: usize) -> Vec<&'a [f16]> {
    let stride = documents.len().div_ceil(most).max(1);
    documents.iter().step_by(stride).copied().collect()
}

/// The squared distance by the squared length.
fn relative_error(sketch: &[f32], coded: &[f32]) -> f64 {
    let mut squares = (0.0_f64, 0.0_f64);
    for (value, coded) in sketch.iter().zip(coded) {
        squares.0 += f64::from(value - coded).powi(2);
        squares.1 += f64::from(*value).powi(2);
    }
    if squares.1 > 0.0 {
        squares.0 / squares.1
    } else {
        0.0
    }
}
