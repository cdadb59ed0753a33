//! P5: the index in `golden/v1`, written once by format version 1, opens, verifies and answers as it did
//! then, and a writer goes on with it. A new format version adds a directory; none is ever changed.
//! To make one: `cargo test --test format_golden write_golden -- --ignored`.

mod common;
#[allow(dead_code, reason = "a part is used here")]
#[path = "corruption/forge.rs"]
mod forge;
#[path = "corruption/sparse_file.rs"]
mod sparse_file;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{LARGE, PLANS, Step, docs, ids, run};
use half::f16;
use serde::{Deserialize, Serialize};
use weft::Result;
use weft::index::{
    AttributeKind, Batch, EffortPoint, Filter, Late, MultiVectorSchema, OperatingPoint, Options,
    Schema, Snapshot, Source, SparseRows, SparseSchema, TokenQueries, TokenRows, Values, Writer,
};
use weft::pool::Interrupt;
use weft::sketch::Settings;
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

/// What the index of many blocks must answer: ids and scores, for each query.
type BlockAnswers = Vec<Vec<(String, f32)>>;

/// What the index of token vectors must answer: vectors as they are decoded, and exact hits.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TokenAnswers {
    documents: Vec<(String, Option<Vec<f32>>)>,
    hits: Vec<Vec<(String, f32)>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Recorded {
    generations: Vec<u64>,
    vectors: common::Answers,
    texts: TextAnswers,
    blocks: BlockAnswers,
    tokens: TokenAnswers,
    sketches: Vec<TokenAnswers>,
    rescored: BlockAnswers,
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
        encoders: Default::default(),
        sketch: None,
        ids: KeyKind::Int,
        sparse: Some(SparseSchema {
            terms: KeyKind::Str,
            max_weight: None,
            bm25: Some(bm25),
            block_size: 64,
            reorder: true,
            rescore: false,
        }),
        multivector: None,
        attributes: [("lang".to_owned(), AttributeKind::Keyword)].into(),
    };
    let mut writer = Writer::open(vfs, Some(schema), LARGE, Interrupt::never())?;
    let langs = ["en", "en", "en", "de"].map(|lang| Some(lang.to_owned()));
    let langs = langs.into_iter().chain([None]).collect();
    writer.add(&Batch {
        ids: Keys::Int(&[3, -1, i64::MAX, 0, 7]),
        sparse: None,
        text: Some(&TEXTS),
        multivector: None,
        attributes: vec![("lang".into(), Values::Keyword(langs))],
    })?;
    writer.commit().map(drop)
}

const DOCUMENTS: i64 = 120;

/// Documents of three kinds, put in another order, and runs of every form: a term of all documents, two of
/// each kind, and some of few documents. An operating point.
fn write_blocks(vfs: Arc<dyn Vfs>, rescore: bool) -> Result<()> {
    let schema = Schema {
        encoders: Default::default(),
        sketch: None,
        ids: KeyKind::Int,
        sparse: Some(SparseSchema {
            terms: KeyKind::Int,
            max_weight: None,
            bm25: None,
            block_size: 8,
            reorder: true,
            rescore,
        }),
        multivector: None,
        attributes: [].into(),
    };
    let mut writer = Writer::open(vfs, Some(schema), LARGE, Interrupt::never())?;
    let ids: Vec<i64> = (0..DOCUMENTS).map(|number| 1000 - number).collect();
    let indptr: Vec<i64> = (0..=DOCUMENTS).map(|number| 4 * number).collect();
    let terms =
        (0..DOCUMENTS).flat_map(|number| [1, 10 + number % 3, 20 + number % 3, 30 + number % 7]);
    let weights = (0..4 * DOCUMENTS).map(|place| 0.25 + (place * 13 % 29) as f32 / 16.0);
    let (terms, weights): (Vec<i64>, Vec<f32>) = terms.zip(weights).unzip();
    writer.add(&Batch {
        ids: Keys::Int(&ids),
        sparse: Some(SparseRows {
            indptr: &indptr,
            terms: Keys::Int(&terms),
            weights: &weights,
        }),
        text: None,
        multivector: None,
        attributes: vec![],
    })?;
    writer.set_operating_points(vec![OperatingPoint {
        k: 10,
        recall: 0.5,
        alpha: 0.75,
        beta: 1.0,
        gamma: 3,
    }])?;
    writer.commit().map(drop)
}

const DIM: usize = 16;

