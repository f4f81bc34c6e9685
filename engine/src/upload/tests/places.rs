//! The place of an upload: where it may be, when it moves, when it is complete, and when it is gone.

use super::*;
use crate::limits::RESTARTS_MAX;
use crate::upload::{Protocol, Unheard, UploadProtocol};

const IETF: Protocol = Protocol::Ietf { interop: 6 };
const BOTH: [Protocol; 2] = [Protocol::Tus, IETF];

fn speaking(protocol: UploadProtocol, method: &str) -> UploadSpec {
    UploadSpec {
        protocol,
        method: method.to_owned(),
        ..spec()
    }
}

fn of(protocol: Protocol) -> UploadProtocol {
    match protocol {
        Protocol::Plain => UploadProtocol::Plain,
        Protocol::Tus => UploadProtocol::Tus,
        Protocol::Ietf { interop } => UploadProtocol::Ietf { interop },
    }
}

fn holding(offset: u64, complete: &str) -> ResponseHead {
    let offset = offset.to_string();
    head(
        204,
        &[("upload-offset", &offset), ("upload-complete", complete)],
    )
}

/// A machine whose last append is under way.
fn finishing(spec: UploadSpec, protocol: Protocol) -> (Driver, Ask) {
    let (mut driver, ask) = Driver::going_on(spec, placed(protocol, LENGTH, 5));
    let actions = driver.answer_after(ask.request, holding(5, "?0"), 0);
    let ask = driver.next_ask(actions);
    (driver, ask)
}

#[test]
fn a_place_is_where_the_answer_says_relative_to_whom_was_asked() {
    let table = [
        ("/up/7", Ok("https://origin.example/up/7")),
        ("up/7?k=v", Ok("https://origin.example/up/7?k=v")),
        ("//other.example/7", Ok("https://other.example/7")),
        ("https://other.example/7", Ok("https://other.example/7")),
        ("http://origin.example/7", Err(FailureKind::Redirect)),
        ("ftp://origin.example/7", Err(FailureKind::Redirect)),
        ("", Err(FailureKind::Redirect)),
    ];
    for protocol in BOTH {
        for (place, expected) in table {
            let (mut driver, ask) = Driver::asking(speaking(of(protocol), "PUT"), LENGTH);
            let made = head(201, &[("location", place)]);
            let actions = driver.answer_after(ask.request, made, 0);
            match expected {
                Ok(url) => assert_eq!(driver.next_ask(actions).url.as_str(), url),
                Err(kind) => assert_eq!(failed_kind(&actions), kind, "{place}"),
            }
        }
    }
    let mut spec = speaking(UploadProtocol::Tus, "PUT");
    spec.allow_downgrade = true;
    let (mut driver, ask) = Driver::asking(spec, LENGTH);
    let made = head(201, &[("location", "http://origin.example/7")]);
    let actions = driver.answer_after(ask.request, made, 0);
    assert_eq!(
        driver.next_ask(actions).url.as_str(),
        "http://origin.example/7"
    );
}

#[test]
fn secrets_go_to_a_place_at_the_tasks_own_origin_and_nowhere_else() {
    for (place, goes) in [("/up/7", true), ("https://other.example/7", false)] {
        let mut spec = speaking(UploadProtocol::Tus, "PUT");
        spec.credentials = Some(crate::http::authorization::Credentials::Bearer("t".into()));
        spec.headers = vec![
            ("x-api-key".into(), "hush".into()),
            ("content-type".into(), "a/b".into()),
            ("if-none-match".into(), "*".into()),
            ("user-agent".into(), "me".into()),
        ];
        let (mut driver, ask) = Driver::asking(spec, LENGTH);
        let names = |ask: &Ask| -> Vec<String> {
            ask.headers.iter().map(|(name, _)| name.clone()).collect()
        };
        let made = names(&ask);
        assert!(made.contains(&"if-none-match".to_owned()));
        assert!(
            !made.contains(&"content-type".to_owned()),
            "it has no content"
        );
        let actions = driver.answer_after(ask.request, head(201, &[("location", place)]), 0);
        let ask = driver.next_ask(actions);
        let append = names(&ask);
        assert_eq!(append.contains(&"x-api-key".to_owned()), goes);
        assert_eq!(append.contains(&"authorization".to_owned()), goes);
        assert!(append.contains(&"user-agent".to_owned()));
        assert!(
            !append.contains(&"if-none-match".to_owned()),
            "it was for the target"
        );
        let kinds: Vec<_> = append
            .iter()
            .filter(|name| *name == "content-type")
            .collect();
        assert_eq!(kinds.len(), 1, "that of the piece");
    }
}

