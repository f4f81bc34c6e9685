//! `longhaul list`: the daemon's tasks, and what was interrupted in the foreground.

use longhaul::{Engine, Error, check_state};

use super::{reach, told};
use crate::address::TaskName;
use crate::args::{ListArgs, ReachArgs};
use crate::exit::{Exit, Fault};
use crate::interrupted::{Interrupted, interrupted};
use crate::report::entry::{Entry, TaskEntry};
use crate::report::{Out, Table, amount, complain, name};
use crate::state::StateRoot;
use crate::transfer::{Standing, Transfer};

/// Lists what there is.
///
/// # Errors
/// When the daemon fails; that there is none is told, and no error.
pub(crate) async fn list(args: ListArgs) -> Result<Exit, Fault> {
    let mut out = Out::default();
    match reach(&args.reach).await {
        Ok(engine) => {
            let tasks = tasks(&engine, args.session.as_deref()).await?;
            engine.shutdown().await;
            match args.reach.json {
                true => tasks.iter().for_each(|(name, standing)| {
                    out.json(&Entry::Task(TaskEntry::new(name, standing)));
                }),
                false => table(&tasks, &mut out),
            }
        }
        Err(Fault::Library(Error::Unreachable(_))) if args.session.is_none() => {
            let live_tasks = waiting(&args.reach)?;
            let wait = match live_tasks {
                0 => String::new(),
                1 => ", and one transfer waits for it".to_owned(),
                more => format!(", and {more} transfers wait for it"),
            };
            let message = &format!(
                "no daemon runs{wait}; `longhaul daemon`, or any transfer with -b, starts one"
            );
            match args.reach.json {
                true => out.json(&Entry::NoDaemon {
                    message,
                    live_tasks,
                }),
                false => complain(message),
            }
        }
        Err(fault) => return Err(fault),
    }
    if args.session.is_none() {
        let root = StateRoot::resolve(args.reach.state_dir.as_deref())?;
        for found in interrupted(&root) {
            match args.reach.json {
                true => out.json(&found.entry()),
                false => tell(&found, &mut out),
            }
        }
    }
    Ok(Exit::OK)
}

/// The transfers that have not ended and that a daemon would go on with; none when its state can not be
/// looked at, which `longhaul doctor` tells more about.
fn waiting(reach: &ReachArgs) -> Result<u64, Fault> {
    let state = StateRoot::resolve(reach.state_dir.as_deref())?.of_daemon();
    Ok(check_state(state).map_or(0, |report| report.live_tasks))
}

async fn tasks(engine: &Engine, session: Option<&str>) -> Result<Vec<(TaskName, Standing)>, Fault> {
    let sessions = match session {
        Some(session) => vec![session.to_owned()],
        None => {
            let sessions = engine.sessions().await?;
            sessions.into_iter().map(|it| it.identifier).collect()
        }
    };
    let mut tasks = Vec::new();
    for identifier in &sessions {
        let standings = match engine.observe(identifier).await {
            Ok(handle) => Standing::all(&handle).await,
            Err(error) => Err(error),
        };
        match standings {
            Ok(standings) => tasks.extend(
                standings
                    .into_iter()
                    .map(|standing| (TaskName::new(identifier, standing.task.id()), standing)),
            ),
            // It has ended since the sessions were listed.
            Err(Error::NoSuchSession { .. } | Error::Invalidated { .. }) if session.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tasks)
}

fn table(tasks: &[(TaskName, Standing)], out: &mut Out) {
    if tasks.is_empty() {
        return;
    }
    let mut table = Table::new(&["TASK", "STATE", "DONE", "NAME"]);
    for (task, standing) in tasks {
        table.row(vec![
            task.to_string(),
            told::word(standing).to_owned(),
            amount(&standing.progress),
            file(&standing.task),
        ]);
    }
    for line in table.lines() {
        out.line(line.as_bytes());
    }
}

/// The name of a task's file, and whether it goes up.
fn file(task: &Transfer) -> String {
    let name = name(task.url(), task.place());
    match task {
        Transfer::Download(_) => name,
        Transfer::Upload(_) => format!("{name} (upload)"),
    }
}

fn tell(found: &Interrupted, out: &mut Out) {
    for line in found.lines() {
        out.line(line.as_bytes());
    }
}
