//! Requests that must not be sent twice, interim answers that make them resumable, and the end of
//! uploads that are of no use.

use super::*;
use crate::http::authorization::Credentials;
use crate::limits::{EXPECT_CONTINUE_BYTES_MIN, TERMINATIONS_MAX};
use crate::upload::protocol::Evidence;
use crate::upload::{Unheard, UploadProtocol};

const IETF: Protocol = Protocol::Ietf { interop: 6 };

fn posting(length: u64) -> (Driver, Ask) {
    Driver::asking(post(), length)
}

fn post() -> UploadSpec {
    UploadSpec {
        method: "POST".to_owned(),
        ..spec()
    }
}

fn lost(request: RequestId, kind: FailureKind, sent: u64) -> Input {
    Input::AskFailed {
        request,
        failure: failure(kind),
        sent,
    }
}

/// A machine that makes an offer: the server has proven nothing.
fn offering(method: &str, length: u64) -> (Driver, Ask) {
    let spec = UploadSpec {
        method: method.to_owned(),
        protocol: UploadProtocol::Auto,
        ..spec()
    };
    let (rules, known) = (
        SessionRules::default(),
        Capability::IetfInterim { interop: 6 },
    );
    let (mut driver, _) = Driver::start_knowing(spec, rules, None, Desired::Running, Some(known));
    let actions = driver.feed(Input::Inspected(Ok(source(length))));
    let ask = driver.next_ask(actions);
    (driver, ask)
}

fn interim(request: RequestId, fields: &[(&str, &str)]) -> Input {
    let head = head(104, fields);
    Input::Interim { request, head }
}

const NAMED: [(&str, &str); 2] = [("upload-draft-interop-version", "6"), ("location", "/up/1")];

#[test]
fn a_request_that_must_not_be_repeated_is_on_record_before_it_goes() {
    let (mut driver, _) = Driver::start(post());
    let actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
    assert_eq!(record(&actions).unheard, Unheard::Creation);
    for change in [
        |spec: &mut UploadSpec| spec.is_repeatable = true,
        |spec: &mut UploadSpec| spec.method = "PUT".to_owned(),
        |spec: &mut UploadSpec| spec.headers = vec![("idempotency-key".into(), "k".into())],
    ] {
        let mut spec = post();
        change(&mut spec);
        let (mut driver, _) = Driver::start(spec);
        let actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
        assert_eq!(record(&actions).unheard, Unheard::Nothing);
    }
}

#[test]
fn a_lost_answer_is_final_for_a_request_that_must_not_be_repeated_once_a_byte_has_gone() {
    let table = [
        (FailureKind::Disconnected, LENGTH, LENGTH, true),
        (FailureKind::TimedOut, LENGTH, 1, true),
        (FailureKind::Disconnected, LENGTH, 0, false),
        // The head is all there is of an empty one.
        (FailureKind::Disconnected, 0, 0, true),
        (FailureKind::Connect, 0, 0, false),
        (FailureKind::Resolve, LENGTH, 0, false),
    ];
    for (kind, length, sent, is_unknown) in table {
        let (mut driver, ask) = posting(length);
        let actions = driver.feed(lost(ask.request, kind, sent));
        match is_unknown {
            true => assert_eq!(failed_kind(&actions), FailureKind::OutcomeUnknown),
            false => assert_eq!(record(&actions).unheard, Unheard::Nothing, "{kind:?}"),
        }
        let mut spec = post();
        spec.is_repeatable = true;
        let (mut driver, ask) = Driver::asking(spec, length);
        let actions = driver.feed(lost(ask.request, kind, sent));
        assert!(record(&actions).retry.is_some(), "{kind:?}");
    }
}

#[test]
fn an_error_that_may_hide_a_success_is_final_too_and_a_refusal_is_not() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        for sent in [0, 1, LENGTH] {
            let (mut driver, ask) = posting(LENGTH);
            let actions = driver.answer_after(ask.request, head(status, &[]), sent);
            let is_refusal = matches!(status, 425 | 429 | 503);
            match is_refusal || sent == 0 {
                true => assert!(record(&actions).retry.is_some(), "{status} {sent}"),
                false => assert_eq!(failed_kind(&actions), FailureKind::Status(status)),
            }
        }
    }
}

