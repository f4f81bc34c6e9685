//! Who looks on at sessions, which others own.

use std::sync::Arc;
use std::time::Duration;

use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::SessionDocument;
use longhaul_engine::id::{Sequence, SessionId};
use longhaul_engine::session::{Invalidation, SessionRules, SessionState};
use tokio::time::timeout;

use super::bench::{Bench, Heard, content, session, session_with, start_one, until, virtual_time};
use crate::handle::{CallError, EngineHandle};
use crate::local::{self, RefreshScope, RefreshTask};

const PAUSE: Duration = Duration::from_millis(20);
const MINUTE: Duration = Duration::from_secs(60);

/// The engine, for what is asked of one in this process only.
fn local(engine: &EngineHandle) -> &local::EngineHandle {
    match engine {
        EngineHandle::Local(engine) => engine,
        EngineHandle::Remote(_) => panic!("it runs here"),
    }
}

/// The call of the app of one session, if it comes in time.
async fn called(engine: &EngineHandle, name: &'static str) -> Option<RefreshTask> {
    let scope: RefreshScope = Arc::new(move |session: &SessionId| session.as_str() == name);
    timeout(MINUTE, local(engine).next_refresh_task_of(scope))
        .await
        .ok()?
}

#[test]
fn who_looks_on_goes_on_when_the_session_is_opened_with_another_configuration() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(1 << 20, 2);
        bench.server.put("a/f", &body, PAUSE, &[]);
        let engine = bench.engine().await;
        let id = SessionId::new("s").expect("a name");
        let unknown = engine.observe(&id).await.err();
        assert_eq!(unknown, Some(CallError::NoSuchSession(id.clone())));
        let first = session(&engine, "s").await;
        let task = start_one(&first, bench.spec("a/f")).await;
        let observer = engine.observe(&id).await.expect("it is there");
        let heard = Heard::from(observer.subscribe(None).await.expect("a subscription"));
        until(async || bench.server.sent_bytes("a/f") > 200_000).await;
        drop(first);

        let rules = SessionRules {
            user_agent: Some("anew/2".to_owned()),
            ..SessionRules::default()
        };
        let second = session_with(&engine, "s", rules).await;
        let outcome = observer.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", body.len())));
        assert_eq!(bench.server.seen("a/f").len(), 2, "it was asked anew");
        let end = heard.until_facts(1).await[0].sequence;
        let summary = observer.summary().await.expect("a summary");
        assert_eq!((summary.live_tasks, summary.ended_tasks), (0, 1));
        assert!(!summary.is_attended, "nobody but an observer listens");
        second.acknowledge(end).await.expect("an answer");
        until(async || {
            let summary = observer.summary().await.expect("a summary");
            summary.ended_tasks == 0
        })
        .await;

        let wish = second.invalidate(Invalidation::FinishTasks).await;
        wish.expect("an answer");
        let last = heard.until_facts(2).await[1].sequence;
        second.acknowledge(last).await.expect("an answer");
        until(async || heard.is_over()).await;
        assert_eq!(observer.state().await, Err(CallError::Invalidated(id)));
    });
}

#[test]
fn an_app_is_called_by_who_takes_its_session_also_while_others_look_on() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let mut open = Vec::new();
        for (name, at) in [("s", "a/s"), ("t", "b/t")] {
            bench.server.put(at, &content(50_000, 1), PAUSE, &[]);
            let session = session(&engine, name).await;
            start_one(&session, bench.spec(at)).await;
            open.push(session);
        }
        let observer = engine.observe(open[0].id()).await.expect("it is there");
        let _looking_on = Heard::from(observer.subscribe(None).await.expect("a subscription"));
        assert!(called(&engine, "u").await.is_none(), "nobody takes theirs");
        let second = called(&engine, "t").await.expect("a call");
        assert_eq!(second.session_identifier().as_str(), "t");
        let first = called(&engine, "s").await.expect("a call");
        assert_eq!(first.session_identifier().as_str(), "s");
        assert_ne!(first.number(), second.number());
    });
}

#[test]
fn all_sessions_are_told_with_their_tasks_counted() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(1000, 1), PAUSE, &[]);
        let engine = bench.engine().await;
        let (busy, _idle) = (session(&engine, "b").await, session(&engine, "a").await);
        let task = start_one(&busy, bench.spec("a/f")).await;
        let counts = async || {
            let views = engine.sessions().await.expect("an answer");
            let count = |it: &SessionDocument| {
                assert_eq!(it.state, SessionState::Open);
                (it.session.to_string(), it.live_tasks, it.ended_tasks)
            };
            views.iter().map(count).collect::<Vec<_>>()
        };
        let expected = |live, ended| vec![("a".to_owned(), 0, 0), ("b".to_owned(), live, ended)];
        assert_eq!(counts().await, expected(1, 0));
        busy.outcome(task).await.expect("an outcome");
        until(async || counts().await == expected(0, 1)).await;
        engine.shutdown().await;
        assert!(engine.sessions().await.is_err());
    });
}

#[test]
fn a_subscription_goes_on_after_the_fact_that_was_heard_last() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        for at in ["a/1", "a/2", "a/3"] {
            bench.server.put(at, &content(1000, 1), PAUSE, &[]);
            let task = start_one(&session, bench.spec(at)).await;
            session.outcome(task).await.expect("an outcome");
        }
        let rest = session.subscribe_after(None, Sequence::new(2)).await;
        let facts = Heard::from(rest.expect("a subscription"));
        let facts = facts.until_facts(1).await;
        let numbers: Vec<u64> = facts.iter().map(|fact| fact.sequence.get()).collect();
        assert_eq!(numbers, [3]);
        // Heard of a store that is no more: this one has not come so far.
        let all = session.subscribe_after(None, Sequence::new(4)).await;
        let facts = Heard::from(all.expect("a subscription"));
        let facts = facts.until_facts(3).await;
        let numbers: Vec<u64> = facts.iter().map(|fact| fact.sequence.get()).collect();
        assert_eq!(numbers, [1, 2, 3]);
    });
}

#[test]
fn a_change_of_the_conditions_is_heard_until_the_engine_stops() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        assert!(local(&engine).state_dir().ends_with("state"));
        let known = engine.conditions();
        let metered = Conditions {
            is_metered: Some(true),
            ..known
        };
        let set = async { engine.set_conditions(metered) };
        let (heard, ()) = tokio::join!(engine.conditions_changed(known), set);
        assert_eq!(heard, Some(metered));
        let (heard, ()) = tokio::join!(engine.conditions_changed(metered), engine.shutdown());
        assert_eq!(heard, None);
    });
}
