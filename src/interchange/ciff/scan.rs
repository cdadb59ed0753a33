//! The first reading of a CIFF file, which checks all of it and counts the postings of each document, and
//! the walk along a list, which both readings share.

use std::ops::Range;

use super::super::protobuf::{Value, take_bytes, take_field};
use super::{VERSION, header, list, posting, record};
use crate::error::{Error, Result};
use crate::pool::Interrupt;

/// The shortest record: its length, and an id of one character with field and length.
const SHORTEST_RECORD: u64 = 4;
const LONGEST_KEY: usize = 65_535;

/// A result, or what is wrong, to stand behind the name of the place.
type Checked<T> = std::result::Result<T, String>;

/// A postings list on which a walk has come to `next`.
pub struct List {
    pub term: Range<usize>,
    /// The fields of the message behind `next`.
    pub rest: Range<usize>,
    pub next: Option<Posting>,
}

#[derive(Clone, Copy)]
pub struct Posting {
    pub document: u32,
    pub weight: u32,
}

#[derive(Clone, Default)]
pub struct Document {
    /// Where the id lies in the file. Empty until the record has been seen.
    pub id: Range<usize>,
    pub postings: u32,
}

/// The first reading.
pub struct Scan<'a> {
    bytes: &'a [u8],
    rest: &'a [u8],
    pub description: String,
    pub lists: Vec<List>,
    pub documents: Vec<Document>,
    pub postings: u64,
    pub largest: u32,
}

impl<'a> Scan<'a> {
    /// Reads and checks all of `bytes`; `path` is for messages.
    pub fn of(bytes: &'a [u8], path: &str, interrupt: &Interrupt) -> Result<Self> {
        let fault = |what: String| Error::InvalidInput(format!("{path}: {what}"));
        let mut scan = Self {
            bytes,
            rest: bytes,
            description: String::new(),
            lists: vec![],
            documents: vec![],
            postings: 0,
            largest: 0,
        };
        let lists = scan
            .header()
            .map_err(|what| fault(format!("header: {what}")))?;
        for number in 0..lists {
            interrupt.check()?;
            let list = scan.list();
            let list = list.map_err(|what| fault(format!("postings list {number}: {what}")))?;
            scan.lists.push(list);
        }
        for number in 0..scan.documents.len() {
            if number.is_multiple_of(1024) {
                interrupt.check()?;
            }
            let record = scan.record();
            record.map_err(|what| fault(format!("document record {number}: {what}")))?;
        }
        scan.check_end().map_err(fault)?;
        interrupt.check()?;
        scan.sort_terms().map_err(fault)?;
        scan.check_ids().map_err(fault)?;
        Ok(scan)
    }

    /// Takes the header; returns the number of postings lists.
    fn header(&mut self) -> Checked<u64> {
        if self.bytes.starts_with(&[0x1f, 0x8b]) {
            return Err("the file is compressed; unpack it first, with gunzip for instance".into());
        }
        let mut rest = take_bytes(&mut self.rest)?;
        let (mut version, mut lists, mut documents) = (0, 0, 0);
        while let Some((field, value)) = take_field(&mut rest)? {
            match field {
                header::VERSION => version = value.int32()?,
                header::LISTS => lists = value.int32()?,
                header::DOCUMENTS => documents = value.int32()?,
                header::DESCRIPTION => self.description = value.string()?.into(),
                _ => {}
            }
        }
        if version != VERSION {
            return Err(format!("version {version}; this library reads {VERSION}"));
        }
        let counts = (u64::try_from(lists), u64::try_from(documents));
        let (Ok(announced), Ok(records)) = counts else {
            return Err(format!("{lists} postings lists and {documents} documents"));
        };
        let least = announced.saturating_add(records.saturating_mul(SHORTEST_RECORD));
        if least > self.rest.len() as u64 {
            let left = self.rest.len();
            return Err(format!(
                "{lists} postings lists and {documents} documents do not fit the {left} bytes that follow"
            ));
        }
        self.documents = vec![Document::default(); records as usize];
        Ok(announced)
    }

    fn list(&mut self) -> Checked<List> {
        let mut rest = take_bytes(&mut self.rest)?;
        let message = self.range(rest);
        let (mut term, mut frequency, mut postings) = ("", 0, 0_u64);
        let mut previous = None;
        while let Some((field, value)) = take_field(&mut rest)? {
            match field {
                list::TERM => term = value.string()?,
                list::DOCUMENT_FREQUENCY => frequency = value.int64()?,
                list::POSTING => {
                    let read = Posting::read(value, previous, self.documents.len());
                    let posting = read.map_err(|fault| format!("posting {postings}: {fault}"))?;
                    self.count(posting);
                    previous = Some(posting);
                    postings = postings.saturating_add(1);
                }
                _ => {}
            }
        }
        if term.len() > LONGEST_KEY {
            return Err("the term is longer than 65,535 bytes".into());
        }
        if u64::try_from(frequency) != Ok(postings) {
            return Err(format!(
                "document frequency {frequency} but {postings} postings"
            ));
        }
        self.postings = self.postings.saturating_add(postings);
        let mut list = List {
            term: self.range(term.as_bytes()),
            rest: message,
            next: None,
        };
        list.advance(self.bytes, self.documents.len())?;
        Ok(list)
    }

