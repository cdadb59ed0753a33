//! Joining adjacent segments into one, which keeps insertion order: when to (`by_tiers`, `down_to`) and
//! how (`write`).

use std::ops::Range;

use half::f16;

use super::attributes::write_attributes;
use super::ids::write_ids;
use super::segment::{Segment, SegmentEntry};
use super::writer::Writer;
use crate::error::Result;
use crate::multivector::writer as token_writer;
use crate::multivector::{Codebook, decode};
use crate::pool::Interrupt;
use crate::sketch::Sketcher;
use crate::sketch::writer::{self as sketch_writer, Coded};
use crate::sparse::merge::{DocumentMap, Merge};
use crate::sparse::writer as sparse_writer;
use crate::storage::MAX_FILE_LENGTH;
use crate::storage::manifest::FileEntry;
use crate::storage::section::SectionWriter;

/// What the policy knows of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub live: u32,
    pub deleted: u32,
    pub bytes: u64,
}

/// This many adjacent segments of a tier become one of the next tier.
const FAN_IN: usize = 8;
/// Segments of up to so many documents are of the lowest tier.
const LOWEST_TIER: u32 = 1024;

/// The next merge that keeps the number of segments logarithmic in the number of documents: a segment
/// of which more than half is deleted, or `FAN_IN` neighbours of one tier or below.
pub fn by_tiers(sizes: &[Size]) -> Option<Range<usize>> {
    if let Some(position) = sizes.iter().position(|size| size.deleted > size.live) {
        return Some(position..position + 1);
    }
    let tiers: Vec<u32> = sizes.iter().map(|size| tier(size.live)).collect();
    let highest = tiers.iter().copied().max().unwrap_or(0);
    (0..=highest).find_map(|tier| {
        let windows = tiers.windows(FAN_IN);
        let fits = |start: usize| total(&sizes[start..start + FAN_IN]) <= MAX_FILE_LENGTH;
        let mut starts = windows
            .enumerate()
            .filter(|(_, w)| w.iter().all(|t| *t <= tier));
        let (start, _) = starts.find(|(start, _)| fits(*start))?;
        Some(start..start + FAN_IN)
    })
}

fn tier(live: u32) -> u32 {
    live.max(LOWEST_TIER)
        .div_ceil(LOWEST_TIER)
        .ilog(FAN_IN as u32)
}

fn total(sizes: &[Size]) -> u64 {
    sizes.iter().map(|size| size.bytes).sum()
}

/// The next merge on the way to `max_segments` segments without deleted documents.
pub fn down_to(sizes: &[Size], max_segments: usize) -> Option<Range<usize>> {
    let surplus = sizes.len().saturating_sub(max_segments);
    for length in (2..=surplus + 1).rev() {
        let windows = sizes.windows(length).map(total).enumerate();
        let fitting = windows.filter(|(_, bytes)| *bytes <= MAX_FILE_LENGTH);
        if let Some((start, _)) = fitting.min_by_key(|(_, bytes)| *bytes) {
            return Some(start..start + length);
        }
    }
    let position = sizes.iter().position(|size| size.deleted > 0);
    position.map(|position| position..position + 1)
}

