//! Transfers of the foreground that were killed: found by `longhaul list`, with the command that goes on.

use std::path::Path;
use std::process::Command;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::Desk;
use crate::bench::{MIB, SECRET, tree};

const CONTENT: Content = Content::new(531, 6 * MIB + 1);

#[test]
fn the_command_that_is_listed_goes_on_where_the_killed_one_stopped() {
    let (server, gate, desk) = (Server::start(), Gate::new(), Desk::new());
    server.serve("/a b.bin", Resource::new(CONTENT));
    let path = "/a%20b.bin";
    server.serve(path, Resource::new(CONTENT));
    // So slow that most of what was sent is on record.
    let slow = Reply::normal().bytes_per_second(MIB);
    server.script(path, [slow.hold_at(3 * MIB, &gate), Reply::normal()]);
    let url = server.url(path);
    let header = format!("X-Token: {SECRET}");
    let words = [url.as_str(), "-o", "it's here.bin", "-H", &header];
    desk.bench.kill_after(&server, path, 3 * MIB, &words);
    gate.open();

    let before = contents(&desk.bench.state());
    let listed = desk.run(&["list"]);
    listed.expect(0).says("no daemon runs");
    assert_eq!(
        contents(&desk.bench.state()),
        before,
        "looking changes nothing"
    );
    let entry = desk.run(&["list", "--json"]);
    let entry = entry.expect(0).json_event("interrupted");
    assert_eq!(entry["given_again"], serde_json::json!(["--header"]));
    assert!(entry["held_bytes"].as_u64().unwrap() > 0, "{entry}");
    assert_eq!(entry["total_bytes"], CONTENT_LENGTH);

    let line = listed.stdout.lines().find(|line| line.starts_with("  cd "));
    let line = line
        .unwrap_or_else(|| panic!("no command: {listed:#?}"))
        .trim();
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    desk.bench.confine(&mut shell);
    let binary = Path::new(env!("CARGO_BIN_EXE_longhaul")).parent().unwrap();
    let path_variable = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    shell.env("PATH", path_variable);
    let ended = desk.bench.finish(desk.bench.start(shell));
    ended.expect(0);
    let last = server.requests_for(path).pop().unwrap();
    assert!(last.range().is_some(), "it fetched everything again");
    desk.bench.assert_only("it's here.bin", CONTENT);
    let listed = desk.run(&["list"]);
    assert_eq!(listed.expect(0).stdout, "", "nothing is left to go on with");
}

const CONTENT_LENGTH: u64 = 6 * MIB + 1;

#[test]
fn one_that_runs_is_neither_listed_nor_disturbed() {
    let (server, gate, desk) = (Server::start(), Gate::new(), Desk::new());
    server.serve("/a.bin", Resource::new(CONTENT));
    server.script("/a.bin", [Reply::normal().hold_at(2 * MIB, &gate)]);
    let process = desk.bench.start(desk.bench.get(&[&server.url("/a.bin")]));
    server.wait_for(|requests| requests.iter().any(|request| request.body_sent >= 2 * MIB));
    assert_eq!(desk.run(&["list"]).expect(0).stdout, "");
    let doctor = desk.run(&["doctor"]);
    doctor.expect(0);
    assert!(
        doctor
            .stdout
            .contains(&format!("process {} owns it", process.id())),
        "{doctor:#?}"
    );
    gate.open();
    desk.bench.finish(process).expect(0);
    desk.bench.assert_only("a.bin", CONTENT);
}

/// Every file beneath a directory, with its bytes.
fn contents(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = tree(directory).into_iter().filter(|path| path.is_file());
    let mut found: Vec<_> = files
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    found
}
