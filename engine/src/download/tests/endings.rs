//! How a machine is stopped in each of its steps, and that nothing moves it afterwards.

use super::sealing::data;
use super::*;

/// The steps in which a machine can be told to stop.
pub(super) const STEPS: [&str; 9] = [
    "recovering",
    "asking",
    "streaming",
    "forgetting",
    "verifying",
    "announcing",
    "publishing",
    "checking",
    "closing",
];

fn digests() -> DownloadSpec {
    let digest: crate::checksum::Digest = format!("sha-256={}", "00".repeat(32))
        .parse()
        .expect("a digest");
    DownloadSpec {
        digests: vec![digest],
        ..spec()
    }
}

/// A machine in this step, and the connection that streams in it.
pub(super) fn in_step(step: &str) -> (Driver, Option<ConnId>) {
    if step == "recovering" {
        let (driver, _) = Driver::start(spec(), SessionRules::default(), Some(checkpoint()));
        return (driver, None);
    }
    if step == "checking" {
        let stage = Stage::Finishing(PathBuf::from("/d/f"));
        let saved = Checkpoint {
            stage,
            ..checkpoint()
        };
        let published = Found::Published(token(1));
        return (Driver::recovered(digests(), saved, published).0, None);
    }
    let (mut driver, actions) = Driver::recovered(digests(), checkpoint(), found(1));
    let conn = sole_ask(&actions).conn;
    if step == "asking" {
        return (driver, None);
    }
    if step == "forgetting" {
        driver.head(conn, 200, &[("etag", "\"b\""), ("content-length", "5")]);
        return (driver, None);
    }
    driver.head(conn, 206, &[ETAG, ("content-range", "bytes 400-999/1000")]);
    if step == "streaming" {
        return (driver, Some(conn));
    }
    driver.wrote(conn, 1000);
    driver.ended(conn);
    for (next, input) in [
        ("verifying", None),
        ("announcing", Some(Input::Verified(Ok(())))),
        ("publishing", Some(Input::Recorded(Ok(())))),
        ("closing", Some(Input::Published(Ok(())))),
    ] {
        if let Some(input) = input {
            driver.feed(input);
        }
        if step == next {
            break;
        }
    }
    (driver, None)
}

/// Plays the caller until the machine is done: every order is carried out at once.
pub(super) fn to_the_end(
    driver: &mut Driver,
    mut actions: Vec<Action>,
) -> (Exit, Vec<&'static str>) {
    let mut done = Vec::new();
    for _ in 0..20 {
        done.extend(kinds(&actions));
        let mut next = Vec::new();
        for action in actions {
            let input = match action {
                Action::Record(_) => Input::Recorded(Ok(())),
                Action::Discard(_) => Input::Discarded,
                Action::Seal => Input::Sealed(Ok(data())),
                Action::Close(outcome) => Input::Closed(outcome),
                Action::Publish { .. } => Input::Published(Ok(())),
                Action::Exit(exit) => return (exit, done),
                _ => continue,
            };
            next.extend(driver.feed(input));
        }
        actions = next;
    }
    panic!("no end: {done:?}");
}

/// Tells a machine in this step to stop and plays the caller to its end.
pub(super) fn told(step: &str, desired: Desired) -> (Exit, Vec<&'static str>) {
    let (mut driver, conn) = in_step(step);
    let mut actions = driver.feed(Input::Want(desired));
    if let Some(conn) = conn {
        assert_eq!(kinds(&actions), ["stop"], "{step}");
        actions.extend(driver.broke(conn));
    }
    let busy = match step {
        "announcing" => Some(Input::Recorded(Ok(()))),
        "forgetting" => Some(Input::Recorded(Ok(()))),
        "publishing" => Some(Input::Published(Ok(()))),
        "checking" => Some(Input::Verified(Ok(()))),
        "closing" => Some(Input::Closed(Outcome::Cancelled)),
        _ => None,
    };
    if let Some(input) = busy {
        actions.extend(driver.feed(input));
    }
    to_the_end(&mut driver, actions)
}

#[test]
fn a_suspended_machine_keeps_its_bytes_whatever_it_does() {
    for step in STEPS {
        let (exit, done) = told(step, Desired::Suspended);
        assert!(!done.contains(&"discard"), "{step}: {done:?}");
        match step {
            "recovering" => assert_eq!((exit, done), (Exit::Stopped, vec!["exit"])),
            "asking" | "streaming" | "forgetting" | "verifying" => {
                assert_eq!(exit, Exit::Stopped, "{step}");
                assert!(done.contains(&"record"), "{step}: {done:?}");
            }
            _ => assert!(
                matches!(exit, Exit::Ended(_)),
                "{step}: it ends sooner by itself"
            ),
        }
    }
}

#[test]
fn a_cancelled_machine_leaves_nothing_whatever_it_does() {
    for step in STEPS {
        let (exit, done) = told(step, Desired::Cancelled);
        match step {
            "recovering" | "asking" | "streaming" | "forgetting" | "verifying" => {
                assert_eq!(exit, Exit::Ended(Outcome::Cancelled), "{step}");
                assert_eq!(
                    &done[done.len() - 3..],
                    ["discard", "close", "exit"],
                    "{step}"
                );
            }
            _ => assert!(matches!(exit, Exit::Ended(_)), "{step}"),
        }
    }
}

#[test]
fn a_task_that_was_cancelled_before_it_ran_asks_for_nothing() {
    for saved in [None, Some(checkpoint())] {
        let has_part = saved.is_some();
        let rules = SessionRules::default();
        let (mut driver, actions) = Driver::start_wanting(spec(), rules, saved, Desired::Cancelled);
        let (exit, done) = to_the_end(&mut driver, actions);
        assert_eq!(exit, Exit::Ended(Outcome::Cancelled));
        assert_eq!(done.contains(&"discard"), has_part);
        assert!(!done.contains(&"ask"));
    }
}

