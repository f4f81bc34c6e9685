//! Suspend, resume and cancel, at every moment of a download's life.

use std::time::Duration;

use longhaul_engine::task::{Desired, Outcome, Phase, TaskState};

use super::bench::{Bench, content, requests, session, start, start_one, until, virtual_time};
use super::server::{Answer, CHUNK_BYTES, PIPE_BYTES};
use crate::handle::CallError;

const PAUSE: Duration = Duration::from_millis(20);

/// A little more than the download below takes.
const LIFE_MS: u64 = 400;

#[test]
fn a_download_that_is_suspended_at_any_moment_goes_on_from_there() {
    for moment in (0..LIFE_MS).step_by(13) {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(1 << 20, 1);
            bench.server.put("a/f", &body, PAUSE, &[]);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let task = start_one(&session, bench.spec("a/f")).await;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            session
                .want(task, Desired::Suspended)
                .await
                .expect("an answer");
            session
                .want(task, Desired::Suspended)
                .await
                .expect("twice is the same");
            until(async || {
                let view = session.view(task).await.expect("a view");
                matches!(view.phase, Phase::Suspended | Phase::Completed)
            })
            .await;
            let requests = bench.server.seen("a/f").len();
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert_eq!(
                bench.server.seen("a/f").len(),
                requests,
                "it rests at {moment} ms"
            );
            session
                .want(task, Desired::Running)
                .await
                .expect("an answer");
            session
                .want(task, Desired::Running)
                .await
                .expect("twice is the same");
            assert_eq!(
                session.outcome(task).await,
                Ok(bench.finished("f", body.len()))
            );
            assert!(bench.file("f").as_deref() == Some(&*body), "{moment} ms");
            assert_eq!(bench.files(), ["f"]);
            let twice = bench.server.sent_bytes("a/f") - body.len();
            assert!(
                twice <= CHUNK_BYTES + PIPE_BYTES,
                "{twice} bytes came twice at {moment} ms"
            );
        });
    }
}

#[test]
fn a_download_that_is_cancelled_at_any_moment_leaves_nothing_or_is_whole() {
    let mut cancelled = 0;
    for moment in (0..LIFE_MS).step_by(13) {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(1 << 20, 2);
            bench.server.put("a/f", &body, PAUSE, &[]);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let task = start_one(&session, bench.spec("a/f")).await;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            session
                .want(task, Desired::Cancelled)
                .await
                .expect("an answer");
            session
                .want(task, Desired::Running)
                .await
                .expect("a cancelled task stays so");
            let outcome = session.outcome(task).await.expect("an outcome");
            match &outcome {
                Outcome::Cancelled => {
                    cancelled += 1;
                    assert!(bench.files().is_empty(), "{moment} ms: {:?}", bench.files());
                }
                other => {
                    assert_eq!(*other, bench.finished("f", body.len()));
                    assert!(bench.file("f").as_deref() == Some(&*body), "{moment} ms");
                }
            }
            let view = session.view(task).await.expect("a view");
            assert_eq!(
                (view.state, view.outcome),
                (TaskState::Completed, Some(outcome))
            );
        });
    }
    assert!(cancelled > 10, "{cancelled}");
}

#[test]
fn the_last_of_many_quick_wishes_is_the_one_that_counts() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(500_000, 3);
        bench.server.put("a/f", &body, PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        for round in 0..20 {
            tokio::time::sleep(Duration::from_millis(round * 3)).await;
            session
                .want(task, Desired::Suspended)
                .await
                .expect("an answer");
            session
                .want(task, Desired::Running)
                .await
                .expect("an answer");
        }
        assert_eq!(
            session.outcome(task).await,
            Ok(bench.finished("f", body.len()))
        );
        assert!(bench.file("f").as_deref() == Some(&*body));
        assert_eq!(
            bench.server.open_max("a/f"),
            1,
            "one live transfer per task"
        );
    });
}

