//! A task of either kind, and what both can be asked for.

use longhaul::{DownloadTask, Error, ResumeData, TaskId, TaskState};

/// A task of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Handle {
    Download(DownloadTask),
}

impl Handle {
    pub(crate) fn id(&self) -> TaskId {
        match self {
            Self::Download(task) => task.id(),
        }
    }

    pub(crate) async fn state(&self) -> Result<TaskState, Error> {
        match self {
            Self::Download(task) => task.state().await,
        }
    }

    pub(crate) async fn suspend(&self) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.suspend().await,
        }
    }

    pub(crate) async fn resume(&self) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.resume().await,
        }
    }

    pub(crate) async fn cancel(&self) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.cancel().await,
        }
    }

    pub(crate) async fn cancel_by_producing_resume_data(
        &self,
    ) -> Result<Option<ResumeData>, Error> {
        match self {
            Self::Download(task) => task.cancel_by_producing_resume_data().await,
        }
    }
}
