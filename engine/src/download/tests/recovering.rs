//! From a checkpoint: what is believed, what is asked, what is started from zero.

use super::*;
use crate::limits::RESTARTS_MAX;

#[test]
fn what_is_believed_is_not_asked_for_again() {
    for (boot, from) in [(1, 400), (2, 300)] {
        let (mut driver, actions) = Driver::recovered(spec(), checkpoint(), found(boot));
        let ask = sole_ask(&actions);
        assert_eq!(
            field(&ask, "range"),
            Some(format!("bytes={from}-").as_str()),
            "boot {boot}"
        );
        assert_eq!(field(&ask, "if-range"), Some("\"a\""));
        let range = format!("bytes {from}-999/1000");
        let actions = driver.head(ask.conn, 206, &[ETAG, ("content-range", &range)]);
        let stream = stream(&actions);
        assert_eq!((stream.from, stream.until), (from, Some(1000)));
        assert_eq!(stream.part, PartUse::Existing);
        assert!(
            actions
                .iter()
                .any(|action| matches!(action, Action::Tell(News::Resumed(_))))
        );
    }
}

#[test]
fn without_a_validator_it_starts_from_zero() {
    let weak = Validator::Tag(EntityTag::parse("W/\"a\"").expect("a tag"));
    let young = Validator::Date {
        last_modified_s: 5,
        strong: false,
    };
    for validator in [Validator::None, weak, young] {
        let saved = Checkpoint {
            validator,
            ..checkpoint()
        };
        let (_, actions) = Driver::recovered(spec(), saved, found(1));
        let ask = sole_ask(&actions);
        assert_eq!(
            (field(&ask, "range"), field(&ask, "if-range")),
            (None, None)
        );
    }
}

#[test]
fn who_takes_the_risk_goes_on_without_a_validator() {
    let mut spec = spec();
    spec.allow_unvalidated_resume = true;
    let saved = Checkpoint {
        validator: Validator::None,
        ..checkpoint()
    };
    for (range, goes_on) in [("bytes 400-999/1000", true), ("bytes 400-999/1001", false)] {
        let (mut driver, actions) = Driver::recovered(spec.clone(), saved.clone(), found(1));
        let ask = sole_ask(&actions);
        assert_eq!(
            (field(&ask, "range"), field(&ask, "if-range")),
            (Some("bytes=400-"), None)
        );
        let actions = driver.head(ask.conn, 206, &[("content-range", range)]);
        assert_eq!(
            kinds(&actions).contains(&"stream"),
            goes_on,
            "{range}: {actions:?}"
        );
    }
}

#[test]
fn bytes_that_are_of_no_use_are_told_as_a_beginning_at_zero() {
    let loss = |actions: &[Action]| {
        let news = actions.iter().find_map(|action| match action {
            Action::Tell(News::Resumed(progress)) => Some(*progress),
            _ => None,
        });
        news.map(|progress| (progress.received_bytes, progress.total_bytes))
    };
    let whole = |etag| [("etag", etag), ("content-length", "500")];
    // Another resource, and the same one of a server without ranges: told with the answer.
    for etag in ["\"b\"", "\"a\""] {
        let (mut driver, actions) = Driver::recovered(spec(), checkpoint(), found(1));
        let conn = sole_ask(&actions).conn;
        let actions = driver.head(conn, 200, &whole(etag));
        assert_eq!(loss(&actions), Some((0, Some(500))), "{etag}");
    }
    // A range that fits nothing: told once it is known what comes instead.
    let (mut driver, actions) = Driver::recovered(spec(), checkpoint(), found(1));
    let conn = sole_ask(&actions).conn;
    let actions = driver.head(conn, 416, &[("content-range", "bytes */400")]);
    assert_eq!(loss(&actions), None);
    let conn = sole_ask(&actions).conn;
    let actions = driver.head(conn, 200, &whole("\"b\""));
    assert_eq!(loss(&actions), Some((0, Some(500))));
    // Where nothing was held nothing is lost.
    let (mut driver, actions) = Driver::start(spec(), SessionRules::default(), None);
    let conn = sole_ask(&actions).conn;
    assert_eq!(loss(&driver.head(conn, 200, &whole("\"b\""))), None);
}

