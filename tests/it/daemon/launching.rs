//! Apps that are away are called: their launch command is run, with what they need to answer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use longhaul_engine::control::{
    AtClient, AtClientSession, AtRefreshTask, CLIENTS_PATH, ClientEvent, CompleteRefresh, Hello,
    ListenForRefresh, OpenSession,
};
use longhaul_engine::launch::LaunchCommand;
use longhaul_engine::session::SessionRules;
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

use super::http::{Client, Events, call};
use super::stage::{Stage, download, session};
use crate::bench::{PATIENCE, SECRET};

const CONTENT: Content = Content::new(314, 5000);

/// Opens a session whose app is this command, with one small download, and goes away.
fn leave_behind(stage: &Stage, server: &Server, socket: &Path, command: LaunchCommand) {
    server.serve("/a.bin", Resource::new(CONTENT));
    let client = Client::new(socket);
    let request = download(&server.url("/a.bin"), &stage.bench.file("a.bin"));
    let opening = OpenSession {
        rules: SessionRules {
            launch_command: Some(command),
            ..SessionRules::default()
        },
        requests: vec![request],
        has_delegate: false,
        is_repeated: false,
    };
    let at = AtClientSession(client.id.clone(), session("s"));
    call(socket, at, &opening);
}

fn script(stage: &Stage, text: &str) -> String {
    let path = stage.bench.outputs().join("app.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Waits for a file that is renamed into place.
fn contents(path: &Path) -> String {
    let began = Instant::now();
    loop {
        if let Ok(text) = fs::read_to_string(path) {
            return text;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{} has not come",
            path.display()
        );
        std::thread::yield_now();
    }
}

#[test]
fn an_app_that_is_away_is_run_and_completes_its_refresh_task() {
    let (server, stage) = (Server::start(), Stage::new());
    let mut command = stage.daemon(&["-v"]);
    command
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("LC_TIME", "C");
    let daemon = stage.launch(command);
    let told = stage.bench.outputs().join("environment");
    let app = script(
        &stage,
        "env > \"$OUT.tmp\"; echo \"ARGS=$*\" >> \"$OUT.tmp\"; pwd >> \"$OUT.tmp\"; mv \"$OUT.tmp\" \"$OUT\"",
    );
    let command = LaunchCommand::new([app.as_str(), "--why", "a b"], stage.bench.files()).unwrap();
    let command = command.variable("OUT", told.to_str().unwrap()).unwrap();
    leave_behind(
        &stage,
        &server,
        &daemon.socket,
        command.variable("TOKEN", SECRET).unwrap(),
    );
    let environment = contents(&told);
    let value = |name: &str| {
        let line = environment
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(str::to_owned)
    };
    assert_eq!(value("LONGHAUL_SOCKET").as_deref(), daemon.socket.to_str());
    assert_eq!(value("LONGHAUL_SESSION").as_deref(), Some("s"));
    assert_eq!(value("ARGS").as_deref(), Some("--why a b"));
    assert_eq!(value("TOKEN").as_deref(), Some(SECRET));
    assert_eq!(value("LC_TIME").as_deref(), Some("C"));
    assert!(
        environment
            .lines()
            .any(|line| Path::new(line) == stage.bench.files()),
        "{environment}"
    );
    for name in [
        "AWS_SECRET_ACCESS_KEY",
        "NOTIFY_SOCKET",
        "LONGHAUL_STATE_DIR",
    ] {
        assert_eq!(value(name), None, "{name}");
    }

    // The app, as its process would: with the token it gets the very call.
    let token = value("LONGHAUL_LAUNCH").expect("a token");
    let hello = serde_json::to_string(&Hello {
        launch: Some(token),
    })
    .unwrap();
    let mut events = Events::open(&daemon.socket, "POST", CLIENTS_PATH, &hello).unwrap();
    let (_, welcome) = events.next().unwrap();
    let ClientEvent::Welcome { client, .. } = serde_json::from_value(welcome).unwrap() else {
        panic!("no welcome");
    };
    let mut client = Client { id: client, events };
    call(
        &daemon.socket,
        AtClient(client.id.clone()),
        &ListenForRefresh { is_listening: true },
    );
    let number = loop {
        match client.told().expect("the daemon runs") {
            ClientEvent::RefreshTask {
                number, session, ..
            } => {
                assert_eq!(session.as_str(), "s");
                break number;
            }
            ClientEvent::Conditions(_) => {}
            other => panic!("{other:?}"),
        }
    };
    call(
        &daemon.socket,
        AtRefreshTask(client.id.clone(), number),
        &CompleteRefresh {},
    );
    let metric = "longhaul_launches_total{result=\"Started\"}";
    assert_eq!(daemon.metric(metric), 1);
    daemon
        .end(&stage, "TERM")
        .expect(0)
        .says("launch{session=s}");
}

#[test]
fn an_app_that_can_not_be_started_is_told_of_in_the_log() {
    let (server, stage) = (Server::start(), Stage::new());
    let daemon = stage.start();
    let command = LaunchCommand::new(["/nowhere/app"], stage.bench.files()).unwrap();
    leave_behind(&stage, &server, &daemon.socket, command);
    daemon.until(|daemon| {
        let text = super::stage::metrics(&daemon.socket);
        text.contains("longhaul_launches_total{result=\"Failed\"} 1")
    });
    let ended = daemon.end(&stage, "TERM");
    ended.expect(0).says("/nowhere/app");
    ended.says("the app could not be started");
}

/// A daemon that left before the time of a call had run out never made the repeated one.
#[test]
fn it_stays_while_an_app_that_was_called_has_not_completed() {
    let (server, stage) = (Server::start(), Stage::new());
    let [first, second] = ["first", "second"].map(|name| stage.bench.outputs().join(name));
    let app = format!(
        "if [ -e {0} ]; then : > {1}; else : > {0}; fi",
        first.display(),
        second.display()
    );
    let options = [
        "--idle-exit=200ms",
        "--launch-expiry=2s",
        "--launch-interval=1ms",
        "--launch-delay=1ms",
    ];
    let daemon = stage.start_with(&options);
    let command = LaunchCommand::new(["sh", "-c", &app], stage.bench.files()).unwrap();
    leave_behind(&stage, &server, &daemon.socket, command);
    contents(&second);
    daemon.end(&stage, "TERM").expect(0);
}
