//! Documents worth scoring, by centroids alone. First by the cells that the rows of a query look into: a
//! document gains, for each row, what the best of its cells there scores above the best cell that was
//! not looked into. Then, of the documents that gained most, by the best centroid of all their tokens.

use std::cell::RefCell;
use std::ops::Range;

use super::cells::WINDOW;
use super::query::Query;
use super::reader::MultiVectorSegment;
use super::search::Part;
use crate::error::Result;
use crate::kernels::tokens;

/// A document of a part, with a score by centroids.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub score: f32,
    pub part: u32,
    pub document: u32,
}

/// The cells that one row looks into, best first, and the score of the best one that it does not.
struct Probes {
    cells: Vec<(f32, u32)>,
    next: f32,
}

/// How many times more cells are looked into when there were too few candidates.
const WIDER: usize = 4;
/// Centroids whose best is looked at before they are.
const BLOCK: usize = 64;

/// The best `count` centroids for each row.
fn probes(query: &Query, count: usize) -> Vec<Probes> {
    let lanes = query.lanes();
    let blocks = query.centroid_scores.chunks(BLOCK * lanes);
    let mut maxima = vec![f32::NEG_INFINITY; blocks.len() * lanes];
    for (scores, maxima) in blocks.zip(maxima.chunks_exact_mut(lanes)) {
        tokens::raise_floats(maxima, scores);
    }
    (0..query.rows)
        .map(|row| Probes::of_row(query, &maxima, row, count))
        .collect()
}

impl Probes {
    /// `maxima` are those of each block of centroids; the best centroids are in the blocks with the best
    /// maxima.
    fn of_row(query: &Query, maxima: &[f32], row: usize, count: usize) -> Self {
        let lanes = query.lanes();
        let column = |values: &[f32], numbers: Range<usize>| -> Vec<(f32, u32)> {
            let score = |number: usize| (values[number * lanes + row], number as u32);
            numbers.map(score).collect()
        };
        let mut blocks = column(maxima, 0..maxima.len() / lanes);
        keep_largest(&mut blocks, count + 1);
        let centroids = query.centroid_scores.len() / lanes;
        let in_block = |(_, block): &(f32, u32)| {
            let first = *block as usize * BLOCK;
            column(&query.centroid_scores, first..centroids.min(first + BLOCK))
        };
        let mut cells: Vec<(f32, u32)> = blocks.iter().flat_map(in_block).collect();
        keep_largest(&mut cells, count + 1);
        cells.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let next = match cells.len() > count {
            true => cells.pop(),
            false => cells.last().copied(),
        };
        Self {
            cells,
            next: next.map_or(0.0, |(score, _)| score),
        }
    }
}

/// Keeps the `count` largest, in any order.
fn keep_largest(scored: &mut Vec<(f32, u32)>, count: usize) {
    if scored.len() > count {
        scored.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.truncate(count);
    }
}

/// Memory that a thread keeps from query to query; gains are zero between searches.
#[derive(Default)]
struct Scratch {
    gains: Vec<Gain>,
    touched: Vec<u32>,
    table: Vec<u8>,
}

/// What a document has gained so far, and the row it gained from last, counted from 1.
#[derive(Clone, Copy, Default)]
struct Gain {
    score: f32,
    row: u32,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The best candidates of all parts, best first: of the `gathered` documents that their cells speak for
/// most, the `kept` whose centroids are best. Every row looks into `probed` cells, and into more where
/// these hold too few documents that may be found.
pub fn find(
    query: &Query,
    parts: &[Part<'_>],
    probed: usize,
    gathered: usize,
    kept: usize,
) -> Result<Vec<Candidate>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let centroids = query.centroid_scores.len() / query.lanes().max(1);
        let reachable = parts.iter().any(|part| part.segment.cells().is_some());
        let mut candidates = vec![];
        let mut probed = probed.clamp(1, centroids.max(1));
        loop {
            let probes = probes(query, probed);
            for (number, part) in (0..).zip(parts) {
                gather(query, &probes, part, number, scratch, &mut candidates);
            }
            if candidates.len() >= kept || probed >= centroids || !reachable {
                break;
            }
            candidates.clear();
            probed = probed.saturating_mul(WIDER).min(centroids);
        }
        keep_best(&mut candidates, gathered);
        for (number, part) in (0..)
            .zip(parts)
            .filter(|(_, part)| part.segment.cells().is_none())
        {
            candidates.extend(part.documents().map(|document| Candidate {
                score: 0.0,
                part: number,
                document,
            }));
        }
        score(query, parts, scratch, &mut candidates)?;
        keep_best(&mut candidates, kept);
        candidates.sort_unstable_by(order);
        Ok(candidates)
    })
}

