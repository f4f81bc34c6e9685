//! Connecting to an engine in a process of its own.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longhaul_actors::handle::{ConnectError, ConnectOptions, DaemonOptions, EngineHandle};
use longhaul_engine::control::{CALL_PATIENCE, LAUNCH_VARIABLE, SOCKET_VARIABLE};

use super::Engine;
use crate::Error;

/// The command, when it is neither beside the program nor in `PATH`.
const PROGRAM_VARIABLE: &str = "LONGHAUL_PROGRAM";

/// The name of the command.
const PROGRAM: &str = "longhaul";

/// How to connect to a daemon; made by [`Engine::connector`].
#[derive(Clone, Debug)]
#[must_use = "a connector does nothing until it connects"]
pub struct Connector {
    socket: Option<PathBuf>,
    spawns: bool,
    program: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    patience: Duration,
}

impl Engine {
    /// Connects to the daemon of this user, `longhaul daemon`, where transfers go on when this process
    /// ends or is killed. The engine that it gives is used as an embedded one is; what is different:
    ///
    /// - Dropping it, [`Engine::shutdown`] and the death of this process close the connection and
    ///   nothing else: its sessions are free at once, and their transfers go on.
    /// - One owner of a session at a time, in all processes: [`Error::SessionInUse`] names the other.
    /// - Paths of files are of the daemon: it has to be allowed to read and write them.
    /// - [`Engine::set_conditions`] and [`Engine::set_rate_limit`] are for all of the daemon's tasks,
    ///   [`Engine::set_background`] for those that are made with this engine.
    /// - It is answered by a process that may be killed and started again, by a supervisor. Calls wait
    ///   for it, for [`CALL_PATIENCE`] or what [`Connector::patience`] says, and then fail with
    ///   [`Error::Unreachable`]; a call whose answer was lost is asked again, and finds what it had
    ///   made. [Events](crate::Session::events), delegates, and waits for the ends of tasks go on when it
    ///   is back, however long that takes: each fact is heard once, and none is left out. When another
    ///   process has opened a session meanwhile, its handles here answer [`Error::SessionInUse`] from
    ///   then on, and its events end.
    ///
    /// It uses a thread of its own, and works from any executor.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when no daemon runs, at once; [`Error::Daemon`] when it takes no more
    /// clients or speaks another version of the control API; [`Error::Threads`].
    pub async fn connect() -> Result<Self, Error> {
        Self::connector().connect().await
    }

    /// As [`Engine::connect`], and starts a daemon when none answers. It outlives this process. When
    /// two programs start one at the same time, one of them stays and both are connected to it.
    ///
    /// # Errors
    /// As [`Engine::connect`]; [`Error::Unreachable`] says what the daemon has said when it did not
    /// start, or did not answer within 10 s.
    pub async fn connect_or_spawn() -> Result<Self, Error> {
        Self::connector().spawn(true).connect().await
    }

    /// Describes a connection; see [`Engine::connect`].
    pub const fn connector() -> Connector {
        Connector {
            socket: None,
            spawns: false,
            program: None,
            state_dir: None,
            patience: CALL_PATIENCE,
        }
    }
}

impl Connector {
    /// The socket of the daemon; [`default_socket`] without it.
    pub fn socket(mut self, path: impl AsRef<Path>) -> Self {
        self.socket = Some(path.as_ref().to_path_buf());
        self
    }

    /// Whether a daemon is started when none answers; `false` without it.
    pub const fn spawn(mut self, spawn: bool) -> Self {
        self.spawns = spawn;
        self
    }

    /// The `longhaul` command that is started. Without it the environment variable `LONGHAUL_PROGRAM`
    /// names it, or it lies beside the program that runs, or in `PATH`.
    pub fn program(mut self, path: impl AsRef<Path>) -> Self {
        self.program = Some(path.as_ref().to_path_buf());
        self
    }

    /// The state directory of a daemon that is started; the command's own without it. One that runs
    /// already keeps its own.
    pub fn state_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.state_dir = Some(path.as_ref().to_path_buf());
        self
    }

    /// How long a call waits for a daemon that was lost; [`CALL_PATIENCE`] without it.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Connects, and answers when the daemon has.
    ///
    /// # Errors
    /// As [`Engine::connect`] or [`Engine::connect_or_spawn`], and [`Error::Invalid`] when the place of
    /// the socket is not known or a path can not be used.
    pub async fn connect(self) -> Result<Engine, Error> {
        let socket = match self.socket {
            Some(socket) => absolute(&socket)?,
            None => default_socket()?,
        };
        let state_dir = self.state_dir.as_deref().map(absolute).transpose()?;
        let daemon = self.spawns.then(|| DaemonOptions {
            program: self.program.map_or_else(default_program, program),
            state_dir,
        });
        let options = ConnectOptions {
            socket,
            patience: self.patience,
            launch: env::var(LAUNCH_VARIABLE).ok(),
            daemon,
        };
        Ok(Engine {
            handle: EngineHandle::connect(options).await?,
        })
    }
}

