//! `longhaul pause`, `resume`, `cancel` and `limit`: what is wanted of tasks.

use std::path::Path;

use longhaul::{Engine, Error};

use super::resume_data::Keep;
use super::{find, reach, told};
use crate::address::TaskName;
use crate::args::{CancelArgs, LimitArgs, Rate, TasksArgs};
use crate::exit::{Exit, Fault};
use crate::report::complain;
use crate::transfer::Transfer;

/// Lets tasks rest with what they have. Answers when the wishes are on record.
///
/// # Errors
/// When there is no daemon, or no such task: then those that were named after it are left as they are.
pub(crate) async fn pause(args: TasksArgs) -> Result<Exit, Fault> {
    let engine = reach(&args.reach).await?;
    for name in &args.tasks {
        let (_, task) = find(&engine, name).await?;
        task.suspend().await?;
        tell_when_over(name, &task).await?;
    }
    engine.shutdown().await;
    Ok(Exit::OK)
}

/// Lets tasks go on.
///
/// # Errors
/// As [`pause`].
pub(crate) async fn resume(args: TasksArgs) -> Result<Exit, Fault> {
    let engine = reach(&args.reach).await?;
    for name in &args.tasks {
        let (_, task) = find(&engine, name).await?;
        task.resume().await?;
        tell_when_over(name, &task).await?;
    }
    engine.shutdown().await;
    Ok(Exit::OK)
}

/// Ends tasks, and waits until they have ended.
///
/// # Errors
/// As [`pause`], and when the file for resume data exists or can not be written.
pub(crate) async fn cancel(args: CancelArgs) -> Result<Exit, Fault> {
    if let Some(path) = &args.resume_data {
        let [name] = args.tasks.as_slice() else {
            return Err(Fault::Usage(
                "--resume-data is of one task, but several are named; cancel one after the other"
                    .to_owned(),
            ));
        };
        let engine = reach(&args.reach).await?;
        let exit = cancel_for_resume_data(&engine, name, path).await?;
        engine.shutdown().await;
        return Ok(exit);
    }
    let engine = reach(&args.reach).await?;
    for name in &args.tasks {
        let (_, task) = find(&engine, name).await?;
        let outcome = task.cancel().await?;
        if !matches!(outcome, longhaul::Outcome::Cancelled) {
            complain(&format!(
                "task {name} had ended before: {}",
                told::ended(&outcome)
            ));
        }
    }
    engine.shutdown().await;
    Ok(Exit::OK)
}

async fn cancel_for_resume_data(
    engine: &Engine,
    name: &TaskName,
    path: &Path,
) -> Result<Exit, Fault> {
    let (_, task) = find(engine, name).await?;
    // Before the task is ended: one whose resume data can not be kept goes on.
    let file = Keep::at(path)?;
    let data = match task.cancel_for_resume_data().await {
        Ok(data) => data,
        Err(error) => {
            file.give_up();
            return Err(error.into());
        }
    };
    let Some(data) = data else {
        file.give_up();
        let outcome = task.finished().await?;
        return Err(Fault::Other(format!(
            "task {name} has left nothing to go on with ({}); start it again with get or put",
            told::ended(&outcome)
        )));
    };
    file.write(&data)?;
    Ok(Exit::OK)
}

/// Limits a task, a session, or all tasks together.
///
/// # Errors
/// As [`pause`].
pub(crate) async fn limit(args: LimitArgs) -> Result<Exit, Fault> {
    let Rate(rate) = args.rate;
    let engine = reach(&args.reach).await?;
    match (&args.task, &args.session) {
        (Some(name), _) => {
            let (_, task) = find(&engine, name).await?;
            task.set_rate_limit(rate).await?;
            tell_when_over(name, &task).await?;
        }
        (None, Some(session)) => engine.observe(session).await?.set_rate_limit(rate).await?,
        (None, None) => {
            engine.set_rate_limit(rate)?;
            // The order is kept: when this is answered, that has arrived.
            engine.sessions().await?;
        }
    }
    engine.shutdown().await;
    Ok(Exit::OK)
}

/// A wish changes nothing for a task that has ended, which somebody who has it may want to know.
async fn tell_when_over(name: &TaskName, task: &Transfer) -> Result<(), Error> {
    if let Some(outcome) = task.standing().await?.outcome {
        complain(&format!(
            "task {name} has ended already: {}",
            told::ended(&outcome)
        ));
    }
    Ok(())
}
