//! `longhaul sessions`: who owns what, and whose app is called when.

use super::look::calls;
use super::reach;
use crate::args::SessionsArgs;
use crate::exit::{Exit, Fault};
use crate::report::entry::{Entry, SessionEntry};
use crate::report::{Out, Table};
use crate::words;

/// Lists the sessions.
///
/// # Errors
/// When there is no daemon.
pub(crate) async fn sessions(args: SessionsArgs) -> Result<Exit, Fault> {
    let engine = reach(&args.reach).await?;
    let sessions = engine.sessions().await?;
    engine.shutdown().await;
    let mut out = Out::default();
    if args.reach.json {
        for summary in &sessions {
            out.json(&Entry::Session(SessionEntry::new(summary)));
        }
        return Ok(Exit::OK);
    }
    if sessions.is_empty() {
        return Ok(Exit::OK);
    }
    let mut table = Table::new(&["SESSION", "STATE", "LIVE", "ENDED", "OWNER"]);
    for summary in &sessions {
        let owner = match (summary.owner_pid, summary.is_attended) {
            (Some(pid), true) => format!("process {pid}"),
            (Some(pid), false) => format!("process {pid}, which does not listen"),
            (None, _) => "-".to_owned(),
        };
        table.row(vec![
            summary.identifier.clone(),
            words::session(summary.state).to_owned(),
            summary.live_tasks.to_string(),
            summary.ended_tasks.to_string(),
            owner,
        ]);
    }
    let notes = sessions.iter().flat_map(calls);
    for line in table.lines().into_iter().chain(notes) {
        out.line(line.as_bytes());
    }
    Ok(Exit::OK)
}
