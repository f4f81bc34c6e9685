//! When progress is recorded, synced and told.

use super::*;
use crate::task::Phase;

/// A name; times in ms and what is written by then; the times at which it is done.
type Row = (&'static str, &'static [(u64, u64)], &'static [u64]);

/// Writes at each time and says which of the given kinds of action that led to.
fn run(steps: &[(u64, u64)], kind: &str) -> Vec<u64> {
    let (mut driver, conn, _) = Driver::streaming(spec(), 1000 * MIB);
    let mut times = Vec::new();
    for (at_ms, bytes) in steps {
        driver.now_ms = START_MS + at_ms;
        let actions = driver.wrote(conn, *bytes);
        let done = kinds(&actions);
        if done.contains(&kind) {
            times.push(*at_ms);
        }
        if done.contains(&"record") {
            driver.recorded();
        }
        if done.contains(&"sync") {
            driver.feed(Input::Synced(Ok(())));
        }
    }
    times
}

#[test]
fn a_mebibyte_is_recorded_at_most_every_100_ms_and_less_after_a_second() {
    let table: [Row; 4] = [
        ("too early", &[(99, 2 * MIB)], &[]),
        (
            "a mebibyte",
            &[(100, MIB), (150, 3 * MIB), (200, 4 * MIB)],
            &[100, 200],
        ),
        (
            "less",
            &[(100, MIB - 1), (999, MIB - 1), (1000, MIB - 1)],
            &[1000],
        ),
        ("nothing new", &[(1000, 5), (3000, 5)], &[1000]),
    ];
    for (name, steps, expected) in table {
        assert_eq!(run(steps, "record"), expected, "{name}");
    }
}

#[test]
fn the_file_is_synced_after_64_mebibytes_or_two_seconds() {
    let table: [Row; 3] = [
        (
            "bytes",
            &[
                (10, 63 * MIB),
                (20, 64 * MIB),
                (30, 65 * MIB),
                (40, 128 * MIB),
            ],
            &[20, 40],
        ),
        (
            "time",
            &[(1999, 5), (2000, 6), (3999, 7), (4000, 8)],
            &[2000, 4000],
        ),
        ("nothing new", &[(2000, 5), (9000, 5)], &[2000]),
    ];
    for (name, steps, expected) in table {
        assert_eq!(run(steps, "sync"), expected, "{name}");
    }
}

#[test]
fn the_caller_is_woken_for_what_is_due_and_not_before() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 1000);
    let at = |ms| Some(Timestamp::from_unix_ms(START_MS + ms));
    let deadline = 7 * 24 * 60 * 60 * 1000;
    assert_eq!(driver.machine.poll_timeout(), at(100), "what it does");
    driver.now_ms = START_MS + 100;
    driver.feed(Input::Tick);
    assert_eq!(driver.machine.poll_timeout(), at(deadline));
    driver.wrote(conn, 5);
    assert_eq!(driver.machine.poll_timeout(), at(1000));
    driver.now_ms = START_MS + 1000;
    assert_eq!(kinds(&driver.feed(Input::Tick)), ["record"]);
    assert_eq!(driver.machine.poll_timeout(), at(2000), "the sync");
    driver.recorded();
    driver.now_ms = START_MS + 2000;
    assert_eq!(kinds(&driver.feed(Input::Tick)), ["sync"]);
    assert_eq!(driver.machine.poll_timeout(), at(deadline));
}

#[test]
fn one_record_at_a_time_and_it_says_what_is_true_when_it_is_made() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 100 * MIB);
    driver.now_ms = START_MS + 100;
    assert_eq!(record(&driver.wrote(conn, MIB)).spans[0].written, MIB);
    driver.now_ms = START_MS + 5000;
    assert_eq!(
        kinds(&driver.wrote(conn, 5 * MIB)),
        ["sync"],
        "the record is still under way"
    );
    assert_eq!(record(&driver.recorded()).spans[0].written, 5 * MIB);
}

#[test]
fn a_sync_covers_what_was_written_when_it_began() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 1000 * MIB);
    assert_eq!(kinds(&driver.wrote(conn, 64 * MIB)), ["sync"]);
    assert_eq!(
        kinds(&driver.wrote(conn, 200 * MIB)),
        [""; 0],
        "one at a time"
    );
    driver.now_ms = START_MS + 100;
    driver.feed(Input::Tick);
    driver.recorded();
    driver.now_ms = START_MS + 200;
    let actions = driver.feed(Input::Synced(Ok(())));
    let saved = record(&actions);
    assert_eq!(
        (saved.spans[0].synced, saved.spans[0].written),
        (64 * MIB, 200 * MIB)
    );
    assert_eq!(kinds(&actions), ["sync", "record"]);
}

