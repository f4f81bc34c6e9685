//! A task by its number, and events from a place in the log on.

use longhaul_engine::id::{Sequence, TaskId};

use super::Session;
use crate::{AnyTask, Error, Events};

impl Session {
    /// The task of this number, of any kind: also one of an earlier process, and one that has ended and
    /// was not acknowledged. It costs the same however many tasks there are.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] when there is none, or its end was acknowledged, [`Error::Invalidated`],
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn find_task(&self, task: TaskId) -> Result<AnyTask, Error> {
        let view = self.handle.view(task).await?;
        AnyTask::of(&self.handle, view).ok_or(Error::NoSuchTask(task))
    }

    /// As [`Session::events`], without the facts up to this one: they were heard, whether they were
    /// acknowledged or not.
    ///
    /// # Errors
    /// As [`Session::events`].
    pub async fn events_after(&self, heard: Sequence) -> Result<Events, Error> {
        Ok(Events::new(self.handle.subscribe_after(None, heard).await?))
    }
}
