//! What the manifest says beyond the list of files: the schema, the scale, the segments in insertion
//! order. Bytes: storage/FORMAT.md, "Manifest".

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::options::{EffortPoint, OperatingPoint};
use super::schema::Schema;
use super::segment::{Segment, SegmentEntry};
use crate::error::{Error, Result};
use crate::multivector::Codebook;
use crate::sketch::Sketcher;
use crate::storage::MAX_FILE_LENGTH;
use crate::storage::manifest::{self, Manifest};
use crate::storage::section::SectionFile;
use crate::storage::vfs::Vfs;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    pub schema: Schema,
    /// The weight of the largest impact; fixed when the first segment is written.
    pub max_weight: Option<f32>,
    /// No segment has had this id or a larger one.
    pub next_segment: u64,
    pub segments: Vec<SegmentEntry>,
    /// What token vectors are coded with, once there were any.
    #[serde(default)]
    pub codebook: Option<CodebookEntry>,
    /// What sketches are made by, once there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketcher: Option<CodebookEntry>,
    #[serde(default)]
    pub operating_points: Vec<OperatingPoint>,
    #[serde(default)]
    pub effort_points: Vec<EffortPoint>,
    /// What whoever writes the index wants to find again, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
}

const LONGEST_NOTE: usize = 64 << 10;
const LONGEST_NOTE_NAME: usize = 255;
const MOST_NOTES: usize = 1024;

pub fn check_notes(notes: &BTreeMap<String, String>) -> Result<()> {
    let invalid = |message: String| Err(Error::InvalidInput(message));
    if notes.len() > MOST_NOTES {
        return invalid(format!("more than {MOST_NOTES} notes; remove some"));
    }
    for (name, note) in notes {
        if name.is_empty() || name.len() > LONGEST_NOTE_NAME {
            return invalid(format!(
                "note {name:?}: use a name of 1 to {LONGEST_NOTE_NAME} bytes"
            ));
        }
        if note.len() > LONGEST_NOTE {
            let length = note.len();
            return invalid(format!(
                "note {name:?} has {length} bytes; keep it below {LONGEST_NOTE}"
            ));
        }
    }
    Ok(())
}

/// What the manifest says of a codebook.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodebookEntry {
    pub id: u64,
    /// Mean squared error, by the squared length, of the tokens that it was made for.
    pub error: f64,
}

impl CodebookEntry {
    /// `kind` is that of the files of segments that it belongs to.
    pub fn file_name(&self, kind: &str) -> String {
        format!("codebook-{}.{kind}", self.id)
    }
}

/// More tokens than the documents of a segment can have.
const MOST_TOKENS: u64 = 1 << 48;

/// Reads and checks the manifest of a generation.
pub fn read(vfs: &dyn Vfs, generation: u64) -> Result<Manifest<Content>> {
    let manifest: Manifest<Content> = manifest::read(vfs, generation)?;
    let path = vfs.path(&manifest::name_of(generation));
    let content = &manifest.content;
    let corrupt = |detail: &str| Err(Error::corrupt(&path, detail));
    if let Err(error) = content.schema.validate() {
        return corrupt(&error.to_string());
    }
    if let Err(error) = check_notes(&content.notes) {
        return corrupt(&error.to_string());
    }
    if content
        .max_weight
        .is_some_and(|weight| !(weight.is_finite() && weight > 0.0))
    {
        return corrupt("max_weight is not a positive number");
    }
    if generation == u64::MAX || content.next_segment == u64::MAX {
        return corrupt("no number is left for another generation or segment");
    }
    for point in &content.operating_points {
        if let Err(error) = point.validate() {
            return corrupt(&error.to_string());
        }
    }
    for point in &content.effort_points {
        if let Err(error) = point.validate() {
            return corrupt(&error.to_string());
        }
    }
    let mut ids = FxHashSet::default();
    for segment in &content.segments {
        let possible = segment.deleted <= segment.documents
            && segment.id < content.next_segment
            && segment.postings <= MAX_FILE_LENGTH
            && segment.clipped <= segment.postings
            && segment.tokens <= MOST_TOKENS
            && segment.vectors <= MAX_FILE_LENGTH
            && segment.squared_error >= 0.0
            && segment.sketch_error >= 0.0
            && (segment.vectors == 0 || content.codebook.is_some())
            && (segment.vectors == 0
                || content.sketcher.is_some() == content.schema.sketch.is_some());
        if !possible {
            return corrupt("a segment has impossible numbers");
        }
        if !ids.insert(segment.id) {
            return corrupt("a segment is listed twice");
        }
    }
    Ok(manifest)
}

/// Opens the codebook of a generation.
pub fn open_codebook(vfs: &dyn Vfs, manifest: &Manifest<Content>) -> Result<Option<Codebook>> {
    let content = &manifest.content;
    let (Some(entry), Some(codec)) = (content.codebook, content.schema.codec()?) else {
        return Ok(None);
    };
    let file = open_shared(vfs, manifest, &entry.file_name("multivector"))?;
    Codebook::open(&file, codec).map(Some)
}

/// Opens what the sketches of a generation are made by.
pub fn open_sketcher(vfs: &dyn Vfs, manifest: &Manifest<Content>) -> Result<Option<Sketcher>> {
    let content = &manifest.content;
    let (schema, entry) = (&content.schema, content.sketcher);
    let (Some(entry), Some(settings), Some(tokens)) = (entry, &schema.sketch, &schema.multivector)
    else {
        return Ok(None);
    };
    let file = open_shared(vfs, manifest, &entry.file_name("sketch"))?;
    Sketcher::open(&file, settings, tokens.dim).map(Some)
}

/// Opens a file that all segments share.
fn open_shared(vfs: &dyn Vfs, manifest: &Manifest<Content>, name: &str) -> Result<SectionFile> {
    match manifest.files.iter().find(|file| file.name == name) {
        Some(file) => SectionFile::open(vfs, file, manifest.index),
        None => Err(Error::corrupt(
            &vfs.path(name),
            "not listed in the manifest",
        )),
    }
}

/// Opens the segments of a generation.
pub fn open_segments(
    vfs: &dyn Vfs,
    manifest: &Manifest<Content>,
    codebook: Option<&Codebook>,
    sketcher: Option<&Sketcher>,
) -> Result<Vec<Segment>> {
    let content = &manifest.content;
    let open = |entry: &SegmentEntry| {
        Segment::open(
            vfs,
            manifest.index,
            &content.schema,
            (codebook, sketcher),
            entry.clone(),
            &manifest.files,
        )
    };
    content.segments.iter().map(open).collect()
}