#[test]
fn a_416_means_complete_only_when_every_byte_is_held() {
    let open = |written| Checkpoint {
        total: None,
        spans: vec![SpanRecord {
            start: 0,
            end: None,
            written,
            synced: 0,
            tail: [0; 32],
        }],
        ..checkpoint()
    };
    let table = [
        (open(400), "bytes */400", "record"),
        (open(400), "bytes */900", "stop ask"),
        (checkpoint(), "bytes */400", "stop ask"),
        (checkpoint(), "", "stop ask"),
    ];
    for (saved, range, expected) in table {
        let (mut driver, actions) = Driver::recovered(spec(), saved, found(1));
        let conn = sole_ask(&actions).conn;
        let fields = [("content-range", range)];
        let fields = if range.is_empty() {
            &fields[..0]
        } else {
            &fields[..]
        };
        let actions = driver.head(conn, 416, fields);
        let kinds = kinds(&actions);
        match expected {
            "record" => {
                assert_eq!(kinds, ["drain", "record"], "{range}");
                assert_eq!(
                    record(&actions).stage,
                    Stage::Finishing(PathBuf::from("/d/f"))
                );
            }
            _ => {
                assert_eq!(kinds, ["stop", "ask"], "{range}");
                let ask = sole_ask(&actions);
                assert_eq!(field(&ask, "range"), None, "{range}: from zero");
                assert_eq!(kinds_after_416(&mut driver, ask.conn), ["drain", "discard"]);
                assert_eq!(
                    failed(&driver.feed(Input::Discarded)),
                    FailureKind::Status(416)
                );
            }
        }
    }
}

fn kinds_after_416(driver: &mut Driver, conn: ConnId) -> Vec<&'static str> {
    kinds(&driver.head(conn, 416, &[]))
}

#[test]
fn a_new_part_file_waits_until_the_store_claims_nothing_of_the_old_one() {
    // The new file may get the old one's inode number: an old claim would be true of it.
    let (mut driver, actions) = Driver::recovered(spec(), checkpoint(), found(1));
    let conn = sole_ask(&actions).conn;
    let actions = driver.head(conn, 200, &[("etag", "\"b\""), ("content-length", "500")]);
    assert_eq!(kinds(&actions), ["record"]);
    let saved = record(&actions);
    assert_eq!(
        (saved.part, saved.spans),
        (Some(part(1)), Vec::new()),
        "to be removed, no more"
    );
    let stream = stream(&driver.recorded());
    assert!(matches!(stream.part, PartUse::Create(_)));
    assert_eq!((stream.from, stream.until), (0, Some(500)));
}

#[test]
fn a_store_that_does_not_forget_the_old_part_ends_the_machine() {
    let (mut driver, actions) = Driver::recovered(spec(), checkpoint(), found(1));
    let conn = sole_ask(&actions).conn;
    driver.head(conn, 200, &[("etag", "\"b\""), ("content-length", "500")]);
    let actions = driver.feed(Input::Recorded(Err(failure(FailureKind::Store))));
    assert_eq!(kinds(&actions), ["stop", "exit"]);
    assert_eq!(exit(&actions), Exit::Fenced);
}

#[test]
fn a_part_of_another_representation_is_never_appended() {
    let table: [(&str, &[(&str, &str)]); 5] = [
        (
            "elsewhere",
            &[ETAG, ("content-range", "bytes 401-999/1000")],
        ),
        (
            "another total",
            &[ETAG, ("content-range", "bytes 400-999/1001")],
        ),
        (
            "another tag",
            &[("etag", "\"b\""), ("content-range", "bytes 400-999/1000")],
        ),
        ("no tag", &[("content-range", "bytes 400-999/1000")]),
        (
            "multipart",
            &[ETAG, ("content-type", "multipart/byteranges; boundary=x")],
        ),
    ];
    for (name, fields) in table {
        let (mut driver, actions) = Driver::recovered(spec(), checkpoint(), found(1));
        let actions = driver.head(sole_ask(&actions).conn, 206, fields);
        assert_eq!(kinds(&actions), ["stop", "ask"], "{name}");
        assert_eq!(field(&sole_ask(&actions), "range"), None, "{name}");
    }
}

