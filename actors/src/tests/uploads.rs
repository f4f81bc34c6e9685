//! Uploads from their start to their end, with what servers and files do on the way.

use std::time::Duration;

use longhaul_engine::failure::FailureKind;
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::id::TaskId;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome, Phase, TaskState, UploadSpec};

use super::bench::{Bench, content, session, session_with, start, start_one, until, virtual_time};
use super::inbox::Meeting;
use crate::handle::SessionHandle;

const PAUSE: Duration = Duration::from_millis(20);

/// A little more than the upload of a mebibyte takes.
const LIFE_MS: u64 = 400;

async fn failed_kind(session: &SessionHandle, task: TaskId) -> FailureKind {
    match session.outcome(task).await {
        Ok(Outcome::Failed(failure)) => failure.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_upload_ends_when_the_server_has_every_byte() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        for (name, bytes) in [
            ("empty", 0),
            ("one", 1),
            ("small", 70_000),
            ("large", 8 << 20),
        ] {
            let at = format!("a/{name}");
            let body = content(bytes, 1);
            bench.put_source(name, &body);
            bench.server.1.open(&at, Duration::ZERO, &[]);
            let task = start_one(&session, bench.upload(&at)).await;
            let outcome = session.outcome(task).await;
            assert_eq!(outcome, Ok(Bench::uploaded(bytes)));
            let arrivals = bench.server.1.arrivals(&at);
            assert_eq!(arrivals.len(), 1);
            assert!(arrivals[0].bytes == *body && arrivals[0].method == "PUT");
            let view = session.view(task).await.expect("a view");
            assert_eq!(view.state, TaskState::Completed);
            assert_eq!(view.progress.sent_bytes, bytes as u64);
        }
        assert!(bench.files().is_empty());
    });
}

#[test]
fn what_breaks_begins_again_from_the_first_byte() {
    let whole = 500_000;
    let table = [
        vec![Meeting::Drops(0)],
        vec![Meeting::Drops(200_000), Meeting::Drops(whole - 1)],
        vec![Meeting::Forgets],
        vec![Meeting::Early(100_000, 500)],
        vec![Meeting::Takes(429)],
    ];
    for script in table {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(whole, 2);
            bench.put_source("f", &body);
            bench.server.1.open("a/f", PAUSE, &script);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let spec = UploadSpec {
                method: "POST".to_owned(),
                is_repeatable: true,
                ..bench.upload("a/f")
            };
            let task = start_one(&session, spec).await;
            assert_eq!(session.outcome(task).await, Ok(Bench::uploaded(whole)));
            let arrivals = bench.server.1.arrivals("a/f");
            assert_eq!(arrivals.len(), script.len() + 1, "{script:?}");
            for arrival in &arrivals {
                assert!(body.starts_with(&arrival.bytes), "{script:?}");
                assert_eq!(arrival.declared, whole);
            }
            assert!(arrivals.last().is_some_and(|last| last.bytes == *body));
        });
    }
}

#[test]
fn an_early_refusal_fails_at_once_and_the_rest_is_not_sent() {
    virtual_time(async {
        let bench = Bench::new();
        bench.put_source("f", &content(8 << 20, 3));
        let refusal = [Meeting::Early(100_000, 413)];
        bench.server.1.open("a/f", PAUSE, &refusal);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.upload("a/f")).await;
        assert_eq!(failed_kind(&session, task).await, FailureKind::Status(413));
        assert!(
            bench.elapsed() < Duration::from_secs(3),
            "{:?}",
            bench.elapsed()
        );
        assert_eq!(bench.server.1.arrivals("a/f").len(), 1);
    });
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    virtual_time(async {
        let bench = Bench::new();
        bench.put_source("f", &content(1000, 4));
        bench.server.1.open("a/f", PAUSE, &[Meeting::Later(900)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.upload("a/f")).await;
        until(async || {
            let view = session.view(task).await.expect("a view");
            matches!(view.phase, Phase::WaitingToRetry { .. })
        })
        .await;
        assert_eq!(session.outcome(task).await, Ok(Bench::uploaded(1000)));
        assert!(bench.elapsed() >= Duration::from_secs(900));
    });
}

