//! What the source tree promises: which crate may name what, where the world is touched, and the
//! rules of style that a compiler does not check.

mod rules;
mod source;

use std::collections::BTreeMap;

use cargo_metadata::{Dependency, DependencyKind, MetadataCommand};
use source::{Kind, Source, all_sources, root};

/// What each crate may name of the workspace. An arrow that is not here is an arrow back.
const ARROWS: [(&str, &[&str]); 7] = [
    ("longhaul-engine", &[]),
    ("longhaul-persistence", &["longhaul-engine"]),
    (
        "longhaul-actors",
        &["longhaul-engine", "longhaul-persistence"],
    ),
    ("longhaul", &["longhaul-actors", "longhaul-engine"]),
    ("longhaul-cli", &["longhaul"]),
    ("longhaul-scripting", &["longhaul"]),
    ("longhaul-support", &[]),
];

/// What the engine may depend on with the feature `openapi` alone, where it describes its documents:
/// schemas, and the JSON of them.
const DESCRIBING: [&str; 2] = ["schemars", "serde_json"];

/// What the engine may depend on: nothing with a runtime, a socket, a file, a clock or entropy.
const PURE: [&str; 12] = [
    "base64",
    "blake3",
    "crc32fast",
    "httparse",
    "httpdate",
    "md-5",
    "serde",
    "sha1",
    "sha2",
    "thiserror",
    "url",
    "percent-encoding",
];

/// Crates that only one crate of ours may depend on.
const OWNED: [(&str, &str); 19] = [
    ("redb", "longhaul-persistence"),
    ("bincode", "longhaul-persistence"),
    ("actix", "longhaul-actors"),
    ("actix-rt", "longhaul-actors"),
    ("actix-service", "longhaul-actors"),
    ("actix-tls", "longhaul-actors"),
    ("awc", "longhaul-actors"),
    ("rustls", "longhaul-actors"),
    ("rustls-native-certs", "longhaul-actors"),
    ("tokio-rustls", "longhaul-actors"),
    ("webpki-roots", "longhaul-actors"),
    ("zbus", "longhaul-actors"),
    ("clap", "longhaul-cli"),
    ("actix-web", "longhaul-cli"),
    ("listenfd", "longhaul-cli"),
    ("prometheus-client", "longhaul-cli"),
    ("sd-notify", "longhaul-cli"),
    ("ring", "longhaul-actors"),
    ("rquickjs", "longhaul-scripting"),
];

/// The normal dependencies of every crate of the workspace.
fn dependencies() -> BTreeMap<String, Vec<Dependency>> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(["--offline".to_owned()]);
    let packages = command.exec().unwrap().packages;
    let normal = packages.into_iter().map(|package| {
        let mut dependencies = package.dependencies;
        dependencies.retain(|dependency| dependency.kind == DependencyKind::Normal);
        (package.name.to_string(), dependencies)
    });
    normal.collect()
}

#[test]
fn the_arrows_between_the_crates_point_one_way() {
    let dependencies = dependencies();
    let known: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let mut found: Vec<&str> = dependencies.keys().map(String::as_str).collect();
    found.retain(|name| !known.contains(name));
    assert!(
        found.is_empty(),
        "a new crate needs its place in the rule: {found:?}"
    );
    for (name, allowed) in ARROWS {
        for dependency in dependencies[name]
            .iter()
            .filter(|dependency| dependency.name.starts_with("longhaul"))
        {
            assert!(
                allowed.contains(&dependency.name.as_str()),
                "{name} names {}",
                dependency.name
            );
        }
    }
}

#[test]
fn the_engine_stays_pure_and_every_heavy_crate_has_one_owner() {
    let dependencies = dependencies();
    for dependency in &dependencies["longhaul-engine"] {
        let name = dependency.name.as_str();
        let is_describing = dependency.optional && DESCRIBING.contains(&name);
        assert!(
            PURE.contains(&name) || is_describing,
            "the engine names {name}"
        );
    }
    for (name, found) in &dependencies {
        for (owned, owner) in OWNED {
            let is_owner = name == owner;
            assert!(
                is_owner || !found.iter().any(|found| found.name == owned),
                "{name} names {owned}"
            );
        }
    }
}

#[test]
fn every_rule_about_words_and_places_holds() {
    let sources = all_sources();
    assert!(
        sources.len() > 100,
        "only {} files were found",
        sources.len()
    );
    let mut broken = Vec::new();
    for rule in rules::RULES {
        for source in &sources {
            broken.extend(rule.broken_by(source));
        }
    }
    assert!(
        broken.is_empty(),
        "{} places:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

#[test]
fn every_file_says_what_it_is_for_and_is_short() {
    let mut broken = Vec::new();
    for source in all_sources() {
        let path = &source.path;
        if !source.text.starts_with("//! ") {
            broken.push(format!(
                "{path} does not begin with its one reason to exist"
            ));
        }
        let (lines, most) = (source.text.lines().count(), source.lines_max());
        if lines > most {
            broken.push(format!("{path} has {lines} lines, more than {most}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_type_of_another_crate_stands_in_the_face() {
    const FOREIGN: [&str; 12] = [
        "tokio",
        "actix",
        "actix_rt",
        "awc",
        "redb",
        "bincode",
        "rustls",
        "bytes",
        "url",
        "httparse",
        "longhaul_actors",
        "longhaul_persistence",
    ];
    for source in all_sources()
        .iter()
        .filter(|source| source.path.starts_with("src/"))
    {
        let imported = rules::imported_from(&source.code, &FOREIGN);
        for signature in rules::public_signatures(&source.code) {
            for word in rules::words(&signature) {
                let is_imported = imported.iter().any(|name| name == word);
                assert!(!is_imported, "{}: {word} in `{signature}`", source.path);
            }
            for name in FOREIGN {
                let is_named = signature.contains(&format!("{name}::"));
                assert!(!is_named, "{}: {name} in `{signature}`", source.path);
            }
        }
    }
}

#[test]
fn code_is_told_from_tests_and_comments() {
    let text = "//! It does\n\n/// tokio::x\nfn a() { b(\"tokio::y\") } // tokio::z\n\n\
                #[cfg(test)]\nmod tests {\n    fn c() { d.unwrap() }\n}\n";
    let source = Source::new("engine/src/a.rs", text);
    assert_eq!(
        (source.kind, source.code.contains("tokio")),
        (Kind::Product, false)
    );
    assert!(source.code.contains("fn a()") && !source.code.contains("unwrap"));
    for (path, kind) in [
        ("actors/src/net/tests/framing.rs", Kind::Test),
        ("cli/src/plan/tests.rs", Kind::Test),
        ("engine/src/download/model/disk.rs", Kind::Test),
        ("tests/it/main.rs", Kind::Test),
        ("tests/support/src/server.rs", Kind::Test),
        ("examples/quickstart.rs", Kind::Program),
        ("benches/many.rs", Kind::Program),
    ] {
        assert_eq!(Source::new(path, text).kind, kind, "{path}");
    }
}