#[test]
fn what_waits_in_the_queue_is_suspended_and_cancelled_without_a_request() {
    virtual_time(async {
        let bench = Bench::new();
        bench
            .server
            .put("a/runs", &content(100_000, 4), PAUSE, &[Answer::Stall(10)]);
        bench.server.put("a/rests", &content(1000, 5), PAUSE, &[]);
        bench.server.put("a/goes", &content(1000, 6), PAUSE, &[]);
        let engine = bench.engine().await;
        let rules = longhaul_engine::session::SessionRules {
            tasks_max: 1,
            ..longhaul_engine::session::SessionRules::default()
        };
        let session = super::bench::session_with(&engine, "s", rules).await;
        let specs = ["a/runs", "a/rests", "a/goes"]
            .map(|at| bench.spec(at))
            .to_vec();
        let tasks = start(&session, specs).await;
        session
            .want(tasks[1], Desired::Suspended)
            .await
            .expect("an answer");
        session
            .want(tasks[2], Desired::Cancelled)
            .await
            .expect("an answer");
        assert_eq!(session.outcome(tasks[2]).await, Ok(Outcome::Cancelled));
        bench.server.release("a/runs");
        assert_eq!(
            session.outcome(tasks[0]).await,
            Ok(bench.finished("runs", 100_000))
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(bench.server.seen("a/rests").is_empty() && bench.server.seen("a/goes").is_empty());
        assert_eq!(
            session.view(tasks[1]).await.map(|view| view.phase),
            Ok(Phase::Suspended)
        );
        session
            .want(tasks[1], Desired::Running)
            .await
            .expect("an answer");
        assert_eq!(
            session.outcome(tasks[1]).await,
            Ok(bench.finished("rests", 1000))
        );
    });
}

#[test]
fn options_that_a_waiting_task_takes_on_are_those_it_runs_with() {
    // What runs next was read before its turn: it must be read again after it has changed.
    virtual_time(async {
        let bench = Bench::new();
        bench
            .server
            .put("a/runs", &content(100_000, 4), PAUSE, &[Answer::Stall(10)]);
        bench.server.put("a/waits", &content(1000, 5), PAUSE, &[]);
        let engine = bench.engine().await;
        let rules = longhaul_engine::session::SessionRules {
            tasks_max: 1,
            ..longhaul_engine::session::SessionRules::default()
        };
        let session = super::bench::session_with(&engine, "s", rules).await;
        let specs = ["a/runs", "a/waits"].map(|at| bench.spec(at)).to_vec();
        let tasks = start(&session, specs).await;
        until(async || !bench.server.seen("a/runs").is_empty()).await;
        let mut other = bench.spec("a/waits");
        other.length = Some(999);
        let adopted = session.start(requests(vec![other], true)).await;
        assert_eq!(adopted, Ok(vec![Ok(tasks[1])]));
        bench.server.release("a/runs");
        let outcome = session.outcome(tasks[1]).await;
        assert!(
            matches!(&outcome, Ok(Outcome::Failed(failure)) if failure.message().contains("999")),
            "{outcome:?}"
        );
    });
}

#[test]
fn a_wish_for_a_task_that_never_was_is_refused_and_one_for_an_ended_task_is_not() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(10, 7), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        let outcome = session.outcome(task).await;
        for desired in [Desired::Running, Desired::Suspended, Desired::Cancelled] {
            assert_eq!(session.want(task, desired).await, Ok(()));
        }
        assert_eq!(session.outcome(task).await, outcome);
        let nobody = longhaul_engine::id::TaskId::new(999);
        let refused = Err(CallError::NoSuchTask(nobody));
        assert_eq!(session.want(nobody, Desired::Running).await, refused);
        assert_eq!(session.outcome(nobody).await.map(|_| ()), refused);
        assert_eq!(session.view(nobody).await.map(|_| ()), refused);
    });
}
