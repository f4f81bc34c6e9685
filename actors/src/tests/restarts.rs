//! Engines that stop in good order and begin again on the same store.

use std::time::Duration;

use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Phase};
use longhaul_persistence::Store;

use super::bench::{Bench, content, session, session_with, start, start_one, until, virtual_time};
use super::server::{Answer, CHUNK_BYTES, PIPE_BYTES};
use crate::handle::CallError;

const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn a_stopped_engine_has_recorded_its_progress_and_the_next_one_fetches_only_the_rest() {
    for moment in (0..700).step_by(37) {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(2 << 20, 1);
            bench.server.put("a/f", &body, PAUSE, &[]);
            let engine = bench.engine().await;
            let first = session(&engine, "s").await;
            let task = start_one(&first, bench.spec("a/f")).await;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            engine.shutdown().await;
            assert_eq!(engine.stopped().await, None);
            assert_eq!(first.want(task, Desired::Running).await, Err(stopped()));
            assert_eq!(first.outcome(task).await, Err(stopped()));
            drop((engine, first));

            let engine = bench.engine().await;
            let second = session(&engine, "s").await;
            assert_eq!(
                second.outcome(task).await,
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
fn a_retry_that_waits_goes_on_waiting_in_the_next_engine() {
    virtual_time(async {
        let bench = Bench::new();
        bench
            .server
            .put("a/f", &content(1000, 2), PAUSE, &[Answer::Later(1000)]);
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let task = start_one(&first, bench.spec("a/f")).await;
        until(async || {
            let view = first.view(task).await.expect("a view");
            matches!(view.phase, Phase::WaitingToRetry { .. })
        })
        .await;
        engine.shutdown().await;
        tokio::time::sleep(Duration::from_secs(400)).await;

        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        assert_eq!(second.outcome(task).await, Ok(bench.finished("f", 1000)));
        let elapsed = bench.elapsed();
        assert!(elapsed >= Duration::from_secs(1000), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(1002), "{elapsed:?}");
        assert_eq!(bench.server.seen("a/f").len(), 2);
    });
}

#[test]
fn every_kind_of_task_is_found_again_as_it_was() {
    virtual_time(async {
        let bench = Bench::new();
        for name in ["runs", "queued", "rests", "done"] {
            bench
                .server
                .put(&format!("a/{name}"), &content(400_000, 3), PAUSE, &[]);
        }
        let rules = SessionRules {
            tasks_max: 1,
            ..SessionRules::default()
        };
        let engine = bench.engine().await;
        let first = session_with(&engine, "s", rules.clone()).await;
        let done = start_one(&first, bench.spec("a/done")).await;
        let ended = first.outcome(done).await;
        let specs = ["a/rests", "a/runs", "a/queued"]
            .map(|at| bench.spec(at))
            .to_vec();
        let [rests, runs, queued] = start(&first, specs).await[..] else {
            panic!("three tasks")
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        first
            .want(rests, Desired::Suspended)
            .await
            .expect("an answer");
        until(async || bench.server.seen("a/runs").len() == 1).await;
        engine.shutdown().await;

        let engine = bench.engine().await;
        let second = session_with(&engine, "s", rules).await;
        assert_eq!(second.outcome(done).await, ended);
        assert_eq!(
            second.outcome(runs).await,
            Ok(bench.finished("runs", 400_000))
        );
        assert_eq!(
            second.outcome(queued).await,
            Ok(bench.finished("queued", 400_000))
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(
            second.view(rests).await.map(|view| view.phase),
            Ok(Phase::Suspended)
        );
        assert_eq!(bench.server.seen("a/rests").len(), 1);
        second
            .want(rests, Desired::Running)
            .await
            .expect("an answer");
        assert_eq!(
            second.outcome(rests).await,
            Ok(bench.finished("rests", 400_000))
        );
        assert_eq!(bench.files(), ["done", "queued", "rests", "runs"]);
    });
}

#[test]
fn the_store_is_closed_when_the_engine_says_that_it_has_stopped() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put(
            "a/f",
            &content(400_000, 4),
            PAUSE,
            &[Answer::Stall(100_000)],
        );
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        until(async || bench.server.sent_bytes("a/f") == 100_000).await;
        engine.shutdown().await;
        let store = Store::open(&bench.store_path()).expect("nobody else has it open");
        let (_, checkpoint) = store
            .task(session.id(), task)
            .expect("a store")
            .expect("the task");
        let held = checkpoint.expect("progress").progress().received_bytes;
        assert_eq!(held, 100_000, "what had come is on record");
    });
}

fn stopped() -> CallError {
    CallError::Stopped { reason: None }
}
