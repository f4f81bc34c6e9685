//! The commands that speak to the daemon: what each asks it, and what it tells.

mod background;
mod control;
mod doctor;
mod events;
mod forget;
mod list;
mod look;
mod manual;
mod resume_data;
mod sessions;
mod told;
mod wait;
mod watch;

use std::time::Duration;

use longhaul::{AnyTask, Connector, Engine, Error, Session, SessionConfiguration};
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use background::{download, upload};
pub(crate) use control::{cancel, limit, pause, resume};
pub(crate) use doctor::doctor;
pub(crate) use events::events;
pub(crate) use forget::forget;
pub(crate) use list::list;
pub(crate) use look::{show, why};
pub(crate) use manual::{completions, man};
pub(crate) use resume_data::{resume_download, resume_upload};
pub(crate) use sessions::sessions;
pub(crate) use wait::wait;
pub(crate) use watch::watch;

use crate::address::TaskName;
use crate::args::ReachArgs;
use crate::exit::Fault;
use crate::transfer::{Standing, Transfer};

/// A daemon that is lost in the middle of a command, because its supervisor starts it again, is waited for
/// so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a command that only listens asks whether the daemon is still there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Times that a session is looked for and opened: each time another command has opened it, or it has
/// ended, between the two.
const OPEN_TRIES_MAX: u32 = 16;

/// The daemon, which has to run.
async fn reach(args: &ReachArgs) -> Result<Engine, Fault> {
    Ok(connector(args).connect().await?)
}

/// The daemon, which is started when none runs.
async fn reach_or_start(args: &ReachArgs) -> Result<Engine, Fault> {
    Ok(connector(args).spawn(true).connect().await?)
}

/// Ends when the daemon was away for longer than [`PATIENCE`]. What is only listened to is renewed when a
/// daemon comes back, and would wait for one for ever.
async fn lost(engine: &Engine) -> Fault {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Err(error) = engine.sessions().await {
            return error.into();
        }
    }
}

fn connector(args: &ReachArgs) -> Connector {
    let mut connector = Engine::connector().patience(PATIENCE);
    if let Some(path) = &args.socket {
        connector = connector.socket(path);
    }
    if let Some(path) = &args.state_dir {
        connector = connector.state_dir(path);
    }
    connector
}

/// The session of this configuration: one that is there is only looked on, whoever owns it; else it is
/// made, and is free again when its handle is dropped. `of_session` are the options that a session which
/// is there can not take over any more.
async fn session_for(
    engine: &Engine,
    configuration: SessionConfiguration,
    of_session: &[&str],
) -> Result<Session, Fault> {
    let identifier = configuration.identifier().to_owned();
    for _ in 0..OPEN_TRIES_MAX {
        match engine.observe(&identifier).await {
            Ok(session) => {
                if of_session.is_empty() {
                    return Ok(session);
                }
                return Err(Fault::Usage(format!(
                    "the session \"{identifier}\" is there already, and its tasks share its options; \
                     leave out {}, or name another session with --session",
                    of_session.join(", ")
                )));
            }
            Err(Error::NoSuchSession { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match engine.session(configuration.clone()).await {
            Ok(session) => return Ok(session),
            // Another command has made it in this moment.
            Err(Error::SessionInUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fault::Other(format!(
        "the session \"{identifier}\" is opened and closed by others all the time; try again"
    )))
}

/// A task of the daemon.
async fn find(engine: &Engine, name: &TaskName) -> Result<(Session, Transfer), Fault> {
    let session = engine.observe(&name.session).await?;
    let task = session.find_task(name.task).await;
    let task = task.map_err(|error| match error {
        Error::NoSuchTask(_) => Fault::NoSuchTask(name.to_string()),
        other => other.into(),
    });
    let task = match task? {
        AnyTask::Download(task) => Transfer::Download(task),
        AnyTask::Upload(task) => Transfer::Upload(task),
        // The enum may grow.
        other => {
            let text = format!(
                "task {} is of a kind that this command does not know",
                other.id()
            );
            return Err(Fault::Other(text));
        }
    };
    Ok((session, task))
}

/// A task of the daemon, as it is now.
async fn look(engine: &Engine, name: &TaskName) -> Result<(Session, Standing), Fault> {
    let (session, task) = find(engine, name).await?;
    let standing = task.standing().await?;
    Ok((session, standing))
}