#[test]
fn whoever_was_sent_elsewhere_is_not_led_back_to_the_origin_with_its_secrets() {
    let (mut driver, ask) = Driver::asking(speaking(UploadProtocol::Tus, "PUT"), LENGTH);
    let away = head(307, &[("location", "https://other.example/files")]);
    let ask = sole_ask(&driver.answer_after(ask.request, away, 0));
    assert_eq!(
        (ask.method.as_str(), ask.url.host()),
        ("POST", "other.example")
    );
    let back = head(201, &[("location", "https://origin.example/admin")]);
    let actions = driver.answer_after(ask.request, back, 0);
    assert_eq!(failed_kind(&actions), FailureKind::Redirect);
}

#[test]
fn a_place_that_has_moved_is_followed_with_the_same_offset_and_for_good_when_it_says_so() {
    for protocol in BOTH {
        for (status, is_for_good) in [(307, false), (308, true), (301, true), (302, false)] {
            let (mut driver, ask) = finishing(spec(), protocol);
            let moved = head(status, &[("location", "/elsewhere")]);
            let actions = driver.answer_after(ask.request, moved, 10);
            let next = driver.next_ask(actions);
            assert_eq!(next.url.as_str(), "https://origin.example/elsewhere");
            assert_eq!((next.method, next.body), (ask.method, ask.body), "{status}");
            let actions = driver.answer_after(next.request, head(503, &[]), 0);
            let place = record(&actions).remote.expect("a place").url;
            assert_eq!(
                place.as_str().ends_with("/elsewhere"),
                is_for_good,
                "{status}"
            );
        }
        let (mut driver, ask) = finishing(spec(), protocol);
        let actions = driver.answer_after(ask.request, head(303, &[("location", "/g")]), LENGTH);
        assert_eq!(failed_kind(&actions), FailureKind::Redirect);
    }
}

#[test]
fn the_last_answer_of_the_draft_may_point_elsewhere_once_all_is_there() {
    let (mut driver, ask) = finishing(speaking(UploadProtocol::IETF, "POST"), IETF);
    let fields = [("location", "/receipt"), ("upload-complete", "?1")];
    let actions = driver.answer_after(ask.request, head(303, &fields), LENGTH - 5);
    let next = sole_ask(&actions);
    assert_eq!((next.method.as_str(), next.body), ("GET", None));
    let actions = driver.answer_after(next.request, head(200, &[]), 0);
    assert_eq!(kinds(&actions), ["receive"]);
}

#[test]
fn an_upload_is_done_when_the_length_is_acknowledged_in_any_of_the_ways_of_servers() {
    let sent = LENGTH - 5;
    let table: [(Protocol, &[(&str, &str)]); 6] = [
        (Protocol::Tus, &[("upload-offset", "1000")]),
        (IETF, &[("upload-offset", "1000")]),
        (IETF, &[("upload-complete", "?1")]),
        (
            IETF,
            &[("upload-complete", "?1"), ("upload-offset", "1000")],
        ),
        (IETF, &[("upload-incomplete", "?0")]),
        (Protocol::Ietf { interop: 8 }, &[]),
    ];
    for (protocol, fields) in table {
        let (mut driver, ask) = finishing(spec(), protocol);
        let actions = driver.answer_after(ask.request, head(204, fields), sent);
        assert_eq!(kinds(&actions), ["receive"], "{protocol:?} {fields:?}");
    }
}

#[test]
fn a_last_piece_after_which_the_draft_says_that_more_is_to_come_is_followed_by_an_empty_one() {
    let (mut driver, ask) = finishing(spec(), IETF);
    let actions = driver.answer_after(ask.request, holding(LENGTH, "?0"), LENGTH - 5);
    let last = driver.next_ask(actions);
    let body = last.body.expect("an empty one");
    assert_eq!((body.offset, body.length), (LENGTH, 0));
    let says_end = ("upload-complete".to_owned(), "?1".to_owned());
    assert!(last.headers.contains(&says_end));
    let actions = driver.answer_after(last.request, head(200, &[("upload-complete", "?1")]), 0);
    assert_eq!(kinds(&actions), ["receive"]);
}

