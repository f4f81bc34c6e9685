//! The tasks that a script knows, and the engine beneath them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use longhaul::{
    AnyTask, Disposition, DownloadRequest, Engine, Error, Event, Events, Fact, NumberedFact,
    Outcome, Progress, ResumeData, ResumeRequest, ResumeUploadRequest, Sequence, Session,
    SessionConfiguration, TaskId, TaskSnapshot, TaskState, UploadRequest, UploadSnapshot,
};
use tokio::runtime::Runtime;
use tokio::time::timeout_at;

use crate::handle::Handle;

/// The tasks of a script. Its calls block until the engine has answered, which is when what they ask
/// for is recorded.
///
/// The end of a task is acknowledged when a callback of the script has heard of it, or when the
/// script that started it has come to its end without wanting to hear. Ends are acknowledged in their
/// order, so that of a task which nobody asked about is kept, and those behind it are told again.
#[derive(Debug)]
pub(crate) struct Tasks {
    runtime: Runtime,
    engine: Engine,
    session: Session,
    events: Events,
    known: BTreeMap<TaskId, Known>,
    /// Ends that are not acknowledged, in their order.
    ends: VecDeque<(Sequence, TaskId)>,
    /// Tasks that had ended when a callback was set.
    late: VecDeque<TaskId>,
}

/// A task that the script has an object of.
#[derive(Debug)]
struct Known {
    handle: Handle,
    outcome: Option<Outcome>,
    /// This script started it.
    is_ours: bool,
    ear: Ear,
    is_suspended: bool,
    /// A callback was told of its end.
    is_told: bool,
}

/// What the script wants to hear of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ear {
    /// No callback is set.
    Closed,
    /// One for progress is.
    Progress,
    /// One for the end is.
    End,
}

/// What the script is to be told next.
#[derive(Debug)]
pub(crate) enum News {
    /// How far a task is.
    Progressed(TaskId, Progress),
    /// A task has ended.
    Ended(TaskId, Outcome),
    /// Something that a person should know.
    Warning(String),
    /// It is time.
    Due,
}

impl Tasks {
    /// Opens the session.
    pub(crate) fn open(
        engine: Engine,
        configuration: SessionConfiguration,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let session = runtime.block_on(engine.session(configuration))?;
        let events = runtime.block_on(session.events())?;
        Ok(Self {
            runtime,
            engine,
            session,
            events,
            known: BTreeMap::new(),
            ends: VecDeque::new(),
            late: VecDeque::new(),
        })
    }

    /// `startDownload`
    pub(crate) fn start_download(&mut self, request: DownloadRequest) -> Result<TaskId, Error> {
        let task = self
            .runtime
            .block_on(self.session.start_download(request))?;
        Ok(self.started(Handle::Download(task)))
    }

    /// `resumeDownload`
    pub(crate) fn resume_download(&mut self, request: ResumeRequest) -> Result<TaskId, Error> {
        let resumed = self.session.resume_download_with(request);
        let task = self.runtime.block_on(resumed)?;
        Ok(self.started(Handle::Download(task)))
    }

    /// `startUpload`
    pub(crate) fn start_upload(&mut self, request: UploadRequest) -> Result<TaskId, Error> {
        let task = self.runtime.block_on(self.session.start_upload(request))?;
        Ok(self.started(Handle::Upload(task)))
    }

    /// `resumeUpload`
    pub(crate) fn resume_upload(&mut self, request: ResumeUploadRequest) -> Result<TaskId, Error> {
        let resumed = self.session.resume_upload_with(request);
        let task = self.runtime.block_on(resumed)?;
        Ok(self.started(Handle::Upload(task)))
    }

    /// `getDownloadTasks`
    pub(crate) fn download_tasks(&mut self) -> Result<Vec<TaskId>, Error> {
        let found = self.runtime.block_on(self.session.snapshot())?;
        let take =
            |it: TaskSnapshot| self.take_back(Handle::Download(it.task), it.state, it.outcome);
        Ok(found.into_iter().map(take).collect())
    }

