//! One daemon on a socket, whatever was left behind, and one on a state directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use longhaul_engine::control::{AtRoot, GetEngine};

use super::http::call;
use super::stage::Stage;
use crate::bench::text;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_second_daemon_names_the_process_of_the_first_which_goes_on() {
    let stage = Stage::new();
    let first = stage.start();
    let pid = first.process.id();
    let ended = stage.run(&[]);
    ended.expect(1).says(&format!("process {pid}"));
    ended.says("--socket PATH");
    assert_eq!(call(&first.socket, AtRoot, &GetEngine {}).pid, pid);

    let elsewhere = stage.bench.outputs().join("other/control.sock");
    let ended = stage.run(&["--socket", text(&elsewhere)]);
    ended
        .expect(1)
        .says(&format!("process {pid} owns the state"));
    ended.says("--state-dir DIR");
    assert!(!elsewhere.exists(), "what could not start leaves no socket");

    first.end(&stage, "TERM").expect(0);
    assert!(!stage.socket().exists());
    stage.start().is_well();
}

#[test]
fn what_it_makes_is_for_its_user_alone() {
    let stage = Stage::new();
    let daemon = stage.start();
    assert_eq!(mode(daemon.socket.parent().unwrap()), 0o700);
    assert_eq!(mode(&daemon.socket), 0o600);
    assert_eq!(mode(&daemon.socket.with_extension("sock.lock")), 0o600);
    assert_eq!(mode(&stage.bench.state().join("daemon")), 0o700);
}

#[test]
fn the_socket_of_a_killed_daemon_is_replaced() {
    let stage = Stage::new();
    let mut first = stage.start();
    first.process.kill().unwrap();
    assert!(stage.socket().exists());
    stage.start().is_well();
}

#[test]
fn what_others_listen_on_is_left_to_them() {
    let stage = Stage::new();
    fs::create_dir(stage.bench.outputs().join("run")).unwrap();
    fs::set_permissions(
        stage.bench.outputs().join("run"),
        Permissions::from_mode(0o700),
    )
    .unwrap();
    let other = UnixListener::bind(stage.socket()).unwrap();
    stage.run(&[]).expect(3).says("another program listens");
    drop(other);
    fs::remove_file(stage.socket()).unwrap();
    fs::write(stage.socket(), "a file").unwrap();
    stage.run(&[]).expect(3).says("is no socket");
    assert_eq!(fs::read(stage.socket()).unwrap(), b"a file");
}

#[test]
fn a_directory_that_is_open_to_others_is_refused() {
    let stage = Stage::new();
    let directory = stage.bench.outputs().join("run");
    fs::create_dir(&directory).unwrap();
    for open in [0o755, 0o710, 0o701] {
        fs::set_permissions(&directory, Permissions::from_mode(open)).unwrap();
        let ended = stage.run(&[]);
        ended.expect(3).says("open to others");
        ended.says("chmod 700");
    }
    assert!(!stage.socket().exists());
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    stage.start().is_well();
}

#[test]
fn without_a_name_the_socket_is_in_the_runtime_directory() {
    let stage = Stage::new();
    let runtime = stage.bench.outputs().join("xdg");
    fs::create_dir(&runtime).unwrap();
    let mut command = stage.daemon(&[]);
    command
        .env_remove("LONGHAUL_SOCKET")
        .env("XDG_RUNTIME_DIR", &runtime);
    let mut running = stage.launch(command);
    running.socket = runtime.join("longhaul/control.sock");
    running.is_well();

    let stage = Stage::new();
    let mut command = stage.daemon(&[]);
    command
        .env_remove("LONGHAUL_SOCKET")
        .env_remove("XDG_RUNTIME_DIR");
    let mut running = stage.launch(command);
    let home = stage.bench.outputs().parent().unwrap().to_owned();
    running.socket = home.join(".local/state/longhaul/run/control.sock");
    running.is_well();
}
