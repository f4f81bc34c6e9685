//! The body of an error status as the file, for who accepts it.

use super::*;
use crate::checksum::Digest;
use crate::limits::RESTARTS_MAX;
use crate::task::Finished;

fn accepting() -> DownloadSpec {
    DownloadSpec {
        accept_error_status: true,
        ..spec()
    }
}

fn target() -> PathBuf {
    PathBuf::from("/d/f")
}

fn digest() -> Digest {
    format!("sha-256={}", "00".repeat(32))
        .parse()
        .expect("a digest")
}

/// All 1000 bytes of the body of a 404, as a record in this stage has them.
fn held_error(stage: Stage, written: u64) -> Checkpoint {
    let span = SpanRecord {
        start: 0,
        end: Some(1000),
        written,
        synced: 0,
        tail: [0; 32],
    };
    Checkpoint {
        stage,
        status: Some(404),
        validator: Validator::None,
        spans: vec![span],
        ..checkpoint()
    }
}

#[test]
fn it_is_delivered_with_its_status() {
    let (mut driver, ask) = Driver::fresh(accepting());
    let actions = driver.head(ask.conn, 404, &[ETAG, ("content-length", "1000")]);
    let body = stream(&actions);
    assert_eq!((body.from, body.until), (0, Some(1000)));
    driver.feed(Input::PartReady(part(1)));
    driver.wrote(ask.conn, 1000);
    let saved = record(&driver.ended(ask.conn));
    assert_eq!(
        (saved.status, saved.validator),
        (Some(404), Validator::None),
        "nothing to go on with"
    );
    driver.recorded();
    let Outcome::Finished(finished) = closed(&driver.feed(Input::Published(Ok(())))) else {
        panic!("not finished")
    };
    assert_eq!((finished.status, finished.bytes), (404, 1000));
}

#[test]
fn a_held_part_is_forgotten_before_the_first_byte_of_an_error() {
    // Also when the resource has changed as often as it may: an error is no change of it.
    for restarts in [0, RESTARTS_MAX] {
        let saved = Checkpoint {
            restarts,
            ..checkpoint()
        };
        let (mut driver, actions) = Driver::recovered(accepting(), saved, found(1));
        let ask = sole_ask(&actions);
        assert_eq!(field(&ask, "range"), Some("bytes=400-"));
        let actions = driver.head(ask.conn, 403, &[ETAG, ("content-length", "600")]);
        assert_eq!(kinds(&actions), ["record"]);
        assert_eq!(record(&actions).spans, [], "{restarts}");
        let body = stream(&driver.recorded());
        assert_eq!((body.from, body.until), (0, Some(600)));
        assert!(matches!(body.part, PartUse::Create(_)), "a new file");
    }
}

#[test]
fn it_is_no_file_while_another_connection_may_bring_one() {
    let spec = DownloadSpec {
        connections: 2,
        ..accepting()
    };
    let (mut driver, first, actions) = Driver::streaming(spec, 64 * MIB);
    let second = sole_ask(&actions).conn;
    let actions = driver.head(second, 403, &[("content-length", "9")]);
    assert_eq!(kinds(&actions), ["drain"]);
    driver.wrote(first, 32 * MIB);
    let ask = sole_ask(&driver.ended(first));
    assert_eq!(
        field(&ask, "range"),
        Some("bytes=33554432-"),
        "the rest is asked for again"
    );
}

#[test]
fn it_is_never_gone_on_with() {
    let finishing = || Stage::Finishing(target());
    let table = [
        ("broken", held_error(Stage::Transferring, 400), true, "ask"),
        ("whole", held_error(Stage::Transferring, 1000), true, "ask"),
        (
            "about to be published",
            held_error(finishing(), 1000),
            true,
            "record",
        ),
        (
            "not accepted any more",
            held_error(finishing(), 1000),
            false,
            "ask",
        ),
    ];
    for (name, saved, accept_error_status, expected) in table {
        let spec = DownloadSpec {
            accept_error_status,
            allow_unvalidated_resume: true,
            ..spec()
        };
        let (_, actions) = Driver::recovered(spec, saved, found(1));
        assert_eq!(kinds(&actions), [expected], "{name}");
        if expected == "ask" {
            assert_eq!(
                field(&sole_ask(&actions), "range"),
                None,
                "{name}: from zero"
            );
        }
    }
}

