//! How many tasks run at once, and when those that wait are tried again.

use std::time::Duration;

use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Phase};

use super::bench::{Bench, content, session, session_with, start, start_one, until, virtual_time};
use super::server::Answer;

const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn no_more_tasks_run_at_once_than_the_session_and_each_host_allow() {
    virtual_time(async {
        let bench = Bench::new();
        let at = |number: usize| format!("host{}/{number:02}", number % 3);
        for number in 0..30 {
            bench
                .server
                .put(&at(number), &content(200_000, number), PAUSE, &[]);
        }
        let engine = bench.engine().await;
        let rules = SessionRules {
            tasks_max: 5,
            tasks_per_host_max: 2,
            ..SessionRules::default()
        };
        let session = session_with(&engine, "s", rules).await;
        let tasks = start(
            &session,
            (0..30).map(|number| bench.spec(&at(number))).collect(),
        )
        .await;
        for (number, task) in tasks.into_iter().enumerate() {
            let name = format!("{number:02}");
            assert_eq!(
                session.outcome(task).await,
                Ok(bench.finished(&name, 200_000))
            );
        }
        assert_eq!(bench.server.all_open_max(), 5);
        for host in ["host0", "host1", "host2"] {
            assert_eq!(bench.server.host_open_max(host), 2, "{host}");
        }
    });
}

#[test]
fn a_retry_waits_as_long_as_the_server_asks_and_gives_its_place_away() {
    virtual_time(async {
        let bench = Bench::new();
        bench
            .server
            .put("a/later", &content(1000, 1), PAUSE, &[Answer::Later(1000)]);
        bench.server.put("a/now", &content(1000, 2), PAUSE, &[]);
        let engine = bench.engine().await;
        let rules = SessionRules {
            tasks_max: 1,
            ..SessionRules::default()
        };
        let session = session_with(&engine, "s", rules).await;
        let tasks = start(&session, vec![bench.spec("a/later"), bench.spec("a/now")]).await;
        assert_eq!(
            session.outcome(tasks[1]).await,
            Ok(bench.finished("now", 1000))
        );
        assert!(bench.elapsed() < Duration::from_secs(1));
        let phase = session.view(tasks[0]).await.map(|view| view.phase);
        assert!(
            matches!(phase, Ok(Phase::WaitingToRetry { .. })),
            "{phase:?}"
        );
        assert_eq!(
            session.outcome(tasks[0]).await,
            Ok(bench.finished("later", 1000))
        );
        let elapsed = bench.elapsed();
        assert!(elapsed >= Duration::from_secs(1000), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(1002), "{elapsed:?}");
    });
}

#[test]
fn who_resumes_a_task_that_waits_tries_it_at_once() {
    virtual_time(async {
        let bench = Bench::new();
        bench
            .server
            .put("a/f", &content(1000, 3), PAUSE, &[Answer::Later(3000)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        until(async || {
            let view = session.view(task).await.expect("a view");
            matches!(view.phase, Phase::WaitingToRetry { .. })
        })
        .await;
        session
            .want(task, Desired::Running)
            .await
            .expect("an answer");
        assert_eq!(session.outcome(task).await, Ok(bench.finished("f", 1000)));
        assert!(bench.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn attempts_without_a_byte_are_counted_and_bounded() {
    virtual_time(async {
        let bench = Bench::new();
        let script = vec![Answer::Status(503); 10];
        bench.server.put("a/f", &content(1000, 4), PAUSE, &script);
        let engine = bench.engine().await;
        let rules = SessionRules {
            retries_max: Some(3),
            ..SessionRules::default()
        };
        let session = session_with(&engine, "s", rules).await;
        let task = start_one(&session, bench.spec("a/f")).await;
        let outcome = session.outcome(task).await.expect("an outcome");
        assert!(
            matches!(outcome, longhaul_engine::task::Outcome::Failed(_)),
            "{outcome:?}"
        );
        assert_eq!(bench.server.seen("a/f").len(), 4);
    });
}