#[test]
fn a_crash_in_a_request_that_must_not_be_repeated_leaves_the_outcome_unknown() {
    let known = UploadCheckpoint {
        source: Some(source(LENGTH)),
        unheard: Unheard::Creation,
        ..UploadCheckpoint::default()
    };
    let start = |spec, known| {
        let rules = SessionRules {
            resume_data_on_failure: true,
            ..SessionRules::default()
        };
        Driver::start_with(spec, rules, Some(known), Desired::Running)
    };
    let (mut driver, actions) = start(post(), known.clone());
    assert_eq!(
        kinds(&actions),
        ["seal"],
        "another task may be told to repeat it"
    );
    let actions = driver.feed(Input::Sealed(Err(failure(FailureKind::File))));
    assert_eq!(failed_kind(&actions), FailureKind::OutcomeUnknown);
    let mut spec = post();
    spec.is_repeatable = true;
    let (_, actions) = start(spec, known.clone());
    assert_eq!(kinds(&actions), ["inspect"]);
    // A place can be asked.
    let (_, ask) = Driver::going_on(
        post(),
        UploadCheckpoint {
            unheard: Unheard::Creation,
            ..placed(IETF, LENGTH, 0)
        },
    );
    assert_eq!(ask.method, "HEAD");
}

#[test]
fn a_wish_that_ends_a_request_leaves_it_unknown_only_when_all_of_it_had_gone() {
    for (sent, expected) in [(LENGTH - 1, Unheard::Nothing), (LENGTH, Unheard::Creation)] {
        for desired in [Desired::Suspended, Desired::CancelledResumable] {
            let (mut driver, ask) = posting(LENGTH);
            let request = ask.request;
            driver.feed(Input::Sent {
                request,
                bytes: sent,
            });
            let actions = driver.feed(Input::Want(desired));
            match (desired, expected) {
                // So it is on record already.
                (Desired::CancelledResumable, Unheard::Creation) => {
                    assert_eq!(kinds(&actions), ["stop", "seal"]);
                }
                _ => assert_eq!(record(&actions).unheard, expected, "{sent}"),
            }
        }
    }
}

#[test]
fn what_was_taken_before_a_303_is_not_sent_again_whatever_comes_of_that() {
    let (mut driver, ask) = posting(LENGTH);
    let actions = driver.answer(ask.request, head(303, &[("location", "/page")]));
    let page = sole_ask(&actions);
    let wants = head(401, &[("www-authenticate", "Basic realm=\"r\"")]);
    let actions = driver.answer_after(page.request, wants, 0);
    assert_eq!(record(&actions).unheard, Unheard::Creation);
    let (mut driver, ask) = posting(LENGTH);
    let page = sole_ask(&driver.answer(ask.request, head(303, &[("location", "/page")])));
    let actions = driver.answer_after(page.request, head(503, &[]), 0);
    assert_eq!(failed_kind(&actions), FailureKind::Status(503));
}

#[test]
fn a_104_counts_in_the_version_that_was_offered_only() {
    let other = [("upload-draft-interop-version", "8"), ("location", "/up/1")];
    let none = [("location", "/up/1")];
    for fields in [&other[..], &none[..], &[]] {
        let (mut driver, ask) = offering("PUT", LENGTH);
        let request = ask.request;
        let actions = driver.feed(interim(request, fields));
        assert_eq!(actions, [Action::Proceed(request)]);
        driver.answer(request, head(201, &[]));
        let expected = match fields == other {
            true => Evidence::OtherVersion(8),
            false => Evidence::Nothing,
        };
        assert_eq!(driver.agreed[0].evidence, expected);
        assert_eq!(driver.agreed[0].protocol, Protocol::Plain);
    }
    // An interim answer of another kind lets the body flow.
    let (mut driver, ask) = offering("PUT", LENGTH);
    let (request, head) = (ask.request, head(103, &NAMED));
    let actions = driver.feed(Input::Interim { request, head });
    assert_eq!(actions, [Action::Proceed(request)]);
}

