//! Hostile sparse files: the lists of postings, their maxima, the rows, and the order of documents.

use serde_json::json;

use super::cases::{ALL, Case, item, manifest};
use super::forge::{Files, put, sections, u32_at, u32s, values};
use super::hostile::Outcome::*;
use super::{DOCUMENTS, golden};

const SPARSE: &str = "1.sparse";
/// Terms that the queries ask for, and their runs: with maxima of named blocks, and of every block.
const NAMED: usize = 7;
const EVERY: usize = 60;
/// Fields of a run.
const WINDOW: usize = 0;
const POSTINGS: usize = 1;
const MAXIMA: usize = 2;
const BLOCKS: usize = 3;
const MEBI: u32 = 1 << 20;
const SLOTS: usize = DOCUMENTS as usize;
const ALL_BLOCKS: u32 = (DOCUMENTS as u32).div_ceil(8);

pub fn section(files: &Files, name: &str) -> Vec<u8> {
    let bytes = &files.0[&files.name("segment-", SPARSE)];
    let mut all = sections(bytes).into_iter();
    all.find(|(other, _)| other == name).unwrap().1
}

pub fn edit(files: &mut Files, section: &str, edit: impl FnOnce(&mut Vec<u8>)) {
    files.edit_section(SPARSE, section, edit);
}

fn cut(files: &mut Files, section: &str, length: usize) {
    edit(files, section, |content| content.truncate(length));
}

fn field(files: &Files, run: usize, field: usize) -> u32 {
    u32_at(&section(files, "runs"), run * 16 + field * 4)
}

/// Changes a field of a run.
fn run(files: &mut Files, number: usize, field: usize, change: impl FnOnce(u32) -> u32) {
    edit(files, "runs", |runs| {
        let at = number * 16 + field * 4;
        let value = change(u32_at(runs, at));
        put(runs, at, &value.to_le_bytes());
    });
}

/// Puts `value` into every third byte of a section, from the first, second or third on.
fn fill(files: &mut Files, section: &str, bytes: std::ops::Range<usize>, value: u8) {
    edit(files, section, |content| {
        for item in content.chunks_mut(3) {
            item[bytes.clone()].fill(value);
        }
    });
}

const PLACE: std::ops::Range<usize> = 0..2;
const VALUE: std::ops::Range<usize> = 2..3;

/// Puts a place into all postings of a run.
fn places(files: &mut Files, number: usize, place: u16) {
    let postings = field(files, number, POSTINGS)..field(files, number + 1, POSTINGS);
    edit(files, "postings", |content| {
        for posting in postings {
            put(content, 3 * posting as usize, &place.to_le_bytes());
        }
    });
}

/// The golden segment has what the cases below need.
#[test]
fn the_golden_index_has_runs_of_every_form() {
    let files = Files::of(&golden());
    let count = |run, of| field(&files, run + 1, of) - field(&files, run, of);
    assert_eq!(count(EVERY, MAXIMA), ALL_BLOCKS);
    assert_eq!(count(EVERY, BLOCKS), 0);
    assert_eq!(count(NAMED, MAXIMA), count(NAMED, BLOCKS));
    assert!((2..ALL_BLOCKS / 2).contains(&count(NAMED, MAXIMA)));
    let other = &files.0["segment-2.sparse"];
    let (_, runs) = sections(other).into_iter().next_back().unwrap();
    let first = |field| u32_at(&runs, 16 + field * 4) - u32_at(&runs, field * 4);
    assert!(first(POSTINGS) > 0 && first(MAXIMA) == 0);
    assert_eq!(section(&files, "slot_documents").len(), 4 * SLOTS);
}

pub fn all() -> Vec<Case> {
    [runs(), postings(), maxima(), order(), rows(), layouts()].concat()
}

