//! Weights as integers. A document weight becomes an 8-bit impact with one scale for the whole index;
//! query weights become integers of at most 14 bits, so that a score is an exact sum in 32 bits. On
//! SPLADE-like vectors the top 10 keep .997 of those of float weights.

use half::f16;

use crate::error::{Error, Result};

const LARGEST_IMPACT: f64 = 255.0;
const LARGEST_QUERY_WEIGHT: u32 = 16_383;

/// The scale of an index: the weight that the largest impact stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    max_weight: f32,
}

impl Scale {
    pub fn new(max_weight: f32) -> Self {
        Self { max_weight }
    }

    /// Room for somewhat larger weights in later documents.
    pub fn for_observed(largest: f32) -> Self {
        Self::new((largest * 1.25).min(f32::MAX))
    }

    pub fn max_weight(&self) -> f32 {
        self.max_weight
    }

    /// The weight that one step of an impact stands for.
    pub fn step(&self) -> f64 {
        f64::from(self.max_weight) / LARGEST_IMPACT
    }

    /// The nearest impact, at least 1 so that a posting never vanishes.
    pub fn impact(&self, weight: f32) -> u8 {
        let steps = (f64::from(weight) / self.step()).round_ties_even();
        steps.clamp(1.0, LARGEST_IMPACT) as u8
    }

    /// The weight in steps, clipped as the impact is.
    pub fn steps(&self, weight: f32) -> f16 {
        f16::from_f64((f64::from(weight) / self.step()).min(LARGEST_IMPACT))
    }

    /// True when `weight` is above what the scale can express.
    pub fn clips(&self, weight: f32) -> bool {
        weight > self.max_weight
    }

    /// What steps, of an impact or finer, stand for; those of a damaged file are no further off than impacts
    /// can be.
    pub fn weight(&self, steps: f16) -> f32 {
        let steps = f64::from(steps);
        let steps = if steps > 0.0 {
            steps.min(LARGEST_IMPACT)
        } else {
            0.0
        };
        (steps * self.step()) as f32
    }
}

/// No weight in 16 bits is further above its impact: half a step and the rounding of the largest.
const LARGEST_DIFFERENCE: f64 = 0.5 + LARGEST_IMPACT / 2048.0;

/// Integer weights of a query and what one unit of the integer score is worth.
#[derive(Clone, Debug)]
pub struct QuantizedQuery {
    /// In the order given; 0 for terms too light to count.
    pub weights: Vec<u32>,
    unit: f64,
}

impl QuantizedQuery {
    /// `weights` are finite and not negative.
    pub fn new(weights: &[f32], scale: Scale) -> Result<Self> {
        let terms = weights.iter().filter(|&&weight| weight > 0.0).count() as u64;
        let largest = weights.iter().copied().fold(0.0, f32::max);
        // The sum of `terms` products of a query weight and an impact stays below 2^32.
        let room = u64::from(u32::MAX) / (255 * terms.max(1));
        let levels = LARGEST_QUERY_WEIGHT.min(room as u32);
        if levels == 0 {
            return Err(Error::InvalidInput(format!(
                "a query of {terms} terms is too long to score; keep the heaviest 16 million"
            )));
        }
        let quantize = |&weight: &f32| match largest > 0.0 {
            true => query_level(weight, largest, levels),
            false => 0,
        };
        Ok(Self {
            weights: weights.iter().map(quantize).collect(),
            unit: scale.step() * f64::from(largest) / f64::from(levels),
        })
    }

    /// A score in the units of the weights.
    pub fn score(&self, score: u32) -> f32 {
        self.unrounded(score) as f32
    }

    pub fn unrounded(&self, score: u32) -> f64 {
        f64::from(score) * self.unit
    }

