//! Facts that are on record, read until nothing more comes.

use std::time::Duration;

use longhaul::{Error, Event, Events, Fact, NumberedFact, UploadTask};
use tokio::time::timeout;

/// What is on record comes at once; after such a silence on a socket of this machine there is no more of
/// it.
const QUIET: Duration = Duration::from_millis(500);

/// No fact has come for [`QUIET`].
pub(crate) struct Quiet;

/// The next fact; `None` when there are no more. News of transfers that run are no facts, and put nothing
/// off.
pub(crate) async fn next_fact(events: &mut Events) -> Result<Option<NumberedFact>, Quiet> {
    let fact = async {
        loop {
            match events.next().await {
                Some(Event::Fact(fact)) => return Some(fact),
                Some(_) => {}
                None => return None,
            }
        }
    };
    timeout(QUIET, fact).await.map_err(|_| Quiet)
}

/// How an upload that has ended has done so; `None` when its owner has acknowledged that meanwhile.
pub(crate) async fn end_of(
    task: &UploadTask,
    events: &mut Events,
) -> Result<Option<NumberedFact>, Error> {
    loop {
        match next_fact(events).await {
            Ok(Some(told)) => {
                if told.fact.task() == Some(task.id())
                    && matches!(told.fact, Fact::Completed { .. })
                {
                    return Ok(Some(told));
                }
            }
            Ok(None) => return Err(Error::Stopped { reason: None }),
            Err(Quiet) => match task.snapshot().await {
                Ok(_) => {}
                Err(Error::NoSuchTask(_)) => return Ok(None),
                Err(error) => return Err(error),
            },
        }
    }
}
