//! What is left of a token vector when its centroid is taken away, in few bytes. A codec works on
//! residuals of length 1, rotated, and decodes to 7-bit values of one step for all, which kernels
//! multiply as they are.

use super::product::Product;
use super::scalar::Scalar;
use crate::error::{Error, Result};

/// A codec of residuals.
pub trait Residual: Send + Sync {
    /// Bytes of a code.
    fn width(&self) -> usize;
    /// What a decoded value of 1 stands for.
    fn step(&self) -> f32;
    /// Writes the codes of `residuals`, vectors one after the other.
    fn encode(&self, residuals: &[f32], codes: &mut [u8]);
    /// Writes the values of the codes, plus the bias of tokens.
    fn decode(&self, codes: &[u8], tokens: &mut [u8]);
    /// What the codec is made of, for a file: floats and bytes.
    fn parts(&self) -> (&[f32], &[u8]);
}

/// The name of a codec of residuals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// So many sub-vectors, each the nearest of 256 codewords.
    Product(usize),
    /// So many bits for each value.
    Scalar(usize),
}

impl Kind {
    pub fn parse(name: &str, dim: usize) -> Result<Self> {
        let digits = |prefix: &str| name.strip_prefix(prefix)?.parse::<usize>().ok();
        match (digits("pq"), digits("scalar")) {
            (Some(parts), _) if parts > 0 && dim.is_multiple_of(parts) => Ok(Self::Product(parts)),
            (Some(parts), _) => Err(Error::InvalidInput(format!(
                "codec {name:?}: {dim} dimensions do not divide into {parts} parts of equal size"
            ))),
            (None, Some(bits @ 1..=4)) => Ok(Self::Scalar(bits)),
            _ => Err(Error::InvalidInput(format!(
                "codec {name:?} is unknown; use pq16, pq32 (any number of parts), scalar1 to scalar4 or f16, \
                 or two of them as in \"pq16+f16\""
            ))),
        }
    }

    /// Bytes of a code.
    pub fn width(self, dim: usize) -> usize {
        match self {
            Self::Product(parts) => parts,
            Self::Scalar(bits) => dim / 8 * bits,
        }
    }

    /// Learns from residuals of length 1.
    pub fn train(self, sample: &[f32], dim: usize, seed: u64) -> Box<dyn Residual> {
        match self {
            Self::Product(parts) => Box::new(Product::train(sample, dim, parts, seed)),
            Self::Scalar(bits) => Box::new(Scalar::train(sample, dim, bits)),
        }
    }

    /// Makes a codec of the parts that it was saved as; `None` where they do not fit.
    pub fn open(self, dim: usize, floats: &[f32], bytes: &[u8]) -> Option<Box<dyn Residual>> {
        if !floats.iter().all(|value| value.is_finite()) || bytes.iter().any(|byte| *byte > 127) {
            return None;
        }
        match self {
            Self::Product(parts) => {
                let codec = Product::open(dim, parts, floats, bytes)?;
                Some(Box::new(codec))
            }
            Self::Scalar(bits) => Some(Box::new(Scalar::open(dim, bits, floats, bytes)?)),
        }
    }
}