/// Two levels of codes of both kinds, documents with and without tokens, cells, an operating point.
fn write_tokens(vfs: Arc<dyn Vfs>) -> Result<()> {
    let mut writer = token_writer(vfs, "pq4+scalar3", None)?;
    add_tokens(&mut writer, 40)?;
    writer.set_effort_points(vec![EffortPoint {
        k: 10,
        recall: 0.5,
        probes: 2,
        candidates: 7,
    }])?;
    writer.commit().map(drop)
}

/// Several segments, documents with and without tokens, a group that is not full; a note.
fn write_sketches(vfs: Arc<dyn Vfs>, sketch: Settings) -> Result<()> {
    let mut writer = token_writer(vfs, "scalar1", Some(sketch))?;
    add_tokens(&mut writer, 70)?;
    writer.commit()?;
    add_tokens(&mut writer, 30)?;
    writer.set_note("made by", Some("the golden test"))?;
    writer.commit().map(drop)
}

fn encodings() -> Settings {
    Settings::Fde {
        repetitions: 2,
        bits: 2,
        projection: 8,
        orthogonal: true,
        code_bits: 1,
    }
}

fn weights() -> Settings {
    Settings::Lemur {
        features: 32,
        dimensions: 16,
        code_bits: 4,
    }
}

fn token_writer(vfs: Arc<dyn Vfs>, codec: &str, sketch: Option<Settings>) -> Result<Writer> {
    let schema = Schema {
        encoders: Default::default(),
        sketch,
        ids: KeyKind::Int,
        sparse: None,
        multivector: Some(MultiVectorSchema {
            dim: DIM,
            codec: codec.into(),
            centroids: Some(6),
        }),
        attributes: [].into(),
    };
    Writer::open(vfs, Some(schema), LARGE, Interrupt::never())
}

fn add_tokens(writer: &mut Writer, documents: i64) -> Result<()> {
    let ids: Vec<i64> = (0..documents).collect();
    let (mut offsets, mut values) = (vec![0], vec![]);
    for id in &ids {
        let value = |i: i64| f16::from_f32(((id * 29 + i * i * 7) % 97 - 48) as f32 / 48.0);
        values.extend((0..id % 6 * DIM as i64).map(value));
        offsets.push((values.len() / DIM) as i64);
    }
    writer.add(&Batch {
        ids: Keys::Int(&ids),
        sparse: None,
        text: None,
        multivector: Some(TokenRows {
            dim: DIM,
            offsets: &offsets,
            values: &values,
        }),
        attributes: vec![],
    })
}

/// `offsets` are those of queries.
fn token_answers(snapshot: &Snapshot, offsets: &[i64], late: Late) -> Result<TokenAnswers> {
    let describe = |id| {
        let id = id?;
        Ok((common::text_of(&id), snapshot.get(id)?.multivector))
    };
    let values: Vec<f32> = (0..offsets[offsets.len() - 1] * DIM as i64)
        .map(|i| (i * 31 % 23 - 11) as f32 / 9.0)
        .collect();
    let queries = TokenQueries {
        dim: DIM,
        offsets,
        values: &values,
    };
    let options = Options {
        late,
        ..Options::default()
    };
    let found = snapshot.search_late(None, &queries, &Filter::default(), &options)?;
    let name = |hit: &weft::index::Hit| Ok((common::text_of(&snapshot.id(*hit)?), hit.score));
    let hits = found
        .iter()
        .map(|answer| answer.hits.iter().map(name).collect());
    Ok(TokenAnswers {
        documents: snapshot.ids().map(describe).collect::<Result<_>>()?,
        hits: hits.collect::<Result<_>>()?,
    })
}

