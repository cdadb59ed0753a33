//! Search by impacts for more documents than are wanted, then their order by weights in 16 bits. What was
//! not looked at is known by its integer score and the most that weights can add to one.

use super::eligible::Slots;
use super::options::{Answer, Options};
use super::query::Query;
use super::segment::Segment;
use super::snapshot::{Hit, Snapshot};
use crate::error::Result;
use crate::sparse::search::{self, Request};
use crate::sparse::{Knobs, QuantizedQuery, Scale};
use crate::topk::{Scored, TopK, key};

/// How many times more documents are looked at when those before prove nothing.
const MORE: usize = 4;
/// Bounds are larger than their arithmetic says by this share, for the rounding of scores.
const ROUNDING: f64 = 1e-6;

/// A query by weights.
pub(super) struct Weighted<'a> {
    query: &'a Query,
    quantized: &'a QuantizedQuery,
    scale: Scale,
    /// What weights add to an integer score at most.
    slack: f64,
}

impl<'a> Weighted<'a> {
    pub(super) fn new(query: &'a Query, quantized: &'a QuantizedQuery, scale: Scale) -> Self {
        Self {
            query,
            quantized,
            scale,
            slack: quantized.slack(&query.weights, scale),
        }
    }
}

/// Of the best documents by impacts, those that are looked at first.
fn first(k: usize) -> usize {
    k.saturating_add(k.max(16))
}

impl Snapshot {
    /// As `search_one`, for an index that keeps weights. Proves its answer by looking at more and more
    /// documents, unless knobs or the deadline leave some out.
    pub(super) fn search_weights(
        &self,
        weighted: &Weighted<'_>,
        k: usize,
        options: &Options,
        request: &Request,
        eligible: &[Slots<'_>],
    ) -> Result<Answer> {
        let Weighted {
            query,
            quantized,
            slack,
            ..
        } = weighted;
        let parts = self.parts(query, quantized, eligible);
        let least = options.min_score.map_or(0, |least| {
            quantized
                .at_least((f64::from(least) * (1.0 - ROUNDING) - slack * (1.0 + ROUNDING)) as f32)
        });
        let mut wanted = first(k);
        loop {
            let mut found = TopK::new(wanted, least);
            let left_out = search::search(&parts, request, &mut found)?;
            let full = found.is_full();
            let found = found.into_sorted();
            let worst = found.last().filter(|_| full).map_or(0, |worst| worst.score);
            let answer = self.by_weights(weighted, found, k, left_out.max(worst), options)?;
            let may_prove = left_out == 0 && request.knobs == Knobs::default();
            if answer.exact || !may_prove || wanted >= self.len() as usize {
                return Ok(answer);
            }
            wanted = wanted.saturating_mul(MORE);
        }
    }

    /// The best `k` of the documents found; others have an integer score of `rest` at most.
    fn by_weights(
        &self,
        weighted: &Weighted<'_>,
        found: Vec<Scored>,
        k: usize,
        rest: u32,
        options: &Options,
    ) -> Result<Answer> {
        let mut top = TopK::new(k, options.min_score.map_or(0, key));
        let mut rows = Rows::new(self, weighted);
        for scored in found {
            let Hit {
                segment, document, ..
            } = self.hit(scored.ordinal, 0.0);
            top.offer(Scored {
                score: key(rows.score(segment, document)?),
                ordinal: scored.ordinal,
            });
        }
        let answer = self.answer(top, true);
        let worst = answer.bound;
        let bound = match rest {
            0 => f64::NEG_INFINITY,
            _ => (weighted.quantized.unrounded(rest) + weighted.slack) * (1.0 + ROUNDING),
        };
        let least = worst.max(options.min_score.unwrap_or(f32::NEG_INFINITY));
        let exact = bound < f64::from(least) || rest == 0;
        Ok(Answer {
            exact,
            bound: if exact {
                worst.max(0.0)
            } else {
                bound.max(worst.into()) as f32
            },
            ..answer
        })
    }
}

/// Scores documents from their rows.
struct Rows<'a> {
    weighted: &'a Weighted<'a>,
    segments: &'a [Segment],
    /// The weights of the query's terms by their number, ascending; of each segment once it is needed.
    terms: Vec<Option<Vec<(u32, f32)>>>,
}

impl<'a> Rows<'a> {
    fn new(snapshot: &'a Snapshot, weighted: &'a Weighted<'a>) -> Self {
        Self {
            weighted,
            segments: &snapshot.segments,
            terms: vec![None; snapshot.segments.len()],
        }
    }

    fn score(&mut self, segment: u32, document: u32) -> Result<f32> {
        let Some(sparse) = &self.segments[segment as usize].sparse else {
            return Ok(0.0);
        };
        let weighted = self.weighted;
        let terms = self.terms[segment as usize].get_or_insert_with(|| {
            let each = weighted.query.terms.iter().zip(&weighted.query.weights);
            let counted = each
                .zip(&weighted.quantized.weights)
                .filter(|(_, weight)| **weight > 0);
            let numbered = counted
                .filter_map(|((term, given), _)| Some((sparse.find(term.as_key())?, *given)));
            let mut terms: Vec<(u32, f32)> = numbered.collect();
            terms.sort_unstable_by_key(|(number, _)| *number);
            terms
        });
        let mut terms = terms.iter().peekable();
        let mut score = 0.0;
        for (number, steps) in sparse.weighted_row(document)? {
            while terms.next_if(|(term, _)| *term < number).is_some() {}
            if let Some((_, given)) = terms.next_if(|(term, _)| *term == number) {
                score += f64::from(*given) * f64::from(weighted.scale.weight(steps));
            }
        }
        Ok(score as f32)
    }
}