fn runs() -> Vec<Case> {
    vec![
        ("runs of a term that descend", Found, |f| {
            item(f, SPARSE, "term_runs", NAMED, &ALL)
        }),
        ("runs of a term out of range", Found, |f| {
            edit(f, "term_runs", |runs| put(runs, 28, &u32s(&[MEBI; 54])));
        }),
        ("runs of a term that are those of all terms", Found, |f| {
            item(f, SPARSE, "term_runs", NAMED, &[0; 4]);
        }),
        ("runs of one term less", Refused, |f| {
            cut(f, "term_runs", 240)
        }),
        ("no runs", Found, |f| cut(f, "runs", 0)),
        ("a record and no run", Found, |f| cut(f, "runs", 16)),
        ("no closing record", Found, |f| cut(f, "runs", 61 * 16)),
        ("half a run", Refused, |f| cut(f, "runs", 24)),
        ("a window behind the last document", Found, |f| {
            run(f, NAMED, WINDOW, |_| u32::MAX)
        }),
        ("window 1 of a small segment", Found, |f| {
            run(f, NAMED, WINDOW, |_| 1)
        }),
        ("a million runs of one window", Found, |f| {
            million_runs(f, |_| 0)
        }),
        ("a million runs of ascending windows", Found, |f| {
            million_runs(f, |n| n)
        }),
        ("postings of a run that descend", Found, |f| {
            run(f, NAMED, POSTINGS, |_| u32::MAX)
        }),
        ("postings of a run out of range", Found, |f| {
            run(f, NAMED + 1, POSTINGS, |_| MEBI)
        }),
        (
            "a run of the postings of all terms before it",
            Harmless,
            |f| run(f, EVERY, POSTINGS, |_| 0),
        ),
        ("a run without postings that has maxima", Found, |f| {
            let end = field(f, NAMED + 1, POSTINGS);
            run(f, NAMED, POSTINGS, |_| end);
        }),
        ("maxima of a run that descend", Found, |f| {
            run(f, NAMED, MAXIMA, |_| u32::MAX)
        }),
        ("maxima of a run out of range", Found, |f| {
            run(f, NAMED + 1, MAXIMA, |_| MEBI)
        }),
        ("blocks of a run that descend", Found, |f| {
            run(f, NAMED, BLOCKS, |_| u32::MAX)
        }),
        ("blocks of a run out of range", Found, |f| {
            run(f, NAMED + 1, BLOCKS, |_| MEBI)
        }),
        ("a maximum too few", Found, |f| {
            run(f, NAMED, MAXIMA, |start| start + 1)
        }),
        ("a maximum too many", Found, |f| {
            run(f, NAMED, MAXIMA, |start| start - 1)
        }),
        ("a block too few", Found, |f| {
            run(f, NAMED, BLOCKS, |start| start + 1)
        }),
        ("maxima whose blocks are not named", Found, |f| {
            let end = field(f, NAMED + 1, BLOCKS);
            run(f, NAMED, BLOCKS, |_| end);
        }),
        ("blocks that have no maxima", Found, |f| {
            let end = field(f, NAMED + 1, MAXIMA);
            run(f, NAMED, MAXIMA, |_| end);
        }),
        ("a maximum less than there are blocks", Found, |f| {
            run(f, EVERY, MAXIMA, |start| start + 1)
        }),
        ("a maximum more than there are blocks", Found, |f| {
            run(f, EVERY, MAXIMA, |start| start - 1)
        }),
        ("a long run without maxima", Harmless, |f| {
            for of in [MAXIMA, BLOCKS] {
                let end = field(f, EVERY + 1, of);
                run(f, EVERY, of, |_| end);
            }
        }),
    ]
}

