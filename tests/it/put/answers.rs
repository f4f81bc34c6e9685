//! What goes wrong with an upload: exit codes, words, and what is left behind.

use std::fs;

use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::{CONTENT, PATH, inbox, is_whole, plain};
use crate::bench::{Bench, MIB};

#[test]
fn a_refusal_has_its_exit_code_and_leaves_nothing() {
    let asks = Reply::status(401).header("WWW-Authenticate", "Basic realm=\"r\"");
    let table: [(Reply, &[&str], i32, &str); 7] = [
        (Reply::status(404), &[], 8, "404 (not found)"),
        (Reply::status(413).taking(MIB), &[], 8, "413"),
        (Reply::status(500), &["--retry", "0"], 8, "500"),
        (asks, &[], 6, "run it again with -u USER:PASSWORD"),
        (
            Reply::redirect(307, "/inbox"),
            &["--max-redirs", "2"],
            7,
            "redirect",
        ),
        (Reply::raw("nonsense\r\n\r\n"), &["--retry", "0"], 7, ""),
        (
            Reply::hang_up(),
            &["--retry", "1"],
            4,
            "given up after 1 retry",
        ),
    ];
    for (reply, options, code, words) in table {
        let bench = Bench::new();
        let server = inbox(&bench, CONTENT, [reply]);
        let url = server.url(PATH);
        bench
            .run_put(&plain(&url, options))
            .expect(code)
            .says(words);
        bench.assert_no_state();
        assert_eq!(bench.names(), ["f"]);
    }
}

#[test]
fn what_can_not_be_reached_or_read_has_its_exit_code_and_leaves_nothing() {
    let bench = Bench::new();
    let server = inbox(&bench, CONTENT, []);
    let (url, nowhere) = (server.url(PATH), Server::start().url(PATH));
    fs::create_dir(bench.file("d")).unwrap();
    let table: [(&[&str], i32, &str); 6] = [
        (&["f", &nowhere, "--retry", "0"], 4, "connect"),
        (&["missing", &url], 3, "missing can not be read"),
        (&["d", &url], 3, "d is no file"),
        (&["-", &url], 2, "standard input can not"),
        (&["f", "ftp://h/"], 2, "the url does not begin with http"),
        (&["f", &url, "--protocol", "ftp"], 2, "not a protocol"),
    ];
    for (arguments, code, words) in table {
        bench.run_put(arguments).expect(code).says(words);
        bench.assert_no_state();
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_failure_is_told_in_json_with_its_code() {
    let bench = Bench::new();
    let server = inbox(&bench, CONTENT, [Reply::status(404)]);
    let url = server.url(PATH);
    let ended = bench.run_put(&plain(&url, &["--json"]));
    ended.expect(8).is_silent();
    let failed = ended.json_event("failed");
    assert_eq!(
        (&failed["code"], &failed["exit_code"]),
        (&"status".into(), &8.into())
    );
    assert_eq!(ended.json_event("summary")["failed"], 1);
    let ended = bench.run_put(&["missing", &url, "--json"]);
    let fault = ended.expect(3).json_event("fault");
    assert_eq!(fault["code"], "file");
}

#[test]
fn an_upload_is_tried_again_until_it_is_taken() {
    let bench = Bench::new();
    let replies = [
        Reply::status(503).taking(MIB),
        Reply::reset().taking(MIB),
        Reply::redirect(307, "/moved"),
    ];
    let server = inbox(&bench, CONTENT, replies);
    server.script("/moved", [Reply::status(201)]);
    let url = server.url(PATH);
    let ended = bench.run_put(&plain(&url, &[]));
    ended.expect(0).says("trying again in");
    let moved = server.requests_for("/moved");
    assert!(moved.len() == 1 && is_whole(&moved[0], CONTENT));
    bench.assert_no_state();
}
