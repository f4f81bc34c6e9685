//! Whether a session has nothing left: no task that goes on, and no fact that was not heard.

use std::ops::ControlFlow;

use longhaul_engine::id::{Sequence, TaskId};

use super::{CallError, SessionHandle};
use crate::registry::ReadFacts;
use crate::session::NextLive;

impl SessionHandle {
    /// Whether no task is live and every fact of the session is at or before this one: who has
    /// heard that far has heard everything (`urlSessionDidFinishEvents`). A task that is made at the
    /// same moment may or may not be seen.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails.
    pub async fn is_drained(&self, heard: Sequence) -> Result<bool, CallError> {
        let mut after = TaskId::default();
        // The actor hears of an end a moment after it was committed, so the store is asked about
        // whatever the actor believes to be live; the first one that is ends the search.
        while let Some(task) = self.ask(|| NextLive { after }).await? {
            match self.is_live(task).await? {
                ControlFlow::Break(()) => return Ok(false),
                ControlFlow::Continue(()) => after = task,
            }
        }
        let ask = || ReadFacts {
            session: self.id.clone(),
            after: heard,
            limit: 1,
        };
        match self.engine.doors.registry.call(ask).await {
            Ok(Ok(facts)) => Ok(facts.is_empty()),
            Ok(Err(error)) => Err(CallError::Store(error.to_string())),
            Err(_) => Err(self.engine.gone().await),
        }
    }

    async fn is_live(&self, task: TaskId) -> Result<ControlFlow<()>, CallError> {
        match self.view(task).await {
            Ok(view) if view.outcome.is_none() => Ok(ControlFlow::Break(())),
            Ok(_) | Err(CallError::NoSuchTask(_)) => Ok(ControlFlow::Continue(())),
            Err(error) => Err(error),
        }
    }
}
