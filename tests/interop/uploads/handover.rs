//! Uploads that change hands between the command and tus-js-client.

use std::fs;
use std::path::PathBuf;

use longhaul_support::client::resolve;
use longhaul_support::content::Content;
use longhaul_support::peers::{Kind, Peer, TusJsClient};
use longhaul_support::uploads::{Behaviour, UploadServer};

use super::site::{NAME, assert_stored_at};
use crate::bench::{Bench, MIB};
use crate::relay::Relay;

const CONTENT: Content = Content::new(501, 24 * MIB + 7);

/// What is there when an upload changes hands, at least.
const HALF: u64 = CONTENT.len() / 2;

/// What a request costs beside its bytes, and what several do.
const HEADS_MAX: u64 = 64 * 1024;

/// What of a body may be on its way before its refusal is seen: what sockets hold.
const LOST_MAX: u64 = 8 * MIB;

const TUS_KINDS: [Kind; 3] = [Kind::TusServer, Kind::ResumableUpload, Kind::Tussi];

fn start(kind: Kind) -> Peer {
    Peer::start(kind).unwrap_or_else(|error| panic!("{kind:?}: {error}"))
}

fn other_client() -> TusJsClient {
    TusJsClient::new().unwrap_or_else(|error| panic!("{error}"))
}

/// A place to work in, with the file.
fn bench() -> (Bench, PathBuf) {
    let bench = Bench::new();
    let file = bench.file(NAME);
    CONTENT.write_file(&file).unwrap();
    (bench, file)
}

/// Begins an upload with the command, stops it by a signal when half of it went through the relay, and
/// returns its URL.
fn begin(bench: &Bench, relay: &Relay, arguments: &[&str]) -> String {
    relay.hold_at(HALF);
    let process = bench.start(bench.put(arguments));
    assert!(relay.wait_until_held(), "{}", process.stderr().unwrap());
    process.signal("INT").unwrap();
    bench.finish(process).expect(130);
    relay.go_on();
    relay.wait_until_idle();
    // A 104 and the answer to the whole may both tell it.
    let mut places = relay.answered("location");
    places.dedup();
    assert_eq!(places.len(), 1, "{places:?}");
    resolve(arguments[1], &places[0])
}

#[test]
fn tus_js_client_finishes_what_we_began_and_we_see_that_it_is_done() {
    for kind in TUS_KINDS {
        let (peer, (bench, file)) = (start(kind), bench());
        let relay = Relay::to(&peer.target(NAME));
        let target = relay.url(&peer.target(NAME));
        let arguments = [NAME, &target, "--protocol", "tus"];
        let url = begin(&bench, &relay, &arguments);
        let finished = other_client().finish(&url, &file);
        let finished = finished.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(finished.offset_bytes, CONTENT.len(), "{kind:?}");
        assert_stored_at(&peer, &url, CONTENT);
        let sent = relay.up_bytes();
        bench.run_put(&arguments).expect(0);
        // One forgets what is finished. The last byte of it was not ours, so the file is sent anew.
        let is_sent_anew = relay.up_bytes() - sent > HEADS_MAX;
        assert_eq!(is_sent_anew, kind == Kind::Tussi, "{kind:?}");
        bench.assert_no_state();
    }
}

#[test]
fn we_finish_what_tus_js_client_began_and_send_the_rest_alone() {
    for kind in TUS_KINDS {
        let (peer, (bench, file)) = (start(kind), bench());
        let begun = other_client().begin(&peer.target(NAME), &file, HALF);
        let begun = begun.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert!(begun.offset_bytes >= HALF, "{kind:?}: {begun:?}");
        let relay = Relay::to(&peer.target(NAME));
        let own = bench.outputs().join("own");
        fs::write(&own, relay.url(&begun.url)).unwrap();
        let (own, target) = (format!("@{}", own.display()), relay.url(&peer.target(NAME)));
        let arguments = [NAME, &target, "--protocol", "tus", "--upload-url", &own];
        bench.run_put(&arguments).expect(0);
        assert_stored_at(&peer, &begun.url, CONTENT);
        let rest = CONTENT.len() - begun.offset_bytes;
        let sent = relay.up_bytes();
        // One takes no more than 10 MiB at once, and says so when some of it is on its way.
        let lost = if kind == Kind::Tussi { LOST_MAX } else { 0 };
        assert!(
            (rest..rest + lost + HEADS_MAX).contains(&sent),
            "{kind:?}: {sent} for {rest}"
        );
        bench.assert_no_state();
    }
}

#[test]
fn uploads_of_the_ietf_draft_change_hands_both_ways() {
    for interop in [5, 6] {
        let client = other_client().ietf(interop);
        let protocol = format!("ietf={interop}");
        let (server, (bench, file)) = (UploadServer::start(Behaviour::ietf(interop)), bench());
        let target = server.url("/files");
        let begun = client.begin(&target, &file, HALF);
        let begun = begun.unwrap_or_else(|error| panic!("{interop}: {error}"));
        let before = server.bytes_received();
        let line = [
            NAME,
            &target,
            "--protocol",
            &protocol,
            "--upload-url",
            &begun.url,
        ];
        bench.run_put(&line).expect(0);
        server.only_upload().verify(&CONTENT).unwrap();
        assert_eq!(
            server.bytes_received() - before,
            CONTENT.len() - begun.offset_bytes
        );

        let server = UploadServer::start(Behaviour::ietf(interop));
        let target = server.url("/files");
        let relay = Relay::to(&target);
        let through = relay.url(&target);
        let url = begin(&bench, &relay, &[NAME, &through, "--protocol", &protocol]);
        let finished = client.finish(&url, &file);
        let finished = finished.unwrap_or_else(|error| panic!("{interop}: {error}"));
        assert_eq!(finished.offset_bytes, CONTENT.len());
        server.only_upload().verify(&CONTENT).unwrap();
    }
}
