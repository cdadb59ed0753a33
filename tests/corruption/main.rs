//! P3, R5, R6 and R8: `verify` reports every flipped bit; opening refuses every other length of every
//! file; and no damage that gets past opening, by chance or by design, makes the library panic, hang or
//! allocate without need. `WEFT_EXHAUSTIVE=1` tries more.

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod forge;
mod hostile;
mod lists;
mod sparse_file;
mod tokens;
mod values;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use common::{Hits, LARGE, PLANS, Step, add, docs, exhaustive, ids, on_two_threads, open, run};
use forge::{Files, Layout};
use weft::index::{Options, Snapshot};
use weft::pool::Interrupt;
use weft::sparse::{Knobs, Plan};
use weft::storage::vfs::Vfs;
use weft::storage::vfs_sim::{Crash, SimVfs};
use weft::storage::{keys::Keys, verify::verify};
use weft::{Error, Result};

/// In the first segment of the golden index; the last of its blocks of 8 is half full.
const DOCUMENTS: i64 = 404;

/// An index of more than 64 KiB with files of all kinds: two segments, documents deleted in both.
fn golden() -> SimVfs {
    let vfs = SimVfs::new();
    let steps = [
        Step::Open {
            memory_limit: LARGE,
        },
        Step::Add(docs(0..DOCUMENTS, 0)),
        Step::Commit,
        Step::Add(docs(DOCUMENTS..600, 0)),
        Step::Delete(ids((0..DOCUMENTS).step_by(9))),
        Step::Commit,
        Step::Delete(ids((1..600).step_by(11))),
        Step::Commit,
    ];
    let handle: Arc<dyn Vfs> = Arc::new(vfs.clone());
    run(&handle, &steps, |_| ()).unwrap();
    let files = Files::of(&vfs);
    for kind in [
        "manifest-",
        ".ids",
        ".sparse",
        ".attributes",
        ".multivector",
        ".deleted-",
    ] {
        assert!(
            files.0.keys().any(|name| name.contains(kind)),
            "no {kind} file"
        );
    }
    assert!(files.bytes() >= 64 << 10, "{} bytes", files.bytes());
    vfs
}

/// A copy of the directory with an empty log.
fn copy(vfs: &SimVfs) -> SimVfs {
    vfs.crash_image(vfs.operation_count(), Crash::All)
}

/// Where the error lies, when it says that a file is damaged.
fn damaged_file(error: &Error) -> String {
    match error {
        Error::Corrupt { path, .. } | Error::FormatVersion { path, .. } => {
            path.file_name().unwrap().to_str().unwrap().to_owned()
        }
        error => panic!("not an error about a damaged file: {error:?}"),
    }
}

/// The directory with a manifest that lists one file only, so that verifying reads no other.
fn only(golden: &SimVfs, name: &str) -> SimVfs {
    let mut files = Files::of(golden);
    files.edit_manifest(|json| {
        json["files"]
            .as_array_mut()
            .unwrap()
            .retain(|file| file["name"] == name);
    });
    files.vfs()
}

#[test]
fn verify_reports_every_flipped_bit() {
    let golden = golden();
    verify(&golden).unwrap();
    let flips = on_two_threads(|part, parts| {
        let mut flips = 0;
        for (name, bytes) in Files::of(&golden).0 {
            let alone = match name.ends_with(".json") || name == "LOCK" {
                true => copy(&golden),
                false => only(&golden, &name),
            };
            verify(&alone).unwrap();
            for start in (0..bytes.len()).step_by(512).skip(part).step_by(parts) {
                let end = bytes.len().min(start + 512);
                flip_bits(&copy(&golden), &name, &bytes, start..start + 1);
                flips += flip_bits(&copy(&alone), &name, &bytes, start..end);
            }
        }
        flips
    });
    println!("{} flipped bits reported", flips[0] + flips[1]);
    assert_eq!(flips[0] + flips[1], 8 * Files::of(&golden).bytes());
}

/// Flips each bit of some bytes of a file; returns their number.
fn flip_bits(vfs: &SimVfs, name: &str, bytes: &[u8], positions: std::ops::Range<usize>) -> usize {
    let mut damaged = bytes.to_vec();
    let count = positions.len() * 8;
    for position in positions {
        for bit in 0..8 {
            damaged[position] ^= 1 << bit;
            vfs.set(name, &damaged);
            match verify(vfs) {
                Ok(_) => panic!("{name}: bit {bit} of byte {position} flipped unnoticed"),
                Err(error) => assert_eq!(damaged_file(&error), name),
            }
            damaged[position] ^= 1 << bit;
        }
    }
    count
}

#[test]
fn opening_refuses_every_other_length() {
    let golden = golden();
    let lengths = on_two_threads(|part, parts| {
        let mut lengths = 0;
        for (name, bytes) in Files::of(&golden).0 {
            if name == "LOCK" {
                continue;
            }
            let longer = [&bytes[..], b"\0"].concat();
            let vfs = copy(&golden);
            for length in (0..=longer.len()).skip(part).step_by(parts) {
                if length != bytes.len() {
                    vfs.set(&name, &longer[..length]);
                    let error = Snapshot::open(&vfs).map(drop).unwrap_err();
                    assert_eq!(damaged_file(&error), name, "length {length}");
                    lengths += 1;
                }
            }
        }
        lengths
    });
    println!("{} lengths refused", lengths[0] + lengths[1]);
}

/// A generator of places to damage.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

