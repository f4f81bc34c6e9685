//! The rules of the Scripting app's `BackgroundURLSession`: six functions, their options, the states
//! and callbacks of a task, and taking tasks back after a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use longhaul::{
    DownloadTask, Outcome, Progress, ResumeData, TaskState, UploadProtocol, UploadRequest,
    UploadTask,
};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;

use super::stage::{CONTENT, PATH, Stage, configuration, failure, finished, until_held};
use crate::bench::{MIB, next, run};

/// Where uploads go.
const INBOX: &str = "/inbox";

/// Names of the callbacks of a download in the order of their calls.
async fn calls_of(task: &DownloadTask) -> Receiver<&'static str> {
    let (called, heard) = channel();
    let complete = called.clone();
    let on_complete = move |_: &Outcome| complete.send("onComplete").unwrap();
    task.on_complete(on_complete).await.unwrap();
    let on_finish = move |_: Result<&Path, &Outcome>| called.send("onFinishDownload").unwrap();
    task.on_finish_download(on_finish).await.unwrap();
    heard
}

/// A file to send, and the request for it.
fn outgoing(stage: &Stage) -> UploadRequest {
    let file = stage.bench.file("outgoing");
    CONTENT.write_file(&file).unwrap();
    let request = UploadRequest::new(&stage.server.url(INBOX), file).unwrap();
    // The scripts' system sends a POST again whose answer was lost.
    request
        .protocol(UploadProtocol::Plain)
        .unwrap()
        .repeatable()
}

async fn assert_uploaded(task: &UploadTask) {
    let outcome = task.finished().await.unwrap();
    assert!(matches!(outcome, Outcome::Uploaded(_)), "{outcome:?}");
}

/// Resume data of a download that was cut off.
async fn left(stage: &Stage, session: &longhaul::Session) -> ResumeData {
    stage
        .server
        .script(PATH, [Reply::normal().stall_at(MIB), Reply::normal()]);
    let task = stage.start(session, "a").await;
    until_held(&task).await;
    let data = task.cancel_by_producing_resume_data().await.unwrap();
    data.expect("it holds bytes")
}

/// Scripting, BackgroundURLSession.startDownload.
#[test]
fn start_download_saves_the_file_at_its_destination() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        let outcome = task.finished().await.unwrap();
        assert_eq!(finished(&outcome).path, stage.bench.file("a"));
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Scripting, BackgroundURLSession.startDownload: headers.
#[test]
fn start_download_sends_the_headers() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let request = stage
            .request("a")
            .header("User-Agent", "Example/1.0")
            .unwrap();
        let task = session.start_download(request).await.unwrap();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    let sent = stage.server.requests().remove(0);
    assert_eq!(sent.header("user-agent"), Some("Example/1.0"));
}

/// Scripting, BackgroundURLSession.startDownload: a task starts by itself, and its example resumes it.
#[test]
fn a_task_that_was_started_runs_and_resuming_it_changes_nothing() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.started(&session, "a").await;
        task.resume().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Running));
        gate.open();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 1);
}

/// Scripting, BackgroundURLSession.startDownload: notifyOnFinished, which does not touch the transfer.
#[test]
fn a_notification_is_asked_for_with_two_titles_or_with_none_and_changes_no_transfer() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let titled = stage
            .request("titled")
            .notify_on_finished("完成", "失败")
            .unwrap();
        let plain = stage.request("plain").notify_on_finished_default();
        for request in [titled, plain] {
            let task = session.start_download(request).await.unwrap();
            finished(&task.finished().await.unwrap());
        }
        engine.shutdown().await;
    });
    stage.assert_file("titled");
    stage.assert_file("plain");
}

/// Scripting, BackgroundURLSession.resumeDownload.
#[test]
fn resume_download_needs_only_its_data_and_a_destination() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let data = left(&stage, &session).await;
        let task = session.resume_download(data, stage.bench.file("b")).await;
        let task = task.unwrap();
        assert_eq!(task.url().as_str(), stage.server.url(PATH));
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    assert_eq!(
        stage.server.requests_for(PATH)[1].range(),
        Some((MIB, None))
    );
    stage.assert_file("b");
    assert_eq!(stage.bench.names(), ["b"]);
}

/// Scripting, cancelByProducingResumeData.
#[test]
fn resume_data_is_bytes_that_a_script_can_keep() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let data = left(&stage, &session).await;
        let kept = stage.bench.outputs().join("kept");
        fs::write(&kept, data.as_bytes()).unwrap();
        engine.shutdown().await;

        let (engine, session) = stage.open().await;
        let data = ResumeData::from_bytes(fs::read(kept).unwrap()).unwrap();
        let task = session.resume_download(data, stage.bench.file("b")).await;
        finished(&task.unwrap().finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("b");
}

