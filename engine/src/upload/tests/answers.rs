//! What each answer means, early or late.

use super::*;
use crate::checkpoint::Retry;
use crate::download::News;
use crate::task::{Phase, Progress, Uploaded};

#[test]
fn an_upload_is_done_when_a_success_follows_every_byte_and_only_then() {
    for status in [200, 201, 202, 204, 226] {
        let (mut driver, ask) = Driver::asking(spec(), LENGTH);
        let actions = driver.answer(ask.request, head(status, &[]));
        assert_eq!(kinds(&actions), ["receive"], "{status}");
        let actions = driver.feed(Input::Received(b"receipt".to_vec()));
        assert_eq!(kinds(&actions), ["release", "inspect"]);
        let actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
        assert_eq!(kinds(&actions), ["close"]);
        let done = Outcome::Uploaded(Uploaded {
            headers: Vec::new(),
            status,
            bytes: LENGTH,
            response: b"receipt".to_vec(),
        });
        assert_eq!(outcome(&actions), done);
        let actions = driver.feed(Input::Closed(done.clone()));
        assert_eq!(actions, [Action::Exit(Exit::Ended(done))]);

        let (mut driver, ask) = Driver::asking(spec(), LENGTH);
        let actions = driver.answer_after(ask.request, head(status, &[]), LENGTH - 1);
        assert_eq!(failed_kind(&actions), FailureKind::Protocol, "{status}");
    }
}

#[test]
fn an_empty_file_is_done_like_any_other() {
    let (mut driver, ask) = Driver::asking(spec(), 0);
    assert_eq!(ask.body.map(|body| body.length), Some(0));
    let actions = driver.answer_after(ask.request, head(201, &[]), 0);
    assert_eq!(kinds(&actions), ["receive"]);
}

#[test]
fn what_may_pass_by_itself_is_tried_again_from_zero_and_all_else_fails() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        for sent in [0, 10, LENGTH] {
            let (mut driver, ask) = Driver::asking(spec(), LENGTH);
            let after = [("retry-after", "120")];
            let actions = driver.answer_after(ask.request, head(status, &after), sent);
            assert_eq!(kinds(&actions), ["stop", "record"], "{status}");
            let known = record(&actions);
            let Retry { at, cause, .. } = known.retry.expect("it waits");
            assert_eq!(cause.kind(), FailureKind::Status(status));
            assert!(at.as_unix_ms() >= driver.now_ms + 120_000, "{status}");
            assert_eq!(
                (known.attempts_failed, known.source),
                (1, Some(source(LENGTH)))
            );
            let actions = driver.feed(Input::Recorded(Ok(())));
            assert_eq!(exit(&actions), Exit::Retry { at, cause });
        }
    }
    for status in [
        400, 403, 404, 405, 409, 411, 412, 413, 415, 422, 501, 505, 507,
    ] {
        let (mut driver, ask) = Driver::asking(spec(), LENGTH);
        let actions = driver.answer_after(ask.request, head(status, &[]), 10);
        assert_eq!(kinds(&actions), ["stop", "close"], "{status}");
        assert_eq!(failed_kind(&actions), FailureKind::Status(status));
    }
    for status in [300, 304, 305, 399] {
        let (mut driver, ask) = Driver::asking(spec(), LENGTH);
        let actions = driver.answer(ask.request, head(status, &[]));
        assert_eq!(failed_kind(&actions), FailureKind::Protocol, "{status}");
    }
}

#[test]
fn attempts_are_bounded_when_asked() {
    let rules = SessionRules {
        retries_max: Some(1),
        ..SessionRules::default()
    };
    let known = |attempts_failed| UploadCheckpoint {
        source: Some(source(LENGTH)),
        attempts_failed,
        ..UploadCheckpoint::default()
    };
    for (before, fails) in [(0, false), (1, true)] {
        let checkpoint = Some(known(before));
        let (mut driver, _) =
            Driver::start_with(spec(), rules.clone(), checkpoint, Desired::Running);
        let ask = sole_ask(&driver.feed(Input::Inspected(Ok(source(LENGTH)))));
        let actions = driver.answer(ask.request, head(503, &[]));
        assert_eq!(kinds(&actions).contains(&"close"), fails, "{before}");
    }
}

#[test]
fn a_redirect_keeps_method_and_body_and_only_see_other_turns_them_into_a_get() {
    for method in ["PUT", "POST"] {
        for status in [301, 302, 303, 307, 308] {
            let mut spec = spec();
            spec.method = method.to_owned();
            spec.headers = vec![("content-type".into(), "a/b".into())];
            let (mut driver, ask) = Driver::asking(spec, LENGTH);
            let actions = driver.answer(ask.request, head(status, &[("location", "/g")]));
            assert_eq!(kinds(&actions), ["drain", "ask"], "{method} {status}");
            let next = sole_ask(&actions);
            assert_eq!(next.url.as_str(), "https://origin.example/g");
            let is_get = status == 303;
            let expected = if is_get { "GET" } else { method };
            assert_eq!(next.method, expected, "{method} {status}");
            assert_eq!(next.body.is_none(), is_get, "{method} {status}");
            assert_eq!(
                next.headers.is_empty(),
                is_get,
                "fields of a body go with it"
            );
            let sent = if is_get { 0 } else { LENGTH };
            let actions = driver.answer_after(next.request, head(200, &[]), sent);
            assert_eq!(kinds(&actions), ["receive"], "{method} {status}");
        }
    }
}

