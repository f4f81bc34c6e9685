//! When tasks run: their time, their order, network and power, and the clock.

use std::time::Duration;

use longhaul_engine::conditions::Conditions;
use longhaul_engine::delayed_request::{DelayedRequest, NewRequest};
use longhaul_engine::failure::FailureKind;
use longhaul_engine::safe_url::parse_http_url;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{
    Constraint, Desired, DownloadSpec, Outcome, Phase, QueueReason, Spec, TaskOptions, UploadSpec,
};
use longhaul_engine::time::Timestamp;

use super::bench::{
    Bench, content, phase, session, session_with, start, start_one, until, until_phase,
    virtual_time,
};
use super::server::Answer;
use crate::fault;
use crate::handle::EngineHandle;

const PAUSE: Duration = Duration::from_millis(20);
const METERED: Conditions = Conditions {
    is_online: None,
    is_metered: Some(true),
    is_constrained: None,
    is_on_battery: None,
};
const ON_BATTERY: Conditions = Conditions {
    is_metered: Some(false),
    is_on_battery: Some(true),
    ..METERED
};

pub(super) fn with(spec: DownloadSpec, options: TaskOptions) -> DownloadSpec {
    DownloadSpec { options, ..spec }
}

fn discretionary() -> TaskOptions {
    TaskOptions {
        is_discretionary: true,
        ..TaskOptions::default()
    }
}

fn begins_at(at: Timestamp) -> TaskOptions {
    TaskOptions {
        earliest_begin: Some(at),
        ..TaskOptions::default()
    }
}

async fn stop(engine: EngineHandle) {
    engine.shutdown().await;
}

#[test]
fn a_task_whose_condition_breaks_stops_and_goes_on_with_its_bytes_when_it_is_met_again() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(2_000_000, 1), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, with(bench.spec("a/f"), discretionary())).await;
        for (conditions, constraint) in [
            (METERED, Constraint::Unmetered),
            (ON_BATTERY, Constraint::Power),
        ] {
            let before = bench.server.sent_bytes("a/f");
            until(async || bench.server.sent_bytes("a/f") > before + 300_000).await;
            let flipped = bench.elapsed();
            engine.set_conditions(conditions);
            let held = Phase::Queued(QueueReason::Unmet(constraint));
            until_phase(&session, task, &held).await;
            assert!(bench.elapsed() - flipped < Duration::from_secs(1));
            let requests = bench.server.seen("a/f").len();
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert_eq!(bench.server.seen("a/f").len(), requests, "nothing is asked");
            assert_eq!(phase(&session, task).await, held);
            let flipped = bench.elapsed();
            engine.set_conditions(Conditions::default());
            until(async || bench.server.seen("a/f").len() > requests).await;
            assert!(bench.elapsed() - flipped < Duration::from_secs(1));
        }
        let outcome = session.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", 2_000_000)));
        let sent = bench.server.sent_bytes("a/f");
        assert!(sent < 2_000_000 + 2 * 400_000, "{sent} bytes were sent");
    });
}

#[test]
fn a_condition_that_breaks_at_any_moment_of_the_beginning_stops_the_tasks() {
    // The engine runs on this thread, and so many tasks take many turns to begin.
    const TASKS: usize = 60;
    for turns in 0..16 {
        virtual_time(async {
            let bench = Bench::new();
            let rules = SessionRules {
                tasks_max: 1000,
                tasks_per_host_max: 1000,
                ..SessionRules::default()
            };
            let engine = bench.engine().await;
            let session = session_with(&engine, "s", rules).await;
            let mut specs = Vec::new();
            for number in 0..TASKS {
                let (down, up) = (format!("a/{number}"), format!("b/{number}"));
                bench.server.put(&down, &content(500_000, 1), PAUSE, &[]);
                bench.put_source(&number.to_string(), &content(500_000, 2));
                bench.server.1.open(&up, PAUSE, &[]);
                specs.push(Spec::Download(with(bench.spec(&down), discretionary())));
                specs.push(Spec::Upload(UploadSpec {
                    options: discretionary(),
                    ..bench.upload(&up)
                }));
            }
            // The next commit waits for nothing.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let change = async {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                engine.set_conditions(METERED);
            };
            let (tasks, ()) = tokio::join!(start(&session, specs), change);
            tokio::time::sleep(Duration::from_millis(100)).await;
            let held = Phase::Queued(QueueReason::Unmet(Constraint::Unmetered));
            for view in session.tasks().await.expect("the tasks") {
                assert_eq!(view.phase, held, "{:?} after {turns} turns", view.id);
            }
            assert_eq!(tasks.len(), 2 * TASKS);
        });
    }
}

