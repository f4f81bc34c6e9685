//! tus 1.0.0 and its extensions.

use std::time::Duration;

use longhaul_support::client::Call;
use longhaul_support::uploads::{
    AfterEnd, Behaviour, Conflict, CutAppends, Extension, Limits, UploadServer,
};

use super::{CONTENT, Dialect, TARGET, assert_stored, bytes, located, open, send};

const TUS: Dialect = Dialect::Tus;

#[test]
fn an_upload_is_cut_and_resumed_where_the_server_says() {
    for (cut_appends, kept) in [(CutAppends::Kept, 600_000), (CutAppends::Dropped, 400_000)] {
        let server = UploadServer::start(Behaviour::tus().cut_appends(cut_appends));
        let url = TUS.created(&server);
        let appended = send(TUS.append(&url, 0, false), &bytes(0, 400_000)).head;
        assert_eq!(
            (appended.status, appended.number("upload-offset")),
            (204, Some(400_000))
        );
        assert_eq!(appended.field("tus-resumable"), Some("1.0.0"));
        let status = TUS.status(&url);
        assert_eq!(
            (status.status, status.field("cache-control")),
            (200, Some("no-store"))
        );
        assert_eq!(status.number("upload-length"), Some(CONTENT.len()));
        let conflict = send(TUS.append(&url, 5, false), b"x").head;
        assert_eq!(
            (conflict.status, conflict.field("upload-offset")),
            (409, None)
        );

        let mut talk = open(TUS.append(&url, 400_000, false), 600_000);
        talk.write(&bytes(400_000, 600_000)).expect("it is sent");
        talk.cut().expect("the server sees the cut");
        assert_eq!(TUS.offset(&url), Some(kept));
        let finished = send(TUS.append(&url, kept, false), &bytes(kept, CONTENT.len()));
        assert_eq!(finished.head.number("upload-offset"), Some(CONTENT.len()));
        assert_stored(&server);
    }
}

#[test]
fn what_is_offered_is_said_and_what_is_not_is_refused() {
    let limits = Limits {
        size_max: Some(CONTENT.len()),
        ..Limits::default()
    };
    let server = UploadServer::start(Behaviour::tus().limits(limits));
    let target = server.url(TARGET);
    let options = send(Call::new("OPTIONS", &target), b"").head;
    for (field, value) in [
        ("tus-version", "1.0.0"),
        (
            "tus-extension",
            "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination",
        ),
        ("tus-checksum-algorithm", "sha1,sha256"),
        ("tus-max-size", "1000000"),
    ] {
        assert_eq!(options.field(field), Some(value));
    }
    assert_eq!(send(TUS.create(&target, 1_000_001), b"").head.status, 413);
    let unversioned = send(Call::new("POST", &target).field("Upload-Length", 1), b"").head;
    assert_eq!(
        (unversioned.status, unversioned.field("tus-version")),
        (412, Some("1.0.0"))
    );

    for (extension, call, status) in [
        (Extension::Creation, TUS.create(&target, 1), 405),
        (
            Extension::CreationDeferLength,
            TUS.call("POST", &target).field("Upload-Defer-Length", 1),
            400,
        ),
        (Extension::Termination, TUS.call("DELETE", &target), 405),
    ] {
        server.behave(Behaviour::tus().without(extension));
        assert_eq!(send(call, b"").head.status, status, "{extension:?}");
    }
    server.behave(Behaviour::tus().without(Extension::CreationWithUpload));
    let with_upload = TUS.append(&target, 0, false).field("Upload-Length", 1);
    let with_upload = with_upload.field("X-HTTP-Method-Override", "POST");
    assert_eq!(send(with_upload, b"x").head.status, 400);
}

#[test]
fn a_create_may_bring_the_first_bytes() {
    let server = UploadServer::start(Behaviour::tus());
    let target = server.url(TARGET);
    let create = || {
        TUS.create(&target, CONTENT.len())
            .field("Content-Type", "application/offset+octet-stream")
            .field("Upload-Metadata", "filename Zi5iaW4=")
    };
    let created = send(create(), &bytes(0, 300_000)).head;
    assert_eq!(
        (created.status, created.number("upload-offset")),
        (201, Some(300_000))
    );
    let url = located(&target, &created);
    assert_eq!(
        TUS.status(&url).field("upload-metadata"),
        Some("filename Zi5iaW4=")
    );
    send(
        TUS.append(&url, 300_000, false),
        &bytes(300_000, CONTENT.len()),
    );
    assert_stored(&server);
    let empty = send(TUS.create(&target, 0), b"").head;
    assert_eq!((empty.status, empty.field("upload-offset")), (201, None));
    assert!(server.uploads()[1].is_complete);
}