#[test]
fn a_resource_that_changes_every_time_is_given_up_and_its_bytes_removed() {
    let changed = [("etag", "\"b\""), ("content-range", "bytes 400-999/1000")];
    let replaced = [("etag", "\"b\""), ("content-length", "500")];
    for (status, fields) in [(206, changed), (200, replaced)] {
        for (restarts, gives_up) in [(RESTARTS_MAX - 1, false), (RESTARTS_MAX, true)] {
            let saved = Checkpoint {
                restarts,
                ..checkpoint()
            };
            let (mut driver, actions) = Driver::recovered(spec(), saved, found(1));
            let actions = driver.head(sole_ask(&actions).conn, status, &fields);
            assert_eq!(
                kinds(&actions).contains(&"discard"),
                gives_up,
                "{status} {restarts}"
            );
            if gives_up {
                assert_eq!(
                    failed(&driver.feed(Input::Discarded)),
                    FailureKind::Unstable
                );
            }
        }
    }
}

#[test]
fn a_server_without_ranges_may_be_cut_as_often_as_it_likes() {
    let saved = Checkpoint {
        restarts: RESTARTS_MAX,
        ..checkpoint()
    };
    let (mut driver, actions) = Driver::recovered(spec(), saved, found(1));
    let conn = sole_ask(&actions).conn;
    driver.head(conn, 200, &[ETAG, ("content-length", "1000")]);
    let saved = record(&driver.recorded_then_broken(conn));
    assert_eq!(saved.restarts, RESTARTS_MAX, "the resource has not changed");
}

impl Driver {
    fn recorded_then_broken(&mut self, conn: ConnId) -> Vec<Action> {
        assert_eq!(kinds(&self.recorded()), ["stream"]);
        self.broke(conn)
    }
}

#[test]
fn an_answer_without_a_total_does_not_prove_that_it_was_the_last() {
    let open = SpanRecord {
        start: 0,
        end: None,
        written: 400,
        synced: 0,
        tail: [0; 32],
    };
    let saved = Checkpoint {
        total: None,
        spans: vec![open],
        ..checkpoint()
    };
    let (mut driver, actions) = Driver::recovered(spec(), saved, found(1));
    let conn = sole_ask(&actions).conn;
    let actions = driver.head(conn, 206, &[ETAG, ("content-range", "bytes 400-499/*")]);
    assert_eq!(
        stream(&actions).until,
        Some(500),
        "what follows its range is not of the file"
    );
    driver.wrote(conn, 500);
    let saved = record(&driver.ended(conn));
    assert_eq!((saved.total, saved.stage), (None, Stage::Transferring));
    assert_eq!(saved.spans[0].written, 500);
}

#[test]
fn a_part_that_cannot_be_opened_is_looked_at_later_with_its_record_unchanged() {
    let (mut driver, _) = Driver::start(spec(), SessionRules::default(), Some(checkpoint()));
    let saved = record(&driver.feed(Input::FileFailed(failure(FailureKind::File))));
    assert_eq!(saved.spans, checkpoint().spans);
    assert!(saved.retry.is_some());
    assert!(matches!(exit(&driver.recorded()), Exit::Retry { .. }));
}

#[test]
fn a_record_of_too_many_spans_is_refused_and_not_a_panic() {
    let span = |at| SpanRecord {
        start: at,
        end: Some(at + 1),
        written: at,
        synced: at,
        tail: [0; 32],
    };
    let saved = Checkpoint {
        spans: (0..1000).map(span).collect(),
        ..checkpoint()
    };
    let (_, actions) = Driver::recovered(spec(), saved, found(1));
    assert_eq!(field(&sole_ask(&actions), "range"), None);
}
