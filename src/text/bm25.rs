//! temporary
use crate::error::Result;
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bm25 {
    pub k1: f64,
    pub b: f64,
    pub language: Option<String>,
    pub stop_words: bool,
    pub average_length: Option<f64>,
}
impl Bm25 {
    pub fn validate(&self) -> Result<()> {
        Ok(())
    }
    pub fn document_weight(&self, tf: u32, length: u32, average: f64) -> f32 {
        let tf = f64::from(tf);
        (tf * (self.k1 + 1.0)
            / (tf + self.k1 * (1.0 - self.b + self.b * f64::from(length) / average))) as f32
    }
    pub fn max_weight(&self) -> f32 {
        (self.k1 + 1.0) as f32
    }
    pub fn idf(&self, documents: u64, df: u64) -> f64 {
        let (n, df) = (documents as f64, df as f64);
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
    }
}
