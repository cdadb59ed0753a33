//! The hostile directories, and what must come of each.

use serde_json::{Value as Json, json};

use super::DOCUMENTS;
use super::forge::{Files, Layout, manifest_of_json, put, u64_at};
use super::hostile::Outcome::{self, *};

const MEBIBYTES: usize = 1 << 20;

/// What it is, what must come of it, how a good directory becomes it.
pub type Case = (&'static str, Outcome, fn(&mut Files));

pub fn all() -> Vec<Case> {
    [manifests(), structures(), contents(), super::lists::all()].concat()
}

pub fn manifest(files: &mut Files, edit: impl FnOnce(&mut Json)) {
    files.edit_manifest(edit);
}

fn segment(files: &mut Files, member: &str, value: impl Into<Json>) {
    manifest(files, |json| {
        json["content"]["segments"][0][member] = value.into()
    });
}

fn file(files: &mut Files, member: &str, value: impl Into<Json>) {
    manifest(files, |json| json["files"][0][member] = value.into());
}

/// Gives the manifest these bytes.
fn raw(files: &mut Files, edit: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let name = files.manifest_name();
    let bytes = edit(files.0[&name].clone());
    files.0.insert(name, bytes);
}

fn forged_json(json: &str) -> Vec<u8> {
    manifest_of_json(json.as_bytes())
}

fn manifests() -> Vec<Case> {
    vec![
        ("a length of 2^64 - 1", Refused, |f| {
            file(f, "length", u64::MAX)
        }),
        ("a length of 0", Refused, |f| file(f, "length", 0)),
        ("a negative length", Refused, |f| file(f, "length", -1)),
        ("a length of one more", Refused, |f| {
            manifest(f, |json| {
                json["files"][0]["length"] = json!(json["files"][0]["length"].as_u64().unwrap() + 1)
            });
        }),
        ("a path upwards", Refused, |f| {
            file(f, "name", "../segment-1.ids")
        }),
        ("an absolute path", Refused, |f| {
            file(f, "name", "/etc/passwd")
        }),
        ("a path inside a name", Refused, |f| {
            file(f, "name", "segment-1/../../x")
        }),
        ("a backslash in a name", Refused, |f| {
            file(f, "name", "segment-1\\..\\x")
        }),
        ("a zero byte in a name", Refused, |f| {
            file(f, "name", "segment-1.ids\0")
        }),
        ("an empty name", Refused, |f| file(f, "name", "")),
        ("the lock as a data file", Refused, |f| {
            file(f, "name", "LOCK")
        }),
        ("a manifest as a data file", Refused, |f| {
            file(f, "name", "manifest-1.json")
        }),
        ("a name that is not ASCII", Refused, |f| {
            file(f, "name", "segment-ö.ids")
        }),
        ("a name of 8 MiB", Refused, |f| {
            file(f, "name", "segment-".repeat(MEBIBYTES))
        }),
        ("a file that is not listed", Refused, |f| {
            manifest(f, |json| {
                drop(json["files"].as_array_mut().unwrap().remove(0))
            });
        }),
        ("no files", Refused, |f| {
            manifest(f, |json| json["files"] = json!([]))
        }),
        ("files that are no list", Refused, |f| {
            manifest(f, |json| json["files"] = json!(7))
        }),
        ("another generation inside", Refused, |f| {
            manifest(f, |json| json["generation"] = json!(9))
        }),
        ("a generation that none can follow", Refused, |f| {
            let old = f.manifest_name();
            manifest(f, |json| json["generation"] = json!(u64::MAX));
            let bytes = f.0.remove(&old).unwrap();
            f.0.insert(format!("manifest-{}.json", u64::MAX), bytes);
        }),
        ("format 0", Refused, |f| {
            manifest(f, |json| json["format"] = json!(0))
        }),
        ("format 2", TooNew, |f| {
            manifest(f, |json| json["format"] = json!(2))
        }),
        ("format 2^32 - 1", TooNew, |f| {
            manifest(f, |json| json["format"] = json!(u32::MAX))
        }),
        ("a negative format", Refused, |f| {
            manifest(f, |json| json["format"] = json!(-1))
        }),
        ("a format of 1e99", Refused, |f| {
            manifest(f, |json| json["format"] = json!(1e99))
        }),
        ("a newer format with other members", TooNew, |f| {
            raw(f, |_| {
                forged_json("{\n  \"format\": 3,\n  \"shards\": []\n}")
            });
        }),
        ("a short index id", Refused, |f| {
            manifest(f, |json| json["index"] = json!("00ff"))
        }),
        ("an index id with a sign", Refused, |f| {
            manifest(f, |json| json["index"] = json!(format!("+{:031x}", 7)));
        }),
        ("the id of another index", Refused, |f| {
            manifest(f, |json| json["index"] = json!(format!("{:032x}", 7)));
        }),
        ("2^32 - 1 documents", Refused, |f| {
            segment(f, "documents", u32::MAX)
        }),
        ("no documents", Refused, |f| segment(f, "documents", 0)),
        ("one document more", Refused, |f| {
            segment(f, "documents", DOCUMENTS + 1)
        }),
        ("more documents than 32 bits", Refused, |f| {
            segment(f, "documents", 1_u64 << 32)
        }),
        ("more deleted than there are", Refused, |f| {
            segment(f, "deleted", DOCUMENTS + 1)
        }),
        ("another number of deleted", Refused, |f| {
            segment(f, "deleted", 1)
        }),
        ("no file of deleted documents", Refused, |f| {
            segment(f, "deleted_generation", Json::Null)
        }),
        (
            "a file of deleted documents that is not there",
            Refused,
            |f| {
                segment(f, "deleted_generation", u64::MAX);
            },
        ),
        ("a segment id of 2^64 - 1", Refused, |f| {
            segment(f, "id", u64::MAX)
        }),
        ("next_segment 0", Refused, |f| {
            manifest(f, |json| json["content"]["next_segment"] = json!(0))
        }),
        ("next_segment 2^64 - 1", Refused, |f| {
            manifest(f, |json| json["content"]["next_segment"] = json!(u64::MAX));
        }),
        ("2^64 - 1 postings", Refused, |f| {
            segment(f, "postings", u64::MAX)
        }),
        ("2^64 - 1 clipped postings", Refused, |f| {
            segment(f, "clipped", u64::MAX)
        }),
        ("2^64 - 1 tokens", Refused, |f| {
            segment(f, "tokens", u64::MAX)
        }),
        ("a segment twice", Refused, |f| {
            manifest(f, |json| {
                let segments = json["content"]["segments"].as_array_mut().unwrap();
                segments.push(segments[0].clone());
            });
        }),
        ("a segment 1,000 times", Refused, |f| {
            manifest(f, |json| {
                let segments = json["content"]["segments"].as_array_mut().unwrap();
                *segments = vec![segments[0].clone(); 1000];
            });
        }),
        ("a scale of 0", Refused, |f| {
            manifest(f, |json| json["content"]["max_weight"] = json!(0))
        }),
        ("a negative scale", Refused, |f| {
            manifest(f, |json| json["content"]["max_weight"] = json!(-4))
        }),
        ("a scale of 1e39", Refused, |f| {
            manifest(f, |json| json["content"]["max_weight"] = json!(1e39))
        }),
        ("no scale", Harmless, |f| {
            manifest(f, |json| json["content"]["max_weight"] = Json::Null)
        }),
        ("ids of another kind", Refused, |f| {
            manifest(f, |json| json["content"]["schema"]["ids"] = json!("int"));
        }),
        ("terms of another kind", Refused, |f| {
            manifest(f, |json| {
                json["content"]["schema"]["sparse"]["terms"] = json!("str")
            });
        }),
        ("one more attribute", Refused, |f| {
            manifest(f, |json| {
                json["content"]["schema"]["attributes"]["a"] = json!("int64")
            });
        }),
        ("an attribute of another kind", Refused, |f| {
            manifest(f, |json| {
                json["content"]["schema"]["attributes"]["lang"] = json!("int64")
            });
        }),
        ("an unknown member of a segment", Refused, |f| {
            segment(f, "shard", 1)
        }),
        ("an unknown member of the content", Refused, |f| {
            manifest(f, |json| json["content"]["shard"] = json!(1));
        }),
        ("an empty manifest", Refused, |f| raw(f, |_| vec![])),
        ("an empty object", Refused, |f| {
            raw(f, |_| forged_json("{\n}"))
        }),
        ("a checksum and nothing else", Refused, |f| {
            raw(f, |_| forged_json(""))
        }),
        ("lists within lists", Refused, |f| {
            raw(f, |_| forged_json(&"[".repeat(MEBIBYTES)))
        }),
        ("lists within lists in the content", Refused, |f| {
            raw(f, |_| {
                let nested = "[".repeat(MEBIBYTES);
                forged_json(&format!(
                    "{{\n  \"format\": 1,\n  \"content\": {nested}\n}}"
                ))
            });
        }),
        ("a manifest that is not UTF-8", Refused, |f| {
            raw(f, |_| manifest_of_json(b"{\n  \"format\": \"\xff\"\n}"));
        }),
        ("bytes behind the checksum", Refused, |f| {
            raw(f, |bytes| [&bytes[..], b"\n"].concat())
        }),
        ("zeros instead of a manifest", Refused, |f| {
            raw(f, |bytes| vec![0; bytes.len()])
        }),
    ]
}

/// Changes `value.len()` bytes of the ids file at a place that `at` picks from its layout.
fn patch(files: &mut Files, at: fn(Layout) -> usize, value: &[u8]) {
    files.edit(".ids", |bytes, layout| put(bytes, at(layout), value));
}

/// Changes the table entry of the second section of the ids file: its offset or its length.
fn entry(files: &mut Files, field: usize, change: impl FnOnce(u64) -> u64) {
    files.edit(".ids", |bytes, layout| {
        let at = layout.body + 32 + field;
        let value = change(u64_at(bytes, at));
        put(bytes, at, &value.to_le_bytes());
    });
}

const OFFSET: usize = 16;
const LENGTH: usize = 24;
const MAX: [u8; 8] = [0xff; 8];

fn structures() -> Vec<Case> {
    vec![
        ("another magic", Refused, |f| patch(f, |_| 0, b"W")),
        ("version 0", Refused, |f| patch(f, |_| 8, &[0; 4])),
        ("version 2", TooNew, |f| patch(f, |_| 8, &[2, 0, 0, 0])),
        ("version 2^32 - 1", TooNew, |f| patch(f, |_| 8, &MAX[..4])),
        ("a reserved field in the header", Refused, |f| {
            patch(f, |_| 12, b"x")
        }),
        ("another index", Refused, |f| {
            patch(f, |_| 16, b"another index id")
        }),
        ("another kind", Refused, |f| patch(f, |_| 32, b"sparse")),
        ("a reserved field behind the kind", Refused, |f| {
            patch(f, |_| 63, b"x")
        }),
        ("a body of 2^64 - 1 bytes", Refused, |f| {
            patch(f, |l| l.footer, &MAX)
        }),
        ("a body of no bytes", Refused, |f| {
            patch(f, |l| l.footer, &[0; 8])
        }),
        ("a body past the end", Refused, |f| {
            patch(f, |l| l.footer + 2, b"\x7f")
        }),
        ("2^32 - 1 sections", Refused, |f| {
            patch(f, |l| l.footer + 8, &MAX[..4])
        }),
        ("no sections", Refused, |f| {
            patch(f, |l| l.footer + 8, &[0; 4])
        }),
        ("2^32 - 1 blocks", Refused, |f| {
            patch(f, |l| l.footer + 12, &MAX[..4])
        }),
        ("no blocks", Refused, |f| {
            patch(f, |l| l.footer + 12, &[0; 4])
        }),
        ("a reserved field in the footer", Refused, |f| {
            patch(f, |l| l.footer + 40, b"x")
        }),
        ("another magic at the end", Refused, |f| {
            patch(f, |l| l.footer + 63, b"x")
        }),
        ("an offset of 2^64 - 1", Refused, |f| {
            entry(f, OFFSET, |_| u64::MAX)
        }),
        ("an offset of 2^64 - 64", Refused, |f| {
            entry(f, OFFSET, |_| u64::MAX - 63)
        }),
        ("an offset that is not aligned", Refused, |f| {
            entry(f, OFFSET, |at| at + 4)
        }),
        ("an offset in the header", Refused, |f| {
            entry(f, OFFSET, |_| 0)
        }),
        ("an offset past the end", Refused, |f| {
            entry(f, OFFSET, |_| 1 << 20)
        }),
        ("a section that overlaps the one before", Refused, |f| {
            entry(f, OFFSET, |at| at - 64)
        }),
        ("a length of 2^64 - 1", Refused, |f| {
            entry(f, LENGTH, |_| u64::MAX)
        }),
        ("a length past the end of the body", Refused, |f| {
            entry(f, LENGTH, |_| 1 << 20)
        }),
        ("a length into the next section", Refused, |f| {
            entry(f, LENGTH, |length| length + 64)
        }),
        ("a shorter section", Refused, |f| {
            entry(f, LENGTH, |length| length - 64)
        }),
        ("half a value at the end of a section", Refused, |f| {
            f.edit_section(".ids", "order", |order| order.truncate(order.len() - 2));
        }),
        ("sections in another order", Refused, |f| {
            f.edit(".ids", |bytes, layout| {
                let (first, second) = (layout.body, layout.body + 32);
                let entries = [&bytes[second..second + 32], &bytes[first..second]].concat();
                put(bytes, first, &entries);
            });
        }),
        ("a missing section", Refused, |f| {
            f.edit_sections(".ids", |sections| drop(sections.remove(1)));
        }),
        ("a section with another name", Refused, |f| {
            f.edit_sections(".ids", |sections| sections[1].0.push('x'));
        }),
        ("one section under two names", Refused, |f| {
            f.edit_sections(".ids", |sections| sections[1].0 = sections[0].0.clone());
        }),
        ("bytes between sections", Refused, |f| {
            f.edit_sections(".ids", |sections| sections[0].1.resize(1 << 16, 0));
            f.edit(".ids", |bytes, layout| {
                put(bytes, layout.body + LENGTH, &(DOCUMENTS * 4).to_le_bytes());
            });
        }),
        ("bytes behind the last section", Refused, |f| {
            f.edit_sections(".ids", |sections| {
                sections.push(("hidden".into(), vec![7; 640]))
            });
            f.edit(".ids", |bytes, layout| {
                put(bytes, layout.table_end - 32 + LENGTH, &[0; 8]);
            });
        }),
        ("an empty file", Refused, |f| resize(f, 0)),
        ("a header alone", Refused, |f| resize(f, 64)),
        ("half a footer", Refused, |f| resize(f, 32)),
        ("a file that has gone", Missing, |f| {
            drop(f.0.remove(&f.name("segment-", ".ids")))
        }),
        ("files of two segments swapped", Refused, |f| {
            let (one, two) = (f.name("segment-1", ".ids"), f.name("segment-2", ".ids"));
            let (first, second) = (f.0[&one].clone(), f.0[&two].clone());
            let lengths = [first.len(), second.len()];
            f.0.insert(one.clone(), second);
            f.0.insert(two.clone(), first);
            manifest(f, |json| {
                for file in json["files"].as_array_mut().unwrap() {
                    match file["name"].as_str() {
                        Some(name) if name == one => file["length"] = json!(lengths[1]),
                        Some(name) if name == two => file["length"] = json!(lengths[0]),
                        _ => (),
                    }
                }
            });
        }),
    ]
}

/// Cuts the ids file; the manifest knows.
fn resize(files: &mut Files, length: usize) {
    let name = files.name("segment-", ".ids");
    files.0.get_mut(&name).unwrap().truncate(length);
    manifest(files, |json| {
        let mut listed = json["files"].as_array_mut().unwrap().iter_mut();
        listed.find(|file| file["name"] == *name).unwrap()["length"] = json!(length);
    });
}

/// Puts `value` into a section as item `number` of as many bytes.
pub fn item(files: &mut Files, kind: &str, section: &str, number: usize, value: &[u8]) {
    files.edit_section(kind, section, |content| {
        put(content, number * value.len(), value)
    });
}

pub const ALL: [u8; 4] = [0xff; 4];

fn contents() -> Vec<Case> {
    vec![
        ("an id that ends before it starts", Found, |f| {
            item(f, ".ids", "ids.ends", 5, &[0; 4])
        }),
        ("an id that ends at 2^32 - 1", Found, |f| {
            item(f, ".ids", "ids.ends", 5, &ALL)
        }),
        ("an id that is not UTF-8", Found, |f| {
            item(f, ".ids", "ids.utf8", 10, &[0xff])
        }),
        ("no bytes of ids", Found, |f| {
            f.edit_section(".ids", "ids.utf8", Vec::clear)
        }),
        ("a document out of range in the order", Harmless, |f| {
            item(f, ".ids", "order", 9, &ALL)
        }),
        ("one document for all ids", Harmless, |f| {
            f.edit_section(".ids", "order", |order| order.fill(0));
        }),
        ("a keyword that is not there", Harmless, |f| {
            item(f, ".attributes", "0.values", 3, &[9, 0, 0, 0]);
        }),
        ("keywords that end at 2^32 - 1", Harmless, |f| {
            f.edit_section(".attributes", "0.ends", |ends| ends.fill(0xff));
        }),
        ("a keyword that is not UTF-8", Harmless, |f| {
            item(f, ".attributes", "0.utf8", 0, &[0xff])
        }),
        ("values that are not numbers", Harmless, |f| {
            f.edit_section(".attributes", "1.values", |values| values.fill(0xff));
        }),
        ("no bits of presence", Refused, |f| {
            f.edit_section(".attributes", "2.present", Vec::clear);
        }),
        ("deleted documents behind the last", Refused, |f| {
            f.edit_section(".deleted-", "documents", |bits| {
                *bits.last_mut().unwrap() = 0x80
            });
        }),
        ("all documents deleted", Refused, |f| {
            f.edit_section(".deleted-", "documents", |bits| bits.fill(0xff));
        }),
        ("2^32 - 1 deleted postings of each term", Harmless, |f| {
            f.edit_section(".deleted-", "counts", |counts| counts.fill(0xff));
        }),
        (
            "deleted postings of terms that are not there",
            Harmless,
            |f| {
                f.edit_section(".deleted-", "terms", |terms| terms.fill(0xff));
            },
        ),
        ("fewer counts than terms", Refused, |f| {
            f.edit_section(".deleted-", "counts", |counts| counts.truncate(8));
        }),
    ]
}
