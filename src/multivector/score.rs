//! MaxSim of a query with a document from its codes. A token stands for
//! `(centroid + length_1 residual_1 + …) unit`; its product with a row is computed in integers, scaled, and
//! added in one order, so that scores are the same on every machine.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::codebook::Codebook;
use super::codec::Codec;
use super::query::Query;
use super::reader::{MultiVectorSegment, number_at};
use crate::error::Result;
use crate::kernels::tokens;

/// Tokens that are decoded together.
const TOGETHER: usize = 32;

pub struct Scorer<'a> {
    codebook: &'a Codebook,
    query: &'a Query,
    decoded: Vec<u8>,
    products: Vec<i32>,
    /// `sums[level][token][lane]`, what the levels so far add up to.
    sums: Vec<f32>,
    floats: Vec<f32>,
    halves: Vec<f16>,
    best: Vec<f32>,
}

impl<'a> Scorer<'a> {
    pub fn new(codebook: &'a Codebook, query: &'a Query) -> Self {
        let (dim, lanes) = (codebook.codec.dim, query.lanes());
        let floats = if codebook.codec.halves {
            TOGETHER * dim
        } else {
            0
        };
        Self {
            decoded: vec![0; TOGETHER * dim],
            products: vec![0; TOGETHER * lanes],
            sums: vec![0.0; codebook.levels.len().saturating_sub(1) * TOGETHER * lanes],
            floats: vec![0.0; floats],
            halves: vec![f16::ZERO; floats],
            best: vec![0.0; lanes],
            codebook,
            query,
        }
    }

    /// The score of a document by the codes up to a stage; `None` where it has no tokens.
    pub fn score(
        &mut self,
        segment: &MultiVectorSegment,
        document: u32,
        stage: usize,
    ) -> Result<Option<f32>> {
        let tokens = segment.tokens(document)?;
        if tokens.is_empty() {
            return Ok(None);
        }
        self.best.fill(f32::NEG_INFINITY);
        for start in tokens.clone().step_by(TOGETHER) {
            let some = start..tokens.end.min(start + TOGETHER);
            match stage < self.codebook.levels.len() {
                true => self.raise_by_codes(segment, some, stage)?,
                false => self.raise_by_halves(segment, some)?,
            }
        }
        let by_halves = stage >= self.codebook.levels.len();
        Ok(Some(match by_halves {
            true => self.best[..self.query.rows]
                .iter()
                .map(|best| f64::from(*best))
                .sum::<f64>() as f32,
            false => self.query.total(&self.best),
        }))
    }

    /// At least the score of a document by the codes of a stage.
    pub fn bound(
        &mut self,
        segment: &MultiVectorSegment,
        document: u32,
        stage: usize,
    ) -> Result<Option<f32>> {
        let _ = (segment, document, stage);
        Ok(None)
    }

    fn raise_by_codes(
        &mut self,
        segment: &MultiVectorSegment,
        tokens: std::ops::Range<usize>,
        stage: usize,
    ) -> Result<()> {
        let (dim, lanes, count) = (self.codebook.codec.dim, self.query.lanes(), tokens.len());
        let mut bases = self.centroids(segment, tokens.clone())?;
        let decoded = &mut self.decoded[..count * dim];
        let products = &mut self.products[..count * lanes];
        let mut sums = &mut self.sums[..];
        for (number, level) in self.codebook.levels[..=stage].iter().enumerate() {
            let column = Codec::level_column(number);
            let lengths = segment.column(column, tokens.clone())?;
            level
                .residual
                .decode(segment.column(column + 2, tokens.clone())?, decoded);
            tokens::products(&self.query.bytes, decoded, products);
            let mut steps = [0.0; TOGETHER];
            for (step, length) in steps.iter_mut().zip(lengths) {
                *step = level.lengths.get(*length) * level.residual.step();
            }
            if number == stage {
                let mut units = [0.0; TOGETHER];
                for (unit, byte) in units
                    .iter_mut()
                    .zip(segment.column(column + 1, tokens.clone())?)
                {
                    *unit = self.codebook.units.get(*byte);
                }
                tokens::raise(&mut self.best, &bases[..count], products, &steps, &units);
                return Ok(());
            }
            let (now, later) = std::mem::take(&mut sums).split_at_mut(TOGETHER * lanes);
            sums = later;
            tokens::add_steps(now, lanes, &bases[..count], products, &steps);
            for (base, sum) in bases.iter_mut().zip(now.chunks_exact(lanes)) {
                *base = sum;
            }
        }
        Ok(())
    }

    /// The products of the centroids of tokens.
    fn centroids<'q>(
        &self,
        segment: &MultiVectorSegment,
        tokens: std::ops::Range<usize>,
    ) -> Result<[&'q [f32]; TOGETHER]>
    where
        'a: 'q,
    {
        let mut rows: [&[f32]; TOGETHER] = [&[]; TOGETHER];
        let numbers = segment
            .column(0, tokens)?
            .chunks_exact(segment.number_width());
        for (row, number) in rows.iter_mut().zip(numbers) {
            let found = self.query.centroid(number_at(number));
            *row = found.ok_or_else(|| segment.file().corrupt("number of a centroid"))?;
        }
        Ok(rows)
    }

    fn raise_by_halves(
        &mut self,
        segment: &MultiVectorSegment,
        tokens: std::ops::Range<usize>,
    ) -> Result<()> {
        let Some(rows) = &self.query.floats else {
            return Ok(());
        };
        let values = tokens.len() * rows.dim();
        let bytes = segment.column(self.codebook.codec.halves_column(), tokens.clone())?;
        let halves = &mut self.halves[..values];
        bytemuck::cast_slice_mut(halves).copy_from_slice(bytes);
        halves.convert_to_f32_slice(&mut self.floats[..values]);
        let products = bytemuck::cast_slice_mut(&mut self.products[..tokens.len() * rows.lanes()]);
        tokens::float_products(rows, &self.floats[..values], products);
        tokens::raise_floats(&mut self.best, products);
        Ok(())
    }
}