    fn count(&mut self, posting: Posting) {
        self.largest = self.largest.max(posting.weight);
        if let Some(document) = self.documents.get_mut(posting.document as usize) {
            document.postings = document.postings.saturating_add(1);
        }
    }

    fn record(&mut self) -> Checked<()> {
        let mut rest = take_bytes(&mut self.rest)?;
        let (mut number, mut id) = (0, "");
        while let Some((field, value)) = take_field(&mut rest)? {
            match field {
                record::DOCUMENT => number = value.int32()?,
                record::ID => id = value.string()?,
                _ => {}
            }
        }
        if id.is_empty() || id.len() > LONGEST_KEY {
            let length = id.len();
            return Err(format!("its id has {length} bytes; 1 to 65,535 are needed"));
        }
        let id = self.range(id.as_bytes());
        let documents = self.documents.len();
        let known = usize::try_from(number).ok();
        match known.and_then(|number| self.documents.get_mut(number)) {
            None => Err(format!("document {number}; there are {documents}")),
            Some(document) if !document.id.is_empty() => {
                Err(format!("document {number} has a record already"))
            }
            Some(document) => {
                document.id = id;
                Ok(())
            }
        }
    }

    /// Where a part of the bytes lies in them; an empty part may lie anywhere.
    fn range(&self, part: &[u8]) -> Range<usize> {
        let start = part
            .as_ptr()
            .addr()
            .saturating_sub(self.bytes.as_ptr().addr());
        start..start.saturating_add(part.len())
    }

    fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn check_end(&self) -> Checked<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(format!("{left} bytes follow the last document record")),
        }
    }

    fn sort_terms(&mut self) -> Checked<()> {
        let mut lists = std::mem::take(&mut self.lists);
        lists.sort_unstable_by_key(|list| self.slice(&list.term));
        let terms = lists.iter().map(|list| self.slice(&list.term));
        if let Some(term) = repeated(terms) {
            return Err(format!("the term {term:?} has two postings lists"));
        }
        self.lists = lists;
        Ok(())
    }

    fn check_ids(&self) -> Checked<()> {
        let ids = self
            .documents
            .iter()
            .map(|document| self.slice(&document.id));
        let mut ids: Vec<&[u8]> = ids.collect();
        ids.sort_unstable();
        match repeated(ids.into_iter()) {
            Some(id) => Err(format!("two documents have the id {id:?}")),
            None => Ok(()),
        }
    }
}

/// The first of two equal neighbours, for a message.
fn repeated<'a>(mut sorted: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut previous = sorted.next()?;
    for next in sorted {
        if next == previous {
            return Some(String::from_utf8_lossy(next).into_owned());
        }
        previous = next;
    }
    None
}

impl List {
    /// Moves on to the next posting.
    pub fn advance(&mut self, bytes: &[u8], documents: usize) -> Checked<()> {
        let mut rest = bytes.get(self.rest.clone()).unwrap_or_default();
        let previous = self.next.take();
        while let Some((field, value)) = take_field(&mut rest)? {
            if field == list::POSTING {
                self.next = Some(Posting::read(value, previous, documents)?);
                break;
            }
        }
        self.rest.start = self.rest.end.saturating_sub(rest.len());
        Ok(())
    }
}

impl Posting {
    fn read(value: Value<'_>, previous: Option<Posting>, documents: usize) -> Checked<Self> {
        let mut rest = value.bytes()?;
        let (mut gap, mut weight) = (0, 0);
        while let Some((field, value)) = take_field(&mut rest)? {
            match field {
                posting::GAP => gap = value.int32()?,
                posting::FREQUENCY => weight = value.int32()?,
                _ => {}
            }
        }
        let document = match previous {
            None => i64::from(gap),
            Some(_) if gap <= 0 => return Err(format!("document gap {gap}; ids must ascend")),
            Some(previous) => i64::from(gap).saturating_add(previous.document.into()),
        };
        if document < 0 || document >= documents as i64 {
            return Err(format!("document {document}; there are {documents}"));
        }
        if weight < 0 {
            return Err(format!("term frequency {weight} is negative"));
        }
        Ok(Self {
            document: document as u32,
            weight: weight as u32,
        })
    }
}
