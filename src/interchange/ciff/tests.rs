//! Files written here, whole and broken, and rows read from them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::super::protobuf::Message;
use super::*;
use crate::error::Result;
use crate::pool::Interrupt;
use crate::sparse::writer::Source;
use crate::storage::keys::Key;

/// Impacts of each document by term.
type Table = Vec<BTreeMap<u8, u8>>;

struct Given {
    rows: Table,
    terms: Vec<(u8, String)>,
}

impl Given {
    fn new(rows: Table) -> Self {
        let mut terms: Vec<u8> = rows.iter().flat_map(|row| row.keys().copied()).collect();
        terms.sort_unstable();
        terms.dedup();
        let name = |term: u8| (term, format!("t{term:03}"));
        Self {
            rows,
            terms: terms.into_iter().map(name).collect(),
        }
    }

    fn written(&self) -> Vec<u8> {
        let mut bytes = vec![];
        let id = |document: u32| Ok(Key::Int(i64::from(document) + 100));
        let never = Interrupt::never();
        write(&mut bytes, Path::new("out"), self, id, "tests", &never).unwrap();
        bytes
    }
}

impl Source for Given {
    fn documents(&self) -> u32 {
        self.rows.len() as u32
    }

    fn terms(&self) -> u32 {
        self.terms.len() as u32
    }

    fn key(&self, term: u32) -> Result<Key<'_>> {
        Ok(Key::Str(&self.terms[term as usize].1))
    }

    fn row(&self, document: u32, mut visit: impl FnMut(u32, u8) -> Result<()>) -> Result<()> {
        let position = |term| self.terms.binary_search_by_key(&term, |(term, _)| *term);
        for (&term, &impact) in &self.rows[document as usize] {
            visit(position(term).unwrap() as u32, impact)?;
        }
        Ok(())
    }
}

/// Id, and weights by term.
type Row = (String, Vec<(String, f32)>);

/// All rows, in batches of `budget` bytes; lengths of the batches.
fn read(bytes: &[u8], budget: usize) -> Result<(Vec<Row>, Vec<usize>)> {
    let mut reader = Reader::open(bytes, Path::new("a.ciff"), &Interrupt::never())?;
    let terms: Vec<String> = reader.terms()?.into_iter().map(str::to_owned).collect();
    let (mut rows, mut lengths) = (vec![], vec![]);
    while let Some(batch) = reader.next_rows(budget)? {
        assert_eq!(batch.indptr.len(), batch.ids.len() + 1);
        lengths.push(batch.ids.len());
        for (row, id) in batch.ids.iter().enumerate() {
            let range = batch.indptr[row] as usize..batch.indptr[row + 1] as usize;
            let numbers = &batch.terms[range.clone()];
            assert!(numbers.is_sorted_by(|a, b| a < b));
            let names = numbers.iter().map(|&term| terms[term as usize].clone());
            let weights = batch.weights[range].iter().copied();
            rows.push(((*id).to_owned(), names.zip(weights).collect()));
        }
    }
    Ok((rows, lengths))
}

fn fault(bytes: &[u8]) -> String {
    read(bytes, 1 << 20).unwrap_err().to_string()
}

fn table() -> impl Strategy<Value = Table> {
    let row = proptest::collection::btree_map(0..20_u8, 1..=255_u8, 0..8);
    proptest::collection::vec(row, 0..20)
}

