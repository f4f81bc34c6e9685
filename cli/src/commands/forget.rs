//! `longhaul forget`: acknowledging the ends of tasks, so that they are listed no more.

use std::collections::{BTreeMap, BTreeSet};

use longhaul::{Engine, Fact, NumberedFact, Sequence, Session, TaskId};

use super::reach;
use crate::address::{DEFAULT_SESSION, TaskName};
use crate::args::ForgetArgs;
use crate::exit::{Exit, Fault};
use crate::facts::{Quiet, next_fact};
use crate::report::Out;
use crate::report::entry::Entry;
use crate::transfer::Standing;

/// Acknowledges ends. They are acknowledged in the order in which they came: what has ended before the
/// last of them must be named too.
///
/// # Errors
/// When there is no daemon, no such task, one that has not ended, or an app that should hear of it.
pub(crate) async fn forget(args: ForgetArgs) -> Result<Exit, Fault> {
    let mut wanted: BTreeMap<String, Option<BTreeSet<TaskId>>> = BTreeMap::new();
    if args.ended {
        let session = args.session.as_deref().unwrap_or(DEFAULT_SESSION);
        wanted.insert(session.to_owned(), None);
    }
    for TaskName { session, task } in args.tasks {
        let tasks = wanted
            .entry(session)
            .or_insert_with(|| Some(BTreeSet::new()));
        if let Some(tasks) = tasks {
            tasks.insert(task);
        }
    }
    let engine = reach(&args.reach).await?;
    let mut out = Out::default();
    for (identifier, tasks) in wanted {
        let session = open(&engine, &identifier, args.force).await?;
        let forgotten = forget_in(&session, tasks).await?;
        if let Some((up_to, tasks)) = forgotten.filter(|_| args.reach.json) {
            out.json(&Entry::Forgotten {
                session: &identifier,
                up_to: up_to.get(),
                tasks: tasks.into_iter().map(TaskId::get).collect(),
            });
        }
    }
    engine.shutdown().await;
    Ok(Exit::OK)
}

/// A session whose ends no app waits for.
async fn open(engine: &Engine, identifier: &str, is_forced: bool) -> Result<Session, Fault> {
    let session = engine.observe(identifier).await?;
    let summary = session.summary().await?;
    let whose = match summary.owner_pid {
        _ if is_forced => return Ok(session),
        Some(pid) => format!("process {pid} owns the session \"{identifier}\""),
        None if summary.launches.command.is_some() => {
            format!("an app is called for the session \"{identifier}\"")
        }
        None => return Ok(session),
    };
    Err(Fault::Other(format!(
        "{whose} and is to hear of these ends; leave them to it, or say --force"
    )))
}

/// Acknowledges the ends of these tasks, or of all that have ended.
async fn forget_in(
    session: &Session,
    tasks: Option<BTreeSet<TaskId>>,
) -> Result<Option<(Sequence, BTreeSet<TaskId>)>, Fault> {
    let ended = ended(session, tasks.as_ref()).await?;
    let tasks = tasks.unwrap_or(ended);
    if tasks.is_empty() {
        return Ok(None);
    }
    let mut events = session.events().await?;
    let (mut open, mut others, mut last) = (tasks.clone(), Vec::new(), None);
    while !open.is_empty() {
        match next_fact(&mut events).await {
            Ok(Some(NumberedFact {
                sequence,
                fact: Fact::Completed { task, .. },
            })) => {
                if open.remove(&task) {
                    last = Some(sequence);
                } else {
                    others.push(task);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return Err(longhaul::Error::Stopped { reason: None }.into()),
            // Another command may have acknowledged them in this moment: then they never come.
            Err(Quiet) => {
                let there = all(session).await?;
                open.retain(|task| there.contains_key(task));
            }
        }
    }
    if let Some(other) = others.first() {
        let name = TaskName::new(session.identifier(), *other);
        return Err(Fault::Usage(format!(
            "task {name} has ended before them, and ends are forgotten in their order; name it too, or \
             forget all with --ended"
        )));
    }
    if let Some(up_to) = last {
        session.acknowledge(up_to).await?;
    }
    Ok(last.map(|up_to| (up_to, tasks)))
}

/// The tasks of a session that have ended, after those that were named are found to be among them.
async fn ended(
    session: &Session,
    named: Option<&BTreeSet<TaskId>>,
) -> Result<BTreeSet<TaskId>, Fault> {
    let all = all(session).await?;
    for task in named.into_iter().flatten() {
        let name = TaskName::new(session.identifier(), *task);
        match all.get(task) {
            Some(true) => {}
            Some(false) => {
                return Err(Fault::Usage(format!(
                    "task {name} has not ended; end it with `longhaul cancel {name}` first"
                )));
            }
            None => return Err(Fault::NoSuchTask(name.to_string())),
        }
    }
    let ended = all.into_iter().filter(|(_, has_ended)| *has_ended);
    Ok(ended.map(|(task, _)| task).collect())
}

/// The tasks of a session, and whether each has ended.
pub(super) async fn all(session: &Session) -> Result<BTreeMap<TaskId, bool>, Fault> {
    let standings = Standing::all(session).await?;
    let state = |it: Standing| (it.task.id(), it.outcome.is_some());
    Ok(standings.into_iter().map(state).collect())
}
