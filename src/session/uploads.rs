//! The uploads of a session.

use longhaul_actors::handle::StartRequest;

use crate::{Error, Session, UploadRequest, UploadSnapshot, UploadTask};

impl Session {
    /// Makes an upload and starts it. It answers after the commit: from then on the task exists until
    /// it has ended and its end was acknowledged, through crashes of any kind. Two calls make two
    /// tasks, also of one file.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Stopped`] or [`Error::Store`].
    pub async fn start_upload(&self, request: UploadRequest) -> Result<UploadTask, Error> {
        let mut results = self.start_uploads(vec![request]).await?;
        results
            .pop()
            .unwrap_or_else(|| Err(Error::Store("it gave no answer".to_owned())))
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
        let named: Vec<_> = requests
            .iter()
            .map(|request| (request.spec.url.clone(), request.spec.source.clone()))
            .collect();
        let requests = requests.into_iter().map(StartRequest::from).collect();
        let answers = self.handle.start(requests).await?;
        Ok(named
            .into_iter()
            .zip(answers)
            .map(|((url, source), answer)| {
                let id = answer?;
                Ok(UploadTask::new(self.handle.clone(), id, url, source))
            })
            .collect())
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