#[test]
fn see_other_before_the_file_was_taken_is_no_success() {
    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    let actions = driver.answer_after(ask.request, head(303, &[("location", "/g")]), LENGTH - 1);
    assert_eq!(failed_kind(&actions), FailureKind::Redirect);
}

#[test]
fn the_body_of_a_redirected_request_counts_from_zero() {
    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    let actions = driver.answer(ask.request, head(307, &[("location", "/g")]));
    let next = sole_ask(&actions);
    let actions = driver.answer_after(next.request, head(200, &[]), 10);
    assert_eq!(failed_kind(&actions), FailureKind::Protocol);
}

#[test]
fn secrets_do_not_cross_an_origin_and_the_type_of_the_body_does() {
    let mut spec = spec();
    spec.credentials = Some(crate::http::authorization::Credentials::Bearer("t".into()));
    spec.headers = [
        ("x-api-key", "hush"),
        ("Content-Type", "a/b"),
        ("user-agent", "me"),
        ("cookie", "hush"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let (mut driver, ask) = Driver::asking(spec, LENGTH);
    let there = head(308, &[("location", "https://other.example/g")]);
    let next = sole_ask(&driver.answer(ask.request, there));
    let names =
        |ask: &Ask| -> Vec<String> { ask.headers.iter().map(|(name, _)| name.clone()).collect() };
    assert_eq!(names(&next), ["Content-Type", "user-agent"]);
    // Back again: who was away once may be anybody.
    let back = head(308, &[("location", "https://origin.example/f")]);
    let next = sole_ask(&driver.answer(next.request, back));
    assert_eq!(names(&next), ["Content-Type", "user-agent"]);
    let basic = head(401, &[("www-authenticate", "Bearer")]);
    let actions = driver.answer(next.request, basic);
    assert_eq!(asked(&actions).host, "origin.example:443");
}

#[test]
fn a_redirect_that_may_not_be_followed_fails() {
    let table: [(&[(&str, &str)], bool); 4] = [
        (&[], false),
        (&[("location", "http://origin.example/g")], false),
        (&[("location", "http://origin.example/g")], true),
        (&[("location", "ftp://origin.example/g")], true),
    ];
    for (fields, allow_downgrade) in table {
        let mut spec = spec();
        spec.allow_downgrade = allow_downgrade;
        let (mut driver, ask) = Driver::asking(spec, LENGTH);
        let actions = driver.answer(ask.request, head(307, fields));
        let follows = allow_downgrade && fields[0].1.starts_with("http:");
        assert_eq!(kinds(&actions).contains(&"ask"), follows, "{fields:?}");
        if !follows {
            assert_eq!(failed_kind(&actions), FailureKind::Redirect);
        }
    }
    let (mut driver, mut ask) = Driver::asking(spec(), LENGTH);
    let mut followed = 0;
    loop {
        let actions = driver.answer(ask.request, head(307, &[("location", "/loop")]));
        if kinds(&actions).contains(&"close") {
            assert_eq!(failed_kind(&actions), FailureKind::Redirect);
            break;
        }
        followed += 1;
        ask = sole_ask(&actions);
    }
    assert_eq!(followed, crate::limits::REDIRECTS_MAX);
}

#[test]
fn phases_follow_the_bytes() {
    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    let mut phase_after = |bytes| {
        driver.now_ms += 200;
        let request = ask.request;
        driver.feed(Input::Sent { request, bytes });
        driver.now_ms += 200;
        driver.feed(Input::Tick);
        driver.machine.told.phase.told().clone()
    };
    assert_eq!(phase_after(0), Phase::Connecting);
    assert_eq!(phase_after(1), Phase::Transferring);
    assert_eq!(phase_after(LENGTH - 1), Phase::Transferring);
    assert_eq!(phase_after(LENGTH), Phase::Finishing);
}

#[test]
fn what_it_does_is_told_within_100_ms_though_the_server_takes_nothing_more() {
    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    let request = ask.request;
    driver.feed(Input::Sent { request, bytes: 1 });
    let due = driver.machine.poll_timeout().expect("it is to be told");
    assert_eq!(due.as_unix_ms(), START_MS + 100);
    driver.now_ms = START_MS + 99;
    let told = driver.feed(Input::Tick);
    let is_both = matches!(
        told[..],
        [
            Action::Tell(News::Phase(Phase::Transferring)),
            Action::Tell(News::Progress(Progress { sent_bytes: 1, .. }))
        ]
    );
    assert!(is_both, "{told:?}");
    assert_eq!(driver.feed(Input::Sent { request, bytes: 2 }), []);
    let due = driver.machine.poll_timeout().expect("it is to be told");
    assert_eq!(due.as_unix_ms(), driver.now_ms + 99, "not sooner");
}
