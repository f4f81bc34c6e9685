//! Servers that take uploads, driven by raw requests: what each does with a whole upload, a wrong
//! offset, a cut connection, a kill, its limits, and tus-js-client on the other side.

use std::fs;
use std::time::Duration;

use longhaul_support::client::{Answer, Call, resolve};
use longhaul_support::content::Content;
use longhaul_support::peers::{KINDS, Kind, Peer, Settings, TusJsClient};

const CONTENT: Content = Content::new(51, 1_000_000);

/// How often a test looks whether an upload has expired: far more often than in one second.
const LOOKS_MAX: u32 = 1_000_000;

/// The kinds that speak tus.
fn tus_kinds() -> impl Iterator<Item = Kind> {
    KINDS.into_iter().filter(|kind| kind.is_tus())
}

fn start(kind: Kind) -> Peer {
    start_with(kind, Settings::default())
}

fn start_with(kind: Kind, settings: Settings) -> Peer {
    Peer::start_with(kind, settings).unwrap_or_else(|error| panic!("{kind:?}: {error}"))
}

/// A request of tus without a body.
fn tus(method: &str, url: &str) -> Call {
    Call::new(method, url).field("Tus-Resumable", "1.0.0")
}

fn answer(call: Call, body: &[u8]) -> Answer {
    let described = format!("{call:?}");
    call.send(body)
        .unwrap_or_else(|error| panic!("{described}: {error}"))
}

/// Creates an upload of `len_bytes` bytes and returns its absolute URL.
fn create(peer: &Peer, len_bytes: u64) -> String {
    let target = peer.target("f");
    let created = answer(tus("POST", &target).field("Upload-Length", len_bytes), b"");
    assert_eq!(created.head.status, 201, "{:?}: {created:?}", peer.kind());
    let location = created.head.field("location").expect("a Location");
    resolve(&target, location)
}

fn append_call(url: &str, offset: u64) -> Call {
    tus("PATCH", url)
        .field("Upload-Offset", offset)
        .field("Content-Type", "application/offset+octet-stream")
}

/// Appends the content's bytes from `offset` to `end`.
fn append(url: &str, offset: u64, end: u64) -> Answer {
    answer(append_call(url, offset), &CONTENT.bytes(offset..end))
}

/// Appends bytes up to `end` in a request that promised all the rest, and ends the connection.
fn append_and_cut(url: &str, offset: u64, end: u64) {
    let rest = CONTENT.len() - offset;
    let mut talk = append_call(url, offset)
        .length(rest)
        .open()
        .expect("it connects");
    talk.write(&CONTENT.bytes(offset..end)).expect("it is sent");
    talk.cut().expect("the server ends the connection");
}

/// What the server has by its own word.
fn offset(url: &str) -> Option<u64> {
    let status = answer(tus("HEAD", url), b"");
    assert!(matches!(status.head.status, 200 | 204), "{url}: {status:?}");
    assert_eq!(status.head.field("cache-control"), Some("no-store"));
    status.head.number("upload-offset")
}

#[track_caller]
fn assert_stored(peer: &Peer, url: &str) {
    let digest = peer.sha256_hex(url).expect("the file is there");
    assert_eq!(digest, CONTENT.sha256_hex(), "{:?}", peer.kind());
}

#[test]
fn a_tus_server_takes_an_upload_that_is_cut_and_resumed() {
    for kind in tus_kinds() {
        let peer = start(kind);
        let url = create(&peer, CONTENT.len());
        let appended = append(&url, 0, 400_000);
        assert_eq!(appended.head.status, 204, "{kind:?}: {appended:?}");
        assert_eq!(appended.head.number("upload-offset"), Some(400_000));
        assert_eq!(offset(&url), Some(400_000), "{kind:?}");

        let conflict = append(&url, 5, 100).head;
        let told = (kind == Kind::Tussi).then_some(400_000);
        assert_eq!(
            (conflict.status, conflict.number("upload-offset")),
            (409, told),
            "{kind:?}"
        );

        append_and_cut(&url, 400_000, 600_000);
        let kept = if kind.keeps_cut_appends() {
            600_000
        } else {
            400_000
        };
        assert_eq!(offset(&url), Some(kept), "{kind:?}");
        let finished = append(&url, kept, CONTENT.len());
        assert_eq!(finished.head.number("upload-offset"), Some(1_000_000));
        assert_stored(&peer, &url);
    }
}