#[test]
fn a_length_may_come_with_any_append() {
    let server = UploadServer::start(Behaviour::tus());
    let target = server.url(TARGET);
    let create = TUS.call("POST", &target).field("Upload-Defer-Length", 1);
    let url = located(&target, &send(create, b"").head);
    assert_eq!(TUS.status(&url).field("upload-defer-length"), Some("1"));
    let chunked = TUS.append(&url, 0, false).chunked();
    assert_eq!(send(chunked, &bytes(0, CONTENT.len())).head.status, 204);
    let told = |len_bytes: u64| {
        let told = TUS.append(&url, CONTENT.len(), false);
        send(told.field("Upload-Length", len_bytes), b"")
            .head
            .status
    };
    assert_eq!(told(7), 400);
    assert_eq!(told(CONTENT.len()), 204);
    assert_stored(&server);
}

#[test]
fn a_body_with_another_checksum_is_dropped() {
    let server = UploadServer::start(Behaviour::tus());
    let url = TUS.created(&server);
    let checksummed = |value: &str| {
        let append = TUS.append(&url, 0, false).field("Upload-Checksum", value);
        send(append, b"hello").head.status
    };
    assert_eq!(checksummed("sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="), 460);
    assert_eq!(checksummed("crc999 AAAA"), 400);
    assert_eq!(TUS.offset(&url), Some(0));
    assert_eq!(checksummed("sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="), 204);
    assert_eq!(TUS.offset(&url), Some(5));
}

#[test]
fn a_post_may_stand_for_another_method() {
    let server = UploadServer::start(Behaviour::tus());
    let url = TUS.created(&server);
    let append = || {
        TUS.call("POST", &url)
            .field("X-HTTP-Method-Override", "PATCH")
            .field("Upload-Offset", 0)
            .field("Content-Type", "application/offset+octet-stream")
    };
    server.behave(Behaviour::tus().without_method_override());
    // It is taken for a create without a length.
    assert_eq!(send(append(), b"").head.status, 400);
    server.behave(Behaviour::tus());
    assert_eq!(send(append(), &bytes(0, CONTENT.len())).head.status, 204);
    assert_stored(&server);
}

#[test]
fn an_upload_expires_is_terminated_or_forgotten() {
    let expiring = Behaviour::tus().expires_in(Duration::from_secs(60));
    let server = UploadServer::start(expiring);
    let url = TUS.created(&server);
    assert!(TUS.status(&url).field("upload-expires").is_some());
    server.expire();
    assert_eq!(TUS.status(&url).status, 410);
    assert_eq!(send(TUS.append(&url, 0, false), b"x").head.status, 410);

    let url = TUS.created(&server);
    assert_eq!(send(TUS.call("DELETE", &url), b"").head.status, 204);
    assert_eq!(TUS.status(&url).status, 404);
    assert_eq!(TUS.status(&server.url("/uploads/none")).status, 404);

    let server = UploadServer::start(Behaviour::tus().forgets_finished(404));
    let url = TUS.created(&server);
    send(TUS.append(&url, 0, false), &bytes(0, CONTENT.len()));
    assert_eq!(TUS.status(&url).status, 404);
    assert_stored(&server);
}

#[test]
fn an_append_to_a_finished_upload_gets_what_the_server_has_for_it() {
    for (after_end, empty, more) in [
        (AfterEnd::Refused, 403, 403),
        (AfterEnd::Tolerated, 204, 403),
        (AfterEnd::Destroys, 400, 404),
    ] {
        let server = UploadServer::start(Behaviour::tus().after_end(after_end));
        let url = TUS.created(&server);
        send(TUS.append(&url, 0, false), &bytes(0, CONTENT.len()));
        let append = |body: &[u8]| {
            send(TUS.append(&url, CONTENT.len(), false), body)
                .head
                .status
        };
        assert_eq!((append(b""), append(b"x")), (empty, more), "{after_end:?}");
        assert_stored(&server);
    }
}

#[test]
fn a_conflict_may_say_the_right_offset() {
    let server = UploadServer::start(Behaviour::tus().conflict(Conflict::Offset));
    let url = TUS.created(&server);
    let conflict = send(TUS.append(&url, 5, false), b"x").head;
    assert_eq!(
        (conflict.status, conflict.number("upload-offset")),
        (409, Some(0))
    );
}