proptest! {
    #[test]
    fn rows_come_back_whatever_the_budget(table in table(), budget in 1..200_usize) {
        let given = Given::new(table);
        let bytes = given.written();
        let (rows, lengths) = read(&bytes, usize::MAX).unwrap();
        prop_assert_eq!(lengths.len(), usize::from(!given.rows.is_empty()));
        let expected: Vec<Row> = given.rows.iter().enumerate().map(|(document, row)| {
            let weights = row.iter().map(|(term, impact)| (format!("t{term:03}"), f32::from(*impact)));
            ((document + 100).to_string(), weights.collect())
        }).collect();
        prop_assert_eq!(&rows, &expected);

        let (again, lengths) = read(&bytes, budget).unwrap();
        prop_assert_eq!(rows, again);
        let mut start = 0;
        for length in lengths {
            let batch = &given.rows[start..start + length];
            let size: usize = batch.iter().map(|row| 8 * (row.len() + 1)).sum();
            prop_assert!(length == 1 || size <= budget);
            start += length;
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused(table in table()) {
        let bytes = Given::new(table).written();
        for end in 0..bytes.len() {
            prop_assert!(read(&bytes[..end], 64).is_err(), "cut at {}", end);
        }
        prop_assert!(fault(&[&bytes[..], &[0]].concat()).contains("1 bytes follow"));
    }

    #[test]
    fn arbitrary_changes_never_panic(
        table in table(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        noise: Vec<u8>,
    ) {
        let mut bytes = Given::new(table).written();
        for (place, byte) in changes {
            *place.get_mut(&mut bytes) = byte;
        }
        let _ = read(&bytes, 64);
        let _ = read(&noise, 64);
    }
}

fn message(fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::default();
    fill(&mut message);
    message.as_bytes().to_vec()
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![];
    for message in messages {
        let mut length = Message::default();
        length.varint(message.len() as u64);
        file.extend([length.as_bytes(), message].concat());
    }
    file
}

fn header(lists: i64, documents: i64) -> Vec<u8> {
    message(|header| {
        header.int(header::VERSION, 1);
        header.int(header::LISTS, lists.cast_unsigned());
        header.int(header::DOCUMENTS, documents.cast_unsigned());
    })
}

fn list(term: &str, df: i64, postings: &[(i64, i64)]) -> Vec<u8> {
    message(|list| {
        list.string(list::TERM, term);
        list.int(list::DOCUMENT_FREQUENCY, df.cast_unsigned());
        for (gap, weight) in postings {
            let posting = message(|posting| {
                posting.int(posting::GAP, gap.cast_unsigned());
                posting.int(posting::FREQUENCY, weight.cast_unsigned());
            });
            list.item(list::POSTING, &posting);
        }
    })
}

fn record(number: i64, id: &str) -> Vec<u8> {
    message(|record| {
        record.int(record::DOCUMENT, number.cast_unsigned());
        record.string(record::ID, id);
    })
}

#[test]
fn terms_records_and_fields_may_come_in_any_order() {
    let postings = list("", 2, &[(1, 7), (1, 300)]);
    let late = message(|message| message.string(list::TERM, "b"));
    let early = list("a", 1, &[(0, 2)]);
    let unknown = message(|message| message.item(99, b"later versions"));
    let lists = [[postings, late].concat(), [unknown, early].concat()];
    let records = [record(2, "z"), record(0, "x"), record(1, "y")];
    let [first, second] = lists;
    let [z, x, y] = records;
    let bytes = framed(&[header(2, 3), first, second, z, x, y]);
    let (rows, _) = read(&bytes, 8).unwrap();
    let row = |id: &str, term: &str, weight| (id.to_owned(), vec![(term.to_owned(), weight)]);
    assert_eq!(
        rows,
        [row("x", "a", 2.0), row("y", "b", 7.0), row("z", "b", 300.0)]
    );
}

#[test]
fn a_fault_names_its_place() {
    let x = || record(0, "x");
    let y = || record(1, "y");
    let two = |postings: &[(i64, i64)]| {
        framed(&[
            header(1, 2),
            list("a", postings.len() as i64, postings),
            x(),
            y(),
        ])
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "header: the bytes end inside a number"),
        (vec![0x1f, 0x8b, 8], "gunzip"),
        (framed(&[vec![]]), "header: version 0"),
        (
            framed(&[header(-1, 0)]),
            "header: -1 postings lists and 0 documents",
        ),
        (framed(&[header(0, -1)]), "and -1 documents"),
        (
            framed(&[header(i32::MAX.into(), i32::MAX.into())]),
            "do not fit the 0 bytes",
        ),
        (
            framed(&[header(1 << 40, 0)]),
            "header: a number has more than 32 bits",
        ),
        (
            two(&[(0, 1), (0, 1)]),
            "a.ciff: postings list 0: posting 1: document gap 0; ids must ascend",
        ),
        (two(&[(1, 1), (-1, 1)]), "posting 1: document gap -1"),
        (two(&[(-1, 1)]), "posting 0: document -1; there are 2"),
        (two(&[(1, 1), (1, 1)]), "posting 1: document 2; there are 2"),
        (two(&[(1, 1), (i32::MAX.into(), 1)]), "document 2147483648"),
        (two(&[(0, -3)]), "term frequency -3 is negative"),
        (two(&[(0, 1 << 31)]), "more than 32 bits"),
        (
            framed(&[header(1, 1), list("a", 2, &[(0, 1)]), x()]),
            "postings list 0: document frequency 2 but 1 postings",
        ),
        (
            framed(&[header(1, 1), list("a", -1, &[]), x()]),
            "document frequency -1",
        ),
        (
            framed(&[header(2, 1), list("a", 0, &[]), list("a", 0, &[]), x()]),
            "the term \"a\" has two postings lists",
        ),
        (
            framed(&[header(0, 2), x(), x()]),
            "document record 1: document 0 has a record already",
        ),
        (
            framed(&[header(0, 2), x(), record(1, "x")]),
            "two documents have the id \"x\"",
        ),
        (
            framed(&[header(0, 2), x(), record(2, "y")]),
            "document record 1: document 2; there are 2",
        ),
        (
            framed(&[header(0, 2), x(), record(1, ""), vec![0; 8]]),
            "document record 1: its id has 0 bytes",
        ),
        (
            framed(&[header(1, 0), list(&"a".repeat(65_536), 0, &[])]),
            "longer than 65,535",
        ),
        (
            [framed(&[header(1, 0)]), vec![0xff; 11]].concat(),
            "postings list 0: a number has more than 64 bits",
        ),
        (
            [framed(&[header(1, 0)]), vec![0xfe, 0xff, 0x03, 1]].concat(),
            "postings list 0: a length passes the end",
        ),
    ];
    for (bytes, expected) in cases {
        let found = fault(&bytes);
        assert!(found.starts_with("a.ciff: "), "{found}");
        assert!(
            found.contains(expected),
            "{found:?} does not say {expected:?}"
        );
    }
}
