//! How to search, and what an answer says of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::snapshot::{Hit, Snapshot};
use crate::error::{Error, Result};
use crate::multivector::search::Effort;
use crate::sparse::{Knobs, Plan};

/// Cells that are looked into when no operating point has enough recall.
const MOST_PROBES: usize = 256;

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
    /// For queries with token vectors.
    pub late: Late,
}

/// How to search token vectors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Late {
    /// Whether every document is looked at.
    pub exact: bool,
    /// Documents scored by token vectors; by `k` when `None`.
    pub candidates: Option<usize>,
    /// Cells that each row of a query looks into; by `k` when `None`.
    pub probes: Option<usize>,
    /// Where candidates come from. When `None`, from sparse vectors where the query has some, else from
    /// sketches, else from cells.
    pub source: Option<Source>,
    /// How the scores of both are joined; candidates are ordered by their token vectors alone when `None`.
    pub fuse: Option<Fuse>,
}

/// Where the documents come from that are scored by token vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The best by sparse vectors.
    Sparse,
    /// The cells of the centroids of token vectors.
    Centroids,
    /// The sketches of token vectors.
    Sketch,
    /// The best by sparse vectors, and those that would be found without.
    Both,
}

/// How the scores by sparse and token vectors are joined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fuse {
    /// The sum of `1 / (60 + rank)` (Cormack, Clarke and Büttcher, 2009).
    Rrf,
    /// The sum of scores with these weights.
    Weights { sparse: f32, multivector: f32 },
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
            late: Late::default(),
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

/// An effort that was measured to find the share `recall` of the exact best `k` by token vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffortPoint {
    pub k: usize,
    pub recall: f32,
    pub probes: usize,
    pub candidates: usize,
}

impl EffortPoint {
    pub fn validate(&self) -> Result<()> {
        let counts = self.k > 0 && self.probes > 0 && self.candidates > 0;
        match counts && self.recall > 0.0 && self.recall <= 1.0 {
            true => Ok(()),
            false => Err(Error::InvalidInput(format!(
                "{self:?}: counts are at least 1; recall is above 0 and at most 1"
            ))),
        }
    }
}

impl Snapshot {
    /// How much to look at: as `Late` says, or by `target_recall` as the operating points were measured,
    /// or by `k`.
    pub(super) fn effort(&self, options: &Options) -> Result<Effort> {
        let measured = match options.target_recall {
            Some(target) if !options.late.exact => Some(self.measured_effort(options.k, target)?),
            _ => None,
        };
        let effort = measured.unwrap_or(Effort::for_hits(options.k));
        Ok(Effort {
            probes: options.late.probes.unwrap_or(effort.probes),
            candidates: options.late.candidates.unwrap_or(effort.candidates),
        })
    }

    fn measured_effort(&self, k: usize, target: f32) -> Result<Effort> {
        let points = || self.content.effort_points.iter();
        let sufficient = points().map(|point| point.k).filter(|known| *known >= k);
        let known = sufficient.min().or(points().map(|point| point.k).max());
        let known = known.ok_or_else(|| {
            Error::InvalidInput(
                "target_recall needs an index that was tuned; call tune() once".into(),
            )
        })?;
        let fitting = points().filter(|point| point.k == known && point.recall >= target);
        let point = fitting.min_by(|a, b| a.recall.total_cmp(&b.recall));
        Ok(point.map_or(
            Effort {
                probes: MOST_PROBES,
                candidates: usize::MAX,
            },
            |point| Effort {
                probes: point.probes,
                candidates: point.candidates,
            },
        ))
    }

    pub fn effort_points(&self) -> &[EffortPoint] {
        &self.content.effort_points
    }

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
