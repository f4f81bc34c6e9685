//! Tests of the ledger: what events make of a run.

use longhaul::{Failure, FailureKind, Finished, Protocol, QueueReason, Sequence, Uploaded};

use super::*;

const RETRY: RetryLimits = RetryLimits {
    retries_max: 2,
    time_max: None,
};

/// A ledger whose downloads are the tasks 1, 2, 3, …
fn ledger(downloads: usize) -> Ledger {
    let mut ledger = Ledger::new(downloads, RETRY);
    for item in 0..downloads {
        assert!(ledger.track(item, task(item)));
    }
    ledger
}

fn task(item: usize) -> TaskId {
    TaskId::new(item as u64 + 1)
}

fn phase(item: usize, phase: Phase) -> Event {
    Event::PhaseChanged {
        task: task(item),
        phase,
    }
}

fn progress(item: usize, received_bytes: u64) -> Event {
    let progress = Progress {
        received_bytes,
        sent_bytes: 0,
        acknowledged_bytes: 0,
        total_bytes: None,
    };
    Event::Progress {
        task: task(item),
        progress,
    }
}

/// The connection broke, and the next attempt is at `at_ms`.
fn broken(item: usize, at_ms: u64) -> Event {
    let cause = Failure::new(FailureKind::Disconnected, "the connection broke");
    let at = Timestamp::from_unix_ms(at_ms);
    phase(item, Phase::WaitingToRetry { at, cause })
}

fn ended(item: usize, outcome: Outcome) -> Event {
    let fact = Fact::Completed {
        task: task(item),
        outcome,
        metrics: None,
    };
    Event::Fact(NumberedFact {
        sequence: Sequence::new(1),
        fact,
    })
}

fn finished(bytes: u64) -> Outcome {
    Outcome::Finished(Finished {
        path: "/d/a".into(),
        bytes,
        length_unverified: false,
        status: 200,
    })
}

fn uploaded(bytes: u64) -> Outcome {
    Outcome::Uploaded(Uploaded {
        status: 201,
        bytes,
        headers: Vec::new(),
        response: Vec::new(),
    })
}

fn sent(item: usize, sent_bytes: u64, acknowledged_bytes: u64) -> Event {
    let progress = Progress {
        received_bytes: 0,
        sent_bytes,
        acknowledged_bytes,
        total_bytes: None,
    };
    Event::Progress {
        task: task(item),
        progress,
    }
}

fn negotiated(item: usize, protocol: Protocol, evidence: Evidence) -> Event {
    let negotiated = Negotiated { protocol, evidence };
    Event::Negotiated {
        task: task(item),
        negotiated,
    }
}

fn failed(kind: FailureKind) -> Outcome {
    Outcome::Failed(Failure::new(kind, "no"))
}

/// The notes that these events make.
fn told(ledger: &mut Ledger, events: Vec<Event>) -> Vec<What> {
    let mut notes = Vec::new();
    for event in events {
        ledger.handle(event, &mut notes);
    }
    notes.into_iter().map(|note| note.what).collect()
}

fn problem(what: &What) -> Option<(&'static str, u8, bool)> {
    match what {
        What::Failed(problem) => Some((problem.code, problem.exit.code(), problem.is_kept)),
        _ => None,
    }
}

#[test]
fn a_download_is_told_as_started_once_and_as_finished_once() {
    let mut ledger = ledger(1);
    let events = vec![
        phase(0, Phase::Queued(QueueReason::SessionLimit)),
        phase(0, Phase::Connecting),
        phase(0, Phase::Transferring),
        progress(0, 5),
        ended(0, finished(7)),
        ended(0, finished(7)),
        progress(0, 9),
    ];
    let told = told(&mut ledger, events);
    assert!(
        matches!(
            told[..],
            [What::Started, What::Progress(_), What::Finished(_)]
        ),
        "{told:?}"
    );
    assert!(ledger.is_settled());
    assert_eq!(ledger.exit(), Exit::OK);
    assert_eq!((ledger.tally().finished, ledger.tally().kept_bytes), (1, 7));
}

#[test]
fn a_fact_alone_still_tells_the_start() {
    let told = told(&mut ledger(1), vec![ended(0, finished(0))]);
    assert!(
        matches!(told[..], [What::Started, What::Finished(_)]),
        "{told:?}"
    );
}

#[test]
fn it_gives_up_after_retries_without_a_byte_and_keeps_what_it_has() {
    let mut ledger = ledger(1);
    let told = told(
        &mut ledger,
        vec![broken(0, 1), broken(0, 2), broken(0, 3), broken(0, 4)],
    );
    assert!(
        matches!(told[1], What::Retrying { retry: 1, .. }),
        "{told:?}"
    );
    assert!(
        matches!(told[2], What::Retrying { retry: 2, .. }),
        "{told:?}"
    );
    assert_eq!(problem(&told[3]), Some(("disconnected", 4, true)));
    assert_eq!((told.len(), ledger.is_settled()), (4, true));
}

#[test]
fn a_retry_that_is_told_twice_counts_once() {
    let mut ledger = ledger(1);
    let told = told(&mut ledger, (0..20).map(|_| broken(0, 7)).collect());
    assert!(
        matches!(told[..], [What::Started, What::Retrying { retry: 1, .. }]),
        "{told:?}"
    );
    assert!(!ledger.is_settled());
}

