//! Uploads as an app uses them: what arrives, what an early answer does, what a restart finds.

use std::time::{Duration, Instant};

use longhaul::{
    Engine, Error, FailureKind, Outcome, Phase, SessionConfiguration, TaskState, UploadProtocol,
    UploadRequest, UploadTask, Uploaded,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::log::Request;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, SECRET};
use crate::face::{block_on, open};

const PATH: &str = "/inbox";
const CONTENT: Content = Content::new(301, 3 * MIB + 5);

/// A server whose inbox answers 201, and a file to send to it.
fn inbox(bench: &Bench, content: Content) -> (Server, UploadRequest) {
    let server = Server::start();
    server.script(PATH, [Reply::status(201).body("receipt 7")]);
    content.write_file(&bench.file("f")).unwrap();
    let request = UploadRequest::new(&server.url(PATH), bench.file("f")).unwrap();
    // Foundation sends a POST again whose answer was lost.
    let request = request
        .protocol(UploadProtocol::Plain)
        .unwrap()
        .repeatable();
    (server, request)
}

fn is_whole(request: &Request, content: Content) -> bool {
    *request.body == content.bytes(0..content.len())
}

fn uploaded(outcome: &Outcome) -> &Uploaded {
    match outcome {
        Outcome::Uploaded(uploaded) => uploaded,
        other => panic!("{other:?}"),
    }
}

async fn failed_kind(task: &UploadTask) -> FailureKind {
    match task.finished().await.unwrap() {
        Outcome::Failed(failure) => {
            assert!(!format!("{failure} {failure:?}").contains(SECRET));
            failure.kind()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_arrives_byte_for_byte_with_its_method_and_its_fields() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state()).await;
        for (method, bytes) in [
            ("POST", 0),
            ("POST", 1),
            ("PUT", CONTENT.len()),
            ("PATCH", 9 * MIB),
        ] {
            let content = Content::new(302, bytes);
            let (server, request) = inbox(&bench, content);
            let request = request.method(method).unwrap();
            let request = request.header("Content-Type", "image/png").unwrap();
            let task = session.start_upload(request).await.unwrap();
            let outcome = task.finished().await.unwrap();
            let done = uploaded(&outcome);
            assert_eq!((done.status, done.bytes), (201, bytes));
            assert_eq!(done.response, b"receipt 7");
            let requests = server.requests();
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0].method, method);
            assert_eq!(requests[0].header("content-type"), Some("image/png"));
            let expects = requests[0].header("expect").is_some();
            assert_eq!(expects, bytes >= 8 * MIB, "{bytes}");
            assert!(is_whole(&requests[0], content), "{method} {bytes}");
        }
        engine.shutdown().await;
    });
}

#[test]
fn what_breaks_is_sent_again_and_an_early_refusal_is_not() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state()).await;
        let (server, request) = inbox(&bench, CONTENT);
        let done = || Reply::status(200);
        server.script(
            PATH,
            [
                Reply::hang_up(),
                Reply::reset().taking(MIB),
                Reply::status(503).taking(MIB),
                Reply::redirect(307, "/moved"),
            ],
        );
        server.script("/moved", [done()]);
        let task = session.start_upload(request).await.unwrap();
        uploaded(&task.finished().await.unwrap());
        assert_eq!(server.requests_for(PATH).len(), 4);
        let moved = server.requests_for("/moved");
        assert!(moved.len() == 1 && is_whole(&moved[0], CONTENT));

        let large = Content::new(303, 64 * MIB);
        let (server, request) = inbox(&bench, large);
        server.script(PATH, [Reply::status(413).taking(MIB)]);
        let started = Instant::now();
        let task = session.start_upload(request).await.unwrap();
        assert_eq!(failed_kind(&task).await, FailureKind::Status(413));
        assert!(started.elapsed() < Duration::from_secs(20));
        assert_eq!(server.requests().len(), 1);
        engine.shutdown().await;
    });
}

#[test]
fn secrets_stay_at_their_origin() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state()).await;
        let (other, _) = inbox(&bench, CONTENT);
        let (server, request) = inbox(&bench, CONTENT);
        server.script(PATH, [Reply::redirect(308, &other.url(PATH))]);
        let request = request.bearer_token(SECRET);
        let request = request.header("X-Api-Key", SECRET).unwrap();
        let task = session.start_upload(request).await.unwrap();
        uploaded(&task.finished().await.unwrap());
        assert!(server.requests()[0].header("authorization").is_some());
        let there = other.requests();
        assert!(there.len() == 1 && is_whole(&there[0], CONTENT));
        assert!(
            !there[0]
                .headers
                .iter()
                .any(|(_, value)| value.contains(SECRET))
        );
        engine.shutdown().await;
    });
}

