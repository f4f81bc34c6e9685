//! The daemon as a process: from its arguments to its exit code.

use std::time::Duration;

use longhaul::{Engine, Error, LaunchRules, default_socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::sleep;

use super::{Daemon, Endpoint, StartError, idle, notify};
use crate::args::DaemonArgs;
use crate::exit::{Exit, Fault};
use crate::run::leave;
use crate::signals::Signals;
use crate::state::StateRoot;

/// Everything has stopped by then; what has not costs no more than a kill.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Serves until a signal, the API, or idleness ends it.
pub(crate) async fn run(args: DaemonArgs) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()
        .map_err(|error| Fault::Other(format!("signals can not be caught: {error}")))?;
    raise_descriptors_max();
    let endpoint = match Endpoint::from_systemd()? {
        Some(handed) => handed,
        None => Endpoint::bind(&args.socket.clone().map_or_else(default_socket, Ok)?)?,
    };
    let engine = start(&args)?;
    let path = endpoint.path().to_path_buf();
    let daemon = Daemon::serve(engine.clone(), endpoint)?;
    tracing::info!(socket = %path.display(), "listening");
    notify::ready();
    let ended = tokio::select! {
        stop = signals.next() => {
            tracing::info!(signal = stop.name(), "stopping");
            Ok(())
        }
        stopped = engine.stopped() => stopped,
        () = idle::idle(&engine, &daemon.control, args.idle_exit) => {
            tracing::info!("nothing is to be done: stopping");
            Ok(())
        }
        () = notify::keep_telling(&engine, &daemon.control) => Ok(()),
    };
    notify::stopping();
    tokio::select! {
        () = daemon.stop() => {}
        // Whoever asks again does not want to wait.
        _ = signals.next() => leave(Exit::OK),
        () = sleep(STOP_MAX) => leave(Exit::OK),
    }
    ended.map(|()| Exit::OK).map_err(Fault::Library)
}

fn start(args: &DaemonArgs) -> Result<Engine, Fault> {
    let state = StateRoot::resolve(args.state_dir.as_deref())?;
    let mut builder = Engine::builder(state.of_daemon()).resume_sessions(true);
    if let Some(threads) = args.worker_threads {
        builder = builder.worker_threads(threads);
    }
    if let Some(tasks) = args.tasks {
        builder = builder.tasks_max(tasks);
    }
    let usual = LaunchRules::default();
    let builder = builder.launch_rules(LaunchRules {
        interval_min: args.launch_interval.unwrap_or(usual.interval_min),
        delay_base: args.launch_delay.unwrap_or(usual.delay_base),
        per_hour_max: args
            .launches_per_hour
            .map_or(usual.per_hour_max, usize::from),
        expiry: args.launch_expiry.unwrap_or(usual.expiry),
        ..usual
    });
    let engine = builder.start().map_err(explain)?;
    engine.set_rate_limit(args.limit_rate)?;
    Ok(engine)
}

/// Another daemon on another socket: the library's words for it would be about a directory.
fn explain(error: Error) -> Fault {
    match error {
        Error::StateInUse {
            path,
            pid: Some(pid),
        } => Fault::Other(format!(
            "process {pid} owns the state in {}; use that one, stop it, or name another directory with --state-dir DIR",
            path.display()
        )),
        other => Fault::Library(other),
    }
}

/// Lets this process have as many descriptors as it may: each transfer and each client needs some.
fn raise_descriptors_max() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of descriptors was not raised");
    }
}

/// How many descriptors this process may have.
pub(super) fn descriptors_max() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

impl From<StartError> for Fault {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Socket(_) => Self::File(error.to_string()),
            StartError::InUse { .. } | StartError::Threads(_) | StartError::Engine(_) => {
                Self::Other(error.to_string())
            }
        }
    }
}
