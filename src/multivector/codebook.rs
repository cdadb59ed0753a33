//! What all token vectors of an index are coded with, so that scores of all segments compare: a rotation,
//! centroids, and a codec for each level of residuals. Bytes: storage/FORMAT.md, "Codebook file".

use half::f16;
use rayon::prelude::*;

use super::centroids::Centroids;
use super::codec::Codec;
use super::encode::Encoder;
use super::quantize::Factors;
use super::residual::Residual;
use super::rotation::Rotation;
use super::sample::Sample;
use crate::error::Result;
use crate::pool::{self, Interrupt};
use crate::storage::manifest::{FileEntry, IndexId};
use crate::storage::section::{SectionFile, SectionWriter};
use crate::storage::vfs::Vfs;

pub struct Codebook {
    pub codec: Codec,
    pub rotation: Rotation,
    pub centroids: Centroids,
    pub levels: Vec<Level>,
    pub units: Factors,
}

/// A codec of residuals, and the lengths that these may have.
pub struct Level {
    pub residual: Box<dyn Residual>,
    pub lengths: Factors,
}

/// Centroids are the means of about so many vectors of the sample.
const VECTORS_PER_CENTROID: usize = 64;
const ITERATIONS: usize = 5;
/// Vectors that the codecs of residuals learn from.
const RESIDUALS: usize = 1 << 15;
/// With fewer vectors than this for each there would be more centroids than there is to tell apart.
const LEAST_PER_CENTROID: usize = 4;
const MOST_CENTROIDS: usize = 1 << 20;
const SEED: u64 = 0x7765_6674;

/// The number of centroids for so many tokens: the power of two at or below 16 times their square root
/// (Santhanam et al., PLAID, 2022).
pub fn rule(tokens: usize) -> usize {
    let wanted = (16.0 * (tokens as f64).sqrt()).max(1.0);
    let most = (tokens / LEAST_PER_CENTROID).clamp(1, MOST_CENTROIDS);
    (1 << wanted.log2().floor() as usize).min(most)
}

impl Codebook {
    /// Learns from `vectors`, one after the other, at least one.
    pub fn train(
        codec: &Codec,
        vectors: &[f16],
        centroids: Option<usize>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        pool::run(0, || Self::train_here(codec, vectors, centroids, interrupt))?
    }

    fn train_here(
        codec: &Codec,
        vectors: &[f16],
        centroids: Option<usize>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let dim = codec.dim;
        let available = vectors.len() / dim;
        let count = centroids
            .unwrap_or_else(|| rule(available))
            .clamp(1, available);
        let rotation = Rotation::random(dim, SEED);
        let sample = Sample::new(vectors, dim, count * VECTORS_PER_CENTROID, &rotation, SEED);
        let centroids = Centroids::train(&sample, count, ITERATIONS, SEED, interrupt)?;
        let mut codebook = Self {
            codec: codec.clone(),
            centroids,
            levels: vec![],
            units: Factors::of_units(),
            rotation: Rotation::from_matrix(rotation.matrix().to_vec(), dim),
        };
        let sample = Sample::new(vectors, dim, RESIDUALS, &rotation, SEED + 1);
        for (number, kind) in codec.levels.iter().enumerate() {
            interrupt.check()?;
            let mut residuals = codebook.residuals(&sample);
            let longest = normalise(&mut residuals, dim);
            codebook.levels.push(Level {
                residual: kind.train(&residuals, dim, SEED + number as u64),
                lengths: Factors::of_lengths(longest),
            });
        }
        Ok(codebook)
    }

    /// What the levels there are leave of the sample.
    fn residuals(&self, sample: &Sample<'_>) -> Vec<f32> {
        let chunks: Vec<usize> = (0..sample.len().div_ceil(Sample::CHUNK)).collect();
        let left = chunks.into_par_iter().flat_map_iter(|chunk| {
            let mut encoder = Encoder::new(self);
            encoder.encode_rotated(&sample.rotated(chunk));
            encoder.into_residuals()
        });
        left.collect()
    }

    pub fn write(&self, vfs: &dyn Vfs, name: &str, index: IndexId) -> Result<FileEntry> {
        let mut file = SectionWriter::create(vfs, name, index)?;
        file.section("rotation", self.rotation.matrix())?;
        file.section("centroids", &self.centroids.bytes)?;
        file.section("steps", &self.centroids.steps)?;
        file.section("units", self.units.table())?;
        for (number, level) in (1..).zip(&self.levels) {
            let (floats, bytes) = level.residual.parts();
            file.section(&format!("lengths-{number}"), level.lengths.table())?;
            file.section(&format!("floats-{number}"), floats)?;
            file.section(&format!("bytes-{number}"), bytes)?;
        }
        file.finish()
    }

    pub fn open(file: &SectionFile, codec: Codec) -> Result<Self> {
        let dim = codec.dim;
        let finite = |name: &str, values: &[f32]| match values.iter().all(|value| value.is_finite())
        {
            true => Ok(values.to_vec()),
            false => Err(file.corrupt(format!("section {name:?} has a number that is not finite"))),
        };
        let factors = |name: &str| {
            let table = finite(name, &file.array_of::<f32>(name, 256)?)?;
            match table.first_chunk() {
                Some(table) if table[0] == 0.0 && table[1] > 0.0 && table.is_sorted() => {
                    Ok(Factors::from_table(table))
                }
                _ => Err(file.corrupt(format!("section {name:?} does not ascend"))),
            }
        };
        let steps = finite("steps", &file.array::<f32>("steps")?)?;
        if steps.is_empty() || steps.len() > 1 << 24 {
            return Err(file.corrupt(format!("{} centroids", steps.len())));
        }
        let bytes = file.array_of::<u8>("centroids", steps.len() * dim)?;
        if bytes.iter().any(|byte| *byte > 127) {
            return Err(file.corrupt("a centroid has a value of more than 7 bits"));
        }
        let mut levels = vec![];
        for (number, kind) in (1..).zip(&codec.levels) {
            let floats = file.array::<f32>(&format!("floats-{number}"))?;
            let bytes = file.array::<u8>(&format!("bytes-{number}"))?;
            let residual = kind.open(dim, &floats, &bytes);
            levels.push(Level {
                residual: residual
                    .ok_or_else(|| file.corrupt(format!("the codec of level {number}")))?,
                lengths: factors(&format!("lengths-{number}"))?,
            });
        }
        let rotation = finite("rotation", &file.array_of::<f32>("rotation", dim * dim)?)?;
        Ok(Self {
            rotation: Rotation::from_matrix(rotation, dim),
            centroids: Centroids::new(dim, bytes.to_vec(), steps),
            units: factors("units")?,
            levels,
            codec,
        })
    }
}

impl Codebook {
    /// Bytes of a token in each column.
    pub fn widths(&self) -> Vec<usize> {
        let columns = self.codec.columns(self.centroids.len());
        columns.into_iter().map(|column| column.width).collect()
    }
}

/// Scales vectors to length 1, and returns the longest length.
fn normalise(vectors: &mut [f32], dim: usize) -> f32 {
    let mut longest = 0.0_f32;
    for vector in vectors.chunks_exact_mut(dim) {
        let length = length(vector);
        longest = longest.max(length);
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
        }
    }
    longest
}

pub fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}
