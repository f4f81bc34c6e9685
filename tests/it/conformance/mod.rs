//! The conformance suite: the rules of Apple's background `URLSession` and of the Scripting app's
//! `BackgroundURLSession` as tests of the public library, one a rule. A test is named after its rule
//! and says in its first line where the rule stands; `Foundation` is `NSURLSession.h`,
//! `swift-corelibs-foundation` its open sources and their tests.
//!
//! Every rule is tested twice: with the engine in the process of the app, and in a daemon that the app is
//! connected to.
//!
//! # Deliberately different
//!
//! | there | here | why |
//! |---|---|---|
//! | a session may become invalid with an error | only its owner ends it, and [`Engine::stopped`] tells what an engine died of | a session outlives the process |
//! | an identifier is free once its delegate was told | once that was acknowledged, which a delegate does by returning | a kill in between must not lose it |
//! | `getAllTasks` leaves out what has ended | an ended task is there until its end was acknowledged | who was dead finds it |
//! | no completion handlers in the background | a task can be awaited and has callbacks, also set after the fact | they are bound anew, as scripts do it |
//! | `suspend` and `resume` nest | each sets what is wanted, once or often | a command that is lost or repeated is harmless, and every Scripting example resumes a running task |
//! | every task is created suspended | so is `download_task`; `start_*` starts it | Scripting starts by itself |
//! | invalid resume data makes a task that fails (-1002) | the call fails, and there is no task | nothing was begun |
//! | a URL of another scheme makes a task that fails | the request can not be made | what comes from outside is checked at the door |
//! | resume data holds a URL and a file's name, for ever | it is sealed, without a secret, and used once | two tasks on one part file would spoil it |
//! | any `ETag` or `Last-Modified` is enough to go on | strong ones only, RFC 9110 13.1.5 | two versions are never spliced |
//! | an upload has resume data only for a server that keeps what it has taken | any has; a plain one begins anew, with the same file or not at all | a script can keep it, and the server's word is law |
//! | the file at `location` is gone when the method returns | it is at its destination and stays | nothing to be moved, nothing lost by a kill in between |
//! | a 404 is a finished download | a failure, or the file for who asks (`deliver_error_body`) | an error page under the final name surprises |
//! | a 401 that nobody answers is a finished download | a failure | it is not the file |
//! | a challenge may go to the session or to the task | one method | there is one delegate |
//! | `gzip` and `br` are decoded | bytes are asked for as they are, coded ones refused | a range of coded bytes is no range of the file |
//! | an HTTP/0.9 answer is a body | a broken protocol | nothing tells it from garbage |
//! | 999 is a status | a broken protocol, RFC 9110 15 | it means nothing |
//! | 305 and 306 are followed | 301, 302, 303, 307 and 308 are, RFC 9110 15.4 | one is deprecated, the other unused |
//! | 300 and 304 succeed | they fail | neither is the resource |
//! | a redirect takes everything along | https stays https, and what is the caller's stays with its origin | a redirect is another's word |
//! | cookies are stored and sent | a caller's `Cookie` is sent to its origin | a background engine is no browser |
//! | expected sizes of a transfer are given | servers and files are asked | they know |
//! | errors are numbers of one list | kinds, by who must act; being cancelled is no error; having no network, or none that is allowed, is a wait that explains itself | the next step is in them |
//! | a task begun in the background waits for the delay of the calls | it is discretionary, the delay holds back calls alone | it should not wait when nothing is wrong |
//! | a delay is forgotten when it runs out without a call | when it has run out twice | a call that comes right after it is the next of the row |
//! | metrics name the protocol, TLS version, interface and local address | the server's address, and whether it was TLS, a proxy, a reused connection | HTTP/1.1 is all there is |
//! | `notifyOnFinished` has two titles, an example gives `true` | both (`notify_on_finished`, `notify_on_finished_default`) | |
//! | one example sets `onFinishDownload`, another `onComplete` | both are called, in this order | |
//!
//! # True by the types
//!
//! There are downloads, and uploads of files, and no other tasks. Nobody is asked about redirects or
//! hears of an upload's response before its end, nothing is said about waiting for connectivity.
//! A challenge and a delayed request are answered by what a method returns. A new request for a
//! delayed task has no rules for networks. A refresh task can not be made. Completed tasks have one
//! outcome.
//!
//! # Not ours
//!
//! Force quitting and its reasons, `application:didFinishLaunching`, AppKit, complications, shared
//! containers (-995), cellular and roaming as such, multipath, custom protocols, `reset` and `flush`
//! (there is neither cache nor cookie), streams, data and WebSocket tasks, incremental delivery.
//! `Script.env` and promises are those of `examples/scripting.rs`, whose tests run scripts. IPv6 is
//! tested where connections are made, in `actors/src/net`.
//!
//! [`Engine::stopped`]: longhaul::Engine::stopped

