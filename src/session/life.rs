//! The life of a session, and of tasks that are made before they are started.

use longhaul_actors::handle::TaskView;
use longhaul_engine::id::TaskId;
use longhaul_engine::session::{Invalidation, SessionState};
use longhaul_engine::task::Spec;

use super::named;
use crate::link::SessionLink;
use crate::{
    DownloadRequest, DownloadTask, Error, Session, TaskSnapshot, UploadSnapshot, UploadTask,
};

/// A task of any kind, as [`Session::get_all_tasks`] gives it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyTask {
    /// It fetches a file.
    Download(DownloadTask),
    /// It sends a file.
    Upload(UploadTask),
}

impl AnyTask {
    /// The handle of a task that looks so.
    pub(super) fn of(session: &SessionLink, view: TaskView) -> Option<Self> {
        match &*view.spec {
            Spec::Download(_) => {
                TaskSnapshot::of_download(session, view).map(|it| Self::Download(it.task))
            }
            Spec::Upload(_) => {
                UploadSnapshot::of_upload(session, view).map(|it| Self::Upload(it.task))
            }
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> TaskId {
        match self {
            Self::Download(task) => task.id(),
            Self::Upload(task) => task.id(),
        }
    }
}

impl Session {
    /// Makes a task and leaves it suspended (Foundation: every task is created so), until
    /// [`DownloadTask::resume`]. It answers after the commit: the task exists from then on, through
    /// crashes of any kind, and counts its time from then on
    /// ([`SessionConfiguration::timeout_for_resource`](crate::SessionConfiguration::timeout_for_resource)).
    /// A request that [adopts](DownloadRequest::adopt_existing) suspends the task that it finds.
    ///
    /// # Errors
    /// As [`Session::start_download`].
    pub async fn download_task(&self, request: DownloadRequest) -> Result<DownloadTask, Error> {
        let named = named(std::slice::from_ref(&request));
        let made = self.handle.create(vec![request.into()]).await?;
        let mut tasks = self.tasks_of(named, made);
        tasks
            .pop()
            .unwrap_or_else(|| Err(Error::Store("it gave no answer".to_owned())))
    }

    /// Every task of the session that is not forgotten, of any kind, in the order of their numbers
    /// (Foundation: `getAllTasks`).
    ///
    /// # Errors
    /// [`Error::Invalidated`] once the session's end was acknowledged, [`Error::Stopped`] or
    /// [`Error::Store`].
    pub async fn get_all_tasks(&self) -> Result<Vec<AnyTask>, Error> {
        let views = self.handle.tasks().await?;
        let task = |view| AnyTask::of(&self.handle, view);
        Ok(views.into_iter().filter_map(task).collect())
    }

    /// Lets the session end: it takes no new tasks ([`Error::Invalidated`]), those that it has go on to
    /// their ends, also after a restart, and when the last has ended
    /// [`Fact::BecameInvalid`](crate::Fact::BecameInvalid) is the session's last fact. It comes at once
    /// when there is no live task. A suspended task is live: it must be resumed or cancelled. Answers
    /// after the commit; doing it twice changes nothing (Foundation: `finishTasksAndInvalidate`).
    ///
    /// A new session of this name can be opened when that last fact was
    /// [acknowledged](Session::acknowledge). Until then the name stands for this one, also in a later
    /// process.
    ///
    /// # Errors
    /// [`Error::Invalidated`] once the session's end was acknowledged, [`Error::Stopped`] or
    /// [`Error::Store`].
    pub async fn finish_tasks_and_invalidate(&self) -> Result<(), Error> {
        Ok(self.handle.invalidate(Invalidation::FinishTasks).await?)
    }

    /// As [`Session::finish_tasks_and_invalidate`], and cancels every live task: each ends so, or as it
    /// was about to end anyway (Foundation: `invalidateAndCancel`).
    ///
    /// # Errors
    /// As [`Session::finish_tasks_and_invalidate`].
    pub async fn invalidate_and_cancel(&self) -> Result<(), Error> {
        Ok(self.handle.invalidate(Invalidation::CancelTasks).await?)
    }

    /// Where the session is in its life. One that was being invalidated in an earlier process is found
    /// so.
    ///
    /// # Errors
    /// As [`Session::finish_tasks_and_invalidate`].
    pub async fn state(&self) -> Result<SessionState, Error> {
        Ok(self.handle.state().await?)
    }
}
