//! Whose a session is and how it ends, at every moment.

use std::time::Duration;

use longhaul_engine::event::Fact;
use longhaul_engine::session::{Invalidation, SessionRules, SessionState};
use longhaul_engine::task::{Desired, Outcome};

use super::bench::{
    Bench, content, listen, requests, session, session_with, start, start_one, until, virtual_time,
};
use super::server::Answer;
use crate::fault::{self, Plan};
use crate::handle::{CallError, RefusedStart};

const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn a_session_that_finishes_ends_once_wherever_the_engine_stops_meanwhile() {
    for moment in (0..600).step_by(29) {
        virtual_time(async {
            let bench = Bench::new();
            for (number, name) in ["a/f", "a/g"].iter().enumerate() {
                let body = content((1 << 20) >> number, number);
                bench.server.put(name, &body, PAUSE, &[]);
            }
            let engine = bench.engine().await;
            let first = session(&engine, "s").await;
            let early = listen(&first).await;
            start(&first, vec![bench.spec("a/f"), bench.spec("a/g")]).await;
            first
                .invalidate(Invalidation::FinishTasks)
                .await
                .expect("an answer");
            tokio::time::sleep(Duration::from_millis(moment)).await;
            engine.shutdown().await;

            let engine = bench.engine().await;
            let second = session(&engine, "s").await;
            let refused = second.start(requests(vec![bench.spec("a/h")], false)).await;
            let expected = Err(RefusedStart::Invalidated(second.id().clone()));
            assert_eq!(refused, Ok(vec![expected]), "{moment} ms");
            let heard = listen(&second).await;
            until(async || heard.is_over()).await;
            let facts = heard.facts();
            let numbers: Vec<u64> = facts.iter().map(|fact| fact.sequence.get()).collect();
            assert_eq!(numbers, [1, 2, 3], "{moment} ms");
            assert_eq!(facts[2].fact, Fact::BecameInvalid);
            assert_eq!(early.facts(), facts[..early.facts().len()]);
            assert_eq!(second.state().await, Ok(SessionState::Invalid));
            second
                .acknowledge(facts[2].sequence)
                .await
                .expect("an answer");
            let gone = CallError::Invalidated(second.id().clone());
            assert_eq!(second.state().await, Err(gone.clone()));
            assert_eq!(
                second.invalidate(Invalidation::FinishTasks).await,
                Err(gone)
            );
            let third = session(&engine, "s").await;
            assert_eq!(third.tasks().await.map(|tasks| tasks.len()), Ok(0));
            assert_eq!(bench.files(), ["f", "g"]);
        });
    }
}

#[test]
fn a_suspended_task_keeps_a_session_that_finishes_alive_until_it_has_ended() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(1000, 1), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let made = session
            .create(requests(vec![bench.spec("a/f")], false))
            .await;
        let task = made.expect("an answer")[0].clone().expect("a task");
        session
            .invalidate(Invalidation::FinishTasks)
            .await
            .expect("an answer");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(bench.server.seen("a/f").is_empty());
        assert_eq!(session.state().await, Ok(SessionState::Finishing));
        session
            .want(task, Desired::Running)
            .await
            .expect("an answer");
        let heard = listen(&session).await;
        until(async || heard.is_over()).await;
        assert_eq!(session.outcome(task).await, Ok(bench.finished("f", 1000)));
    });
}

#[test]
fn many_tasks_are_cancelled_with_one_word_and_none_is_begun() {
    const TASKS: usize = 2500;
    virtual_time(async {
        let bench = Bench::new();
        let at = |number: usize| format!("a/{number:04}");
        for number in 0..TASKS {
            let script = [Answer::Stall(10)];
            bench
                .server
                .put(&at(number), &content(5000, 1), PAUSE, &script);
        }
        let engine = bench.engine().await;
        let rules = SessionRules {
            tasks_max: 2,
            ..SessionRules::default()
        };
        let session = session_with(&engine, "s", rules).await;
        let specs = (0..TASKS).map(|number| bench.spec(&at(number))).collect();
        let tasks = start(&session, specs).await;
        until(async || !bench.server.seen(&at(1)).is_empty()).await;
        fault::arm(Plan::default());
        // What is on its way while all is cancelled is cancelled too, or refused.
        let late = session.start(requests(vec![bench.spec("a/late")], false));
        let (cancelled, late) = tokio::join!(session.invalidate(Invalidation::CancelTasks), late);
        cancelled.expect("an answer");
        let late = late.expect("an answer").remove(0).ok();
        let heard = listen(&session).await;
        until(async || heard.is_over()).await;
        let facts = heard.facts();
        assert_eq!(facts.len(), TASKS + usize::from(late.is_some()) + 1);
        assert_eq!(facts.last().map(|it| &it.fact), Some(&Fact::BecameInvalid));
        for task in tasks.into_iter().chain(late) {
            assert_eq!(session.outcome(task).await, Ok(Outcome::Cancelled));
        }
        let begun = (0..TASKS).filter(|number| !bench.server.seen(&at(*number)).is_empty());
        assert_eq!(begun.count(), 2, "only those that ran");
        let hits = fault::hits();
        fault::disarm();
        let count = |name| hits.iter().filter(|hit| **hit == name).count();
        assert_eq!(count("session.launch"), 0, "they hold nothing");
        // One more for the late one, which may come when the others are on their way.
        assert!((3..=4).contains(&count("session.sweeping")));
        assert_eq!(bench.files(), [""; 0]);
    });
}

#[test]
fn a_session_is_free_with_its_last_handle_and_runs_on_unattended() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(1 << 20, 2);
        bench.server.put("a/f", &body, PAUSE, &[]);
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let task = start_one(&first, bench.spec("a/f")).await;
        let id = first.id().clone();
        let again = || engine.open_session(id.clone(), SessionRules::default());
        let in_use = Some(CallError::SessionInUse {
            session: id.clone(),
            pid: Some(std::process::id()),
        });
        assert_eq!(again().await.err(), in_use);
        let subscription = first.subscribe(Some(task)).await.expect("a subscription");
        drop(first);
        assert_eq!(
            again().await.err(),
            in_use,
            "a subscription is a handle too"
        );
        drop(subscription);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(bench.file("f").as_deref() == Some(&*body));
        let second = again().await.expect("it is free");
        assert_eq!(
            second.outcome(task).await,
            Ok(bench.finished("f", body.len()))
        );
    });
}
