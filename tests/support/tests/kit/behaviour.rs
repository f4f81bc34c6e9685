//! What a good server does, and the means to hold, slow and observe it.

use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Framing, Reply};
use longhaul_support::server::Server;

use crate::client::{End, connect, get, read_one, read_to_end, request, send, unchunk};

const CONTENT: Content = Content::new(11, 300_000);

fn serving() -> Server {
    let server = Server::start();
    server.serve("/f", Resource::new(CONTENT));
    server
}

fn all() -> Vec<u8> {
    CONTENT.bytes(0..CONTENT.len())
}

#[test]
fn a_resource_is_served_whole_with_both_validators() {
    let server = serving();
    let answer = get(&server, "/f?query=ignored", &[]);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-length"), Some("300000"));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert_eq!(answer.header("etag"), Some("\"b-493e0\""));
    assert_eq!(
        answer.header("last-modified"),
        Some("Wed, 01 Jan 2025 00:00:00 GMT")
    );
    assert!(answer.header("date").is_some());
    assert!(answer.body == all() && answer.end == End::Fin);
}

#[test]
fn head_has_the_head_of_get_and_no_body() {
    let server = serving();
    let answer = request(&server, "HEAD", "/f", &[]);
    assert_eq!(answer.header("content-length"), Some("300000"));
    assert!(answer.body.is_empty());
}

#[test]
fn a_path_that_serves_nothing_is_not_found() {
    assert_eq!(get(&serving(), "/other", &[]).status(), 404);
}

#[test]
fn validators_can_be_chosen() {
    let server = Server::start();
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    let resource = || Resource::new(CONTENT);
    for (resource, etag, modified) in [
        (resource().etag("x").last_modified_only(moment), None, date),
        (resource().weak_etag_only("w"), Some("W/\"w\""), None),
        (resource().without_validators(), None, None),
        (
            resource().without_validators().etag("s"),
            Some("\"s\""),
            None,
        ),
    ] {
        server.serve("/v", resource);
        let answer = get(&server, "/v", &[]);
        assert_eq!(
            (answer.header("etag"), answer.header("last-modified")),
            (etag, modified)
        );
    }
}

#[test]
fn a_resource_carries_digests_and_any_header() {
    let server = Server::start();
    let content = Content::new(1, 0);
    let right = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    server.serve("/r", Resource::new(content).repr_digest());
    let answer = get(&server, "/r", &[]);
    assert_eq!(answer.header("repr-digest"), Some(right));
    assert_eq!(
        (answer.header("content-length"), answer.body.len()),
        (Some("0"), 0)
    );

    let disposition = "attachment; filename=\"../../x\"";
    let resource = Resource::new(content).wrong_repr_digest();
    server.serve("/w", resource.header("Content-Disposition", disposition));
    let answer = get(&server, "/w", &[]);
    assert!(
        answer
            .header("repr-digest")
            .is_some_and(|digest| digest != right)
    );
    assert_eq!(answer.header("content-disposition"), Some(disposition));
}

#[test]
fn one_connection_serves_many_requests_and_the_log_tells_them_apart() {
    let server = serving();
    let mut stream = connect(&server);
    for _ in 0..2 {
        send(&mut stream, "GET", "/f", &[("X-Mark", "m")]);
        assert!(read_one(&mut stream).body == all());
    }
    get(&server, "/f", &[]);
    let log = server.wait_for(|log| log.iter().filter(|entry| entry.is_finished).count() == 3);
    let places: Vec<_> = log
        .iter()
        .map(|entry| (entry.connection, entry.position))
        .collect();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0)]);
    assert_eq!(log[1].header("x-mark"), Some("m"));
    assert_eq!(
        (log[1].status, log[1].body_sent),
        (Some(200), CONTENT.len())
    );
    assert_eq!(server.bytes_served("/f"), 3 * CONTENT.len());
    assert_eq!(
        (server.connections(), server.requests_for("/g").len()),
        (2, 0)
    );
}

#[test]
fn a_request_body_is_taken_and_counted() {
    let server = serving();
    let mut stream = connect(&server);
    send(&mut stream, "PUT", "/f", &[("Content-Length", "5")]);
    std::io::Write::write_all(&mut stream, b"hello").expect("the body is sent");
    assert_eq!(read_one(&mut stream).status(), 200);
    send(&mut stream, "GET", "/f", &[]);
    assert_eq!(read_one(&mut stream).status(), 200);
    assert_eq!(server.requests()[0].body_received, 5);
}

