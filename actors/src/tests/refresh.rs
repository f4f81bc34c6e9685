//! An app that is away is called, within its budget, until it has handled its events.

use std::time::Duration;

use longhaul_engine::launch::LaunchReason;
use longhaul_engine::session::SessionRules;
use tokio::time::{Instant, timeout};

use super::bench::{Bench, content, listen, session, session_with, start_one, until, virtual_time};
use super::server::Answer;
use crate::handle::{CallError, EngineHandle, RefreshTask, SessionHandle};

const PAUSE: Duration = Duration::from_millis(20);
const MINUTE: Duration = Duration::from_secs(60);

fn bench_with(names: &[&str]) -> Bench {
    let bench = Bench::new();
    for name in names {
        bench.server.put(name, &content(50_000, 1), PAUSE, &[]);
    }
    bench
}

async fn called(engine: &EngineHandle, within: Duration) -> Option<RefreshTask> {
    timeout(within, engine.next_refresh_task()).await.ok()?
}

/// The app of a session has gone.
fn gone(session: &SessionHandle) {
    match session {
        SessionHandle::Local(session) => session.app_has_gone(),
        SessionHandle::Remote(_) => panic!("it runs here"),
    }
}

#[test]
fn an_app_without_a_delegate_is_called_when_its_session_has_drained() {
    virtual_time(async {
        let bench = bench_with(&["a/1", "a/2"]);
        let engine = bench.engine().await;
        let open = session(&engine, "s").await;
        start_one(&open, bench.spec("a/1")).await;
        start_one(&open, bench.spec("a/2")).await;
        let task = called(&engine, MINUTE).await.expect("a call");
        assert_eq!(task.session_identifier().as_str(), "s");
        assert_eq!(task.reason(), LaunchReason::Drained);
        let views = open.tasks().await.expect("tasks");
        assert!(
            views.iter().all(|view| view.outcome.is_some()),
            "one call for both"
        );

        // The app comes, hears everything, and says so.
        let heard = listen(&open).await;
        let facts = heard.until_facts(2).await;
        open.acknowledge(facts[1].sequence)
            .await
            .expect("an answer");
        assert_eq!(task.set_task_completed().await, Ok(()));
        assert!(called(&engine, 40 * MINUTE).await.is_none(), "it is done");
        engine.shutdown().await;
        assert!(
            engine.next_refresh_task().await.is_none(),
            "the engine has stopped"
        );
    });
}

#[test]
fn an_app_that_listens_is_not_called() {
    virtual_time(async {
        let bench = bench_with(&["a/1", "b/1"]);
        let engine = bench.engine().await;
        let attached = session(&engine, "s").await;
        let attachment = attached.attach();
        start_one(&attached, bench.spec("a/1")).await;
        assert!(
            called(&engine, 20 * MINUTE).await.is_none(),
            "its delegate is there"
        );
        drop(attachment);

        let listening = session(&engine, "t").await;
        let heard = listen(&listening).await;
        start_one(&listening, bench.spec("b/1")).await;
        assert!(
            called(&engine, 20 * MINUTE).await.is_none(),
            "it reads its events"
        );
        assert_eq!(heard.facts().len(), 1);
    });
}

#[test]
fn an_app_that_goes_without_having_handled_the_end_is_called() {
    virtual_time(async {
        let bench = bench_with(&["a/1"]);
        let engine = bench.engine().await;
        let open = session(&engine, "s").await;
        let attachment = open.attach();
        start_one(&open, bench.spec("a/1")).await;
        assert!(
            called(&engine, MINUTE).await.is_none(),
            "its delegate is there"
        );
        drop(attachment);
        gone(&open);
        let task = called(&engine, MINUTE).await.expect("a call");
        assert_eq!(task.reason(), LaunchReason::Drained);
        // One that has handled it goes, too.
        let heard = listen(&open).await;
        let facts = heard.until_facts(1).await;
        open.acknowledge(facts[0].sequence)
            .await
            .expect("an answer");
        assert_eq!(task.set_task_completed().await, Ok(()));
        drop(heard);
        gone(&open);
        assert!(called(&engine, 40 * MINUTE).await.is_none());
    });
}

#[test]
fn an_app_that_has_heard_everything_before_it_was_called_is_not_called() {
    virtual_time(async {
        let bench = bench_with(&["a/1"]);
        let engine = bench.engine().await;
        let open = session(&engine, "s").await;
        let heard = listen(&open).await;
        start_one(&open, bench.spec("a/1")).await;
        let facts = heard.until_facts(1).await;
        open.acknowledge(facts[0].sequence)
            .await
            .expect("an answer");
        // It goes before anybody could look whether it is there.
        drop(heard);
        assert!(called(&engine, 40 * MINUTE).await.is_none());
    });
}

