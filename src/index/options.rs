//! How to search, and what an answer says of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::snapshot::{Hit, Snapshot};
use crate::error::{Error, Result};
use crate::sparse::{Knobs, Plan};

/// By default the exact 10 best.
#[derive(Clone, Debug)]
pub struct Options {
    /// Hits for each query.
    pub k: usize,
    pub knobs: Knobs,
    /// Takes the knobs from the operating points of the index.
    pub target_recall: Option<f32>,
    /// Documents below are not hits.
    pub min_score: Option<f32>,
    /// What is found by then is returned.
    pub deadline: Option<Duration>,
    /// The cheapest for each query and segment when `None`.
    pub plan: Option<Plan>,
    /// 0 for one on each processor.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            k: 10,
            knobs: Knobs::default(),
            target_recall: None,
            min_score: None,
            deadline: None,
            plan: None,
            threads: 0,
        }
    }
}

/// The hits of one query, best first.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub hits: Vec<Hit>,
    /// Whether these are proven to be the best.
    pub exact: bool,
    /// No document that is not among the hits scores higher.
    pub bound: f32,
}

/// Knobs that were measured to find the share `recall` of the exact best `k`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    pub k: usize,
    pub recall: f32,
    pub alpha: f32,
    pub beta: f32,
    pub gamma: usize,
}

impl OperatingPoint {
    pub fn validate(&self) -> Result<()> {
        match self.k > 0 && self.recall > 0.0 && self.recall <= 1.0 {
            true => self.knobs().validate(),
            false => Err(Error::InvalidInput(format!(
                "{self:?}: k is at least 1; recall is above 0 and at most 1"
            ))),
        }
    }

    fn knobs(&self) -> Knobs {
        Knobs {
            alpha: self.alpha,
            beta: self.beta,
            gamma: self.gamma,
        }
    }
}

impl Snapshot {
    pub fn operating_points(&self) -> &[OperatingPoint] {
        &self.content.operating_points
    }

    /// The knobs to search with: of the points for the least sufficient `k`, or else the largest, the
    /// one of least sufficient recall; exact search where none has enough.
    pub(super) fn knobs(&self, options: &Options) -> Result<Knobs> {
        let Some(target) = options.target_recall else {
            options.knobs.validate()?;
            return Ok(options.knobs);
        };
        let points = || self.operating_points().iter();
        let sufficient = points().map(|point| point.k).filter(|k| *k >= options.k);
        let k = sufficient.min().or(points().map(|point| point.k).max());
        let k = k.ok_or_else(|| {
            Error::InvalidInput(
                "target_recall needs an index that was tuned; call tune() once".into(),
            )
        })?;
        let fitting = points().filter(|point| point.k == k && point.recall >= target);
        let point = fitting.min_by(|a, b| a.recall.total_cmp(&b.recall));
        Ok(point.map_or(Knobs::default(), OperatingPoint::knobs))
    }
}
