//! The shape that ARCHITECTURE.md draws, read back from the sources: which module may import which,
//! where `unsafe` may stand, who may touch files, and that the library never prints.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module may import itself and those of the layers before its own.
const LAYERS: [&[&str]; 7] = [
    &["error"],
    &["topk", "pool"],
    &["kernels"],
    &["storage"],
    &["sparse", "multivector", "sketch", "text"],
    &["interchange"],
    &["index"],
];
const LINES: usize = 700;

struct Source {
    /// Relative to `src`.
    path: PathBuf,
    /// Names of the modules from the root of the crate to this file.
    module: Vec<String>,
    text: String,
    /// The text without comments.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                sources.push(source(&root, &path));
            }
        }
    }
    assert!(sources.len() > 10);
    sources
}

fn source(root: &Path, path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(root).unwrap().to_path_buf();
    let names = path.with_extension("");
    let names = names.iter().map(|name| name.to_str().unwrap().to_owned());
    let code = text.lines().map(|line| line.split("//").next().unwrap());
    Source {
        module: names
            .filter(|name| name != "mod" && name != "lib")
            .collect(),
        code: code.collect::<Vec<_>>().join("\n"),
        path,
        text,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What stands before and after each occurrence of `word` that is not the end of a longer one.
fn split_at<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let split = move |(at, _)| (&code[..at], &code[at + word.len()..]);
    let whole = |(before, _): &(&str, &str)| !before.ends_with(is_word);
    code.match_indices(word).map(split).filter(whole)
}

fn after<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    split_at(code, word).map(|(_, rest)| rest)
}

fn has_word(code: &str, word: &str) -> bool {
    after(code, word).any(|rest| !rest.starts_with(is_word))
}

fn first_word(path: &str) -> &str {
    let path = path.trim_start();
    &path[..path.find(|c| !is_word(c)).unwrap_or(path.len())]
}

/// The first name of a path, or of each path in the braces that stand in its place.
fn heads(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![first_word(path)];
    };
    let mut heads = vec![first_word(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(first_word(&group[at + 1..])),
            _ => (),
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// Top-level modules that a file refers to; `Error` and `Result` stand at the root for `error`.
fn imports(source: &Source) -> BTreeSet<&str> {
    let absolute = after(&source.code, "crate::").flat_map(heads);
    let outermost = |(before, _): &(&str, &str)| !before.ends_with("super::");
    let chains = split_at(&source.code, "super::").filter(outermost);
    let relative = chains.filter_map(|(_, rest)| {
        let path = rest.trim_start_matches("super::");
        let steps = 1 + (rest.len() - path.len()) / "super::".len();
        (steps == source.module.len()).then(|| heads(path))
    });
    let relative = relative.flatten().filter(|name| layer(name).is_some());
    let named = |name| match name {
        "Error" | "Result" => "error",
        name => name,
    };
    absolute.map(named).chain(relative).collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn modules_import_only_what_stands_before_them() {
    let mut edges = BTreeSet::new();
    for source in sources() {
        let Some(module) = source.module.first() else {
            continue;
        };
        let path = source.path.display();
        let own = layer(module).unwrap_or_else(|| panic!("{path}: {module} has no layer"));
        for import in imports(&source) {
            let Some(other) = layer(import) else {
                panic!("{path} imports {import}, which has no layer");
            };
            assert!(
                import == module || other < own,
                "{path}: {module} must not import {import}"
            );
            edges.insert(format!("{module} -> {import}"));
        }
    }
    for known in ["storage -> error", "index -> storage", "index -> sparse"] {
        assert!(edges.contains(known), "{known} is not seen: {edges:?}");
    }
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let code = "use crate::error::Error;\nuse crate::{kernels::{dot, add}, pool::Pool,\n storage};\n\
        use super::topk;\nuse super::super::sparse::x;\nfn f() { crate::text::g(); mycrate::index::h() }";
    let source = |module: &[&str]| Source {
        path: PathBuf::new(),
        module: module.iter().map(|name| (*name).to_owned()).collect(),
        text: String::new(),
        code: code.to_owned(),
    };
    let seen = |module: &[&str]| {
        imports(&source(module))
            .into_iter()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(seen(&["a"]), "error kernels pool storage text topk");
    assert_eq!(seen(&["a", "b"]), "error kernels pool sparse storage text");
}

#[test]
fn unsafe_stands_only_in_kernels_and_the_mapping() {
    for source in sources() {
        let allowed =
            source.path.starts_with("kernels") || source.path == Path::new("storage/mmap.rs");
        let found = has_word(&source.code, "unsafe");
        assert!(
            allowed || !found,
            "{} has unsafe code",
            source.path.display()
        );
    }
}

#[test]
fn files_are_touched_only_by_storage_and_nothing_prints_or_exits() {
    let silent = ["print", "println", "eprint", "eprintln", "dbg"];
    for source in sources() {
        let path = source.path.display();
        let storage = source.path.starts_with("storage");
        let files = ["std::fs", "File", "OpenOptions"].map(|word| has_word(&source.code, word));
        assert!(storage || files == [false; 3], "{path} touches files");
        let printing = silent.iter().flat_map(|word| after(&source.code, word));
        let prints = printing.filter(|rest| rest.starts_with("!")).count();
        assert!(prints == 0, "{path} prints");
        assert!(!has_word(&source.code, "process::exit"), "{path} exits");
    }
}

#[test]
fn every_module_says_what_it_promises_and_stays_short() {
    for source in sources() {
        let path = source.path.display();
        assert!(
            source.text.starts_with("//!"),
            "{path} does not open with //!"
        );
        let lines = source.text.lines().count();
        assert!(lines <= LINES, "{path} has {lines} lines");
    }
}