#[test]
fn a_session_that_sends_no_launch_events_calls_nobody() {
    virtual_time(async {
        let bench = bench_with(&["a/1"]);
        let engine = bench.engine().await;
        let rules = SessionRules {
            session_sends_launch_events: false,
            ..SessionRules::default()
        };
        let open = session_with(&engine, "s", rules).await;
        start_one(&open, bench.spec("a/1")).await;
        assert!(called(&engine, 20 * MINUTE).await.is_none());
    });
}

#[test]
fn an_app_is_called_when_a_server_wants_authorization() {
    virtual_time(async {
        let bench = Bench::new();
        let refusals = vec![Answer::Status(401); 4];
        bench.server.put("a/1", &content(10, 1), PAUSE, &refusals);
        let engine = bench.engine().await;
        let open = session(&engine, "s").await;
        start_one(&open, bench.spec("a/1")).await;
        let task = called(&engine, MINUTE).await.expect("a call");
        assert_eq!(task.reason(), LaunchReason::AuthorizationRequired);
    });
}

#[test]
fn a_refresh_task_that_is_not_completed_expires_and_the_app_is_called_again() {
    virtual_time(async {
        let bench = bench_with(&["a/1"]);
        let engine = bench.engine().await;
        let open = session(&engine, "s").await;
        start_one(&open, bench.spec("a/1")).await;
        let began = Instant::now();
        let late = called(&engine, MINUTE).await.expect("a call");
        let again = called(&engine, 20 * MINUTE).await.expect("a second call");
        let apart = began.elapsed();
        assert!(apart >= 15 * MINUTE && apart < 16 * MINUTE, "{apart:?}");
        assert_eq!(
            late.set_task_completed().await,
            Err(CallError::RefreshExpired)
        );

        // Completed without having handled the events: they are still there, so is the call.
        assert_eq!(again.set_task_completed().await, Ok(()));
        assert!(
            called(&engine, 10 * MINUTE).await.is_none(),
            "the budget holds"
        );
        assert!(called(&engine, 10 * MINUTE).await.is_some());
    });
}

#[test]
fn a_call_is_due_by_the_clock_also_when_that_was_set() {
    // After the machine has slept, too: the runtime's timers do not see that.
    virtual_time(async {
        let bench = bench_with(&["a/1"]);
        let engine = bench.engine().await;
        let open = session(&engine, "s").await;
        start_one(&open, bench.spec("a/1")).await;
        let task = called(&engine, MINUTE).await.expect("a call");
        // Its events are not handled, so there is another call, 15 minutes later.
        assert_eq!(task.set_task_completed().await, Ok(()));
        let began = Instant::now();
        let set = async {
            tokio::time::sleep(MINUTE).await;
            bench.shift.set(15 * 60_000);
        };
        let (again, ()) = tokio::join!(called(&engine, 20 * MINUTE), set);
        assert!(again.is_some());
        assert!(began.elapsed() < 2 * MINUTE, "{:?}", began.elapsed());
    });
}

#[test]
fn a_call_that_a_restart_fell_upon_comes_again_and_the_budget_is_kept() {
    virtual_time(async {
        let bench = bench_with(&["a/1"]);
        let engine = bench.engine().await;
        let open = session(&engine, "s").await;
        start_one(&open, bench.spec("a/1")).await;
        let task = called(&engine, MINUTE).await.expect("a call");
        drop((task, open));
        engine.shutdown().await;

        let engine = bench.engine().await;
        let _open = session(&engine, "s").await;
        assert!(
            called(&engine, 10 * MINUTE).await.is_none(),
            "15 minutes apart"
        );
        let task = called(&engine, 10 * MINUTE).await.expect("a call");
        assert_eq!(task.reason(), LaunchReason::Drained);
    });
}

#[test]
fn nobody_is_called_while_nobody_takes_refresh_tasks() {
    virtual_time(async {
        let bench = bench_with(&["a/1"]);
        let engine = bench.engine().await;
        let open = session(&engine, "s").await;
        let task = start_one(&open, bench.spec("a/1")).await;
        until(async || open.outcome(task).await.is_ok()).await;
        tokio::time::sleep(40 * MINUTE).await;
        let began = Instant::now();
        assert!(called(&engine, MINUTE).await.is_some());
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "the wish had waited, the budget was there"
        );
    });
}