#[test]
fn a_killed_tus_server_comes_back_with_what_it_acknowledged() {
    for kind in tus_kinds() {
        let mut peer = start(kind);
        let url = create(&peer, CONTENT.len());
        assert_eq!(append(&url, 0, 300_000).head.status, 204, "{kind:?}");
        // One request is under way while it dies.
        let rest = CONTENT.len() - 300_000;
        let mut talk = append_call(&url, 300_000)
            .length(rest)
            .open()
            .expect("it connects");
        talk.write(&CONTENT.bytes(300_000..700_000))
            .expect("it is sent");
        peer.kill().expect("it is killed");
        assert!(talk.answer().is_err(), "{kind:?} has answered");
        assert!(tus("HEAD", &url).send(b"").is_err(), "{kind:?} answers");

        peer.restart().unwrap_or_else(|error| panic!("{error}"));
        let kept = offset(&url).expect("an offset");
        match kind {
            Kind::TusServer => assert!((300_000..=700_000).contains(&kept), "{kept}"),
            // One reads the whole request before it writes, the other drops what was cut.
            Kind::ResumableUpload | Kind::Tussi => assert_eq!(kept, 300_000, "{kind:?}"),
            other => panic!("{other:?} speaks no tus"),
        }
        assert_eq!(append(&url, kept, CONTENT.len()).head.status, 204);
        assert_stored(&peer, &url);
    }
}

#[test]
fn what_a_tus_server_offers_is_what_its_documentation_says() {
    let all = "checksum,checksum-trailer,concatenation,concatenation-unfinished,creation,\
               creation-defer-length,creation-with-upload,expiration,termination";
    for (kind, extensions) in [
        (
            Kind::TusServer,
            "creation,creation-defer-length,creation-with-upload,expiration,termination",
        ),
        (Kind::ResumableUpload, all),
        (Kind::Tussi, "creation"),
    ] {
        let peer = start(kind);
        let options = answer(tus("OPTIONS", &peer.target("f")), b"").head;
        let offered = options.field("tus-extension").expect("extensions");
        let mut offered: Vec<_> = offered.split(',').map(str::trim).collect();
        offered.sort_unstable();
        assert_eq!(offered.join(","), extensions, "{kind:?}");
        assert_eq!(options.field("tus-version"), Some("1.0.0"), "{kind:?}");

        let without_version = answer(
            Call::new("POST", &peer.target("f")).field("Upload-Length", 1),
            b"",
        );
        assert_eq!(without_version.head.status, 412, "{kind:?}");
    }
}

#[test]
fn an_upload_can_be_terminated_or_forgotten() {
    for kind in tus_kinds() {
        let peer = start(kind);
        let url = create(&peer, CONTENT.len());
        let terminated = answer(tus("DELETE", &url), b"").head.status;
        if kind == Kind::Tussi {
            assert_eq!(terminated, 405);
            append(&url, 0, CONTENT.len());
        } else {
            assert_eq!(terminated, 204, "{kind:?}");
        }
        let after = answer(tus("HEAD", &url), b"").head.status;
        assert_eq!(after, 404, "{kind:?}");
    }
}

#[test]
fn a_length_may_come_later_and_an_empty_upload_is_complete_at_once() {
    for kind in [Kind::TusServer, Kind::ResumableUpload] {
        let peer = start(kind);
        let target = peer.target("f");
        let created = answer(tus("POST", &target).field("Upload-Defer-Length", 1), b"");
        let url = resolve(&target, created.head.field("location").expect("a Location"));
        let unknown = answer(append_call(&url, 0).chunked(), &CONTENT.bytes(0..3000));
        if kind == Kind::TusServer {
            assert_eq!(unknown.head.number("upload-offset"), Some(3000));
            let told = append_call(&url, 3000).field("Upload-Length", 3000);
            assert_eq!(answer(told, b"").head.status, 204);
        } else {
            // It wants the length with the first byte.
            assert_eq!(unknown.head.status, 400);
            let told = append_call(&url, 0).field("Upload-Length", 3000);
            let told = answer(told, &CONTENT.bytes(0..3000));
            assert_eq!(told.head.status, 204);
        }
        let status = answer(tus("HEAD", &url), b"").head;
        assert_eq!(status.number("upload-length"), Some(3000), "{kind:?}");

        let empty = create(&peer, 0);
        let status = answer(tus("HEAD", &empty), b"").head;
        let lengths = ["upload-length", "upload-offset"].map(|name| status.number(name));
        assert_eq!(lengths, [Some(0), Some(0)], "{kind:?}");
    }
}

#[test]
fn an_upload_expires_when_the_server_said_it_would() {
    for kind in [Kind::TusServer, Kind::ResumableUpload] {
        let settings = Settings {
            expiry: Some(Duration::from_secs(1)),
            ..Settings::default()
        };
        let peer = start_with(kind, settings);
        let created = answer(
            tus("POST", &peer.target("f")).field("Upload-Length", 10),
            b"",
        );
        assert!(created.head.field("upload-expires").is_some(), "{kind:?}");
        let url = resolve(
            &peer.target("f"),
            created.head.field("location").expect("a Location"),
        );
        // Only the server's clock brings the end about; each look is a request and its answer.
        let mut talk = tus("HEAD", &url).open().expect("it connects");
        let mut is_gone = false;
        for _ in 0..LOOKS_MAX {
            let answer = talk.answer().expect("an answer");
            is_gone = answer.head.status == 410;
            if is_gone {
                break;
            }
            talk.ask(&tus("HEAD", &url))
                .expect("the connection is kept");
        }
        assert!(is_gone, "{kind:?} has kept it");
    }
}

