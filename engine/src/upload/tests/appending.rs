//! Appends that do not go as they should: what the server said, what is on its way, what it costs.

use super::*;
use crate::checksum::{Algorithm, Digest};
use crate::limits::{CONFLICTS_MAX, MISMATCHES_MAX, PIECE_BYTES, PIECE_BYTES_MAX, RESTARTS_MAX};
use crate::upload::protocol::UploadLimits;
use crate::upload::{Protocol, Unheard};

const MIB: u64 = 1024 * 1024;
const BOTH: [Protocol; 2] = [Protocol::Tus, Protocol::Ietf { interop: 6 }];

/// A machine that has asked how much there is, and heard this: its next request.
fn appending(known: UploadCheckpoint, offset: u64) -> (Driver, Ask) {
    appending_with(spec(), known, offset)
}

fn appending_with(spec: UploadSpec, known: UploadCheckpoint, offset: u64) -> (Driver, Ask) {
    let (mut driver, ask) = Driver::going_on(spec, known);
    assert_eq!(ask.method, "HEAD");
    let actions = driver.answer_after(ask.request, holding(offset), 0);
    let ask = driver.next_ask(actions);
    (driver, ask)
}

fn holding(offset: u64) -> ResponseHead {
    let offset = offset.to_string();
    head(
        204,
        &[("upload-offset", &offset), ("upload-complete", "?0")],
    )
}

fn range(ask: &Ask) -> (u64, u64) {
    let body = ask.body.expect("a piece");
    (body.offset, body.length)
}

#[test]
fn the_answer_says_how_much_the_server_has_whatever_was_sent() {
    for protocol in BOTH {
        let (mut driver, ask) = appending(placed(protocol, 2 * MIB, 0), 0);
        assert_eq!(range(&ask), (0, 2 * MIB));
        let actions = driver.answer_after(ask.request, holding(MIB), 2 * MIB);
        let ask = driver.next_ask(actions);
        assert_eq!(range(&ask), (MIB, MIB), "{protocol:?}");
        assert_eq!(driver.machine.progress().acknowledged_bytes, MIB);
    }
}

#[test]
fn a_server_that_has_more_than_was_sent_is_believed_in_the_draft_and_in_answer_to_a_question() {
    for (protocol, is_believed) in [(Protocol::Tus, false), (BOTH[1], true)] {
        let (mut driver, ask) = appending(placed(protocol, 2 * MIB, 0), MIB);
        let actions = driver.answer_after(ask.request, holding(MIB + 9), 5);
        match is_believed {
            true => assert_eq!(range(&driver.next_ask(actions)), (MIB + 9, MIB - 9)),
            false => assert_eq!(failed_kind(&actions), FailureKind::Protocol),
        }
        let (_, ask) = appending(placed(protocol, 2 * MIB, 0), MIB + 9);
        assert_eq!(range(&ask).0, MIB + 9, "{protocol:?}");
    }
}

#[test]
fn an_append_that_does_not_fit_goes_on_where_the_server_is_and_not_for_ever() {
    let said = |offset| head(409, &[("upload-offset", offset)]);
    for protocol in BOTH {
        let (mut driver, ask) = appending(placed(protocol, 2 * MIB, 9), 9);
        let actions = driver.answer_after(ask.request, said("12"), 2 * MIB - 9);
        let ask = driver.next_ask(actions);
        assert_eq!((ask.method.as_str(), range(&ask).0), ("PATCH", 12));
        // Where it does not say where it is, or can not be there, it is asked.
        for answer in [head(409, &[]), said("2097153")] {
            let (mut driver, ask) = appending(placed(protocol, 2 * MIB, 9), 9);
            let actions = driver.answer_after(ask.request, answer, 0);
            assert_eq!(driver.next_ask(actions).method, "HEAD");
        }
        let (mut driver, mut ask) = appending(placed(protocol, 2 * MIB, 9), 9);
        for round in 1..=CONFLICTS_MAX {
            let actions = driver.answer_after(ask.request, head(409, &[]), 0);
            if round == CONFLICTS_MAX {
                assert_eq!(failed_kind(&actions), FailureKind::Status(409));
                break;
            }
            let question = driver.next_ask(actions);
            let actions = driver.answer_after(question.request, holding(9), 0);
            ask = driver.next_ask(actions);
        }
    }
}

