//! What the documents of an index have: fixed when the index is made, kept in its manifest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::multivector::Codec;
use crate::sketch::Settings;
use crate::storage::keys::KeyKind;
use crate::text::{Analyzer, Bm25};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Kind of the external ids.
    pub ids: KeyKind,
    #[serde(default)]
    pub sparse: Option<SparseSchema>,
    #[serde(default)]
    pub multivector: Option<MultiVectorSchema>,
    /// What the sketches of token vectors are made by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<Settings>,
    /// Kind of each attribute, by name.
    #[serde(default)]
    pub attributes: BTreeMap<String, AttributeKind>,
    /// What texts become vectors by, for each representation: settings that only the encoder understands.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub encoders: BTreeMap<String, Map<String, Value>>,
}

/// Bytes of the settings of all encoders as JSON.
const MOST_SETTINGS: usize = 64 << 10;

/// By measurement; see ARCHITECTURE.md.
pub const DEFAULT_BLOCK_SIZE: u32 = 64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparseSchema {
    /// Kind of the terms.
    pub terms: KeyKind,
    /// The weight that the largest impact stands for; found from the first documents when `None`.
    #[serde(default)]
    pub max_weight: Option<f64>,
    /// How text becomes terms and weights; vectors are given when `None`.
    #[serde(default)]
    pub bm25: Option<Bm25>,
    /// Documents in a block: a power of two from 8 to 256.
    #[serde(default = "default_block_size")]
    pub block_size: u32,
    /// Whether documents are put in an order that helps search; they are found in the same order all the
    /// same.
    #[serde(default = "default_reorder")]
    pub reorder: bool,
    /// Whether weights in 16 bits are kept beside impacts, and put the best documents in order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rescore: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiVectorSchema {
    /// Values of a token vector: a multiple of 8, at most 1,024.
    pub dim: usize,
    /// What a token is stored as, such as `pq16`, `scalar2` or `pq16+f16`.
    pub codec: String,
    /// How many there are; by the number of the first tokens when `None`.
    #[serde(default)]
    pub centroids: Option<usize>,
}

const MOST_DIMENSIONS: usize = 1024;
const MOST_CENTROIDS: usize = 1 << 20;

impl MultiVectorSchema {
    pub fn codec(&self) -> Result<Codec> {
        let dim = self.dim;
        if !(dim.is_multiple_of(8) && (8..=MOST_DIMENSIONS).contains(&dim)) {
            return Err(Error::InvalidInput(format!(
                "dim {dim}: use a multiple of 8 up to {MOST_DIMENSIONS}; pad vectors with zeros, which changes no score"
            )));
        }
        if let Some(centroids) = self.centroids
            && !(1..=MOST_CENTROIDS).contains(&centroids)
        {
            return Err(Error::InvalidInput(format!(
                "{centroids} centroids: use 1 to {MOST_CENTROIDS}"
            )));
        }
        Codec::parse(&self.codec, dim)
    }
}

fn default_block_size() -> u32 {
    DEFAULT_BLOCK_SIZE
}

fn default_reorder() -> bool {
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeKind {
    Keyword,
    Int64,
    Float64,
}

impl AttributeKind {
    pub fn name(self) -> &'static str {
        match self {
            AttributeKind::Keyword => "keyword",
            AttributeKind::Int64 => "int64",
            AttributeKind::Float64 => "float64",
        }
    }
}

impl Schema {
    pub fn from_json(json: &str) -> Result<Self> {
        let schema: Schema = serde_json::from_str(json)
            .map_err(|error| Error::InvalidInput(format!("the schema is not valid: {error}")))?;
        schema.validate()?;
        Ok(schema)
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What token vectors are stored as, if there are any.
    pub fn codec(&self) -> Result<Option<Codec>> {
        self.multivector
            .as_ref()
            .map(MultiVectorSchema::codec)
            .transpose()
    }

    /// Bytes of the code of a sketch, if there are any.
    pub fn sketch_bytes(&self) -> usize {
        let (Some(sketch), Some(multivector)) = (&self.sketch, &self.multivector) else {
            return 0;
        };
        let dimensions = sketch.dimensions(multivector.dim);
        sketch.code().map_or(0, |bits| bits.bytes(dimensions))
    }

    /// How text is made into vectors, if it is.
    pub fn bm25(&self) -> Option<&Bm25> {
        self.sparse.as_ref()?.bm25.as_ref()
    }

    pub fn analyzer(&self) -> Result<Option<Analyzer>> {
        let new = |bm25: &Bm25| Analyzer::new(bm25.language.as_deref(), bm25.stop_words);
        self.bm25().map(new).transpose()
    }

    fn validate_encoders(&self) -> Result<()> {
        for name in self.encoders.keys() {
            let known = match name.as_str() {
                "sparse" => self.sparse.is_some() && self.bm25().is_none(),
                "multivector" => self.multivector.is_some(),
                _ => false,
            };
            if !known {
                return Err(Error::InvalidInput(format!(
                    "encoders: {name:?} is not a representation of this schema that is made by an encoder"
                )));
            }
        }
        let length = serde_json::to_string(&self.encoders).map_or(0, |json| json.len());
        match length > MOST_SETTINGS {
            true => Err(Error::InvalidInput(format!(
                "encoders: {length} bytes of settings; keep them below {MOST_SETTINGS}"
            ))),
            false => Ok(()),
        }
    }

    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidInput(message));
        for name in self.attributes.keys() {
            if name.is_empty() || name.contains('`') || name.len() > 255 {
                return invalid(format!(
                    "attribute name {name:?}: use 1 to 255 bytes and no backquote"
                ));
            }
        }
        self.codec()?;
        self.validate_encoders()?;
        if let Some(sketch) = &self.sketch {
            let Some(multivector) = &self.multivector else {
                return invalid(
                    "a sketch is made of token vectors; add multivector to the schema".into(),
                );
            };
            sketch.validate(multivector.dim)?;
        }
        let Some(sparse) = &self.sparse else {
            return Ok(());
        };
        if let Some(weight) = sparse.max_weight
            && !((weight as f32).is_finite() && weight as f32 > 0.0)
        {
            return invalid(format!(
                "max_weight {weight}: use a positive number below 3.4e38"
            ));
        }
        let block = sparse.block_size;
        if !(block.is_power_of_two() && (8..=256).contains(&block)) {
            return invalid(format!(
                "block_size {block}: use 8, 16, 32, 64, 128 or 256 documents"
            ));
        }
        match &sparse.bm25 {
            Some(_) if sparse.terms != KeyKind::Str => {
                invalid("BM25 makes string terms; set terms to \"str\"".into())
            }
            Some(bm25) => bm25.validate().and_then(|()| self.analyzer().map(drop)),
            None => Ok(()),
        }
    }
}