/// The same in every plan.
fn block_answers(snapshot: &Snapshot) -> Result<BlockAnswers> {
    let queries = snapshot.vector_queries(&SparseRows {
        indptr: &[0, 1, 3, 6],
        terms: Keys::Int(&[11, 1, 22, 1, 10, 36]),
        weights: &[1.0, 0.5, 1.0, 0.25, 2.0, 1.5],
    })?;
    let name = |hit: &weft::index::Hit| Ok((common::text_of(&snapshot.id(*hit)?), hit.score));
    let found = PLANS.map(|plan| {
        let options = Options {
            plan,
            ..Options::default()
        };
        let found = snapshot.search(&queries, &Filter::default(), &options)?;
        let hits = found
            .iter()
            .map(|answer| answer.hits.iter().map(name).collect());
        hits.collect::<Result<BlockAnswers>>()
    });
    let [any, others @ ..] = found;
    let any = any?;
    for other in others {
        assert_eq!(other?, any);
    }
    Ok(any)
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

fn answers(places: [&dyn Vfs; 7]) -> Result<Recorded> {
    let [vectors, texts, blocks, tokens, encodings, weights, rescored] = places.map(Snapshot::open);
    let (vectors, texts, blocks, tokens) = (vectors?, texts?, blocks?, tokens?);
    let (sketches, rescored) = ([encodings?, weights?], rescored?);
    let generations = [&vectors, &texts, &blocks, &tokens];
    let generations = generations.into_iter().chain(&sketches);
    let generations = generations.chain([&rescored]);
    Ok(Recorded {
        generations: generations.map(Snapshot::generation).collect(),
        vectors: common::answers(&vectors)?,
        texts: text_answers(&texts)?,
        blocks: block_answers(&blocks)?,
        rescored: block_answers(&rescored)?,
        tokens: token_answers(
            &tokens,
            &[0, 1, 5],
            Late {
                exact: true,
                ..Late::default()
            },
        )?,
        sketches: sketches.iter().map(sketch_answers).collect::<Result<_>>()?,
    })
}

/// What sketches find: the one hit of each query is the best of the few that they find.
fn sketch_answers(snapshot: &Snapshot) -> Result<TokenAnswers> {
    let late = Late {
        candidates: Some(1),
        source: Some(Source::Sketch),
        ..Late::default()
    };
    let offsets: Vec<i64> = (0..17).collect();
    token_answers(snapshot, &offsets, late)
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

const PLACES: [&str; 7] = [
    "vectors",
    "texts",
    "blocks",
    "tokens",
    "encodings",
    "weights",
    "rescored",
];

/// That of the first of them.
fn vector_schema() -> Schema {
    let mut schema = Schema {
        sketch: None,
        ..common::schema()
    };
    schema.sparse.as_mut().unwrap().rescore = false;
    schema
}

#[test]
fn version_1_opens_verifies_and_answers_as_recorded() {
    let places = PLACES.map(|name| OsVfs::new(golden().join(name)));
    for (place, files) in places.iter().zip([9, 3, 3, 4, 6, 6, 3]) {
        assert!(verify(place).unwrap().files >= files);
    }
    let places = places.each_ref().map(|place| place as &dyn Vfs);
    assert_eq!(answers(places).unwrap(), recorded());
}

#[test]
fn version_1_has_an_order_of_documents_and_runs_of_every_form() {
    let sections = forge::sections(&fs::read(golden().join("blocks/segment-1.sparse")).unwrap());
    let order = sections.iter().find(|(name, _)| name == "slot_documents");
    assert_eq!(order.unwrap().1.len(), 4 * DOCUMENTS as usize);
    let forms = sparse_file::check(&sections, 8);
    assert!(forms.iter().all(|runs| *runs > 0), "{forms:?}");
    let snapshot = Snapshot::open(&OsVfs::new(golden().join("blocks"))).unwrap();
    assert_eq!(snapshot.operating_points()[0].gamma, 3);
}

#[test]
fn version_1_can_be_written_on() {
    let copies = PLACES.map(copy);
    for (vfs, schema) in
        copies
            .iter()
            .zip([Some(vector_schema()), None, None, None, None, None, None])
    {
        let mut writer = Writer::open(vfs.clone(), schema, LARGE, Interrupt::never()).unwrap();
        writer.merge(1).unwrap();
        drop(writer);
        verify(&**vfs).unwrap();
        common::check_files(&**vfs);
    }
    let found = answers(copies.each_ref().map(|vfs| &**vfs)).unwrap();
    let expected = Recorded {
        generations: found.generations.clone(),
        ..recorded()
    };
    assert_eq!(found, expected);
}

#[test]
#[ignore = "makes the files that the other tests read"]
fn write_golden() {
    let places = PLACES.map(|name| golden().join(name));
    fs::create_dir_all(golden()).unwrap();
    let write = [
        write_vectors,
        write_texts,
        |vfs| write_blocks(vfs, false),
        write_tokens,
        |vfs| write_sketches(vfs, encodings()),
        |vfs| write_sketches(vfs, weights()),
        |vfs| write_blocks(vfs, true),
    ];
    // A golden index is never changed.
    for (place, write) in places
        .iter()
        .zip(write)
        .filter(|(place, _)| !place.exists())
    {
        write(Arc::new(OsVfs::new(place))).unwrap();
    }
    let places = places.map(OsVfs::new);
    let answers = answers(places.each_ref().map(|place| place as &dyn Vfs)).unwrap();
    let json = serde_json::to_string_pretty(&answers).unwrap();
    fs::write(golden().join("answers.json"), json + "\n").unwrap();
}