/// Scripting, BackgroundURLSession.getDownloadTasks.
#[test]
fn get_download_tasks_takes_the_tasks_back_after_a_restart_with_their_callbacks_set_anew() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_at(MIB, &gate), Reply::normal()]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        until_held(&task).await;
        engine.shutdown().await;

        let (engine, session) = stage.open().await;
        // In a daemon the first transfer is still under way.
        gate.open();
        let tasks = session.get_download_tasks().await.unwrap();
        assert_eq!((tasks.len(), tasks[0].id()), (1, task.id()));
        let heard = calls_of(&tasks[0]).await;
        finished(&tasks[0].finished().await.unwrap());
        assert_eq!(heard.iter().count(), 2);
        assert!(session.get_upload_tasks().await.unwrap().is_empty());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Scripting, BackgroundURLSession.getDownloadTasks: tasks that have ended since.
#[test]
fn a_callback_that_is_set_after_the_end_is_called_all_the_same() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        stage.start(&session, "a").await.finished().await.unwrap();
        engine.shutdown().await;

        let (engine, session) = stage.open().await;
        let task = session.get_download_tasks().await.unwrap().remove(0);
        assert_eq!(task.state().await, Ok(TaskState::Completed));
        let (called, heard) = channel();
        let on_complete = move |outcome: &Outcome| called.send(outcome.clone()).unwrap();
        task.on_complete(on_complete).await.unwrap();
        finished(&next(&heard));
        engine.shutdown().await;
    });
}

/// Scripting, URLSessionDownloadTask.onFinishDownload: err and info.destination.
#[test]
fn on_finish_download_is_given_the_destination_or_what_went_wrong() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let (called, heard) = channel();
        for (path, name) in [(PATH, "a"), ("/missing", "b")] {
            let request = stage.request_for(path, name);
            let task = session.start_download(request).await.unwrap();
            let called = called.clone();
            let on_finish = move |file: Result<&Path, &Outcome>| {
                let told = file.map(Path::to_owned).map_err(Outcome::clone);
                called.send(told).unwrap();
            };
            task.on_finish_download(on_finish).await.unwrap();
            let told: Result<PathBuf, Outcome> = next(&heard);
            match told {
                Ok(path) => assert_eq!(path, stage.bench.file("a")),
                Err(outcome) => assert!(matches!(outcome, Outcome::Failed(_)) && name == "b"),
            }
        }
        engine.shutdown().await;
    });
}

/// Scripting, its examples: one sets onFinishDownload, another onComplete.
#[test]
fn both_callbacks_for_the_end_are_called_and_on_complete_is_the_last() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        let heard = calls_of(&task).await;
        gate.open();
        let calls: Vec<_> = heard.iter().collect();
        assert_eq!(calls, ["onFinishDownload", "onComplete"]);
        engine.shutdown().await;
    });
}

/// Scripting, URLSessionDownloadTask.onProgress: a part of the whole.
#[test]
fn on_progress_tells_how_much_of_the_whole_is_there() {
    let gate = Gate::new();
    let slow = Reply::normal().hold_head(&gate).bytes_per_second(8 * MIB);
    let stage = Stage::with([slow]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        let (called, heard) = channel();
        let on_progress = move |now: Progress| called.send(now).unwrap();
        task.on_progress(on_progress).await.unwrap();
        gate.open();
        let told: Vec<Progress> = heard.iter().collect();
        assert!(!told.is_empty());
        for progress in &told {
            assert_eq!(progress.total_bytes, Some(CONTENT.len()));
            assert!((1..=CONTENT.len()).contains(&progress.received_bytes));
        }
        assert!(told.is_sorted_by_key(|progress| progress.received_bytes));
        engine.shutdown().await;
    });
}

/// Scripting, suspend and resume.
#[test]
fn a_task_that_is_suspended_goes_on_when_it_is_resumed() {
    let stage = Stage::with([Reply::normal().stall_at(MIB), Reply::normal()]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        until_held(&task).await;
        task.suspend().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Suspended));
        task.resume().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Running));
        finished(&task.finished().await.unwrap());
        assert_eq!(task.state().await, Ok(TaskState::Completed));
        engine.shutdown().await;
    });
    assert_eq!(stage.server.requests()[1].range(), Some((MIB, None)));
    stage.assert_file("a");
}

