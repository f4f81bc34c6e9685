//! The IETF draft, version by version.

use longhaul_support::client::Head;
use longhaul_support::content::Content;
use longhaul_support::uploads::{
    Behaviour, Conflict, Discovery, Interim, Limits, Protocol, UploadServer,
};

use super::{CONTENT, Dialect, TARGET, assert_stored, bytes, located, open, send};

const VERSIONS: [u16; 4] = [3, 5, 6, 8];

/// The field that tells completeness, and its values for no and yes.
fn completeness(version: u16) -> (&'static str, &'static str, &'static str) {
    if version <= 3 {
        ("upload-incomplete", "?1", "?0")
    } else {
        ("upload-complete", "?0", "?1")
    }
}

#[test]
fn an_optimistic_upload_is_cut_and_resumed_in_every_version() {
    for version in VERSIONS {
        let dialect = Dialect::Ietf(version);
        let (field, no, yes) = completeness(version);
        let server = UploadServer::start(Behaviour::ietf(version));
        let target = server.url(TARGET);
        let create = dialect.telling(dialect.call("POST", &target), true);
        let mut talk = open(create, CONTENT.len());
        // Before a byte of the body has gone out.
        let interim = talk.head().expect("a 104");
        assert_eq!(interim.status, 104, "{version}");
        let echoed = interim.number("upload-draft-interop-version");
        assert_eq!(echoed, Some(u64::from(version)));
        let url = located(&target, &interim);
        talk.write(&bytes(0, 350_000)).expect("it is sent");
        talk.cut().expect("the server sees the cut");
        assert!(server.requests()[0].is_cut);

        let status = dialect.status(&url);
        assert_eq!(status.status, 204, "{version}");
        assert_eq!(status.number("upload-offset"), Some(350_000), "{version}");
        assert_eq!(status.field(field), Some(no), "{version}");
        assert_eq!(status.field("cache-control"), Some("no-store"));
        let length = (version >= 6).then_some(CONTENT.len());
        assert_eq!(status.number("upload-length"), length, "{version}");

        let rest = bytes(350_000, CONTENT.len());
        let finished = send(dialect.append(&url, 350_000, true), &rest);
        assert_eq!(finished.head.status, 200, "{version}: {finished:?}");
        assert_eq!(finished.body, b"stored\n", "{version}");
        let told = (version >= 6).then_some(yes);
        assert_eq!(finished.head.field(field), told, "{version}");
        let status = dialect.status(&url);
        assert_eq!(status.field(field), Some(yes), "{version}");
        assert_stored(&server);
        assert_eq!(server.only_upload().protocol, Protocol::Ietf(version));
        assert_eq!(server.bytes_received(), CONTENT.len());
    }
}

#[test]
fn a_careful_upload_is_acknowledged_in_the_words_of_its_version() {
    // Statuses of an append in the middle, and whether the offset and completeness are told there.
    for (version, status, has_offset, has_limit) in [
        (3, 201, true, false),
        (5, 201, true, false),
        (6, 204, true, true),
        (8, 204, false, true),
    ] {
        let dialect = Dialect::Ietf(version);
        let (field, no, _) = completeness(version);
        let server = UploadServer::start(Behaviour::ietf(version));
        let target = server.url(TARGET);
        let created = send(dialect.create(&target, CONTENT.len()), b"");
        assert_eq!(created.head.status, 201, "{version}");
        assert_eq!(created.interim[0].status, 104, "{version}");
        let url = located(&target, &created.head);
        assert_eq!(located(&target, &created.interim[0]), url, "{version}");
        assert_eq!(created.head.field(field), Some(no), "{version}");
        let is_limit_told = created.head.field("upload-limit").is_some();
        assert_eq!(is_limit_told, has_limit, "{version}");

        let appended = send(dialect.append(&url, 0, false), &bytes(0, 400_000));
        assert_eq!(appended.head.status, status, "{version}");
        let offset = appended.head.number("upload-offset");
        assert_eq!(offset, has_offset.then_some(400_000), "{version}");
        assert_eq!(appended.head.field(field), Some(no), "{version}");
        let rest = bytes(400_000, CONTENT.len());
        let finished = send(dialect.append(&url, 400_000, true), &rest);
        assert_eq!(finished.head.status, 200, "{version}");
        assert_stored(&server);
    }
}

