//! Uploads as a delegate and as callbacks hear of them.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use longhaul::{
    AnyTask, Error, Outcome, Session, TaskState, UploadProtocol, UploadRequest, UploadTask,
};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::{CONTENT, Recorder, Told, completed, until_all_finished};
use crate::bench::{Bench, MIB, next};
use crate::face::{block_on, open};

const PATH: &str = "/inbox";

/// Slow enough for some news, and quick enough for a test.
const SLOW: Option<u64> = Some(4 * MIB);

fn inbox(bench: &Bench, replies: impl IntoIterator<Item = Reply>) -> (Server, UploadRequest) {
    let server = Server::start();
    server.script(PATH, replies);
    CONTENT.write_file(&bench.file("f")).unwrap();
    let request = UploadRequest::new(&server.url(PATH), bench.file("f")).unwrap();
    // Foundation sends a POST again whose answer was lost.
    let request = request
        .protocol(UploadProtocol::Plain)
        .unwrap()
        .repeatable();
    (server, request)
}

fn receipt() -> Reply {
    Reply::status(201).body("receipt 7")
}

fn answer_of(outcome: &Outcome) -> (u16, &[u8]) {
    match outcome {
        Outcome::Uploaded(uploaded) => (uploaded.status, &uploaded.response),
        other => panic!("{other:?}"),
    }
}

async fn found(session: &Session) -> UploadTask {
    match session.get_all_tasks().await.unwrap().remove(0) {
        AnyTask::Upload(task) => task,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_upload_is_told_in_the_order_of_foundation_and_its_end_brings_the_servers_answer() {
    let bench = Bench::new();
    let (server, request) = inbox(&bench, [Reply::reset().taking(MIB), receipt()]);
    let (delegate, heard) = Recorder::new();
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        session.set_rate_limit(SLOW).await.unwrap();
        let guard = session.set_delegate(delegate).await.unwrap();
        let began = Instant::now();
        let task = session.start_upload(request).await.unwrap().id();
        let told = until_all_finished(&heard);
        let most = began.elapsed().as_millis() / 100 + 1;

        let (news, ends) = told.split_at(told.len() - 2);
        assert_eq!(ends[1], Told::AllFinished);
        let Told::Completed(ended, outcome) = &ends[0] else {
            panic!("{told:?}")
        };
        assert_eq!(
            (*ended, answer_of(outcome)),
            (task, (201, &b"receipt 7"[..]))
        );
        // Nothing else is told of it: no download, no file, no second end.
        let mut attempts = 1;
        let mut bytes = 0;
        for told in news {
            let Told::Sent(of, now) = told else {
                panic!("{told:?}")
            };
            assert_eq!((*of, now.total_bytes), (task, Some(CONTENT.len())));
            assert_eq!(now.received_bytes, 0);
            assert!(now.sent_bytes <= CONTENT.len(), "{now:?}");
            attempts += u32::from(now.sent_bytes < bytes);
            bytes = now.sent_bytes;
        }
        assert!(attempts <= 2, "only another attempt begins again: {told:?}");
        let count = news.len() as u128;
        assert!((1..=most).contains(&count), "{count} of {most}");
        assert_eq!(server.requests().len(), 2);
        guard.detach().await;
        assert!(session.get_all_tasks().await.unwrap().is_empty());
        engine.shutdown().await;
    });
    assert_eq!(heard.try_iter().count(), 0, "nothing follows the end");
}

#[test]
fn a_delegate_that_comes_back_hears_how_uploads_and_downloads_ended() {
    let bench = Bench::new();
    let (server, request) = inbox(&bench, [receipt(), Reply::status(403)]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let task = session.start_upload(request.clone()).await.unwrap();
            task.finished().await.unwrap();
            ids.push(task.id());
        }
        let gone = super::start(&session, &bench, &server.url("/gone"), "a").await;
        gone.finished().await.unwrap();
        ids.push(gone.id());
        engine.shutdown().await;

        let (engine, session) = open(&bench.state()).await;
        let kinds = session.get_all_tasks().await.unwrap();
        let is_upload = |task: &AnyTask| matches!(task, AnyTask::Upload(_));
        let kinds: Vec<_> = kinds.iter().map(|it| (it.id(), is_upload(it))).collect();
        assert_eq!(kinds, [(ids[0], true), (ids[1], true), (ids[2], false)]);
        let (delegate, heard) = Recorder::new();
        let guard = session.set_delegate(delegate).await.unwrap();
        let told = until_all_finished(&heard);
        assert_eq!(completed(&told), ids);
        assert_eq!(told.len(), ids.len() + 1);
        guard.detach().await;
        engine.shutdown().await;
    });
}

