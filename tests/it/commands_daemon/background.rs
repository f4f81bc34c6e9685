//! What `get -b` and `put -b` hand over, and what the same command does when it is said again.

use std::fs;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::log::Request;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::Desk;
use crate::bench::text;

const CONTENT: Content = Content::new(551, 100_000);

/// Hands over the upload of `up.bin` in one request; answers its name.
#[track_caller]
fn send(desk: &Desk, url: &str, method: &str) -> String {
    let words = [
        "put",
        "-b",
        "up.bin",
        url,
        "--protocol",
        "plain",
        "-X",
        method,
    ];
    let ended = desk.run(&words);
    ended.expect(0).is_silent();
    ended.stdout.trim_end().to_owned()
}

fn is_whole(request: &Request, content: Content) -> bool {
    *request.body == content.bytes(0..content.len())
}

#[test]
fn an_upload_that_was_refused_or_cancelled_is_sent_anew_by_the_same_command() {
    let (server, desk, gate) = (Server::start(), Desk::new(), Gate::new());
    CONTENT.write_file(&desk.bench.file("up.bin")).unwrap();
    let held = || Reply::status(201).hold_head(&gate);
    server.script("/up", [Reply::status(404), held(), held()]);
    let url = server.url("/up");
    let refused = send(&desk, &url, "PUT");
    desk.run(&["wait", &refused]).expect(8);

    let second = send(&desk, &url, "PUT");
    assert_ne!(second, refused);
    server.wait_for(|requests| requests.len() == 2);
    assert_eq!(send(&desk, &url, "PUT"), second, "the one that runs is it");
    desk.run(&["cancel", &second]).expect(0).is_silent();

    let third = send(&desk, &url, "PUT");
    assert_ne!(third, second);
    gate.open();
    desk.run(&["wait", &third]).expect(0);
    let requests = server.requests();
    assert!(requests.len() == 3 && is_whole(&requests[2], CONTENT));
    // Forgetting the earlier ones leaves the last one its place.
    desk.run(&["forget", &refused, &second])
        .expect(0)
        .is_silent();
    assert_eq!(send(&desk, &url, "PUT"), third);
}

#[test]
fn an_upload_that_the_server_has_is_sent_again_only_when_its_file_has_changed() {
    let (server, desk) = (Server::start(), Desk::new());
    let file = desk.bench.file("up.bin");
    CONTENT.write_file(&file).unwrap();
    server.script("/up", [Reply::status(201), Reply::status(200)]);
    let url = server.url("/up");
    let first = send(&desk, &url, "PUT");
    desk.run(&["wait", &first]).expect(0);
    assert_eq!(send(&desk, &url, "PUT"), first, "the server has it");

    let other = Content::new(552, 70_000);
    other.write_file(&file).unwrap();
    let second = send(&desk, &url, "PUT");
    assert_ne!(second, first);
    desk.run(&["wait", &second]).expect(0);
    let requests = server.requests();
    assert!(requests.len() == 2 && is_whole(&requests[1], other));
}

#[test]
fn an_upload_that_the_server_may_have_is_not_sent_twice_by_the_same_command() {
    let (server, desk) = (Server::start(), Desk::new());
    CONTENT.write_file(&desk.bench.file("up.bin")).unwrap();
    // All of it has come, and nobody knows what became of it.
    server.script("/up", [Reply::hang_up().taking(CONTENT.len())]);
    let url = server.url("/up");
    let first = send(&desk, &url, "POST");
    let waited = desk.run(&["wait", &first, "--json"]);
    assert_eq!(waited.json_event("ended")["code"], "outcome_unknown");
    assert_eq!(send(&desk, &url, "POST"), first);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_field_of_a_list_stands_for_the_one_of_that_name_that_is_for_all() {
    let (server, desk) = (Server::start(), Desk::new());
    for path in ["/a", "/b"] {
        server.serve(path, Resource::new(CONTENT));
    }
    let list = desk.bench.outputs().join("list");
    let (a, b) = (server.url("/a"), server.url("/b"));
    fs::write(&list, format!("{a}\n  header=X-One: list\n{b}\n")).unwrap();
    let fields = ["-H", "x-one: all", "-H", "X-Two: all"];
    let words = [["get", "-b", "-i", text(&list)].as_slice(), &fields].concat();
    let names = desk.run(&words);
    let names: Vec<&str> = names.expect(0).is_silent().stdout.lines().collect();
    let wait = [["wait"].as_slice(), &names].concat();
    desk.run(&wait).expect(0);
    for (path, one) in [("/a", "list"), ("/b", "all")] {
        let requests = server.requests_for(path);
        let values = |name: &str| -> Vec<String> {
            let fields = requests[0].headers.iter();
            let fields = fields.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            fields.map(|(_, value)| value.clone()).collect()
        };
        assert_eq!(
            (values("x-one"), values("x-two")),
            (vec![one.to_owned()], vec!["all".to_owned()])
        );
    }

    // Said again, what is there is the answer, and what is gone is fetched again.
    fs::remove_file(desk.bench.file("b")).unwrap();
    let again = desk.run(&words);
    let again: Vec<&str> = again.expect(0).is_silent().stdout.lines().collect();
    assert!(again[0] == names[0] && again[1] != names[1], "{again:?}");
    desk.run(&["wait", again[1]]).expect(0);
    assert_eq!(
        (
            server.requests_for("/a").len(),
            server.requests_for("/b").len()
        ),
        (1, 2)
    );
}