#[test]
fn a_server_that_takes_bytes_and_acknowledges_none_is_left() {
    for protocol in BOTH {
        let (mut driver, mut ask) = appending(placed(protocol, MIB, 0), 0);
        for _ in 1..CONFLICTS_MAX {
            let actions = driver.answer_after(ask.request, holding(0), MIB);
            ask = driver.next_ask(actions);
        }
        let actions = driver.answer_after(ask.request, holding(0), MIB);
        assert_eq!(failed_kind(&actions), FailureKind::Protocol);
    }
}

#[test]
fn a_server_that_never_says_how_much_it_has_is_asked_each_time_and_left_when_nothing_comes_on() {
    let length = 3 * MIB;
    let mut known = placed(BOTH[1], length, 0);
    known.remote.as_mut().expect("a place").piece_max = Some(MIB);
    let (mut driver, mut ask) = appending(known, 0);
    for reached in [MIB, MIB, MIB] {
        let actions = driver.answer_after(ask.request, head(204, &[]), range(&ask).1);
        let question = driver.next_ask(actions);
        assert_eq!(question.method, "HEAD");
        let actions = driver.answer_after(question.request, holding(reached), 0);
        ask = driver.next_ask(actions);
    }
    let actions = driver.answer_after(ask.request, head(204, &[]), range(&ask).1);
    assert_eq!(failed_kind(&actions), FailureKind::Protocol);
}

#[test]
fn bytes_that_were_acknowledged_may_be_lost_once_and_that_is_counted() {
    for protocol in BOTH {
        let (mut driver, ask) = appending(placed(protocol, MIB, 1000), 600);
        assert_eq!(range(&ask).0, 600);
        let actions = driver.answer_after(ask.request, head(503, &[]), 0);
        assert_eq!(record(&actions).restarts, 1);
        let (mut driver, ask) = appending(placed(protocol, MIB, 1000), 600);
        let actions = driver.answer_after(ask.request, holding(500), 5);
        assert_eq!(failed_kind(&actions), FailureKind::Protocol, "{protocol:?}");
        let often = UploadCheckpoint {
            restarts: RESTARTS_MAX,
            ..placed(protocol, MIB, 1000)
        };
        let (mut driver, ask) = Driver::going_on(spec(), often);
        let actions = driver.answer_after(ask.request, holding(600), 0);
        assert_eq!(failed_kind(&actions), FailureKind::Protocol);
    }
}

#[test]
fn an_upload_that_is_locked_is_waited_for_longer_each_time_and_never_given_up() {
    let rules = SessionRules {
        retries_max: Some(0),
        ..SessionRules::default()
    };
    for protocol in BOTH {
        let mut known = placed(protocol, MIB, 5);
        let mut waited = Vec::new();
        for _ in 0..8 {
            let (mut driver, ask) = Driver::going_on_with(spec(), rules.clone(), known);
            let actions = driver.answer_after(ask.request, holding(5), 0);
            let ask = driver.next_ask(actions);
            known = record(&driver.answer_after(ask.request, head(423, &[]), 0));
            let retry = known.retry.clone().expect("it waits");
            assert_eq!(
                retry.at.as_unix_ms(),
                driver.now_ms + retry.delay.as_millis() as u64
            );
            waited.push(retry.delay.as_secs());
            assert_eq!((known.attempts_failed, known.restarts), (0, 0));
            assert!(known.remote.is_some(), "the place is kept");
        }
        assert_eq!(waited, [1, 3, 5, 10, 30, 60, 60, 60]);
        // The question may be the one that finds it locked, and the server may name a time.
        let (mut driver, ask) = Driver::going_on(spec(), placed(protocol, MIB, 5));
        let asked = head(423, &[("retry-after", "7")]);
        let retry = record(&driver.answer_after(ask.request, asked, 0)).retry;
        assert_eq!(retry.map(|retry| retry.delay.as_secs()), Some(7));
    }
}

