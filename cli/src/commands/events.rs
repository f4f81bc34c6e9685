//! `longhaul events`: what has happened in a session, and what happens.

use std::collections::{HashMap, HashSet};

use longhaul::{Event, Events, Fact, NumberedFact, Sequence, Session, TaskId};

use super::forget::all;
use super::{lost, reach, told};
use crate::address::DEFAULT_SESSION;
use crate::args::EventsArgs;
use crate::exit::{Exit, Fault};
use crate::facts::{Quiet, next_fact};
use crate::report::{Out, complain};
use crate::transfer::{Kind, Standing};

/// Prints the facts that were not acknowledged, and with `--follow` all that happens from then on.
///
/// # Errors
/// When there is no daemon, or no such session.
pub(crate) async fn events(args: EventsArgs) -> Result<Exit, Fault> {
    let engine = reach(&args.reach).await?;
    let identifier = args.session.as_deref().unwrap_or(DEFAULT_SESSION);
    let session = engine.observe(identifier).await?;
    let mut kinds = Kinds::default();
    let mut untold = kinds.learn(&session).await?;
    if args.after.is_some() {
        // Which of them are before that number, nobody says.
        untold.clear();
    }
    let after = args.after.unwrap_or(Sequence::new(0));
    let mut events = session.events_after(after).await?;
    let mut out = Out::default();
    let mut gone = std::pin::pin!(lost(&engine));
    while !out.is_closed() {
        let next = async {
            match args.follow {
                true => Ok(events.next().await),
                false => on_record(&session, &mut events, &mut untold).await,
            }
        };
        let next = tokio::select! {
            biased;
            next = next => next,
            fault = &mut gone => return Err(fault),
        };
        let Some(event) = next? else { break };
        if let Event::Fact(NumberedFact {
            fact: Fact::Completed { task, .. },
            ..
        }) = &event
        {
            untold.remove(task);
        }
        if args.reach.json {
            let kind = kinds.of(&session, &event).await?;
            if let Some(entry) = told::entry(identifier, kind, &event) {
                out.json(&entry);
            }
        } else if let Some(line) = told::line(identifier, &event) {
            out.line(line.as_bytes());
        }
    }
    if args.follow && !out.is_closed() {
        complain(&format!("the session \"{identifier}\" tells nothing more"));
    }
    engine.shutdown().await;
    Ok(Exit::OK)
}

/// The next fact on record; `None` when all were told. An end that is on record and has not come yet is
/// waited for, however loaded the machine is, unless somebody has acknowledged it: then it never comes.
async fn on_record(
    session: &Session,
    events: &mut Events,
    untold: &mut HashSet<TaskId>,
) -> Result<Option<Event>, Fault> {
    loop {
        match next_fact(events).await {
            Ok(fact) => return Ok(fact.map(Event::Fact)),
            Err(Quiet) if untold.is_empty() => return Ok(None),
            Err(Quiet) => {
                let there = all(session).await?;
                untold.retain(|task| there.contains_key(task));
            }
        }
    }
}

/// Which tasks fetch, and which send: their progress is told in other words.
#[derive(Default)]
struct Kinds {
    known: HashMap<TaskId, Kind>,
}

impl Kinds {
    /// Learns the kinds of a session's tasks; answers those that have ended.
    async fn learn(&mut self, session: &Session) -> Result<HashSet<TaskId>, Fault> {
        let mut ended = HashSet::new();
        for standing in Standing::all(session).await? {
            let task = standing.task.id();
            self.known.insert(task, standing.task.place().kind());
            if standing.outcome.is_some() {
                ended.insert(task);
            }
        }
        Ok(ended)
    }

    async fn of(&mut self, session: &Session, event: &Event) -> Result<Kind, Fault> {
        let Event::Progress { task, .. } = event else {
            return Ok(Kind::Downloads);
        };
        if !self.known.contains_key(task) {
            self.learn(session).await?;
        }
        Ok(self.known.get(task).copied().unwrap_or(Kind::Downloads))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longhaul::{Engine, SessionConfiguration};
    use tokio::time::timeout;

    use super::*;

    /// An end that was acknowledged between the listing and the subscription was waited for without end.
    #[tokio::test]
    async fn an_end_that_its_owner_has_acknowledged_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let engine = Engine::builder(root.path()).start().unwrap();
        let configuration = SessionConfiguration::new("s").unwrap();
        let session = engine.session(configuration).await.unwrap();
        let mut events = session.events().await.unwrap();
        let mut untold = HashSet::from([TaskId::new(7)]);
        let next = on_record(&session, &mut events, &mut untold);
        let next = timeout(Duration::from_secs(30), next).await;
        assert!(
            next.expect("it is not waited for")
                .is_ok_and(|next| next.is_none())
        );
        assert!(untold.is_empty());
        engine.shutdown().await;
    }
}
