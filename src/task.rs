//! The handle of one task, and a task as it was at one moment.

mod callbacks;
mod handle;
mod resuming;
mod scheduling;

pub(crate) use handle::task_handle;
pub(crate) use scheduling::{checked, scheduled_task};

use std::sync::Arc;

use longhaul_actors::handle::TaskView;
use longhaul_engine::id::TaskId;
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::task::{Desired, Destination, Outcome, Phase, Progress, TaskState};

use crate::Error;
use crate::challenge::challenged_task;
use crate::link::SessionLink;

/// The handle of one download. Dropping it changes nothing: the task goes on, and
/// [`Session::get_download_tasks`](crate::Session::get_download_tasks) finds it again.
///
/// A handle can be awaited, which is [`DownloadTask::finished`].
#[derive(Clone, Debug)]
pub struct DownloadTask {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: SessionLink,
    id: TaskId,
    url: HttpUrl,
    destination: Destination,
}

/// A task as it was at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskSnapshot {
    /// Its handle.
    pub task: DownloadTask,
    /// Its state in Foundation's words.
    pub state: TaskState,
    /// What it did or waited for.
    pub phase: Phase,
    /// How far it was.
    pub progress: Progress,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
}

impl DownloadTask {
    pub(crate) fn new(
        session: SessionLink,
        id: TaskId,
        url: HttpUrl,
        destination: Destination,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                session,
                id,
                url,
                destination,
            }),
        }
    }

    /// Where the file goes.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.inner.destination
    }

    /// How far it is.
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn progress(&self) -> Result<Progress, Error> {
        Ok(self.snapshot().await?.progress)
    }

    /// Stops it and keeps its bytes. The wish is recorded when this answers and survives a
    /// restart; doing it twice, or to a task that has ended, changes nothing.
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn suspend(&self) -> Result<(), Error> {
        self.want(Desired::Suspended).await
    }

    /// Ends it and forgets its bytes; [`Outcome::Cancelled`] follows. Recorded and repeatable as
    /// [`DownloadTask::suspend`].
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn cancel(&self) -> Result<(), Error> {
        self.want(Desired::Cancelled).await
    }
}

task_handle!(DownloadTask, TaskSnapshot);
scheduled_task!(DownloadTask);
challenged_task!(DownloadTask);

impl TaskSnapshot {
    /// The snapshot of a download; `None` when the view is of an upload.
    pub(crate) fn of_download(session: &SessionLink, view: TaskView) -> Option<Self> {
        let destination = view.spec.destination()?.clone();
        let url = view.spec.url().clone();
        let task = DownloadTask::new(session.clone(), view.id, url, destination);
        Some(Self::of(task, view))
    }
}
