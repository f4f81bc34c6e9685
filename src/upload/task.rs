//! The handle of one upload, and what it looked like at a moment.

mod callbacks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longhaul_actors::handle::TaskView;
use longhaul_engine::id::TaskId;
use longhaul_engine::resume_data::ResumeData;
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::task::{Desired, Outcome, Phase, Progress, Spec, TaskState};

use crate::Error;
use crate::challenge::challenged_task;
use crate::link::SessionLink;
use crate::task::{scheduled_task, task_handle};

/// The handle of one upload. Dropping it changes nothing: the task goes on, and
/// [`Session::get_upload_tasks`](crate::Session::get_upload_tasks) finds it again.
///
/// A handle can be awaited, which is [`UploadTask::finished`].
#[derive(Clone, Debug)]
pub struct UploadTask {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: SessionLink,
    id: TaskId,
    url: HttpUrl,
    source: PathBuf,
}

/// An upload as it was at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UploadSnapshot {
    /// Its handle.
    pub task: UploadTask,
    /// Its state in Foundation's words.
    pub state: TaskState,
    /// What it did or waited for.
    pub phase: Phase,
    /// How far it was.
    pub progress: Progress,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
}

impl UploadTask {
    pub(crate) fn new(session: SessionLink, id: TaskId, url: HttpUrl, source: PathBuf) -> Self {
        Self {
            inner: Arc::new(Inner {
                session,
                id,
                url,
                source,
            }),
        }
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.inner.source
    }

    /// How far it is: [`Progress::sent_bytes`] were given to the network, and of those the server has
    /// said of [`Progress::acknowledged_bytes`] that it has them.
    ///
    /// # Errors
    /// As [`UploadTask::snapshot`].
    pub async fn progress(&self) -> Result<Progress, Error> {
        Ok(self.snapshot().await?.progress)
    }

    /// Stops it. When it is resumed it goes on where the server has it, or begins again at its first byte
    /// when it is sent as one request. The wish is recorded when this answers and survives a restart;
    /// doing it twice, or to a task that has ended, changes nothing. One whose every byte the server has
    /// acknowledged ends all the same.
    ///
    /// # Errors
    /// As [`UploadTask::snapshot`].
    pub async fn suspend(&self) -> Result<(), Error> {
        self.want(Desired::Suspended).await
    }

    /// Ends it; [`Outcome::Cancelled`] follows. The server is asked to remove what it has of the file,
    /// where its protocol can do that; what it took in one request is the server's. Recorded and
    /// repeatable as [`UploadTask::suspend`].
    ///
    /// # Errors
    /// As [`UploadTask::snapshot`].
    pub async fn cancel(&self) -> Result<(), Error> {
        self.want(Desired::Cancelled).await
    }

    /// Ends it and gives what a later task may go on with
    /// ([`Session::resume_upload`](crate::Session::resume_upload)), after the end is committed;
    /// [`Outcome::CancelledResumable`] holds the same. The wish is recorded before anything else, and
    /// is carried out after a crash too. Asked again it gives the same.
    ///
    /// The resume data is the request, which file it was, and the place that the server has made for it:
    /// the later task goes on there, and is refused when the file has changed. A server that takes a file
    /// in one request has nothing of it to go on with, so that one begins at the first byte.
    ///
    /// `None` when the file was not looked at yet, the task had ended otherwise, or the ticket could not
    /// be written, on a full disk perhaps. Otherwise a small sealed ticket of mode 0600 stays beside the
    /// file, or in the state directory where no file can be made there, until the resume data is used or
    /// [discarded](crate::Session::discard_resume_data).
    ///
    /// # Errors
    /// As [`UploadTask::snapshot`].
    pub async fn cancel_by_producing_resume_data(&self) -> Result<Option<ResumeData>, Error> {
        let session = &self.inner.session;
        Ok(session.cancel_for_resume_data(self.inner.id).await?)
    }
}

task_handle!(UploadTask, UploadSnapshot);
scheduled_task!(UploadTask);
challenged_task!(UploadTask);

impl UploadSnapshot {
    /// The snapshot of an upload; `None` when the view is of a download.
    pub(crate) fn of_upload(session: &SessionLink, view: TaskView) -> Option<Self> {
        let (url, source) = match &*view.spec {
            Spec::Upload(spec) => (spec.url.clone(), spec.source.clone()),
            Spec::Download(_) => return None,
        };
        let task = UploadTask::new(session.clone(), view.id, url, source);
        Some(Self::of(task, view))
    }
}
