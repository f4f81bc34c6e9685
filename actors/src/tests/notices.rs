//! What a person is told of the ends of tasks, and that nothing depends on it.

use std::time::Duration;

use longhaul_engine::failure::FailureKind;
use longhaul_engine::session::{Invalidation, SessionRules};
use longhaul_engine::task::{Desired, DownloadSpec, Outcome, TaskOptions};

use super::bench::{
    Bench, FAILURE, SUCCESS, content, session, session_with, start, start_one, until, virtual_time,
};
use super::scheduling::with;
use crate::fault::{self, Plan};
use crate::tests::server::Answer;

const PAUSE: Duration = Duration::from_millis(20);

/// The titles and bodies of what a person was told, in alphabetical order of the bodies.
fn shown(bench: &Bench) -> Vec<(String, String)> {
    let notices = bench.notices().into_iter();
    let mut shown: Vec<_> = notices.map(|notice| (notice.title, notice.body)).collect();
    shown.sort_by(|one, other| one.1.cmp(&other.1));
    shown
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(title, body): &(&str, &str)| ((*title).to_owned(), (*body).to_owned());
    expected.iter().map(owned).collect()
}

#[test]
fn every_end_but_that_of_a_cancelled_task_is_told_once_under_its_title() {
    virtual_time(async {
        let bench = Bench::new();
        for at in ["a/arrives", "a/silent"] {
            bench.server.put(at, &content(1000, 1), PAUSE, &[]);
        }
        let stall = [Answer::Stall(100_000)];
        for at in ["a/cancelled", "a/left"] {
            bench.server.put(at, &content(500_000, 2), PAUSE, &stall);
        }
        bench.put_source("sent", &content(1000, 3));
        bench.server.1.open("a/sent", Duration::ZERO, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let silent = with(bench.spec("a/silent"), TaskOptions::default());
        let specs = vec![
            bench.spec("a/arrives"),
            bench.spec("a/missing"),
            silent,
            bench.spec("a/cancelled"),
            bench.spec("a/left"),
        ];
        let tasks = start(&session, specs).await;
        let uploads = vec![bench.upload("a/sent"), bench.upload("a/no-source")];
        let uploads = start(&session, uploads).await;
        for (task, desired) in [
            (tasks[3], Desired::Cancelled),
            (tasks[4], Desired::CancelledResumable),
        ] {
            let has_bytes = async || {
                let view = session.view(task).await.expect("a view");
                view.progress.received_bytes > 0
            };
            until(has_bytes).await;
            session.want(task, desired).await.expect("an answer");
        }
        for task in tasks.iter().chain(&uploads) {
            session.outcome(*task).await.expect("an outcome");
        }
        engine.shutdown().await;
        let expected = [
            (SUCCESS, "arrives"),
            (FAILURE, "missing"),
            (FAILURE, "no-source"),
            (SUCCESS, "sent"),
        ];
        assert_eq!(shown(&bench), pairs(&expected));
        let target = |name: &str| {
            let notices = bench.notices().into_iter();
            let mut targets = notices.filter(|it| it.body == name).map(|it| it.target);
            targets.next().expect("a notice")
        };
        assert_eq!(target("arrives"), Some(bench.target("arrives")));
        assert_eq!(target("missing"), None);
    });
}

#[test]
fn a_session_that_is_cancelled_tells_nobody() {
    virtual_time(async {
        let bench = Bench::new();
        let stall = [Answer::Stall(100_000)];
        bench
            .server
            .put("a/runs", &content(500_000, 4), PAUSE, &stall);
        let rules = SessionRules {
            tasks_max: 1,
            ..SessionRules::default()
        };
        let engine = bench.engine().await;
        let session = session_with(&engine, "s", rules).await;
        let specs = ["a/runs", "a/waits"].map(|at| bench.spec(at)).to_vec();
        let tasks = start(&session, specs).await;
        until(async || bench.server.sent_bytes("a/runs") > 0).await;
        let ended = session.invalidate(Invalidation::CancelTasks).await;
        ended.expect("an answer");
        for task in tasks {
            assert_eq!(session.outcome(task).await, Ok(Outcome::Cancelled));
        }
        engine.shutdown().await;
        assert_eq!(shown(&bench), []);
    });
}

#[test]
fn a_person_hears_of_a_task_that_crashed_too_often() {
    super::matrix::silence_ordered_panics();
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(1000, 5), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        fault::arm(Plan {
            panic_always: vec!["transfer.asking"],
            ..Plan::default()
        });
        let task = start_one(&session, bench.spec("a/f")).await;
        match session.outcome(task).await {
            Ok(Outcome::Failed(failure)) => assert_eq!(failure.kind(), FailureKind::Crashed),
            other => panic!("{other:?}"),
        }
        fault::disarm();
        engine.shutdown().await;
        assert_eq!(shown(&bench), pairs(&[(FAILURE, "f")]));
    });
}

#[test]
fn a_crash_between_the_end_and_the_notification_loses_it_for_good() {
    super::matrix::silence_ordered_panics();
    virtual_time(async {
        let bench = Bench::new();
        for at in ["a/lost", "a/told"] {
            bench.server.put(at, &content(1000, 6), PAUSE, &[]);
        }
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        fault::arm(Plan {
            panic_always: vec!["notifier.post_notice"],
            ..Plan::default()
        });
        let task = start_one(&first, bench.spec("a/lost")).await;
        assert_eq!(first.outcome(task).await, Ok(bench.finished("lost", 1000)));
        until(async || fault::hits().contains(&"notifier.post_notice")).await;
        fault::disarm();
        engine.shutdown().await;

        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        let task = start_one(&second, bench.spec("a/told")).await;
        assert_eq!(second.outcome(task).await, Ok(bench.finished("told", 1000)));
        engine.shutdown().await;
        assert_eq!(shown(&bench), pairs(&[(SUCCESS, "told")]));
    });
}

/// How long three downloads take in virtual time, which stands still while anything can run.
async fn time_of_three(bench: &Bench, change: impl Fn(DownloadSpec) -> DownloadSpec) -> Duration {
    let rules = SessionRules {
        tasks_max: 1,
        ..SessionRules::default()
    };
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", rules).await;
    let names = ["a/1", "a/2", "a/3"];
    for at in names {
        bench.server.put(at, &content(50_000, 7), PAUSE, &[]);
    }
    let specs = names.map(|at| change(bench.spec(at))).to_vec();
    for task in start(&session, specs).await {
        let outcome = session.outcome(task).await;
        assert!(matches!(outcome, Ok(Outcome::Finished(_))), "{outcome:?}");
    }
    let took = bench.elapsed();
    engine.shutdown().await;
    let stopped = bench.elapsed() - took;
    assert!(stopped < Duration::from_secs(1), "{stopped:?}");
    took
}

#[test]
fn a_desktop_that_never_answers_costs_a_transfer_no_millisecond() {
    let silent = |spec| with(spec, TaskOptions::default());
    let without = virtual_time(async { time_of_three(&Bench::new(), silent).await });
    let with_titles = virtual_time(async {
        let mut bench = Bench::new();
        let _nobody_reads = bench.hang_desktop();
        time_of_three(&bench, |spec| spec).await
    });
    assert_eq!(with_titles, without);
    assert!(without >= PAUSE, "{without:?}: nothing was measured");
}
