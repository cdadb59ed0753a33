//! The writer: takes documents and deletions, keeps at most `memory_limit` bytes of them in memory, and
//! publishes them as one new generation. Until then nothing that a reader sees changes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;

use super::batch::Batch;
use super::buffer::Buffer;
use super::content::{self, CodebookEntry, Content};
use super::merge;
use super::options::{EffortPoint, OperatingPoint};
use super::schema::{Schema, SparseSchema};
use super::segment::{Segment, SegmentEntry};
use crate::error::{Error, Result};
use crate::multivector::Codebook;
use crate::pool::{self, Interrupt};
use crate::sketch::Sketcher;
use crate::sparse::Scale;
use crate::sparse::writer::Layout;
use crate::storage::FORMAT_VERSION;
use crate::storage::commit;
use crate::storage::keys::{Key, KeyKind, Keys};
use crate::storage::manifest::{self, FileEntry, IndexId, Manifest};
use crate::storage::vfs::{LockGuard, Vfs};
use crate::text::{Analyzer, TermRows};

/// Texts analysed together; their distinct words are stemmed once.
const TEXTS_PER_CHUNK: usize = 512;
/// Spent on the order of the documents of one segment; what is found by then is used.
const LONGEST_REORDER: Duration = Duration::from_secs(600);
/// Rows, and bytes of text, between two checks of memory and interruption.
const ROWS_PER_STEP: usize = 8192;
const TEXT_PER_STEP: usize = 2 << 20;

pub struct Writer {
    pub(super) vfs: Arc<dyn Vfs>,
    _lock: LockGuard,
    pub(super) index: IndexId,
    /// The newest published generation, 0 when there is none, and its files.
    generation: u64,
    published: Vec<FileEntry>,
    /// Files of generations before it that a dead writer has left; they go once the next is durable.
    predecessors: Vec<String>,
    /// False as long as nobody knows whether the newest generation would survive a power loss.
    durable: bool,
    pub(super) schema: Schema,
    analyzer: Option<Analyzer>,
    pub(super) scale: Option<Scale>,
    pub(super) next_segment: u64,
    /// Published and flushed segments, in insertion order, with the deletions so far.
    pub(super) segments: Vec<Segment>,
    pub(super) buffer: Buffer,
    operating_points: Vec<OperatingPoint>,
    effort_points: Vec<EffortPoint>,
    notes: BTreeMap<String, String>,
    pub(super) codebook: Option<Known<Codebook>>,
    pub(super) sketcher: Option<Known<Sketcher>>,
    memory_limit: u64,
    pub(super) interrupt: Interrupt,
    pub(super) changed: bool,
    poisoned: bool,
}

/// What all segments share, with its file.
pub(super) struct Known<T> {
    pub entry: CodebookEntry,
    pub file: FileEntry,
    pub shared: T,
}

