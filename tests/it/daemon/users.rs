//! Other users: they can not reach the socket, and when somebody opens it to them they are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::stage::Stage;

/// Asks for the tests that become another user.
const ROOT_VARIABLE: &str = "LONGHAUL_ROOT_TESTS";

/// A user that owns nothing, on every Linux.
const NOBODY: u32 = 65534;

/// What another user gets; curl's own exit code when it does not come through.
fn ask_as_nobody(socket: &Path, path: &str) -> Output {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test becomes another user, which only root may: run it as root"
    );
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--write-out",
            "\n%{http_code}",
            "--unix-socket",
        ])
        .arg(socket)
        .args([
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            "{}",
        ])
        .arg(format!("http://localhost{path}"))
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY);
    command.output().unwrap()
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn another_user_can_neither_reach_nor_drive_the_daemon() {
    if std::env::var_os(ROOT_VARIABLE).is_none() {
        return;
    }
    let stage = Stage::new();
    let daemon = stage.start();
    let refused = ask_as_nobody(&daemon.socket, "/v1/shutdown");
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");

    // As if an administrator had opened every door.
    let directories = daemon.socket.ancestors().skip(1);
    for directory in
        directories.take_while(|path| path.starts_with(stage.bench.outputs().parent().unwrap()))
    {
        open_to_all(directory, 0o755);
    }
    let refused = ask_as_nobody(&daemon.socket, "/v1/shutdown");
    assert_eq!(
        refused.status.code(),
        Some(7),
        "the socket itself is closed: {refused:?}"
    );
    open_to_all(&daemon.socket, 0o666);
    for path in ["/v1/shutdown", "/v1/clients", "/metrics", "/nowhere"] {
        let refused = ask_as_nobody(&daemon.socket, path);
        let text = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert!(
            text.ends_with("\n403") && text.contains("\"code\":\"forbidden\""),
            "{refused:?}"
        );
        assert!(text.contains("another user"), "{text}");
    }
    daemon.is_well();
    assert_eq!(daemon.metric("longhaul_clients"), 0);
    daemon.end(&stage, "TERM").expect(0);
}
