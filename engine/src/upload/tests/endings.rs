//! Wishes, deadlines, and what comes too late.

use super::*;
use crate::task::Uploaded;

/// Brings a machine to each step of its life.
fn steps() -> Vec<(&'static str, Driver)> {
    let (inspecting, _) = Driver::start(spec());
    let (mut announcing, _) = Driver::start(spec());
    announcing.feed(Input::Inspected(Ok(source(LENGTH))));
    let (asking, _) = Driver::asking(spec(), LENGTH);
    let (mut receiving, ask) = Driver::asking(spec(), LENGTH);
    receiving.answer(ask.request, head(200, &[]));
    let (mut recording, ask) = Driver::asking(spec(), LENGTH);
    recording.answer(ask.request, head(503, &[]));
    vec![
        ("inspecting", inspecting),
        ("announcing", announcing),
        ("asking", asking),
        ("receiving", receiving),
        ("recording", recording),
    ]
}

#[test]
fn a_suspended_upload_stops_after_a_record_and_one_that_is_acknowledged_ends() {
    for (name, mut driver) in steps() {
        let actions = driver.feed(Input::Want(Desired::Suspended));
        let expected: &[&str] = match name {
            "inspecting" => &["record"],
            "asking" => &["stop", "record"],
            _ => &[],
        };
        assert_eq!(kinds(&actions), expected, "{name}");
        if name == "receiving" {
            driver.feed(Input::Received(Vec::new()));
            let actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
            assert!(matches!(outcome(&actions), Outcome::Uploaded(_)));
            continue;
        }
        let actions = driver.feed(Input::Recorded(Ok(())));
        match exit(&actions) {
            Exit::Stopped => assert_ne!(name, "recording"),
            Exit::Retry { .. } => assert_eq!(name, "recording"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_cancelled_upload_ends_at_once_unless_it_is_acknowledged() {
    for (name, mut driver) in steps() {
        let mut actions = driver.feed(Input::Want(Desired::Cancelled));
        if name == "receiving" {
            assert!(actions.is_empty());
            driver.feed(Input::Received(Vec::new()));
            actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
        }
        assert_eq!(
            kinds(&actions).contains(&"stop"),
            name == "asking",
            "{name}"
        );
        let ended = outcome(&actions);
        match name {
            "receiving" => assert!(matches!(ended, Outcome::Uploaded(_))),
            _ => assert_eq!(ended, Outcome::Cancelled, "{name}"),
        }
        // What was still on its way changes nothing.
        for late in [
            Input::Recorded(Ok(())),
            Input::Inspected(Ok(source(LENGTH))),
            Input::Received(Vec::new()),
            Input::Sealed(Err(failure(FailureKind::File))),
            Input::Want(Desired::Running),
            Input::Tick,
        ] {
            assert!(driver.feed(late.clone()).is_empty(), "{name}: {late:?}");
        }
        let actions = driver.feed(Input::Closed(ended.clone()));
        assert_eq!(exit(&actions), Exit::Ended(ended));
    }
}

#[test]
fn a_machine_that_starts_cancelled_only_closes() {
    for desired in [Desired::Cancelled, Desired::CancelledResumable] {
        let (_, actions) = Driver::start_with(spec(), SessionRules::default(), None, desired);
        assert_eq!(actions, [Action::Close(Outcome::Cancelled)]);
    }
}

#[test]
fn a_machine_that_was_told_to_stop_before_it_began_only_stops() {
    let rules = SessionRules::default();
    let (_, actions) = Driver::start_with(spec(), rules, None, Desired::Suspended);
    assert_eq!(actions, [Action::Exit(Exit::Stopped)]);
}

#[test]
fn the_outcome_that_the_store_has_is_the_one_that_counts() {
    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    driver.answer(ask.request, head(404, &[]));
    let earlier = Outcome::Uploaded(Uploaded {
        headers: Vec::new(),
        status: 200,
        bytes: LENGTH,
        response: Vec::new(),
    });
    let actions = driver.feed(Input::Closed(earlier.clone()));
    assert_eq!(exit(&actions), Exit::Ended(earlier));
}

#[test]
fn an_upload_that_takes_too_long_in_all_fails() {
    for (name, mut driver) in steps() {
        let due = driver.machine.poll_timeout();
        let is_limited = matches!(name, "inspecting" | "announcing" | "asking");
        assert_eq!(due.is_some(), is_limited, "{name}");
        let Some(due) = due else { continue };
        driver.now_ms = due.as_unix_ms();
        let actions = driver.feed(Input::Tick);
        assert_eq!(
            failed_kind(&actions),
            FailureKind::ResourceTimedOut,
            "{name}"
        );
    }
}

#[test]
fn inputs_of_a_request_that_is_gone_change_nothing() {
    let (mut driver, first) = Driver::asking(spec(), LENGTH);
    let next = head(307, &[("location", "/g")]);
    let second = sole_ask(&driver.answer(first.request, next));
    assert_ne!(first.request, second.request);
    let late = [
        Input::Sent {
            request: first.request,
            bytes: LENGTH,
        },
        Input::Head {
            request: first.request,
            head: head(200, &[]),
            sent: LENGTH,
        },
        Input::AskFailed {
            request: first.request,
            failure: failure(FailureKind::Disconnected),
            sent: LENGTH,
        },
    ];
    for input in late {
        assert!(driver.feed(input.clone()).is_empty(), "{input:?}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_sent_ends_the_upload() {
    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    let actions = driver.feed(Input::AskFailed {
        request: ask.request,
        failure: failure(FailureKind::SourceChanged),
        sent: LENGTH,
    });
    assert_eq!(failed_kind(&actions), FailureKind::SourceChanged);
}
