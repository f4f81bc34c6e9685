//! When a machine leaves its bytes to its owner, and when there is nothing to leave.

use super::endings::{STEPS, in_step, to_the_end, told};
use super::*;
use crate::authorization_challenge::Challenge;
use crate::resume_data::ResumeData;

pub(super) fn data() -> ResumeData {
    ResumeData::from_bytes(vec![7; 60]).expect("it is short")
}

fn handed_over() -> Exit {
    Exit::Ended(Outcome::CancelledResumable(data()))
}

/// Starts with this on record, cancelled for resume data, and has looked at the part.
fn found_cancelled(
    saved: Checkpoint,
    found: Found,
    spec: DownloadSpec,
) -> (Exit, Vec<&'static str>) {
    let rules = SessionRules::default();
    let wish = Desired::CancelledResumable;
    let (mut driver, actions) = Driver::start_wanting(spec, rules, Some(saved), wish);
    assert_eq!(kinds(&actions), ["recover"]);
    let actions = driver.feed(Input::Recovered(found));
    to_the_end(&mut driver, actions)
}

#[test]
fn a_machine_hands_its_bytes_over_or_finishes_and_discards_nothing_that_is_of_use() {
    for step in STEPS {
        if step == "recovering" {
            continue;
        }
        let (exit, done) = told(step, Desired::CancelledResumable);
        match step {
            "asking" | "streaming" | "verifying" => {
                assert_eq!(exit, handed_over(), "{step}");
                assert_eq!(done[done.len() - 4..], ["record", "seal", "close", "exit"]);
            }
            // The resource has changed, and nothing of the new one has come.
            "forgetting" => assert_eq!(exit, Exit::Ended(Outcome::Cancelled)),
            _ => assert!(
                matches!(
                    exit,
                    Exit::Ended(Outcome::Finished(_)) | Exit::Ended(Outcome::Cancelled)
                ),
                "{step}: {exit:?}"
            ),
        }
        assert_eq!(
            done.contains(&"discard"),
            step == "forgetting",
            "{step}: {done:?}"
        );
    }
}

#[test]
fn a_wish_while_the_part_file_is_looked_at_waits_for_what_is_found() {
    let (mut driver, _) = in_step("recovering");
    assert_eq!(driver.feed(Input::Want(Desired::CancelledResumable)), []);
    let actions = driver.feed(Input::Recovered(found(1)));
    assert_eq!(kinds(&actions), ["seal"]);
    assert_eq!(to_the_end(&mut driver, actions).0, handed_over());
}

#[test]
fn what_is_on_record_is_handed_over_when_it_is_there_and_may_be_continued() {
    let no_validator = Checkpoint {
        validator: Validator::None,
        ..checkpoint()
    };
    let complete = Checkpoint {
        spans: vec![SpanRecord {
            start: 0,
            end: Some(1000),
            written: 1000,
            synced: 1000,
            tail: [0; 32],
        }],
        ..no_validator.clone()
    };
    let announced = Checkpoint {
        stage: Stage::Finishing(PathBuf::from("/d/f")),
        ..complete.clone()
    };
    let unsynced = Checkpoint {
        spans: vec![SpanRecord {
            start: 0,
            end: Some(1000),
            written: 400,
            synced: 0,
            tail: [0; 32],
        }],
        ..checkpoint()
    };
    let error = Checkpoint {
        status: Some(404),
        ..announced.clone()
    };
    let challenge = Challenge {
        host: "origin.example:443".to_owned(),
        status: 401,
        scheme: "Bearer".to_owned(),
        realm: None,
        previous_failures: 0,
    };
    let awaiting = Checkpoint {
        stage: Stage::AwaitingAuthorization(Box::new(challenge)),
        ..checkpoint()
    };
    let unvalidated = DownloadSpec {
        allow_unvalidated_resume: true,
        ..spec()
    };
    let accepting = DownloadSpec {
        accept_error_status: true,
        ..spec()
    };
    for (name, saved, found, spec, is_handed_over) in [
        ("bytes and a tag", checkpoint(), found(1), spec(), true),
        ("after a power cut", checkpoint(), found(2), spec(), true),
        (
            "nothing was synced",
            unsynced.clone(),
            found(2),
            spec(),
            false,
        ),
        (
            "nothing was synced, same boot",
            unsynced,
            found(1),
            spec(),
            true,
        ),
        (
            "the file is gone",
            checkpoint(),
            Found::Nothing,
            spec(),
            false,
        ),
        (
            "no validator",
            no_validator.clone(),
            found(1),
            spec(),
            false,
        ),
        (
            "no validator, allowed",
            no_validator,
            found(1),
            unvalidated,
            true,
        ),
        ("every byte", complete, found(1), spec(), true),
        ("announced, not renamed", announced, found(1), spec(), true),
        ("the body of an error", error, found(1), accepting, false),
        ("it waits for its owner", awaiting, found(1), spec(), true),
    ] {
        let (exit, done) = found_cancelled(saved, found, spec);
        let expected = match is_handed_over {
            true => handed_over(),
            false => Exit::Ended(Outcome::Cancelled),
        };
        assert_eq!(exit, expected, "{name}: {done:?}");
        assert_eq!(done.contains(&"discard"), !is_handed_over, "{name}");
        assert!(!done.contains(&"ask"), "{name}");
    }
}

#[test]
fn a_wish_that_comes_after_the_rename_is_too_late() {
    let announced = Checkpoint {
        stage: Stage::Finishing(PathBuf::from("/d/f")),
        ..checkpoint()
    };
    let (exit, _) = found_cancelled(announced, Found::Published(token(1)), spec());
    assert!(
        matches!(exit, Exit::Ended(Outcome::Finished(_))),
        "{exit:?}"
    );
}

