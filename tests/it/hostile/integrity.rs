//! Digests: what the caller expects and what the server offers, right and wrong.

use std::fs;

use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;

use super::{HELD, PATH, each, leave_part, long_content, serving};
use crate::bench::{Bench, text};

/// 5 MiB and some.
const CONTENT: Content = long_content(51);

#[test]
fn the_right_digest_is_told_from_a_wrong_one() {
    let right = format!("sha-256={}", CONTENT.sha256_hex());
    let wrong = format!("sha-256={}", long_content(52).sha256_hex());
    let cases = vec![
        ("right", (Resource::new(CONTENT), Some(&right), true)),
        (
            "right, in capitals",
            (Resource::new(CONTENT), Some(&right), true),
        ),
        ("wrong", (Resource::new(CONTENT), Some(&wrong), false)),
        (
            "right, of the server",
            (Resource::new(CONTENT).repr_digest(), None, true),
        ),
        (
            "wrong, of the server",
            (Resource::new(CONTENT).wrong_repr_digest(), None, false),
        ),
        (
            "both right",
            (Resource::new(CONTENT).repr_digest(), Some(&right), true),
        ),
        (
            "only the server's wrong",
            (
                Resource::new(CONTENT).wrong_repr_digest(),
                Some(&right),
                false,
            ),
        ),
        (
            "only the caller's wrong",
            (Resource::new(CONTENT).repr_digest(), Some(&wrong), false),
        ),
    ];
    each(cases, |(resource, checksum, is_right)| {
        let (_server, url) = serving(resource);
        for connections in ["1", "4"] {
            let bench = Bench::new();
            let mut arguments = vec![url.as_str(), "-x", connections];
            arguments.extend(checksum.iter().flat_map(|text| ["--checksum", text]));
            if is_right {
                bench.run(&arguments).expect(0).is_silent();
                bench.assert_only("a.bin", CONTENT);
            } else {
                bench.run(&arguments).expect(9).says("sha-256");
                bench.assert_nothing();
                arguments.push("--json");
                let failed = bench.run(&arguments).expect(9).json_event("failed");
                assert_eq!(failed["code"], "integrity");
                bench.assert_nothing();
            }
        }
    });
}

#[test]
fn a_digest_is_of_all_bytes_also_of_those_of_an_earlier_run() {
    let right = format!("sha-256={}", CONTENT.sha256_hex());
    let wrong = format!("sha-256={}", long_content(53).sha256_hex());
    for (checksum, code) in [(&right, 0), (&wrong, 9)] {
        let (server, url) = serving(Resource::new(CONTENT));
        let bench = Bench::new();
        // Checksums may change between two runs of one download: the second run's counts.
        leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
        bench.run(&[&url, "--checksum", checksum]).expect(code);
        // It begins with the second run's options and does not go on with the first run's.
        let requests = server.requests_for(PATH);
        assert_eq!(requests.len(), 3);
        assert_eq!(requests[2].range(), Some((HELD, None)));
        if code == 0 {
            bench.assert_only("a.bin", CONTENT);
        } else {
            bench.assert_nothing();
        }
    }
}

#[test]
fn a_file_of_an_earlier_run_is_not_taken_for_one_with_another_digest() {
    let (right, wrong) = (CONTENT.sha256_hex(), long_content(57).sha256_hex());
    // What the second run expects of the file, what becomes of a file that is there, the exit code,
    // and how often the file is fetched.
    let cases = [
        (None, "fail", 0, 1),
        (Some(&right), "fail", 3, 2),
        (Some(&right), "overwrite", 0, 2),
        (Some(&wrong), "overwrite", 9, 2),
    ];
    for (digest, if_exists, code, fetched) in cases {
        let (server, url) = serving(Resource::new(CONTENT));
        let bench = Bench::new();
        let list = bench.outputs().join("list");
        let run = |checksum: &str| {
            let other = server.url("/other");
            fs::write(&list, format!("{url}\n{checksum}{other}\n")).unwrap();
            bench.run(&["-i", text(&list), "--if-exists", if_exists])
        };
        // The other one fails, so that the run is remembered.
        run("").expect(8);
        server.serve("/other", Resource::new(Content::new(58, 10)));
        let checksum = digest.map(|digest| format!("  checksum=sha-256={digest}\n"));
        run(&checksum.unwrap_or_default()).expect(code);
        assert_eq!(server.requests_for(PATH).len(), fetched, "{if_exists}");
        bench.assert_file("a.bin", CONTENT);
        assert_eq!(bench.names(), ["a.bin", "other"]);
    }
}

#[test]
fn a_file_of_an_earlier_run_that_is_gone_is_fetched_again() {
    let (server, url) = serving(Resource::new(CONTENT));
    let bench = Bench::new();
    let other = server.url("/other");
    bench.run(&[&url, &other]).expect(8);
    fs::remove_file(bench.file("a.bin")).unwrap();
    bench.run(&[&url, &other]).expect(8);
    assert_eq!(server.requests_for(PATH).len(), 2);
    bench.assert_file("a.bin", CONTENT);
}

#[test]
fn a_wrong_digest_leaves_the_file_that_was_there() {
    let wrong = format!("sha-256={}", long_content(54).sha256_hex());
    let before = Content::new(55, 1000);
    let (_server, url) = serving(Resource::new(CONTENT));
    let bench = Bench::new();
    before.write_file(&bench.file("a.bin")).unwrap();
    bench
        .run(&[&url, "--if-exists", "overwrite", "--checksum", &wrong])
        .expect(9);
    bench.assert_only("a.bin", before);
}

#[test]
fn a_wrong_digest_fails_again_with_the_next_run_and_not_before_asking() {
    let wrong = format!("sha-256={}", long_content(56).sha256_hex());
    let (server, url) = serving(Resource::new(CONTENT));
    let bench = Bench::new();
    bench.run(&[&url, "--checksum", &wrong]).expect(9);
    let right = format!("sha-256={}", CONTENT.sha256_hex());
    bench.run(&[&url, "--checksum", &right]).expect(0);
    assert_eq!(
        server.bytes_served(PATH),
        2 * CONTENT.len(),
        "nothing of the first is used"
    );
    bench.assert_only("a.bin", CONTENT);
}
