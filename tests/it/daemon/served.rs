//! The daemon within a process of its own making: an engine that a test starts, served and cut.

use std::fs;

use longhaul::Engine;
use longhaul_cli::daemon::{Daemon, StartError};
use longhaul_engine::control::{AtRoot, AtSession, ClientEvent, GetEngine, GetSession};

use super::http::{Client, call};
use super::stage::{open, session};
use crate::bench::{Bench, run};
use crate::face::block_on;

#[test]
fn an_engine_is_served_cut_and_served_again() {
    let bench = Bench::new();
    let socket = bench.outputs().join("run/s.sock");
    let engine = Engine::builder(bench.state()).start().unwrap();
    let daemon = Daemon::start(engine.clone(), &socket).unwrap();
    assert_eq!(call(&socket, AtRoot, &GetEngine {}).pid, std::process::id());
    let mut client = Client::new(&socket);
    open(&socket, &client, "s");
    let second = Daemon::start(engine.clone(), &socket);
    assert!(
        matches!(second, Err(StartError::InUse { .. })),
        "{second:?}"
    );

    block_on(daemon.cut());
    assert_eq!(client.told(), None, "its connection is cut");
    assert!(!socket.exists());
    let daemon = Daemon::start(engine.clone(), &socket).unwrap();
    let found = call(&socket, AtSession(session("s")), &GetSession {});
    assert_eq!(found.owner_pid, None, "who was cut off owns nothing");
    let mut client = Client::new(&socket);
    open(&socket, &client, "s");

    block_on(daemon.stop());
    loop {
        match client.told() {
            Some(ClientEvent::Stopping) => break,
            Some(_) => {}
            None => panic!("it has not said that it stops"),
        }
    }
    run(async { engine.stopped().await }).unwrap();
    assert!(!socket.exists() && fs::exists(bench.state()).unwrap());
}

#[test]
fn who_drops_it_cuts_it() {
    let bench = Bench::new();
    let socket = bench.outputs().join("s.sock");
    fs::set_permissions(
        bench.outputs(),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let engine = Engine::builder(bench.state()).start().unwrap();
    let daemon = Daemon::start(engine.clone(), &socket).unwrap();
    let mut client = Client::new(&socket);
    drop(daemon);
    assert_eq!(client.told(), None, "its connection is cut");
    block_on(engine.shutdown());
}
