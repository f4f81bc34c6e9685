//! A task of either kind, and what both can be asked for.

use longhaul::{DownloadTask, Error, ResumeData, TaskId, TaskState, UploadTask};

/// A task of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Handle {
    Download(DownloadTask),
    Upload(UploadTask),
}

impl Handle {
    pub(crate) fn id(&self) -> TaskId {
        match self {
            Self::Download(task) => task.id(),
            Self::Upload(task) => task.id(),
        }
    }

    pub(crate) async fn state(&self) -> Result<TaskState, Error> {
        match self {
            Self::Download(task) => task.state().await,
            Self::Upload(task) => task.state().await,
        }
    }

    pub(crate) async fn suspend(&self) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.suspend().await,
            Self::Upload(task) => task.suspend().await,
        }
    }

    pub(crate) async fn resume(&self) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.resume().await,
            Self::Upload(task) => task.resume().await,
        }
    }

    pub(crate) async fn cancel(&self) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.cancel().await,
            Self::Upload(task) => task.cancel().await,
        }
    }

    pub(crate) async fn cancel_by_producing_resume_data(
        &self,
    ) -> Result<Option<ResumeData>, Error> {
        match self {
            Self::Download(task) => task.cancel_by_producing_resume_data().await,
            Self::Upload(task) => task.cancel_by_producing_resume_data().await,
        }
    }
}
