//! Callbacks of a download, in the manner of scripts that set `onProgress` and `onComplete`.

use std::path::Path;

use longhaul_engine::task::{Outcome, Progress};

use crate::callbacks::Callback;
use crate::{DownloadTask, Error};

/// Callbacks. They run one after the other on a thread of their own, one for all tasks of the
/// session, and may block.
///
/// Setting one again replaces it, also through another handle of the same task. Dropping the handle
/// does not unset it: until it was called for the end, the session and its engine are kept alive. An
/// engine that stops before calls none; they are set again on the tasks that the next start finds.
/// When the task has ended before, the callback for its end is called at once, and as long as the end
/// is not acknowledged, for each one that is set.
///
/// Callbacks acknowledge nothing: that is for [`Session::acknowledge`](crate::Session::acknowledge)
/// or a [`Delegate`](crate::Delegate). A callback that panics harms nobody; the panic is logged.
impl DownloadTask {
    /// Calls this with how far the task is: at most ten times a second, only the latest when it is
    /// slow, and never after the end. One that panics is not called again.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] once the end of the task was acknowledged, [`Error::Threads`],
    /// [`Error::Stopped`] or [`Error::Store`]; then it is never called.
    pub async fn on_progress(
        &self,
        call: impl FnMut(Progress) + Send + 'static,
    ) -> Result<(), Error> {
        self.set(Callback::Progress(Box::new(call))).await
    }

    /// Calls this once with the path of the file when the task has ended and it is there, or with the
    /// other outcome. It comes before the one that [`DownloadTask::on_complete`] set.
    ///
    /// # Errors
    /// As [`DownloadTask::on_progress`].
    pub async fn on_finish_download(
        &self,
        call: impl FnOnce(Result<&Path, &Outcome>) + Send + 'static,
    ) -> Result<(), Error> {
        let call = move |outcome: &Outcome| call(file_of(outcome));
        self.set(Callback::FinishDownload(Box::new(call))).await
    }

    /// Calls this once when the task has ended, well or not. It is the last call for the task.
    ///
    /// # Errors
    /// As [`DownloadTask::on_progress`].
    pub async fn on_complete(
        &self,
        call: impl FnOnce(&Outcome) + Send + 'static,
    ) -> Result<(), Error> {
        self.set(Callback::Complete(Box::new(call))).await
    }

    async fn set(&self, callback: Callback) -> Result<(), Error> {
        self.inner.session.set_callback(self.id(), callback).await
    }
}

/// Where the file of a download is, when it is there.
fn file_of(outcome: &Outcome) -> Result<&Path, &Outcome> {
    match outcome {
        Outcome::Finished(file) => Ok(&file.path),
        Outcome::Skipped(path) => Ok(path),
        Outcome::Uploaded(_)
        | Outcome::Failed(_)
        | Outcome::Cancelled
        | Outcome::CancelledResumable(_) => Err(outcome),
    }
}
