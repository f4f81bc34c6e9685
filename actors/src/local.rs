//! The handles that the face of the library is built on: `Send + Sync`, for any executor.

mod challenge;
mod drained;
mod facts;
mod life;
mod observing;
mod opening;
mod options;
mod refresh;
mod resuming;
mod scheduling;
mod serving;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll};

use actix::dev::ToEnvelope;
use actix::{Context, Handler, Message};
use longhaul_engine::event::Event;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::resume_data::ResumeDataError;
use longhaul_engine::task::{Desired, Outcome, Phase, Progress, Spec, TaskState};
use longhaul_engine::time::Timestamp;
use longhaul_engine::why::RateDelay;
use tokio::sync::{mpsc, watch};

pub use self::options::EngineOptions;
pub use crate::attachment::Attachment;
use crate::feed::{self, Feed};
use crate::notifier::Refill;
use crate::ownership::Hold;
pub use crate::refresh::{RefreshScope, RefreshTask};
use crate::root::{Doors, Request};
use crate::session::{GetOutcome, GetView, ListViews, SessionActor, SetWant, StartTasks};
use crate::slot::{Gone, SlotRef};
use crate::starting::{adopt_all, name_all};
use crate::threads;
#[cfg(feature = "test-util")]
pub use crate::time::VirtualClock;

pub use self::opening::OpenSession;
pub use self::resuming::{ResumeAs, ResumeOptions, ResumedTask, Resuming};
pub use self::serving::{process_id, random_number};
pub use crate::starting::{StartRequest, Starts};

/// Why an engine could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process owns the state directory.
    #[error("the state directory {path} is in use by process {pid}; stop it, or use another directory", pid = shown(*pid), path = path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The owner, when it could be read.
        pid: Option<u32>,
    },
    /// The state directory or the store in it can not be used; the text names the file.
    #[error("{0}")]
    State(String),
    /// The engine's threads could not be started.
    #[error("the engine's threads could not be started: {0}")]
    Threads(String),
}

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The engine has stopped: by its owner, or because its restart budget is spent.
    #[error("the engine has stopped{}", reason.as_ref().map_or_else(String::new, |r| format!(": {r}")))]
    Stopped {
        /// Why, when it was not its owner's wish.
        reason: Option<String>,
    },
    /// A handle of this session's owner is alive.
    #[error("the session \"{session}\" is open already in process {pid}", pid = shown(*pid))]
    SessionInUse {
        /// The session.
        session: SessionId,
        /// The owner's process, when it is known.
        pid: Option<u32>,
    },
    /// The engine does not know this session: it was not opened since the engine started, and does
    /// not go on by itself.
    #[error("there is no session \"{0}\"; open it first")]
    NoSuchSession(SessionId),
    /// The engine runs in another process, which does not answer; the text says where and why.
    #[error("the daemon is not reachable: {0}; start it with `longhaul daemon`")]
    Unreachable(String),
    /// The session has ended, and its end was acknowledged.
    #[error("the session \"{0}\" was invalidated")]
    Invalidated(SessionId),
    /// The store refused: there is no such task.
    #[error("there is no task {0} in this session")]
    NoSuchTask(TaskId),
    /// A refresh task was completed too late: the app is called again.
    #[error("the refresh task has expired; the app is called again, complete that one in time")]
    RefreshExpired,
    /// The store refused what was asked, and the text says why.
    #[error("{0}")]
    Refused(String),
    /// The store failed; the engine reopens it.
    #[error("the store failed: {0}")]
    Store(String),
}

/// The number of a process, as far as it is known.
fn shown(pid: Option<u32>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

/// Why one download was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedStart {
    /// A live task writes this target already.
    #[error(
        "task {task} of session \"{session}\" writes this target already; wait for it or cancel it"
    )]
    TargetInUse {
        /// The session of the other task.
        session: SessionId,
        /// The other task.
        task: TaskId,
    },
    /// The session is being invalidated and takes no new tasks.
    #[error("the session \"{0}\" is being invalidated and takes no new tasks")]
    Invalidated(SessionId),
    /// The request can not be made.
    #[error("{0}")]
    Invalid(String),
    /// The resume data is of no use.
    #[error(transparent)]
    ResumeData(#[from] ResumeDataError),
}

/// A task as its session sees it at one moment.
#[derive(Clone, Debug)]
pub struct TaskView {
    /// Its number.
    pub id: TaskId,
    /// What was asked of it.
    pub spec: Box<Spec>,
    /// Its state.
    pub state: TaskState,
    /// What it does or waits for.
    pub phase: Phase,
    /// How far it is.
    pub progress: Progress,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// The rate limit that holds its bytes back now.
    pub slowed_by: Option<RateDelay>,
}

/// A running engine. Cloning it gives another handle of the same engine; when the last one is
/// dropped, and every session's too, the engine stops in good order.
#[derive(Clone)]
pub struct EngineHandle {
    requests: mpsc::UnboundedSender<Request>,
    doors: Doors,
    stopped: watch::Receiver<Option<Stopped>>,
}

/// How an engine ended.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    /// Why, when it was not its owner's wish.
    pub(crate) reason: Option<String>,
}

/// An open session. All handles of it that come of opening it, and of its tasks and subscriptions, are
/// one owner: while one of them lives the session can not be opened again. A handle of
/// [`EngineHandle::observe`] does the same and owns nothing.
#[derive(Clone)]
pub struct SessionHandle {
    engine: EngineHandle,
    id: SessionId,
    slot: SlotRef<SessionActor>,
    hold: Hold,
}

