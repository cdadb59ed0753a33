//! What the sketches of an index are made by: fixed when the index is made, kept in its manifest.

use serde::{Deserialize, Serialize};

use super::codes::Bits;
use super::fde::Shape;
use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Settings {
    Fde {
        repetitions: usize,
        bits: usize,
        projection: usize,
        /// Whether rows are those of orthogonal bases, or independent of one another.
        orthogonal: bool,
        code_bits: usize,
    },
    Lemur {
        features: usize,
        dimensions: usize,
        code_bits: usize,
    },
}

const MOST_FEATURES: usize = 8192;
/// Rows of matrices fill whole tiles.
const TILE: usize = 16;

impl Settings {
    pub fn validate(&self, dim: usize) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidInput(message));
        self.code()?;
        match self {
            &Self::Fde {
                repetitions,
                bits,
                projection,
                ..
            } => Shape::plain(dim, repetitions, bits, projection).validate(),
            Self::Lemur {
                features,
                dimensions,
                ..
            } => {
                let fits = |value: &usize| value.is_multiple_of(TILE) && *value > 0;
                if !fits(features) || *features > MOST_FEATURES {
                    return invalid(format!(
                        "{features} features: use a multiple of {TILE} up to {MOST_FEATURES}"
                    ));
                }
                if !fits(dimensions) || dimensions > features {
                    return invalid(format!(
                        "{dimensions} dimensions: use a multiple of {TILE} up to the {features} features"
                    ));
                }
                Ok(())
            }
        }
    }

    pub fn code(&self) -> Result<Bits> {
        let (Self::Fde { code_bits, .. } | Self::Lemur { code_bits, .. }) = self;
        let refused = || Error::InvalidInput(format!("code_bits {code_bits}: use 1 or 4"));
        Bits::new(*code_bits).ok_or_else(refused)
    }

    pub fn dimensions(&self, dim: usize) -> usize {
        match *self {
            Self::Lemur { dimensions, .. } => dimensions,
            Self::Fde {
                repetitions,
                bits,
                projection,
                ..
            } => Shape::plain(dim, repetitions, bits, projection).dimensions(),
        }
    }
}