/// Of documents that come best first, those with the best centroids, best first.
pub fn keep_by_centroids(
    query: &Query,
    parts: &[Part<'_>],
    mut found: Vec<Candidate>,
    kept: usize,
) -> Result<Vec<Candidate>> {
    SCRATCH.with_borrow_mut(|scratch| score(query, parts, scratch, &mut found))?;
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(kept);
    Ok(found)
}

/// Scores candidates by the best centroid of all their tokens for each row.
fn score(
    query: &Query,
    parts: &[Part<'_>],
    scratch: &mut Scratch,
    candidates: &mut [Candidate],
) -> Result<()> {
    let scale = fill_table(query, &mut scratch.table);
    let mut best = vec![0; query.lanes()];
    for candidate in candidates {
        let segment = parts[candidate.part as usize].segment;
        let score = by_centroids(segment, candidate.document, &scratch.table, &mut best)?;
        candidate.score = scale * score as f32;
    }
    Ok(())
}

/// Better candidates first.
pub fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.score
        .total_cmp(&a.score)
        .then((a.part, a.document).cmp(&(b.part, b.document)))
}

/// The best `count` of the candidates, in any order.
pub fn keep_best(candidates: &mut Vec<Candidate>, count: usize) {
    if candidates.len() > count {
        candidates.select_nth_unstable_by(count, order);
        candidates.truncate(count);
    }
}

fn gather(
    query: &Query,
    probes: &[Probes],
    part: &Part<'_>,
    number: u32,
    scratch: &mut Scratch,
    candidates: &mut Vec<Candidate>,
) {
    let Some(cells) = part.segment.cells() else {
        return;
    };
    for window in 0..cells.windows() {
        let first = window * WINDOW;
        let documents = (part.segment.documents() as usize - first).min(WINDOW);
        scratch
            .gains
            .resize(scratch.gains.len().max(documents), Gain::default());
        let gains = &mut scratch.gains[..documents];
        for (row, (probes, step)) in (1..).zip(probes.iter().zip(&query.steps)) {
            for &(score, cell) in &probes.cells {
                let more = (score - probes.next) * step;
                for &document in cells.documents(window, cell) {
                    let Some(gain) = gains.get_mut(usize::from(document)) else {
                        continue;
                    };
                    if gain.row != row {
                        if gain.row == 0 {
                            scratch.touched.push(u32::from(document));
                        }
                        gain.row = row;
                        gain.score += more;
                    }
                }
            }
        }
        for document in scratch.touched.drain(..) {
            let gain = std::mem::take(&mut gains[document as usize]);
            let document = first as u32 + document;
            if part.is_eligible(document) {
                candidates.push(Candidate {
                    score: gain.score,
                    part: number,
                    document,
                });
            }
        }
    }
}

/// The scores of all centroids in bytes, from 0 for 0 and less to 255 for the highest; returns the score
/// of 1.
fn fill_table(query: &Query, table: &mut Vec<u8>) -> f32 {
    let lanes = query.lanes();
    let mut highest = vec![f32::NEG_INFINITY; lanes];
    tokens::raise_floats(&mut highest, &query.centroid_scores);
    let products = highest
        .iter()
        .zip(&query.steps)
        .map(|(score, step)| score * step);
    let unit = products.fold(f32::MIN_POSITIVE, f32::max) / 255.0;
    let mut factors: Vec<f32> = query.steps.iter().map(|step| step / unit).collect();
    factors.resize(lanes, 0.0);
    table.resize(query.centroid_scores.len(), 0);
    tokens::to_bytes(&query.centroid_scores, &factors, table);
    unit
}

fn by_centroids(
    segment: &MultiVectorSegment,
    document: u32,
    table: &[u8],
    best: &mut [u8],
) -> Result<u32> {
    best.fill(0);
    let numbers = segment.column(0, segment.tokens(document)?)?;
    match segment.number_width() {
        2 => tokens::raise_bytes(best, table, numbers.as_chunks::<2>().0),
        _ => tokens::raise_bytes(best, table, numbers.as_chunks::<3>().0),
    }
    Ok(best.iter().map(|best| u32::from(*best)).sum())
}
