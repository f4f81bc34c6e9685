//! The scripted server for uploads, seen by others: a client that people use, and real proxies,
//! whose ways with a 104 it imitates.

use longhaul_support::client::{Call, Talk};
use longhaul_support::content::Content;
use longhaul_support::peers::{Proxy, ProxyKind, TusJsClient};
use longhaul_support::uploads::{Behaviour, Interim, UploadServer};

const CONTENT: Content = Content::new(53, 1_000_000);

/// An optimistic create of version 6, whose head is sent.
fn optimistic(target: &str) -> Talk {
    Call::new("POST", target)
        .field("Upload-Draft-Interop-Version", 6)
        .field("Upload-Complete", "?1")
        .length(CONTENT.len())
        .open()
        .expect("it connects")
}

fn proxy(kind: ProxyKind, server: &UploadServer) -> Proxy {
    Proxy::start(kind, &server.url("/")).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn assert_stored(server: &UploadServer) {
    let upload = server.only_upload();
    assert!(upload.is_complete, "{upload:#?}");
    assert_eq!(upload.verify(&CONTENT), Ok(()));
}

#[test]
fn tus_js_client_uploads_in_every_protocol_it_knows() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("f");
    CONTENT.write_file(&file).expect("it is written");
    let client = || {
        let client = TusJsClient::new().unwrap_or_else(|error| panic!("{error}"));
        client.chunk_bytes(300_000)
    };
    for (behaviour, client) in [
        (Behaviour::tus(), client()),
        (Behaviour::tusd(), client()),
        (Behaviour::tusd(), client().ietf(5)),
        (Behaviour::tusd(), client().ietf(6)),
        (Behaviour::ietf(5), client().ietf(5)),
        (Behaviour::ietf(6), client().ietf(6)),
    ] {
        let server = UploadServer::start(behaviour);
        let failed = |error| panic!("{client:?}: {error}");
        let begun = client
            .begin(&server.url("/files"), &file, 400_000)
            .unwrap_or_else(failed);
        assert_eq!(begun.offset_bytes, 600_000, "{client:?}");
        let finished = client.finish(&begun.url, &file).unwrap_or_else(failed);
        assert_eq!(finished.offset_bytes, CONTENT.len(), "{client:?}");
        assert_stored(&server);
        assert_eq!(server.bytes_received(), CONTENT.len(), "{client:?}");
    }
}

#[test]
fn caddy_passes_a_104_on_before_the_body() {
    let server = UploadServer::start(Behaviour::ietf(6));
    let proxy = proxy(ProxyKind::Caddy, &server);
    let target = proxy.url(&server.url("/files"));
    let mut talk = optimistic(&target);
    let interim = talk.head().expect("a 104");
    assert_eq!(interim.status, 104);
    let location = interim.field("location").expect("a Location");
    assert!(
        location.starts_with(&proxy.url("http://x/uploads/")),
        "{location}"
    );
    talk.write(&CONTENT.bytes(0..CONTENT.len()))
        .expect("it is sent");
    assert_eq!(talk.answer().expect("an answer").head.status, 200);
    assert_stored(&server);
}

/// The status and version of what nginx makes of a 104, its own fields, and the head it pipes
/// behind.
fn seen_behind_nginx(target: &str) -> (u16, String, Option<String>, bool, String, u16) {
    let mut talk = optimistic(target);
    talk.write(&CONTENT.bytes(0..CONTENT.len()))
        .expect("it is sent");
    let first = talk.head().expect("a head");
    let piped = talk.head().expect("another head");
    talk.cut().expect("the connection ends");
    let server = first.field("server");
    (
        first.status,
        first.version.clone(),
        first.field("connection").map(str::to_owned),
        server.is_some_and(|server| server.starts_with("nginx")),
        piped.version,
        piped.status,
    )
}

#[test]
fn nginx_passes_a_104_on_as_the_scripted_server_imitates_it() {
    let imitation = UploadServer::start(Behaviour::ietf(6).interim(Interim::Nginx));
    let mut expected = seen_behind_nginx(&imitation.url("/files"));
    for (kind, version) in [
        (ProxyKind::NginxBuffering, "HTTP/1.0"),
        (ProxyKind::NginxStreaming, "HTTP/1.1"),
    ] {
        let server = UploadServer::start(Behaviour::ietf(6));
        let proxy = proxy(kind, &server);
        // Behind it stands what the server has sent, in the version that nginx has asked in.
        expected.4 = version.into();
        let target = proxy.url(&server.url("/files"));
        assert_eq!(seen_behind_nginx(&target), expected, "{kind:?}");
        assert_stored(&server);
    }
}