#[test]
fn the_callbacks_of_an_upload_are_called_for_its_progress_and_then_for_its_end() {
    let bench = Bench::new();
    let gate = Gate::new();
    let (_server, request) = inbox(&bench, [receipt().hold_head(&gate)]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        session.set_rate_limit(SLOW).await.unwrap();
        let task = session.start_upload(request).await.unwrap();
        // Every example of the documented API calls it on a task that runs: it changes nothing.
        task.resume().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Running));
        let (called, heard) = channel();
        let progress = called.clone();
        let on_progress = move |now: longhaul::Progress| {
            assert_eq!(now.total_bytes, Some(CONTENT.len()));
            progress.send("progress".to_owned()).unwrap();
        };
        task.on_progress(on_progress).await.unwrap();
        let on_complete = move |outcome: &Outcome| {
            let (status, body) = answer_of(outcome);
            let body = String::from_utf8_lossy(body);
            called.send(format!("{status} {body}")).unwrap();
        };
        task.on_complete(on_complete).await.unwrap();
        // Nobody holds the task any more; its callbacks stay.
        drop(task);
        assert_eq!(next(&heard), "progress");
        gate.open();
        let rest: Vec<String> = heard.iter().collect();
        let (end, news) = rest.split_last().unwrap();
        assert_eq!(end, "201 receipt 7");
        assert!(news.iter().all(|call| call == "progress"), "{rest:?}");
        engine.shutdown().await;
    });
}

#[test]
fn a_callback_that_is_set_after_the_end_of_an_upload_is_called_also_after_a_restart() {
    let bench = Bench::new();
    let (_server, request) = inbox(&bench, [receipt()]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_upload(request).await.unwrap();
        task.finished().await.unwrap();
        engine.shutdown().await;

        let (engine, session) = open(&bench.state()).await;
        let task = found(&session).await;
        for _ in 0..2 {
            let (called, heard) = channel();
            let on_complete = move |outcome: &Outcome| called.send(outcome.clone()).unwrap();
            task.on_complete(on_complete).await.unwrap();
            assert_eq!(answer_of(&next(&heard)), (201, &b"receipt 7"[..]));
        }
        let (delegate, heard) = Recorder::new();
        let guard = session.set_delegate(delegate).await.unwrap();
        until_all_finished(&heard);
        guard.detach().await;
        // Acknowledged, so it is forgotten.
        let gone = Err(Error::NoSuchTask(task.id()));
        assert_eq!(task.on_complete(|_| ()).await, gone);
        assert_eq!(task.on_progress(|_| ()).await, gone);
        engine.shutdown().await;
    });
}

#[test]
fn a_callback_for_an_upload_that_is_taken_back_while_it_runs_hears_its_end() {
    let bench = Bench::new();
    let gate = Gate::new();
    let held = || receipt().hold_head(&gate);
    let (server, request) = inbox(&bench, [held(), held()]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        session.start_upload(request).await.unwrap();
        server.wait_for(|requests| requests.len() == 1);
        engine.shutdown().await;

        let (engine, session) = open(&bench.state()).await;
        let task = found(&session).await;
        let (called, heard) = channel();
        let called = Arc::new(called);
        let on_complete = move |outcome: &Outcome| called.send(outcome.clone()).unwrap();
        task.on_complete(on_complete).await.unwrap();
        assert_eq!(heard.try_iter().count(), 0, "it is on its way");
        gate.open();
        assert_eq!(answer_of(&next(&heard)).0, 201);
        engine.shutdown().await;
    });
}