/// Where the daemon of this user listens: the environment variable `LONGHAUL_SOCKET`, else
/// `$XDG_RUNTIME_DIR/longhaul/control.sock`, else `$XDG_STATE_HOME/longhaul/run/control.sock`, which is
/// in `~/.local/state` when that is not set (XDG Base Directory Specification: a relative path in its
/// variables counts as none).
///
/// # Errors
/// [`Error::Invalid`] when none of the variables is set, nor `HOME`.
pub fn default_socket() -> Result<PathBuf, Error> {
    socket_in(|name| env::var_os(name))
}

fn socket_in(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    let given = variable(SOCKET_VARIABLE).filter(|path| !path.is_empty());
    if let Some(path) = given {
        return absolute(Path::new(&path));
    }
    let directory = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(runtime) = directory("XDG_RUNTIME_DIR") {
        return Ok(runtime.join("longhaul/control.sock"));
    }
    let state = directory("XDG_STATE_HOME");
    let state = state.or_else(|| directory("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| {
        Error::Invalid(format!(
            "the place of the daemon's socket is not known; set {SOCKET_VARIABLE} or HOME"
        ))
    })?;
    Ok(state.join("longhaul/run/control.sock"))
}

/// The command as it is found without a word of the caller.
fn default_program() -> OsString {
    let named = env::var_os(PROGRAM_VARIABLE).filter(|name| !name.is_empty());
    named.map(|name| program(name.into())).unwrap_or_else(|| {
        let running = env::current_exe().ok();
        let beside = running.and_then(|running| Some(running.parent()?.join(PROGRAM)));
        let beside = beside.filter(|program| program.is_file());
        beside.map_or_else(|| PROGRAM.into(), PathBuf::into_os_string)
    })
}

/// A name is looked up in `PATH`; a daemon does not run in the directory of this process.
fn program(path: PathBuf) -> OsString {
    let is_name = path.components().count() == 1;
    let absolute = std::path::absolute(&path).ok().filter(|_| !is_name);
    absolute.unwrap_or(path).into_os_string()
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| {
        Error::Invalid(format!(
            "\"{}\" is no usable path: {error}; give another one",
            path.display()
        ))
    })
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable(text) => Self::Unreachable(text),
            ConnectError::OtherVersion(text) | ConnectError::Refused(text) => Self::Daemon(text),
            ConnectError::Threads(text) => Self::Threads(text),
            other => Self::Daemon(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables, and the socket that they name.
    type Case = (
        &'static [(&'static str, &'static str)],
        Option<&'static str>,
    );

    #[test]
    fn the_socket_is_where_the_environment_says() {
        let cases: [Case; 9] = [
            (
                &[("LONGHAUL_SOCKET", "/a/b"), ("XDG_RUNTIME_DIR", "/run/1")],
                Some("/a/b"),
            ),
            (
                &[("LONGHAUL_SOCKET", ""), ("XDG_RUNTIME_DIR", "/run/1")],
                Some("/run/1/longhaul/control.sock"),
            ),
            (
                &[
                    ("XDG_RUNTIME_DIR", "/run/1"),
                    ("XDG_STATE_HOME", "/state"),
                    ("HOME", "/home/a"),
                ],
                Some("/run/1/longhaul/control.sock"),
            ),
            (
                &[
                    ("XDG_RUNTIME_DIR", "relative"),
                    ("XDG_STATE_HOME", "/state"),
                ],
                Some("/state/longhaul/run/control.sock"),
            ),
            (
                &[("XDG_STATE_HOME", "/state"), ("HOME", "/home/a")],
                Some("/state/longhaul/run/control.sock"),
            ),
            (
                &[("XDG_STATE_HOME", ""), ("HOME", "/home/a")],
                Some("/home/a/.local/state/longhaul/run/control.sock"),
            ),
            (
                &[("HOME", "/home/a")],
                Some("/home/a/.local/state/longhaul/run/control.sock"),
            ),
            (&[("HOME", "relative")], None),
            (&[], None),
        ];
        for (variables, expected) in cases {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            assert_eq!(
                socket_in(variable).ok(),
                expected.map(PathBuf::from),
                "{variables:?}"
            );
        }
    }
}
