//! Resume data: what it takes for a later task to go on, and what becomes of it otherwise.

use std::fs;
use std::time::{Duration, SystemTime};

use longhaul::{DownloadTask, Error, FailureKind, Outcome, ResumeData, ResumeDataError, Session};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Ranges, Reply};

use super::super::stage::{CONTENT, PATH, Stage, configuration, failure, finished, until_held};
use crate::bench::{MIB, run};

/// Long before any `Date`, so that it says exactly which version it is.
fn long_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(24 * 60 * 60)
}

/// A download that was cut off and cancelled; then this is what the server gives.
async fn left(stage: &Stage, session: &Session, then: Reply) -> Option<ResumeData> {
    stage
        .server
        .script(PATH, [Reply::normal().stall_at(MIB), then]);
    let task = stage.start(session, "a").await;
    until_held(&task).await;
    task.cancel_by_producing_resume_data().await.unwrap()
}

/// Goes on with it to the end.
async fn resumed(stage: &Stage, session: &Session, data: ResumeData) -> DownloadTask {
    let task = session.resume_download(data, stage.bench.file("b")).await;
    let task = task.unwrap();
    finished(&task.finished().await.unwrap());
    task
}

fn last_range(stage: &Stage) -> Option<u64> {
    let last = stage.server.requests_for(PATH).pop().unwrap();
    last.range().map(|(from, _)| from)
}

/// Apple, cancel(byProducingResumeData:).
#[test]
fn a_download_goes_on_with_its_resume_data_where_it_was_cancelled() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let data = left(&stage, &session, Reply::normal()).await.unwrap();
        resumed(&stage, &session, data).await;
        engine.shutdown().await;
    });
    assert_eq!(last_range(&stage), Some(MIB));
    stage.assert_file("b");
}

/// Apple, cancel(byProducingResumeData:): the resource has not changed since.
#[test]
fn a_resource_that_has_changed_since_is_fetched_from_its_beginning() {
    const NEW: Content = Content::new(903, MIB + 3);
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let changed = Reply::of(Resource::new(NEW).etag("new"));
        let data = left(&stage, &session, changed).await.unwrap();
        resumed(&stage, &session, data).await;
        engine.shutdown().await;
    });
    stage.bench.assert_file("b", NEW);
    assert_eq!(stage.bench.names(), ["b"]);
}

/// Apple, cancel(byProducingResumeData:): the task is an HTTP or HTTPS GET request.
#[test]
fn a_download_asks_with_get() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let data = left(&stage, &session, Reply::normal()).await.unwrap();
        resumed(&stage, &session, data).await;
        engine.shutdown().await;
    });
    let requests = stage.server.requests();
    assert!(requests.iter().all(|request| request.method == "GET"));
}

/// Apple, cancel(byProducingResumeData:): the server provides the ETag or Last-Modified header.
#[test]
fn either_validator_is_enough_to_go_on_and_without_one_there_is_no_resume_data() {
    let table = [
        (Resource::new(CONTENT).etag("e"), true),
        (Resource::new(CONTENT).last_modified_only(long_ago()), true),
        (Resource::new(CONTENT).without_validators(), false),
        (Resource::new(CONTENT).weak_etag_only("w"), false),
    ];
    for (number, (resource, goes_on)) in table.into_iter().enumerate() {
        let stage = Stage::new();
        stage.server.serve(PATH, resource);
        run(async {
            let (engine, session) = stage.open().await;
            let data = left(&stage, &session, Reply::normal()).await;
            assert_eq!(data.is_some(), goes_on, "{number}");
            if let Some(data) = data {
                resumed(&stage, &session, data).await;
                assert_eq!(last_range(&stage), Some(MIB), "{number}");
            }
            engine.shutdown().await;
        });
    }
}

/// Apple, cancel(byProducingResumeData:): the server supports byte-range requests.
#[test]
fn a_server_without_ranges_sends_everything_again_and_the_file_is_whole() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let ignoring = Reply::normal().ranges(Ranges::Ignore);
        let data = left(&stage, &session, ignoring).await.unwrap();
        resumed(&stage, &session, data).await;
        engine.shutdown().await;
    });
    assert_eq!(last_range(&stage), Some(MIB), "it was asked");
    stage.assert_file("b");
    assert_eq!(stage.bench.names(), ["b"]);
}

/// Apple, cancel(byProducingResumeData:): the temporary file was not deleted.
#[test]
fn resume_data_whose_bytes_were_deleted_is_refused() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let data = left(&stage, &session, Reply::normal()).await.unwrap();
        for name in stage.bench.names() {
            if name.ends_with(".part") {
                fs::remove_file(stage.bench.file(&name)).unwrap();
            }
        }
        let refused = session.resume_download(data, stage.bench.file("b")).await;
        assert!(
            matches!(refused, Err(Error::ResumeData(ResumeDataError::Stale(_)))),
            "{refused:?}"
        );
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, test_invalidResumeDataForDownloadTask.
#[test]
fn resume_data_that_is_none_is_refused() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let data = ResumeData::from_bytes(b"not resume data".to_vec()).unwrap();
        let refused = session.resume_download(data, stage.bench.file("b")).await;
        let expected = Error::ResumeData(ResumeDataError::NotResumeData);
        assert_eq!(refused.unwrap_err(), expected);
        assert!(session.get_all_tasks().await.unwrap().is_empty());
        engine.shutdown().await;
    });
}

/// Apple, NSURLSessionDownloadTaskResumeData.
#[test]
fn a_download_that_fails_with_bytes_has_resume_data_in_its_failure() {
    let stage = Stage::with([
        Reply::normal().truncate_at(MIB),
        Reply::status(403),
        Reply::normal(),
    ]);
    run(async {
        let configuration = configuration().resume_data_on_failure(true);
        let (engine, session) = stage.open_as(configuration).await;
        let task = stage.start(&session, "a").await;
        let outcome = task.finished().await.unwrap();
        let failure = failure(&outcome);
        assert_eq!(failure.kind(), FailureKind::Status(403));
        let data = failure.resume_data().cloned();
        resumed(&stage, &session, data.expect("it holds bytes")).await;
        engine.shutdown().await;
    });
    assert_eq!(last_range(&stage), Some(MIB));
    stage.assert_file("b");
}

/// Apple, cancel(byProducingResumeData:): nil when the download can not be resumed.
#[test]
fn a_download_without_a_byte_leaves_no_resume_data() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.download_task(stage.request("a")).await.unwrap();
        assert_eq!(task.cancel_by_producing_resume_data().await, Ok(None));
        assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        engine.shutdown().await;
    });
    assert_eq!(stage.bench.names(), [""; 0]);
}

/// SODownloader, issue 14, on what cancelling leaves after resume data was produced.
#[test]
fn a_cancel_after_resume_data_was_produced_leaves_its_bytes() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        stage
            .server
            .script(PATH, [Reply::normal().stall_at(MIB), Reply::normal()]);
        let task = stage.start(&session, "a").await;
        until_held(&task).await;
        let data = task.cancel_by_producing_resume_data().await.unwrap();
        task.cancel().await.unwrap();
        resumed(&stage, &session, data.expect("it holds bytes")).await;
        engine.shutdown().await;
    });
    assert_eq!(last_range(&stage), Some(MIB));
}