#[test]
fn a_wrong_offset_is_refused_with_the_right_one() {
    let told = |conflict: &Head| {
        let kind = conflict.field("content-type");
        (
            conflict.status,
            conflict.number("upload-offset"),
            kind == Some("application/problem+json"),
        )
    };
    for (version, is_problem) in [(3, false), (5, false), (6, true), (8, true)] {
        let dialect = Dialect::Ietf(version);
        let server = UploadServer::start(Behaviour::ietf(version));
        let url = dialect.created(&server);
        let refused = send(dialect.append(&url, 5, false), b"x");
        assert_eq!(told(&refused.head), (409, Some(0), is_problem), "{version}");
        if is_problem {
            let problem = String::from_utf8_lossy(&refused.body).into_owned();
            for part in [
                "#mismatching-upload-offset\"",
                "\"expected-offset\":0",
                "\"provided-offset\":5",
            ] {
                assert!(problem.contains(part), "{problem}");
            }
        }
        assert_eq!(dialect.offset(&url), Some(0));
    }
    let dialect = Dialect::Ietf(6);
    for (conflict, offset) in [(Conflict::Bare, None), (Conflict::Offset, Some(0))] {
        let server = UploadServer::start(Behaviour::ietf(6).conflict(conflict));
        let url = dialect.created(&server);
        let refused = send(dialect.append(&url, 5, false), b"x").head;
        assert_eq!(told(&refused), (409, offset, false), "{conflict:?}");
    }
}

#[test]
fn a_request_of_another_version_is_an_ordinary_one() {
    let server = UploadServer::start(Behaviour::ietf(6));
    let other = Dialect::Ietf(5);
    // What a careful create does to a server that does not understand it: it is executed.
    let answer = send(other.create(&server.url(TARGET), 10), b"");
    assert_eq!((answer.head.status, answer.interim.len()), (200, 0));
    let stored = server.only_upload();
    assert_eq!(
        (stored.protocol, stored.is_complete, stored.offset_bytes),
        (Protocol::Plain, true, 0)
    );
}

#[test]
fn an_unknown_length_and_an_empty_upload_can_be_finished() {
    for version in VERSIONS {
        let dialect = Dialect::Ietf(version);
        let server = UploadServer::start(Behaviour::ietf(version));
        let target = server.url(TARGET);
        let create = dialect.telling(dialect.call("POST", &target), false);
        let url = located(&target, &send(create, b"").head);
        let chunked = dialect.append(&url, 0, false).chunked();
        assert!(
            send(chunked, &bytes(0, 3000)).head.status < 300,
            "{version}"
        );
        assert_eq!(dialect.status(&url).field("upload-length"), None);
        let finished = send(dialect.append(&url, 3000, true), b"");
        assert_eq!(finished.head.status, 200, "{version}");
        let upload = server.only_upload();
        let prefix = Content::new(CONTENT.seed(), 3000);
        assert!(upload.is_complete && upload.length_bytes == Some(3000));
        assert_eq!(upload.verify(&prefix), Ok(()), "{version}");

        let empty = dialect.telling(dialect.call("PUT", &target), true);
        assert_eq!(send(empty, b"").head.status, 200, "{version}");
        assert!(server.uploads()[1].is_complete, "{version}");
    }
}

