//! 104s: when they come, what they say, and in how many pieces.

use longhaul_support::client::Talk;
use longhaul_support::uploads::{Behaviour, Interim, InterimVersion, UploadServer};

use super::{CONTENT, Dialect, TARGET, assert_stored, bytes, located, open, send, wait_for_bytes};

const SIX: Dialect = Dialect::Ietf(6);

/// A server, and an optimistic create of which the head is sent.
fn begun(behaviour: Behaviour) -> (UploadServer, Talk) {
    let server = UploadServer::start(behaviour);
    let create = SIX.telling(SIX.call("POST", &server.url(TARGET)), true);
    let talk = open(create, CONTENT.len());
    (server, talk)
}

#[test]
fn a_104_comes_before_the_body_after_it_or_never() {
    let all = bytes(0, CONTENT.len());
    for (interim, count) in [
        (Interim::BeforeBody, 1),
        (Interim::AfterBody, 1),
        (Interim::Never, 0),
    ] {
        let (server, mut talk) = begun(Behaviour::ietf(6).interim(interim));
        let is_early = interim == Interim::BeforeBody;
        if is_early {
            assert_eq!(talk.head().expect("a head").status, 104);
        }
        talk.write(&all).expect("it is sent");
        let answer = talk.answer().expect("an answer");
        assert_eq!(answer.interim.len() + usize::from(is_early), count);
        assert_eq!(answer.head.status, 200, "{interim:?}");
        assert_stored(&server);
    }
}

#[test]
fn a_104_after_the_body_does_not_come_to_a_cut_one() {
    let (server, mut talk) = begun(Behaviour::ietf(6).interim(Interim::AfterBody));
    talk.write(&bytes(0, 999_999)).expect("it is sent");
    wait_for_bytes(&server, 999_999);
    talk.cut().expect("the server sees the cut");
    let request = &server.requests()[0];
    assert!(request.is_cut && request.status.is_none(), "{request}");
    assert_eq!(server.only_upload().offset_bytes, 999_999);
}

#[test]
fn progress_is_told_on_the_way_without_the_url() {
    let every_bytes = 100_000;
    let behaviour = Behaviour::ietf(6).interim(Interim::Progress { every_bytes });
    let (server, mut talk) = begun(behaviour);
    let url = located(&server.url(TARGET), &talk.head().expect("a 104"));
    talk.write(&bytes(0, 600_000)).expect("it is sent");
    let mut told = 0;
    while told < 500_000 {
        let progress = talk.head().expect("a 104");
        assert_eq!((progress.status, progress.field("location")), (104, None));
        let offset = progress.number("upload-offset").expect("an offset");
        assert!((told + every_bytes..=600_000).contains(&offset), "{offset}");
        told = offset;
    }
    talk.cut().expect("the server sees the cut");

    let append = SIX.append(&url, 600_000, true);
    let answer = send(append, &bytes(600_000, CONTENT.len()));
    assert!(!answer.interim.is_empty(), "none in an append");
    let offsets = answer
        .interim
        .iter()
        .map(|head| head.number("upload-offset"));
    assert!(offsets.into_iter().all(|offset| offset > Some(600_000)));
    assert_stored(&server);
}

#[test]
fn a_104_may_be_of_another_version_or_of_none() {
    for (version, said) in [
        (InterimVersion::Other(5), Some(5)),
        (InterimVersion::Missing, None),
        (InterimVersion::Echoed, Some(6)),
    ] {
        let (_server, mut talk) = begun(Behaviour::ietf(6).interim_version(version));
        let head = talk.head().expect("a 104");
        assert_eq!(head.status, 104);
        assert_eq!(head.number("upload-draft-interop-version"), said);
        assert!(head.field("location").is_some());
    }
}

#[test]
fn a_104_in_single_bytes_is_the_same_one() {
    let (server, mut talk) = begun(Behaviour::ietf(6).interim_byte_by_byte());
    let head = talk.head().expect("a 104");
    assert_eq!(
        (head.status, head.field("upload-limit")),
        (104, Some("min-size=0"))
    );
    talk.write(&bytes(0, CONTENT.len())).expect("it is sent");
    assert_eq!(talk.answer().expect("an answer").head.status, 200);
    assert_stored(&server);
}

#[test]
fn behind_nginx_a_104_is_followed_by_an_answer_of_http_1_0_and_the_end() {
    let behaviour = Behaviour::ietf(6)
        .interim(Interim::Nginx)
        .without_completion();
    let (server, mut talk) = begun(behaviour);
    talk.write(&bytes(0, CONTENT.len())).expect("it is sent");
    let interim = talk.head().expect("a 104");
    assert_eq!(
        (interim.status, interim.field("connection")),
        (104, Some("keep-alive"))
    );
    let last = talk.head().expect("the answer");
    assert_eq!((last.version.as_str(), last.status), ("HTTP/1.0", 201));
    talk.cut().expect("the connection has ended");
    assert_stored(&server);
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    for (behaviour, statuses) in [
        (Behaviour::ietf(6), &[100, 104][..]),
        (Behaviour::plain(), &[100]),
    ] {
        let server = UploadServer::start(behaviour);
        let put = SIX
            .telling(SIX.call("PUT", &server.url(TARGET)), true)
            .field("Expect", "100-continue");
        let mut talk = open(put, CONTENT.len());
        for status in statuses {
            assert_eq!(talk.head().expect("an interim head").status, *status);
        }
        talk.write(&bytes(0, CONTENT.len())).expect("it is sent");
        assert_eq!(talk.answer().expect("an answer").head.status, 200);
        assert_stored(&server);
    }
}
