//! The Rust files of the workspace, with comments, texts and tests taken out where a rule is about
//! code.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Rust files are.
const PLACES: [&str; 8] = [
    "engine",
    "persistence",
    "actors",
    "src",
    "cli",
    "tests",
    "examples",
    "benches",
];

/// The most lines of a file.
const LINES_MAX: usize = 400;

/// The most lines of a file with tests: tables are long.
const TEST_LINES_MAX: usize = 500;

/// What a file is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What users run.
    Product,
    /// Examples and measurements.
    Program,
    /// Tests and what they stand on.
    Test,
}

/// A file.
#[derive(Debug)]
pub(super) struct Source {
    /// From the root of the workspace.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// As it is.
    pub(super) text: String,
    /// Without comments, without what stands in quotes and, unless all of it is a test, without its
    /// tests.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let kind = kind_of(path);
        let tests = tests_in(text).filter(|_| kind != Kind::Test);
        let code = strip(&text[..tests.unwrap_or(text.len())]);
        Self {
            path: path.to_owned(),
            kind,
            text: text.to_owned(),
            code,
        }
    }

    /// How many lines it may have.
    pub(super) fn lines_max(&self) -> usize {
        // A rule with its table of tests in one file may be as long as a test.
        let has_tests = self.kind == Kind::Test || tests_in(&self.text).is_some();
        if has_tests { TEST_LINES_MAX } else { LINES_MAX }
    }
}

/// Where the tests of a file begin: with the attribute of its last module.
fn tests_in(text: &str) -> Option<usize> {
    let module = text.find("\nmod tests {")?;
    text[..module].rfind("#[cfg(test)]")
}

/// The root of the workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every Rust file of the workspace.
pub(super) fn all_sources() -> Vec<Source> {
    let root = root();
    let mut sources = Vec::new();
    for place in PLACES {
        collect(&root, &root.join(place), &mut sources);
    }
    sources
}

fn collect(root: &Path, directory: &Path, sources: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            sources.push(Source::new(name, &text));
        }
    }
}

fn kind_of(path: &str) -> Kind {
    let is_model = path.contains("/model/") || path.ends_with("/model.rs");
    if path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || is_model
    {
        Kind::Test
    } else if path.starts_with("examples/") || path.starts_with("benches/") {
        Kind::Program
    } else {
        Kind::Product
    }
}

/// Takes out line comments and the contents of texts. Raw texts with quotes in them, and texts over
/// several lines, are seen as code where they go on: a rule may then be too strict, never too lax.
fn strip(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut is_quoted, mut before) = (false, ' ');
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if is_quoted => drop(characters.next()),
                // A quote as a character is no quote.
                '"' if before != '\'' || is_quoted => {
                    is_quoted = !is_quoted;
                    code.push('"');
                }
                '/' if !is_quoted && characters.peek() == Some(&'/') => break,
                _ if is_quoted => {}
                other => code.push(other),
            }
            before = character;
        }
        code.push('\n');
    }
    code
}