impl Writer {
    /// Opens the index in the directory, or makes one with `schema`. A schema given for an index that
    /// exists must equal its own. `memory_limit` is in bytes.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        schema: Option<Schema>,
        memory_limit: u64,
        interrupt: Interrupt,
    ) -> Result<Self> {
        if let Some(schema) = &schema {
            schema.validate()?;
        }
        if schema.is_none() && manifest::latest(&*vfs)?.is_none() {
            return Err(no_index(&*vfs));
        }
        let lock = commit::lock(&*vfs)?;
        let state = match (manifest::latest(&*vfs)?, &schema) {
            (Some(generation), _) => State::read(&*vfs, generation)?,
            (None, Some(schema)) => State::new(schema.clone())?,
            (None, None) => return Err(no_index(&*vfs)),
        };
        let predecessors = commit::predecessors(&*vfs, state.generation)?;
        if let Some(schema) = schema.filter(|schema| *schema != state.schema) {
            return Err(Error::SchemaMismatch(format!(
                "the index exists with another schema: {}, not {}; leave the schema out to open it",
                state.schema.to_json(),
                schema.to_json()
            )));
        }
        let writer = Self {
            analyzer: state.schema.analyzer()?,
            buffer: Buffer::new(&state.schema),
            vfs,
            _lock: lock,
            index: state.index,
            generation: state.generation,
            published: state.files,
            changed: state.generation == 0 || !predecessors.is_empty(),
            predecessors,
            durable: false,
            schema: state.schema,
            scale: state.scale,
            next_segment: state.next_segment,
            segments: state.segments,
            operating_points: state.operating_points,
            effort_points: state.effort_points,
            notes: state.notes,
            codebook: state.codebook,
            sketcher: state.sketcher,
            memory_limit,
            interrupt,
            poisoned: false,
        };
        writer.collect();
        Ok(writer)
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Documents added and not yet published.
    pub fn pending(&self) -> u64 {
        let unpublished = |segment: &&Segment| !self.published.contains(&segment.files[0]);
        let flushed = self.segments.iter().filter(unpublished);
        let flushed: u64 = flushed.map(|segment| u64::from(segment.live())).sum();
        flushed + self.buffer.live_rows().len() as u64
    }

    /// Adds documents; one whose id exists replaces the older one. Input that is not acceptable changes
    /// nothing. After another error some documents of the batch are pending: add it again or roll back.
    pub fn add(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.check_usable()?;
        batch.check(&self.schema)?;
        let mut start = 0;
        while start < batch.ids.len() {
            self.interrupt.check()?;
            let end = end_of_step(batch, start);
            self.add_rows(batch, start..end)?;
            start = end;
            if self.buffer.memory() as u64 >= self.buffer_limit() {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// What the buffer may take: the limit less what writing a segment needs besides.
    fn buffer_limit(&self) -> u64 {
        // A posting takes more bytes here than in a file, so that files stay below 4 GiB.
        (self.memory_limit / 10 * 8).min(4 << 30)
    }

    fn add_rows(&mut self, batch: &Batch<'_>, rows: std::ops::Range<usize>) -> Result<()> {
        let text = batch
            .text
            .map(|text| &text[rows.clone()])
            .unwrap_or_default();
        let chunks = self.analyze(text)?;
        let mut texts = chunks
            .iter()
            .flat_map(|chunk| (0..chunk.rows.len()).map(move |row| (chunk, row)));
        let mut numbers: Vec<u32> = Vec::new();
        for row in rows {
            if let Some(id) = batch.ids.get(row) {
                self.delete_flushed(id)?;
                self.buffer.push_id(id);
            }
            if let Some(sparse) = &batch.sparse {
                self.buffer.push_sparse(sparse, row);
            }
            if let Some(tokens) = &batch.multivector {
                self.buffer.tokens.push(tokens.row(row));
            }
            if let Some((chunk, row)) = texts.next() {
                if row == 0 {
                    let terms = chunk.terms.iter().map(|term| Key::Str(term));
                    numbers = terms.map(|term| self.buffer.sparse.intern(term)).collect();
                }
                self.buffer.push_text(chunk, &numbers, row);
            }
            self.buffer.push_attributes(&batch.attributes, row);
            self.changed = true;
        }
        Ok(())
    }

    fn analyze(&self, texts: &[&str]) -> Result<Vec<TermRows>> {
        let Some(analyzer) = &self.analyzer else {
            return Ok(vec![]);
        };
        let chunks = texts.par_chunks(TEXTS_PER_CHUNK);
        pool::run(0, || {
            chunks.map(|texts| analyzer.analyze_rows(texts)).collect()
        })
    }

    /// Deletes documents; returns how many there were. Unknown ids are not an error.
    pub fn delete(&mut self, ids: &Keys<'_>) -> Result<usize> {
        self.check_usable()?;
        if !ids.is_empty() && ids.kind() != self.schema.ids {
            let (wanted, found) = match self.schema.ids {
                KeyKind::Int => ("integers", "strings"),
                KeyKind::Str => ("strings", "integers"),
            };
            return Err(Error::SchemaMismatch(format!(
                "the ids of this index are {wanted}, not {found}"
            )));
        }
        let mut deleted = 0;
        for id in ids.iter() {
            if self.buffer.delete(id) || self.delete_flushed(id)? {
                self.changed = true;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    fn delete_flushed(&mut self, id: Key<'_>) -> Result<bool> {
        for segment in &mut self.segments {
            if let Some(document) = segment.find(id) {
                segment.deleted.insert(document, segment.sparse.as_ref())?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Publishes everything added and deleted as a new generation, and returns its number; without
    /// changes, the number of the newest one. When it returns, the generation is durable. After an error
    /// of the disk while syncing or renaming, this writer refuses further work.
    pub fn commit(&mut self) -> Result<u64> {
        self.check_usable()?;
        let published = self.try_commit();
        self.poison_after(published)
    }

    fn try_commit(&mut self) -> Result<u64> {
        self.write_segment()?;
        if !self.changed {
            return self.settle();
        }
        self.merge_by_tiers()?;
        self.publish()
    }

    /// Without changes, a commit still promises that the newest generation is durable.
    fn settle(&mut self) -> Result<u64> {
        if !self.durable {
            commit::sync_directory(&*self.vfs)?;
            self.durable = true;
        }
        Ok(self.generation)
    }

    fn publish(&mut self) -> Result<u64> {
        let generation = self.generation + 1;
        self.segments.retain(|segment| segment.live() > 0);
        self.write_deleted(generation)?;
        let manifest = self.manifest(generation);
        commit::publish(&*self.vfs, &manifest)?;
        self.generation = generation;
        self.published = manifest.files;
        self.predecessors.clear();
        self.durable = true;
        self.changed = false;
        self.collect();
        Ok(generation)
    }

    fn manifest(&self, generation: u64) -> Manifest<Content> {
        let segments = self.segments.iter();
        Manifest {
            format: FORMAT_VERSION,
            index: self.index,
            generation,
            files: segments
                .clone()
                .flat_map(|segment| &segment.files)
                .chain(self.shared_files())
                .cloned()
                .collect(),
            content: Content {
                schema: self.schema.clone(),
                max_weight: self.scale.map(|scale| scale.max_weight()),
                next_segment: self.next_segment,
                segments: segments.map(|segment| segment.entry.clone()).collect(),
                codebook: self.codebook.as_ref().map(|known| known.entry),
                sketcher: self.sketcher.as_ref().map(|known| known.entry),
                operating_points: self.operating_points.clone(),
                effort_points: self.effort_points.clone(),
                notes: self.notes.clone(),
            },
        }
    }

    /// Writes the deletions made since the newest generation.
    fn write_deleted(&mut self, generation: u64) -> Result<()> {
        for segment in &mut self.segments {
            if segment.deleted.count() == segment.entry.deleted {
                continue;
            }
            let name = segment.entry.deleted_name(generation);
            let file = segment.deleted.write(&*self.vfs, &name, self.index)?;
            let old = segment.entry.deleted_generation.replace(generation);
            let old = old.map(|generation| segment.entry.deleted_name(generation));
            segment
                .files
                .retain(|file| Some(&file.name) != old.as_ref());
            segment.files.push(file);
            segment.entry.deleted = segment.deleted.count();
        }
        Ok(())
    }

    /// Replaces the operating points of the index, from the next commit on.
    pub fn set_operating_points(&mut self, points: Vec<OperatingPoint>) -> Result<()> {
        self.check_usable()?;
        points.iter().try_for_each(OperatingPoint::validate)?;
        self.changed |= points != self.operating_points;
        self.operating_points = points;
        Ok(())
    }

    /// Replaces the measured efforts of the index, from the next commit on.
    pub fn set_effort_points(&mut self, points: Vec<EffortPoint>) -> Result<()> {
        self.check_usable()?;
        points.iter().try_for_each(EffortPoint::validate)?;
        self.changed |= points != self.effort_points;
        self.effort_points = points;
        Ok(())
    }

    /// Leaves a note for whoever opens the index, from the next commit on; `None` removes it.
    pub fn set_note(&mut self, name: &str, note: Option<&str>) -> Result<()> {
        self.check_usable()?;
        let mut notes = self.notes.clone();
        match note {
            Some(note) => notes.insert(name.to_owned(), note.to_owned()),
            None => notes.remove(name),
        };
        content::check_notes(&notes)?;
        self.changed |= notes != self.notes;
        self.notes = notes;
        Ok(())
    }

    /// Forgets everything since the newest generation.
    pub fn rollback(&mut self) -> Result<()> {
        self.check_usable()?;
        let state = match self.generation {
            0 => State::new(self.schema.clone())?,
            generation => State::read(&*self.vfs, generation)?,
        };
        self.index = state.index;
        self.scale = state.scale;
        self.next_segment = self.next_segment.max(state.next_segment);
        self.segments = state.segments;
        self.operating_points = state.operating_points;
        self.effort_points = state.effort_points;
        self.notes = state.notes;
        self.codebook = state.codebook;
        self.sketcher = state.sketcher;
        self.buffer = Buffer::new(&self.schema);
        self.changed = self.generation == 0 || !self.predecessors.is_empty();
        self.collect();
        Ok(())
    }

    /// Joins adjacent segments until at most `max_segments` are left, purges deleted documents, and
    /// publishes the result. Segments whose joint files would pass 4 GiB stay apart.
    pub fn merge(&mut self, max_segments: usize) -> Result<u64> {
        self.check_usable()?;
        if max_segments == 0 {
            return Err(Error::InvalidInput(
                "max_segments is 0; use at least 1".into(),
            ));
        }
        let merged = self
            .write_segment()
            .and_then(|()| self.merge_down_to(max_segments));
        let published = merged.and_then(|()| self.publish_if_changed());
        self.poison_after(published)
    }

    pub(super) fn publish_if_changed(&mut self) -> Result<u64> {
        match self.changed {
            true => self.publish(),
            false => self.settle(),
        }
    }

    fn merge_down_to(&mut self, max_segments: usize) -> Result<()> {
        while let Some(range) = merge::down_to(&self.sizes(), max_segments) {
            self.merge_range(range)?;
        }
        Ok(())
    }

    fn merge_by_tiers(&mut self) -> Result<()> {
        while let Some(range) = merge::by_tiers(&self.sizes()) {
            self.merge_range(range)?;
        }
        Ok(())
    }

    fn sizes(&self) -> Vec<merge::Size> {
        let size = |segment: &Segment| merge::Size {
            live: segment.live(),
            deleted: segment.deleted.count(),
            bytes: segment.bytes(),
        };
        self.segments.iter().map(size).collect()
    }

    fn merge_range(&mut self, range: std::ops::Range<usize>) -> Result<()> {
        self.changed = true;
        let merged = merge::write(self, &self.segments[range.clone()], None);
        let merged = merged.inspect_err(|_| self.collect())?;
        self.next_segment += 1;
        self.segments.splice(range, merged);
        Ok(())
    }

    /// Moves the buffer into a segment.
    fn flush(&mut self) -> Result<()> {
        let written = self.write_segment();
        self.poison_after(written)
    }

    pub(super) fn write_segment(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let scale = self.scale.unwrap_or_else(|| self.first_scale());
        self.train_on_buffer().inspect_err(|_| self.collect())?;
        let written = super::flush::write(self, scale).inspect_err(|_| self.collect())?;
        if let Some(segment) = written {
            self.scale = self.schema.sparse.is_some().then_some(scale);
            self.segments.push(segment);
            self.next_segment += 1;
        }
        self.buffer = Buffer::new(&self.schema);
        Ok(())
    }

    fn first_scale(&self) -> Scale {
        let sparse = self.schema.sparse.as_ref();
        let given = sparse
            .and_then(|sparse| sparse.max_weight)
            .map(|weight| weight as f32);
        match given.or(self.schema.bm25().map(|bm25| bm25.max_weight())) {
            Some(weight) => Scale::new(weight),
            None => self.buffer.sparse.observed_scale(),
        }
    }

    /// The entry of the next segment.
    pub(super) fn next_entry(&self, documents: u32) -> SegmentEntry {
        SegmentEntry {
            id: self.next_segment,
            documents,
            deleted: 0,
            deleted_generation: None,
            postings: 0,
            clipped: 0,
            tokens: 0,
            vectors: 0,
            squared_error: 0.0,
            sketch_error: 0.0,
        }
    }

    pub(super) fn layout(&self, sparse: &SparseSchema) -> Layout {
        Layout {
            terms: sparse.terms,
            block: sparse.block_size as usize,
            reorder: sparse.reorder.then_some(LONGEST_REORDER),
            steps: sparse.rescore,
            memory: self.memory_limit as usize,
        }
    }

    /// Tokens and documents so far, for the average length.
    pub(super) fn tokens_and_documents(&self) -> (u64, u64) {
        let entries = self.segments.iter().map(|segment| &segment.entry);
        entries.fold((0, 0), |(tokens, documents), entry| {
            (
                tokens + entry.tokens,
                documents + u64::from(entry.documents),
            )
        })
    }

    /// Removes files that neither the newest generation nor this writer needs.
    pub(super) fn collect(&self) {
        let own = self.segments.iter().flat_map(|segment| &segment.files);
        let files = own.chain(&self.published).chain(self.shared_files());
        let files = files.map(|file| &file.name);
        let mut keep: HashSet<String> = files.chain(&self.predecessors).cloned().collect();
        keep.insert(manifest::name_of(self.generation));
        commit::collect(&*self.vfs, &keep);
    }

    fn shared_files(&self) -> impl Iterator<Item = &FileEntry> {
        let codebook = self.codebook.as_ref().map(|known| &known.file);
        codebook
            .into_iter()
            .chain(self.sketcher.as_ref().map(|known| &known.file))
    }

    pub(super) fn check_usable(&self) -> Result<()> {
        match self.poisoned {
            true => Err(Error::Poisoned),
            false => Ok(()),
        }
    }

    /// A failed sync or rename leaves the disk in an unknown state, and trying again would not mend it.
    pub(super) fn poison_after<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(Error::Io { operation, .. }) = &result {
            self.poisoned |= matches!(*operation, "sync" | "rename");
        }
        result
    }
}

fn no_index(vfs: &dyn Vfs) -> Error {
    let directory = vfs.path("");
    Error::NotFound(format!(
        "{}: no index here; pass a schema to make one",
        directory.display()
    ))
}

/// Where the step that begins with row `start` ends.
fn end_of_step(batch: &Batch<'_>, start: usize) -> usize {
    let most = (start + ROWS_PER_STEP).min(batch.ids.len());
    let mut bytes = 0;
    let texts = batch.text.map_or(&[][..], |text| &text[start..most]);
    let fitting = texts.iter().take_while(|text| {
        bytes += text.len();
        bytes <= TEXT_PER_STEP
    });
    match texts.is_empty() {
        true => most,
        false => start + fitting.count().max(1),
    }
}

impl Drop for Writer {
    /// Files of segments that were never published go; after a failed publication nobody knows which
    /// those are, and the next writer removes them.
    fn drop(&mut self) {
        if !self.poisoned {
            self.segments.clear();
            self.codebook = None;
            self.sketcher = None;
            self.collect();
        }
    }
}

/// The state of an index as a writer starts from it.
struct State {
    index: IndexId,
    generation: u64,
    files: Vec<FileEntry>,
    schema: Schema,
    scale: Option<Scale>,
    next_segment: u64,
    segments: Vec<Segment>,
    operating_points: Vec<OperatingPoint>,
    effort_points: Vec<EffortPoint>,
    notes: BTreeMap<String, String>,
    codebook: Option<Known<Codebook>>,
    sketcher: Option<Known<Sketcher>>,
}

impl State {
    fn new(schema: Schema) -> Result<Self> {
        Ok(Self {
            index: IndexId::random()?,
            generation: 0,
            files: vec![],
            schema,
            scale: None,
            next_segment: 1,
            segments: vec![],
            operating_points: vec![],
            effort_points: vec![],
            notes: BTreeMap::new(),
            codebook: None,
            sketcher: None,
        })
    }

    fn read(vfs: &dyn Vfs, generation: u64) -> Result<Self> {
        let manifest = content::read(vfs, generation)?;
        let codebook = content::open_codebook(vfs, &manifest)?;
        let sketcher = content::open_sketcher(vfs, &manifest)?;
        let segments =
            content::open_segments(vfs, &manifest, codebook.as_ref(), sketcher.as_ref())?;
        let content = manifest.content;
        Ok(Self {
            codebook: known(&manifest.files, content.codebook, "multivector", codebook),
            sketcher: known(&manifest.files, content.sketcher, "sketch", sketcher),
            index: manifest.index,
            generation,
            files: manifest.files,
            schema: content.schema,
            scale: content.max_weight.map(Scale::new),
            next_segment: content.next_segment,
            segments,
            operating_points: content.operating_points,
            effort_points: content.effort_points,
            notes: content.notes,
        })
    }
}

fn known<T>(
    files: &[FileEntry],
    entry: Option<CodebookEntry>,
    kind: &str,
    shared: Option<T>,
) -> Option<Known<T>> {
    let entry = entry?;
    let name = entry.file_name(kind);
    Some(Known {
        file: files.iter().find(|file| file.name == name)?.clone(),
        entry,
        shared: shared?,
    })
}
