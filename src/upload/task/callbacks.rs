//! Callbacks of an upload, in the manner of scripts that set `onProgress` and `onComplete`.

use longhaul_engine::task::{Outcome, Progress};

use super::UploadTask;
use crate::Error;
use crate::callbacks::Callback;

/// Callbacks. What holds for those of a download holds for these: they run one after the other on a
/// thread of their own, one for all tasks of the session, a new one replaces the one before, and
/// dropping the handle does not unset them; see [`DownloadTask`](crate::DownloadTask).
impl UploadTask {
    /// Calls this with how far the task is: at most ten times a second, only the latest when it is
    /// slow, and never after the end. [`Progress::sent_bytes`] falls back when a request is lost. One
    /// that panics is not called again.
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

    /// Calls this once when the task has ended, well or not: with
    /// [`Outcome::Uploaded`], which has the server's answer, or with what became of it instead. It is
    /// the last call for the task, and comes at once when that had ended before, also in an earlier
    /// process.
    ///
    /// # Errors
    /// As [`UploadTask::on_progress`].
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
