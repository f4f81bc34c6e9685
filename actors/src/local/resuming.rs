//! What a session's handle does with resume data.

use std::path::PathBuf;

use longhaul_engine::id::TaskId;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::task::{Collision, NotificationTitles};

use super::{CallError, RefusedStart, SessionHandle};

/// What may be asked anew when a task is made of resume data; all else is as it was asked first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResumeOptions {
    /// What to do when the destination exists.
    pub collision: Option<Collision>,
    /// The titles of the notification that tells a person of its end.
    pub notify_on_finished: Option<NotificationTitles>,
}

/// A task that was made of resume data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumedTask {
    /// Its number.
    pub task: TaskId,
    /// What it fetches, or where it sends its file.
    pub url: HttpUrl,
    /// Where a download goes, or what an upload sends.
    pub file: PathBuf,
}

/// What is asked anew of a task that is made of resume data, and of which kind it is.
#[derive(Clone, Debug)]
pub enum ResumeAs {
    /// A download.
    Download {
        /// The file, an absolute path.
        destination: PathBuf,
        /// What may be asked anew.
        options: ResumeOptions,
    },
    /// An upload.
    Upload {
        /// The titles of the notification at its end; those of the first task without them.
        notify_on_finished: Option<NotificationTitles>,
    },
}

/// A task that is to be made of resume data.
#[derive(Clone, Debug)]
pub struct Resuming {
    /// What another one left.
    pub data: ResumeData,
    /// What is asked anew.
    pub anew: ResumeAs,
    /// It is discretionary, whatever the other one was; else as that one and the engine's background
    /// say.
    pub is_discretionary: bool,
    /// It was asked before, and the answer was lost: the task may be there.
    pub is_repeated: bool,
}

impl Resuming {
    /// Asked for the first time, by the app itself.
    const fn new(data: ResumeData, anew: ResumeAs) -> Self {
        Self {
            data,
            anew,
            is_discretionary: false,
            is_repeated: false,
        }
    }
}

impl SessionHandle {
    /// Makes and starts a task that goes on with what another one left, whose file goes to
    /// `destination`, an absolute path; answers after the commit. The resume data is used up then.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails; the inner error says why it was refused, and
    /// that nothing was changed.
    pub async fn resume_download(
        &self,
        data: ResumeData,
        destination: PathBuf,
        options: ResumeOptions,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        let anew = ResumeAs::Download {
            destination,
            options,
        };
        self.resume_task(Resuming::new(data, anew)).await
    }

    /// Makes and starts a task that sends the file which another one was about to send, from its first
    /// byte; answers after the commit. The resume data is used up then. The notification of its end has
    /// these titles, or those of the first task.
    ///
    /// # Errors
    /// As [`SessionHandle::resume_download`].
    pub async fn resume_upload(
        &self,
        data: ResumeData,
        notify_on_finished: Option<NotificationTitles>,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        let anew = ResumeAs::Upload { notify_on_finished };
        self.resume_task(Resuming::new(data, anew)).await
    }

    /// Removes the files that resume data stands for; nothing is left to go on with. Harmless to repeat.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails; the inner error says why it was refused.
    pub async fn discard_resume_data(
        &self,
        data: ResumeData,
    ) -> Result<Result<(), ResumeDataError>, CallError> {
        self.engine.discard_resume_data(data).await
    }
}
