//! Resume data: made at any moment of a download's life, used by other sessions and engines, once.

use std::time::Duration;

use longhaul_engine::failure::FailureKind;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::session::{Invalidation, SessionRules};
use longhaul_engine::task::{Desired, Outcome, Phase};

use super::bench::{
    Bench, content, listen, requests, session, session_with, start_one, until, virtual_time,
};
use super::server::{Answer, CHUNK_BYTES, PIPE_BYTES};
use crate::handle::{RefusedStart, ResumeOptions, SessionHandle};

const PAUSE: Duration = Duration::from_millis(20);

/// A little more than the download below takes.
const LIFE_MS: u64 = 400;

async fn resume(
    session: &SessionHandle,
    data: &ResumeData,
    bench: &Bench,
    name: &str,
) -> Result<longhaul_engine::id::TaskId, RefusedStart> {
    let options = ResumeOptions::default();
    let resumed = session.resume_download(data.clone(), bench.target(name), options);
    let resumed = resumed.await.expect("an answer");
    resumed.map(|resumed| resumed.task)
}

#[test]
fn a_download_that_hands_its_bytes_over_at_any_moment_goes_on_elsewhere_or_is_whole() {
    let mut handed_over = 0;
    for moment in (0..LIFE_MS).step_by(13) {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(1 << 20, 1);
            bench.server.put("a/f", &body, PAUSE, &[]);
            let engine = bench.engine().await;
            let first = session(&engine, "s").await;
            let task = start_one(&first, bench.spec("a/f")).await;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            let data = first.cancel_for_resume_data(task).await.expect("an answer");
            let again = first.cancel_for_resume_data(task).await;
            assert_eq!(again, Ok(data.clone()), "the same again");
            let outcome = first.outcome(task).await.expect("an outcome");
            let Some(data) = data else {
                match outcome {
                    Outcome::Cancelled => assert!(bench.files().is_empty(), "{moment} ms"),
                    other => assert_eq!(other, bench.finished("f", body.len())),
                }
                return;
            };
            handed_over += 1;
            assert_eq!(outcome, Outcome::CancelledResumable(data.clone()));
            assert_eq!(bench.files().len(), 2, "the part and its ticket");

            let second = session(&engine, "t").await;
            let next = resume(&second, &data, &bench, "g").await.expect("a task");
            let used = Err(RefusedStart::ResumeData(ResumeDataError::Used));
            assert_eq!(resume(&first, &data, &bench, "h").await, used);
            let outcome = second.outcome(next).await;
            assert_eq!(outcome, Ok(bench.finished("g", body.len())), "{moment} ms");
            assert!(bench.file("g").as_deref() == Some(&*body), "{moment} ms");
            assert_eq!(bench.files(), ["g"], "{moment} ms");
            let twice = bench.server.sent_bytes("a/f") - body.len();
            assert!(twice <= CHUNK_BYTES + PIPE_BYTES, "{twice} at {moment} ms");
        });
    }
    assert!(handed_over > 10, "{handed_over}");
}

#[test]
fn what_waits_or_rests_hands_its_bytes_over_without_a_request() {
    for way in ["suspended", "waiting", "queued"] {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(1_000_000, 2);
            let script: &[Answer] = match way {
                "waiting" => &[Answer::Cut(500_000), Answer::Later(3000)],
                _ => &[],
            };
            bench.server.put("a/f", &body, PAUSE, script);
            bench
                .server
                .put("a/other", &body, PAUSE, &[Answer::Stall(10)]);
            let engine = bench.engine().await;
            let rules = SessionRules {
                tasks_max: 1,
                ..SessionRules::default()
            };
            let session = session_with(&engine, "s", rules).await;
            let task = start_one(&session, bench.spec("a/f")).await;
            until(async || bench.server.sent_bytes("a/f") > 400_000).await;
            if way == "waiting" {
                until(async || {
                    let phase = session.view(task).await.expect("a view").phase;
                    bench.server.seen("a/f").len() == 2
                        && matches!(phase, Phase::WaitingToRetry { .. })
                })
                .await;
            } else {
                session
                    .want(task, Desired::Suspended)
                    .await
                    .expect("an answer");
                until(async || session.view(task).await.expect("a view").phase == Phase::Suspended)
                    .await;
            }
            if way == "queued" {
                start_one(&session, bench.spec("a/other")).await;
                session
                    .want(task, Desired::Running)
                    .await
                    .expect("an answer");
            }
            let requests = bench.server.seen("a/f").len();
            let data = session.cancel_for_resume_data(task).await;
            let data = data.expect("an answer").expect("resume data");
            assert_eq!(bench.server.seen("a/f").len(), requests, "{way}");
            session
                .discard_resume_data(data.clone())
                .await
                .expect("an answer")
                .expect("gone");
            let refused = resume(&session, &data, &bench, "g").await;
            assert!(
                matches!(
                    refused,
                    Err(RefusedStart::ResumeData(ResumeDataError::Stale(_)))
                ),
                "{way}: {refused:?}"
            );
        });
    }
}