#[test]
fn a_held_task_leaves_its_place_to_others_and_survives_a_restart() {
    virtual_time(async {
        let bench = Bench::new();
        for at in ["a/held", "a/plain"] {
            bench.server.put(at, &content(1000, 2), PAUSE, &[]);
        }
        let rules = SessionRules {
            tasks_max: 1,
            ..SessionRules::default()
        };
        let engine = bench.engine().await;
        engine.set_conditions(METERED);
        let first = session_with(&engine, "s", rules.clone()).await;
        let specs = vec![
            with(bench.spec("a/held"), discretionary()),
            bench.spec("a/plain"),
        ];
        let tasks = start(&first, specs).await;
        assert_eq!(
            first.outcome(tasks[1]).await,
            Ok(bench.finished("plain", 1000))
        );
        stop(engine).await;
        let engine = bench.engine().await;
        engine.set_conditions(ON_BATTERY);
        let second = session_with(&engine, "s", rules).await;
        let held = Phase::Queued(QueueReason::Unmet(Constraint::Power));
        until_phase(&second, tasks[0], &held).await;
        let why = second.why(tasks[0]).await.expect("a reason").to_string();
        assert!(why.contains("battery"), "{why}");
        engine.set_conditions(Conditions::default());
        assert_eq!(
            second.outcome(tasks[0]).await,
            Ok(bench.finished("held", 1000))
        );
    });
}

#[test]
fn what_is_begun_in_the_background_is_discretionary_for_its_whole_life() {
    virtual_time(async {
        let bench = Bench::new();
        for at in ["a/back", "a/front"] {
            bench.server.put(at, &content(1000, 3), PAUSE, &[]);
        }
        let engine = bench.engine().await;
        engine.set_conditions(METERED);
        let first = session(&engine, "s").await;
        engine.set_background(true);
        let back = start_one(&first, bench.spec("a/back")).await;
        engine.set_background(false);
        let front = start_one(&first, bench.spec("a/front")).await;
        assert_eq!(
            first.outcome(front).await,
            Ok(bench.finished("front", 1000))
        );
        stop(engine).await;
        let engine = bench.engine().await;
        engine.set_conditions(METERED);
        let second = session(&engine, "s").await;
        let held = Phase::Queued(QueueReason::Unmet(Constraint::Unmetered));
        until_phase(&second, back, &held).await;
    });
}

#[test]
fn a_held_task_fails_when_its_time_for_the_resource_is_over() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(1000, 4), PAUSE, &[]);
        let engine = bench.engine().await;
        engine.set_conditions(METERED);
        let rules = SessionRules {
            timeout_for_resource: Duration::from_secs(100),
            ..SessionRules::default()
        };
        let session = session_with(&engine, "s", rules).await;
        let task = start_one(&session, with(bench.spec("a/f"), discretionary())).await;
        let outcome = session.outcome(task).await.expect("an outcome");
        let Outcome::Failed(failure) = &outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(failure.kind(), FailureKind::ResourceTimedOut);
        let elapsed = bench.elapsed();
        assert!(elapsed >= Duration::from_secs(100), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(101), "{elapsed:?}");
        assert_eq!(bench.server.seen("a/f"), [], "nothing was asked");
    });
}

#[test]
fn a_task_begins_at_its_time_also_after_a_restart_and_not_before() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(1000, 5), PAUSE, &[]);
        let at = bench.now().after(Duration::from_secs(900));
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let task = start_one(&first, with(bench.spec("a/f"), begins_at(at))).await;
        let waits = Phase::Queued(QueueReason::NotBefore(at));
        assert_eq!(phase(&first, task).await, waits);
        first.want(task, Desired::Running).await.expect("an answer");
        assert_eq!(phase(&first, task).await, waits, "resume begins nothing");
        stop(engine).await;
        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        assert_eq!(second.outcome(task).await, Ok(bench.finished("f", 1000)));
        let elapsed = bench.elapsed();
        assert!(elapsed >= Duration::from_secs(900), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(901), "{elapsed:?}");
    });
}

#[test]
fn an_earliest_begin_moves_with_the_clock() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(1000, 6), PAUSE, &[]);
        let at = bench.now().after(Duration::from_secs(1000));
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, with(bench.spec("a/f"), begins_at(at))).await;
        bench.shift.set(-100_000);
        tokio::time::sleep(Duration::from_secs(1001)).await;
        let waits = Phase::Queued(QueueReason::NotBefore(at));
        assert_eq!(phase(&session, task).await, waits);
        bench.shift.set(200_000);
        assert_eq!(session.outcome(task).await, Ok(bench.finished("f", 1000)));
        assert!(bench.elapsed() < Duration::from_secs(1002));
    });
}