/// Writes the live documents of `segments` as one; `None` when there are none. Token vectors that the
/// codebook `recode_from` coded are coded anew.
pub fn write(
    writer: &Writer,
    segments: &[Segment],
    recode_from: Option<&Codebook>,
) -> Result<Option<Segment>> {
    let (vfs, schema) = (&*writer.vfs, &writer.schema);
    let parts = segments
        .iter()
        .map(|s| (s.entry.documents, s.deleted.documents()));
    let map = DocumentMap::new(parts);
    let documents = map.origins.len();
    if documents == 0 {
        return Ok(None);
    }
    let origin = |document: usize| {
        let (segment, document) = map.origins[document];
        (&segments[segment as usize], document)
    };
    let mut entry = writer.next_entry(documents as u32);
    let mut files = vec![];

    let mut file = SectionWriter::create(vfs, &entry.file_name("ids"), writer.index)?;
    write_ids(&mut file, schema.ids, documents, |document| {
        let (segment, document) = origin(document);
        segment.ids.get(document)
    })?;
    files.push(file.finish()?);

    let mut file = SectionWriter::create(vfs, &entry.file_name("attributes"), writer.index)?;
    write_attributes(&mut file, schema, documents, |name, document| {
        let (segment, document) = origin(document);
        segment.attributes.column(name)?.get(document as usize)
    })?;
    files.push(file.finish()?);

    if let Some(sparse) = &schema.sparse {
        let parts = segments
            .iter()
            .filter_map(|segment| segment.sparse.as_ref());
        let source = Merge::new(parts.collect(), &map, &writer.interrupt)?;
        let mut file = SectionWriter::create(vfs, &entry.file_name("sparse"), writer.index)?;
        let layout = writer.layout(sparse);
        entry.postings = sparse_writer::write(&mut file, layout, &source, &writer.interrupt)?;
        files.push(file.finish()?);
    }
    let codebook = writer.codebook();
    if let Some(codebook) = codebook {
        files.extend(write_multivector(
            writer,
            codebook,
            segments,
            &map,
            recode_from,
            &mut entry,
        )?);
    }
    if entry.vectors > 0
        && let Some(sketcher) = writer.sketcher()
    {
        let file = write_sketch(writer, sketcher, segments, &map, recode_from, &mut entry)?;
        files.push(file);
    }
    for segment in segments {
        // Tokens and clipped postings are counted for whole segments; deletions take an average share.
        let share = |count: u64| {
            let live = u128::from(segment.live()) * u128::from(count);
            (live / u128::from(segment.entry.documents.max(1))) as u64
        };
        entry.tokens += share(segment.entry.tokens);
        entry.clipped += share(segment.entry.clipped);
        if recode_from.is_none() {
            let live = f64::from(segment.live()) / f64::from(segment.entry.documents.max(1));
            entry.squared_error += segment.entry.squared_error * live;
            entry.sketch_error += segment.entry.sketch_error * live;
        }
    }
    entry.clipped = entry.clipped.min(entry.postings);
    let shared = (codebook, writer.sketcher());
    Segment::open(vfs, writer.index, schema, shared, entry, &files).map(Some)
}

/// Writes the multivector file, if there are token vectors.
fn write_multivector(
    writer: &Writer,
    codebook: &Codebook,
    segments: &[Segment],
    map: &DocumentMap,
    recode_from: Option<&Codebook>,
    entry: &mut SegmentEntry,
) -> Result<Option<FileEntry>> {
    let merge = token_writer::Merge {
        segments: segments
            .iter()
            .map(|segment| segment.multivector.as_ref())
            .collect(),
        origins: &map.origins,
    };
    if !merge.has_tokens()? {
        return Ok(None);
    }
    let name = entry.file_name("multivector");
    let interrupt = &writer.interrupt;
    let mut file = SectionWriter::create(&*writer.vfs, &name, writer.index)?;
    entry.vectors = match recode_from {
        Some(old) => {
            let recoded = token_writer::Recoded::new(&merge, old, codebook, interrupt)?;
            entry.squared_error = recoded.errors().squared;
            token_writer::write(&mut file, codebook, &recoded, interrupt)?
        }
        None => token_writer::write(&mut file, codebook, &merge, interrupt)?,
    };
    file.finish().map(Some)
}