#[test]
fn a_sync_is_recorded_though_the_stream_stands_still() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 1000);
    driver.wrote(conn, 500);
    driver.now_ms = START_MS + 1000;
    driver.feed(Input::Tick);
    driver.recorded();
    driver.now_ms = START_MS + 2000;
    assert_eq!(kinds(&driver.feed(Input::Tick)), ["sync"]);
    let saved = record(&driver.feed(Input::Synced(Ok(()))));
    assert_eq!((saved.spans[0].synced, saved.spans[0].written), (500, 500));
}

#[test]
fn a_record_that_failed_is_made_again_and_claims_nothing_until_then() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 100 * MIB);
    driver.now_ms = START_MS + 100;
    driver.wrote(conn, MIB);
    let refused = Input::Recorded(Err(failure(FailureKind::Store)));
    assert_eq!(kinds(&driver.feed(refused)), [""; 0]);
    driver.now_ms = START_MS + 200;
    assert_eq!(record(&driver.feed(Input::Tick)).spans[0].written, MIB);
}

#[test]
fn progress_is_told_at_most_every_100_ms() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 1000 * MIB);
    let mut told = Vec::new();
    for at_ms in [10, 99, 100, 150, 199, 200, 1000] {
        driver.now_ms = START_MS + at_ms;
        let actions = driver.wrote(conn, at_ms);
        if actions
            .iter()
            .any(|action| matches!(action, Action::Tell(News::Progress(_))))
        {
            told.push(at_ms);
        }
    }
    assert_eq!(told, [100, 200, 1000]);
}

#[test]
fn the_last_bytes_before_a_stall_are_told_too() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 1000 * MIB);
    driver.now_ms = START_MS + 100;
    driver.wrote(conn, 10);
    driver.wrote(conn, 20);
    let due = driver.machine.poll_timeout().expect("it is to be told");
    driver.now_ms = due.as_unix_ms();
    let told = driver.feed(Input::Tick);
    let is_told = |action: &Action| match action {
        Action::Tell(News::Progress(progress)) => progress.received_bytes == 20,
        _ => false,
    };
    assert!(told.iter().any(is_told), "{told:?}");
    assert!((START_MS + 200..START_MS + 210).contains(&driver.now_ms));
}

/// The times at which it told what it does, and what that was.
fn phases_at(driver: &mut Driver, inputs: Vec<(u64, Input)>) -> Vec<(u64, Phase)> {
    let mut told = Vec::new();
    for (at_ms, input) in inputs {
        driver.now_ms = START_MS + at_ms;
        let phase = |action| match action {
            Action::Tell(News::Phase(phase)) => Some((at_ms, phase)),
            _ => None,
        };
        told.extend(driver.feed(input).into_iter().filter_map(phase));
    }
    told
}

#[test]
fn what_it_does_is_told_when_it_changes_though_no_byte_comes_and_progress_was_just_told() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 1000);
    let wrote = |bytes| Input::Wrote {
        conn,
        received: bytes,
        written: bytes,
    };
    let ticks = vec![(99, Input::Tick), (100, Input::Tick), (300, Input::Tick)];
    let told = phases_at(&mut driver, ticks);
    assert_eq!(told, [(100, Phase::Transferring)]);
    let ends = Input::Ended {
        conn,
        result: Ok(()),
    };
    let told = phases_at(&mut driver, vec![(310, wrote(1000)), (311, ends)]);
    assert_eq!(told, [(311, Phase::Finishing)], "a check may take long");

    let (mut driver, ask) = Driver::fresh(spec());
    driver.now_ms = START_MS + 500;
    let length = ("content-length", "1000");
    let told = driver.head(ask.conn, 200, &[ETAG, length]);
    let is_told = |action: &Action| *action == Action::Tell(News::Phase(Phase::Transferring));
    assert!(told.iter().any(is_told), "at once: {told:?}");
}

#[test]
fn a_failed_sync_fails_the_task_because_nothing_is_known_of_its_bytes() {
    let (mut driver, conn, _) = Driver::streaming(spec(), 1000 * MIB);
    driver.wrote(conn, 64 * MIB);
    let actions = driver.feed(Input::Synced(Err(failure(FailureKind::File))));
    assert_eq!(kinds(&actions), ["stop"]);
    let saved = record(&driver.broke(conn));
    assert_eq!(saved.spans[0].synced, 0);
    assert_eq!(failed(&driver.recorded()), FailureKind::File);
}