/// Scripting, BackgroundURLSession.startUpload: method, POST without it.
#[test]
fn start_upload_posts_the_file_unless_another_method_is_given() {
    let stage = Stage::new();
    stage.server.script(INBOX, [Reply::status(201)]);
    run(async {
        let (engine, session) = stage.open().await;
        let request = outgoing(&stage);
        for request in [request.clone(), request.method("PUT").unwrap()] {
            assert_uploaded(&session.start_upload(request).await.unwrap()).await;
        }
        engine.shutdown().await;
    });
    let requests = stage.server.requests_for(INBOX);
    let methods: Vec<_> = requests.iter().map(|request| &request.method[..]).collect();
    assert_eq!(methods, ["POST", "PUT"]);
    let file = CONTENT.bytes(0..CONTENT.len());
    assert!(requests.iter().all(|request| *request.body == file));
}

/// Scripting, BackgroundURLSession.startUpload: headers.
#[test]
fn start_upload_sends_the_headers() {
    let stage = Stage::new();
    stage.server.script(INBOX, [Reply::status(201)]);
    run(async {
        let (engine, session) = stage.open().await;
        let request = outgoing(&stage)
            .header("Authorization", "Bearer t")
            .unwrap();
        assert_uploaded(&session.start_upload(request).await.unwrap()).await;
        engine.shutdown().await;
    });
    let sent = stage.server.requests_for(INBOX).remove(0);
    assert_eq!(sent.header("authorization"), Some("Bearer t"));
}

/// Scripting, BackgroundURLSession.startUpload: a task starts by itself, and its example resumes it.
#[test]
fn an_upload_that_was_started_runs_and_resuming_it_changes_nothing() {
    let (stage, gate) = (Stage::new(), Gate::new());
    stage
        .server
        .script(INBOX, [Reply::status(201).hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.start_upload(outgoing(&stage)).await.unwrap();
        stage.server.wait_for(|requests| requests.len() == 1);
        task.resume().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Running));
        gate.open();
        assert_uploaded(&task).await;
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(INBOX), 1);
}

/// Scripting, BackgroundURLSession.startUpload: onComplete, and onProgress as downloads have it.
#[test]
fn the_callbacks_of_an_upload_are_called_also_when_they_are_set_late() {
    let (stage, gate) = (Stage::new(), Gate::new());
    stage
        .server
        .script(INBOX, [Reply::status(201).hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        session.set_rate_limit(Some(8 * MIB)).await.unwrap();
        let task = session.start_upload(outgoing(&stage)).await.unwrap();
        let (called, progress) = channel();
        let on_progress = move |now: Progress| called.send(now).unwrap();
        task.on_progress(on_progress).await.unwrap();
        assert!((1..=CONTENT.len()).contains(&next(&progress).sent_bytes));
        gate.open();
        for is_late in [false, true] {
            let (called, heard) = channel();
            let on_complete = move |outcome: &Outcome| called.send(outcome.clone()).unwrap();
            task.on_complete(on_complete).await.unwrap();
            let outcome = next(&heard);
            assert!(
                matches!(outcome, Outcome::Uploaded(_)),
                "{is_late}: {outcome:?}"
            );
        }
        engine.shutdown().await;
    });
}

/// Scripting, BackgroundURLSession.resumeUpload.
#[test]
fn resume_upload_needs_only_its_data() {
    let stage = Stage::new();
    stage
        .server
        .script(INBOX, [Reply::status(413), Reply::status(201)]);
    run(async {
        let asking = configuration().resume_data_on_failure(true);
        let (engine, session) = stage.open_as(asking).await;
        let request = outgoing(&stage).method("PUT").unwrap();
        let task = session.start_upload(request).await.unwrap();
        let outcome = task.finished().await.unwrap();
        let data = failure(&outcome).resume_data().cloned();
        let task = session
            .resume_upload(data.expect("its file is known"))
            .await
            .unwrap();
        assert_eq!(task.url().as_str(), stage.server.url(INBOX));
        assert_uploaded(&task).await;
        engine.shutdown().await;
    });
    let requests = stage.server.requests_for(INBOX);
    let file = CONTENT.bytes(0..CONTENT.len());
    assert!(requests[1].method == "PUT" && *requests[1].body == file);
}

/// Scripting, BackgroundURLSession.getUploadTasks.
#[test]
fn get_upload_tasks_takes_the_tasks_back_after_a_restart() {
    let (stage, gate) = (Stage::new(), Gate::new());
    let held = Reply::status(201).hold_head(&gate);
    stage.server.script(INBOX, [held, Reply::status(201)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.start_upload(outgoing(&stage)).await.unwrap();
        stage.server.wait_for(|requests| requests.len() == 1);
        engine.shutdown().await;

        let (engine, session) = stage.open().await;
        // In a daemon the first transfer is still under way.
        gate.open();
        let tasks = session.get_upload_tasks().await.unwrap();
        assert_eq!((tasks.len(), tasks[0].id()), (1, task.id()));
        assert!(session.get_download_tasks().await.unwrap().is_empty());
        assert_uploaded(&tasks[0]).await;
        engine.shutdown().await;
    });
}
