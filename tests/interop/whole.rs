//! Whole files in one go: every prefix of the servers, many connections, many files.

use std::fs;

use longhaul_support::content::Content;

use crate::bench::{Bench, MIB, text};
use crate::relay::Relay;
use crate::servers::{KINDS, Kind, Real};

const CONTENT: Content = Content::new(71, 3 * MIB + 17);

#[test]
fn a_file_comes_byte_for_byte_from_every_prefix() {
    let table: [(Kind, &[&str]); 2] = [
        (
            Kind::Nginx,
            &["/", "/no-ranges/", "/no-etag/", "/redirect/"],
        ),
        (Kind::Apache, &["/", "/gzip/", "/redirect/"]),
    ];
    for (kind, prefixes) in table {
        let server = Real::serving(kind, "f", CONTENT);
        for prefix in prefixes {
            for connections in ["1", "4"] {
                let bench = Bench::new();
                let url = server.url(&format!("{prefix}f"));
                bench.run(&[&url, "-x", connections]).expect(0).is_silent();
                bench.assert_only("f", CONTENT);
            }
        }
    }
}

#[test]
fn an_empty_file_and_a_name_with_spaces_are_files_too() {
    for kind in KINDS {
        let (empty, named) = (Content::new(72, 0), Content::new(73, 1000));
        let server = Real::serving(kind, "empty", empty);
        server.publish("ä b%.bin", named);
        let bench = Bench::new();
        bench.run(&[&server.url("/empty")]).expect(0).is_silent();
        bench.assert_only("empty", empty);
        let bench = Bench::new();
        bench
            .run(&[&server.url("/%C3%A4%20b%25.bin")])
            .expect(0)
            .is_silent();
        bench.assert_only("ä b%.bin", named);
    }
}

#[test]
fn four_connections_share_one_file() {
    // Each connection is throttled, so one that has begun can not take all the work from the others.
    let content = Content::new(74, 24 * MIB + 1);
    for kind in KINDS {
        let server = Real::serving(kind, "f", content);
        let relay = Relay::to(&server.url("/"));
        let bench = Bench::new();
        let url = relay.url(&server.url("/slow/f"));
        bench.run(&[&url, "-x", "4"]).expect(0).is_silent();
        bench.assert_only("f", content);
        let ranges = relay.requested("Range");
        assert!(ranges.len() >= 3, "{kind:?}: {ranges:?}");
        // The first request asks for all of the file, and what is on its way is lost when another
        // connection has fetched the rest: at nginx a burst of 2 MiB.
        let extra = relay.down_bytes().checked_sub(content.len());
        assert!(
            extra < Some(3 * MIB),
            "{kind:?}: {extra:?} bytes too many, {ranges:?}"
        );
    }
}

#[test]
fn a_list_of_200_files_comes_over_eight_connections() {
    let file = |number: u64| (format!("f{number}.bin"), Content::new(number, 40 * number));
    for kind in KINDS {
        let (server, bench) = (Real::start(kind), Bench::new());
        let mut list = String::new();
        for (name, content) in (0..200).map(file) {
            server.publish(&name, content);
            list += &server.url(&format!("/{name}\n"));
        }
        let path = bench.outputs().join("list.txt");
        fs::write(&path, list).unwrap();
        let ended = bench.run(&["-i", text(&path), "-j", "8", "-d", text(&bench.file("d"))]);
        ended.expect(0).is_silent();
        assert_eq!(ended.stdout.lines().count(), 200);
        for (name, content) in (0..200).map(file) {
            bench.assert_file(&format!("d/{name}"), content);
        }
        assert_eq!(fs::read_dir(bench.file("d")).unwrap().count(), 200);
        bench.assert_no_state();
    }
}

#[test]
fn a_coded_body_that_the_caller_asked_for_is_refused() {
    // Apache compresses on the fly, under an ETag and without a length of its own.
    let server = Real::serving(Kind::Apache, "f", CONTENT);
    let bench = Bench::new();
    let ended = bench.run(&[&server.url("/gzip/f"), "-H", "Accept-Encoding: gzip"]);
    ended.expect(7).says("gzip");
    bench.assert_nothing();
}

#[test]
fn a_digest_that_the_server_offers_is_checked() {
    let Real::Nginx(server) = Real::serving(Kind::Nginx, "f", CONTENT) else {
        unreachable!("it was asked for");
    };
    let bench = Bench::new();
    bench
        .run(&[&server.digest_url("f", &CONTENT)])
        .expect(0)
        .is_silent();
    bench.assert_only("f", CONTENT);
    let bench = Bench::new();
    bench
        .run(&[&server.digest_url("f", &Content::new(75, 9))])
        .expect(9);
    bench.assert_nothing();
}

#[test]
fn a_missing_file_is_an_error_of_the_server() {
    for kind in KINDS {
        let (server, bench) = (Real::start(kind), Bench::new());
        bench.run(&[&server.url("/missing")]).expect(8).says("404");
        bench.assert_nothing();
    }
}
