//! Resume data of uploads: made at any moment, used by other sessions and engines, once, and never for
//! another file.

use std::time::Duration;

use longhaul_engine::failure::FailureKind;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, NotificationTitles, Outcome, Phase};

use super::bench::{Bench, content, session, session_with, start_one, until, virtual_time};
use super::inbox::Meeting;
use super::server::Answer;
use crate::handle::{RefusedStart, ResumeOptions, ResumedTask, SessionHandle};

const PAUSE: Duration = Duration::from_millis(20);

const LENGTH: usize = 300_000;

async fn resume(session: &SessionHandle, data: &ResumeData) -> Result<ResumedTask, RefusedStart> {
    let resumed = session.resume_upload(data.clone(), None).await;
    resumed.expect("an answer")
}

fn refused(error: ResumeDataError) -> Result<ResumedTask, RefusedStart> {
    Err(RefusedStart::ResumeData(error))
}

/// Resume data of an upload whose server has taken some bytes and takes all of the next one.
async fn left(bench: &Bench, session: &SessionHandle) -> ResumeData {
    bench.put_source("f", &content(LENGTH, 1));
    bench
        .server
        .1
        .open("a/f", PAUSE, &[Meeting::Stalls(100_000)]);
    let task = start_one(session, bench.upload("a/f")).await;
    until(async || !bench.server.1.arrivals("a/f").is_empty()).await;
    let data = session.cancel_for_resume_data(task).await;
    data.expect("an answer").expect("resume data")
}

#[test]
fn an_upload_goes_on_in_another_session_from_its_first_byte_and_its_resume_data_is_used_once() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let data = left(&bench, &first).await;
        assert_eq!(bench.sources().len(), 2, "the file and the ticket");
        let second = session(&engine, "t").await;
        let next = resume(&second, &data).await.expect("a task");
        assert_eq!(next.url.as_str(), "http://a/f");
        assert!(next.file.ends_with("sources/f"));
        assert_eq!(resume(&first, &data).await, refused(ResumeDataError::Used));
        let outcome = second.outcome(next.task).await;
        assert_eq!(outcome, Ok(Bench::uploaded(LENGTH)));
        let arrivals = bench.server.1.arrivals("a/f");
        assert_eq!(arrivals.len(), 2);
        assert!(arrivals[1].bytes == *content(LENGTH, 1) && arrivals[1].method == "PUT");
        assert_eq!(bench.sources(), ["f"]);
    });
}

#[test]
fn a_file_that_has_changed_since_or_is_gone_is_refused_and_an_unchanged_one_is_not() {
    for change in ["none", "touched", "replaced", "gone"] {
        virtual_time(async {
            let bench = Bench::new();
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let data = left(&bench, &session).await;
            let path = bench.upload("a/f").source;
            let kept = path.with_file_name("kept");
            match change {
                "touched" => {
                    std::fs::hard_link(&path, &kept).expect("a link");
                    bench.put_source("f", &content(LENGTH, 2));
                }
                "replaced" => {
                    std::fs::rename(&path, &kept).expect("renamed");
                    std::fs::copy(&kept, &path).expect("copied");
                }
                "gone" => std::fs::rename(&path, &kept).expect("renamed"),
                _ => {}
            }
            let before = bench.server.1.arrivals("a/f").len();
            if change != "none" {
                let stale = refused(ResumeDataError::Stale(path.clone()));
                assert_eq!(resume(&session, &data).await, stale, "{change}");
                assert_eq!(bench.server.1.arrivals("a/f").len(), before);
            }
            if change == "touched" {
                return;
            }
            if change != "none" {
                std::fs::rename(&kept, &path).expect("renamed");
            }
            // The very file is there again, and the resume data as good as before.
            let next = resume(&session, &data).await.expect("a task");
            let outcome = session.outcome(next.task).await;
            assert_eq!(outcome, Ok(Bench::uploaded(LENGTH)), "{change}");
        });
    }
}

#[test]
fn resume_data_is_of_the_kind_that_it_is() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let sent = left(&bench, &session).await;
        let options = ResumeOptions::default();
        let fetched = session.resume_download(sent, bench.target("g"), options);
        let fetched = fetched.await.expect("an answer");
        assert_eq!(fetched, refused(ResumeDataError::OfAnUpload));

        let stall = [Answer::Stall(500_000)];
        bench.server.put("a/d", &content(1 << 20, 1), PAUSE, &stall);
        let task = start_one(&session, bench.spec("a/d")).await;
        until(async || bench.server.sent_bytes("a/d") >= 500_000).await;
        let data = session.cancel_for_resume_data(task).await;
        let data = data.expect("an answer").expect("resume data");
        assert_eq!(
            resume(&session, &data).await,
            refused(ResumeDataError::OfADownload)
        );
    });
}