#[test]
fn the_body_waits_until_the_place_is_on_record_and_an_answer_does_not() {
    let (mut driver, ask) = offering("POST", LENGTH);
    let actions = driver.feed(interim(ask.request, &NAMED));
    assert_eq!(kinds(&actions), ["remember", "record"]);
    let actions = driver.feed(interim(ask.request, &NAMED));
    assert!(actions.is_empty(), "the same again: {actions:?}");
    let actions = driver.answer(ask.request, head(201, &[]));
    assert_eq!(kinds(&actions), ["receive"]);
    assert!(driver.feed(Input::Recorded(Ok(()))).is_empty());
}

#[test]
fn a_record_of_a_place_that_fails_ends_the_machine() {
    let (mut driver, ask) = offering("POST", LENGTH);
    driver.feed(interim(ask.request, &NAMED));
    let actions = driver.feed(Input::Recorded(Err(failure(FailureKind::Store))));
    assert_eq!(kinds(&actions), ["stop", "exit"]);
    assert_eq!(exit(&actions), Exit::Fenced);
}

#[test]
fn progress_of_the_server_is_acknowledged_and_what_can_not_be_is_not() {
    let (mut driver, ask) = offering("PUT", LENGTH);
    driver.feed(interim(ask.request, &NAMED));
    driver.feed(Input::Recorded(Ok(())));
    for (offset, expected) in [("400", 400), ("300", 400), ("1001", 400), ("900", 900)] {
        let fields = [
            ("upload-draft-interop-version", "6"),
            ("upload-offset", offset),
        ];
        let actions = driver.feed(interim(ask.request, &fields));
        assert_eq!(actions, [Action::Proceed(ask.request)]);
        assert_eq!(
            driver.machine.progress().acknowledged_bytes,
            expected,
            "{offset}"
        );
    }
}

#[test]
fn a_request_that_was_made_resumable_is_asked_about_and_not_sent_again() {
    let wants = head(401, &[("www-authenticate", "Basic realm=\"r\"")]);
    let length = 2 * EXPECT_CONTINUE_BYTES_MIN;
    for answer in [wants, head(417, &[]), head(413, &[]), head(409, &[])] {
        let (mut driver, ask) = offering("POST", length);
        driver.machine.spec.credentials = Some(Credentials::login("me", "hush"));
        driver.feed(interim(ask.request, &NAMED));
        driver.feed(Input::Recorded(Ok(())));
        let actions = driver.answer_after(ask.request, answer.clone(), 10);
        let question = driver.next_ask(actions);
        assert_eq!(question.method, "HEAD", "{answer:?}");
        assert_eq!(question.url.as_str(), "https://origin.example/up/1");
    }
}

#[test]
fn the_answer_to_an_offer_may_say_that_more_is_wanted() {
    let (mut driver, ask) = offering("PUT", LENGTH);
    let fields = [
        ("location", "/up/1"),
        ("upload-offset", "600"),
        ("upload-complete", "?0"),
    ];
    let actions = driver.answer(ask.request, head(201, &fields));
    let rest = driver.next_ask(actions);
    assert_eq!(
        rest.body.map(|body| (body.offset, body.length)),
        Some((600, 400))
    );
    let (mut driver, ask) = offering("PUT", LENGTH);
    let actions = driver.answer(ask.request, head(201, &fields[1..]));
    assert_eq!(
        failed_kind(&actions),
        FailureKind::Protocol,
        "and nowhere to send it"
    );
    let (mut driver, ask) = offering("PUT", LENGTH);
    let fields = [("upload-offset", "600"), ("upload-complete", "?1")];
    let actions = driver.answer(ask.request, head(201, &fields));
    assert_eq!(failed_kind(&actions), FailureKind::Integrity);
}