#[test]
fn complete_at_another_length_is_corruption_and_is_removed() {
    let other = head(
        204,
        &[
            ("upload-offset", "600"),
            ("upload-length", "600"),
            ("upload-complete", "?1"),
        ],
    );
    let early = head(200, &[("upload-complete", "?1")]);
    let beyond = head(204, &[("upload-offset", "1001"), ("upload-complete", "?0")]);
    for (answer, sent) in [
        (other.clone(), 995),
        (other, 595),
        (early, 595),
        (beyond, 995),
    ] {
        let (mut driver, ask) = finishing(spec(), IETF);
        let actions = driver.answer_after(ask.request, answer, sent);
        let removal = sole_ask(&actions);
        assert_eq!(removal.method, "DELETE");
        let actions = driver.answer_after(removal.request, head(204, &[]), 0);
        assert_eq!(failed_kind(&actions), FailureKind::Integrity);
    }
    // A server that took a cut request for the whole says so when it is asked.
    let (mut driver, ask) = Driver::going_on(spec(), placed(IETF, LENGTH, 5));
    let actions = driver.answer_after(ask.request, holding(600, "?1"), 0);
    assert_eq!(sole_ask(&actions).method, "DELETE");
}

#[test]
fn the_targets_refusal_of_a_complete_upload_is_final() {
    for status in [400, 422, 500, 503] {
        let (mut driver, ask) = finishing(spec(), IETF);
        let answer = head(status, &[("upload-complete", "?1")]);
        let actions = driver.answer_after(ask.request, answer, LENGTH - 5);
        assert_eq!(failed_kind(&actions), FailureKind::Status(status));
    }
}

#[test]
fn a_lost_last_answer_is_asked_for_and_found() {
    for protocol in BOTH {
        let (mut driver, ask) = finishing(spec(), protocol);
        let known = record(&driver.feed(Input::AskFailed {
            request: ask.request,
            failure: failure(FailureKind::Disconnected),
            sent: LENGTH - 5,
        }));
        assert_eq!(known.unheard, Unheard::Completion);
        let (mut driver, ask) = Driver::going_on(spec(), known);
        let actions = driver.answer_after(ask.request, holding(LENGTH, "?1"), 0);
        assert_eq!(kinds(&actions), ["drain", "release", "inspect"]);
        let Outcome::Uploaded(done) = outcome(&driver.feed(Input::Inspected(Ok(source(LENGTH)))))
        else {
            panic!("it was uploaded")
        };
        assert_eq!(
            (done.status, done.bytes, done.response.len()),
            (204, LENGTH, 0)
        );
    }
}

#[test]
fn a_success_that_says_nothing_is_asked_after_and_unknown_when_nothing_is_there_any_more() {
    for method in ["PUT", "POST"] {
        let (mut driver, ask) = finishing(speaking(UploadProtocol::IETF, method), IETF);
        let actions = driver.answer_after(ask.request, head(204, &[]), LENGTH - 5);
        let question = driver.next_ask(actions);
        assert_eq!(question.method, "HEAD");
        let actions = driver.answer_after(question.request, head(404, &[]), 0);
        assert_eq!(
            failed_kind(&actions),
            FailureKind::OutcomeUnknown,
            "{method}"
        );
    }
}

#[test]
fn a_place_that_is_gone_while_bytes_are_missing_is_made_anew_where_that_is_allowed() {
    let table = [
        (Protocol::Tus, "PUT", false, Some("POST")),
        (Protocol::Tus, "POST", false, Some("POST")),
        (IETF, "PUT", false, Some("PUT")),
        (IETF, "POST", false, None),
        (IETF, "POST", true, Some("POST")),
    ];
    for (protocol, method, is_repeatable, anew) in table {
        for status in [404, 410] {
            let mut spec = speaking(of(protocol), method);
            spec.is_repeatable = is_repeatable;
            let known = placed(protocol, LENGTH, 5);
            let (mut driver, ask) = Driver::going_on(spec.clone(), known);
            let actions = driver.answer_after(ask.request, head(status, &[]), 0);
            match anew {
                Some(method) => {
                    let next = driver.next_ask(actions);
                    assert_eq!((next.method.as_str(), next.url), (method, spec.url.clone()));
                    assert_eq!(driver.machine.progress().acknowledged_bytes, 0);
                }
                None => assert_eq!(failed_kind(&actions), FailureKind::Status(status)),
            }
            // The answer to an append says the same.
            let (mut driver, ask) = finishing(spec, protocol);
            let actions = driver.answer_after(ask.request, head(status, &[]), 0);
            let is_failed = kinds(&actions).contains(&"close");
            assert_eq!(is_failed, anew.is_none(), "{protocol:?} {method}");
        }
    }
    let often = UploadCheckpoint {
        restarts: RESTARTS_MAX,
        ..placed(Protocol::Tus, LENGTH, 5)
    };
    let (mut driver, ask) = Driver::going_on(speaking(UploadProtocol::Tus, "PUT"), often);
    let actions = driver.answer_after(ask.request, head(404, &[]), 0);
    assert_eq!(failed_kind(&actions), FailureKind::Status(404));
}