#[test]
fn what_waits_or_rests_leaves_resume_data_without_a_request_and_what_never_began_leaves_none() {
    for way in ["suspended", "waiting", "awaiting", "queued"] {
        virtual_time(async {
            let bench = Bench::new();
            bench.put_source("f", &content(LENGTH, 3));
            let script = match way {
                "suspended" => Meeting::Stalls(100_000),
                "waiting" => Meeting::Later(3000),
                _ => Meeting::Challenges,
            };
            bench.server.1.open("a/f", PAUSE, &[script]);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let specs = super::bench::requests(vec![bench.upload("a/f")], false);
            let made = session.create(specs).await.expect("an answer");
            let task = made[0].clone().expect("a task");
            if way != "queued" {
                let wish = session.want(task, Desired::Running).await;
                wish.expect("an answer");
                until(async || !bench.server.1.arrivals("a/f").is_empty()).await;
            }
            if way == "suspended" {
                let wish = session.want(task, Desired::Suspended).await;
                wish.expect("an answer");
            }
            until(async || {
                let phase = session.view(task).await.expect("a view").phase;
                match way {
                    "waiting" => matches!(phase, Phase::WaitingToRetry { .. }),
                    "awaiting" => phase == Phase::AwaitingAuthorization,
                    _ => phase == Phase::Suspended,
                }
            })
            .await;
            let requests = bench.server.1.arrivals("a/f").len();
            let data = session.cancel_for_resume_data(task).await;
            let data = data.expect("an answer");
            assert_eq!(bench.server.1.arrivals("a/f").len(), requests, "{way}");
            assert_eq!(data.is_some(), way != "queued", "{way}");
            let Some(data) = data else {
                assert_eq!(session.outcome(task).await, Ok(Outcome::Cancelled));
                return;
            };
            let discarded = session.discard_resume_data(data.clone()).await;
            assert_eq!(discarded, Ok(Ok(())), "{way}");
            assert_eq!(bench.sources(), ["f"], "the file is its owner's");
            let late = resume(&session, &data).await;
            assert!(
                matches!(
                    late,
                    Err(RefusedStart::ResumeData(ResumeDataError::Stale(_)))
                ),
                "{way}: {late:?}"
            );
        });
    }
}

#[test]
fn a_failure_leaves_resume_data_when_the_session_asks_for_it_and_another_try_may_help() {
    for (meeting, kind, wants, is_left) in [
        (Meeting::Takes(404), FailureKind::Status(404), true, true),
        (Meeting::Takes(404), FailureKind::Status(404), false, false),
        (
            Meeting::Stalls(100),
            FailureKind::SourceChanged,
            true,
            false,
        ),
    ] {
        virtual_time(async {
            let bench = Bench::new();
            bench.put_source("f", &content(LENGTH, 4));
            let is_stuck = meeting == Meeting::Stalls(100);
            bench.server.1.open("a/f", PAUSE, &[meeting]);
            let engine = bench.engine().await;
            let rules = SessionRules {
                resume_data_on_failure: wants,
                ..SessionRules::default()
            };
            let session = session_with(&engine, "s", rules).await;
            let task = start_one(&session, bench.upload("a/f")).await;
            if is_stuck {
                until(async || !bench.server.1.arrivals("a/f").is_empty()).await;
                bench.put_source("f", &content(LENGTH, 5));
            }
            let Ok(Outcome::Failed(failure)) = session.outcome(task).await else {
                panic!("it must fail");
            };
            assert_eq!(failure.kind(), kind);
            assert_eq!(failure.resume_data().is_some(), is_left);
            assert_eq!(bench.sources().len(), 1 + usize::from(is_left));
            let Some(data) = failure.resume_data() else {
                return;
            };
            let titles = NotificationTitles {
                success: "sent".to_owned(),
                failure: "lost".to_owned(),
            };
            let resumed = session.resume_upload(data.clone(), Some(titles.clone()));
            let next = resumed.await.expect("an answer").expect("a task").task;
            let view = session.view(next).await.expect("a view");
            assert_eq!(view.spec.options().notify_on_finished, Some(titles));
            assert_eq!(session.outcome(next).await, Ok(Bench::uploaded(LENGTH)));
            assert_eq!(bench.sources(), ["f"]);
        });
    }
}

#[test]
fn a_directory_that_takes_no_files_leaves_the_ticket_in_the_state_directory() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        bench.put_source("f", &content(LENGTH, 6));
        let stuck = [Meeting::Stalls(10), Meeting::Stalls(10)];
        bench.server.1.open("a/f", PAUSE, &stuck[..1]);
        let task = start_one(&session, bench.upload("a/f")).await;
        until(async || !bench.server.1.arrivals("a/f").is_empty()).await;
        // A directory by the ticket's name can not be replaced by a file, whoever tries.
        let before = session.cancel_for_resume_data(task).await;
        let before = before.expect("an answer").expect("resume data");
        let name = bench.sources().into_iter().find(|name| name != "f");
        let name = name
            .expect("the ticket")
            .replace("longhaul-1-", "longhaul-2-");
        let blocked = bench.upload("a/f").source.with_file_name(&name);
        std::fs::create_dir_all(blocked.join("full")).expect("a directory");
        bench.server.1.script("a/f", &stuck[..1]);
        let next = resume(&session, &before).await.expect("a task");
        until(async || bench.server.1.arrivals("a/f").len() == 2).await;
        let data = session.cancel_for_resume_data(next.task).await;
        let data = data.expect("an answer").expect("resume data");
        assert_eq!(bench.files(), [name], "in the state directory");
        let last = resume(&session, &data).await.expect("a task");
        let outcome = session.outcome(last.task).await;
        assert_eq!(outcome, Ok(Bench::uploaded(LENGTH)));
        assert!(bench.files().is_empty());
    });
}
