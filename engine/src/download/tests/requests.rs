//! What is asked, of whom, and what the answers lead to.

use super::*;
use crate::checkpoint::Retry;
use crate::http::authorization::Credentials;

#[test]
fn a_fresh_download_takes_the_length_from_the_answer() {
    type Row = (
        &'static str,
        &'static [(&'static str, &'static str)],
        Option<u64>,
    );
    let table: [Row; 4] = [
        ("a length", &[("content-length", "1000")], Some(1000)),
        ("no bytes", &[("content-length", "0")], Some(0)),
        ("chunked", &[("transfer-encoding", "chunked")], None),
        ("to the close", &[], None),
    ];
    for (name, fields, expected) in table {
        let (mut driver, ask) = Driver::fresh(spec());
        assert_eq!(field(&ask, "range"), None, "{name}");
        let stream = stream(&driver.head(ask.conn, 200, fields));
        assert_eq!((stream.from, stream.until), (0, expected), "{name}");
        let PartUse::Create(plan) = stream.part else {
            panic!("{name}: no new part file")
        };
        assert_eq!(
            (plan.length, plan.target),
            (expected, PathBuf::from("/d/f")),
            "{name}"
        );
    }
}

#[test]
fn the_last_chunk_tells_the_length() {
    let (mut driver, ask) = Driver::fresh(spec());
    driver.head(ask.conn, 200, &[ETAG, ("transfer-encoding", "chunked")]);
    driver.feed(Input::PartReady(part(1)));
    driver.wrote(ask.conn, 77);
    let checkpoint = record(&driver.ended(ask.conn));
    assert_eq!(checkpoint.stage, Stage::Finishing(PathBuf::from("/d/f")));
    assert_eq!(
        (checkpoint.total, checkpoint.length_unverified),
        (Some(77), false)
    );
}

#[test]
fn a_body_that_ends_with_its_connection_is_marked_as_unverified() {
    let (mut driver, ask) = Driver::fresh(spec());
    driver.head(ask.conn, 200, &[ETAG]);
    driver.feed(Input::PartReady(part(1)));
    driver.wrote(ask.conn, 77);
    let checkpoint = record(&driver.ended(ask.conn));
    assert!(checkpoint.length_unverified);
    assert_eq!(
        checkpoint.validator,
        Validator::None,
        "it must not be continued either"
    );
}

#[test]
fn a_redirect_keeps_secrets_at_home_and_a_cut_goes_back_to_the_first_url() {
    let mut spec = spec();
    spec.headers = ["cookie", "x-api-key", "accept"]
        .map(|n| (n.to_owned(), "v".to_owned()))
        .into();
    spec.credentials = Some(Credentials::Bearer("t".to_owned()));
    let (mut driver, ask) = Driver::fresh(spec.clone());
    assert_eq!(field(&ask, "authorization"), Some("Bearer t"));
    let (mut ask, mut known) = (ask, Vec::new());
    for place in [
        "/same",
        "https://cdn.example/f",
        "https://origin.example/back",
    ] {
        let actions = driver.head(ask.conn, 302, &[("location", place)]);
        assert_eq!(kinds(&actions), ["drain", "ask"], "{place}");
        ask = sole_ask(&actions);
        let secrets =
            ["cookie", "x-api-key", "authorization"].map(|name| field(&ask, name).is_some());
        known.push((ask.url.as_str().to_owned(), secrets));
        assert_eq!(field(&ask, "accept"), Some("v"), "{place}");
    }
    assert_eq!(
        known[0],
        ("https://origin.example/same".to_owned(), [true; 3])
    );
    assert_eq!(known[1], ("https://cdn.example/f".to_owned(), [false; 3]));
    assert_eq!(
        known[2].1, [false; 3],
        "who was abroad may have been told where to go back to"
    );

    driver.head(ask.conn, 200, &[ETAG, ("content-length", "1000")]);
    driver.feed(Input::PartReady(part(1)));
    driver.wrote(ask.conn, 400);
    let saved = record(&driver.broke(ask.conn));
    let (_, actions) = Driver::recovered(spec.clone(), saved, found(1));
    let ask = sole_ask(&actions);
    assert_eq!(ask.url, spec.url);
    assert_eq!(field(&ask, "range"), Some("bytes=400-"));
}