#[test]
fn lengths_that_do_not_agree_and_other_media_types_are_refused() {
    for version in [6, 8] {
        let dialect = Dialect::Ietf(version);
        let server = UploadServer::start(Behaviour::ietf(version));
        let url = dialect.created(&server);
        // A last body of one byte would make the upload one byte long.
        assert_eq!(send(dialect.append(&url, 0, true), b"x").head.status, 400);
        let other = dialect.append(&url, 0, false).field("Upload-Length", 7);
        assert_eq!(send(other, b"x").head.status, 400, "{version}");
        let over = dialect.append(&url, 0, false).chunked();
        let longer = [bytes(0, CONTENT.len()), vec![0]].concat();
        assert_eq!(send(over, &longer).head.status, 400, "{version}");
        // Version 8 gives up an upload that went beyond its length.
        let gone = (version == 8).then_some(404);
        assert_eq!(server.only_upload().gone, gone, "{version}");

        let url = dialect.created(&server);
        let untyped = dialect
            .telling(dialect.call("PATCH", &url), false)
            .field("Upload-Offset", 0);
        assert_eq!(send(untyped, b"x").head.status, 415, "{version}");
        let unsaid = dialect.call("PATCH", &url).field("Upload-Offset", 0);
        assert_eq!(send(unsaid, b"x").head.status, 400, "{version}");
    }
}

#[test]
fn an_upload_that_is_finished_takes_no_more_and_one_that_is_cancelled_is_gone() {
    for (version, problem) in [(6, "completed-upload"), (8, "inconsistent-upload-length")] {
        let dialect = Dialect::Ietf(version);
        let server = UploadServer::start(Behaviour::ietf(version));
        let url = dialect.created(&server);
        send(dialect.append(&url, 0, true), &bytes(0, CONTENT.len()));
        let more = send(dialect.append(&url, CONTENT.len(), false), b"x");
        assert_eq!(more.head.status, 400, "{version}");
        let problem = format!("#{problem}\"");
        assert!(String::from_utf8_lossy(&more.body).contains(&problem));
        assert_stored(&server);

        let url = dialect.created(&server);
        assert_eq!(send(dialect.call("DELETE", &url), b"").head.status, 204);
        assert_eq!(dialect.status(&url).status, 404, "{version}");
        assert_eq!(send(dialect.append(&url, 0, false), b"x").head.status, 404);
    }
}

#[test]
fn limits_are_told_and_kept() {
    let limits = Limits {
        size_max: Some(2_000_000),
        size_min: Some(10),
        append_max: Some(100_000),
        append_min: Some(1000),
    };
    let dialect = Dialect::Ietf(6);
    let server = UploadServer::start(Behaviour::ietf(6).limits(limits));
    let target = server.url(TARGET);
    let told = "max-size=2000000, min-size=10, max-append-size=100000, min-append-size=1000";
    for (len_bytes, status) in [(2_000_001, 413), (9, 400), (2_000_000, 201)] {
        let answer = send(dialect.create(&target, len_bytes), b"").head;
        let limit = answer.field("upload-limit");
        assert_eq!((answer.status, limit), (status, Some(told)), "{len_bytes}");
    }
    let server = UploadServer::start(Behaviour::ietf(6).limits(limits));
    let url = dialect.created(&server);
    for (from, to, is_last, status) in [
        (0, 100_001, false, 413),
        (0, 999, false, 400),
        (0, 100_000, false, 204),
    ] {
        let answer = send(dialect.append(&url, from, is_last), &bytes(from, to)).head;
        assert_eq!(answer.status, status, "{from}..{to}");
        let limit = (status != 204).then_some(told);
        assert_eq!(answer.field("upload-limit"), limit);
    }
}

#[test]
fn support_is_discovered_as_each_version_shows_it() {
    let limited = Limits {
        size_max: Some(7),
        ..Limits::default()
    };
    let accepts = Some("application/partial-upload");
    for (behaviour, status, limit, patch) in [
        (Behaviour::ietf(5), 405, None, None),
        (Behaviour::ietf(6), 204, Some("min-size=0"), None),
        (Behaviour::ietf(8), 204, Some("min-size=0"), accepts),
        (
            Behaviour::ietf(8).discovery(Discovery::AcceptPatch),
            204,
            None,
            accepts,
        ),
        (
            Behaviour::ietf(8)
                .discovery(Discovery::AcceptPatch)
                .limits(limited),
            204,
            Some("max-size=7"),
            accepts,
        ),
        (
            Behaviour::ietf(6).discovery(Discovery::Nothing),
            405,
            None,
            None,
        ),
    ] {
        let server = UploadServer::start(behaviour.clone());
        let found = |version| {
            let dialect = Dialect::Ietf(version);
            send(dialect.call("OPTIONS", &server.url(TARGET)), b"").head
        };
        let answers = [5, 6, 8].map(found);
        let known = answers.iter().any(|head| {
            (head.status, head.field("upload-limit")) == (status, limit)
                && head.field("accept-patch") == patch
        });
        assert!(known, "{behaviour:?}: {answers:#?}");
        // Versions that it does not speak get no hint.
        let hints = answers.iter().filter(|head| head.status == 204);
        assert_eq!(hints.count(), usize::from(status == 204));
    }
}