#[test]
fn a_server_that_takes_nothing_is_left_after_the_idle_timeout() {
    virtual_time(async {
        let bench = Bench::new();
        bench.put_source("f", &content(300_000, 5));
        bench
            .server
            .1
            .open("a/f", PAUSE, &[Meeting::Stalls(50_000)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.upload("a/f")).await;
        assert_eq!(session.outcome(task).await, Ok(Bench::uploaded(300_000)));
        let elapsed = bench.elapsed();
        assert!(elapsed > Duration::from_secs(60) && elapsed < Duration::from_secs(63));
    });
}

#[test]
fn redirects_and_challenges_send_the_body_again() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(100_000, 6);
        bench.put_source("f", &body);
        let script = [Meeting::Challenges, Meeting::Points(307, "/there")];
        bench.server.1.open("a/f", PAUSE, &script);
        bench.server.1.open("a/there", PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let spec = UploadSpec {
            credentials: Some(Credentials::Login {
                username: "me".to_owned(),
                password: "hush".to_owned(),
            }),
            ..bench.upload("a/f")
        };
        let task = start_one(&session, spec).await;
        assert_eq!(session.outcome(task).await, Ok(Bench::uploaded(100_000)));
        let first = bench.server.1.arrivals("a/f");
        assert_eq!(first[0].authorization, None);
        assert!(first[1].authorization.is_some());
        let there = bench.server.1.arrivals("a/there");
        assert!(there.len() == 1 && there[0].bytes == *body);
    });
}

#[test]
fn without_a_password_it_waits_for_its_owner() {
    virtual_time(async {
        let bench = Bench::new();
        bench.put_source("f", &content(1000, 7));
        bench.server.1.open("a/f", PAUSE, &[Meeting::Challenges]);
        let engine = bench.engine().await;
        let rests = async |session: &SessionHandle, task| {
            until(async || {
                let view = session.view(task).await.expect("a view");
                view.phase == Phase::AwaitingAuthorization
            })
            .await;
        };
        let one = session(&engine, "s").await;
        let task = start_one(&one, bench.upload("a/f")).await;
        rests(&one, task).await;
        engine.shutdown().await;
        let engine = bench.engine().await;
        let again = session(&engine, "s").await;
        rests(&again, task).await;
        again.want(task, Desired::Running).await.expect("an answer");
        assert_eq!(again.outcome(task).await, Ok(Bench::uploaded(1000)));
    });
}

#[test]
fn an_upload_that_is_suspended_at_any_moment_begins_again() {
    for moment in (0..LIFE_MS).step_by(29) {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(1 << 20, 8);
            bench.put_source("f", &body);
            bench.server.1.open("a/f", PAUSE, &[]);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let task = start_one(&session, bench.upload("a/f")).await;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            for _ in 0..2 {
                let wish = session.want(task, Desired::Suspended).await;
                wish.expect("twice is the same");
            }
            until(async || {
                let view = session.view(task).await.expect("a view");
                matches!(view.phase, Phase::Suspended | Phase::Completed)
            })
            .await;
            let requests = bench.server.1.arrivals("a/f").len();
            tokio::time::sleep(Duration::from_secs(600)).await;
            let arrivals = bench.server.1.arrivals("a/f");
            assert_eq!(arrivals.len(), requests, "it rests at {moment} ms");
            let wish = session.want(task, Desired::Running).await;
            wish.expect("an answer");
            assert_eq!(session.outcome(task).await, Ok(Bench::uploaded(body.len())));
            let arrivals = bench.server.1.arrivals("a/f");
            assert!(arrivals.last().is_some_and(|last| last.bytes == *body));
        });
    }
}