#[test]
fn a_place_that_is_gone_after_the_last_byte_leaves_the_outcome_unknown() {
    let table = [
        (Protocol::Tus, "PUT", false, true),
        (Protocol::Tus, "POST", true, false),
        (IETF, "POST", false, true),
        (IETF, "POST", true, false),
        (IETF, "PUT", false, false),
    ];
    for (protocol, method, is_repeatable, is_unknown) in table {
        let mut spec = speaking(of(protocol), method);
        spec.is_repeatable = is_repeatable;
        let known = UploadCheckpoint {
            unheard: Unheard::Completion,
            ..placed(protocol, LENGTH, 5)
        };
        let (mut driver, ask) = Driver::going_on(spec, known);
        let actions = driver.answer_after(ask.request, head(404, &[]), 0);
        match is_unknown {
            true => assert_eq!(failed_kind(&actions), FailureKind::OutcomeUnknown),
            false => assert!(!kinds(&actions).contains(&"close"), "{protocol:?} {method}"),
        }
    }
}

#[test]
fn a_server_that_still_has_the_upload_has_not_finished_it() {
    let known = UploadCheckpoint {
        unheard: Unheard::Completion,
        ..placed(Protocol::Tus, LENGTH, 5)
    };
    let (mut driver, ask) = Driver::going_on(speaking(UploadProtocol::Tus, "PUT"), known);
    let actions = driver.answer_after(ask.request, holding(600, "?0"), 0);
    let ask = driver.next_ask(actions);
    let actions = driver.answer_after(ask.request, head(404, &[]), 0);
    assert_eq!(driver.next_ask(actions).method, "POST", "it is made anew");
}

#[test]
fn a_refusal_keeps_the_place_and_a_challenge_is_answered_there() {
    for protocol in BOTH {
        let (mut driver, ask) = Driver::going_on(spec(), placed(protocol, LENGTH, 5));
        let wants = head(401, &[("www-authenticate", "Basic realm=\"r\"")]);
        let known = record(&driver.answer_after(ask.request, wants.clone(), 0));
        assert!(known.remote.is_some(), "it waits for its owner");
        let mut spec = spec();
        spec.credentials = Some(crate::http::authorization::Credentials::login("me", "hush"));
        let (mut driver, ask) = Driver::going_on(spec, placed(protocol, LENGTH, 5));
        let again = sole_ask(&driver.answer_after(ask.request, wants, 0));
        assert_eq!(again.method, "HEAD");
        assert!(
            again
                .headers
                .iter()
                .any(|(name, _)| name == "authorization")
        );
        let actions = driver.answer_after(again.request, head(403, &[]), 0);
        assert_eq!(failed_kind(&actions), FailureKind::Status(403));
    }
}

#[test]
fn a_question_that_is_not_answered_in_the_protocol_is_an_error() {
    for protocol in BOTH {
        let (mut driver, ask) = Driver::going_on(spec(), placed(protocol, LENGTH, 5));
        let actions = driver.answer_after(ask.request, head(200, &[]), 0);
        assert_eq!(failed_kind(&actions), FailureKind::Protocol);
    }
}

#[test]
fn a_finished_upload_of_tus_takes_nothing_more_and_says_so_in_two_ways() {
    let (mut driver, ask) = finishing(spec(), Protocol::Tus);
    let actions = driver.answer_after(ask.request, head(403, &[]), 0);
    let question = driver.next_ask(actions);
    assert_eq!(question.method, "HEAD");
    let actions = driver.answer_after(question.request, holding(LENGTH, "?1"), 0);
    assert_eq!(kinds(&actions), ["drain", "release", "inspect"]);
}

#[test]
fn an_empty_file_is_complete_with_the_request_that_makes_its_place() {
    for (protocol, method) in [(Protocol::Tus, "POST"), (IETF, "PUT")] {
        let (mut driver, ask) = Driver::asking(speaking(of(protocol), "PUT"), 0);
        assert_eq!(
            (ask.method.as_str(), ask.body.map(|it| it.length)),
            (method, Some(0))
        );
        let says_more = ask.headers.iter().any(|(_, value)| value == "?0");
        assert!(!says_more, "it is all");
        let made = head(201, &[("location", "/up/1"), ("upload-offset", "0")]);
        let actions = driver.answer_after(ask.request, made, 0);
        assert_eq!(kinds(&actions), ["receive"], "{protocol:?}");
    }
}
