//! What can be asked of tasks: shown, explained, paused, gone on with, cancelled and forgotten.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::{Desk, serve_held, wait_until_held};
use crate::bench::{MIB, text};

const CONTENT: Content = Content::new(511, 3 * MIB + 7);

#[test]
fn a_task_is_listed_shown_and_explained_and_rests_and_goes_on() {
    let (server, desk) = (Server::start(), Desk::new());
    let gate = serve_held(&server, "/a.bin", CONTENT);
    let url = server.url("/a.bin");
    let name = desk.hand_over(&[&url, "--session", "photos/2026"]);
    assert!(name.starts_with("photos/2026/"), "{name}");
    wait_until_held(&server, "/a.bin");

    let listed = desk.run(&["list"]);
    listed.expect(0).is_silent();
    assert!(
        listed.stdout.contains(&name) && listed.stdout.contains("a.bin"),
        "{listed:#?}"
    );
    let shown = desk.json(&["show", &name]);
    assert_eq!(shown["event"], "task");
    assert_eq!(shown["name"], name.as_str());
    assert_eq!(shown["session"], "photos/2026");
    assert_eq!(shown["state"], "running");
    assert_eq!(shown["url"], url.as_str());
    desk.run(&["show", &name]).expect(0).is_silent();
    desk.wait_for_phase(&name, "transferring");
    let why = desk.run(&["why", &name]);
    assert_eq!(
        why.expect(0).stdout,
        format!("{name}: its bytes flow\n"),
        "no app is called for it"
    );

    desk.run(&["pause", &name]).expect(0).is_silent();
    assert_eq!(desk.json(&["show", &name])["state"], "suspended");
    let why = desk.run(&["why", &name]);
    assert!(why.expect(0).stdout.contains("suspended"), "{why:#?}");
    desk.run(&["limit", &name, "500M"]).expect(0).is_silent();
    desk.run(&["limit", "--session", "photos/2026", "none"])
        .expect(0)
        .is_silent();
    desk.run(&["limit", "none"]).expect(0).is_silent();

    gate.open();
    desk.run(&["resume", &name]).expect(0);
    desk.run(&["watch", &name]).expect(0);
    desk.bench.assert_file("a.bin", CONTENT);
    let ended = desk.run(&["pause", &name]);
    ended.expect(0).says("has ended already: finished");
}

#[test]
fn what_a_task_has_is_kept_in_a_file_and_another_one_goes_on_with_it() {
    let (server, desk) = (Server::start(), Desk::new());
    let _gate = serve_held(&server, "/a.bin", CONTENT);
    let name = desk.hand_over(&[&server.url("/a.bin")]);
    wait_until_held(&server, "/a.bin");
    let data = desk.bench.outputs().join("a.resume");
    fs::write(&data, "mine").unwrap();
    let refused = desk.run(&["cancel", &name, "--resume-data", text(&data)]);
    refused.expect(3).says("exists, and is not overwritten");
    assert_eq!(fs::read(&data).unwrap(), b"mine");
    assert_eq!(
        desk.json(&["show", &name])["state"],
        "running",
        "nothing was cancelled"
    );
    fs::remove_file(&data).unwrap();

    desk.run(&["cancel", &name, "--resume-data", text(&data)])
        .expect(0)
        .is_silent();
    assert_eq!(
        fs::metadata(&data).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(desk.json(&["show", &name])["outcome"], "cancelled");

    let resumed = desk.run(&["resume-download", text(&data), "-o", "b.bin"]);
    let resumed = resumed.expect(0).is_silent().stdout.trim_end().to_owned();
    assert_ne!(resumed, name);
    desk.run(&["wait", &resumed]).expect(0);
    desk.bench.assert_file("b.bin", CONTENT);
    let requests = server.requests_for("/a.bin");
    assert!(
        requests[1].range().is_some(),
        "it went on where the other one stopped"
    );
    desk.run(&["resume-download", text(&data), "-o", "c.bin"])
        .expect(3);
    let upload = desk.run(&["resume-upload", text(&data)]);
    assert_ne!(upload.code(), Some(0), "{upload:#?}");
}

#[test]
fn a_cancelled_task_leaves_nothing_and_makes_the_exit_code_of_those_who_wait() {
    let (server, desk) = (Server::start(), Desk::new());
    let _gate = serve_held(&server, "/a.bin", CONTENT);
    let name = desk.hand_over(&[&server.url("/a.bin")]);
    wait_until_held(&server, "/a.bin");
    desk.run(&["cancel", &name]).expect(0).is_silent();
    assert!(desk.bench.names().is_empty());
    let waited = desk.run(&["wait", &name]);
    assert_eq!(waited.expect(1).stdout, format!("{name}: cancelled\n"));
    let watched = desk.run(&["watch", &name, "--json"]);
    assert_eq!(
        watched.expect(1).json_event("ended")["outcome"],
        "cancelled"
    );
}

#[test]
fn events_end_with_what_is_on_record_while_a_transfer_runs() {
    let (server, desk) = (Server::start(), Desk::new());
    let slow = Reply::normal().bytes_per_second(100_000);
    server.serve("/a.bin", Resource::new(CONTENT));
    server.script("/a.bin", [slow]);
    let name = desk.hand_over(&[&server.url("/a.bin")]);
    desk.wait_for_phase(&name, "transferring");
    let told = desk.run(&["events"]);
    assert_eq!(told.expect(0).stdout, "");
    assert_eq!(
        desk.json(&["show", &name])["state"],
        "running",
        "it was not waited for"
    );
    desk.run(&["cancel", &name]).expect(0);
}

#[test]
fn ends_are_events_until_they_are_forgotten_in_their_order() {
    let (server, desk) = (Server::start(), Desk::new());
    let small = Content::new(512, 1000);
    let mut names = Vec::new();
    for path in ["/a", "/b", "/c"] {
        server.serve(path, Resource::new(small));
        let name = desk.hand_over(&[&server.url(path)]);
        desk.run(&["wait", &name]).expect(0);
        names.push(name);
    }
    let told = desk.run(&["events", "--json"]);
    told.expect(0);
    let ended = told
        .json()
        .into_iter()
        .filter(|line| line["event"] == "ended");
    let ended: Vec<serde_json::Value> = ended.collect();
    let order = ended
        .iter()
        .map(|line| line["name"].as_str().unwrap().to_owned());
    assert_eq!(order.collect::<Vec<_>>(), names);
    let second = ended[1]["sequence"].to_string();
    let after = desk.run(&["events", "--after", &second, "--json"]);
    assert_eq!(
        after.expect(0).json_event("ended")["name"],
        names[2].as_str()
    );

    let out_of_order = desk.run(&["forget", &names[1]]);
    out_of_order
        .expect(2)
        .says(&format!("task {} has ended before", names[0]));
    desk.run(&["forget", &names[0], &names[1]])
        .expect(0)
        .is_silent();
    desk.run(&["show", &names[0]]).expect(11);
    desk.run(&["show", &names[2]]).expect(0);
    desk.run(&["forget", "--ended"]).expect(0).is_silent();
    assert_eq!(desk.run(&["list"]).expect(0).stdout, "");
    let sessions = desk.json(&["sessions"]);
    assert_eq!(sessions["session"], "longhaul");
    assert_eq!(
        (&sessions["live_tasks"], &sessions["ended_tasks"]),
        (&0.into(), &0.into())
    );
    assert!(
        sessions["owner_pid"].is_null(),
        "the commands have given it up: {sessions}"
    );
}
