//! Going on with what an earlier task left: resume data.

use std::path::{Path, PathBuf};

use longhaul_actors::handle::ResumeOptions;
use longhaul_engine::limits::NOTIFICATION_TITLE_BYTES_MAX;
use longhaul_engine::resume_data::ResumeData;
use longhaul_engine::task::{Collision, Destination, NotificationTitles};

use super::Session;
use crate::request::file_destination;
use crate::{DownloadTask, Error, SessionConfiguration};

/// A download that goes on with what an earlier one left. The URL, the headers and all other options
/// are those of that one (`downloadTask(withResumeData:)`).
#[derive(Clone, Debug)]
pub struct ResumeRequest {
    data: ResumeData,
    destination: PathBuf,
    options: ResumeOptions,
}

impl ResumeRequest {
    /// Goes on with `data` into the file `destination`, which may be another one than the first task
    /// had, also on another device. A relative path counts from the current directory of the process,
    /// now.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the path names no file, [`Error::State`] when the current directory is
    /// gone.
    pub fn new(data: ResumeData, destination: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self {
            data,
            destination: file_destination(destination.as_ref())?,
            options: ResumeOptions::default(),
        })
    }

    /// What to do when the destination exists; as the first task was told without this.
    #[must_use]
    pub const fn collision(mut self, collision: Collision) -> Self {
        self.options.collision = Some(collision);
        self
    }

    /// The titles of the notification at its end; those of the first task without this.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one is longer than any desktop shows.
    pub fn notify_on_finished(mut self, titles: NotificationTitles) -> Result<Self, Error> {
        for title in [&titles.success, &titles.failure] {
            if title.len() > NOTIFICATION_TITLE_BYTES_MAX {
                return Err(Error::Invalid(format!(
                    "the title of a notification has more than {NOTIFICATION_TITLE_BYTES_MAX} bytes; \
                     give a shorter one"
                )));
            }
        }
        self.options.notify_on_finished = Some(titles);
        Ok(self)
    }
}

impl SessionConfiguration {
    /// Gives the resume data of a task that failed to its owner, in
    /// [`Failure::resume_data`](crate::Failure::resume_data), when it has bytes that the server lets
    /// it continue. Off without this.
    ///
    /// The bytes are the owner's then: acknowledging the failure leaves them where they are, and
    /// [`Session::discard_resume_data`] removes them. Without it they wait for the next task of the
    /// same URL and destination that [adopts](crate::DownloadRequest::adopt_existing), and go with the
    /// acknowledgement.
    #[must_use]
    pub const fn resume_data_on_failure(mut self, is_given: bool) -> Self {
        self.rules.resume_data_on_failure = is_given;
        self
    }
}

impl Session {
    /// Makes a task that goes on with what another one left, and starts it. It works in any session
    /// and with any state directory, also after the one of the first task was deleted. The server is
    /// asked whether its resource is the same still; when it is not, the download begins from zero.
    ///
    /// It answers after the commit: from then on the resume data is used up, and the task survives
    /// crashes of any kind. When the answer is an error, the resume data is as good as before.
    ///
    /// # Errors
    /// [`Error::ResumeData`] when it is of no use, [`Error::TargetInUse`], [`Error::Invalid`] when the
    /// destination exists and may not be replaced, [`Error::Invalidated`], [`Error::Stopped`] or
    /// [`Error::Store`].
    pub async fn resume_download(
        &self,
        data: ResumeData,
        destination: impl AsRef<Path>,
    ) -> Result<DownloadTask, Error> {
        let request = ResumeRequest::new(data, destination)?;
        self.resume_download_with(request).await
    }

    /// As [`Session::resume_download`], with what may be asked anew.
    ///
    /// # Errors
    /// As [`Session::resume_download`].
    pub async fn resume_download_with(
        &self,
        request: ResumeRequest,
    ) -> Result<DownloadTask, Error> {
        let ResumeRequest {
            data,
            destination,
            options,
        } = request;
        let target = destination.clone();
        let answer = self.handle.resume_download(data, target, options);
        let (id, url) = answer.await??;
        let destination = Destination::File(destination);
        let session = self.handle.clone();
        Ok(DownloadTask::new(session, id, url, destination))
    }

    /// Removes the bytes that resume data stands for, which nobody else does. Harmless to repeat. It
    /// answers when they are gone.
    ///
    /// # Errors
    /// [`Error::ResumeData`] when it is none, or a task was made of it; [`Error::Stopped`] or
    /// [`Error::Store`].
    pub async fn discard_resume_data(&self, data: ResumeData) -> Result<(), Error> {
        Ok(self.handle.discard_resume_data(data).await??)
    }
}
