//! Going on with what an earlier task left: resume data.

use std::path::{Path, PathBuf};

use longhaul_actors::handle::{ResumeOptions, ResumedTask};
use longhaul_engine::resume_data::ResumeData;
use longhaul_engine::task::{Collision, Destination, NotificationTitles};

use super::Session;
use crate::request::file_destination;
use crate::{DownloadTask, Error, SessionConfiguration, UploadTask, options};

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
    /// [`Error::Invalid`] when one is empty, longer than 512 bytes or holds a control character.
    pub fn notify_on_finished(mut self, titles: NotificationTitles) -> Result<Self, Error> {
        self.options.notify_on_finished = Some(options::titles(titles.success, titles.failure)?);
        Ok(self)
    }
}

/// An upload of the file that an earlier one was about to send. The URL, the method, the headers and
/// all other options are those of that one (`uploadTask(withResumeData:)`).
#[derive(Clone, Debug)]
pub struct ResumeUploadRequest {
    data: ResumeData,
    notify_on_finished: Option<NotificationTitles>,
}

impl ResumeUploadRequest {
    /// Goes on with `data`.
    #[must_use]
    pub const fn new(data: ResumeData) -> Self {
        Self {
            data,
            notify_on_finished: None,
        }
    }

    /// The titles of the notification at its end; those of the first task without this.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one is empty, longer than 512 bytes or holds a control character.
    pub fn notify_on_finished(mut self, titles: NotificationTitles) -> Result<Self, Error> {
        self.notify_on_finished = Some(options::titles(titles.success, titles.failure)?);
        Ok(self)
    }
}

impl SessionConfiguration {
    /// Gives the resume data of a task that failed to its owner, in
    /// [`Failure::resume_data`](crate::Failure::resume_data), when it has bytes that the server lets
    /// it continue, or a file to be sent that is as it was. Off without this.
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
        let answer = self.handle.resume_download(data, destination, options);
        let ResumedTask { task, url, file } = answer.await??;
        let destination = Destination::File(file);
        let session = self.handle.clone();
        Ok(DownloadTask::new(session, task, url, destination))
    }

    /// Makes an upload of the file that another one was about to send, and starts it: where the
    /// server has it, or from the first byte when it was being sent as one request. It works in
    /// any session and with any state directory, also after the one of the first task was deleted,
    /// unless the [ticket](ResumeData) lay in it.
    ///
    /// It answers after the commit: from then on the resume data is used up, and the task survives
    /// crashes of any kind. When the answer is an error, the resume data is as good as before.
    ///
    /// # Errors
    /// [`Error::ResumeData`] when it is of no use: [`Stale`](crate::ResumeDataError::Stale) when the
    /// file has changed since or is not there, for one; [`Error::Invalidated`], [`Error::Stopped`] or
    /// [`Error::Store`].
    pub async fn resume_upload(&self, data: ResumeData) -> Result<UploadTask, Error> {
        self.resume_upload_with(ResumeUploadRequest::new(data))
            .await
    }

    /// As [`Session::resume_upload`], with what may be asked anew.
    ///
    /// # Errors
    /// As [`Session::resume_upload`].
    pub async fn resume_upload_with(
        &self,
        request: ResumeUploadRequest,
    ) -> Result<UploadTask, Error> {
        let ResumeUploadRequest {
            data,
            notify_on_finished,
        } = request;
        let answer = self.handle.resume_upload(data, notify_on_finished);
        let ResumedTask { task, url, file } = answer.await??;
        Ok(UploadTask::new(self.handle.clone(), task, url, file))
    }

    /// Removes the bytes that resume data stands for, which nobody else does; of an upload only its
    /// ticket, for the file is its owner's. Harmless to repeat. It
    /// answers when they are gone.
    ///
    /// # Errors
    /// [`Error::ResumeData`] when it is none, or a task was made of it; [`Error::Stopped`] or
    /// [`Error::Store`].
    pub async fn discard_resume_data(&self, data: ResumeData) -> Result<(), Error> {
        Ok(self.handle.discard_resume_data(data).await??)
    }
}
