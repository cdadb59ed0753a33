//! Token vectors back from their codes.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::codebook::Codebook;
use super::codec::Codec;
use super::quantize;
use super::reader::{MultiVectorSegment, number_at};
use crate::error::Result;

/// The vectors of some tokens by the last of their codes, one after the other.
pub fn decode(
    codebook: &Codebook,
    segment: &MultiVectorSegment,
    tokens: Range<usize>,
) -> Result<Vec<f32>> {
    let codec = &codebook.codec;
    if codec.halves {
        let bytes = segment.column(codec.halves_column(), tokens)?;
        let halves: Vec<f16> = bytemuck::allocation::pod_collect_to_vec(bytes);
        let mut values = vec![0.0; halves.len()];
        halves.convert_to_f32_slice(&mut values);
        return Ok(values);
    }
    let mut vectors = Vec::with_capacity(tokens.len() * codec.dim);
    for number in segment
        .column(0, tokens.clone())?
        .chunks_exact(segment.number_width())
    {
        let number = number_at(number);
        if number >= codebook.centroids.len() {
            return Err(segment.file().corrupt("number of a centroid"));
        }
        vectors.extend(codebook.centroids.values(number as u32));
    }
    let mut decoded = vec![0; vectors.len()];
    for (number, level) in codebook.levels.iter().enumerate() {
        let column = Codec::level_column(number);
        let lengths = segment.column(column, tokens.clone())?;
        level
            .residual
            .decode(segment.column(column + 2, tokens.clone())?, &mut decoded);
        let each = vectors
            .chunks_exact_mut(codec.dim)
            .zip(decoded.chunks_exact(codec.dim));
        for ((vector, decoded), length) in each.zip(lengths) {
            let step = level.lengths.get(*length) * level.residual.step();
            let values = vector.iter_mut().zip(decoded);
            values.for_each(|(value, byte)| *value += quantize::level(*byte) * step);
        }
    }
    if let Some(last) = codebook.levels.len().checked_sub(1) {
        let units = segment.column(Codec::level_column(last) + 1, tokens)?;
        for (vector, unit) in vectors.chunks_exact_mut(codec.dim).zip(units) {
            let unit = codebook.units.get(*unit);
            vector.iter_mut().for_each(|value| *value *= unit);
        }
    }
    Ok(codebook.rotation.undo(&vectors))
}
