//! Every way to end: signals, a request, idleness; within two seconds, with everything on record.

use std::time::{Duration, Instant};

use longhaul_engine::control::{AtRoot, AtSession, ClientEvent, GetEngine, ListTasks, Shutdown};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::http::{Client, Events, call};
use super::stage::{Running, Stage, download, open, open_with, session};
use crate::bench::{MIB, PATIENCE};

const CONTENT: Content = Content::new(312, 3 * MIB);

/// Downloads that run when it stops.
const DOWNLOADS: usize = 50;

/// Its own promise, and some for a loaded machine to see it.
const STOP_MAX: Duration = Duration::from_millis(2500);

/// Starts many downloads, each of which has a part of its file and hangs.
fn busy(stage: &Stage, server: &Server, gate: &Gate) -> (Running, Client) {
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    let requests = (0..DOWNLOADS).map(|number| {
        let path = format!("/{number}.bin");
        server.serve(&path, Resource::new(CONTENT));
        server.script(&path, [Reply::normal().hold_at(2 * MIB, gate)]);
        download(
            &server.url(&path),
            &stage.bench.file(&format!("{number}.bin")),
        )
    });
    let requests = requests.collect();
    let tasks = open_with(&daemon.socket, &client, "s", requests);
    assert_eq!(tasks.len(), DOWNLOADS);
    (daemon, client)
}

#[test]
fn it_stops_within_two_seconds_with_many_downloads_on_record() {
    let (server, gate, stage) = (Server::start(), Gate::new(), Stage::new());
    let (daemon, mut client) = busy(&stage, &server, &gate);
    let mut silent = Events::of(&daemon.socket, &session("s"), "");
    // As many as may run to one host at once have something to put on record.
    daemon.until(|daemon| {
        let tasks = call(&daemon.socket, AtSession(session("s")), &ListTasks {});
        let held = tasks.iter().filter(|it| it.progress.received_bytes > 0);
        held.count() >= 6
    });
    daemon.process.signal("TERM").unwrap();
    let began = Instant::now();
    loop {
        match client.told() {
            Some(ClientEvent::Stopping) => break,
            Some(_) => {}
            None => panic!("it has not said that it stops"),
        }
    }
    assert_eq!(client.told(), None, "nothing follows");
    stage.bench.finish(daemon.process).expect(0).is_silent();
    let took = began.elapsed();
    assert!(took < STOP_MAX, "{took:?}");
    println!("stopped in {took:?} with {DOWNLOADS} downloads");
    while silent.next().is_some() {}
    assert!(!stage.socket().exists());

    gate.open();
    let again = stage.start();
    let tasks = call(&again.socket, AtSession(session("s")), &ListTasks {});
    assert_eq!(tasks.len(), DOWNLOADS);
    again.until(|again| again.metric("longhaul_tasks{state=\"live\"}") == 0);
    for number in 0..DOWNLOADS {
        stage.bench.assert_file(&format!("{number}.bin"), CONTENT);
    }
    let resumed = server
        .requests()
        .iter()
        .filter(|it| it.range().is_some())
        .count();
    assert!(resumed >= 6, "{resumed} went on from their records");
}

#[test]
fn it_stops_though_somebody_never_reads() {
    let stage = Stage::new();
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    open(&daemon.socket, &client, "s");
    let _silent = Events::of(&daemon.socket, &session("s"), "");
    let began = Instant::now();
    daemon.end(&stage, "INT").expect(0);
    let took = began.elapsed();
    assert!(took < STOP_MAX, "{took:?}");
}

#[test]
fn a_request_stops_it_and_is_answered() {
    let stage = Stage::new();
    let daemon = stage.start();
    call(&daemon.socket, AtRoot, &Shutdown {});
    stage.bench.finish(daemon.process).expect(0).is_silent();
    assert!(!stage.socket().exists());
}

#[test]
fn it_stops_by_itself_when_nothing_is_to_be_done() {
    let (server, gate, stage) = (Server::start(), Gate::new(), Stage::new());
    server.serve("/a.bin", Resource::new(CONTENT));
    server.script("/a.bin", [Reply::normal().hold_at(MIB, &gate)]);
    let daemon = stage.start_with(&["--idle-exit", "300ms"]);
    let client = Client::new(&daemon.socket);
    let request = download(&server.url("/a.bin"), &stage.bench.file("a.bin"));
    open_with(&daemon.socket, &client, "s", vec![request]);
    server.wait_for(|requests| requests.iter().any(|it| it.body_sent >= MIB));
    drop(client);
    let mut process = daemon.process;
    let idle = Duration::from_secs(1);
    assert_eq!(process.wait(idle).unwrap(), None, "a download runs");
    assert_eq!(
        call(&stage.socket(), AtRoot, &GetEngine {}).pid,
        process.id()
    );
    gate.open();
    let status = process.wait(PATIENCE).unwrap().expect("it ends");
    assert!(status.success(), "{status}");
    stage.bench.assert_file("a.bin", CONTENT);
    assert!(!stage.socket().exists());
}
