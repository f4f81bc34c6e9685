//! What servers say to uploads that they do not go on with as they are: gone, locked, damaged.

use std::time::Duration;

use longhaul_support::client::{Call, resolve};
use longhaul_support::content::Content;
use longhaul_support::peers::{Kind, Settings};
use longhaul_support::process::Process;
use longhaul_support::uploads::{Behaviour, Concurrency};

use super::site::{NAME, Site};
use crate::bench::{Bench, MIB};
use crate::relay::Relay;

const CONTENT: Content = Content::new(503, 24 * MIB + 7);

/// Far more than a loaded machine needs to create an upload and begin to send.
const EXPIRY: Duration = Duration::from_secs(2);

/// How often a test looks whether an upload has expired: far more often than in two seconds.
const LOOKS_MAX: u32 = 1_000_000;

fn bench() -> Bench {
    let bench = Bench::new();
    CONTENT.write_file(&bench.file(NAME)).unwrap();
    bench
}

/// A request of tus without a body.
fn tus(method: &str, url: &str) -> Call {
    Call::new(method, url).field("Tus-Resumable", "1.0.0")
}

/// Blocks until all uploads that the server has now have expired: until one that is made now has. Only
/// the server's clock brings that about.
fn wait_until_expired(target: &str) {
    let made = tus("POST", target).field("Upload-Length", 1).send(b"");
    let url = resolve(target, made.unwrap().head.field("location").unwrap());
    let mut talk = tus("HEAD", &url).open().unwrap();
    for _ in 0..LOOKS_MAX {
        if talk.answer().unwrap().head.status == 410 {
            return;
        }
        talk.ask(&tus("HEAD", &url)).unwrap();
    }
    panic!("it is there still");
}

/// A server whose uploads expire soon, and one of which half has gone and that has expired.
fn expired(bench: &Bench) -> (Site, Relay, Process) {
    let settings = Settings {
        expiry: Some(EXPIRY),
        ..Settings::default()
    };
    let site = Site::real_with(Kind::TusServer, settings);
    let relay = Relay::to(&site.target());
    relay.hold_at(CONTENT.len() / 2);
    let process = bench.start(bench.put(&[NAME, &relay.url(&site.target())]));
    assert!(relay.wait_until_held(), "{}", process.stderr().unwrap());
    wait_until_expired(&site.target());
    (site, relay, process)
}

/// Checks that the server has the file in another place than the first.
fn assert_begun_anew(site: &Site, relay: &Relay) {
    let places = relay.answered("location");
    assert!(places.len() > 1 && places[1] != places[0], "{places:?}");
    assert!(relay.answers(410) > 0);
    site.assert_stored(relay, CONTENT);
}

#[test]
fn an_upload_that_has_expired_begins_anew() {
    let bench = bench();
    let (site, relay, process) = expired(&bench);
    relay.cut();
    bench.finish(process).expect(0);
    assert_begun_anew(&site, &relay);
    bench.assert_no_state();
}

#[test]
fn an_upload_that_has_expired_while_the_command_was_dead_may_be_done_and_is_asked_for_again() {
    // Nobody lived to see how much of the last piece went, and this server says of uploads that are
    // done that they have expired, too.
    let bench = bench();
    let (site, relay, mut process) = expired(&bench);
    process.kill().unwrap();
    relay.cut();
    let url = relay.url(&site.target());
    let ended = bench.run_put(&[NAME, &url]);
    ended
        .expect(4)
        .says("run the same command again to send the file again");
    bench.run_put(&[NAME, &url]).expect(0);
    assert_begun_anew(&site, &relay);
    bench.assert_no_state();
}

#[test]
fn a_piece_that_was_damaged_on_its_way_is_found_by_its_checksum_and_sent_again() {
    let site = Site::real(Kind::ResumableUpload);
    let (bench, relay) = (bench(), Relay::to(&site.target()));
    relay.damage_at(CONTENT.len() / 2);
    let url = relay.url(&site.target());
    bench
        .run_put(&[NAME, &url, "--checksum", "sha-1"])
        .expect(0);
    assert_eq!(relay.answers(460), 1);
    site.assert_stored(&relay, CONTENT);
    bench.assert_no_state();
}

#[test]
fn an_upload_that_another_connection_has_locked_is_waited_for() {
    let behaviour = Behaviour::tus().concurrency(Concurrency::Locked);
    let site = Site::scripted(behaviour);
    let (bench, relay) = (bench(), Relay::to(&site.target()));
    let url = relay.url(&site.target());
    relay.hold_at(CONTENT.len() / 2);
    let mut process = bench.start(bench.put(&[NAME, &url, "--protocol", "tus"]));
    assert!(relay.wait_until_held(), "{}", process.stderr().unwrap());
    // The dead command's connection is open as far as the server can see, and holds the upload.
    process.kill().unwrap();
    let other = Relay::to(&site.target());
    let places = relay.answered("location");
    let own = other.url(&resolve(&site.target(), &places[0]));
    let target = other.url(&site.target());
    let line = [NAME, &target, "--protocol", "tus", "--upload-url", &own];
    let process = bench.start(bench.put(&line));
    other.wait_for_status(423);
    relay.cut();
    bench.finish(process).expect(0);
    site.assert_stored(&other, CONTENT);
}