/// Term 7, which the queries ask for, has a million runs without postings beside its own.
fn million_runs(files: &mut Files, window: fn(u32) -> u32) {
    let fields = [POSTINGS, MAXIMA, BLOCKS].map(|of| field(files, NAMED, of));
    files.edit_sections(SPARSE, |sections| {
        for (name, content) in sections {
            match name.as_str() {
                "term_runs" => {
                    for number in NAMED + 1..content.len() / 4 {
                        let shifted = u32_at(content, number * 4) + MEBI;
                        put(content, number * 4, &shifted.to_le_bytes());
                    }
                }
                "runs" => {
                    let [postings, maxima, blocks] = fields;
                    let record = |number| u32s(&[window(number), postings, maxima, blocks]);
                    let records: Vec<u8> = (0..MEBI).flat_map(record).collect();
                    drop(content.splice(16 * NAMED..16 * NAMED, records));
                }
                _ => (),
            }
        }
    });
}

fn postings() -> Vec<Case> {
    vec![
        ("postings in the last slot of a window", Found, |f| {
            edit(f, "postings", |content| content.fill(0xff))
        }),
        ("postings behind the last document", Found, |f| {
            places(f, NAMED, 8 * ALL_BLOCKS as u16)
        }),
        (
            "postings behind the last document, in its block",
            Found,
            |f| places(f, NAMED, SLOTS as u16),
        ),
        (
            "postings behind the last document, and all maxima",
            Found,
            |f| {
                places(f, EVERY, SLOTS as u16);
                fill(f, "maxima", VALUE, 255);
            },
        ),
        ("short lists behind the last document", Found, |f| {
            f.edit_section("2.sparse", "postings", |content| content.fill(0x7f));
        }),
        (
            "short lists behind the last document, in its block",
            Found,
            |f| {
                f.edit_section("2.sparse", "postings", |content| {
                    for posting in content.chunks_mut(3) {
                        put(posting, 0, &199_u16.to_le_bytes());
                    }
                });
            },
        ),
        ("all postings in one slot", Harmless, |f| {
            fill(f, "postings", PLACE, 0)
        }),
        ("postings that descend", Harmless, |f| {
            edit(f, "postings", |content| {
                let reversed: Vec<u8> = content.rchunks(3).flatten().copied().collect();
                *content = reversed;
            });
        }),
        ("impacts of 0", Harmless, |f| fill(f, "postings", VALUE, 0)),
        ("impacts of 255", Harmless, |f| {
            fill(f, "postings", VALUE, 255)
        }),
        ("half a posting", Refused, |f| {
            edit(f, "postings", |content| content.truncate(content.len() - 1))
        }),
        ("a posting less than in rows", Refused, |f| {
            edit(f, "postings", |content| content.truncate(content.len() - 3))
        }),
        ("no postings", Refused, |f| cut(f, "postings", 0)),
    ]
}

fn maxima() -> Vec<Case> {
    vec![
        ("maxima of postings that are not there", Found, |f| {
            fill(f, "maxima", PLACE, 0xff)
        }),
        ("maxima of one posting", Harmless, |f| {
            fill(f, "maxima", PLACE, 0)
        }),
        ("maxima whose postings descend", Found, |f| {
            edit(f, "maxima", |content| {
                let reversed: Vec<u8> = content.rchunks(3).flatten().copied().collect();
                *content = reversed;
            });
        }),
        ("maxima of 0", Harmless, |f| fill(f, "maxima", VALUE, 0)),
        ("maxima of 255", Harmless, |f| fill(f, "maxima", VALUE, 255)),
        ("all maxima as large as bytes allow", Found, |f| {
            edit(f, "maxima", |content| content.fill(0xff))
        }),
        ("fewer maxima", Found, |f| cut(f, "maxima", 300)),
        ("no maxima", Found, |f| cut(f, "maxima", 0)),
        ("half a maximum", Refused, |f| cut(f, "maxima", 301)),
        ("maxima of blocks far behind the last", Found, |f| {
            edit(f, "maxima_blocks", |blocks| blocks.fill(0xff))
        }),
        ("maxima of the block behind the last", Found, |f| {
            edit(f, "maxima_blocks", |blocks| {
                *blocks = [ALL_BLOCKS as u8, 0].repeat(blocks.len() / 2)
            });
        }),
        ("maxima of one block", Harmless, |f| {
            edit(f, "maxima_blocks", |blocks| blocks.fill(0))
        }),
        ("maxima of blocks that descend", Harmless, |f| {
            edit(f, "maxima_blocks", |blocks| {
                let reversed: Vec<u8> = blocks.rchunks(2).flatten().copied().collect();
                *blocks = reversed;
            });
        }),
        ("fewer blocks of maxima", Found, |f| {
            cut(f, "maxima_blocks", 100)
        }),
        ("half a block of maxima", Refused, |f| {
            cut(f, "maxima_blocks", 101)
        }),
    ]
}

