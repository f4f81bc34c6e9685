//! Going on after an interruption: kills, cuts, and servers that go away and come back.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, SystemTime};

use longhaul_support::content::Content;

use crate::bench::{Bench, MIB, text};
use crate::relay::Relay;
use crate::servers::{KINDS, Kind, Real};

const CONTENT: Content = Content::new(91, 16 * MIB + 5);

/// When the slow prefixes have sent this much, two seconds are left of the file.
const HALF: u64 = CONTENT.len() / 2;

/// What may be fetched twice over one connection: a recording interval, and what a killed process
/// had not yet read from its socket. The slow prefix of nginx sends 2 MiB at once and then waits, so
/// a kill that follows certain bytes finds nearly all of such a burst unread.
const TWICE_MAX: u64 = 3 * MIB;

/// Runs a download and kills it when half of `content` has gone through the relay.
fn kill_half_way(bench: &Bench, relay: &Relay, content: Content, arguments: &[&str]) {
    let mut process = bench.start(bench.get(arguments));
    relay.wait_for(content.len() / 2);
    let status = process.kill().unwrap();
    assert_eq!(status.signal(), Some(9), "{}", process.stderr().unwrap());
    assert!(relay.down_bytes() < content.len(), "the kill came too late");
}

#[track_caller]
fn assert_fetched_once(relay: &Relay, content: Content, twice_max: u64) {
    let twice = relay.down_bytes().checked_sub(content.len()).unwrap();
    assert!(
        twice < twice_max,
        "{twice} bytes came twice: {:?}",
        relay.requested("Range")
    );
}

fn a_killed_download_goes_on(kind: Kind, content: Content, connections: u64) {
    let server = Real::serving(kind, "f", content);
    let relay = Relay::to(&server.url("/"));
    let url = relay.url(&server.url("/slow/f"));
    let bench = Bench::new();
    let arguments = [&url, "-x", &connections.to_string(), "--json"];
    kill_half_way(&bench, &relay, content, &arguments);
    let ended = bench.run(&arguments);
    let resumed = ended.expect(0).json_event("resumed");
    let twice_max = connections * TWICE_MAX;
    let held = resumed["held_bytes"].as_u64();
    assert!(
        held >= Some(content.len() / 2 - twice_max),
        "{kind:?}: {resumed}"
    );
    bench.assert_only("f", content);
    assert_fetched_once(&relay, content, twice_max);
}

#[test]
fn a_killed_download_from_nginx_goes_on() {
    a_killed_download_goes_on(Kind::Nginx, CONTENT, 1);
}

#[test]
fn a_killed_download_from_apache_goes_on() {
    a_killed_download_goes_on(Kind::Apache, CONTENT, 1);
}

#[test]
fn a_killed_download_over_four_connections_goes_on() {
    for kind in KINDS {
        a_killed_download_goes_on(kind, Content::new(93, 40 * MIB + 1), 4);
    }
}

#[test]
fn a_killed_download_over_tls_goes_on() {
    for kind in KINDS {
        let server = Real::serving(kind, "f", CONTENT);
        let relay = Relay::to(&server.tls_url("/"));
        let (url, authority) = (relay.url(&server.tls_url("/slow/f")), server.authority());
        let bench = Bench::new();
        let arguments = [url.as_str(), "--cacert", text(&authority)];
        kill_half_way(&bench, &relay, CONTENT, &arguments);
        bench.run(&arguments).expect(0).is_silent();
        bench.assert_only("f", CONTENT);
        assert_fetched_once(&relay, CONTENT, TWICE_MAX);
    }
}

#[test]
fn a_file_that_changed_while_the_command_was_dead_begins_again() {
    // One length, two contents: only the validators tell them apart.
    let newer = Content::new(92, CONTENT.len());
    for kind in KINDS {
        let server = Real::serving(kind, "f", CONTENT);
        let relay = Relay::to(&server.url("/"));
        let url = relay.url(&server.url("/slow/f"));
        let bench = Bench::new();
        kill_half_way(&bench, &relay, CONTENT, &[&url]);
        server.publish("f", newer);
        bench.run(&[&url]).expect(0);
        bench.assert_only("f", newer);
        assert_eq!(relay.requested("If-Range").len(), 1, "{kind:?}");
    }
}

#[test]
fn a_server_that_dies_and_comes_back_is_waited_for() {
    for kind in KINDS {
        let server = Real::serving(kind, "f", CONTENT);
        let relay = Relay::to(&server.url("/"));
        let url = relay.url(&server.url("/slow/f"));
        let bench = Bench::new();
        let process = bench.start(bench.get(&[&url, "--json"]));
        relay.wait_for(HALF);
        drop(server);
        let server = Real::serving(kind, "f", CONTENT);
        relay.redirect_to(&server.url("/"));
        let ended = bench.finish(process);
        ended.expect(0);
        let events = ended.json();
        assert!(
            events.iter().any(|event| event["event"] == "retrying"),
            "{kind:?}: {ended:#?}"
        );
        bench.assert_only("f", CONTENT);
        assert_fetched_once(&relay, CONTENT, TWICE_MAX);
    }
}

#[test]
fn a_cut_download_goes_on_with_a_date_alone() {
    // nginx has a prefix without ETag; from Apache the relay takes it. What is left is a date of
    // last year, which is strong, and each server's own reading of `If-Range` with a date.
    for (kind, path) in [(Kind::Nginx, "/no-etag/f"), (Kind::Apache, "/f")] {
        let server = Real::serving(kind, "f", CONTENT);
        let relay = Relay::to(&server.url("/"));
        relay.hide_etags();
        relay.cut_at(HALF);
        let bench = Bench::new();
        bench.run(&[&relay.url(&server.url(path))]).expect(0);
        bench.assert_only("f", CONTENT);
        let conditions = relay.requested("If-Range");
        assert!(
            conditions.len() == 1 && conditions[0].ends_with("GMT"),
            "{kind:?}: {conditions:?}"
        );
        assert_fetched_once(&relay, CONTENT, TWICE_MAX);
    }
}

#[test]
fn a_cut_download_of_a_file_that_changes_right_now_begins_again() {
    // A file from the future is one that may change within the second: Apache gives it a weak ETag,
    // and the date that it may be used with forbids nothing less.
    let server = Real::serving(Kind::Apache, "f", CONTENT);
    server.date("f", SystemTime::now() + Duration::from_secs(3600));
    let relay = Relay::to(&server.url("/"));
    relay.cut_at(HALF);
    let bench = Bench::new();
    bench.run(&[&relay.url(&server.url("/f"))]).expect(0);
    bench.assert_only("f", CONTENT);
    assert_eq!(relay.requested("If-Range"), [""; 0]);
    assert!(relay.down_bytes() >= HALF + CONTENT.len());
}

#[test]
fn a_cut_download_without_ranges_begins_again_with_the_very_answer() {
    let server = Real::serving(Kind::Nginx, "f", CONTENT);
    let relay = Relay::to(&server.url("/"));
    relay.cut_at(HALF);
    let bench = Bench::new();
    bench
        .run(&[&relay.url(&server.url("/no-ranges/f"))])
        .expect(0);
    bench.assert_only("f", CONTENT);
    let down = relay.down_bytes();
    assert!(
        (HALF + CONTENT.len()..HALF + CONTENT.len() + MIB).contains(&down),
        "{down}"
    );
}
