//! `longhaul show` and `why`: one task, in full.

use longhaul::{Launches, SessionSummary};

use super::{find, look, reach, told};
use crate::args::TaskArgs;
use crate::exit::{Exit, Fault};
use crate::report::entry::{Calls, Entry, TaskEntry};
use crate::report::{Out, Table, amount};
use crate::shell;
use crate::transfer::{Place, Standing};
use crate::words;

/// Shows all that is known of a task.
///
/// # Errors
/// When there is no daemon, or no such task.
pub(crate) async fn show(args: TaskArgs) -> Result<Exit, Fault> {
    let engine = reach(&args.reach).await?;
    let (_, standing) = look(&engine, &args.task).await?;
    engine.shutdown().await;
    let mut out = Out::default();
    if args.reach.json {
        out.json(&Entry::Task(TaskEntry::new(&args.task, &standing)));
        return Ok(Exit::OK);
    }
    let mut table = Table::default();
    let mut row = |what: &str, is: String| table.row(vec![what.to_owned(), is]);
    row("task", args.task.to_string());
    row("session", args.task.session.clone());
    let url = standing.task.url().to_string();
    match standing.task.place() {
        Place::Destination(place) => {
            row("download", url);
            row("to", destination(place));
        }
        Place::Source(path) => {
            row("upload", path.display().to_string());
            row("to", url);
        }
    }
    row("state", told::word(&standing).to_owned());
    row("progress", progress(&standing));
    row(
        "why",
        match &standing.outcome {
            Some(outcome) => told::is_over(outcome),
            None => told::doing(&standing.phase),
        },
    );
    table
        .lines()
        .iter()
        .for_each(|line| out.line(line.as_bytes()));
    Ok(Exit::OK)
}

fn destination(place: &longhaul::Destination) -> String {
    match place {
        longhaul::Destination::File(path) => path.display().to_string(),
        longhaul::Destination::Directory(path) => format!("{}/", path.display()),
    }
}

fn progress(standing: &Standing) -> String {
    let bytes = amount(&standing.progress);
    match (standing.task.place(), standing.progress.acknowledged_bytes) {
        (Place::Source(_), acknowledged @ 1..) => {
            format!("{bytes}, {acknowledged} bytes acknowledged")
        }
        (Place::Source(_) | Place::Destination(_), _) => bytes,
    }
}

/// Says what a task waits for, and how the app of its session is called.
///
/// # Errors
/// As [`show`].
pub(crate) async fn why(args: TaskArgs) -> Result<Exit, Fault> {
    let engine = reach(&args.reach).await?;
    let (session, task) = find(&engine, &args.task).await?;
    let why = task.why().await?;
    let outcome = task.standing().await?.outcome;
    let summary = session.summary().await?;
    drop(session);
    engine.shutdown().await;
    let message = match &outcome {
        Some(outcome) => told::is_over(outcome),
        None => why.to_string(),
    };
    let mut out = Out::default();
    if args.reach.json {
        out.json(&Entry::Why {
            about: (&args.task).into(),
            message,
            calls: Calls::new(&summary),
        });
        return Ok(Exit::OK);
    }
    out.line(format!("{}: {message}", args.task).as_bytes());
    for line in calls(&summary) {
        out.line(line.as_bytes());
    }
    Ok(Exit::OK)
}

/// How the app of a session is called, in lines; none when nothing can call it.
pub(super) fn calls(summary: &SessionSummary) -> Vec<String> {
    let Launches {
        command,
        wanted,
        open_until,
        next_at,
        called_at,
        ..
    } = &summary.launches;
    let session = &summary.identifier;
    // Without one, the app comes by itself or there is none at all, as in the sessions of `get -b`.
    let Some(command) = command else {
        return Vec::new();
    };
    let mut lines = vec![format!(
        "session {session}: its app is called by: {}",
        shell::command(command.argv())
    )];
    if let Some(at) = open_until {
        lines.push(format!(
            "session {session}: its app was called, and is called again when it has not completed that {}",
            told::from_now(*at)
        ));
    }
    if let Some(reason) = wanted {
        let when = next_at.map_or_else(|| "now".to_owned(), told::from_now);
        lines.push(format!(
            "session {session}: its app is to be called ({}), {when}",
            words::launch_reason(*reason)
        ));
    }
    if let Some(last) = called_at.last() {
        lines.push(format!(
            "session {session}: its app was called {} times within the budget, last {}",
            called_at.len(),
            told::from_now(*last)
        ));
    }
    lines
}
