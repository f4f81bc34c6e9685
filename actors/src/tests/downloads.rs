//! Downloads from their start to their end, with what servers do on the way.

use std::time::Duration;

use longhaul_engine::failure::FailureKind;
use longhaul_engine::task::{Outcome, TaskState};

use super::bench::{Bench, content, requests, session, start, start_one, virtual_time};
use super::server::{Answer, Seen};
use crate::fault::{self, Plan};
use crate::handle::RefusedStart;
use crate::transfer::pretend_slow;

const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn a_download_ends_with_the_servers_bytes_under_the_final_name() {
    virtual_time(async {
        let bench = Bench::new();
        for (name, bytes) in [
            ("empty", 0),
            ("one", 1),
            ("small", 70_000),
            ("large", 3 << 20),
        ] {
            bench.server.put(
                &format!("a/{name}"),
                &content(bytes, 1),
                Duration::ZERO,
                &[],
            );
        }
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        for (name, bytes) in [
            ("empty", 0),
            ("one", 1),
            ("small", 70_000),
            ("large", 3 << 20),
        ] {
            let task = start_one(&session, bench.spec(&format!("a/{name}"))).await;
            let outcome = session.outcome(task).await;
            assert_eq!(outcome, Ok(bench.finished(name, bytes)));
            assert!(
                bench.file(name).as_deref() == Some(&content(bytes, 1)),
                "{name}"
            );
            let view = session.view(task).await.expect("a view");
            assert_eq!(
                (view.state, view.outcome),
                (TaskState::Completed, outcome.ok())
            );
        }
        assert_eq!(bench.files(), ["empty", "large", "one", "small"]);
    });
}

#[test]
fn a_body_that_is_cut_goes_on_where_it_was_cut() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(500_000, 2);
        bench.server.put(
            "a/f",
            &body,
            PAUSE,
            &[Answer::Cut(200_000), Answer::Cut(150_000)],
        );
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        assert_eq!(
            session.outcome(task).await,
            Ok(bench.finished("f", body.len()))
        );
        assert!(bench.file("f").as_deref() == Some(&*body));
        let seen = bench.server.seen("a/f");
        let ranges: Vec<_> = seen.iter().map(|seen| seen.range).collect();
        assert_eq!(ranges, [None, Some((200_000, None)), Some((350_000, None))]);
        assert_eq!(
            bench.server.sent_bytes("a/f"),
            body.len(),
            "nothing was sent twice"
        );
    });
}

#[test]
fn a_file_over_several_connections_is_whole_and_no_byte_of_it_comes_twice() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(8 << 20, 3);
        bench.server.put("a/f", &body, PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let spec = longhaul_engine::task::DownloadSpec {
            connections: 3,
            ..bench.spec("a/f")
        };
        let task = start_one(&session, spec).await;
        assert_eq!(
            session.outcome(task).await,
            Ok(bench.finished("f", body.len()))
        );
        assert!(bench.file("f").as_deref() == Some(&*body));
        assert_eq!(bench.server.open_max("a/f"), 3);
        let sent = bench.server.sent_bytes("a/f");
        assert!(
            sent < body.len() + (1 << 20),
            "{} bytes too many",
            sent - body.len()
        );
    });
}

#[test]
fn a_resource_that_changed_is_fetched_from_its_beginning() {
    virtual_time(async {
        let bench = Bench::new();
        let (old, new) = (content(500_000, 4), content(400_000, 5));
        let script = [Answer::Cut(300_000), Answer::Changed(new.clone())];
        bench.server.put("a/f", &old, PAUSE, &script);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        assert_eq!(
            session.outcome(task).await,
            Ok(bench.finished("f", new.len()))
        );
        assert!(bench.file("f").as_deref() == Some(&*new));
        assert_eq!(bench.files(), ["f"]);
    });
}