#[test]
fn an_engine_that_stops_before_the_end_hands_the_bytes_over_in_its_next_life() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(1_000_000, 3);
        bench.server.put("a/f", &body, PAUSE, &[]);
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let task = start_one(&first, bench.spec("a/f")).await;
        until(async || bench.server.sent_bytes("a/f") > 400_000).await;
        first
            .want(task, Desired::Suspended)
            .await
            .expect("an answer");
        until(async || first.view(task).await.expect("a view").phase == Phase::Suspended).await;
        engine.shutdown().await;
        drop((engine, first));
        {
            // The wish was recorded, and nothing came of it.
            let mut store =
                longhaul_persistence::Store::open(&bench.store_path()).expect("a store");
            let change = longhaul_persistence::Change::SetDesired {
                session: longhaul_engine::id::SessionId::new("s").expect("a name"),
                task,
                desired: Desired::CancelledResumable,
            };
            store.commit(&[change]).expect("a commit")[0]
                .clone()
                .expect("done");
        }
        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        let Ok(Outcome::CancelledResumable(data)) = second.outcome(task).await else {
            panic!("the bytes are lost");
        };
        let next = resume(&second, &data, &bench, "f").await.expect("a task");
        assert_eq!(
            second.outcome(next).await,
            Ok(bench.finished("f", body.len()))
        );
        assert_eq!(bench.files(), ["f"]);
    });
}

#[test]
fn a_changed_resource_is_fetched_from_zero_and_the_old_bytes_are_removed() {
    virtual_time(async {
        let bench = Bench::new();
        let (old, new) = (content(1_000_000, 4), content(900_000, 5));
        let script = [Answer::Stall(500_000), Answer::Changed(new.clone())];
        bench.server.put("a/f", &old, PAUSE, &script);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        until(async || bench.server.sent_bytes("a/f") >= 500_000).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let data = session.cancel_for_resume_data(task).await;
        let data = data.expect("an answer").expect("resume data");
        bench.server.release("a/f");
        let next = resume(&session, &data, &bench, "g").await.expect("a task");
        assert_eq!(
            session.outcome(next).await,
            Ok(bench.finished("g", new.len()))
        );
        assert!(bench.file("g").as_deref() == Some(&*new));
        assert_eq!(
            bench.files(),
            ["g"],
            "the part of the first task has another name"
        );
    });
}

#[test]
fn a_failure_hands_its_bytes_over_when_the_session_asks_for_it() {
    for (wants, is_acknowledged_first) in [(true, true), (true, false), (false, true)] {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(1_000_000, 6);
            let script = [Answer::Cut(500_000), Answer::Status(404)];
            bench.server.put("a/f", &body, PAUSE, &script);
            let engine = bench.engine().await;
            let rules = SessionRules {
                resume_data_on_failure: wants,
                ..SessionRules::default()
            };
            let session = session_with(&engine, "s", rules).await;
            let heard = listen(&session).await;
            let task = start_one(&session, bench.spec("a/f")).await;
            let Ok(Outcome::Failed(failure)) = session.outcome(task).await else {
                panic!("it must fail");
            };
            assert_eq!(failure.kind(), FailureKind::Status(404));
            let facts = heard.until_facts(1).await;
            if is_acknowledged_first {
                session
                    .acknowledge(facts[0].sequence)
                    .await
                    .expect("an answer");
            }
            let Some(data) = failure.resume_data() else {
                assert!(!wants, "no resume data");
                assert!(bench.files().is_empty(), "{:?}", bench.files());
                return;
            };
            assert_eq!(bench.files().len(), 2, "the part and its ticket");
            let next = resume(&session, data, &bench, "f").await.expect("a task");
            assert_eq!(
                session.outcome(next).await,
                Ok(bench.finished("f", body.len()))
            );
            assert_eq!(bench.files(), ["f"]);
            let twice = bench.server.sent_bytes("a/f") - body.len();
            assert!(twice <= CHUNK_BYTES + PIPE_BYTES, "{twice}");
        });
    }
}

