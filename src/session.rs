//! A session: a named group of tasks, found again by its name.

mod finding;
mod life;
mod resuming;
mod scheduling;
mod summary;
mod uploads;

use longhaul_actors::handle::{SessionHandle, StartRequest, Starts};
use longhaul_engine::id::Sequence;
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::task::Destination;

use crate::link::SessionLink;
use crate::{DownloadRequest, DownloadTask, Error, Events, TaskSnapshot};

pub use life::AnyTask;
pub use resuming::{ResumeRequest, ResumeUploadRequest};
pub use summary::{Launches, SessionSummary};
pub(crate) use uploads::named_uploads;

/// What a handle shows of its task.
pub(crate) type Named = (HttpUrl, Destination);

/// What the handles of the tasks of these requests will show.
pub(crate) fn named(requests: &[DownloadRequest]) -> Vec<Named> {
    let named = |request: &DownloadRequest| (request.url().clone(), request.destination().clone());
    requests.iter().map(named).collect()
}

/// An open session. Cloning gives another handle of the same session.
///
/// A session has one owner. While this handle lives, or a clone of it, or a handle of one of its
/// tasks or its events, opening it again fails with [`Error::SessionInUse`]. Dropping all of them frees
/// it and changes nothing else: its tasks go on, and what they do is told to the one who opens it
/// next.
#[derive(Clone, Debug)]
pub struct Session {
    handle: SessionLink,
}

impl Session {
    pub(crate) fn new(handle: SessionHandle) -> Self {
        let handle = SessionLink::new(handle);
        Self { handle }
    }

    pub(crate) const fn link(&self) -> &SessionLink {
        &self.handle
    }

    /// The name under which it is found again.
    #[must_use]
    pub fn identifier(&self) -> &str {
        self.handle.id().as_str()
    }

    /// Makes a task and starts it. It answers after the commit: from then on the task exists until
    /// it has ended and its end was acknowledged, through crashes of any kind.
    ///
    /// # Errors
    /// [`Error::TargetInUse`] when a live task writes the same target, [`Error::Invalid`],
    /// [`Error::Invalidated`], [`Error::Stopped`] or [`Error::Store`].
    pub async fn start_download(&self, request: DownloadRequest) -> Result<DownloadTask, Error> {
        let mut results = self.start_downloads(vec![request]).await?;
        results
            .pop()
            .unwrap_or_else(|| Err(Error::Store("it gave no answer".to_owned())))
    }

    /// Makes and starts many tasks in one transaction, which costs little more than one of them.
    /// There is one result for each request, in their order; a refused one does not hinder the
    /// others.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`]: then it is not known which tasks were made, and
    /// starting the same ones again with [`DownloadRequest::adopt_existing`] is the way on.
    pub async fn start_downloads(
        &self,
        requests: Vec<DownloadRequest>,
    ) -> Result<Vec<Result<DownloadTask, Error>>, Error> {
        let named = named(&requests);
        let requests = requests.into_iter().map(StartRequest::from).collect();
        let starts = self.handle.start(requests).await?;
        Ok(self.tasks_of(named, starts))
    }

    /// The handles of tasks that were started.
    pub(crate) fn tasks_of(
        &self,
        named: Vec<Named>,
        starts: Starts,
    ) -> Vec<Result<DownloadTask, Error>> {
        let task = |((url, destination), id): (Named, Result<_, _>)| {
            Ok(DownloadTask::new(
                self.handle.clone(),
                id?,
                url,
                destination,
            ))
        };
        named.into_iter().zip(starts).map(task).collect()
    }

    /// Every download of the session that is not forgotten, in the order of their numbers: also those
    /// of earlier processes, and those that have ended and were not acknowledged.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn get_download_tasks(&self) -> Result<Vec<DownloadTask>, Error> {
        let snapshots = self.snapshot().await?;
        Ok(snapshots
            .into_iter()
            .map(|snapshot| snapshot.task)
            .collect())
    }

    /// All downloads as [`Session::get_download_tasks`] gives them, each with its state at one moment:
    /// one question instead of one for each task.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn snapshot(&self) -> Result<Vec<TaskSnapshot>, Error> {
        let views = self.handle.tasks().await?;
        Ok(views
            .into_iter()
            .filter_map(|view| TaskSnapshot::of_download(&self.handle, view))
            .collect())
    }

    /// The events of all tasks: every fact that was not acknowledged, also from earlier processes,
    /// then whatever happens from now on. The stream ends when the engine stops, and after
    /// [`Fact::BecameInvalid`](crate::Fact::BecameInvalid).
    ///
    /// # Errors
    /// [`Error::Invalidated`] once the session's end was acknowledged, [`Error::Stopped`] or
    /// [`Error::Store`].
    pub async fn events(&self) -> Result<Events, Error> {
        Ok(Events::new(self.handle.subscribe(None).await?))
    }

    /// Says that the facts up to and including this one were taken care of: they are not told
    /// again, and tasks that ended in one of them are forgotten. With
    /// [`Fact::BecameInvalid`](crate::Fact::BecameInvalid) the session is forgotten too: from then on
    /// its handles answer [`Error::Invalidated`], and its name is free for a new session. It answers
    /// after the commit.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn acknowledge(&self, up_to: Sequence) -> Result<(), Error> {
        Ok(self.handle.acknowledge(up_to).await?)
    }
}