#[test]
fn a_body_that_is_too_long_is_halved_down_to_what_the_server_wants_at_least() {
    for (append_min, tried) in [(None, vec![4, 2, 1]), (Some(2 * MIB), vec![4, 2])] {
        let mut known = placed(Protocol::Ietf { interop: 6 }, 4 * MIB, 0);
        known.remote.as_mut().expect("a place").limits = UploadLimits {
            append_min,
            ..UploadLimits::default()
        };
        let (mut driver, mut ask) = appending(known, 0);
        let mut lengths = Vec::new();
        let actions = loop {
            lengths.push(range(&ask).1);
            let actions = driver.answer_after(ask.request, head(413, &[]), 0);
            if kinds(&actions).contains(&"close") {
                break actions;
            }
            let question = driver.next_ask(actions);
            let actions = driver.answer_after(question.request, holding(0), 0);
            ask = driver.next_ask(actions);
        };
        assert_eq!(failed_kind(&actions), FailureKind::Status(413));
        let mut expected: Vec<u64> = tried.iter().map(|mib| mib * MIB).collect();
        if append_min.is_none() {
            expected.extend([MIB / 2, MIB / 4]);
        }
        assert_eq!(lengths, expected);
    }
}

#[test]
fn pieces_become_short_when_cut_requests_brought_nothing_on_and_long_again_when_they_arrive() {
    let length = 200 * MIB;
    let mut known = placed(Protocol::Tus, length, 0);
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let (mut driver, ask) = appending(known, 0);
        lengths.push(range(&ask).1);
        known = record(&driver.feed(Input::AskFailed {
            request: ask.request,
            failure: failure(FailureKind::Disconnected),
            sent: 3 * MIB,
        }));
    }
    assert_eq!(lengths, [length, length, PIECE_BYTES]);
    let (mut driver, mut ask) = appending(known, 0);
    let mut lengths = Vec::new();
    while lengths.last() != Some(&PIECE_BYTES_MAX) {
        let (offset, piece) = range(&ask);
        lengths.push(piece);
        let mut actions = driver.answer_after(ask.request, holding(offset + piece), piece);
        // What is recorded beside the stream is there before more is asked.
        if !kinds(&actions).contains(&"ask") {
            actions = driver.feed(Input::Recorded(Ok(())));
        }
        ask = sole_ask(&actions);
        if kinds(&actions).contains(&"record") {
            driver.feed(Input::Recorded(Ok(())));
        }
    }
    assert_eq!(lengths, [4, 8, 16, 32, 64].map(|mib| mib * MIB));
}

#[test]
fn a_way_that_brings_something_on_is_not_made_to_take_pieces() {
    let (mut driver, ask) = appending(placed(Protocol::Tus, 200 * MIB, 0), MIB);
    let lost = |request| Input::AskFailed {
        request,
        failure: failure(FailureKind::Disconnected),
        sent: 3 * MIB,
    };
    let known = record(&driver.feed(lost(ask.request)));
    assert_eq!(known.attempts_failed, 1);
    let (mut driver, ask) = appending(known, 2 * MIB);
    let known = record(&driver.feed(lost(ask.request)));
    assert_eq!(known.attempts_failed, 1, "the first since it came on");
    assert_eq!(known.remote.expect("a place").piece_max, None);
}

#[test]
fn each_piece_has_its_digest_and_goes_again_when_the_server_finds_another() {
    let mut known = placed(Protocol::Tus, 20 * MIB, 0);
    known.remote.as_mut().expect("a place").checksum = Some(Algorithm::Sha1);
    let (mut driver, ask) = Driver::going_on(spec(), known);
    let mut actions = driver.answer_after(ask.request, holding(3), 0);
    for round in 0..=MISMATCHES_MAX {
        if kinds(&actions).contains(&"record") {
            actions = driver.feed(Input::Recorded(Ok(())));
        }
        let wanted = Action::Digest {
            offset: 3,
            length: PIECE_BYTES,
            algorithm: Algorithm::Sha1,
        };
        assert!(actions.contains(&wanted), "{round}: {actions:?}");
        let digest = Digest::new(Algorithm::Sha1, vec![0; 20]).expect("its length");
        let ask = sole_ask(&driver.feed(Input::Digested(Ok(digest))));
        assert_eq!(range(&ask), (3, PIECE_BYTES));
        assert!(
            ask.headers
                .iter()
                .any(|(name, _)| name == "upload-checksum")
        );
        actions = driver.answer_after(ask.request, head(460, &[]), PIECE_BYTES);
    }
    assert_eq!(failed_kind(&actions), FailureKind::Status(460));
}

