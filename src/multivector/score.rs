//! MaxSim of a query with a document from its codes. A token stands for
//! `(centroid + length_1 residual_1 + …) unit`; its product with a row is computed in integers, scaled, and
//! added in one order, so that scores are the same on every machine.

use std::ops::Range;

use half::f16;

use super::codebook::Codebook;
use super::codec::Codec;
use super::query::{Query, add_up};
use super::reader::{MultiVectorSegment, number_at};
use crate::error::Result;
use crate::kernels::tokens;

/// Tokens that are decoded together.
const TOGETHER: usize = 32;
/// Bounds are larger than their arithmetic says by this factor, for the rounding of scores.
const SLACK: f32 = 1.0001;

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
    /// The lengths of the rows, once for each token.
    lengths: Vec<i32>,
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
            lengths: query.lengths.repeat(TOGETHER),
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
            true => add_up(
                self.best[..self.query.rows]
                    .iter()
                    .map(|best| f64::from(*best)),
            ),
            false => self.query.total(&self.best),
        }))
    }

    /// No less than the score of a document by the last stage, from its centroids and the lengths of its
    /// residuals; `None` where the last stage has no codes.
    pub fn bound(&mut self, segment: &MultiVectorSegment, document: u32) -> Result<Option<f32>> {
        let Some(last) = self.codebook.levels.len().checked_sub(1) else {
            return Ok(None);
        };
        if self.codebook.codec.halves {
            return Ok(None);
        }
        let tokens = segment.tokens(document)?;
        self.best.fill(f32::NEG_INFINITY);
        for start in tokens.clone().step_by(TOGETHER) {
            let some = start..tokens.end.min(start + TOGETHER);
            let bases = self.centroids(segment, some.clone())?;
            let mut radii = [0.0; TOGETHER];
            for (number, (level, longest)) in self
                .codebook
                .levels
                .iter()
                .zip(segment.longest())
                .enumerate()
            {
                let lengths = segment.column(Codec::level_column(number), some.clone())?;
                for (radius, length) in radii.iter_mut().zip(lengths) {
                    *radius += level.lengths.get(*length) * longest * SLACK;
                }
            }
            let units = units(self.codebook, segment, last, some.clone())?;
            let products = &self.lengths[..some.len() * self.query.lanes()];
            tokens::raise(
                &mut self.best,
                &bases[..some.len()],
                products,
                &radii,
                &units,
            );
        }
        let products = self.best.iter().zip(&self.query.steps);
        let magnitude: f32 = products.map(|(best, step)| (best * step).abs()).sum();
        Ok(Some(
            self.query.total(&self.best) + (SLACK - 1.0) * magnitude,
        ))
    }

    /// For each row, the token that it matches best by the last stage, the first where several are, and
    /// the product.
    pub fn matches(
        &mut self,
        segment: &MultiVectorSegment,
        document: u32,
    ) -> Result<Vec<(usize, f32)>> {
        let tokens = segment.tokens(document)?;
        if tokens.is_empty() || self.query.rows == 0 {
            return Ok(vec![]);
        }
        let last = self.codebook.codec.stages() - 1;
        let mut matches = vec![(0, f32::NEG_INFINITY); self.query.rows];
        for (number, token) in tokens.enumerate() {
            let one = token..token + 1;
            self.best.fill(f32::NEG_INFINITY);
            let by_codes = last < self.codebook.levels.len();
            match by_codes {
                true => self.raise_by_codes(segment, one, last)?,
                false => self.raise_by_halves(segment, one)?,
            }
            let steps = self
                .query
                .steps
                .iter()
                .map(|step| if by_codes { *step } else { 1.0 });
            for ((best, step), found) in self.best.iter().zip(steps).zip(&mut matches) {
                if best * step > found.1 {
                    *found = (number, best * step);
                }
            }
        }
        Ok(matches)
    }

    fn raise_by_codes(
        &mut self,
        segment: &MultiVectorSegment,
        tokens: Range<usize>,
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
                let units = units(self.codebook, segment, stage, tokens)?;
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
        tokens: Range<usize>,
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
        tokens: Range<usize>,
    ) -> Result<()> {
        let Some(rows) = &self.query.floats else {
            return Ok(());
        };
        let values = tokens.len() * rows.dim();
        let bytes = segment.column(self.codebook.codec.halves_column(), tokens.clone())?;
        let halves = &mut self.halves[..values];
        bytemuck::cast_slice_mut(halves).copy_from_slice(bytes);
        tokens::widen(halves, &mut self.floats[..values]);
        let products = bytemuck::cast_slice_mut(&mut self.products[..tokens.len() * rows.lanes()]);
        tokens::float_products(rows, &self.floats[..values], products);
        tokens::raise_floats(&mut self.best, products);
        Ok(())
    }
}

/// What decoded tokens are scaled by.
fn units(
    codebook: &Codebook,
    segment: &MultiVectorSegment,
    level: usize,
    tokens: Range<usize>,
) -> Result<[f32; TOGETHER]> {
    let mut units = [0.0; TOGETHER];
    let bytes = segment.column(Codec::level_column(level) + 1, tokens)?;
    for (unit, byte) in units.iter_mut().zip(bytes) {
        *unit = codebook.units.get(*byte);
    }
    Ok(units)
}