#[test]
fn a_clock_that_is_set_back_makes_no_retry_wait_longer() {
    virtual_time(async {
        let bench = Bench::new();
        let script = [Answer::Later(100), Answer::Later(100)];
        bench.server.put("a/f", &content(1000, 7), PAUSE, &script);
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let task = start_one(&first, bench.spec("a/f")).await;
        until(async || bench.server.seen("a/f").len() == 1).await;
        tokio::time::sleep(Duration::from_secs(50)).await;
        bench.shift.set(-86_400_000);
        until(async || bench.server.seen("a/f").len() == 2).await;
        let elapsed = bench.elapsed();
        assert!(elapsed >= Duration::from_secs(99), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(103), "{elapsed:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop(engine).await;
        bench.shift.set(-86_400_000);
        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        assert_eq!(second.outcome(task).await, Ok(bench.finished("f", 1000)));
        let elapsed = bench.elapsed();
        assert!(elapsed < Duration::from_secs(206), "{elapsed:?}");
    });
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_records_of_a_transfer() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(2_000_000, 14), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        until(async || bench.server.sent_bytes("a/f") > 100_000).await;
        bench.shift.set(-86_400_000);
        fault::arm(fault::Plan::default());
        until(async || bench.server.sent_bytes("a/f") > 1_900_000).await;
        let hits = fault::hits();
        fault::disarm();
        assert!(hits.contains(&"transfer.record"), "nothing was recorded");
        assert_eq!(
            session.outcome(task).await,
            Ok(bench.finished("f", 2_000_000))
        );
    });
}

#[test]
fn many_delayed_tasks_wake_the_session_for_the_due_ones_only() {
    const TASKS: usize = 100_000;
    virtual_time(async {
        let bench = Bench::new();
        let due = [10, 20, 20, 30].map(Duration::from_secs);
        for number in 0..due.len() {
            let at = format!("a/{number}");
            bench.server.put(&at, &content(100, number), PAUSE, &[]);
        }
        let now = bench.now();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let delayed = |number: usize| {
            let delay = due.get(number).copied();
            let far = Duration::from_secs(1_000_000 + u64::try_from(number).expect("small"));
            let at = now.after(delay.unwrap_or(far));
            with(bench.spec(&format!("a/{number}")), begins_at(at))
        };
        let tasks = start(&session, (0..TASKS).map(delayed).collect()).await;
        fault::arm(fault::Plan::default());
        for (number, task) in tasks.iter().take(due.len()).enumerate() {
            let name = number.to_string();
            assert_eq!(session.outcome(*task).await, Ok(bench.finished(&name, 100)));
        }
        tokio::time::sleep(Duration::from_secs(3000)).await;
        let hits = fault::hits();
        fault::disarm();
        let count = |name| hits.iter().filter(|hit| **hit == name).count();
        assert_eq!(count("session.wake"), 3, "one for each time that comes");
        assert_eq!(count("session.launch"), due.len());
    });
}

#[test]
fn the_owner_of_a_delayed_task_is_asked_and_answered_once() {
    virtual_time(async {
        let bench = Bench::new();
        for at in ["a/goes", "a/old", "b/new", "a/not"] {
            bench.server.put(at, &content(1000, 8), PAUSE, &[]);
        }
        let at = bench.now().after(Duration::from_secs(60));
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let _delegate = session.attach();
        let specs = ["a/goes", "a/old", "a/not"]
            .map(|name| with(bench.spec(name), begins_at(at)))
            .to_vec();
        let tasks = start(&session, specs).await;
        for task in &tasks {
            until_phase(&session, *task, &Phase::AwaitingBegin).await;
        }
        assert!(bench.elapsed() >= Duration::from_secs(60));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let url = parse_http_url("http://b/new").expect("a url").url;
        let headers = vec![("X-New".to_owned(), "1".to_owned())];
        let decisions = [
            DelayedRequest::ContinueLoading,
            DelayedRequest::UseNewRequest(NewRequest { url, headers }),
            DelayedRequest::Cancel,
        ];
        for (task, decision) in tasks.iter().zip(decisions) {
            let answer = session.decide_begin(*task, decision.clone()).await;
            assert_eq!(answer, Ok(Ok(())));
            let again = session.decide_begin(*task, decision).await;
            assert_eq!(again, Ok(Ok(())), "it does not wait for it any more");
        }
        assert_eq!(
            session.outcome(tasks[0]).await,
            Ok(bench.finished("goes", 1000))
        );
        assert_eq!(
            session.outcome(tasks[1]).await,
            Ok(bench.finished("old", 1000))
        );
        assert_eq!(session.outcome(tasks[2]).await, Ok(Outcome::Cancelled));
        assert_eq!(bench.server.seen("a/old"), []);
        assert_eq!(bench.server.seen("b/new").len(), 1);
        assert_eq!(bench.server.seen("a/not"), []);
    });
}

#[test]
fn without_a_delegate_or_when_it_leaves_a_delayed_task_just_begins() {
    virtual_time(async {
        let bench = Bench::new();
        for at in ["a/one", "a/two"] {
            bench.server.put(at, &content(1000, 9), PAUSE, &[]);
        }
        let at = bench.now().after(Duration::from_secs(60));
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let one = start_one(&session, with(bench.spec("a/one"), begins_at(at))).await;
        assert_eq!(session.outcome(one).await, Ok(bench.finished("one", 1000)));
        let delegate = session.attach();
        let two = start_one(&session, with(bench.spec("a/two"), begins_at(at))).await;
        until_phase(&session, two, &Phase::AwaitingBegin).await;
        drop(delegate);
        assert_eq!(session.outcome(two).await, Ok(bench.finished("two", 1000)));
        assert!(bench.elapsed() < Duration::from_secs(62));
    });
}