#[test]
fn a_task_that_never_ran_has_nothing_to_hand_over() {
    let rules = SessionRules::default();
    let wish = Desired::CancelledResumable;
    let (mut driver, actions) = Driver::start_wanting(spec(), rules, None, wish);
    let (exit, done) = to_the_end(&mut driver, actions);
    assert_eq!(
        (exit, done),
        (Exit::Ended(Outcome::Cancelled), vec!["close", "exit"])
    );
}

#[test]
fn a_part_file_that_can_not_be_looked_at_is_handed_over_unseen() {
    let rules = SessionRules::default();
    let wish = Desired::CancelledResumable;
    let (mut driver, _) = Driver::start_wanting(spec(), rules, Some(checkpoint()), wish);
    let actions = driver.feed(Input::FileFailed(failure(FailureKind::File)));
    assert_eq!(kinds(&actions), ["seal"]);
    assert_eq!(to_the_end(&mut driver, actions).0, handed_over());
}

#[test]
fn without_a_ticket_a_cancelled_task_is_cancelled_and_leaves_nothing() {
    let (mut driver, conn) = in_step("streaming");
    driver.feed(Input::Want(Desired::CancelledResumable));
    driver.broke(conn.expect("it streams"));
    assert_eq!(kinds(&driver.recorded()), ["seal"]);
    let actions = driver.feed(Input::Sealed(Err(failure(FailureKind::NoSpace))));
    assert_eq!(kinds(&actions), ["discard"]);
    assert_eq!(closed(&driver.feed(Input::Discarded)), Outcome::Cancelled);
}

#[test]
fn a_cancel_for_resume_data_overtakes_what_was_under_way() {
    for wish in [Desired::Suspended, Desired::Running] {
        let (mut driver, conn) = in_step("streaming");
        let conn = conn.expect("it streams");
        driver.feed(Input::Want(wish));
        // A record of the suspended one, or of the one that broke, is being written.
        let actions = driver.broke(conn);
        assert_eq!(kinds(&actions), ["record"]);
        assert_eq!(driver.feed(Input::Want(Desired::CancelledResumable)), []);
        let actions = driver.recorded();
        assert_eq!(kinds(&actions), ["seal"], "{wish:?}");
        assert_eq!(to_the_end(&mut driver, actions).0, handed_over());
    }
    let (mut driver, ask) = Driver::fresh(spec());
    driver.feed(Input::AskFailed {
        conn: ask.conn,
        failure: failure(FailureKind::Connect),
    });
    driver.feed(Input::Want(Desired::CancelledResumable));
    let exit = exit(&driver.recorded());
    assert!(
        matches!(exit, Exit::Retry { .. }),
        "the next transfer looks: {exit:?}"
    );
}

#[test]
fn a_failure_has_resume_data_when_the_session_wants_it_and_the_bytes_are_of_use() {
    for (wants, kind, is_handed_over) in [
        (true, FailureKind::NoSpace, true),
        (false, FailureKind::NoSpace, false),
        (true, FailureKind::Protocol, true),
        (true, FailureKind::Status(416), false),
        (true, FailureKind::Integrity, false),
    ] {
        let rules = SessionRules {
            resume_data_on_failure: wants,
            ..SessionRules::default()
        };
        let (mut driver, _) = Driver::start(spec(), rules, Some(checkpoint()));
        let conn = sole_ask(&driver.feed(Input::Recovered(found(1)))).conn;
        driver.head(conn, 206, &[ETAG, ("content-range", "bytes 400-999/1000")]);
        driver.machine.fail(failure(kind));
        let actions = driver.broke(conn);
        let (exit, done) = to_the_end(&mut driver, actions);
        let Exit::Ended(Outcome::Failed(failure)) = exit else {
            panic!("{kind:?}: {exit:?}");
        };
        let expected = is_handed_over.then(data);
        assert_eq!(failure.resume_data(), expected.as_ref(), "{wants} {kind:?}");
        assert_eq!(done.contains(&"seal"), is_handed_over, "{wants} {kind:?}");
    }
}

#[test]
fn a_failure_without_a_ticket_keeps_its_bytes_for_the_next_task() {
    let rules = SessionRules {
        resume_data_on_failure: true,
        ..SessionRules::default()
    };
    let (mut driver, _) = Driver::start(spec(), rules, Some(checkpoint()));
    let conn = sole_ask(&driver.feed(Input::Recovered(found(1)))).conn;
    driver.head(conn, 206, &[ETAG, ("content-range", "bytes 400-999/1000")]);
    driver.feed(Input::Ended {
        conn,
        result: Err(failure(FailureKind::NoSpace)),
    });
    assert_eq!(kinds(&driver.recorded()), ["seal"]);
    let actions = driver.feed(Input::Sealed(Err(failure(FailureKind::NoSpace))));
    assert_eq!(
        closed(&actions),
        Outcome::Failed(failure(FailureKind::NoSpace))
    );
}

#[test]
fn a_new_part_file_says_which_one_it_replaces() {
    let (mut driver, actions) = Driver::recovered(spec(), checkpoint(), found(1));
    let conn = sole_ask(&actions).conn;
    driver.head(conn, 200, &[("etag", "\"b\""), ("content-length", "5")]);
    let actions = driver.recorded();
    let PartUse::Create(plan) = stream(&actions).part else {
        panic!("a new file is made: {actions:?}");
    };
    assert_eq!(plan.replaces, Some(part(1)));
}
