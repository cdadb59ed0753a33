//! Codes, cells, sketches and codebooks of token vectors damaged at random: every way to use them ends without harm.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use half::f16;
use weft::Result;
use weft::index::{
    Batch, Filter, Late, MultiVectorSchema, Options, Schema, Snapshot, Source, TokenQueries,
    TokenRows, Writer,
};
use weft::pool::Interrupt;
use weft::sketch::Settings;
use weft::storage::keys::{Key, KeyKind, Keys};
use weft::storage::vfs::Vfs;
use weft::storage::vfs_sim::SimVfs;

use super::common::{LARGE, exhaustive};
use super::forge::Files;
use super::{Random, copy};

const DIM: usize = 8;

/// Two segments with cells, of 200 and 100 documents.
fn made(codec: &str, sketch: Option<Settings>) -> SimVfs {
    let vfs = SimVfs::new();
    let schema = Schema {
        encoders: Default::default(),
        sketch,
        ids: KeyKind::Int,
        sparse: None,
        multivector: Some(MultiVectorSchema {
            dim: DIM,
            codec: codec.into(),
            centroids: Some(20),
        }),
        attributes: [].into(),
    };
    let handle: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let mut writer = Writer::open(handle, Some(schema), LARGE, Interrupt::never()).unwrap();
    for numbers in [0..200_i64, 200..300] {
        let ids: Vec<i64> = numbers.collect();
        let offsets: Vec<i64> = (0..=ids.len() as i64).map(|row| 3 * row).collect();
        let value = |i: i64| f16::from_f32(((i * i * 13 + ids[0]) % 101 - 50) as f32 / 50.0);
        let values: Vec<f16> = (0..3 * ids.len() as i64 * DIM as i64).map(value).collect();
        let tokens = TokenRows {
            dim: DIM,
            offsets: &offsets,
            values: &values,
        };
        let batch = Batch {
            ids: Keys::Int(&ids),
            sparse: None,
            text: None,
            multivector: Some(tokens),
            attributes: vec![],
        };
        writer.add(&batch).unwrap();
        writer.commit().unwrap();
    }
    vfs
}

fn use_index(vfs: &SimVfs, write: bool) -> Result<()> {
    let snapshot = Snapshot::open(vfs)?;
    let values: Vec<f32> = (0..20 * DIM).map(|i| (i * 7 % 19) as f32 - 9.0).collect();
    let query = TokenQueries {
        dim: DIM,
        offsets: &[0, 20],
        values: &values,
    };
    let mut done = Ok(());
    let sketch = snapshot.schema().sketch.as_ref().map(|_| Source::Sketch);
    for (exact, source) in [(true, None), (false, None), (false, sketch)] {
        let late = Late {
            exact,
            candidates: Some(30),
            source,
            ..Late::default()
        };
        let options = Options {
            late,
            ..Options::default()
        };
        let found = snapshot.search_late(None, &query, &Filter::default(), &options);
        done = done.and(found.map(drop));
    }
    for id in (0..300).step_by(17) {
        done = done.and(snapshot.get(Key::Int(id)).map(drop));
        done = done.and(snapshot.explain_late(Key::Int(id), &query).map(drop));
    }
    if write {
        for retrain in [false, true] {
            let handle: Arc<dyn Vfs> = Arc::new(copy(vfs));
            let mut writer = Writer::open(handle, None, LARGE, Interrupt::never())?;
            done = done.and(match retrain {
                true => writer.retrain().map(drop),
                false => writer.merge(1).map(drop),
            });
        }
    }
    done
}

fn damage(sections: &mut [(String, Vec<u8>)], random: &mut Random) -> String {
    let chosen = random.below(sections.len());
    let (name, content) = &mut sections[chosen];
    if content.is_empty() {
        return format!("{name} is empty");
    }
    let at = random.below(content.len());
    match random.below(5) {
        0 => content[at] = 0xff,
        1 => content[at] = 0,
        2 => content[at] ^= 1 << random.below(8),
        3 => {
            let end = content.len().min(at + 4);
            content[at..end].fill(0xff);
        }
        _ => content.truncate(at),
    }
    format!("{name} at {at}")
}

/// Damages files one at a time, and uses the index.
fn check(golden: &SimVfs, files: &[(&str, &str)], samples: usize, seed: u64, name: &str) {
    use_index(golden, true).unwrap();
    let golden = Files::of(golden);
    let mut random = Random(seed);
    for sample in 0..samples {
        let mut damaged = golden.clone();
        let mut done = String::new();
        let (start, kind) = files[random.below(files.len())];
        damaged.edit_sections_of(start, kind, |sections| done = damage(sections, &mut random));
        let vfs = damaged.vfs();
        let used = catch_unwind(AssertUnwindSafe(|| {
            use_index(&vfs, sample % 8 == 0).is_ok()
        }));
        assert!(used.is_ok(), "{name}: a panic after {done}");
    }
}

#[test]
fn damaged_token_vectors_do_no_harm() {
    let samples = if exhaustive() { 20_000 } else { 600 };
    let files = [
        ("codebook-", "1.multi"),
        ("segment-", "1.multi"),
        ("segment-", "2.multi"),
    ];
    let codecs = ["scalar3", "pq2", "pq4+scalar1", "scalar2+f16"];
    for (codec, seed) in codecs.into_iter().zip(5..) {
        check(&made(codec, None), &files, samples, seed, codec);
    }
}

#[test]
fn damaged_sketches_do_no_harm() {
    let samples = if exhaustive() { 20_000 } else { 300 };
    let files = [
        ("codebook-", "1.sketch"),
        ("segment-", "1.sketch"),
        ("segment-", "2.sketch"),
    ];
    let fde = |orthogonal, code_bits| Settings::Fde {
        repetitions: 3,
        bits: 2,
        projection: 8,
        orthogonal,
        code_bits,
    };
    let lemur = Settings::Lemur {
        features: 32,
        dimensions: 16,
        code_bits: 4,
    };
    for (sketch, seed) in [fde(true, 1), fde(false, 4), lemur].into_iter().zip(17..) {
        let name = format!("{sketch:?}");
        check(&made("scalar1", Some(sketch)), &files, samples, seed, &name);
    }
}