#[test]
fn a_machine_that_was_told_to_stop_before_it_began_only_stops() {
    for saved in [None, Some(checkpoint())] {
        let rules = SessionRules::default();
        let (mut driver, actions) = Driver::start_wanting(spec(), rules, saved, Desired::Suspended);
        let (exit, done) = to_the_end(&mut driver, actions);
        assert_eq!((exit, done), (Exit::Stopped, vec!["exit"]));
    }
}

#[test]
fn a_cancel_overtakes_a_suspend_that_is_under_way() {
    let (mut driver, conn) = in_step("streaming");
    let conn = conn.expect("it streams");
    driver.feed(Input::Want(Desired::Suspended));
    assert_eq!(kinds(&driver.broke(conn)), ["record"]);
    let actions = driver.feed(Input::Want(Desired::Cancelled));
    assert_eq!(kinds(&actions), ["discard"]);
    assert_eq!(
        kinds(&driver.recorded()),
        [""; 0],
        "the late record changes nothing"
    );
    assert_eq!(closed(&driver.feed(Input::Discarded)), Outcome::Cancelled);
}

#[test]
fn the_end_of_a_stopped_stream_counts_what_it_wrote() {
    let (mut driver, conn) = in_step("streaming");
    let conn = conn.expect("it streams");
    driver.feed(Input::Want(Desired::Suspended));
    driver.wrote(conn, 777);
    assert_eq!(record(&driver.broke(conn)).spans[0].written, 777);
}

#[test]
fn a_stream_that_ends_in_a_file_failure_while_it_is_stopped_does_not_hang() {
    let ends: [fn(ConnId) -> Input; 3] = [
        |_| Input::TargetTaken(PathBuf::from("/d/f")),
        |_| Input::FileFailed(failure(FailureKind::File)),
        |conn| Input::Ended {
            conn,
            result: Err(failure(FailureKind::NoSpace)),
        },
    ];
    for end in ends {
        let (mut driver, ask) = Driver::fresh(spec());
        driver.head(ask.conn, 200, &[ETAG, ("content-length", "1000")]);
        driver.feed(Input::Want(Desired::Suspended));
        assert!(kinds(&driver.feed(end(ask.conn))).contains(&"record"));
        assert_eq!(exit(&driver.recorded()), Exit::Stopped);
    }
}

#[test]
fn a_full_disk_fails_the_task_and_keeps_what_was_written() {
    for kind in [FailureKind::NoSpace, FailureKind::File] {
        let (mut driver, conn) = in_step("streaming");
        let conn = conn.expect("it streams");
        driver.wrote(conn, 500);
        let actions = driver.feed(Input::Ended {
            conn,
            result: Err(failure(kind)),
        });
        assert_eq!(record(&actions).spans[0].written, 500);
        assert_eq!(failed(&driver.recorded()), kind);
    }
}

#[test]
fn the_time_for_the_whole_resource_runs_out() {
    let (mut driver, conn) = in_step("streaming");
    driver.now_ms = START_MS + 7 * 24 * 60 * 60 * 1000;
    assert!(kinds(&driver.feed(Input::Tick)).contains(&"stop"));
    driver.broke(conn.expect("it streams"));
    assert_eq!(failed(&driver.recorded()), FailureKind::ResourceTimedOut);
}

#[test]
fn a_short_body_is_retried_and_a_whole_one_that_broke_at_its_end_is_whole() {
    let (mut driver, conn) = in_step("streaming");
    let conn = conn.expect("it streams");
    driver.wrote(conn, 999);
    let saved = record(&driver.ended(conn));
    assert_eq!(
        saved.retry.expect("it waits").cause.kind(),
        FailureKind::Disconnected
    );

    let (mut driver, conn) = in_step("streaming");
    let conn = conn.expect("it streams");
    driver.wrote(conn, 1000);
    assert_eq!(kinds(&driver.broke(conn)), ["verify"]);
}

#[test]
fn nothing_moves_a_machine_that_is_done() {
    for desired in [
        Desired::Suspended,
        Desired::Cancelled,
        Desired::CancelledResumable,
    ] {
        let (mut driver, conn) = in_step("streaming");
        let conn = conn.expect("it streams");
        let mut actions = driver.feed(Input::Want(desired));
        actions.extend(driver.broke(conn));
        to_the_end(&mut driver, actions);
        for input in [
            Input::Want(Desired::Running),
            Input::Want(Desired::Cancelled),
            Input::Recovered(Found::Nothing),
            Input::Head {
                conn,
                head: head(200, &[ETAG]),
            },
            Input::AskFailed {
                conn,
                failure: failure(FailureKind::Connect),
            },
            Input::PartReady(part(9)),
            Input::Wrote {
                conn,
                received: 900,
                written: 900,
            },
            Input::Ended {
                conn,
                result: Ok(()),
            },
            Input::FileFailed(failure(FailureKind::File)),
            Input::TargetTaken(PathBuf::from("/d/f")),
            Input::Synced(Ok(())),
            Input::Recorded(Err(failure(FailureKind::Store))),
            Input::Verified(Ok(())),
            Input::Named(Ok(PathBuf::from("/d/g"))),
            Input::Published(Ok(())),
            Input::Discarded,
            Input::Sealed(Ok(data())),
            Input::Closed(Outcome::Cancelled),
            Input::Tick,
        ] {
            let text = format!("{input:?}");
            driver.now_ms += 10_000;
            assert_eq!(driver.feed(input), [], "{text}");
            assert_eq!(driver.machine.poll_timeout(), None, "{text}");
        }
    }
}