#[test]
fn an_upload_that_is_cancelled_at_any_moment_ends_and_leaves_resume_data_only_when_asked() {
    let (mut cancelled, mut left) = (0, 0);
    for moment in (0..LIFE_MS).step_by(29) {
        for desired in [Desired::Cancelled, Desired::CancelledResumable] {
            virtual_time(async {
                let bench = Bench::new();
                let body = content(1 << 20, 9);
                bench.put_source("f", &body);
                bench.server.1.open("a/f", PAUSE, &[]);
                let engine = bench.engine().await;
                let session = session(&engine, "s").await;
                let task = start_one(&session, bench.upload("a/f")).await;
                tokio::time::sleep(Duration::from_millis(moment)).await;
                session.want(task, desired).await.expect("an answer");
                match session.outcome(task).await.expect("an outcome") {
                    Outcome::Cancelled => cancelled += 1,
                    Outcome::CancelledResumable(_) => {
                        assert_eq!(desired, Desired::CancelledResumable);
                        left += 1;
                        assert_eq!(bench.sources().len(), 2, "the file and the ticket");
                        return;
                    }
                    other => assert_eq!(other, Bench::uploaded(body.len())),
                }
                assert_eq!(bench.sources(), ["f"]);
            });
        }
    }
    assert!(cancelled > 10 && left > 10, "{cancelled} {left}");
}

#[test]
fn an_engine_that_starts_again_sends_the_same_file_and_never_another() {
    for change in ["none", "longer", "replaced", "gone"] {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(1 << 20, 10);
            let path = bench.put_source("f", &body);
            bench.server.1.open("a/f", PAUSE, &[]);
            let engine = bench.engine().await;
            let one = session(&engine, "s").await;
            let task = start_one(&one, bench.upload("a/f")).await;
            until(async || !bench.server.1.arrivals("a/f").is_empty()).await;
            engine.shutdown().await;
            match change {
                "longer" => drop(bench.put_source("f", &content(1 << 21, 10))),
                "replaced" => {
                    let other = bench.put_source("g", &content(1 << 20, 11));
                    std::fs::rename(other, &path).expect("another file");
                }
                "gone" => std::fs::remove_file(&path).expect("removed"),
                _ => {}
            }
            let before = bench.server.1.arrivals("a/f").len();
            let engine = bench.engine().await;
            let again = session(&engine, "s").await;
            match change {
                "none" => {
                    assert_eq!(again.outcome(task).await, Ok(Bench::uploaded(1 << 20)));
                    return;
                }
                "gone" => {
                    let kind = failed_kind(&again, task).await;
                    assert_eq!(kind, FailureKind::SourceMissing);
                }
                _ => {
                    let kind = failed_kind(&again, task).await;
                    assert_eq!(kind, FailureKind::SourceChanged, "{change}");
                }
            }
            assert_eq!(bench.server.1.arrivals("a/f").len(), before, "{change}");
        });
    }
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_not_sent_to_its_end() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(4 << 20, 12);
        bench.put_source("f", &body);
        bench.server.1.open("a/f", PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.upload("a/f")).await;
        until(async || {
            let arrivals = bench.server.1.arrivals("a/f");
            arrivals.first().is_some_and(|it| it.bytes.len() > 500_000)
        })
        .await;
        bench.put_source("f", &content(4 << 20, 13));
        assert_eq!(
            failed_kind(&session, task).await,
            FailureKind::SourceChanged
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
        let arrivals = bench.server.1.arrivals("a/f");
        assert_eq!(arrivals.len(), 1);
        assert!(
            body.starts_with(&arrivals[0].bytes),
            "bytes of the other file"
        );
        assert!(arrivals[0].bytes.len() < body.len());
    });
}

#[test]
fn two_uploads_of_one_file_are_two_and_a_limit_holds_for_them() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(200_000, 14);
        bench.put_source("f", &body);
        bench.server.1.open("a/f", Duration::ZERO, &[]);
        let engine = bench.engine().await;
        let rules = SessionRules {
            rate_limit_bytes: Some(40_000),
            ..SessionRules::default()
        };
        let session = session_with(&engine, "s", rules).await;
        let tasks = start(&session, vec![bench.upload("a/f"), bench.upload("a/f")]).await;
        assert_ne!(tasks[0], tasks[1]);
        for task in tasks {
            assert_eq!(session.outcome(task).await, Ok(Bench::uploaded(body.len())));
        }
        let elapsed = bench.elapsed();
        assert!(elapsed > Duration::from_secs(9), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(12), "{elapsed:?}");
        assert_eq!(bench.server.1.arrivals("a/f").len(), 2);
    });
}
