//! The buffer of a writer as the files of a new segment.

use super::attributes::write_attributes;
use super::ids::write_ids;
use super::segment::{Segment, SegmentEntry};
use super::writer::Writer;
use crate::error::Result;
use crate::multivector::encode::encode;
use crate::multivector::writer as token_writer;
use crate::sketch::writer as sketch_writer;
use crate::sparse::Scale;
use crate::sparse::flush::Flush;
use crate::sparse::writer as sparse_writer;
use crate::storage::manifest::FileEntry;
use crate::storage::section::SectionWriter;
use crate::text::Bm25;

/// `None` when no row is left.
pub fn write(writer: &Writer, scale: Scale) -> Result<Option<Segment>> {
    let (vfs, buffer, schema) = (&*writer.vfs, &writer.buffer, &writer.schema);
    let rows = buffer.live_rows();
    if rows.is_empty() {
        return Ok(None);
    }
    let mut entry = writer.next_entry(rows.len() as u32);
    let mut files = vec![];

    let mut file = SectionWriter::create(vfs, &entry.file_name("ids"), writer.index)?;
    write_ids(&mut file, schema.ids, rows.len(), |document| {
        Ok(buffer.id(rows[document]))
    })?;
    files.push(file.finish()?);

    let mut file = SectionWriter::create(vfs, &entry.file_name("attributes"), writer.index)?;
    write_attributes(&mut file, schema, rows.len(), |name, document| {
        buffer.attribute(name, rows[document])
    })?;
    files.push(file.finish()?);

    if let Some(sparse) = &schema.sparse {
        let weigh = Weigh::new(writer, sparse.bm25.as_ref(), &rows);
        let mut clipped = 0;
        let weight = |row, weight| {
            let weight = weigh.weight(row, weight);
            clipped += u64::from(scale.clips(weight));
            weight
        };
        let source = Flush::new(
            &buffer.sparse,
            &rows,
            scale,
            sparse.rescore,
            weight,
            &writer.interrupt,
        )?;
        let mut file = SectionWriter::create(vfs, &entry.file_name("sparse"), writer.index)?;
        let layout = writer.layout(sparse);
        entry.postings = sparse_writer::write(&mut file, layout, &source, &writer.interrupt)?;
        files.push(file.finish()?);
        entry.tokens = weigh.tokens;
        entry.clipped = clipped;
    }
    let codebook = writer.codebook();
    if let Some(codebook) = codebook {
        let vectors: usize = rows.iter().map(|row| buffer.tokens.row(*row).len()).sum();
        if vectors > 0 {
            let encoded = encode(codebook, buffer.tokens.vectors(), &writer.interrupt)?;
            let source = token_writer::Flush {
                buffer: &buffer.tokens,
                encoded: &encoded,
                rows: &rows,
                widths: codebook.widths(),
            };
            let name = entry.file_name("multivector");
            let mut file = SectionWriter::create(vfs, &name, writer.index)?;
            entry.vectors = token_writer::write(&mut file, codebook, &source, &writer.interrupt)?;
            files.push(file.finish()?);
            entry.squared_error = encoded.errors.mean() * vectors as f64;
            files.extend(write_sketch(writer, &rows, &mut entry)?);
        }
    }
    let shared = (codebook, writer.sketcher());
    Segment::open(vfs, writer.index, schema, shared, entry, &files).map(Some)
}

/// Writes the sketch file, if the schema asks for one.
fn write_sketch(
    writer: &Writer,
    rows: &[u32],
    entry: &mut SegmentEntry,
) -> Result<Option<FileEntry>> {
    let Some(sketcher) = writer.sketcher() else {
        return Ok(None);
    };
    let tokens = &writer.buffer.tokens;
    let documents: Vec<_> = rows.iter().map(|row| tokens.values(*row)).collect();
    let (coded, error) = sketcher.encode(tokens.vectors(), &documents, &writer.interrupt)?;
    entry.sketch_error = error;
    let name = entry.file_name("sketch");
    let mut file = SectionWriter::create(&*writer.vfs, &name, writer.index)?;
    sketch_writer::write(&mut file, &coded, &writer.interrupt)?;
    file.finish().map(Some)
}

/// Document weights: as given, or from term frequencies by BM25.
struct Weigh<'a> {
    bm25: Option<&'a Bm25>,
    lengths: &'a [u32],
    average_length: f64,
    tokens: u64,
}

impl<'a> Weigh<'a> {
    fn new(writer: &'a Writer, bm25: Option<&'a Bm25>, rows: &[u32]) -> Self {
        let lengths = &writer.buffer.lengths;
        let tokens = match bm25 {
            Some(_) => rows
                .iter()
                .map(|&row| u64::from(lengths[row as usize]))
                .sum(),
            None => 0,
        };
        let (tokens_before, documents_before) = writer.tokens_and_documents();
        let documents = documents_before + rows.len() as u64;
        let running = (tokens_before + tokens).max(1) as f64 / documents as f64;
        Self {
            bm25,
            lengths,
            average_length: bm25.and_then(|bm25| bm25.average_length).unwrap_or(running),
            tokens,
        }
    }

    fn weight(&self, row: u32, weight: f32) -> f32 {
        match self.bm25 {
            Some(bm25) => {
                let length = self.lengths[row as usize];
                bm25.document_weight(weight as u32, length, self.average_length)
            }
            None => weight,
        }
    }
}