    /// `getUploadTasks`
    pub(crate) fn upload_tasks(&mut self) -> Result<Vec<TaskId>, Error> {
        let found = self.runtime.block_on(self.session.upload_snapshots())?;
        let take =
            |it: UploadSnapshot| self.take_back(Handle::Upload(it.task), it.state, it.outcome);
        Ok(found.into_iter().map(take).collect())
    }

    fn started(&mut self, handle: Handle) -> TaskId {
        let id = handle.id();
        let known = Known {
            handle,
            outcome: None,
            is_ours: true,
            ear: Ear::Closed,
            is_suspended: false,
            is_told: false,
        };
        self.known.insert(id, known);
        id
    }

    fn take_back(&mut self, handle: Handle, state: TaskState, outcome: Option<Outcome>) -> TaskId {
        let id = handle.id();
        self.known.entry(id).or_insert(Known {
            handle,
            outcome,
            is_ours: false,
            ear: Ear::Closed,
            is_suspended: state == TaskState::Suspended,
            is_told: false,
        });
        id
    }

    /// `state`. A task that is forgotten, because its end was acknowledged, has ended.
    pub(crate) fn state(&self, id: TaskId) -> Result<TaskState, Error> {
        let state = self.runtime.block_on(self.handle(id)?.state());
        or_ended(state, TaskState::Completed)
    }

    /// `suspend`
    pub(crate) fn suspend(&mut self, id: TaskId) -> Result<(), Error> {
        or_ended(self.runtime.block_on(self.handle(id)?.suspend()), ())?;
        self.set_suspended(id, true);
        Ok(())
    }

    /// `resume`
    pub(crate) fn resume(&mut self, id: TaskId) -> Result<(), Error> {
        or_ended(self.runtime.block_on(self.handle(id)?.resume()), ())?;
        self.set_suspended(id, false);
        Ok(())
    }

    /// `cancel`
    pub(crate) fn cancel(&mut self, id: TaskId) -> Result<(), Error> {
        or_ended(self.runtime.block_on(self.handle(id)?.cancel()), ())?;
        self.set_suspended(id, false);
        Ok(())
    }

    /// `cancelByProducingResumeData`
    pub(crate) fn cancel_by_producing_resume_data(
        &mut self,
        id: TaskId,
    ) -> Result<Option<ResumeData>, Error> {
        let handle = self.handle(id)?;
        let produced = self
            .runtime
            .block_on(handle.cancel_by_producing_resume_data());
        let produced = or_ended(produced, None)?;
        self.set_suspended(id, false);
        Ok(produced)
    }

    /// A callback of a task was set or unset. One that is set after the end is still called.
    pub(crate) fn listen(&mut self, id: TaskId, ear: Ear) {
        if let Some(known) = self.known.get_mut(&id) {
            known.ear = ear;
            if ear == Ear::End && known.outcome.is_some() {
                self.late.push_back(id);
            }
        }
    }

    /// Whether anything may still happen that the script waits for.
    pub(crate) fn has_more(&self) -> bool {
        let is_live = |known: &Known| {
            known.outcome.is_none()
                && !known.is_suspended
                && (known.is_ours || known.ear != Ear::Closed)
        };
        !self.late.is_empty() || self.known.values().any(is_live)
    }

