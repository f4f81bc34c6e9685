//! Cancelling a download and keeping its bytes.

use longhaul_engine::resume_data::ResumeData;

use super::DownloadTask;
use crate::Error;

impl DownloadTask {
    /// Ends it and gives what a later task may go on with
    /// ([`Session::resume_download`](crate::Session::resume_download)), after the end is committed;
    /// [`Outcome::CancelledResumable`](crate::Outcome::CancelledResumable) holds the same. The wish is
    /// recorded before anything else, and is carried out after a crash too. Asked again it gives the
    /// same.
    ///
    /// `None` when there is nothing to go on with: no byte had come, the server named neither a strong
    /// `ETag` nor a `Last-Modified` that may be relied on, the task had ended otherwise, or the ticket
    /// could not be written, on a full disk perhaps. The bytes are gone then, as after
    /// [`DownloadTask::cancel`].
    ///
    /// Otherwise the part file and a small sealed ticket of mode 0600 stay beside the target, or in the
    /// state directory when the part is there, until the resume data is used or
    /// [discarded](crate::Session::discard_resume_data).
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn cancel_by_producing_resume_data(&self) -> Result<Option<ResumeData>, Error> {
        let session = &self.inner.session;
        Ok(session.cancel_for_resume_data(self.inner.id).await?)
    }
}
