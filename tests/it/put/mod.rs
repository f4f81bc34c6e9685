//! `longhaul put`: what arrives, what is printed, and how it is told. Here with one plain request.

mod answers;
mod begun;
mod resumable;
mod surviving;

use longhaul_support::content::Content;
use longhaul_support::log::Request;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, SECRET};

const PATH: &str = "/inbox";
const CONTENT: Content = Content::new(401, 3 * MIB + 5);

/// A server whose inbox answers so, and a file `f` to send to it.
fn inbox(bench: &Bench, content: Content, replies: impl IntoIterator<Item = Reply>) -> Server {
    let server = Server::start();
    server.script(PATH, replies);
    content.write_file(&bench.file("f")).unwrap();
    server
}

/// The arguments that send `f` to the inbox in one request, with these options.
fn plain<'a>(url: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["f", url, "--protocol", "plain"];
    arguments.extend(options);
    arguments
}

fn is_whole(request: &Request, content: Content) -> bool {
    *request.body == content.bytes(0..content.len())
}

#[test]
fn a_file_arrives_byte_for_byte_and_the_answer_is_printed_as_it_is() {
    for (method, bytes) in [
        ("PUT", 0),
        ("PUT", CONTENT.len()),
        ("POST", 1),
        ("PATCH", 9 * MIB),
    ] {
        let (bench, content) = (Bench::new(), Content::new(402, bytes));
        let server = inbox(&bench, content, [Reply::status(201).body("receipt\n7")]);
        let url = server.url(PATH);
        let fields = bench.outputs().join("fields");
        std::fs::write(&fields, format!("X-Key: {SECRET}\n")).unwrap();
        let fields = format!("@{}", fields.display());
        let header = "Content-Type: image/png";
        let ended = bench.run_put(&plain(&url, &["-X", method, "-H", header, "-H", &fields]));
        assert_eq!(ended.expect(0).is_silent().stdout, "receipt\n7");
        let requests = server.requests();
        assert_eq!((requests.len(), requests[0].method.as_str()), (1, method));
        assert_eq!(requests[0].header("content-type"), Some("image/png"));
        assert_eq!(requests[0].header("x-key"), Some(SECRET));
        assert!(is_whole(&requests[0], content), "{method} {bytes}");
        bench.assert_no_state();
        assert_eq!(bench.names(), ["f"]);
    }
}

#[test]
fn a_file_is_put_unless_another_method_is_named_and_under_its_own_name_into_a_collection() {
    let bench = Bench::new();
    let server = inbox(&bench, CONTENT, []);
    server.script("/d/f", [Reply::status(201)]);
    server.script("/d/", [Reply::status(201)]);
    let url = server.url("/d/");
    bench.run_put(&plain(&url, &[])).expect(0);
    bench.run_put(&plain(&url, &["-X", "POST"])).expect(0);
    let asked: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| (request.method, request.path))
        .collect();
    let expected = [("PUT", "/d/f"), ("POST", "/d/")];
    assert_eq!(asked, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn json_tells_an_upload_with_stable_names() {
    let bench = Bench::new();
    let reply = Reply::status(201).header("ETag", "\"7\"").body("made");
    let server = inbox(&bench, CONTENT, [Reply::status(503), reply]);
    let url = server.url(PATH);
    let ended = bench.run_put(&plain(&url, &["--json"]));
    ended.expect(0).is_silent();
    let lines = ended.json();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str()).collect();
    let (first, last) = (events.first().unwrap(), events.last().unwrap());
    assert_eq!((*first, *last), (Some("run"), Some("summary")));
    assert_eq!(lines[0]["uploads"], 1);
    let source = bench.file("f").display().to_string();
    assert_eq!(ended.json_event("started")["source"], source);
    assert_eq!(ended.json_event("retrying")["code"], "status");
    let finished = ended.json_event("finished");
    assert_eq!(finished["bytes"], CONTENT.len());
    assert_eq!(
        (&finished["status"], &finished["body"]),
        (&201.into(), &"made".into())
    );
    let summary = lines.last().unwrap();
    assert_eq!(summary["acknowledged_bytes"], CONTENT.len());
    assert_eq!(
        (&summary["uploads"], &summary["finished"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn what_is_shown_follows_the_options_and_holds_no_secret() {
    let bench = Bench::new();
    let server = inbox(&bench, CONTENT, [Reply::status(200).body("receipt 7")]);
    let url = server.url(&format!("{PATH}?signature={SECRET}"));
    let header = format!("Authorization: Bearer {SECRET}");
    let quiet = bench.run_put(&plain(&url, &["-q", "-H", &header]));
    assert_eq!(quiet.expect(0).is_silent().stdout, "");
    let loud = bench.run_put(&plain(&url, &["-vvv", "-H", &header]));
    assert!(loud.expect(0).stderr.contains("longhaul"), "{loud:#?}");
    assert!(!loud.stderr.contains('\u{1b}'), "{loud:#?}");
    bench
        .run_put(&plain(&url, &["--json", "-H", &header]))
        .expect(0);
    bench.assert_no_state();
}

#[test]
fn a_server_that_asks_who_it_is_gets_an_answer() {
    let bench = Bench::new();
    let asks = Reply::status(401).header("WWW-Authenticate", "Basic realm=\"r\"");
    let server = inbox(&bench, CONTENT, [asks, Reply::status(204)]);
    let url = server.url(PATH);
    let login = format!("u:{SECRET}");
    bench.run_put(&plain(&url, &["-u", &login])).expect(0);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].header("authorization").is_some());
    assert!(is_whole(&requests[1], CONTENT));
}
