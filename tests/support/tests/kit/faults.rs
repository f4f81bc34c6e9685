//! What a bad server or a bad network does.

use std::io::Read;
use std::thread;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::hostile;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Framing, Reply};
use longhaul_support::server::Server;

use crate::client::{End, connect, get, read_one, read_to_end, send, unchunk};

const CONTENT: Content = Content::new(21, 100_000);

fn scripted(reply: Reply) -> Server {
    let server = Server::start();
    server.serve("/f", Resource::new(CONTENT));
    server.script("/f", [reply]);
    server
}

#[test]
fn a_body_is_truncated_at_the_byte() {
    for offset in [0, 1, 65_537, 100_000] {
        let answer = get(&scripted(Reply::normal().truncate_at(offset)), "/f", &[]);
        assert_eq!(answer.header("content-length"), Some("100000"));
        assert!(
            answer.body == CONTENT.bytes(0..offset) && answer.end == End::Fin,
            "{offset}"
        );

        let chunked = Reply::normal()
            .framing(Framing::Chunked)
            .truncate_at(offset);
        let answer = get(&scripted(chunked), "/f", &[]);
        assert!(
            unchunk(&answer.body) == (CONTENT.bytes(0..offset), None),
            "{offset}"
        );
    }
}

#[test]
fn a_connection_is_reset_after_the_bytes_before_it() {
    for offset in [0, 1, 50_000] {
        let server = scripted(Reply::normal().reset_at(offset));
        let answer = get(&server, "/f", &[]);
        assert!(
            answer.body == CONTENT.bytes(0..offset) && answer.end == End::Reset,
            "{offset}"
        );
        assert_eq!(server.bytes_served("/f"), offset);
    }
}

#[test]
fn a_connection_ends_instead_of_an_answer() {
    for (reply, end) in [(Reply::hang_up(), End::Fin), (Reply::reset(), End::Reset)] {
        let server = scripted(reply);
        let answer = get(&server, "/f", &[]);
        assert_eq!((answer.head.as_str(), answer.end), ("", end));
        assert_eq!(server.requests()[0].status, None);
    }
}

#[test]
fn a_stalled_body_ends_with_the_server_and_the_server_ends_at_once() {
    // Stalled, held and blocked writers must all let the server go; a hang fails the whole run.
    let server = scripted(Reply::normal().stall_at(1000));
    let huge = Resource::new(Content::new(1, 1 << 40));
    server.serve("/huge", huge);
    server.serve("/held", Resource::new(CONTENT));
    server.script("/held", [Reply::normal().hold_head(&Gate::new())]);
    server.serve("/slow", Resource::new(CONTENT));
    server.script("/slow", [Reply::normal().bytes_per_second(1)]);
    let streams = ["/f", "/huge", "/held", "/slow"].map(|path| {
        let mut stream = connect(&server);
        send(&mut stream, "GET", path, &[]);
        stream
    });
    // A replaced script still holds whom it holds.
    server.wait_for(|log| log.len() == 4 && log.iter().all(|entry| !entry.is_finished));
    server.script("/held", []);
    server.wait_for(|log| log.iter().any(|entry| entry.body_sent == 1000));
    drop(server);
    let [stalled, ..] = streams;
    assert_eq!(read_to_end(stalled).body.len(), 1000);
}

#[test]
fn open_connections_can_be_cut_while_the_server_goes_on() {
    let server = scripted(Reply::normal().stall_at(10));
    server.script("/f", [Reply::normal().stall_at(10), Reply::normal()]);
    let mut stream = connect(&server);
    send(&mut stream, "GET", "/f", &[]);
    server.wait_for(|log| log.iter().any(|entry| entry.body_sent == 10));
    server.drop_connections();
    assert_eq!(read_to_end(stream).body.len(), 10);
    assert_eq!(get(&server, "/f", &[]).body.len(), 100_000);
}

#[test]
fn a_pooled_connection_goes_stale_although_keep_alive_was_promised() {
    let server = scripted(Reply::normal().close_unannounced());
    let mut stream = connect(&server);
    send(&mut stream, "GET", "/f", &[]);
    let answer = read_one(&mut stream);
    assert_eq!(answer.header("connection"), None);
    assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);

    let server = scripted(Reply::normal().close());
    let mut stream = connect(&server);
    send(&mut stream, "GET", "/f", &[]);
    assert_eq!(read_one(&mut stream).header("connection"), Some("close"));
    assert_eq!(stream.read(&mut [0]).expect("a FIN"), 0);
}

#[test]
fn a_body_can_be_longer_or_shorter_than_declared() {
    let answer = get(
        &scripted(Reply::status(200).body("12345").surplus("678")),
        "/f",
        &[],
    );
    assert_eq!(
        (answer.header("content-length"), &answer.body[..]),
        (Some("5"), &b"12345678"[..])
    );
    let declared = Reply::status(200)
        .body("12345")
        .framing(Framing::Declared(9));
    let answer = get(&scripted(declared), "/f", &[]);
    assert_eq!(
        (answer.header("content-length"), &answer.body[..]),
        (Some("9"), &b"12345"[..])
    );
}

#[test]
fn raw_bytes_replace_a_response() {
    let answer = get(&scripted(Reply::raw("no head at all")), "/f", &[]);
    assert_eq!(
        (answer.head.as_str(), answer.end),
        ("no head at all", End::Fin)
    );
}

#[test]
fn headers_are_replaced_doubled_and_removed() {
    let reply = Reply::normal()
        .header("ETag", "odd")
        .without_header("date")
        .interim(100, 0);
    let answer = get(
        &scripted(reply.add_header("Content-Length", "7")),
        "/f",
        &[],
    );
    assert_eq!(
        (answer.header("etag"), answer.header("date")),
        (Some("odd"), None)
    );
    let lengths = answer
        .head
        .lines()
        .filter(|line| line.starts_with("Content-Length: "));
    assert_eq!(
        lengths.collect::<Vec<_>>(),
        ["Content-Length: 100000", "Content-Length: 7"]
    );
    let answer = get(
        &scripted(hostile::repeated_length(CONTENT.len())),
        "/f",
        &[],
    );
    assert_eq!(answer.head.matches("Content-Length: 100000\r\n").count(), 2);
    let answer = get(&scripted(hostile::content_encoding_gzip()), "/f", &[]);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
}

#[test]
fn every_ready_made_fault_differs_from_a_good_answer_and_ends() {
    let good = |head: &str| {
        let is_field = |line: &&str| !line.starts_with("Date: ");
        head.lines()
            .filter(is_field)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let normal = get(&scripted(Reply::normal()), "/f", &[]);
    let faults = hostile::protocol_errors()
        .into_iter()
        .chain(hostile::truncations(500));
    for (name, reply) in faults {
        let answer = get(&scripted(reply), "/f", &[]);
        let is_same = good(&answer.head) == good(&normal.head) && answer.body == normal.body;
        assert!(!is_same, "{name} is a good answer");
    }
    let oversized = get(&scripted(hostile::oversized_head(70 * 1024)), "/f", &[]);
    assert!(oversized.head.len() > 70 * 1024);
}

#[test]
fn many_clients_are_served_at_once() {
    let server = scripted(Reply::normal());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..4 {
                    assert_eq!(get(&server, "/f", &[]).body.len(), 100_000);
                }
            });
        }
    });
    assert_eq!(server.requests_for("/f").len(), 64);
}