#[test]
fn digests_are_checked() {
    // SHA-256 of `hello` and of nothing.
    let (right, wrong) = (
        "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:",
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
    );
    let dialect = Dialect::Ietf(8);
    let server = UploadServer::start(Behaviour::ietf(8).interim(Interim::Never));
    let put = |field: &str, digest: &str| {
        let put = dialect.telling(dialect.call("PUT", &server.url(TARGET)), true);
        send(put.field(field, digest), b"hello").head.status
    };
    for (field, digest, status) in [
        ("Content-Digest", right, 200),
        ("Content-Digest", wrong, 400),
        ("Repr-Digest", right, 200),
        ("Repr-Digest", wrong, 400),
    ] {
        assert_eq!(put(field, digest), status, "{field} {digest}");
    }
    let complete: Vec<_> = server.uploads().iter().map(|u| u.is_complete).collect();
    assert_eq!(complete, [true, false, true, false]);
}

#[test]
fn tusd_and_tus_java_server_have_their_ways() {
    let dialect = Dialect::Ietf(6);
    let server = UploadServer::start(Behaviour::tusd());
    let url = dialect.created(&server);
    let appended = send(dialect.append(&url, 0, false), &bytes(0, 400_000)).head;
    assert_eq!(
        (appended.status, appended.number("upload-offset")),
        (204, Some(400_000))
    );
    assert_eq!(appended.field("upload-complete"), None);
    let conflict = send(dialect.append(&url, 5, false), b"x").head;
    assert_eq!(
        (conflict.status, conflict.field("upload-offset")),
        (409, None)
    );
    // An append that says it is not the last one, and reaches the length.
    let rest = bytes(400_000, CONTENT.len());
    assert_eq!(
        send(dialect.append(&url, 400_000, false), &rest)
            .head
            .status,
        204
    );
    assert_stored(&server);
    let finishing = dialect.append(&url, CONTENT.len(), true);
    assert_eq!(send(finishing, b"").head.status, 204);
    let eight = Dialect::Ietf(8).create(&server.url(TARGET), 1);
    let refused = send(eight, b"").head;
    assert_eq!(
        (refused.status, refused.field("tus-version")),
        (412, Some("1.0.0"))
    );
    let tus = Dialect::Tus.create(&server.url(TARGET), 1);
    assert_eq!(send(tus, b"").head.status, 201);

    let dialect = Dialect::Ietf(8);
    let server = UploadServer::start(Behaviour::tus_java_server());
    let created = send(dialect.create(&server.url(TARGET), CONTENT.len()), b"");
    assert_eq!(created.interim.len(), 0);
    assert!(
        created
            .head
            .field("location")
            .is_some_and(|url| url.starts_with('/'))
    );
    let url = located(&server.url(TARGET), &created.head);
    let mut talk = open(dialect.append(&url, 0, true), CONTENT.len());
    talk.write(&bytes(0, 600_000)).expect("it is sent");
    talk.cut().expect("the server sees the cut");
    let status = dialect.status(&url);
    assert_eq!(
        (
            status.field("upload-complete"),
            status.number("upload-offset")
        ),
        (Some("?1"), Some(600_000))
    );
    let finishing = dialect.append(&url, 600_000, true);
    assert_eq!(send(finishing, b"").head.status, 400);
    assert_eq!(dialect.status(&url).status, 404);
}