#[test]
fn an_upload_over_the_limit_is_refused() {
    let limited = Settings {
        size_max_bytes: Some(1000),
        ..Settings::default()
    };
    for kind in KINDS {
        if kind == Kind::Tussi {
            assert!(Peer::start_with(kind, limited).is_err(), "it has no limit");
            continue;
        }
        let peer = start_with(kind, limited);
        let target = peer.target("f");
        let put = |bytes: u64| match kind.is_tus() {
            true => answer(tus("POST", &target).field("Upload-Length", bytes), b""),
            false => answer(Call::new("PUT", &target), &CONTENT.bytes(0..bytes)),
        };
        assert_eq!(put(1000).head.status, 201, "{kind:?}");
        assert_eq!(put(1001).head.status, 413, "{kind:?}");
    }
}

#[test]
fn a_checksum_is_checked_and_a_locked_upload_says_so() {
    let settings = Settings {
        lock_wait: Some(Duration::ZERO),
        ..Settings::default()
    };
    let peer = start_with(Kind::ResumableUpload, settings);
    let url = create(&peer, CONTENT.len());
    let checksummed = |checksum: &str| append_call(&url, 0).field("Upload-Checksum", checksum);
    // SHA-1 of `hello`, and of nothing.
    let (right, wrong) = (
        "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=",
        "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    );
    assert_eq!(answer(checksummed(wrong), b"hello").head.status, 460);
    assert_eq!(
        answer(checksummed("crc999 AAAA"), b"hello").head.status,
        400
    );
    assert_eq!(offset(&url), Some(0));
    assert_eq!(answer(checksummed(right), b"hello").head.status, 204);
    assert_eq!(offset(&url), Some(5));
}

#[test]
fn a_redirect_keeps_method_and_body() {
    let peer = start(Kind::Tussi);
    let target = peer.target("f");
    let without_slash = target.trim_end_matches('/');
    let answered = answer(tus("POST", without_slash).field("Upload-Length", 1), b"");
    assert_eq!(answered.head.status, 307);
    let location = answered.head.field("location").expect("a Location");
    assert_eq!(resolve(without_slash, location), target);
}

#[test]
fn a_put_is_stored_whole_or_not_at_all() {
    for kind in [Kind::ApacheDav, Kind::NginxDav] {
        let mut peer = start(kind);
        let (whole, cut) = (peer.target("whole"), peer.target("cut"));
        let bytes = CONTENT.bytes(0..CONTENT.len());
        assert_eq!(answer(Call::new("PUT", &whole), &bytes).head.status, 201);
        assert_stored(&peer, &whole);

        let mut talk = Call::new("PUT", &cut)
            .length(CONTENT.len())
            .open()
            .expect("it connects");
        talk.write(&bytes[..600_000]).expect("it is sent");
        talk.cut().expect("the server ends the connection");
        assert!(!peer.file(&cut).exists(), "{kind:?}");

        peer.restart().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer(Call::new("PUT", &whole), &bytes).head.status, 204);
    }
}

#[test]
fn apache_continues_a_put_where_the_range_says_and_nginx_refuses() {
    for (kind, status) in [(Kind::ApacheDav, 204), (Kind::NginxDav, 501)] {
        let peer = start(kind);
        let target = peer.target("f");
        let first = answer(Call::new("PUT", &target), &CONTENT.bytes(0..400_000));
        assert_eq!(first.head.status, 201, "{kind:?}");
        let range = format!("bytes 400000-999999/{}", CONTENT.len());
        let rest = Call::new("PUT", &target).field("Content-Range", range);
        let rest = answer(rest, &CONTENT.bytes(400_000..CONTENT.len()));
        assert_eq!(rest.head.status, status, "{kind:?}");
        let is_whole = peer.sha256_hex(&target).expect("the file is there") == CONTENT.sha256_hex();
        assert_eq!(is_whole, kind == Kind::ApacheDav);
    }
}

#[test]
fn tus_js_client_begins_what_raw_requests_finish_and_the_reverse() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("f");
    CONTENT.write_file(&file).expect("it is written");
    let client = TusJsClient::new()
        .unwrap_or_else(|error| panic!("{error}"))
        .chunk_bytes(100_000);
    for kind in tus_kinds() {
        let peer = start(kind);
        let begun = client
            .begin(&peer.target("f"), &file, 450_000)
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(begun.offset_bytes, 500_000, "{kind:?}");
        assert_eq!(offset(&begun.url), Some(500_000), "{kind:?}");
        append(&begun.url, 500_000, CONTENT.len());
        assert_stored(&peer, &begun.url);

        let url = create(&peer, CONTENT.len());
        append(&url, 0, 123_456);
        let finished = client
            .finish(&url, &file)
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(finished.offset_bytes, CONTENT.len(), "{kind:?}");
        assert_stored(&peer, &url);
    }
}

#[test]
fn a_peer_that_is_dropped_takes_its_files_along() {
    let peer = start(Kind::TusServer);
    let url = create(&peer, 0);
    let file = peer.file(&url);
    assert!(fs::exists(&file).expect("it can be looked for"));
    drop(peer);
    assert!(!fs::exists(&file).expect("it can be looked for"));
}
