//! P6: input that is not acceptable is refused with a message that says where, and leaves the writer as it
//! was. The Python tests try far more.

mod common;

use std::sync::Arc;

use common::{Expected, LARGE, Step, docs, open};
use weft::Error;
use weft::index::{Batch, SparseRows, Writer};
use weft::storage::keys::Keys;
use weft::storage::vfs::Vfs;
use weft::storage::vfs_sim::SimVfs;

fn rows<'a>(indptr: &'a [i64], terms: &'a [i64], weights: &'a [f32]) -> SparseRows<'a> {
    SparseRows {
        indptr,
        terms: Keys::Int(terms),
        weights,
    }
}

fn add(writer: &mut Writer, ids: &[&str], sparse: SparseRows<'_>) -> Result<(), Error> {
    writer.add(&Batch {
        ids: Keys::Str(ids),
        sparse: Some(sparse),
        text: None,
        multivector: None,
        attributes: vec![],
    })
}

#[test]
fn bad_rows_are_refused_and_change_nothing() {
    let bad = [
        (
            "a negative weight",
            rows(&[0, 1, 2], &[1, 2], &[1.0, -0.5]),
            "row 1, term 2",
        ),
        (
            "no number",
            rows(&[0, 1, 2], &[1, 2], &[f32::NAN, 1.0]),
            "row 0, term 1",
        ),
        (
            "infinity",
            rows(&[0, 0, 2], &[1, 2], &[1.0, f32::INFINITY]),
            "row 1, term 2",
        ),
        (
            "a negative term",
            rows(&[0, 1, 2], &[1, -2], &[1.0, 1.0]),
            "row 1",
        ),
        (
            "a term twice",
            rows(&[0, 2, 2], &[7, 7], &[1.0, 1.0]),
            "row 0: term 7",
        ),
        (
            "rows that descend",
            rows(&[0, 2, 1], &[1], &[1.0]),
            "indptr",
        ),
        (
            "rows past the end",
            rows(&[0, 1, 9], &[1], &[1.0]),
            "indptr",
        ),
        ("no start", rows(&[], &[], &[]), "indptr"),
        (
            "fewer weights than terms",
            rows(&[0, 1, 2], &[1, 2], &[1.0]),
            "weights",
        ),
        ("fewer rows than ids", rows(&[0, 1], &[1], &[1.0]), "rows"),
    ];
    let vfs: Arc<dyn Vfs> = Arc::new(SimVfs::new());
    let mut writer = open(&vfs, LARGE).unwrap();
    common::add(&mut writer, &docs(0..9, 0)).unwrap();
    for (name, sparse, place) in bad {
        match add(&mut writer, &["doc-1", "new"], sparse) {
            Err(Error::InvalidInput(message)) => {
                assert!(message.contains(place), "{name}: {message}")
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let twice = add(&mut writer, &["x", "x"], rows(&[0, 0, 0], &[], &[]));
    assert!(matches!(twice, Err(Error::InvalidInput(_))));
    writer.commit().unwrap();
    let steps = [Step::Add(docs(0..9, 0)), Step::Commit];
    assert_eq!(Expected::of(&steps).check(&*vfs), 1);
}
