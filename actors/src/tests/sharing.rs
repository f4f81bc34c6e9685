//! How tasks share places and bandwidth: priorities, the places of the engine, rate limits.

use std::time::Duration;

use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Adjustment, Outcome, Phase, Priority, QueueReason, TaskOptions};

use super::bench::{Bench, content, phase, session, session_with, start, start_one, virtual_time};
use super::scheduling::with;

const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn a_higher_priority_goes_first_also_when_it_is_given_later() {
    virtual_time(async {
        let bench = Bench::new();
        let names = ["a/plain1", "a/low", "a/plain2", "b/high", "a/raised"];
        for at in names {
            bench.server.put(at, &content(100_000, 10), PAUSE, &[]);
        }
        let engine = bench.engine().await;
        let rules = SessionRules {
            tasks_max: 1,
            ..SessionRules::default()
        };
        let session = session_with(&engine, "s", rules).await;
        let priorities = [
            Priority::DEFAULT,
            Priority::LOW,
            Priority::DEFAULT,
            Priority::HIGH,
            Priority::LOW,
        ];
        let specs = names.iter().zip(priorities).map(|(at, priority)| {
            let options = TaskOptions {
                priority,
                ..TaskOptions::default()
            };
            with(bench.spec(at), options)
        });
        let tasks = start(&session, specs.collect()).await;
        let first = Adjustment::Priority(Priority::new(1.0));
        session.adjust(tasks[4], first).await.expect("an answer");
        let mut ended = Vec::new();
        for index in [3, 4, 0, 2, 1] {
            session.outcome(tasks[index]).await.expect("an outcome");
            ended.push(bench.elapsed());
        }
        assert!(ended.is_sorted_by(|a, b| a < b), "{ended:?}");
    });
}

#[test]
fn no_more_tasks_run_at_once_than_the_engine_allows_and_sessions_take_turns() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine_with_places(2).await;
        let mut waits = Vec::new();
        for name in ["one", "two"] {
            let session = session(&engine, name).await;
            let ats: Vec<String> = (0..6)
                .map(|number| format!("{name}/{name}{number}"))
                .collect();
            for at in &ats {
                bench.server.put(at, &content(200_000, 11), PAUSE, &[]);
            }
            let tasks = start(&session, ats.iter().map(|at| bench.spec(at)).collect()).await;
            waits.push((session, tasks));
        }
        let (session, tasks) = &waits[1];
        assert_eq!(
            phase(session, tasks[5]).await,
            Phase::Queued(QueueReason::EngineLimit)
        );
        session.outcome(tasks[0]).await.expect("an outcome");
        let view = waits[0].0.view(waits[0].1[5]).await.expect("a view");
        assert_eq!(view.outcome, None, "the second session had to wait for all");
        for (session, tasks) in &waits {
            for task in tasks {
                let outcome = session.outcome(*task).await;
                assert!(matches!(outcome, Ok(Outcome::Finished(_))), "{outcome:?}");
            }
        }
        assert_eq!(bench.server.all_open_max(), 2);
    });
}

#[test]
fn a_rate_limit_of_a_running_task_changes_at_once_and_is_recorded() {
    virtual_time(async {
        let bench = Bench::new();
        let none = Duration::ZERO;
        bench.server.put("a/f", &content(1_000_000, 12), none, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let slow = TaskOptions {
            rate_limit_bytes: Some(10_000),
            ..TaskOptions::default()
        };
        let task = start_one(&session, with(bench.spec("a/f"), slow)).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let view = session.view(task).await.expect("a view");
        let received = view.progress.received_bytes;
        assert!(
            (180_000..=220_000).contains(&received),
            "{received} bytes in 20 s"
        );
        let why = session.why(task).await.expect("a reason").to_string();
        assert!(why.contains("10000 bytes per second"), "{why}");
        let faster = Adjustment::RateLimit(Some(100_000));
        session.adjust(task, faster).await.expect("an answer");
        assert_eq!(
            session.outcome(task).await,
            Ok(bench.finished("f", 1_000_000))
        );
        let elapsed = bench.elapsed().as_secs_f64();
        assert!((25.2..=30.8).contains(&elapsed), "{elapsed} s");
        let spec = session.view(task).await.expect("a view").spec;
        assert_eq!(spec.options().rate_limit_bytes, Some(100_000));
    });
}

#[test]
fn sessions_share_the_rate_of_the_engine() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        engine.set_rate_limit(Some(100_000));
        let mut tasks = Vec::new();
        for name in ["x", "y"] {
            let at = format!("{name}/{name}");
            let body = content(1_000_000, 13);
            bench.server.put(&at, &body, Duration::ZERO, &[]);
            let session = session(&engine, name).await;
            session
                .set_rate_limit(Some(80_000))
                .await
                .expect("an answer");
            let task = start_one(&session, bench.spec(&at)).await;
            tasks.push((session, task));
        }
        for (session, task) in &tasks {
            session.outcome(*task).await.expect("an outcome");
        }
        let elapsed = bench.elapsed().as_secs_f64();
        assert!((18.0..=22.0).contains(&elapsed), "{elapsed} s");
    });
}