/// Writes the sketch file.
fn write_sketch(
    writer: &Writer,
    sketcher: &Sketcher,
    segments: &[Segment],
    map: &DocumentMap,
    recode_from: Option<&Codebook>,
    entry: &mut SegmentEntry,
) -> Result<FileEntry> {
    let name = entry.file_name("sketch");
    let interrupt = &writer.interrupt;
    let mut file = SectionWriter::create(&*writer.vfs, &name, writer.index)?;
    match recode_from {
        Some(old) => {
            let (coded, error) = sketch_anew(sketcher, segments, map, old, interrupt)?;
            entry.sketch_error = error;
            sketch_writer::write(&mut file, &coded, interrupt)?;
        }
        None => {
            let source = sketch_writer::Merge {
                segments: segments
                    .iter()
                    .map(|segment| segment.sketch.as_ref())
                    .collect(),
                origins: &map.origins,
                bytes: sketcher.bytes(),
            };
            sketch_writer::write(&mut file, &source, interrupt)?;
        }
    }
    file.finish()
}

/// Documents whose token vectors are decoded together.
const SKETCHED_TOGETHER: usize = 1024;

/// Sketches of documents from their token vectors as stored, and the sum of their errors.
fn sketch_anew(
    sketcher: &Sketcher,
    segments: &[Segment],
    map: &DocumentMap,
    codebook: &Codebook,
    interrupt: &Interrupt,
) -> Result<(Coded, f64)> {
    let mut all = Coded::new(sketcher.bytes());
    let mut sum = 0.0;
    for origins in map.origins.chunks(SKETCHED_TOGETHER) {
        let (mut values, mut documents) = (vec![], vec![]);
        for (segment, document) in origins {
            let start = values.len();
            if let Some(stored) = &segments[*segment as usize].multivector {
                let vectors = decode(codebook, stored, stored.tokens(*document)?)?;
                values.extend(vectors.into_iter().map(f16::from_f32));
            }
            documents.push(start..values.len());
        }
        let (coded, error) = sketcher.encode(&values, &documents, interrupt)?;
        all.append(coded);
        sum += error;
    }
    Ok((all, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(live: &[u32]) -> Vec<Size> {
        let size = |&live: &u32| Size {
            live,
            deleted: 0,
            bytes: u64::from(live) * 100,
        };
        live.iter().map(size).collect()
    }

    #[test]
    fn neighbours_of_a_tier_are_joined() {
        assert_eq!(by_tiers(&sizes(&[9; 7])), None);
        assert_eq!(by_tiers(&sizes(&[9; 8])), Some(0..8));
        let mut growing = vec![10_000];
        growing.extend([5; 8]);
        assert_eq!(by_tiers(&sizes(&growing)), Some(1..9));
    }

    #[test]
    fn a_mostly_deleted_segment_is_rewritten() {
        let mut sizes = sizes(&[10, 10]);
        sizes[1].deleted = 11;
        assert_eq!(by_tiers(&sizes), Some(1..2));
    }

    #[test]
    fn segments_stay_few_over_many_commits() {
        let mut live: Vec<u32> = vec![];
        for commit in 0..3000 {
            live.push(100 + commit % 2);
            while let Some(range) = by_tiers(&sizes(&live)) {
                let joined = live[range.clone()].iter().sum();
                live.splice(range, [joined]);
            }
        }
        assert_eq!(live.iter().sum::<u32>(), 301_500);
        assert!(live.len() < 40, "{live:?}");
    }

    #[test]
    fn down_to_takes_the_cheapest_neighbours() {
        assert_eq!(down_to(&sizes(&[50, 1, 2, 90]), 3), Some(1..3));
        assert_eq!(down_to(&sizes(&[50, 1, 2, 90]), 1), Some(0..4));
        assert_eq!(down_to(&sizes(&[50]), 1), None);
    }

    #[test]
    fn down_to_respects_the_largest_file() {
        let mut sizes = sizes(&[1, 1, 1]);
        sizes[0].bytes = MAX_FILE_LENGTH;
        assert_eq!(down_to(&sizes, 1), Some(1..3));
        sizes[2].bytes = MAX_FILE_LENGTH;
        assert_eq!(down_to(&sizes, 1), None);
    }
}
