//! An upload whose command is stopped or killed: the same command goes on.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::process::Process;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::{CONTENT, PATH, inbox, is_whole, plain};
use crate::bench::{Bench, MIB, PATIENCE, tree};

/// Uploads under test at the same time: most of their time they wait for disks.
const WORKERS: usize = 4;

/// Starts an upload whose answer is held back when the server has all of it.
fn start_and_hold(bench: &Bench, server: &Server, gate: &Gate, options: &[&str]) -> Process {
    server.script(
        PATH,
        [
            Reply::status(201).hold_head(gate),
            Reply::status(200).body("again"),
        ],
    );
    let url = server.url(PATH);
    let process = bench.start(bench.put(&plain(&url, options)));
    server.wait_for(|requests| requests.iter().any(|it| is_whole(it, CONTENT)));
    process
}

#[test]
fn a_signal_stops_it_and_the_same_command_goes_on() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (bench, gate) = (Bench::new(), Gate::new());
        let server = inbox(&bench, CONTENT, []);
        let process = start_and_hold(&bench, &server, &gate, &[]);
        process.signal(signal).unwrap();
        let ended = bench.finish(process);
        ended.expect(code).says(&format!("stopped by SIG{signal}"));
        ended.says("run the same command again to resume");
        assert!(!tree(&bench.state()).is_empty());
        let url = server.url(PATH);
        let ended = bench.run_put(&plain(&url, &[]));
        assert_eq!(ended.expect(0).stdout, "again");
        let requests = server.requests();
        assert!(requests.len() == 2 && is_whole(&requests[1], CONTENT));
        bench.assert_no_state();
    }
}

#[test]
fn after_a_kill_it_goes_on_with_the_options_of_the_new_command() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = inbox(&bench, CONTENT, []);
    let mut process = start_and_hold(&bench, &server, &gate, &["-H", "X-Run: 1", "-u", "a:b"]);
    assert_eq!(process.kill().unwrap().signal(), Some(9));
    let url = server.url(PATH);
    bench.run_put(&plain(&url, &["-H", "X-Run: 2"])).expect(0);
    let requests = server.requests();
    let runs: Vec<_> = requests.iter().map(|it| it.header("x-run")).collect();
    assert_eq!(runs, [Some("1"), Some("2")]);
    assert!(is_whole(&requests[1], CONTENT));
    bench.assert_no_state();
}

/// What a kill at one fault point led to.
#[derive(PartialEq, Eq)]
enum Kill {
    /// The run was over before.
    None,
    /// The next run sent the file.
    SentAgain,
    /// The next run knew that the server has it.
    Known,
}

/// Kills a run at its n-th fault point, and lets the same command bring the file.
fn kill_at(point: u64) -> Kill {
    let bench = Bench::new();
    let server = inbox(&bench, CONTENT, [Reply::status(201).body("receipt 7")]);
    let url = server.url(PATH);
    let mut command = bench.put(&plain(&url, &[]));
    command.env("LONGHAUL_FAULT_KILL", point.to_string());
    let mut process = bench.start(command);
    let status = process.wait(PATIENCE).unwrap().expect("it ends");
    let answered = server.requests().iter().filter(|it| it.is_finished).count();
    let mut kill = Kill::None;
    if status.code() != Some(0) {
        assert_eq!(status.signal(), Some(9), "fault point {point}");
        let ended = bench.run_put(&plain(&url, &[]));
        assert_eq!(ended.expect(0).stdout, "receipt 7", "fault point {point}");
        kill = match server.requests().len() > answered {
            true => Kill::SentAgain,
            false => Kill::Known,
        };
    }
    let requests = server.requests();
    assert!((1..=2).contains(&requests.len()), "fault point {point}");
    assert!(requests.iter().any(|it| is_whole(it, CONTENT)), "{point}");
    bench.assert_no_state();
    assert_eq!(bench.names(), ["f"]);
    kill
}

#[test]
fn wherever_it_is_killed_the_same_command_brings_the_file() {
    let points = AtomicU64::new(1);
    let known = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    match kill_at(points.fetch_add(1, Ordering::Relaxed)) {
                        Kill::None => break,
                        Kill::SentAgain => {}
                        Kill::Known => {
                            known.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (points, known) = (points.into_inner(), known.into_inner());
    println!("{points} fault points, after {known} the server's answer was known");
    assert!(points > 20 && known > 0, "{points} {known}");
}

#[test]
fn a_file_that_changed_meanwhile_is_refused_once_and_then_sent_anew() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = inbox(&bench, CONTENT, []);
    let mut process = start_and_hold(&bench, &server, &gate, &[]);
    process.kill().unwrap();
    let other = Content::new(403, MIB);
    other.write_file(&bench.file("f")).unwrap();
    let url = server.url(PATH);
    let ended = bench.run_put(&plain(&url, &[]));
    ended.expect(3).says("has changed since its upload began");
    ended.says("the same command run again does that");
    assert_eq!(
        server.requests().len(),
        1,
        "nothing of the new file was sent"
    );
    bench.assert_no_state();
    bench.run_put(&plain(&url, &[])).expect(0);
    let requests = server.requests();
    assert!(requests.len() == 2 && is_whole(&requests[1], other));
    bench.assert_no_state();
}

#[test]
fn a_file_that_is_gone_meanwhile_is_waited_for_by_the_next_command() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = inbox(&bench, CONTENT, []);
    let mut process = start_and_hold(&bench, &server, &gate, &[]);
    process.kill().unwrap();
    let elsewhere = bench.outputs().join("f");
    fs::rename(bench.file("f"), &elsewhere).unwrap();
    let url = server.url(PATH);
    let ended = bench.run_put(&plain(&url, &[]));
    ended.expect(3).says("f can not be read");
    assert!(
        !tree(&bench.state()).is_empty(),
        "it is there to go on with"
    );
    fs::rename(&elsewhere, bench.file("f")).unwrap();
    bench.run_put(&plain(&url, &[])).expect(0);
    assert!(is_whole(&server.requests()[1], CONTENT));
    bench.assert_no_state();
}

#[test]
fn the_same_command_twice_at_once_names_the_process_that_runs() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = inbox(&bench, CONTENT, []);
    let first = start_and_hold(&bench, &server, &gate, &[]);
    let url = server.url(PATH);
    let second = bench.run_put(&plain(&url, &[]));
    second
        .expect(1)
        .says(&format!("process {} uploads the same file", first.id()));
    gate.open();
    bench.finish(first).expect(0);
    assert_eq!(server.requests().len(), 1);
    bench.assert_no_state();
}

#[test]
fn what_lies_on_the_disk_while_it_runs_is_beneath_the_state_directory() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = inbox(&bench, CONTENT, []);
    let process = start_and_hold(&bench, &server, &gate, &["--json"]);
    assert_eq!(bench.names(), ["f"]);
    gate.open();
    let run = bench.finish(process).expect(0).json_event("run");
    let state = run["state"].as_str().unwrap();
    assert!(state.starts_with(bench.state().join("put").to_str().unwrap()));
}
