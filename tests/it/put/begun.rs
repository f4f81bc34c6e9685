//! `longhaul put --upload-url`: the rest of an upload that something else has begun.

use std::fs;

use longhaul_support::client::{Call, resolve};
use longhaul_support::content::Content;
use longhaul_support::uploads::{Behaviour, UploadServer};

use crate::bench::{Bench, MIB};

const CONTENT: Content = Content::new(421, 5 * MIB + 3);

/// What the other one has sent.
const BEGUN: u64 = 2 * MIB;

/// Creates an upload of tus for a file of this length, sends the beginning of it, and returns its URL.
fn begin(server: &UploadServer, len_bytes: u64) -> String {
    let target = server.url("/files");
    let tus = |method: &str, url: &str| Call::new(method, url).field("Tus-Resumable", "1.0.0");
    let created = tus("POST", &target).field("Upload-Length", len_bytes);
    let created = created.send(b"").unwrap();
    let url = resolve(&target, created.head.field("location").unwrap());
    let first = tus("PATCH", &url)
        .field("Upload-Offset", 0)
        .field("Content-Type", "application/offset+octet-stream");
    let first = first.send(&CONTENT.bytes(0..BEGUN)).unwrap();
    assert_eq!(first.head.status, 204);
    url
}

#[test]
fn the_rest_goes_to_the_upload_and_its_url_is_not_shown() {
    let (bench, server) = (Bench::new(), UploadServer::start(Behaviour::tus()));
    CONTENT.write_file(&bench.file("f")).unwrap();
    let own = begin(&server, CONTENT.len());
    let file = bench.outputs().join("own");
    fs::write(&file, &own).unwrap();
    let (target, file) = (server.url("/files"), format!("@{}", file.display()));
    let line = ["f", &target, "--protocol", "tus", "--upload-url", &file];
    let ended = bench.run_put(&[line.as_slice(), &["--json"]].concat());
    assert_eq!(ended.expect(0).json_event("resumed")["held_bytes"], BEGUN);
    let upload = server.only_upload();
    upload.verify(&CONTENT).unwrap();
    assert!(!ended.stdout.contains(&upload.name) && !ended.stderr.contains(&upload.name));
    assert_eq!(server.bytes_received(), CONTENT.len());
    bench.assert_no_state();

    // It is whole now: asking is all that is left.
    bench.run_put(&line).expect(0);
    assert_eq!(server.bytes_received(), CONTENT.len());
    bench.assert_no_state();
}

#[test]
fn an_upload_of_another_file_is_left_as_it_is() {
    let (bench, server) = (Bench::new(), UploadServer::start(Behaviour::tus()));
    CONTENT.write_file(&bench.file("f")).unwrap();
    let own = begin(&server, CONTENT.len() + 1);
    let target = server.url("/files");
    let line = ["f", &target, "--protocol", "tus", "--upload-url", &own];
    bench.run_put(&line).expect(9).says("another length");
    let upload = server.only_upload();
    assert_eq!((upload.offset_bytes, upload.gone), (BEGUN, None));
    bench.assert_no_state();
}

#[test]
fn an_upload_that_is_gone_may_be_done_and_is_not_sent_anew_unless_that_is_allowed() {
    let (bench, server) = (Bench::new(), UploadServer::start(Behaviour::tus()));
    CONTENT.write_file(&bench.file("f")).unwrap();
    let own = begin(&server, CONTENT.len());
    server.expire();
    let target = server.url("/files");
    let line = ["f", &target, "--protocol", "tus", "--upload-url", &own];
    bench.run_put(&line).expect(4);
    assert_eq!(server.uploads().len(), 1);
    let allowed = [line.as_slice(), &["--retry-non-idempotent"]].concat();
    bench.run_put(&allowed).expect(0);
    let uploads = server.uploads();
    assert_eq!(uploads.len(), 2);
    uploads[1].verify(&CONTENT).unwrap();
    bench.assert_no_state();
}
