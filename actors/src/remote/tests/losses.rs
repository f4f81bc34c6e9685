//! Answers that are lost, and a daemon that is away.

use std::time::Duration;

use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::Problem;
use longhaul_engine::id::TaskId;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::session::SessionRules;

use super::daemon::Daemon;
use super::{connect, name, open, options, request, run};
use crate::local::{CallError, RefusedStart};
use crate::remote::EngineHandle;

#[test]
fn a_call_whose_answer_is_lost_is_asked_again_and_finds_what_it_had_made() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        daemon.update(|state| state.loses = vec!["open", "start", "tasks"]);
        let opening = engine.open_session_with(name(), SessionRules::default(), vec![request("a")]);
        let opened = opening.await.unwrap();
        assert_eq!(opened.started, [Ok(TaskId::new(1))]);
        let started = opened.session.start(vec![request("b")]).await.unwrap();
        assert_eq!(started, [Ok(TaskId::new(2))]);
        let tasks = opened.session.tasks().await.unwrap();
        assert_eq!(
            tasks.iter().map(|it| it.id.get()).collect::<Vec<_>>(),
            [1, 2]
        );
        // What is there already is another's when nothing was lost.
        let refused = opened.session.start(vec![request("b")]).await.unwrap();
        let task = TaskId::new(2);
        let session = name();
        assert_eq!(refused, [Err(RefusedStart::TargetInUse { session, task })]);
    });
}

#[test]
fn calls_wait_for_a_daemon_that_is_started_again() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        daemon.kill();
        let starting = session.start(vec![request("a")]);
        let restarting = async { daemon.restart() };
        let (started, ()) = futures_util::future::join(starting, restarting).await;
        assert_eq!(started.unwrap(), [Ok(TaskId::new(1))]);
        assert!(
            daemon.update(|state| state.owner.is_some()),
            "the session is open again"
        );
    });
}

#[test]
fn patience_with_a_daemon_that_stays_away_has_an_end() {
    let daemon = Daemon::start();
    run(async {
        let mut options = options(&daemon);
        options.patience = Duration::from_millis(50);
        let engine = EngineHandle::connect(options).await.unwrap();
        let session = open(&engine).await;
        daemon.kill();
        let error = session.tasks().await.unwrap_err();
        assert!(matches!(error, CallError::Unreachable(_)), "{error}");
        let error = session.subscribe(None).await.unwrap_err();
        assert!(matches!(error, CallError::Unreachable(_)), "{error}");
        let error = session.outcome(TaskId::new(1)).await.unwrap_err();
        assert!(matches!(error, CallError::Unreachable(_)), "{error}");
        daemon.restart();
        // The client finds it again in its own time, which is longer than its patience here.
        while let Err(error) = session.tasks().await {
            assert!(matches!(error, CallError::Unreachable(_)), "{error}");
        }
    });
}

#[test]
fn many_calls_to_a_daemon_that_stays_away_end_with_one_patience() {
    let daemon = Daemon::start();
    run(async {
        let mut options = options(&daemon);
        options.patience = Duration::from_millis(500);
        let engine = EngineHandle::connect(options).await.unwrap();
        let session = open(&engine).await;
        daemon.kill();
        (1..=100).for_each(|limit| engine.set_rate_limit(Some(limit)));
        let asked = tokio::time::timeout(Duration::from_secs(20), session.tasks()).await;
        let error = asked.expect("it is not kept for 50 s").unwrap_err();
        assert!(matches!(error, CallError::Unreachable(_)), "{error}");
    });
}

#[test]
fn a_client_that_the_daemon_has_lost_becomes_another_one() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        daemon.update(|state| {
            state.refuses.push(("wait", Problem::NoSuchClient));
            // Whom it does not know owns nothing there.
            state.owner = None;
        });
        session.start(vec![request("a")]).await.unwrap();
        let waiting = session.outcome(TaskId::new(1));
        let ending = async {
            daemon.wait(|state| (!state.waits.is_empty()).then_some(()));
            daemon.end(1);
        };
        // The daemon is looked at from a thread that must not be that of the wait.
        let ending = async {
            tokio::task::yield_now().await;
            ending.await
        };
        let (ended, ()) = futures_util::future::join(waiting, ending).await;
        ended.unwrap();
        assert_eq!(daemon.update(|state| state.clients.len()), 2);
    });
}

#[test]
fn what_is_set_holds_for_every_call_after_it() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        for limit in 1..=20 {
            daemon.update(|state| state.asked.clear());
            let metered = Conditions {
                is_metered: Some(true),
                ..Conditions::default()
            };
            engine.set_rate_limit(Some(limit));
            engine.set_conditions(metered);
            assert_eq!(
                engine.conditions(),
                metered,
                "it is known before it was said"
            );
            session.tasks().await.unwrap();
            let asked = daemon.update(|state| std::mem::take(&mut state.asked));
            let asked: Vec<_> = asked.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(asked, ["rate-limit", "conditions", "tasks"]);
        }
    });
}

#[test]
fn what_was_set_is_said_before_the_client_is_closed() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        engine.set_rate_limit(Some(7));
        engine.shutdown().await;
        let said = daemon.wait_asked("rate-limit");
        assert_eq!(said, r#"{"bytes_per_second":7}"#);
    });
}

#[test]
fn what_is_started_in_the_background_is_discretionary() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        engine.set_background(true);
        session.start(vec![request("a")]).await.unwrap();
        engine.set_background(false);
        session.start(vec![request("b")]).await.unwrap();
        let mut tasks = session.tasks().await.unwrap();
        let is = |it: &mut crate::local::TaskView| it.spec.options_mut().is_discretionary;
        assert_eq!(tasks.iter_mut().map(is).collect::<Vec<_>>(), [true, false]);

        for is_background in [true, false] {
            engine.set_background(is_background);
            let used = Problem::ResumeData {
                reason: ResumeDataError::Used,
            };
            daemon.update(|state| state.refuses.push(("resume", used)));
            let data = ResumeData::from_bytes(vec![7; 8]).unwrap();
            let resumed = session.resume_upload(data, None).await.unwrap();
            let used = RefusedStart::ResumeData(ResumeDataError::Used);
            assert_eq!(resumed, Err(used));
            let asked = daemon.wait_asked("resume");
            let said = format!(r#""is_discretionary":{is_background}"#);
            assert!(asked.contains(&said), "{asked}");
        }
    });
}