/// Damages a file, the manifest included, and makes right the checksums that opening compares.
fn damage(name: &str, bytes: &mut [u8], random: &mut Random) {
    let structure = (!name.ends_with(".json")).then(|| Layout::of(bytes));
    let end = match structure {
        None => forge::json_of_manifest(bytes).len() - 2,
        Some(_) => bytes.len(),
    };
    // Half of the damage is done to the header, the table and the footer.
    let position = match structure {
        Some(layout) if random.below(2) == 0 => {
            let position = random.below(64 + end - layout.body);
            if position < 64 {
                position
            } else {
                layout.body + position - 64
            }
        }
        _ => random.below(end),
    };
    match random.below(4) {
        0 => bytes[position..end.min(position + 4)].fill(0xff),
        1 => bytes[position..end.min(position + 4)].fill(0),
        _ => bytes[position] ^= 1 << random.below(8),
    }
    match structure {
        Some(layout) => layout.seal_tail(name, bytes),
        None => {
            let json = [&bytes[..end], b"\n}"].concat();
            bytes.copy_from_slice(&forge::manifest_of_json(&json));
        }
    }
}

/// Whatever a process may do with an index. Any error will do.
fn use_index(vfs: &SimVfs, write: bool) -> Result<()> {
    let snapshot = Snapshot::open(vfs)?;
    let answers = common::answers(&snapshot).map(drop);
    let found = every_search().map(|options| common::hits_with(&snapshot, &options).map(drop));
    let answers = found.into_iter().fold(answers, Result::and);
    serde_json::to_string(&snapshot.stats()).unwrap();
    if write {
        let handle: Arc<dyn Vfs> = Arc::new(copy(vfs));
        let _ = snapshot.export_ciff(&*handle, "export.ciff", &Interrupt::never());
        let mut writer = open(&handle, LARGE)?;
        add(&mut writer, &docs(590..610, 1))?;
        writer.delete(&Keys::Str(&["doc-5", "doc-500"]))?;
        writer.commit()?;
        writer.merge(1)?;
    }
    answers
}

/// Every plan, and what an approximate search does besides.
fn every_search() -> [Options; 6] {
    let approximate = Options {
        knobs: Knobs {
            alpha: 0.8,
            beta: 0.5,
            gamma: 2,
        },
        plan: Some(Plan::BlockMax),
        ..Options::default()
    };
    let late = Options {
        deadline: Some(Duration::ZERO),
        ..Options::default()
    };
    let exact = PLANS.map(|plan| Options {
        plan,
        ..Options::default()
    });
    let [any, exhaustive, block_max, rows] = exact;
    [any, exhaustive, block_max, rows, approximate, late]
}

/// An undamaged index, and what it answers. Searching a damaged one leaves nothing behind that changes it.
struct Healthy {
    snapshot: Snapshot,
    hits: Hits,
}

impl Healthy {
    fn new() -> Self {
        let snapshot = Snapshot::open(&golden()).unwrap();
        let hits = common::hits(&snapshot, Some(Plan::Exhaustive)).unwrap();
        Self { snapshot, hits }
    }

    /// The plan that finds something else, if one does.
    fn differs(&self) -> Option<Option<Plan>> {
        let same = |plan: &Option<Plan>| {
            common::hits(&self.snapshot, *plan).is_ok_and(|hits| hits == self.hits)
        };
        PLANS.into_iter().find(|plan| !same(plan))
    }
}

#[test]
fn damage_that_gets_past_opening_never_panics() {
    let golden = golden();
    let names: Vec<String> = golden
        .names()
        .into_iter()
        .filter(|name| name != "LOCK")
        .collect();
    let samples = if exhaustive() { 100_000 } else { 12_000 };
    let opened = on_two_threads(|part, parts| {
        let mut random = Random((part as u64 + 1) << 40);
        let mut opened = 0;
        for sample in 0..samples / parts {
            let name = &names[random.below(names.len())];
            let mut bytes = golden.get(name).unwrap();
            damage(name, &mut bytes, &mut random);
            let vfs = copy(&golden);
            vfs.set(name, &bytes);
            opened += usize::from(Snapshot::open(&vfs).is_ok());
            let used = catch_unwind(AssertUnwindSafe(|| {
                use_index(&vfs, sample % 8 == 0).is_ok()
            }));
            assert!(
                used.is_ok(),
                "a panic in sample {sample} of part {part}: {name}"
            );
        }
        opened
    });
    let opened = opened[0] + opened[1];
    println!("{samples} damaged indexes, {opened} of them opened");
    assert!(opened > samples / 4);
}

/// The forge and the library agree on every byte, so FORMAT.md is complete.
#[test]
fn the_format_is_what_the_document_says() {
    let files = Files::of(&golden());
    let mut kinds = BTreeMap::new();
    let mut forms = [0; 3];
    for (name, bytes) in &files.0 {
        if name.starts_with("segment-") {
            let sections = forge::sections(bytes);
            let forged = forge::section_file(name, &bytes[16..32], &sections);
            assert!(forged == *bytes, "{name} differs");
            if name.ends_with(".sparse") {
                for (all, more) in forms.iter_mut().zip(sparse_file::check(&sections, 8)) {
                    *all += more;
                }
            }
            kinds.insert(name.split('.').nth(1).unwrap().to_owned(), sections.len());
        }
        if name.starts_with("manifest-") {
            let forged = forge::manifest_of_json(&forge::json_of_manifest(bytes));
            assert!(forged == *bytes, "{name} differs");
        }
    }
    assert!(kinds.len() >= 4, "{kinds:?}");
    assert!(forms.iter().all(|runs| *runs > 0), "{forms:?}");
}