#[test]
fn redirects_end_at_their_limit_and_at_forbidden_places() {
    let (mut driver, ask) = Driver::fresh(spec());
    let mut actions = Vec::new();
    for _ in 0..=20 {
        actions = driver.head(ask.conn, 302, &[("location", "/on")]);
    }
    assert_eq!(kinds(&actions), ["drain", "record"]);
    assert_eq!(failed(&driver.recorded()), FailureKind::Redirect);
    for place in ["http://origin.example/f", "ftp://origin.example/f", ""] {
        let (mut driver, ask) = Driver::fresh(spec());
        driver.head(ask.conn, 307, &[("location", place)]);
        assert_eq!(
            failed(&driver.recorded()),
            FailureKind::Redirect,
            "{place:?}"
        );
    }
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    for (status, fields, least_ms, most_ms) in [
        (429, vec![("retry-after", "120")], 120_000, 121_000),
        (
            503,
            vec![("retry-after", "999999999")],
            86_400_000,
            86_401_000,
        ),
        (503, vec![], 0, 1_000),
        (500, vec![], 0, 1_000),
    ] {
        let (mut driver, ask) = Driver::fresh(spec());
        let saved = record(&driver.head(ask.conn, status, &fields));
        let Retry { at, cause, .. } = saved.retry.expect("it waits");
        let delay = at.as_unix_ms() - START_MS;
        assert!(
            (least_ms..=most_ms).contains(&delay),
            "{status}: {delay} ms"
        );
        assert_eq!(
            (cause.kind(), saved.attempts_failed),
            (FailureKind::Status(status), 1)
        );
        assert_eq!(exit(&driver.recorded()), Exit::Retry { at, cause });
    }
}

#[test]
fn attempts_without_a_byte_are_counted_across_machines_and_bounded() {
    let rules = SessionRules {
        retries_max: Some(2),
        ..SessionRules::default()
    };
    let mut saved = None;
    for attempt in 1..=3 {
        let (mut driver, actions) = Driver::start(spec(), rules.clone(), saved.clone());
        let actions = match saved {
            Some(_) => driver.feed(Input::Recovered(Found::Nothing)),
            None => actions,
        };
        let ask = sole_ask(&actions);
        let next = record(&driver.head(ask.conn, 500, &[]));
        assert_eq!(next.attempts_failed, attempt);
        let end = driver.recorded();
        match attempt {
            1 | 2 => assert!(matches!(exit(&end), Exit::Retry { .. })),
            _ => assert_eq!(failed(&end), FailureKind::Status(500)),
        }
        saved = Some(next);
    }
}

#[test]
fn new_bytes_reset_the_count_of_attempts() {
    let before = Checkpoint {
        attempts_failed: 9,
        ..checkpoint()
    };
    let (mut driver, actions) = Driver::recovered(spec(), before, found(1));
    let conn = sole_ask(&actions).conn;
    driver.head(conn, 206, &[ETAG, ("content-range", "bytes 400-999/1000")]);
    driver.wrote(conn, 401);
    assert_eq!(record(&driver.broke(conn)).attempts_failed, 1);
}

#[test]
fn what_no_attempt_can_help_fails_at_once_and_keeps_the_bytes() {
    type Row = (u16, &'static [(&'static str, &'static str)], FailureKind);
    let table: [Row; 5] = [
        (404, &[], FailureKind::Status(404)),
        (403, &[], FailureKind::Status(403)),
        (304, &[], FailureKind::Protocol),
        (
            206,
            &[
                ETAG,
                ("content-range", "bytes 400-999/1000"),
                ("content-length", "7"),
            ],
            FailureKind::Protocol,
        ),
        (
            200,
            &[("content-encoding", "gzip"), ("content-length", "7")],
            FailureKind::Encoded,
        ),
    ];
    for (status, fields, kind) in table {
        let (mut driver, actions) = Driver::recovered(spec(), checkpoint(), found(1));
        let conn = sole_ask(&actions).conn;
        let saved = record(&driver.head(conn, status, fields));
        assert_eq!(saved.spans[0].written, 400, "{status}");
        assert_eq!(failed(&driver.recorded()), kind, "{status}");
    }
}