#[test]
fn a_server_is_asked_to_remove_a_few_times_and_the_task_ends_whatever_comes() {
    let known = placed(Protocol::Tus, LENGTH, 5);
    let start = || {
        let known = Some(known.clone());
        Driver::start_with(spec(), SessionRules::default(), known, Desired::Cancelled)
    };
    for status in [200, 204, 404, 405, 410, 403] {
        let (mut driver, actions) = start();
        let actions = driver.answer_after(sole_ask(&actions).request, head(status, &[]), 0);
        assert_eq!(outcome(&actions), Outcome::Cancelled, "{status}");
    }
    let (mut driver, actions) = start();
    let mut ask = sole_ask(&actions);
    let mut pauses = Vec::new();
    for _ in 1..TERMINATIONS_MAX {
        let actions = driver.feed(lost(ask.request, FailureKind::Connect, 0));
        assert_eq!(kinds(&actions), ["stop"]);
        let due = driver.machine.poll_timeout().expect("it is asked again");
        pauses.push(due.as_unix_ms() - driver.now_ms);
        assert!(driver.feed(Input::Tick).is_empty(), "not sooner");
        assert!(driver.feed(Input::Want(Desired::Cancelled)).is_empty());
        driver.now_ms = due.as_unix_ms();
        ask = sole_ask(&driver.feed(Input::Tick));
        assert_eq!(ask.method, "DELETE");
    }
    assert_eq!(pauses, [1000, 2000]);
    let actions = driver.feed(lost(ask.request, FailureKind::Connect, 0));
    assert_eq!(outcome(&actions), Outcome::Cancelled);
}

#[test]
fn only_a_cancelled_or_spoilt_upload_is_removed() {
    let mut kept = placed(Protocol::Tus, LENGTH, 5);
    kept.remote.as_mut().expect("a place").can_terminate = false;
    let rules = SessionRules::default;
    let (_, actions) = Driver::start_with(spec(), rules(), Some(kept), Desired::Cancelled);
    assert_eq!(actions, [Action::Close(Outcome::Cancelled)]);
    let known = || Some(placed(Protocol::Tus, LENGTH, 5));
    let wish = Desired::CancelledResumable;
    let (_, actions) = Driver::start_with(spec(), rules(), known(), wish);
    assert_eq!(actions, [Action::Seal]);
    let (mut driver, ask) = Driver::going_on(spec(), placed(Protocol::Tus, LENGTH, 5));
    let actions = driver.answer_after(ask.request, head(415, &[]), 0);
    assert_eq!(
        failed_kind(&actions),
        FailureKind::Status(415),
        "it may go on later"
    );
}

#[test]
fn a_file_that_has_changed_ends_the_upload_and_removes_what_the_server_has() {
    for change in ["before", "while", "after"] {
        let known = placed(Protocol::Tus, LENGTH, 5);
        let (mut driver, actions) = match change {
            "before" => {
                let rules = SessionRules::default();
                let (mut driver, _) =
                    Driver::start_with(spec(), rules, Some(known), Desired::Running);
                let actions = driver.feed(Input::Inspected(Ok(source(LENGTH + 1))));
                (driver, actions)
            }
            "while" => {
                let (mut driver, ask) = Driver::going_on(spec(), known);
                let held = head(204, &[("upload-offset", "5")]);
                let actions = driver.answer_after(ask.request, held, 0);
                let ask = driver.next_ask(actions);
                let actions = driver.feed(lost(ask.request, FailureKind::SourceChanged, 7));
                (driver, actions)
            }
            _ => {
                let (mut driver, ask) = Driver::going_on(spec(), known);
                let held = head(204, &[("upload-offset", "1000")]);
                driver.answer_after(ask.request, held, 0);
                let actions = driver.feed(Input::Inspected(Ok(source(LENGTH + 1))));
                (driver, actions)
            }
        };
        let removal = sole_ask(&actions);
        assert_eq!(removal.method, "DELETE", "{change}");
        let actions = driver.answer_after(removal.request, head(405, &[]), 0);
        assert_eq!(
            failed_kind(&actions),
            FailureKind::SourceChanged,
            "{change}"
        );
    }
}

#[test]
fn the_fields_of_the_last_answer_are_kept_without_secrets_and_up_to_a_limit() {
    let long = "x".repeat(crate::limits::RESPONSE_HEADER_BYTES_MAX);
    let fields = [
        ("ETag", "\"a\""),
        ("Set-Cookie", "id=hush"),
        ("Authentication-Info", "hush"),
        ("Location", "/made"),
        ("X-Long", &long),
        ("X-Last", "1"),
    ];
    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    driver.answer(ask.request, head(201, &fields));
    driver.feed(Input::Received(Vec::new()));
    let Outcome::Uploaded(done) = outcome(&driver.feed(Input::Inspected(Ok(source(LENGTH)))))
    else {
        panic!("it was uploaded")
    };
    let expected = [("etag", "\"a\""), ("location", "/made")];
    assert_eq!(
        done.headers,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}