/// A stream of events; see [`Subscription::poll_next`].
pub struct Subscription {
    session: SessionHandle,
    feed: Arc<Feed>,
}

impl fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineHandle")
            .field("stopped", &*self.stopped.borrow())
            .finish()
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("session", &self.session.id)
            .finish_non_exhaustive()
    }
}

impl EngineHandle {
    /// Starts an engine on threads of its own and returns once its store is open. It blocks for
    /// that time and may be called from anywhere, also within a tokio runtime.
    ///
    /// # Errors
    /// When the directory is owned by another process, or can not be used.
    pub fn start(options: EngineOptions) -> Result<Self, StartError> {
        threads::start(options)
    }

    pub(crate) const fn new(
        requests: mpsc::UnboundedSender<Request>,
        doors: Doors,
        stopped: watch::Receiver<Option<Stopped>>,
    ) -> Self {
        Self {
            requests,
            doors,
            stopped,
        }
    }

    /// Records every transfer's progress, stops all and frees the state directory; within 2 s.
    pub async fn shutdown(&self) {
        // An engine that has stopped already takes no request, and that is what was asked.
        let _ = self.requests.send(Request::Shutdown);
        self.stopped().await;
    }

    /// Waits until the engine has stopped; `Some` reason when it gave up by itself.
    pub async fn stopped(&self) -> Option<String> {
        let mut stopped = self.stopped.clone();
        let ended = stopped.wait_for(Option::is_some).await;
        match ended.as_deref() {
            Ok(Some(stopped)) => stopped.reason.clone(),
            Ok(None) => None,
            Err(_) => Some("the engine's threads are gone".to_owned()),
        }
    }

    /// The directory that it owns.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.doors.identity.state_dir
    }

    /// When it was started, by its own clock.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.doors.identity.started_at
    }

    /// Says that a delegate of this session is there, before it is opened: what its tasks ask when
    /// they go on is asked of it.
    pub fn attach(&self, session: &SessionId) -> Attachment {
        self.doors.attachments.attach(session)
    }

    /// Why a call is not answered. The actors go before the engine has stopped and says why.
    async fn gone(&self) -> CallError {
        CallError::Stopped {
            reason: self.stopped().await,
        }
    }
}

impl SessionHandle {
    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        &self.id
    }

    /// Makes and starts downloads, all in one transaction; answers after the commit.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails; then it is not known which were started.
    pub async fn start(&self, mut requests: Vec<StartRequest>) -> Result<Starts, CallError> {
        // When an actor crashed before it answered, the tasks may stand in the store already: they
        // are then taken over instead of refused.
        let is_repeated = AtomicBool::new(false);
        name_all(&mut requests);
        let make = || {
            let mut requests = requests.clone();
            if is_repeated.swap(true, Ordering::Relaxed) {
                adopt_all(&mut requests);
            }
            StartTasks(requests)
        };
        self.ask(make).await
    }

    /// Asks the session's actor of now, or the next one.
    async fn ask<M, T>(&self, make: impl Fn() -> M) -> Result<T, CallError>
    where
        M: Message<Result = Result<T, CallError>> + Send + 'static,
        T: Send + 'static,
        SessionActor: Handler<M>,
        Context<SessionActor>: ToEnvelope<SessionActor, M>,
    {
        if self.is_over() {
            return Err(self.invalidated());
        }
        match self.slot.call(make).await {
            Ok(answer) => answer,
            Err(Gone) if self.is_over() => Err(self.invalidated()),
            Err(Gone) => Err(self.engine.gone().await),
        }
    }

    /// All tasks that are not forgotten, in the order of their numbers.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails.
    pub async fn tasks(&self) -> Result<Vec<TaskView>, CallError> {
        self.ask(|| ListViews).await
    }

    /// One task.
    ///
    /// # Errors
    /// When there is none of this number, the engine has stopped, or the store fails.
    pub async fn view(&self, task: TaskId) -> Result<TaskView, CallError> {
        self.ask(|| GetView(task)).await
    }

    /// Sets what the owner wants of a task; answers after the commit. Harmless to repeat; a task
    /// that has ended is left as it is.
    ///
    /// # Errors
    /// When there is none of this number, the engine has stopped, or the store fails.
    pub async fn want(&self, task: TaskId, desired: Desired) -> Result<(), CallError> {
        let make = || SetWant { task, desired };
        self.ask(make).await
    }

    /// Waits until a task has ended; answers at once when it has.
    ///
    /// # Errors
    /// When there is none of this number, the engine has stopped, or the store fails.
    pub async fn outcome(&self, task: TaskId) -> Result<Outcome, CallError> {
        self.ask(|| GetOutcome(task)).await
    }

    /// Says that a delegate of this session is there, for as long as the answer lives. A session
    /// without one belongs to an app that is away.
    pub fn attach(&self) -> Attachment {
        self.engine.attach(&self.id)
    }
}

impl Subscription {
    /// Whether news were missed since this was asked last, because there was no room for them or the
    /// one who tells crashed.
    #[must_use]
    pub fn take_missed_news(&self) -> bool {
        self.feed.take_missed_news()
    }

    /// The next event; `None` when the engine has stopped. A subscription of one task ends after
    /// its terminal fact.
    pub fn poll_next(&mut self, context: &mut task::Context<'_>) -> Poll<Option<Event>> {
        let polled = self.feed.poll(context);
        feed::into_poll(polled, |after| {
            let session = self.session.id.clone();
            let refill = Refill {
                session,
                after,
                feed: Arc::clone(&self.feed),
            };
            if let Some(notifier) = self.session.engine.doors.notifier.current() {
                notifier.do_send(refill);
            }
        })
    }
}
