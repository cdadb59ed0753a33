//! P5: the index in `golden/v1`, written once by format version 1, opens, verifies and answers as it did
//! then, and a writer goes on with it. A new format version adds a directory; none is ever changed.
//! To make one: `cargo test --test format_golden write_golden -- --ignored`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{LARGE, Step, docs, ids, run};
use serde::{Deserialize, Serialize};
use weft::Result;
use weft::index::{
    AttributeKind, Batch, Filter, Options, Schema, Snapshot, SparseSchema, Values, Writer,
};
use weft::pool::Interrupt;
use weft::storage::keys::{KeyKind, Keys};
use weft::storage::verify::verify;
use weft::storage::vfs::{OsVfs, Vfs};
use weft::storage::vfs_sim::SimVfs;
use weft::text::Bm25;

const TEXTS: [&str; 5] = [
    "The weft is the thread that crosses the warp.",
    "A loom holds the warp threads under tension while the weft is woven.",
    "Plaid: coloured threads cross at right angles.",
    "Ein Webstuhl hält die Kettfäden; der Schussfaden kreuzt sie.",
    "",
];

/// What the index of texts must answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TextAnswers {
    documents: Vec<(String, String)>,
    hits: Vec<Vec<(String, f32)>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Recorded {
    generations: [u64; 2],
    vectors: common::Answers,
    texts: TextAnswers,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// String ids, integer terms, attributes; several segments, deletions.
fn write_vectors(vfs: Arc<dyn Vfs>) -> Result<()> {
    let steps = [
        Step::Open {
            memory_limit: LARGE,
        },
        Step::Add(docs(0..50, 0)),
        Step::Commit,
        Step::Add(docs(50..70, 0)),
        Step::Add(docs(10..20, 1)),
        Step::Delete(ids((0..70).step_by(7))),
        Step::Commit,
    ];
    run(&vfs, &steps, |_| ())
}

/// Integer ids, terms made from text, one attribute.
fn write_texts(vfs: Arc<dyn Vfs>) -> Result<()> {
    let bm25 = Bm25 {
        k1: 1.2,
        b: 0.75,
        language: Some("english".into()),
        stop_words: false,
        average_length: None,
    };
    let schema = Schema {
        ids: KeyKind::Int,
        sparse: Some(SparseSchema {
            terms: KeyKind::Str,
            max_weight: None,
            bm25: Some(bm25),
            block_size: 64,
            reorder: true,
        }),
        attributes: [("lang".to_owned(), AttributeKind::Keyword)].into(),
    };
    let mut writer = Writer::open(vfs, Some(schema), LARGE, Interrupt::never())?;
    let langs = ["en", "en", "en", "de"].map(|lang| Some(lang.to_owned()));
    let langs = langs.into_iter().chain([None]).collect();
    writer.add(&Batch {
        ids: Keys::Int(&[3, -1, i64::MAX, 0, 7]),
        sparse: None,
        text: Some(&TEXTS),
        attributes: vec![("lang".into(), Values::Keyword(langs))],
    })?;
    writer.commit().map(drop)
}

fn text_answers(snapshot: &Snapshot) -> Result<TextAnswers> {
    let describe = |id| {
        let id = id?;
        Ok((common::text_of(&id), common::describe(&snapshot.get(id)?)))
    };
    let queries = snapshot.text_queries(&["crossing threads", "WARP", "Kettfäden", "nothing"])?;
    let options = Options {
        k: 3,
        ..Options::default()
    };
    let found = snapshot.search(&queries, &Filter::default(), &options)?;
    let name = |hit: &weft::index::Hit| Ok((common::text_of(&snapshot.id(*hit)?), hit.score));
    let hits = found
        .iter()
        .map(|answer| answer.hits.iter().map(name).collect());
    Ok(TextAnswers {
        documents: snapshot.ids().map(describe).collect::<Result<_>>()?,
        hits: hits.collect::<Result<_>>()?,
    })
}

fn answers(vectors: &dyn Vfs, texts: &dyn Vfs) -> Result<Recorded> {
    let (vectors, texts) = (Snapshot::open(vectors)?, Snapshot::open(texts)?);
    Ok(Recorded {
        generations: [vectors.generation(), texts.generation()],
        vectors: common::answers(&vectors)?,
        texts: text_answers(&texts)?,
    })
}

fn recorded() -> Recorded {
    let json = fs::read_to_string(golden().join("answers.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// A copy that may be written to.
fn copy(directory: &str) -> Arc<dyn Vfs> {
    let vfs = SimVfs::new();
    for entry in fs::read_dir(golden().join(directory)).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        vfs.set(entry.file_name().to_str().unwrap(), &bytes);
    }
    Arc::new(vfs)
}

#[test]
fn version_1_opens_verifies_and_answers_as_recorded() {
    let vectors = OsVfs::new(golden().join("vectors"));
    let texts = OsVfs::new(golden().join("texts"));
    assert!(verify(&vectors).unwrap().files >= 6);
    assert!(verify(&texts).unwrap().files >= 3);
    assert_eq!(answers(&vectors, &texts).unwrap(), recorded());
}

#[test]
fn version_1_can_be_written_on() {
    let (vectors, texts) = (copy("vectors"), copy("texts"));
    for (vfs, schema) in [(&vectors, Some(common::schema())), (&texts, None)] {
        let mut writer = Writer::open(vfs.clone(), schema, LARGE, Interrupt::never()).unwrap();
        writer.merge(1).unwrap();
        drop(writer);
        verify(&**vfs).unwrap();
        common::check_files(&**vfs);
    }
    let Recorded { vectors, texts, .. } = answers(&*vectors, &*texts).unwrap();
    assert_eq!((vectors, texts), (recorded().vectors, recorded().texts));
}

#[test]
#[ignore = "makes the files that the other tests read"]
fn write_golden() {
    let places = ["vectors", "texts"].map(|name| golden().join(name));
    assert!(
        places.iter().all(|place| !place.exists()),
        "a golden index is never changed"
    );
    fs::create_dir_all(golden()).unwrap();
    let [vectors, texts] = places.map(OsVfs::new).map(Arc::new);
    write_vectors(vectors.clone()).unwrap();
    write_texts(texts.clone()).unwrap();
    let answers = answers(&*vectors, &*texts).unwrap();
    let json = serde_json::to_string_pretty(&answers).unwrap();
    fs::write(golden().join("answers.json"), json + "\n").unwrap();
}