fn order() -> Vec<Case> {
    vec![
        ("a slot of no document", Found, |f| {
            edit(f, "slot_documents", |documents| documents.fill(0xff))
        }),
        ("slots of the document behind the last", Found, |f| {
            edit(f, "slot_documents", |documents| {
                *documents = u32s(&[SLOTS as u32; SLOTS]);
            });
        }),
        ("all slots of one document", Harmless, |f| {
            edit(f, "slot_documents", |documents| documents.fill(0))
        }),
        ("documents in no slot", Found, |f| {
            edit(f, "document_slots", |slots| slots.fill(0xff))
        }),
        ("documents in the slot behind the last", Found, |f| {
            edit(f, "document_slots", |slots| {
                *slots = u32s(&[SLOTS as u32; SLOTS])
            });
        }),
        ("all documents in one slot", Harmless, |f| {
            edit(f, "document_slots", |slots| slots.fill(0))
        }),
        ("slots that are not those of the documents", Harmless, |f| {
            edit(f, "document_slots", |slots| {
                let all: Vec<u32> = (0..SLOTS as u32).rev().collect();
                *slots = u32s(&all);
            });
        }),
        (
            "documents of slots and no slots of documents",
            Refused,
            |f| cut(f, "document_slots", 0),
        ),
        (
            "slots of documents and no documents of slots",
            Refused,
            |f| cut(f, "slot_documents", 0),
        ),
        ("neither", Harmless, |f| {
            cut(f, "document_slots", 0);
            cut(f, "slot_documents", 0);
        }),
        ("a slot less", Refused, |f| {
            cut(f, "document_slots", 4 * SLOTS - 4);
            cut(f, "slot_documents", 4 * SLOTS - 4);
        }),
        ("a slot more", Refused, |f| {
            edit(f, "document_slots", |slots| slots.extend([0; 4]));
            edit(f, "slot_documents", |documents| documents.extend([0; 4]));
        }),
    ]
}

