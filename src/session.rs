//! A session: a named group of tasks, found again by its name.

mod uploads;

use longhaul_actors::handle::SessionHandle;
use longhaul_engine::id::{Sequence, TaskId};
use longhaul_engine::task::DownloadSpec;

use crate::{DownloadRequest, DownloadTask, Error, Events, TaskSnapshot};

/// An open session. Cloning gives another handle of the same session.
#[derive(Clone, Debug)]
pub struct Session {
    handle: SessionHandle,
}

impl Session {
    pub(crate) const fn new(handle: SessionHandle) -> Self {
        Self { handle }
    }

    /// The name under which it is found again.
    #[must_use]
    pub fn identifier(&self) -> &str {
        self.handle.id().as_str()
    }

    /// Makes a task and starts it. It answers after the commit: from then on the task exists until
    /// it has ended and its end was acknowledged, through crashes of any kind.
    ///
    /// # Errors
    /// [`Error::TargetInUse`] when a live task writes the same target, [`Error::Invalid`],
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn start_download(&self, request: DownloadRequest) -> Result<DownloadTask, Error> {
        let mut results = self.start_downloads(vec![request]).await?;
        results
            .pop()
            .unwrap_or_else(|| Err(Error::Store("it gave no answer".to_owned())))
    }

    /// Makes and starts many tasks in one transaction, which costs little more than one of them.
    /// There is one result for each request, in their order; a refused one does not hinder the
    /// others. Those that [adopt](DownloadRequest::adopt_existing) are a transaction of their own.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`]: then it is not known which tasks were made, and
    /// starting the same ones again with [`DownloadRequest::adopt_existing`] is the way on.
    pub async fn start_downloads(
        &self,
        requests: Vec<DownloadRequest>,
    ) -> Result<Vec<Result<DownloadTask, Error>>, Error> {
        let mut results = Vec::new();
        results.resize_with(requests.len(), || None);
        let mut groups = [(true, Vec::new()), (false, Vec::new())];
        for (place, request) in requests.into_iter().enumerate() {
            let group = usize::from(!request.adopts);
            groups[group].1.push((place, request.spec));
        }
        for (adopts, group) in groups {
            for (place, result) in self.start_group(group, adopts).await? {
                results[place] = Some(result);
            }
        }
        let missing = || Err(Error::Store("it gave no answer for one task".to_owned()));
        Ok(results
            .into_iter()
            .map(|result| result.unwrap_or_else(missing))
            .collect())
    }

    async fn start_group(
        &self,
        group: Vec<(usize, DownloadSpec)>,
        adopts: bool,
    ) -> Result<Vec<(usize, Result<DownloadTask, Error>)>, Error> {
        if group.is_empty() {
            return Ok(Vec::new());
        }
        let mut named = Vec::with_capacity(group.len());
        let mut specs = Vec::with_capacity(group.len());
        for (place, spec) in group {
            named.push((place, spec.url.clone(), spec.destination.clone()));
            specs.push(spec);
        }
        let answers = self.handle.start(specs, adopts).await?;
        let task = |(place, url, destination), answer: Result<TaskId, _>| {
            let result = answer.map_err(Error::from);
            let handle = self.handle.clone();
            (
                place,
                result.map(|id| DownloadTask::new(handle, id, url, destination)),
            )
        };
        Ok(named
            .into_iter()
            .zip(answers)
            .map(|(named, answer)| task(named, answer))
            .collect())
    }

    /// Every download of the session that is not forgotten, in the order of their numbers: also those
    /// of earlier processes, and those that have ended and were not acknowledged.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn get_download_tasks(&self) -> Result<Vec<DownloadTask>, Error> {
        let snapshots = self.snapshot().await?;
        Ok(snapshots
            .into_iter()
            .map(|snapshot| snapshot.task)
            .collect())
    }

    /// All downloads as [`Session::get_download_tasks`] gives them, each with its state at one moment:
    /// one question instead of one for each task.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn snapshot(&self) -> Result<Vec<TaskSnapshot>, Error> {
        let views = self.handle.tasks().await?;
        Ok(views
            .into_iter()
            .filter_map(|view| TaskSnapshot::of_download(&self.handle, view))
            .collect())
    }

    /// The events of all tasks: every fact that was not acknowledged, also from earlier processes,
    /// then whatever happens from now on. The stream ends when the engine stops.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn events(&self) -> Result<Events, Error> {
        Ok(Events::new(self.handle.subscribe(None).await?))
    }

    /// Says that the facts up to and including this one were taken care of: they are not told
    /// again, and tasks that ended in one of them are forgotten. It answers after the commit.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn acknowledge(&self, up_to: Sequence) -> Result<(), Error> {
        Ok(self.handle.acknowledge(up_to).await?)
    }
}
