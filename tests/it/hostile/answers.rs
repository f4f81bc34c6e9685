//! Answers of every shape, and those that no client may take for one.

use longhaul_support::content::Content;
use longhaul_support::hostile;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Framing, Reply};

use super::{PATH, each, serving};
use crate::bench::Bench;

#[test]
fn good_answers_of_every_shape_are_understood() {
    let length = 300_001;
    let cases = vec![
        ("plain", Reply::normal()),
        ("chunked", Reply::normal().framing(Framing::Chunked)),
        (
            "chunked with extras",
            Reply::normal().framing(Framing::ChunkedWithExtras),
        ),
        (
            "byte by byte",
            Reply::normal().framing(Framing::Chunked).drip(997),
        ),
        ("after 100", Reply::normal().interim(100, 1)),
        ("after many 103", Reply::normal().interim(103, 20)),
        ("HTTP/1.0", Reply::normal().http10()),
        ("closed after it", Reply::normal().close()),
        ("closed without a word", Reply::normal().close_unannounced()),
        ("its length twice", hostile::repeated_length(length)),
        ("a large head", hostile::oversized_head(30_000)),
        (
            "identity",
            Reply::normal().header("Content-Encoding", "identity"),
        ),
    ];
    each(cases, |reply| {
        let content = Content::new(11, length);
        let (server, url) = serving(Resource::new(content));
        server.script(PATH, [reply]);
        let bench = Bench::new();
        let ended = bench.run(&[&url]);
        ended.expect(0).is_silent();
        assert_eq!(ended.stdout, format!("{}\n", bench.file("a.bin").display()));
        bench.assert_only("a.bin", content);
    });
}

#[test]
fn a_body_that_ends_with_the_connection_is_taken_and_said_to_be_unproven() {
    let content = Content::new(12, 200_000);
    let (server, url) = serving(Resource::new(content));
    server.script(PATH, [Reply::normal().framing(Framing::Close)]);
    let bench = Bench::new();
    bench
        .run(&[&url])
        .expect(0)
        .says("nothing proves that this is all");
    bench.assert_only("a.bin", content);
    let bench = Bench::new();
    let ended = bench.run(&[&url, "--json"]);
    let finished = ended.expect(0).json_event("finished");
    assert_eq!(
        (&finished["length_unverified"], &finished["bytes"]),
        (&true.into(), &200_000.into())
    );
}

#[test]
fn an_answer_without_a_byte_makes_an_empty_file() {
    let cases = vec![
        ("a length of zero", Reply::normal()),
        ("no chunk", Reply::normal().framing(Framing::Chunked)),
        ("204", Reply::status(204)),
    ];
    each(cases, |reply| {
        let content = Content::new(13, 0);
        let (server, url) = serving(Resource::new(content));
        server.script(PATH, [reply]);
        let bench = Bench::new();
        bench.run(&[&url, "-x", "4"]).expect(0).is_silent();
        bench.assert_only("a.bin", content);
    });
}

#[test]
fn a_broken_protocol_is_an_error_and_nothing_of_it_is_kept() {
    let mut cases = hostile::protocol_errors();
    cases.push(("304 to no condition", Reply::status(304)));
    cases.push(("206 to a request for the whole", Reply::status(206)));
    each(cases, |reply| {
        let (server, url) = serving(Resource::new(Content::new(14, 100_000)));
        server.script(PATH, [reply]);
        let bench = Bench::new();
        let ended = bench.run(&[&url, "--json"]);
        assert_eq!(ended.expect(7).json_event("failed")["code"], "protocol");
        assert_eq!(
            server.requests_for(PATH).len(),
            1,
            "such an answer is not asked for twice"
        );
        bench.assert_nothing();
        bench
            .run(&[&url])
            .expect(7)
            .says(&format!("longhaul: {url}: "));
        bench.assert_nothing();
    });
}

#[test]
fn a_coded_body_is_refused_when_nobody_asked_for_one() {
    let (server, url) = serving(Resource::new(Content::new(15, 50_000)));
    server.script(PATH, [hostile::content_encoding_gzip()]);
    let bench = Bench::new();
    let ended = bench.run(&[&url, "--json"]);
    assert_eq!(ended.expect(7).json_event("failed")["code"], "encoded");
    bench.run(&[&url]).expect(7).says("Content-Encoding");
    bench.assert_nothing();
}

#[test]
fn an_error_status_is_final_and_its_body_is_not_the_file() {
    let cases = vec![
        ("400", (400, "bad request")),
        ("403", (403, "forbidden")),
        ("404", (404, "not found")),
        ("410", (410, "gone")),
        ("416", (416, "range not satisfiable")),
        ("501", (501, "501")),
    ];
    each(cases, |(status, words)| {
        let (server, url) = serving(Resource::new(Content::new(16, 5000)));
        server.script(PATH, [Reply::status(status)]);
        let bench = Bench::new();
        bench.run(&[&url]).expect(8).says(words);
        assert_eq!(server.requests_for(PATH).len(), 1);
        bench.assert_nothing();
    });
}

#[test]
fn a_body_that_is_longer_than_declared_is_a_broken_protocol() {
    // In one write, so that what is too much is there when the body ends.
    let (server, url) = serving(Resource::new(Content::new(17, 5)));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    server.script(PATH, [Reply::raw(format!("{head}hello and more"))]);
    let bench = Bench::new();
    bench.run(&[&url]).expect(7);
    bench.assert_nothing();
}