fn rows() -> Vec<Case> {
    vec![
        ("a row that ends before it starts", Found, |f| {
            item(f, SPARSE, "row_starts", 9, &ALL)
        }),
        ("a term of a row that is not there", Found, |f| {
            edit(f, "row_terms", |terms| terms.fill(0xff))
        }),
        ("one term in all places of all rows", Harmless, |f| {
            edit(f, "row_terms", |terms| terms.fill(0))
        }),
        ("terms of rows that descend", Harmless, |f| {
            edit(f, "row_terms", |terms| terms.reverse())
        }),
        ("impacts of rows of 0", Harmless, |f| {
            edit(f, "row_impacts", |impacts| impacts.fill(0))
        }),
        ("weights of rows that are no numbers", Harmless, |f| {
            edit(f, "row_steps", |steps| steps.fill(0xff))
        }),
        ("weights of rows below 0", Harmless, |f| {
            edit(f, "row_steps", |steps| steps.fill(0xbc))
        }),
        ("fewer weights of rows", Refused, |f| cut(f, "row_steps", 4)),
        ("fewer impacts of rows", Refused, |f| {
            cut(f, "row_impacts", 4)
        }),
        ("fewer terms of rows", Refused, |f| cut(f, "row_terms", 4)),
        ("rows for another number of documents", Refused, |f| {
            cut(f, "row_starts", 400)
        }),
        ("no starts of rows", Refused, |f| cut(f, "row_starts", 0)),
        ("terms that descend", Harmless, |f| {
            let descending: Vec<i64> = (0..61).rev().collect();
            let bytes = values(&descending, |term| term.to_le_bytes());
            edit(f, "terms.int", |terms| *terms = bytes);
        }),
        ("negative terms", Harmless, |f| {
            edit(f, "terms.int", |terms| terms.fill(0xff))
        }),
        (
            "terms of rows whose postings are all of a deleted document",
            Harmless,
            |f| {
                let slot = u32_at(&section(f, "document_slots"), 0) as u16;
                (0..61).for_each(|number| places(f, number, slot));
            },
        ),
        (
            "a term of rows, with the postings of a deleted document",
            Harmless,
            |f| {
                let slot = u32_at(&section(f, "document_slots"), 0) as u16;
                places(f, EVERY, slot);
                // The last term, and of this segment only.
                item(f, SPARSE, "terms.int", EVERY, &1000_i64.to_le_bytes());
            },
        ),
    ]
}

fn schema(files: &mut Files, member: &str, value: serde_json::Value) {
    manifest(files, |json| {
        json["content"]["schema"]["sparse"][member] = value;
    });
}

fn point(files: &mut Files, member: &str, value: serde_json::Value) {
    let mut point = json!({"k": 10, "recall": 0.9, "alpha": 0.8, "beta": 0.5, "gamma": 7});
    point[member] = value;
    manifest(files, |json| {
        json["content"]["operating_points"] = json!([point])
    });
}

fn layouts() -> Vec<Case> {
    vec![
        ("blocks of 0 documents", Refused, |f| {
            schema(f, "block_size", json!(0))
        }),
        ("blocks of 24 documents", Refused, |f| {
            schema(f, "block_size", json!(24))
        }),
        ("blocks of 4 documents", Refused, |f| {
            schema(f, "block_size", json!(4))
        }),
        ("blocks of 512 documents", Refused, |f| {
            schema(f, "block_size", json!(512))
        }),
        ("blocks of 2^31 documents", Refused, |f| {
            schema(f, "block_size", json!(1_u32 << 31))
        }),
        ("blocks of -8 documents", Refused, |f| {
            schema(f, "block_size", json!(-8))
        }),
        ("larger blocks than the file has", Found, |f| {
            schema(f, "block_size", json!(16))
        }),
        ("much larger blocks than the file has", Found, |f| {
            schema(f, "block_size", json!(256))
        }),
        ("an order that is neither true nor false", Refused, |f| {
            schema(f, "reorder", json!("yes"))
        }),
        ("a point that is measured", Harmless, |f| {
            point(f, "k", json!(10))
        }),
        ("a point for no hits", Refused, |f| point(f, "k", json!(0))),
        ("a point of 2^64 - 1 hits", Harmless, |f| {
            point(f, "k", json!(u64::MAX))
        }),
        ("a point of more recall than there is", Refused, |f| {
            point(f, "recall", json!(1.01))
        }),
        ("a point with alpha 0", Refused, |f| {
            point(f, "alpha", json!(0.0))
        }),
        ("a point with a negative beta", Refused, |f| {
            point(f, "beta", json!(-0.5))
        }),
        ("a point with beta 1e99", Refused, |f| {
            point(f, "beta", json!(1e99))
        }),
        ("a point with a negative gamma", Refused, |f| {
            point(f, "gamma", json!(-1))
        }),
        ("a point with an unknown member", Refused, |f| {
            point(f, "delta", json!(1))
        }),
        ("points that are no list", Refused, |f| {
            manifest(f, |json| json["content"]["operating_points"] = json!(7));
        }),
    ]
}
