//! Guards the walls of the house: what each folder may name, and that every file says what it is.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

/// In this folder, these words must not appear.
const WALLS: &[(&str, &str)] = &[
    (
        "src/domain",
        "sled:: tonic:: serde:: bincode:: crate::pb crate::journal crate::keyspace crate::directory \
         crate::auth crate::service crate::server crate::cli crate::fatal",
    ),
    (
        "src/journal",
        "sled:: tonic:: crate::pb crate::keyspace crate::directory crate::auth crate::service \
         crate::server crate::cli",
    ),
    (
        "src/keyspace",
        "tonic:: crate::pb crate::journal crate::directory crate::auth crate::service \
         crate::server crate::cli",
    ),
    (
        "src/directory",
        "sled:: tonic:: crate::pb crate::auth crate::service crate::server crate::cli",
    ),
    (
        "src/auth",
        "sled:: tonic:: crate::pb crate::journal crate::keyspace crate::directory crate::service \
         crate::server crate::cli",
    ),
    ("src/service", "sled:: crate::journal crate::keyspace crate::server crate::cli"),
    ("src/server", "sled:: crate::journal crate::keyspace crate::cli"),
    ("src/cli", "sled:: tonic:: crate::journal crate::keyspace"),
];

/// Only these files may use these words.
const KEEPERS: &[(&str, &[&str])] = &[
    ("unsafe_code", &["src/keyspace/sync.rs"]),
    ("process::exit", &["src/fatal.rs"]),
    ("Utc::now", &["src/domain/timestamp.rs"]),
    ("SystemTime::now", &[]),
];

/// Names that say nothing.
const BANNED: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "manager"];

/// The most lines of a file; tests at its bottom count. Past 500, look for the second idea.
const LINES_MAX: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, as a path from the root, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!files.is_empty(), "no sources below {folder}");
    files
}

/// The lines that are code: no comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn imports_run_one_way() {
    for (folder, words) in WALLS {
        for (path, text) in sources(folder) {
            for word in words.split_whitespace() {
                let found = code(&text).find(|line| line.contains(word));
                assert_eq!(found, None, "{} must not name {word}", path.display());
            }
        }
    }
}

#[test]
fn some_words_have_one_place() {
    for (path, text) in sources("src") {
        for (word, keepers) in KEEPERS {
            if !keepers.iter().any(|keeper| path == Path::new(keeper)) {
                let found = code(&text).find(|line| line.contains(word));
                assert_eq!(found, None, "{} must not use {word}", path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["src", "tests", "benches"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//! "), "{} has no header", path.display());
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
            let stem = path.file_stem().unwrap().to_str().unwrap();
            assert!(!BANNED.contains(&stem), "{} says nothing", path.display());
        }
    }
}
