//! curl as a client: it does what any program can do, and can be killed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use longhaul_engine::control::{
    AtClientSession, AtSession, CLIENTS_PATH, Call as _, ClientEvent, ClientId, GetSession,
    OpenSession, Place as _,
};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;
use serde_json::{Value, json};

use super::http::{Client, Events, call, try_call};
use super::stage::{Running, Stage, open, opening, session};
use crate::bench::MIB;

const PATH: &str = "/a.bin";
const CONTENT: Content = Content::new(312, MIB + 5);

/// A dead process's sessions are free within this time, on a loaded machine.
const FREE_MAX: Duration = Duration::from_secs(2);

#[test]
fn curl_starts_a_download_and_an_upload_by_hand() {
    let (server, stage) = (Server::start(), Stage::new());
    server.serve(PATH, Resource::new(CONTENT));
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    let (file, sent) = (stage.bench.file("a.bin"), stage.bench.file("b.bin"));
    fs::write(&sent, "sent").unwrap();
    let at = AtClientSession(client.id.clone(), session("s"));
    let put = |requests: Value| -> Value {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--unix-socket"])
            .arg(&daemon.socket)
            .args(["-X", "PUT", "-H", "Content-Type: application/json"])
            .args(["-d", &json!({"requests": requests}).to_string()])
            .arg(format!("http://localhost{}", at.fill(OpenSession::PATH)))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let problem = put(json!([{"request": {"url": server.url(PATH), "destination": "a.bin"}}]));
    assert_eq!(problem["code"], "invalid", "{problem}");
    assert_eq!(problem["status"], 400, "{problem}");
    let tasks = put(json!([
        {"request": {"url": server.url(PATH), "destination": file}},
        {"request": {"url": server.url("/b"), "source": sent, "kind": "upload"}},
    ]));
    assert_eq!(tasks, json!([{"task": 1}, {"task": 2}]));
    daemon.until(|daemon| daemon.metric("longhaul_tasks{state=\"live\"}") == 0);
    stage.bench.assert_file("a.bin", CONTENT);
    let uploads = server.requests().into_iter().filter(|it| it.path == "/b");
    assert!(uploads.count() > 0, "it was sent");
}

/// A client in a process of its own, which can be killed.
fn client_process(running: &Running) -> (Child, ClientId) {
    let mut child = Command::new("curl")
        .args(["--silent", "--no-buffer", "--unix-socket"])
        .arg(&running.socket)
        .args(["-X", "POST", &format!("http://localhost{CLIENTS_PATH}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.as_mut().unwrap());
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "no welcome");
    }
    match serde_json::from_str(line.trim_start_matches("data: ")).unwrap() {
        ClientEvent::Welcome { client, .. } => (child, client),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_session_of_a_killed_process_is_free_at_once() {
    let stage = Stage::new();
    let daemon = stage.start();
    let (mut child, id) = client_process(&daemon);
    let other = Client::new(&daemon.socket);
    let theirs = Client {
        id,
        events: Events::of(&daemon.socket, &open(&daemon.socket, &other, "x"), ""),
    };
    open(&daemon.socket, &theirs, "s");
    let (status, problem) = try_open(&daemon.socket, &other, "s");
    assert_eq!((status, &problem["code"]), (409, &"session_in_use".into()));
    assert_eq!(problem["pid"], child.id());
    let text = problem["detail"].as_str().unwrap();
    assert!(text.contains(&format!("process {}", child.id())), "{text}");

    child.kill().unwrap();
    child.wait().unwrap();
    let began = Instant::now();
    while try_open(&daemon.socket, &other, "s").0 != 200 {
        assert!(began.elapsed() < FREE_MAX, "it is still taken");
    }
    println!("free {:?} after the end of the process", began.elapsed());
    let found = call(&daemon.socket, AtSession(session("s")), &GetSession {});
    assert_eq!(found.owner_pid, Some(std::process::id()));
}

/// Tries to open a session for a client: the status and the problem.
fn try_open(socket: &Path, client: &Client, name: &str) -> (u16, Value) {
    let at = AtClientSession(client.id.clone(), session(name));
    let answer = try_call(socket, at, &opening(Vec::new()));
    (answer.status, answer.json())
}