#[test]
fn an_upload_is_found_again_after_a_restart_and_goes_on() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state()).await;
        let (server, request) = inbox(&bench, CONTENT);
        let gate = Gate::new();
        server.script(
            PATH,
            [Reply::status(201).hold_head(&gate), Reply::status(200)],
        );
        let task = session.start_upload(request).await.unwrap();
        server.wait_for(|requests| requests.iter().any(|it| is_whole(it, CONTENT)));
        assert!(session.get_download_tasks().await.unwrap().is_empty());
        engine.shutdown().await;

        let (engine, session) = open(&bench.state()).await;
        let found = session.get_upload_tasks().await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].id(), found[0].source()),
            (task.id(), task.source())
        );
        let outcome = found[0].finished().await.unwrap();
        assert_eq!(
            uploaded(&outcome).status,
            200,
            "the second attempt's answer"
        );
        let snapshots = session.upload_snapshots().await.unwrap();
        assert_eq!(snapshots[0].state, TaskState::Completed);
        assert_eq!(snapshots[0].progress.sent_bytes, CONTENT.len());
        engine.shutdown().await;
    });
}

#[test]
fn suspend_and_cancel_follow_the_contract() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state()).await;
        let (server, request) = inbox(&bench, CONTENT);
        let gate = Gate::new();
        let held = || Reply::status(201).hold_head(&gate);
        server.script(PATH, [held(), held(), held()]);
        let task = session.start_upload(request.clone()).await.unwrap();
        server.wait_for(|requests| requests.iter().any(|it| is_whole(it, CONTENT)));
        task.suspend().await.unwrap();
        let mut phase = task.phase().await.unwrap();
        while phase != Phase::Suspended {
            phase = task.phase().await.unwrap();
        }
        task.resume().await.unwrap();
        server.wait_for(|requests| requests.len() == 2);
        task.cancel().await.unwrap();
        assert_eq!(task.await, Ok(Outcome::Cancelled));

        let made = session.upload_task(request).await.unwrap();
        assert_eq!(made.state().await, Ok(TaskState::Suspended));
        made.cancel().await.unwrap();
        assert_eq!(made.await, Ok(Outcome::Cancelled));
        assert_eq!(server.requests().len(), 2);
        engine.shutdown().await;
    });
}

#[test]
fn an_upload_that_supersedes_an_ended_one_is_found_from_then_on() {
    block_on(async {
        let bench = Bench::new();
        let (server, request) = inbox(&bench, CONTENT);
        let gate = Gate::new();
        let held = Reply::status(201).hold_head(&gate);
        server.script(PATH, [Reply::status(404), held]);
        let request = request.method("PUT").unwrap().adopt_existing(true);
        let (engine, session) = open(&bench.state()).await;
        let first = session.start_upload(request.clone()).await.unwrap();
        assert!(matches!(first.finished().await, Ok(Outcome::Failed(_))));

        let anew = request.clone().supersede_ended();
        let second = session.start_upload(anew.clone()).await.unwrap();
        assert_ne!(second.id(), first.id());
        let found = session.start_upload(request).await.unwrap();
        assert_eq!(found.id(), second.id());
        let refused = session.start_upload(anew).await.unwrap_err();
        assert!(matches!(refused, Error::TargetInUse { .. }), "{refused:?}");
        gate.open();
        assert_eq!(uploaded(&second.finished().await.unwrap()).status, 201);
        engine.shutdown().await;
    });
}

#[test]
fn who_asks_for_the_same_upload_again_takes_over_the_one_that_is_there() {
    block_on(async {
        let bench = Bench::new();
        let (server, request) = inbox(&bench, CONTENT);
        let gate = Gate::new();
        server.script(
            PATH,
            [Reply::status(201).hold_head(&gate), Reply::status(200)],
        );
        let request = request.method("PUT").unwrap().adopt_existing(true);
        let (engine, session) = open(&bench.state()).await;
        let first = session.start_upload(request.clone()).await.unwrap();
        server.wait_for(|requests| requests.iter().any(|it| is_whole(it, CONTENT)));
        let same = session.start_upload(request.clone()).await.unwrap();
        assert_eq!(same.id(), first.id());
        let posted = request.clone().method("POST").unwrap();
        let posted = session.upload_task(posted).await.unwrap();
        assert_ne!(posted.id(), first.id(), "another method is another upload");
        posted.suspend().await.unwrap();
        engine.shutdown().await;

        // It goes on with the options of the request that takes it over, from its first moment.
        let engine = Engine::builder(bench.state()).start().unwrap();
        let configuration = SessionConfiguration::new("com.example.test").unwrap();
        let request = request.header("X-Run", "2").unwrap();
        let opened = engine.session_with_uploads(configuration, vec![request.clone()]);
        let opened = opened.await.unwrap();
        let found = opened.tasks[0].clone().unwrap();
        assert_eq!(found.id(), first.id());
        let outcome = found.finished().await.unwrap();
        assert_eq!(uploaded(&outcome).status, 200);
        let requests = server.requests();
        let runs: Vec<_> = requests.iter().map(|it| it.header("x-run")).collect();
        assert_eq!(runs, [None, Some("2")]);

        // Its end is the answer until it is acknowledged.
        let ended = opened.session.start_upload(request.clone()).await.unwrap();
        assert_eq!(ended.id(), first.id());
        let apart = opened.session.start_upload(request.adopt_existing(false));
        let apart = apart.await.unwrap();
        assert_ne!(
            apart.id(),
            first.id(),
            "nobody asked for the one that is there"
        );
        uploaded(&apart.finished().await.unwrap());
        engine.shutdown().await;
    });
}