    /// Waits until something happens, or until this time; `None` when it is nothing to tell the
    /// script of.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> Result<Option<News>, Error> {
        if let Some((id, outcome)) = self.take_late() {
            return Ok(Some(News::Ended(id, outcome)));
        }
        let events = &mut self.events;
        let event = self.runtime.block_on(async {
            match until {
                Some(until) => timeout_at(until.into(), events.next()).await,
                None => Ok(events.next().await),
            }
        });
        match event {
            Ok(Some(event)) => self.take(event),
            Ok(None) => {
                self.runtime.block_on(self.engine.stopped())?;
                Err(Error::Stopped { reason: None })
            }
            Err(_) => Ok(Some(News::Due)),
        }
    }

    /// A callback has heard of this end.
    pub(crate) fn told(&mut self, id: TaskId) -> Result<(), Error> {
        if let Some(known) = self.known.get_mut(&id) {
            known.is_told = true;
        }
        self.acknowledge()
    }

    /// The script has come to its end: records how far everything is, and stops.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        for known in self.known.values_mut() {
            known.is_told |= known.is_ours && known.ear != Ear::End;
        }
        self.acknowledge()?;
        self.runtime.block_on(self.engine.shutdown());
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<Option<News>, Error> {
        match event {
            Event::Progress { task, progress } => Ok(Some(News::Progressed(task, progress))),
            Event::Fact(NumberedFact { sequence, fact }) => self.take_fact(sequence, fact),
            // Phases and offsets are no part of the document.
            _ => Ok(None),
        }
    }

    fn take_fact(&mut self, sequence: Sequence, fact: Fact) -> Result<Option<News>, Error> {
        match fact {
            Fact::Completed { task, outcome, .. } => {
                self.ends.push_back((sequence, task));
                let Some(known) = self.known.get_mut(&task) else {
                    return Ok(None);
                };
                if known.outcome.is_some() {
                    // It was found ended, and what is told of that is told already.
                    self.acknowledge()?;
                    return Ok(None);
                }
                known.outcome = Some(outcome.clone());
                Ok((known.ear == Ear::End).then_some(News::Ended(task, outcome)))
            }
            Fact::Challenged { task, .. } => self.reject(task),
            Fact::StateLost => Ok(Some(News::Warning(
                "the state directory was damaged and made anew; earlier tasks are lost".to_owned(),
            ))),
            Fact::BecameInvalid => Err(Error::Stopped {
                reason: Some("the session was invalidated".to_owned()),
            }),
        }
    }

    /// Ends a task that a server wants other credentials for: the document has no way to answer.
    fn reject(&self, id: TaskId) -> Result<Option<News>, Error> {
        let found = self.runtime.block_on(self.session.get_all_tasks())?;
        match found.into_iter().find(|task| task.id() == id) {
            Some(AnyTask::Download(task)) => {
                let disposition = Disposition::PerformDefaultHandling;
                let answer = self.runtime.block_on(task.answer_challenge(disposition));
                or_ended(answer, ())?;
                Ok(None)
            }
            Some(AnyTask::Upload(task)) => {
                or_ended(self.runtime.block_on(task.cancel()), ())?;
                Ok(Some(News::Warning(format!(
                    "upload {id} is cancelled: the server wants other credentials than those that \
                     it was given"
                ))))
            }
            // It has ended and is acknowledged.
            _ => Ok(None),
        }
    }

    fn take_late(&mut self) -> Option<(TaskId, Outcome)> {
        let id = self.late.pop_front()?;
        let outcome = self.known.get(&id)?.outcome.clone()?;
        Some((id, outcome))
    }

    fn acknowledge(&mut self) -> Result<(), Error> {
        let mut last = None;
        while let Some((sequence, id)) = self.ends.front()
            && self.known.get(id).is_some_and(|known| known.is_told)
        {
            last = Some(*sequence);
            self.ends.pop_front();
        }
        match last {
            Some(sequence) => self.runtime.block_on(self.session.acknowledge(sequence)),
            None => Ok(()),
        }
    }

    fn handle(&self, id: TaskId) -> Result<&Handle, Error> {
        let known = self.known.get(&id).ok_or(Error::NoSuchTask(id))?;
        Ok(&known.handle)
    }

    fn set_suspended(&mut self, id: TaskId, is_suspended: bool) {
        if let Some(known) = self.known.get_mut(&id) {
            known.is_suspended = is_suspended;
        }
    }
}

/// The answer about a task, or this one when its end was acknowledged and it is forgotten.
fn or_ended<T>(answer: Result<T, Error>, ended: T) -> Result<T, Error> {
    match answer {
        Err(Error::NoSuchTask(_)) => Ok(ended),
        answer => answer,
    }
}