#[test]
fn a_patch_that_is_not_taken_by_its_name_is_tried_by_another_once() {
    for protocol in BOTH {
        for status in [405, 501] {
            let (mut driver, ask) = appending(placed(protocol, MIB, 0), 0);
            let actions = driver.answer_after(ask.request, head(status, &[]), 0);
            let ask = driver.next_ask(actions);
            let name = ("x-http-method-override".to_owned(), "PATCH".to_owned());
            assert_eq!(ask.method, "POST");
            assert!(ask.headers.contains(&name));
            let actions = driver.answer_after(ask.request, head(status, &[]), 0);
            assert_eq!(failed_kind(&actions), FailureKind::Status(status));
        }
    }
}

#[test]
fn what_the_server_refuses_for_good_is_not_tried_again() {
    for protocol in BOTH {
        for status in [400, 415, 507] {
            let (mut driver, ask) = appending(placed(protocol, MIB, 0), 0);
            let actions = driver.answer_after(ask.request, head(status, &[]), 0);
            assert_eq!(failed_kind(&actions), FailureKind::Status(status));
        }
    }
}

#[test]
fn what_passes_by_itself_asks_again_how_much_is_there() {
    for protocol in BOTH {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let (mut driver, ask) = appending(placed(protocol, MIB, 0), 0);
            let known = record(&driver.answer_after(ask.request, head(status, &[]), MIB));
            assert!(known.retry.is_some() && known.remote.is_some());
            // A gateway's error may hide that the server has it all.
            let is_hidden = matches!(status, 408 | 500 | 502 | 504);
            assert_eq!(known.unheard == Unheard::Completion, is_hidden, "{status}");
            let (_, ask) = Driver::going_on(spec(), known);
            assert_eq!(ask.method, "HEAD");
        }
    }
}

#[test]
fn acknowledged_bytes_are_recorded_now_and_then_beside_the_stream() {
    let mut known = placed(Protocol::Tus, 100 * MIB, 0);
    known.remote.as_mut().expect("a place").piece_max = Some(4 * MIB);
    let (mut driver, mut ask) = appending(known, 0);
    let mut recorded = Vec::new();
    for _ in 0..3 {
        let (offset, piece) = range(&ask);
        let actions = driver.answer_after(ask.request, holding(offset + piece), piece);
        ask = sole_ask(&actions);
        if kinds(&actions).contains(&"record") {
            let remote = record(&actions).remote.expect("a place");
            recorded.push(remote.acknowledged);
            assert!(
                driver.feed(Input::Recorded(Ok(()))).is_empty(),
                "nothing waits for it"
            );
        }
    }
    assert_eq!(recorded, [28 * MIB], "after 4, 12 and 28");
    driver.now_ms += 2000;
    let (offset, piece) = range(&ask);
    let actions = driver.answer_after(ask.request, holding(offset + 1), piece);
    assert_eq!(
        record(&actions).remote.expect("a place").acknowledged,
        offset + 1
    );
}

#[test]
fn offsets_beyond_4_gib_are_numbers_like_others() {
    let length = 9_000_000_000;
    let (mut driver, ask) = appending(placed(Protocol::Tus, length, 0), 5_000_000_000);
    assert_eq!(range(&ask), (5_000_000_000, 4_000_000_000));
    let actions = driver.answer_after(ask.request, holding(length), 4_000_000_000);
    assert_eq!(kinds(&actions), ["receive"]);
}