#[test]
fn the_next_task_of_a_failed_one_takes_its_bytes_and_voids_its_resume_data() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(1_000_000, 7);
        let script = [Answer::Cut(500_000), Answer::Status(404)];
        bench.server.put("a/f", &body, PAUSE, &script);
        let engine = bench.engine().await;
        let rules = SessionRules {
            resume_data_on_failure: true,
            ..SessionRules::default()
        };
        let session = session_with(&engine, "s", rules).await;
        let task = start_one(&session, bench.spec("a/f")).await;
        let Ok(Outcome::Failed(failure)) = session.outcome(task).await else {
            panic!("it must fail");
        };
        let data = failure.resume_data().expect("resume data").clone();
        let heirs = session.start(requests(vec![bench.spec("a/f")], true)).await;
        let heir = heirs.expect("an answer").remove(0).expect("a task");
        let used = Err(RefusedStart::ResumeData(ResumeDataError::Used));
        assert_eq!(resume(&session, &data, &bench, "g").await, used);
        assert_eq!(
            session.outcome(heir).await,
            Ok(bench.finished("f", body.len()))
        );
        assert_eq!(bench.files(), ["f"], "the ticket is gone too");
    });
}

#[test]
fn a_taken_destination_is_refused_and_the_resume_data_stays_of_use() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(1_000_000, 8);
        bench
            .server
            .put("a/f", &body, PAUSE, &[Answer::Stall(500_000)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        until(async || bench.server.sent_bytes("a/f") >= 500_000).await;
        let data = session.cancel_for_resume_data(task).await;
        let data = data.expect("an answer").expect("resume data");
        std::fs::write(bench.target("g"), "mine").expect("a file");
        let refused = resume(&session, &data, &bench, "g").await;
        assert!(
            matches!(refused, Err(RefusedStart::Invalid(_))),
            "{refused:?}"
        );
        let refused = resume(&session, &data, &bench, "no/directory").await;
        assert!(
            matches!(refused, Err(RefusedStart::Invalid(_))),
            "{refused:?}"
        );
        bench.server.release("a/f");
        let next = resume(&session, &data, &bench, "f").await.expect("a task");
        assert_eq!(
            session.outcome(next).await,
            Ok(bench.finished("f", body.len()))
        );
        assert_eq!(bench.files(), ["f", "g"]);
    });
}

#[test]
fn a_session_that_is_being_invalidated_takes_no_resume_data_and_leaves_it_of_use() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(1_000_000, 9);
        bench
            .server
            .put("a/f", &body, PAUSE, &[Answer::Stall(500_000)]);
        let engine = bench.engine().await;
        let closed = session(&engine, "closed").await;
        let open = session(&engine, "open").await;
        let task = start_one(&closed, bench.spec("a/f")).await;
        until(async || bench.server.sent_bytes("a/f") >= 500_000).await;
        let data = closed.cancel_for_resume_data(task).await;
        let data = data.expect("an answer").expect("resume data");
        bench.server.release("a/f");
        let invalidated = closed.invalidate(Invalidation::FinishTasks).await;
        invalidated.expect("an answer");
        let refused = resume(&closed, &data, &bench, "f").await;
        let id = closed.id().clone();
        assert_eq!(refused, Err(RefusedStart::Invalidated(id)));
        let next = resume(&open, &data, &bench, "f").await.expect("a task");
        assert_eq!(
            open.outcome(next).await,
            Ok(bench.finished("f", body.len()))
        );
        assert_eq!(bench.files(), ["f"]);
    });
}