#[test]
fn an_answer_that_asks_to_come_back_is_delivered_when_no_attempt_is_left() {
    let fields = [("content-length", "9"), ("retry-after", "1")];
    for (retries_max, expected) in [(Some(0), "stream"), (Some(1), "drain"), (None, "drain")] {
        let rules = SessionRules {
            retries_max,
            ..SessionRules::default()
        };
        let (mut driver, ask) = Driver::fresh_with(accepting(), rules);
        let actions = driver.head(ask.conn, 503, &fields);
        assert_eq!(kinds(&actions)[0], expected, "{retries_max:?}");
    }
}

#[test]
fn a_challenge_waits_for_credentials_and_keeps_the_bytes() {
    for status in [401, 407] {
        let (mut driver, actions) = Driver::recovered(accepting(), checkpoint(), found(1));
        let conn = sole_ask(&actions).conn;
        let actions = driver.head(conn, status, &[("content-length", "9")]);
        let saved = record(&actions);
        let is_waiting = matches!(saved.stage, Stage::AwaitingAuthorization(_));
        assert!(is_waiting, "{status}: {:?}", saved.stage);
        assert_eq!(saved.spans[0].written, 400, "{status}");
    }
}

#[test]
fn what_the_owner_expects_holds_for_the_body_of_an_error_too() {
    let with_length = DownloadSpec {
        length: Some(9),
        ..accepting()
    };
    let (mut driver, ask) = Driver::fresh(with_length);
    let actions = driver.head(ask.conn, 404, &[("content-length", "1000")]);
    assert_eq!(failed(&actions), FailureKind::Integrity);

    let with_digest = DownloadSpec {
        digests: vec![digest()],
        ..accepting()
    };
    let (mut driver, ask) = Driver::fresh(with_digest);
    driver.head(ask.conn, 404, &[("content-length", "1000")]);
    driver.feed(Input::PartReady(part(1)));
    driver.wrote(ask.conn, 1000);
    assert!(kinds(&driver.ended(ask.conn)).contains(&"verify"));
}

#[test]
fn a_published_file_is_held_against_what_the_owner_expects_by_now() {
    let published = || Found::Published(token(1));
    let named = Part {
        path: target(),
        ..part(1)
    };
    let saved = |status| Checkpoint {
        status: Some(status),
        ..held_error(Stage::Finishing(target()), 1000)
    };
    // An error that nobody accepts any more makes way for the next answer.
    let (mut driver, actions) = Driver::recovered(spec(), saved(404), published());
    assert_eq!(actions, [Action::Discard(named.clone())]);
    assert_eq!(kinds(&driver.feed(Input::Discarded)), ["ask"]);
    let (_, actions) = Driver::recovered(accepting(), saved(404), published());
    let finished = |status| {
        Outcome::Finished(Finished {
            path: target(),
            bytes: 1000,
            length_unverified: false,
            status,
        })
    };
    assert_eq!(closed(&actions), finished(404));

    let with_length = DownloadSpec {
        length: Some(999),
        ..spec()
    };
    let (mut driver, actions) = Driver::recovered(with_length, saved(200), published());
    assert_eq!(kinds(&actions), ["discard"]);
    assert_eq!(
        failed(&driver.feed(Input::Discarded)),
        FailureKind::Integrity
    );

    let with_digest = DownloadSpec {
        digests: vec![digest()],
        ..spec()
    };
    let table = [
        (Ok(()), "close"),
        (Err(failure(FailureKind::Integrity)), "discard"),
        (Err(failure(FailureKind::File)), "close"),
    ];
    for (result, expected) in table {
        let (mut driver, actions) = Driver::recovered(with_digest.clone(), saved(200), published());
        let Some(Action::Verify(order)) = actions.last() else {
            panic!("not verified: {actions:?}")
        };
        assert_eq!(order.published.as_ref(), Some(&named));
        assert_eq!(order.digests, [digest()]);
        let actions = driver.feed(Input::Verified(result.clone()));
        assert_eq!(kinds(&actions), [expected], "{result:?}");
        match result {
            Ok(()) => assert_eq!(closed(&actions), finished(200)),
            Err(failure) if expected == "close" => assert_eq!(failed(&actions), failure.kind()),
            Err(_) => assert_eq!(
                failed(&driver.feed(Input::Discarded)),
                FailureKind::Integrity
            ),
        }
    }
}