    /// The least integer score that is worth `score` or more; the largest integer if there is none.
    pub fn at_least(&self, score: f32) -> u32 {
        let mut least = (f64::from(score) / self.unit).clamp(0.0, f64::from(u32::MAX)) as u32;
        while least > 0 && self.score(least - 1) >= score {
            least -= 1;
        }
        while least < u32::MAX && self.score(least) < score {
            least += 1;
        }
        least
    }

    /// A score by weights in 16 bits and by `given`, those that the query was made from, is higher than the
    /// integer score by no more than this.
    pub fn slack(&self, given: &[f32], scale: Scale) -> f64 {
        let each = given
            .iter()
            .zip(&self.weights)
            .filter(|(_, weight)| **weight > 0);
        let steps = each.map(|(given, weight)| {
            let rounded = f64::from(*weight) * self.unit / scale.step();
            (f64::from(*given) - rounded).max(0.0) * LARGEST_IMPACT + rounded * LARGEST_DIFFERENCE
        });
        steps.sum::<f64>() * scale.step()
    }

    /// A query weight in the units given, after rounding.
    pub fn weight(&self, weight: u32, scale: Scale) -> f32 {
        (f64::from(weight) * self.unit / scale.step()) as f32
    }
}

fn query_level(weight: f32, largest: f32, levels: u32) -> u32 {
    (f64::from(weight) * f64::from(levels) / f64::from(largest)).round_ties_even() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn impacts_clip_and_never_wrap() {
        let scale = Scale::new(255.0);
        let impacts = [0.1, 1.0, 254.5, 255.0, 256.0, 310.0, 1e6, f32::MAX];
        assert_eq!(
            impacts.map(|weight| scale.impact(weight)),
            [1, 1, 254, 255, 255, 255, 255, 255]
        );
        assert!(!scale.clips(255.0) && scale.clips(255.1));
    }

    #[test]
    fn extreme_scales_stay_finite() {
        for largest in [f32::MIN_POSITIVE, 1e-45, f32::MAX] {
            let scale = Scale::for_observed(largest);
            assert!(scale.step() > 0.0 && scale.weight(255_u8.into()).is_finite());
            assert!((1..=255).contains(&scale.impact(largest)));
        }
    }

    #[test]
    fn scores_never_overflow() {
        for terms in [1, 64, 1028, 1029, 10_000, 1_000_000] {
            let query = QuantizedQuery::new(&vec![1.0; terms], Scale::new(1.0)).unwrap();
            let largest: u64 = query.weights.iter().map(|&w| 255 * u64::from(w)).sum();
            assert!(largest <= u64::from(u32::MAX), "{terms} terms");
            let score = query.score(largest as u32);
            assert!(
                (score / terms as f32 - 1.0).abs() < 1e-5,
                "{terms} terms: {score}"
            );
        }
    }

    proptest! {
        #[test]
        fn weights_add_no_more_than_the_slack(
            postings in prop::collection::vec((0.0_f32..10.0, 1e-3_f32..11.0), 1..40),
        ) {
            let (given, weights): (Vec<f32>, Vec<f32>) = postings.into_iter().unzip();
            let scale = Scale::new(10.0);
            let query = QuantizedQuery::new(&given, scale).unwrap();
            let counted = given.iter().zip(&weights).zip(&query.weights).filter(|(_, level)| **level > 0);
            let (mut integer, mut float) = (0, 0.0);
            for ((given, weight), level) in counted {
                integer += level * u32::from(scale.impact(*weight));
                float += f64::from(*given) * f64::from(scale.weight(scale.steps(*weight)));
            }
            let bound = (query.unrounded(integer) + query.slack(&given, scale)) * (1.0 + 1e-6);
            prop_assert!(float <= bound, "{float} above {bound}");
        }

        #[test]
        fn an_impact_is_within_half_a_step(weight in 0.02_f32..10.0) {
            let scale = Scale::new(10.0);
            let back = f64::from(scale.weight(scale.impact(weight).into()));
            prop_assert!((back - f64::from(weight)).abs() <= scale.step() * 0.5001);
        }
    }
}
