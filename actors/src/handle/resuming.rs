//! What a session's handle does with resume data.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::try_join;
use longhaul_engine::id::TaskId;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::task::{Collision, Desired, NotificationTitles, Outcome};

use super::{CallError, RefusedStart, SessionHandle};
use crate::registry::DiscardResumeData;
use crate::session::ResumeTask;

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
pub(crate) enum ResumeAs {
    /// A download to this file.
    Download {
        destination: PathBuf,
        options: ResumeOptions,
    },
    /// An upload.
    Upload {
        notify_on_finished: Option<NotificationTitles>,
    },
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
        self.resume_as(data, anew).await
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
        self.resume_as(data, anew).await
    }

    async fn resume_as(
        &self,
        data: ResumeData,
        anew: ResumeAs,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        // When an actor crashed before it answered, the task may be there already.
        let is_repeated = AtomicBool::new(false);
        self.ask(|| ResumeTask {
            data: data.clone(),
            anew: anew.clone(),
            is_repeated: is_repeated.swap(true, Ordering::Relaxed),
        })
        .await
    }

    /// Cancels a task, waits for its end, and gives what it left; `None` when there is nothing to go
    /// on with, or it ended before. The wish is harmless to repeat and gives the same again.
    ///
    /// # Errors
    /// When there is no task of this number, the engine has stopped, or the store fails.
    pub async fn cancel_for_resume_data(
        &self,
        task: TaskId,
    ) -> Result<Option<ResumeData>, CallError> {
        // The wait begins before the wish: whoever acknowledges the end at once does not take it away.
        let outcome = self.outcome(task);
        let wanted = self.want(task, Desired::CancelledResumable);
        let (outcome, ()) = try_join(outcome, wanted).await?;
        Ok(match outcome {
            Outcome::CancelledResumable(data) => Some(data),
            Outcome::Failed(failure) => failure.resume_data().cloned(),
            Outcome::Finished(_)
            | Outcome::Uploaded(_)
            | Outcome::Skipped(_)
            | Outcome::Cancelled => None,
        })
    }

    /// Removes the files that resume data stands for; nothing is left to go on with. Harmless to repeat.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails; the inner error says why it was refused.
    pub async fn discard_resume_data(
        &self,
        data: ResumeData,
    ) -> Result<Result<(), ResumeDataError>, CallError> {
        let make = || DiscardResumeData(data.clone());
        match self.engine.doors.registry.call(make).await {
            Ok(answer) => answer.map_err(|error| CallError::Store(error.to_string())),
            Err(_) => Err(self.engine.gone().await),
        }
    }
}
