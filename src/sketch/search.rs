//! The documents whose sketches have the largest products with that of a query, by a scan of all codes.

use std::time::Instant;

use fixedbitset::FixedBitSet;

use super::codes::Query;
use super::reader::SketchSegment;
use crate::kernels::sketch::{self, GROUP};
use crate::topk::{Scored, TopK, key};

/// A segment that is searched.
pub struct Part<'a> {
    pub segment: &'a SketchSegment,
    /// Documents that may be found; all when `None`.
    pub eligible: Option<&'a FixedBitSet>,
    /// The insertion ordinal of document `d` is `first_ordinal + d`.
    pub first_ordinal: u64,
}

/// Groups between two looks at the clock.
const STRIDE: usize = 64;

/// Offers every eligible document that has a sketch to `top`, or those reached before the deadline.
pub fn scan(query: &Query, parts: &[Part<'_>], deadline: Option<Instant>, top: &mut TopK) {
    let mut looked_at = 0_usize;
    for part in parts {
        let scales = part.segment.scales().chunks(GROUP);
        for (group, (codes, scales)) in part.segment.groups().zip(scales).enumerate() {
            let first = group * GROUP;
            if !part.has_eligible(first..first + scales.len()) {
                continue;
            }
            if looked_at > 0 && looked_at.is_multiple_of(STRIDE) && is_past(deadline) {
                return;
            }
            looked_at += 1;
            let mut sums = [0; GROUP];
            sketch::add_up(codes, &query.places, &query.tables, &mut sums);
            for (document, (sum, scale)) in (first..).zip(sums.iter().zip(scales)) {
                let score = key(query.product(*sum, *scale));
                if score >= top.floor() && !scale.is_none() && part.is_eligible(document) {
                    top.offer(Scored {
                        score,
                        ordinal: part.first_ordinal + document as u64,
                    });
                }
            }
        }
    }
}

impl Part<'_> {
    fn is_eligible(&self, document: usize) -> bool {
        self.eligible
            .is_none_or(|eligible| eligible.contains(document))
    }

    fn has_eligible(&self, documents: std::ops::Range<usize>) -> bool {
        self.eligible
            .is_none_or(|eligible| eligible.count_ones(documents) > 0)
    }
}

fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