#[test]
fn a_new_byte_gives_all_retries_back() {
    let mut ledger = ledger(1);
    let events = (0..20)
        .flat_map(|round| {
            [
                broken(0, 3 * round),
                broken(0, 3 * round + 1),
                progress(0, round + 1),
            ]
        })
        .collect();
    told(&mut ledger, events);
    assert!(!ledger.is_settled());
}

#[test]
fn only_what_the_server_has_said_it_has_gives_an_upload_its_retries_back() {
    for (acknowledges, is_settled) in [(false, true), (true, false)] {
        let mut ledger = ledger(1);
        let events = (0..20)
            .flat_map(|round| {
                let acknowledged = if acknowledges { round + 1 } else { 0 };
                [sent(0, 50 + round, acknowledged), broken(0, round)]
            })
            .collect();
        told(&mut ledger, events);
        assert_eq!(ledger.is_settled(), is_settled);
    }
}

#[test]
fn an_upload_is_told_with_its_protocol_once_and_with_its_end_once() {
    let mut ledger = ledger(1);
    let events = vec![
        negotiated(0, Protocol::Tus, Evidence::Options),
        sent(0, 5, 0),
        broken(0, 1),
        negotiated(0, Protocol::Tus, Evidence::Recorded),
        ended(0, uploaded(7)),
        ended(0, uploaded(7)),
    ];
    let told = told(&mut ledger, events);
    assert!(
        matches!(
            told[..],
            [
                What::Started,
                What::Negotiated(_),
                What::Progress(_),
                What::Retrying { .. },
                What::Uploaded(_)
            ]
        ),
        "{told:?}"
    );
    let Tally {
        finished,
        kept_bytes,
        ..
    } = ledger.tally();
    assert_eq!((finished, kept_bytes, ledger.exit()), (1, 7, Exit::OK));
}

#[test]
fn an_upload_may_have_a_place_at_a_server_that_speaks_a_protocol_for_it() {
    use Evidence::{Nothing, Options, Recorded};
    let table = [
        (Protocol::Tus, Options, 0, false),
        (Protocol::Tus, Options, 5, true),
        (Protocol::Tus, Recorded, 0, true),
        (Protocol::Plain, Nothing, 5, false),
    ];
    for (protocol, evidence, bytes, has_place) in table {
        let mut ledger = ledger(1);
        let events = vec![negotiated(0, protocol, evidence), sent(0, bytes, 0)];
        told(&mut ledger, events);
        assert_eq!(
            ledger.has_place(task(0)),
            has_place,
            "{protocol:?} {evidence:?}"
        );
    }
    assert!(!ledger(1).has_place(task(0)));
}

#[test]
fn an_upload_whose_protocol_changes_is_told_so() {
    let told = told(
        &mut ledger(1),
        vec![
            negotiated(0, Protocol::Tus, Evidence::Remembered),
            negotiated(0, Protocol::Plain, Evidence::Nothing),
        ],
    );
    assert!(
        matches!(
            told[..],
            [What::Started, What::Negotiated(_), What::Negotiated(_)]
        ),
        "{told:?}"
    );
}

#[test]
fn no_retry_begins_when_their_time_is_over() {
    let mut ledger = ledger(3);
    told(
        &mut ledger,
        vec![broken(0, 1), phase(1, Phase::Transferring)],
    );
    let mut notes = Vec::new();
    ledger.end_retries(&mut notes);
    assert_eq!(notes.len(), 1);
    assert_eq!(problem(&notes[0].what), Some(("retry_timed_out", 12, true)));
    let told = told(
        &mut ledger,
        vec![progress(1, 5), broken(1, 2), ended(2, finished(1))],
    );
    assert_eq!(problem(&told[1]), Some(("retry_timed_out", 12, true)));
    assert!(ledger.is_settled());
}

#[test]
fn missing_credentials_fail_the_command_and_keep_the_bytes() {
    let mut ledger = ledger(1);
    let told = told(&mut ledger, vec![phase(0, Phase::AwaitingAuthorization)]);
    assert_eq!(problem(&told[1]), Some(("authentication", 6, true)));
}

#[test]
fn the_exit_code_is_that_of_the_first_failure() {
    let mut ledger = ledger(4);
    let events = vec![
        ended(3, finished(1)),
        ended(1, failed(FailureKind::Status(404))),
        ended(0, failed(FailureKind::Integrity)),
        ended(2, Outcome::Skipped("/d/b".into())),
    ];
    told(&mut ledger, events);
    assert_eq!(ledger.exit(), Exit::SERVER);
    let Tally {
        transfers,
        finished,
        skipped,
        failed,
        ..
    } = ledger.tally();
    assert_eq!((transfers, finished, skipped, failed), (4, 1, 1, 2));
}

#[test]
fn events_of_other_tasks_are_not_ours() {
    let mut ledger = ledger(1);
    assert_eq!(
        told(&mut ledger, vec![ended(5, finished(1)), broken(7, 1)]),
        []
    );
    assert!(!ledger.is_settled());
}

#[test]
fn a_number_is_tracked_once() {
    assert!(!ledger(2).track(0, task(1)));
}

#[test]
fn a_refused_start_is_a_failure_of_its_download() {
    let mut ledger = ledger(1);
    let error = Error::TargetInUse {
        session: "x".to_owned(),
        task: task(4),
    };
    let note = ledger.refuse(0, &error).unwrap();
    assert_eq!(problem(&note.what), Some(("target_in_use", 3, false)));
    assert!(ledger.is_settled());
}