mod apple;
mod scripting;
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::stage::Backend;

/// Who is cited.
const SOURCES: [&str; 7] = [
    "Apple",
    "Apple developer forums",
    "Expo",
    "Foundation",
    "Scripting",
    "SODownloader",
    "swift-corelibs-foundation",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files with rules, by their groups.
fn groups() -> BTreeMap<String, String> {
    let suite = repository().join("tests/it/conformance");
    let mut files = vec![suite.join("scripting.rs")];
    for entry in fs::read_dir(suite.join("apple")).unwrap() {
        files.push(entry.unwrap().path());
    }
    let group = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(file).unwrap())
    };
    let mut groups: BTreeMap<_, _> = files.into_iter().map(group).collect();
    groups.remove("mod");
    groups
}

/// The name and the first line of the doc comment of every test.
fn rules(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut rules = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if *line == "#[test]" {
            let name = lines[number + 1].trim_start_matches("fn ");
            let above = lines[..number].iter().rev();
            let doc: Vec<_> = above.take_while(|line| line.starts_with("/// ")).collect();
            let source = doc.last().map_or("", |line| &line[4..]);
            rules.push((name.trim_end_matches("() {").to_owned(), source.to_owned()));
        }
    }
    rules
}

#[test]
fn every_rule_cites_its_source_and_has_a_name_of_its_own() {
    let mut broken = Vec::new();
    let mut names = BTreeMap::new();
    for (group, text) in groups() {
        for (name, source) in rules(&text) {
            let cited = source.split_once(", ");
            if !cited.is_some_and(|(who, what)| SOURCES.contains(&who) && !what.is_empty()) {
                broken.push(format!("{group}: {name} cites {source:?}"));
            }
            if let Some(other) = names.insert(name.clone(), group.clone()) {
                broken.push(format!("{group}: {name} is in {other} too"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_number_of_rules_is_the_one_that_is_told() {
    let counts: BTreeMap<_, _> = groups()
        .into_iter()
        .map(|(group, text)| (group, rules(&text).len()))
        .collect();
    assert!(counts.values().all(|count| *count > 0), "{counts:?}");
    let told = format!("{} rules", counts.values().sum::<usize>());
    let contributing = fs::read_to_string(repository().join("CONTRIBUTING.md")).unwrap();
    assert!(contributing.contains(&told), "{told}: {counts:?}");
}

/// Runs the suite again, in a process where every engine is one of a daemon.
#[test]
fn the_rules_hold_for_an_app_that_is_connected_to_a_daemon_as_well() {
    let count: usize = groups().values().map(|text| rules(text).len()).sum();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["conformance::apple::", "conformance::scripting::"])
        .env(Backend::VARIABLE, "daemon")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let all_held = format!("test result: ok. {count} passed; 0 failed; 0 ignored");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&all_held), "{told}{complaints}");
    println!("{count} rules hold embedded, and {count} over a daemon");
}
