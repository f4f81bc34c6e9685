//! Under systemd: a socket that is handed over, what is told back, and the units that are shipped.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::time::{Duration, Instant};

use longhaul_engine::control::{AtRoot, GetEngine};

use super::http::{Client, call};
use super::stage::{Stage, open};
use crate::bench::{PATIENCE, text};

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/systemd");

/// Reads what the daemon tells until a message has this text.
fn hear(notified: &UnixDatagram, what: &str) -> String {
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut message = [0; 1024];
    loop {
        let length = notified.recv(&mut message).unwrap();
        let said = String::from_utf8_lossy(&message[..length]).into_owned();
        if said.contains(what) {
            return said;
        }
    }
}

#[test]
fn a_socket_that_is_handed_over_is_used_and_left_there() {
    let stage = Stage::new();
    let socket = stage.socket();
    fs::create_dir(socket.parent().unwrap()).unwrap();
    // As systemd makes it, by DirectoryMode=.
    let closed = fs::Permissions::from_mode(0o700);
    fs::set_permissions(socket.parent().unwrap(), closed).unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(&socket);
    for name in ["HOME", "LONGHAUL_STATE_DIR"] {
        command.arg(format!("--setenv={name}"));
    }
    command.args([
        env!("CARGO_BIN_EXE_longhaul"),
        "daemon",
        "--socket",
        "/nowhere/else.sock",
    ]);
    stage.confine(&mut command);
    let mut process = stage.bench.start(command);
    let began = Instant::now();
    while UnixStream::connect(&socket).is_err() {
        assert!(
            began.elapsed() < PATIENCE && process.wait(Duration::ZERO).unwrap().is_none(),
            "install systemd: {}",
            process.stderr().unwrap()
        );
    }
    // The first who connects starts it.
    assert_eq!(call(&socket, AtRoot, &GetEngine {}).pid, process.id());
    let second = stage.run(&[]);
    second.expect(1).says(&format!("process {}", process.id()));
    process.signal("TERM").unwrap();
    stage.bench.finish(process).expect(0);
    assert!(socket.exists(), "who made it removes it");
}

#[test]
fn systemd_is_told_the_status_that_it_lives_and_that_it_stops() {
    let stage = Stage::new();
    let path = stage.bench.outputs().join("told");
    let notified = UnixDatagram::bind(&path).unwrap();
    let mut command = stage.daemon(&[]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000");
    let process = stage.bench.start(command);
    hear(&notified, "READY=1");
    hear(&notified, "WATCHDOG=1");
    let client = Client::new(&stage.socket());
    open(&stage.socket(), &client, "s");
    hear(&notified, "STATUS=0 tasks in 1 sessions, 1 clients");
    process.signal("TERM").unwrap();
    hear(&notified, "STOPPING=1");
    stage.bench.finish(process).expect(0);
}

#[test]
fn the_units_are_understood_by_systemd() {
    let stage = Stage::new();
    let home = stage.bench.outputs();
    // Where the units look for the program is not looked at by every version: it gets the whole path.
    let program = format!("ExecStart={} daemon", env!("CARGO_BIN_EXE_longhaul"));
    let units = ["longhaul.socket", "longhaul.service"].map(|name| {
        let unit = fs::read_to_string(format!("{UNITS}/{name}")).unwrap();
        let path = home.join(name);
        fs::write(&path, unit.replace("ExecStart=longhaul daemon", &program)).unwrap();
        path
    });
    assert!(fs::read_to_string(&units[1]).unwrap().contains(&program));
    let runtime = home.join("run");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["--user", "verify", "--man=no"])
        .args(&units)
        .env("HOME", text(&home))
        .env("XDG_RUNTIME_DIR", &runtime)
        .output();
    let output = output.unwrap_or_else(|error| panic!("install systemd: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("longhaul"),
        "{said}"
    );
}
