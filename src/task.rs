//! The handle of one task, and a task as it was at one moment.

mod callbacks;
mod resuming;
mod scheduling;

pub(crate) use scheduling::checked;

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use longhaul_actors::handle::TaskView;
use longhaul_engine::id::TaskId;
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::task::{Desired, Destination, Outcome, Phase, Progress, TaskState};

use crate::link::SessionLink;
use crate::{Error, Events};

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

    pub(crate) fn session(&self) -> &SessionLink {
        &self.inner.session
    }

    /// Its number: stable for its life, and never used twice in one state directory.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.inner.id
    }

    /// What it fetches. Its `Display` shows no secret, [`HttpUrl::as_str`] does.
    #[must_use]
    pub fn url(&self) -> &HttpUrl {
        &self.inner.url
    }

    /// Where the file goes.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.inner.destination
    }

    /// The task as it is now.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] once its end was acknowledged, [`Error::Stopped`] or [`Error::Store`].
    pub async fn snapshot(&self) -> Result<TaskSnapshot, Error> {
        let view = self.inner.session.view(self.inner.id).await?;
        Ok(TaskSnapshot::of(self.clone(), view))
    }

    /// Its state in Foundation's words.
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn state(&self) -> Result<TaskState, Error> {
        Ok(self.snapshot().await?.state)
    }

    /// What it does or waits for, beneath its state.
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn phase(&self) -> Result<Phase, Error> {
        Ok(self.snapshot().await?.phase)
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

    /// Lets it go on, as soon as there is a place for it. Recorded and repeatable as
    /// [`DownloadTask::suspend`].
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn resume(&self) -> Result<(), Error> {
        self.want(Desired::Running).await
    }

    /// Ends it and forgets its bytes; [`Outcome::Cancelled`] follows. Recorded and repeatable as
    /// [`DownloadTask::suspend`].
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn cancel(&self) -> Result<(), Error> {
        self.want(Desired::Cancelled).await
    }

    async fn want(&self, desired: Desired) -> Result<(), Error> {
        Ok(self.inner.session.want(self.inner.id, desired).await?)
    }

    /// The events of this task; the stream ends after its terminal fact.
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn events(&self) -> Result<Events, Error> {
        Ok(Events::new(
            self.inner.session.subscribe(Some(self.inner.id)).await?,
        ))
    }

    /// Waits until it has ended, and says how; at once when it has. A transfer that failed is
    /// [`Outcome::Failed`], not an error of this call.
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn finished(&self) -> Result<Outcome, Error> {
        Ok(self.inner.session.outcome(self.inner.id).await?)
    }
}

impl IntoFuture for DownloadTask {
    type Output = Result<Outcome, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.finished().await })
    }
}

impl TaskSnapshot {
    /// The snapshot of a download; `None` when the view is of an upload.
    pub(crate) fn of_download(session: &SessionLink, view: TaskView) -> Option<Self> {
        let destination = view.spec.destination()?.clone();
        let url = view.spec.url().clone();
        let task = DownloadTask::new(session.clone(), view.id, url, destination);
        Some(Self::of(task, view))
    }

    fn of(task: DownloadTask, view: TaskView) -> Self {
        let TaskView {
            state,
            phase,
            progress,
            outcome,
            ..
        } = view;
        Self {
            task,
            state,
            phase,
            progress,
            outcome,
        }
    }
}
