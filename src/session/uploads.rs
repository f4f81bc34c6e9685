//! The uploads of a session.

use std::path::PathBuf;

use longhaul_actors::handle::{StartRequest, Starts};
use longhaul_engine::safe_url::HttpUrl;

use crate::{Error, Session, UploadRequest, UploadSnapshot, UploadTask};

/// What a handle shows of its upload.
pub(crate) type NamedUpload = (HttpUrl, PathBuf);

/// What the handles of the tasks of these requests will show.
pub(crate) fn named_uploads(requests: &[UploadRequest]) -> Vec<NamedUpload> {
    let named = |request: &UploadRequest| (request.url().clone(), request.source().to_path_buf());
    requests.iter().map(named).collect()
}

impl Session {
    /// Makes an upload and starts it. It answers after the commit: from then on the task exists until
    /// it has ended and its end was acknowledged, through crashes of any kind. Two calls make two
    /// tasks, also of one file, unless the request [adopts](UploadRequest::adopt_existing).
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Stopped`] or [`Error::Store`].
    pub async fn start_upload(&self, request: UploadRequest) -> Result<UploadTask, Error> {
        let mut results = self.start_uploads(vec![request]).await?;
        results
            .pop()
            .unwrap_or_else(|| Err(Error::Store("it gave no answer".to_owned())))
    }

    /// Makes an upload and leaves it suspended (Foundation: every task is created so), until
    /// [`UploadTask::resume`]. It answers after the commit, and counts its time from then on.
    ///
    /// # Errors
    /// As [`Session::start_upload`].
    pub async fn upload_task(&self, request: UploadRequest) -> Result<UploadTask, Error> {
        let (url, source) = (request.spec.url.clone(), request.spec.source.clone());
        let made = self.handle.create(vec![request.into()]).await?;
        let none = || Error::Store("it gave no answer".to_owned());
        let id = made.into_iter().next().ok_or_else(none)??;
        Ok(UploadTask::new(self.handle.clone(), id, url, source))
    }

    /// Makes and starts many uploads in one transaction. There is one result for each request, in
    /// their order; a refused one does not hinder the others.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`]: then it is not known which tasks were made;
    /// [`Session::get_upload_tasks`] tells.
    pub async fn start_uploads(
        &self,
        requests: Vec<UploadRequest>,
    ) -> Result<Vec<Result<UploadTask, Error>>, Error> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let named = named_uploads(&requests);
        let requests = requests.into_iter().map(StartRequest::from).collect();
        let starts = self.handle.start(requests).await?;
        Ok(self.uploads_of(named, starts))
    }

    /// The handles of uploads that were started.
    pub(crate) fn uploads_of(
        &self,
        named: Vec<NamedUpload>,
        starts: Starts,
    ) -> Vec<Result<UploadTask, Error>> {
        let task = |((url, source), id): (NamedUpload, Result<_, _>)| {
            Ok(UploadTask::new(self.handle.clone(), id?, url, source))
        };
        named.into_iter().zip(starts).map(task).collect()
    }

    /// Every upload of the session that is not forgotten, in the order of their numbers: also those
    /// of earlier processes, and those that have ended and were not acknowledged.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn get_upload_tasks(&self) -> Result<Vec<UploadTask>, Error> {
        let snapshots = self.upload_snapshots().await?;
        Ok(snapshots
            .into_iter()
            .map(|snapshot| snapshot.task)
            .collect())
    }

    /// All uploads as [`Session::get_upload_tasks`] gives them, each with its state at one moment.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn upload_snapshots(&self) -> Result<Vec<UploadSnapshot>, Error> {
        let views = self.handle.tasks().await?;
        Ok(views
            .into_iter()
            .filter_map(|view| UploadSnapshot::of_upload(&self.handle, view))
            .collect())
    }
}
