//! Engines whose sessions go on by themselves, before anybody opens them.

use longhaul::{
    DownloadRequest, DownloadTask, Engine, Fact, Outcome, Session, SessionConfiguration,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::log::Request;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, next_fact};
use crate::face::block_on;

const CONTENT: Content = Content::new(401, 3 * MIB);
const NAMES: [&str; 2] = ["com.example.a", "com.example.b"];

fn named(name: &str) -> SessionConfiguration {
    SessionConfiguration::new(name).unwrap()
}

fn engine(bench: &Bench, resumes: bool) -> Engine {
    let builder = Engine::builder(bench.state());
    builder.resume_sessions(resumes).start().unwrap()
}

/// A server that stands still in the middle of the first download of each path.
fn serve(gate: &Gate) -> Server {
    let server = Server::start();
    for name in NAMES {
        let path = format!("/{name}");
        server.serve(&path, Resource::new(CONTENT));
        server.script(&path, [Reply::normal().hold_at(MIB, gate), Reply::normal()]);
    }
    server
}

/// Starts the download of each session, and ends the engine when some of each has come.
async fn begin(bench: &Bench, server: &Server) {
    let engine = engine(bench, false);
    for name in NAMES {
        let session = engine.session(named(name)).await.unwrap();
        let url = server.url(&format!("/{name}"));
        let request = DownloadRequest::new(&url, bench.file(name)).unwrap();
        let task = session.start_download(request).await.unwrap();
        let mut events = task.events().await.unwrap();
        while task.progress().await.unwrap().received_bytes == 0 {
            events.next().await.expect("the task has not ended");
        }
    }
    engine.shutdown().await;
}

/// Waits until so many requests went on where an earlier one was cut, and were answered so far.
fn wait_for_resumed(server: &Server, count: usize, bytes: u64) {
    let is_resumed = |it: &&Request| it.range().is_some() && it.body_sent >= bytes;
    server.wait_for(|requests| requests.iter().filter(is_resumed).count() == count);
}

/// The next answer to the first session stands still too, and the one after it does not.
fn hold_resumed(server: &Server, gate: &Gate) {
    let path = format!("/{}", NAMES[0]);
    let still = Reply::normal().hold_at(MIB / 2, gate);
    server.script(&path, [still, Reply::normal()]);
}

async fn only_task(session: &Session) -> DownloadTask {
    let mut tasks = session.get_download_tasks().await.unwrap();
    assert_eq!(tasks.len(), 1);
    tasks.remove(0)
}

async fn assert_finished(task: &DownloadTask) {
    let outcome = task.finished().await.unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
}

#[test]
fn the_tasks_of_every_session_go_on_before_any_is_opened_when_the_engine_was_told_so() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = serve(&gate);
    block_on(async {
        begin(&bench, &server).await;
        let engine = engine(&bench, true);
        wait_for_resumed(&server, 2, 1);
        for name in NAMES {
            let session = engine.session(named(name)).await.unwrap();
            let task = only_task(&session).await;
            assert_finished(&task).await;
            bench.assert_file(name, CONTENT);
            // What nobody heard was kept for the one who opens it.
            let mut events = session.events().await.unwrap();
            let fact = next_fact(&mut events).await.fact;
            assert!(matches!(fact, Fact::Completed { task: of, .. } if of == task.id()));
        }
        engine.shutdown().await;
    });
}

#[test]
fn without_being_told_so_an_engine_lets_tasks_wait_for_their_session() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = serve(&gate);
    block_on(async {
        begin(&bench, &server).await;
        gate.open();
        let engine = engine(&bench, false);
        let session = engine.session(named(NAMES[0])).await.unwrap();
        assert_finished(&only_task(&session).await).await;
        let path = format!("/{}", NAMES[1]);
        assert_eq!(server.requests_for(&path).len(), 1, "nobody has opened it");
        engine.shutdown().await;
    });
}

#[test]
fn who_opens_a_session_that_goes_on_takes_it_over_as_it_runs() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = serve(&gate);
    block_on(async {
        begin(&bench, &server).await;
        hold_resumed(&server, &gate);
        let engine = engine(&bench, true);
        wait_for_resumed(&server, 2, MIB / 2);
        let session = engine.session(named(NAMES[0])).await.unwrap();
        let task = only_task(&session).await;
        gate.open();
        assert_finished(&task).await;
        engine.shutdown().await;
    });
    let requests = server.requests_for(&format!("/{}", NAMES[0]));
    assert_eq!(requests.len(), 2, "the transfer was not disturbed");
    bench.assert_file(NAMES[0], CONTENT);
}

#[test]
fn a_session_that_goes_on_takes_another_configuration_from_the_one_who_opens_it() {
    let (bench, gate) = (Bench::new(), Gate::new());
    let server = serve(&gate);
    let path = format!("/{}", NAMES[0]);
    block_on(async {
        begin(&bench, &server).await;
        hold_resumed(&server, &gate);
        let engine = engine(&bench, true);
        wait_for_resumed(&server, 2, MIB / 2);
        let configuration = named(NAMES[0]).user_agent("anew/2").unwrap();
        let session = engine.session(configuration).await.unwrap();
        assert_finished(&only_task(&session).await).await;
        engine.shutdown().await;
    });
    let requests = server.requests_for(&path);
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].header("user-agent"), Some("anew/2"));
    let goes_on_at = |index: usize| requests[index].range().map(|(first, _)| first);
    assert!(goes_on_at(2) >= goes_on_at(1), "its bytes stay");
    bench.assert_file(NAMES[0], CONTENT);
}
