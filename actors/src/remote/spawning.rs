//! Starts a daemon when nobody answers, and finds out why it does not.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use longhaul_engine::control::LAUNCH_VARIABLE;
use tokio::sync::oneshot;

use super::ConnectError;
use crate::file::DaemonLog;
use crate::time::Stopwatch;

/// How long a daemon may take until it answers: its store may have to be repaired first.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long to look on when it has ended: another app may have started one in the same moment, and
/// that one has the place.
const RIVAL_PATIENCE: Duration = Duration::from_secs(3);

/// Which daemon is started when nobody answers.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// The `longhaul` command; a name without a slash is looked up in `PATH`.
    pub program: OsString,
    /// The state directory, absolute; that of the command when there is none.
    pub state_dir: Option<PathBuf>,
}

/// A daemon that was started.
pub(super) struct Spawned {
    program: OsString,
    log: DaemonLog,
    started: Stopwatch,
    ended: oneshot::Receiver<std::io::Result<ExitStatus>>,
    /// When that was noticed, and how it ended.
    end: Option<(Stopwatch, String)>,
}

impl Spawned {
    /// Starts it in a process group of its own, so that a signal to the app's terminal is not for it.
    /// It keeps nothing of the app but the user and the environment, and outlives it.
    ///
    /// # Errors
    /// When there is no such program, or no place for its socket.
    pub(super) fn start(options: &DaemonOptions, socket: &Path) -> Result<Self, ConnectError> {
        let program = options.program.clone();
        let shown = PathBuf::from(&program);
        let failed = |error: &std::io::Error| {
            let shown = shown.display();
            ConnectError::Unreachable(format!(
                "no daemon is running, and {shown} can not be started: {error}"
            ))
        };
        let (log, file) = DaemonLog::open(socket).map_err(|error| failed(&error))?;
        let mut command = Command::new(&program);
        command.arg("daemon").arg("--socket").arg(socket);
        if let Some(state_dir) = &options.state_dir {
            command.arg("--state-dir").arg(state_dir);
        }
        let child = command
            // A daemon is the answer to no launch.
            .env_remove(LAUNCH_VARIABLE)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        let mut child = child.map_err(|error| failed(&error))?;
        let (end, ended) = oneshot::channel();
        // It is waited for to its end, or it would stay in the table of processes.
        let waiting = thread::Builder::new().name("longhaul-spawned".to_owned());
        let wait = move || drop(end.send(child.wait()));
        let waiting = waiting.spawn(wait);
        waiting.map_err(|error| ConnectError::Threads(error.to_string()))?;
        Ok(Self {
            program,
            log,
            started: Stopwatch::start(),
            ended,
            end: None,
        })
    }

    /// Whether it is of use to try again.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn go_on(&mut self) -> Result<(), ConnectError> {
        if let Ok(ended) = self.ended.try_recv() {
            let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            self.end = Some((Stopwatch::start(), how));
        }
        let why = match &self.end {
            Some((since, how)) if since.elapsed() > RIVAL_PATIENCE => format!("ended: {how}"),
            Some(_) => return Ok(()),
            None if self.started.elapsed() > START_PATIENCE => {
                format!("did not answer within {} s", START_PATIENCE.as_secs())
            }
            None => return Ok(()),
        };
        let program = PathBuf::from(&self.program);
        let said = self.log.last_lines();
        let said = if said.is_empty() {
            String::new()
        } else {
            format!("; it said: {said}")
        };
        Err(ConnectError::Unreachable(format!(
            "the daemon that {} was started as {why}{said}",
            program.display()
        )))
    }
}
