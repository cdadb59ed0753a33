//! Codes, cells and codebooks of token vectors damaged at random: every way to use them ends without harm.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use half::f16;
use weft::Result;
use weft::index::{
    Batch, Filter, Late, MultiVectorSchema, Options, Schema, Snapshot, TokenQueries, TokenRows,
    Writer,
};
use weft::pool::Interrupt;
use weft::storage::keys::{Key, KeyKind, Keys};
use weft::storage::vfs::Vfs;
use weft::storage::vfs_sim::SimVfs;

use super::common::{LARGE, exhaustive};
use super::forge::Files;
use super::{Random, copy};

const DIM: usize = 8;

/// Two segments with cells, of 200 and 100 documents.
fn made(codec: &str) -> SimVfs {
    let vfs = SimVfs::new();
    let schema = Schema {
        encoders: Default::default(),
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
    for exact in [true, false] {
        let late = Late {
            exact,
            candidates: Some(30),
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

#[test]
fn damaged_token_vectors_do_no_harm() {
    let samples = if exhaustive() { 20_000 } else { 600 };
    for (number, codec) in ["scalar3", "pq2", "pq4+scalar1", "scalar2+f16"]
        .into_iter()
        .enumerate()
    {
        let golden = made(codec);
        use_index(&golden, true).unwrap();
        let golden = Files::of(&golden);
        let mut random = Random(number as u64 + 5);
        for sample in 0..samples {
            let mut files = golden.clone();
            let mut done = String::new();
            let (start, kind) = [
                ("codebook-", "1."),
                ("segment-", "1.multi"),
                ("segment-", "2.multi"),
            ][random.below(3)];
            files.edit_sections_of(start, kind, |sections| done = damage(sections, &mut random));
            let vfs = files.vfs();
            let used = catch_unwind(AssertUnwindSafe(|| {
                use_index(&vfs, sample % 8 == 0).is_ok()
            }));
            assert!(used.is_ok(), "{codec}: a panic after {done}");
        }
    }
}
