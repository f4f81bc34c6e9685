//! Calls apps that are away: runs the launch commands of their sessions.

use std::ffi::{OsStr, OsString};
use std::process::Stdio;

use longhaul::control::api::{LAUNCH_VARIABLE, SESSION_VARIABLE, SOCKET_VARIABLE};
use longhaul::control::{Control, Launch};
use tokio::process::Command;
use tracing::Instrument as _;

use super::metrics::{LaunchResult, Metrics};

/// What a launched app has of the daemon's environment, beside every `LC_*`: enough to find its home,
/// its programs, its language and its screen. Everything else is the session's own.
const INHERITED: [&str; 8] = [
    "HOME",
    "PATH",
    "USER",
    "LANG",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
];

/// Runs the launch command of each session whose app is called, until the engine has stopped.
///
/// An app that could not be started, or that does not complete its refresh task, is called again
/// within the budget of its session.
pub(super) async fn launch_all(control: Control, socket: OsString, metrics: Metrics) {
    while let Some(launch) = control.next_launch().await {
        let span = tracing::info_span!("launch", session = %launch.session);
        let result = span.in_scope(|| start(&launch, &socket, &span));
        metrics.launched(result);
    }
}

fn start(launch: &Launch, socket: &OsStr, span: &tracing::Span) -> LaunchResult {
    let inherited = std::env::vars_os().filter(|(name, _)| is_inherited(name));
    let program = launch.command.argv().first().map_or("", String::as_str);
    match command(launch, socket, inherited).spawn() {
        Ok(mut app) => {
            tracing::info!(program, pid = app.id(), "the app was started");
            let ended = async move {
                match app.wait().await {
                    Ok(status) => tracing::info!(%status, "the app has ended"),
                    Err(error) => tracing::warn!(%error, "the end of the app is not known"),
                }
            };
            actix_web::rt::spawn(ended.instrument(span.clone()));
            LaunchResult::Started
        }
        Err(error) => {
            let cwd = launch.command.directory();
            tracing::warn!(
                program,
                cwd = %cwd.display(),
                %error,
                "the app could not be started: see that the program and its directory are there, and open the session with a launch command that is right; it is tried again within its budget"
            );
            LaunchResult::Failed
        }
    }
}

/// The command: in a process group of its own, so that what stops the daemon does not stop it.
fn command(
    launch: &Launch,
    socket: &OsStr,
    inherited: impl Iterator<Item = (OsString, OsString)>,
) -> Command {
    let (program, arguments) = launch
        .command
        .argv()
        .split_first()
        .expect("a launch command has a program");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(launch.command.directory())
        .env_clear()
        .envs(inherited)
        .envs(
            launch
                .command
                .variables()
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .env(SOCKET_VARIABLE, socket)
        .env(SESSION_VARIABLE, launch.session.as_str())
        .env(LAUNCH_VARIABLE, &launch.token)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

fn is_inherited(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    INHERITED.contains(&name) || name.starts_with("LC_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_inherits_a_named_few_variables() {
        let table = [
            ("HOME", true),
            ("PATH", true),
            ("LC_ALL", true),
            ("WAYLAND_DISPLAY", true),
            ("LONGHAUL_SOCKET", false),
            ("NOTIFY_SOCKET", false),
            ("LISTEN_FDS", false),
            ("SSH_AUTH_SOCK", false),
            ("LD_PRELOAD", false),
            ("AWS_SECRET_ACCESS_KEY", false),
        ];
        for (name, is_taken) in table {
            assert_eq!(is_inherited(OsStr::new(name)), is_taken, "{name}");
        }
    }
}
