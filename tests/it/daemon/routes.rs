//! What can be asked: calls, identifiers of every kind in paths, and metrics.

use longhaul_engine::control::{
    AtClient, AtClientSession, AtRoot, AtSession, ClientEvent, CloseSession, GetConditions,
    GetEngine, GetSession, ListSessions, ListTasks, WaitForEnd,
};
use longhaul_engine::task::Outcome;
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

use super::http::{Client, ask, call, try_call};
use super::stage::{Stage, download, metrics, open, open_with, session};
use crate::bench::MIB;

const PATH: &str = "/a.bin";
const CONTENT: Content = Content::new(311, MIB + 3);

#[test]
fn the_engine_tells_who_it_is_and_logs_go_to_stderr() {
    let stage = Stage::new();
    let daemon = stage.start_with(&["-vv"]);
    let engine = call(&daemon.socket, AtRoot, &GetEngine {});
    assert_eq!((engine.api, engine.pid), (1, daemon.process.id()));
    assert_eq!(engine.state_dir, stage.bench.state().join("daemon"));
    assert_eq!(engine.version, env!("CARGO_PKG_VERSION"));
    let conditions = call(&daemon.socket, AtRoot, &GetConditions {});
    assert_eq!(conditions, engine.conditions);
    let answer = ask(&daemon.socket, "GET", "/v1", None);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let ended = daemon.end(&stage, "TERM");
    ended.expect(0).says("listening");
    ended.says("request{call=\"GetEngine\" status=200}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_download_runs_without_its_client_and_is_told_to_it() {
    let (server, stage) = (Server::start(), Stage::new());
    server.serve(PATH, Resource::new(CONTENT));
    let daemon = stage.start();
    let mut client = Client::new(&daemon.socket);
    let request = download(&server.url(PATH), &stage.bench.file("a.bin"));
    let tasks = open_with(&daemon.socket, &client, "s", vec![request]);
    let wait = WaitForEnd {
        wait: 7,
        session: session("s"),
        task: tasks[0],
    };
    call(&daemon.socket, AtClient(client.id.clone()), &wait);
    let ended = loop {
        match client.told().expect("the daemon runs") {
            ClientEvent::Ended { wait: 7, outcome } => break outcome,
            ClientEvent::Conditions(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(ended, Outcome::Finished(_)), "{ended:?}");
    stage.bench.assert_file("a.bin", CONTENT);
    let listed = call(&daemon.socket, AtSession(session("s")), &ListTasks {});
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].outcome, Some(ended));
}

#[test]
fn identifiers_with_any_characters_are_found_again() {
    let stage = Stage::new();
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    let names = [
        "a/b",
        "50 %",
        "%2F",
        "ä ö/ü?#&=+",
        "..",
        "events",
        "tasks/1",
        "~x:y@z;",
    ];
    for name in names {
        let session = open(&daemon.socket, &client, name);
        let found = call(&daemon.socket, AtSession(session.clone()), &GetSession {});
        assert_eq!(found.session, session);
        assert_eq!(found.owner_pid, Some(std::process::id()));
    }
    let listed = call(&daemon.socket, AtRoot, &ListSessions {});
    let mut listed: Vec<_> = listed
        .iter()
        .map(|it| it.session.as_str().to_owned())
        .collect();
    listed.sort_unstable();
    let mut expected = names.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for name in names {
        let at = AtClientSession(client.id.clone(), session(name));
        call(&daemon.socket, at, &CloseSession {});
        let found = call(&daemon.socket, AtSession(session(name)), &GetSession {});
        assert_eq!(found.owner_pid, None, "{name}");
    }
}

#[test]
fn metrics_are_open_metrics_text_that_counts_what_was_asked() {
    let stage = Stage::new();
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    open(&daemon.socket, &client, "s");
    for _ in 0..3 {
        call(&daemon.socket, AtRoot, &GetEngine {});
    }
    ask(&daemon.socket, "GET", "/nowhere", None).is_problem(404, "no_such_path");
    let answer = ask(&daemon.socket, "GET", "/metrics", None);
    let kind = answer.header("content-type").unwrap();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let text = metrics(&daemon.socket);
    for line in [
        "longhaul_requests_total{call=\"GetEngine\",status=\"200\"} 3",
        "longhaul_requests_total{call=\"none\",status=\"404\"} 1",
        "longhaul_clients 1",
        "longhaul_sessions 1",
        "longhaul_tasks{state=\"live\"} 0",
    ] {
        assert!(text.lines().any(|its| its == line), "{line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_session_of_another_spelling_is_another_session() {
    let stage = Stage::new();
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    open(&daemon.socket, &client, "s");
    let answer = try_call(&daemon.socket, AtSession(session("S")), &GetSession {});
    answer.is_problem(404, "no_such_session");
}
