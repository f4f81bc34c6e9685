//! The client against a daemon that is played on a real socket, and killed.

mod daemon;
mod hearing;
mod http;
mod losses;
mod owning;
mod state;
mod waiting;

use std::future::{Future, poll_fn};
use std::time::Duration;

use longhaul_engine::control::Problem;
use longhaul_engine::event::Event;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::safe_url::parse_http_url;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Spec};

use self::daemon::Daemon;
use super::{
    CALL_PATIENCE, ConnectError, ConnectOptions, EngineHandle, SessionHandle, Subscription,
};
use crate::local::{CallError, StartRequest};

/// Nothing here takes so long; whoever waits longer waits for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test on an executor of its own, which is not that of the client.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let limited = async { tokio::time::timeout(LIMIT, test).await };
    runtime.block_on(limited).expect("it ends within a minute")
}

fn options(daemon: &Daemon) -> ConnectOptions {
    ConnectOptions {
        socket: daemon.socket().to_path_buf(),
        patience: CALL_PATIENCE,
        launch: None,
        daemon: None,
    }
}

async fn connect(daemon: &Daemon) -> EngineHandle {
    let connected = EngineHandle::connect(options(daemon)).await;
    connected.expect("the daemon answers")
}

async fn open(engine: &EngineHandle) -> SessionHandle {
    let opened = engine.open_session(name(), SessionRules::default()).await;
    opened.expect("nobody else has it")
}

async fn next(events: &mut Subscription) -> Option<Event> {
    poll_fn(|context| events.poll_next(context)).await
}

fn name() -> SessionId {
    SessionId::new("com.example/\u{e4} ?").unwrap()
}

/// A download of this name.
fn request(name: &str) -> StartRequest {
    let text = format!(
        r#"{{"kind":"download","url":"http://example.com/{name}","destination":{{"kind":"file","value":"/{name}"}}}}"#
    );
    let spec: Spec = serde_json::from_str(&text).expect(&text);
    StartRequest {
        spec,
        adopts: false,
        desired: Desired::Running,
    }
}

#[test]
fn who_connects_where_nobody_listens_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let options = ConnectOptions {
        socket: directory.path().join("nothing.sock"),
        patience: LIMIT,
        launch: None,
        daemon: None,
    };
    let error = run(EngineHandle::connect(options)).unwrap_err();
    let ConnectError::Unreachable(text) = error else {
        panic!("{error}");
    };
    assert!(text.contains("nothing.sock"), "{text}");
}

#[test]
fn a_daemon_of_another_version_is_not_spoken_to() {
    let daemon = Daemon::start();
    daemon.update(|state| state.api = 2);
    let error = run(EngineHandle::connect(options(&daemon))).unwrap_err();
    assert!(matches!(error, ConnectError::OtherVersion(_)), "{error}");

    daemon.update(|state| state.api = 1);
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        daemon.kill();
        daemon.update(|state| state.api = 2);
        daemon.restart();
        let reason = engine.stopped().await.expect("it gives up by itself");
        assert!(reason.contains("version 2"), "{reason}");
        let refused = session.tasks().await.unwrap_err();
        assert_eq!(
            refused,
            CallError::Stopped {
                reason: Some(reason)
            }
        );
    });
}

#[test]
fn a_client_that_is_refused_is_told_why() {
    let daemon = Daemon::start();
    let detail = "there are 4096 clients; close one".to_owned();
    let problem = Problem::TooMany { detail };
    daemon.update(|state| state.refuses.push(("clients", problem)));
    let error = run(EngineHandle::connect(options(&daemon))).unwrap_err();
    assert_eq!(
        error,
        ConnectError::Refused("there are 4096 clients; close one".to_owned())
    );
}

#[test]
fn handles_and_their_futures_are_for_any_executor() {
    fn is_shared<T: Send + Sync + Clone>(_: &T) {}
    fn is_sent<T: Send>(future: T) -> T {
        future
    }
    let daemon = Daemon::start();
    run(async {
        let engine = is_sent(EngineHandle::connect(options(&daemon)))
            .await
            .unwrap();
        is_shared(&engine);
        let opening = engine.open_session_with(name(), SessionRules::default(), Vec::new());
        let opened = is_sent(opening).await.unwrap();
        is_shared(&opened.session);
        drop(is_sent(opened.session.outcome(TaskId::new(1))));
        is_sent(opened.session.start(Vec::new())).await.unwrap();
        drop(is_sent(engine.next_refresh_task()));
        is_sent(engine.shutdown()).await;
    });
}

#[test]
fn the_urls_of_the_tests_are_urls() {
    let Spec::Download(spec) = request("a").spec else {
        panic!("it is a download");
    };
    assert_eq!(
        spec.url,
        parse_http_url("http://example.com/a").unwrap().url
    );
}