#[test]
fn a_script_is_followed_in_order_and_its_last_reply_repeats() {
    let server = serving();
    let busy = Reply::status(503).header("Retry-After", "2").body("busy");
    server.script("/f", [busy, Reply::redirect(307, "/g?h"), Reply::normal()]);
    let answer = get(&server, "/f", &[]);
    assert_eq!(
        (answer.status(), answer.header("retry-after")),
        (503, Some("2"))
    );
    assert_eq!(answer.body, b"busy");
    let answer = get(&server, "/f", &[]);
    assert_eq!(
        (answer.status(), answer.header("location")),
        (307, Some("/g?h"))
    );
    for _ in 0..2 {
        assert!(get(&server, "/f", &[]).body == all());
    }
}

#[test]
fn a_path_can_change_what_it_serves_between_requests() {
    let server = serving();
    let other = Content::new(12, 10);
    server.script("/f", [Reply::normal(), Reply::of(Resource::new(other))]);
    let first = get(&server, "/f", &[]);
    let second = get(&server, "/f", &[]);
    assert_ne!(first.header("etag"), second.header("etag"));
    assert_eq!(second.body, other.bytes(0..10));
    server.serve("/f", Resource::new(other).etag("third"));
    server.script("/f", []);
    assert_eq!(get(&server, "/f", &[]).header("etag"), Some("\"third\""));
}

#[test]
fn bodies_come_chunked_with_extras_or_up_to_the_close() {
    let server = serving();
    let framed = |framing| Reply::normal().framing(framing);
    server.script(
        "/f",
        [
            framed(Framing::Chunked),
            framed(Framing::ChunkedWithExtras).drip(70_000),
            framed(Framing::Close),
            framed(Framing::Close).http10(),
        ],
    );
    let plain = get(&server, "/f", &[]);
    assert_eq!(plain.header("transfer-encoding"), Some("chunked"));
    assert!(unchunk(&plain.body) == (all(), Some("\r\n".into())));
    let extras = get(&server, "/f", &[]);
    assert!(extras.body.starts_with(b"11170;name=\"value\"\r\n"));
    assert!(unchunk(&extras.body) == (all(), Some("X-Trailer: the end\r\n\r\n".into())));
    for version in ["HTTP/1.1 200", "HTTP/1.0 200"] {
        let answer = get(&server, "/f", &[]);
        assert!(answer.head.starts_with(version) && answer.body == all());
        assert_eq!(answer.header("content-length"), None);
    }
}

#[test]
fn interim_heads_come_first() {
    let server = serving();
    server.script("/f", [Reply::status(200).interim(103, 2).interim(104, 1)]);
    let answer = get(&server, "/f", &[]);
    assert_eq!(answer.status(), 103);
    let rest = String::from_utf8_lossy(&answer.body).into_owned();
    let statuses: Vec<_> = rest
        .lines()
        .filter(|line| line.starts_with("HTTP/1.1 "))
        .collect();
    assert_eq!(
        statuses,
        [
            "HTTP/1.1 103 Early Hints",
            "HTTP/1.1 104 Upload Resumption Supported",
            "HTTP/1.1 200 OK"
        ]
    );
}

#[test]
fn a_held_head_and_a_held_body_wait_for_their_gates() {
    // The log shows how far the server has gone, and no byte more arrives before its gate opens.
    let server = serving();
    let (head, body) = (Gate::new(), Gate::new());
    server.script(
        "/f",
        [Reply::normal().hold_head(&head).hold_at(1000, &body)],
    );
    let mut stream = connect(&server);
    send(&mut stream, "GET", "/f", &[("Connection", "close")]);
    let log = server.wait_for(|log| log.len() == 1);
    assert_eq!((log[0].status, log[0].body_sent), (None, 0));
    head.open();
    server.wait_for(|log| log[0].body_sent == 1000);
    assert!(!server.requests()[0].is_finished);
    body.open();
    assert!(read_to_end(stream).body == all());
}

#[test]
fn a_dripping_body_arrives_whole() {
    let server = serving();
    server.script("/f", [Reply::normal().drip(7_001)]);
    assert!(get(&server, "/f", &[]).body == all());
}

#[test]
fn a_throttled_body_takes_its_time() {
    let server = serving();
    server.script("/f", [Reply::normal().bytes_per_second(1_500_000)]);
    let started = Instant::now();
    assert!(get(&server, "/f", &[]).body == all());
    assert!(
        started.elapsed() >= Duration::from_millis(190),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_server_comes_back_on_its_port_with_a_log_of_its_own() {
    let server = serving();
    let port = server.address().port();
    get(&server, "/f", &[]);
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let server = Server::start_on(port).expect("the port is free again");
    assert_eq!(get(&server, "/f", &[]).status(), 404);
    assert_eq!(server.requests().len(), 1);
}
