//! Writes a CIFF file from anything that can list the postings of its documents. Memory: what the source
//! holds, eight bytes a document, four a term, and 256 MiB of postings or those of one term.

use std::io::Write;
use std::path::Path;

use super::super::protobuf::Message;
use super::{VERSION, header, list, posting, record};
use crate::error::{Error, IoContext, Result};
use crate::pool::Interrupt;
use crate::sparse::invert::Inversion;
use crate::sparse::writer::Source;
use crate::storage::keys::Key;

/// Documents and terms are counted in 31 bits.
const MOST: u32 = i32::MAX as u32;

/// Bytes of postings held at a time.
const MEMORY: usize = 256 << 20;

/// Writes to `out`, whose `path` is for messages; `id` gives the id of each document. Impacts become term
/// frequencies and integer keys decimals.
pub fn write<'a, S: Source>(
    out: &mut impl Write,
    path: &Path,
    source: &S,
    id: impl Fn(u32) -> Result<Key<'a>>,
    description: &str,
    interrupt: &Interrupt,
) -> Result<()> {
    if source.documents() > MOST || source.terms() > MOST {
        let message = "CIFF counts documents and terms up to 2,147,483,647; this index has more";
        return Err(Error::InvalidInput(message.into()));
    }
    let counts = Counts::of(source, interrupt)?;
    let mut file = Framed { out, path };
    file.message(&counts.header(description))?;

    let mut message = Message::default();
    let mut terms = 0..source.terms();
    let documents: Vec<u32> = (0..source.documents()).collect();
    let mut postings = Inversion::new(source, &documents, &counts.frequencies, MEMORY);
    postings.each_term(interrupt, |documents, impacts| {
        message.clear();
        let term = source.key(terms.next().unwrap_or_default())?;
        encode_list(&mut message, term, documents, impacts);
        file.message(&message)
    })?;

    for (document, &length) in (0..).zip(&counts.lengths) {
        check_now_and_then(document, interrupt)?;
        message.clear();
        message.int(record::DOCUMENT, document.into());
        message.string(record::ID, &text(id(document)?));
        message.int(record::LENGTH, length.into());
        file.message(&message)?;
    }
    Ok(())
}

struct Counts {
    /// Number of documents of each term.
    frequencies: Vec<u32>,
    /// Sum of the impacts of each document.
    lengths: Vec<u32>,
}

impl Counts {
    fn of<S: Source>(source: &S, interrupt: &Interrupt) -> Result<Self> {
        let mut counts = Self {
            frequencies: vec![0; source.terms() as usize],
            lengths: vec![],
        };
        for document in 0..source.documents() {
            check_now_and_then(document, interrupt)?;
            let mut length = 0_u32;
            source.row(document, |term, impact| {
                length = length.saturating_add(impact.into());
                if let Some(frequency) = counts.frequencies.get_mut(term as usize) {
                    *frequency = frequency.saturating_add(1);
                }
                Ok(())
            })?;
            counts.lengths.push(length);
        }
        Ok(counts)
    }

    fn header(&self, description: &str) -> Message {
        let terms = self.frequencies.len() as u64;
        let documents = self.lengths.len() as u64;
        let total: u64 = self.lengths.iter().map(|&length| u64::from(length)).sum();
        let average = total as f64 / documents.max(1) as f64;
        let mut message = Message::default();
        message.int(header::VERSION, VERSION as u64);
        message.int(header::LISTS, terms);
        message.int(header::DOCUMENTS, documents);
        message.int(header::TOTAL_LISTS, terms);
        message.int(header::TOTAL_DOCUMENTS, documents);
        message.int(header::TOTAL_TERMS, total);
        message.double(header::AVERAGE_LENGTH, average);
        message.string(header::DESCRIPTION, description);
        message
    }
}

/// Checks at the first of every 1,024 documents.
fn check_now_and_then(document: u32, interrupt: &Interrupt) -> Result<()> {
    match document % 1024 {
        0 => interrupt.check(),
        _ => Ok(()),
    }
}

/// `documents` ascend.
fn encode_list(message: &mut Message, term: Key<'_>, documents: &[u32], impacts: &[u8]) {
    let frequency: u64 = impacts.iter().map(|&impact| u64::from(impact)).sum();
    message.string(list::TERM, &text(term));
    message.int(list::DOCUMENT_FREQUENCY, documents.len() as u64);
    message.int(list::COLLECTION_FREQUENCY, frequency);
    let mut previous = 0;
    let mut item = Message::default();
    for (&document, &impact) in documents.iter().zip(impacts) {
        item.clear();
        item.int(posting::GAP, document.saturating_sub(previous).into());
        item.int(posting::FREQUENCY, impact.into());
        message.item(list::POSTING, item.as_bytes());
        previous = document;
    }
}

fn text(key: Key<'_>) -> std::borrow::Cow<'_, str> {
    match key {
        Key::Int(value) => value.to_string().into(),
        Key::Str(text) => text.into(),
    }
}

/// Messages one after the other, each behind its length.
struct Framed<'a, W> {
    out: &'a mut W,
    path: &'a Path,
}

impl<W: Write> Framed<'_, W> {
    fn message(&mut self, message: &Message) -> Result<()> {
        let mut length = Message::default();
        length.varint(message.as_bytes().len() as u64);
        self.out
            .write_all(length.as_bytes())
            .and_then(|()| self.out.write_all(message.as_bytes()))
            .at("write", self.path)
    }
}
