//! What can not be done, with the exit code and the next step of each.

use longhaul_support::content::Content;
use longhaul_support::server::Server;

use super::{Desk, serve_held, wait_until_held};
use crate::bench::{MIB, SECRET, text};

#[test]
fn without_a_daemon_commands_say_so_and_start_none() {
    let desk = Desk::new();
    let table: [&[&str]; 8] = [
        &["show", "1"],
        &["why", "1"],
        &["watch"],
        &["wait", "1"],
        &["pause", "1"],
        &["cancel", "1"],
        &["sessions"],
        &["events"],
    ];
    for words in table {
        desk.run(words).expect(10).says("longhaul daemon");
    }
    let listed = desk.run(&["list"]);
    listed.expect(0).says("no daemon runs");
    assert_eq!(desk.json(&["list"])["event"], "no_daemon");
    let fault = desk.run(&["show", "1", "--json"]);
    assert_eq!(fault.expect(10).json_event("fault")["exit_code"], 10);
    assert!(!desk.socket().exists());
}

#[test]
fn tasks_and_sessions_that_are_not_there_have_a_code_and_waiting_has_a_limit() {
    let (server, desk) = (Server::start(), Desk::new());
    let gate = serve_held(&server, "/a.bin", Content::new(521, 2 * MIB));
    let name = desk.hand_over(&[&server.url("/a.bin")]);
    wait_until_held(&server, "/a.bin");
    desk.run(&["show", "4711"])
        .expect(11)
        .says("there is no task 4711;");
    desk.run(&["pause", "nobody/1"])
        .expect(11)
        .says("there is no session \"nobody\";");
    desk.run(&["events", "--session", "nobody"]).expect(11);
    desk.run(&["list", "--session", "nobody"]).expect(11);
    let waited = desk.run(&["wait", &name, "--timeout", "50ms"]);
    waited.expect(12).says("they go on");
    assert_eq!(desk.json(&["show", &name])["state"], "running");
    let live = desk.run(&["forget", &name]);
    live.expect(2).says("has not ended;");
    gate.open();
    desk.run(&["wait", &name, "--timeout", "1m"]).expect(0);
}

#[test]
fn a_daemon_that_was_killed_and_stays_away_ends_those_who_wait_and_leaves_its_transfers() {
    let (server, desk) = (Server::start(), Desk::new());
    let content = Content::new(523, 2 * MIB);
    let _gate = serve_held(&server, "/a.bin", content);
    let name = desk.hand_over(&[&server.url("/a.bin")]);
    wait_until_held(&server, "/a.bin");
    let listeners = [
        vec!["wait", name.as_str()],
        vec!["watch", name.as_str()],
        vec!["events", "--follow"],
    ];
    let start = |words: &Vec<&str>| desk.bench.start(desk.command(words));
    let listeners: Vec<_> = listeners.iter().map(start).collect();
    desk.kill();
    for listener in listeners {
        let ended = desk.bench.finish(listener);
        ended.expect(10).says("the daemon is not reachable");
    }

    desk.run(&["list"])
        .expect(0)
        .says("no daemon runs, and one transfer waits for it;");
    assert_eq!(desk.json(&["list"])["live_tasks"], 1);
    assert_eq!(
        desk.hand_over(&[&server.url("/a.bin")]),
        name,
        "the next daemon has it"
    );
    desk.run(&["wait", &name]).expect(0);
    desk.bench.assert_file("a.bin", content);
}

#[test]
fn what_has_no_meaning_in_the_background_is_refused_with_the_next_step() {
    let (server, desk) = (Server::start(), Desk::new());
    let url = server.url("/a.bin");
    desk.run(&["get", "-b", &url, "--retry", "3"])
        .expect(2)
        .says("leave it out");
    desk.run(&["get", &url, "--session", "a"]).expect(2);
    assert!(!desk.socket().exists(), "nothing was started for it");
    let gate = serve_held(&server, "/a.bin", Content::new(522, 2 * MIB));
    let header = format!("Authorization: Bearer {SECRET}");
    let name = desk.hand_over(&[&url, "-j", "2", "-H", &header]);
    wait_until_held(&server, "/a.bin");
    let refused = desk.run(&["get", "-b", &url, "-j", "2"]);
    refused
        .expect(2)
        .says("leave out -j, or name another session");
    for words in [["show", name.as_str()], ["why", name.as_str()]] {
        desk.run(&words).expect(0);
    }
    desk.run(&["list", "--json"]).expect(0);
    let taken = desk.run(&[
        "get",
        "-b",
        &server.url("/b.bin"),
        "-o",
        text(&desk.bench.file("a.bin")),
    ]);
    assert_ne!(taken.code(), Some(2), "{taken:#?}");
    gate.open();
    desk.run(&["wait", &name]).expect(0);
}