#[test]
fn what_the_server_refuses_fails_at_once_and_leaves_nothing() {
    virtual_time(async {
        let bench = Bench::new();
        bench
            .server
            .put("a/f", &content(10, 6), PAUSE, &[Answer::Status(410)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let tasks = start(&session, vec![bench.spec("a/f"), bench.spec("a/missing")]).await;
        for (task, status) in tasks.into_iter().zip([410, 404]) {
            match session.outcome(task).await {
                Ok(Outcome::Failed(failure)) => {
                    assert_eq!(failure.kind(), FailureKind::Status(status));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(bench.files().is_empty());
    });
}

#[test]
fn a_silent_server_is_asked_again_after_the_idle_timeout() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(300_000, 7);
        bench
            .server
            .put("a/f", &body, PAUSE, &[Answer::Stall(100_000)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        assert_eq!(
            session.outcome(task).await,
            Ok(bench.finished("f", body.len()))
        );
        let elapsed = bench.elapsed();
        assert!(elapsed > Duration::from_secs(60), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(63), "{elapsed:?}");
        let again = Seen {
            range: Some((100_000, None)),
            status: 206,
            authorization: None,
            sent_bytes: 200_000,
        };
        assert_eq!(bench.server.seen("a/f")[1], again);
    });
}

#[test]
fn the_place_of_a_download_is_free_when_its_last_byte_is_here_and_once() {
    // On a slow disk a write is somewhere else, and this thread goes on meanwhile.
    pretend_slow(true);
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("host/f", &content(10_000, 1), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        fault::arm(Plan::default());
        let task = start_one(&session, bench.spec("host/f")).await;
        assert_eq!(session.outcome(task).await, Ok(bench.finished("f", 10_000)));
    });
    let hits = fault::hits();
    fault::disarm();
    pretend_slow(false);
    let told = ["pump.block", "session.place_released", "pump.written"];
    let hits: Vec<_> = hits.into_iter().filter(|hit| told.contains(hit)).collect();
    assert_eq!(hits, told);
}

#[test]
fn a_hundred_downloads_all_finish() {
    virtual_time(async {
        let bench = Bench::new();
        let names: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
        let host = |number: usize| format!("host{}", number % 7);
        for (number, name) in names.iter().enumerate() {
            let at = format!("{}/{name}", host(number));
            bench
                .server
                .put(&at, &content(10_000 + number, number), PAUSE, &[]);
        }
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let spec = |(number, name)| bench.spec(&format!("{}/{name}", host(number)));
        let tasks = start(&session, names.iter().enumerate().map(spec).collect()).await;
        for (number, (task, name)) in tasks.iter().zip(&names).enumerate() {
            assert_eq!(
                session.outcome(*task).await,
                Ok(bench.finished(name, 10_000 + number))
            );
            assert!(bench.file(name).as_deref() == Some(&*content(10_000 + number, number)));
        }
        assert_eq!(bench.files(), names);
        assert_eq!(session.tasks().await.map(|tasks| tasks.len()), Ok(100));
    });
}

#[test]
fn two_live_tasks_never_write_one_file_and_the_same_download_can_be_adopted() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(300_000, 8);
        bench
            .server
            .put("a/f", &body, PAUSE, &[Answer::Stall(100_000)]);
        bench.server.put("b/f", &body, PAUSE, &[]);
        let engine = bench.engine().await;
        let (one, two) = (session(&engine, "one").await, session(&engine, "two").await);
        let task = start_one(&one, bench.spec("a/f")).await;

        let refused = two.start(requests(vec![bench.spec("b/f")], true)).await;
        let in_use = RefusedStart::TargetInUse {
            session: one.id().clone(),
            task,
        };
        assert_eq!(refused, Ok(vec![Err(in_use.clone())]));
        assert_eq!(
            one.start(requests(vec![bench.spec("a/f")], false)).await,
            Ok(vec![Err(in_use)])
        );

        assert_eq!(
            one.start(requests(vec![bench.spec("a/f")], true)).await,
            Ok(vec![Ok(task)])
        );
        bench.server.release("a/f");
        assert_eq!(one.outcome(task).await, Ok(bench.finished("f", body.len())));
        assert_eq!(bench.server.sent_bytes("a/f"), body.len());
    });
}

#[test]
fn sessions_do_not_see_each_others_tasks() {
    virtual_time(async {
        let bench = Bench::new();
        for name in ["x", "y"] {
            bench
                .server
                .put(&format!("a/{name}"), &content(1000, 9), PAUSE, &[]);
        }
        let engine = bench.engine().await;
        let (one, two) = (session(&engine, "one").await, session(&engine, "two").await);
        let x = start_one(&one, bench.spec("a/x")).await;
        let y = start_one(&two, bench.spec("a/y")).await;
        assert_eq!(one.outcome(x).await, Ok(bench.finished("x", 1000)));
        assert_eq!(two.outcome(y).await, Ok(bench.finished("y", 1000)));
        assert!(one.view(y).await.is_err() && two.outcome(x).await.is_err());
        let ids = |tasks: Vec<crate::handle::TaskView>| tasks.iter().map(|t| t.id).collect();
        assert_eq!(one.tasks().await.map(ids), Ok(vec![x]));
        assert_eq!(two.tasks().await.map(ids), Ok(vec![y]));
    });
}
