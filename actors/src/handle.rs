//! The handles that the face of the library is built on: `Send + Sync`, for any executor.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll};

use actix::dev::ToEnvelope;
use actix::{Context, Handler, Message};
use longhaul_engine::event::Event;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome, Phase, Progress, Spec, TaskState};
use longhaul_persistence::{Change, Effect};
use tokio::sync::{mpsc, oneshot, watch};

pub use crate::attachment::Attachment;
use crate::feed::{self, Feed};
use crate::notifier::Refill;
use crate::registry::Apply;
use crate::root::{Doors, Request, ToOpen};
use crate::session::{
    Forgotten, GetOutcome, GetView, ListViews, SessionActor, SetWant, StartTasks,
};
use crate::slot::{Gone, SlotRef};
use crate::threads;
use crate::time::entropy;

/// How an engine is started.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The state directory; made with mode 0700 when it is missing.
    pub state_dir: PathBuf,
    /// Threads that run transfers; at least 2 are used.
    pub workers: usize,
}

/// Why an engine could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process owns the state directory.
    #[error("the state directory {path} is in use by process {pid}; stop it, or use another directory", pid = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()), path = path.display())]
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
    /// The store refused: there is no such task.
    #[error("there is no task {0} in this session")]
    NoSuchTask(TaskId),
    /// The store failed; the engine reopens it.
    #[error("the store failed: {0}")]
    Store(String),
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
    /// The request can not be made.
    #[error("{0}")]
    Invalid(String),
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

/// An open session.
#[derive(Clone)]
pub struct SessionHandle {
    engine: EngineHandle,
    id: SessionId,
    slot: SlotRef<SessionActor>,
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

    /// Opens a session, making it when it does not exist, and starts what was left running in it. A
    /// session that is open already is given as it is: its rules are frozen.
    ///
    /// # Errors
    /// When the engine has stopped, or the store fails.
    pub async fn open_session(
        &self,
        id: SessionId,
        rules: SessionRules,
    ) -> Result<SessionHandle, CallError> {
        let (reply, answer) = oneshot::channel();
        let wanted = ToOpen {
            id: id.clone(),
            rules: Box::new(rules),
            reply,
        };
        let request = Request::OpenSession(wanted);
        // Without a root the request is dropped, and the reply with it.
        let _ = self.requests.send(request);
        let Ok(slot) = answer.await else {
            return Err(self.gone().await);
        };
        Ok(SessionHandle {
            engine: self.clone(),
            id,
            slot: slot?,
        })
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

    /// Makes and starts tasks, all in one transaction; answers after the commit. With `adopt`
    /// an existing task of the same target and URL is taken over: its options are replaced, its
    /// bytes kept.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails; then none was started.
    pub async fn start(
        &self,
        specs: Vec<impl Into<Spec>>,
        adopt: bool,
    ) -> Result<Vec<Result<TaskId, RefusedStart>>, CallError> {
        // When an actor crashed before it answered, the tasks may stand in the store already: they
        // are then taken over instead of refused.
        let is_repeated = AtomicBool::new(false);
        let specs: Vec<Spec> = specs.into_iter().map(|it| named(it.into())).collect();
        let make = || {
            let adopt = is_repeated.swap(true, Ordering::Relaxed) || adopt;
            StartTasks {
                specs: specs.clone(),
                adopt,
            }
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
        match self.slot.call(make).await {
            Ok(answer) => answer,
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

    /// Events from now on, and every fact that was not acknowledged; of one task or of all.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn subscribe(&self, task: Option<TaskId>) -> Result<Subscription, CallError> {
        if self.engine.stopped.borrow().is_some() {
            return Err(self.engine.gone().await);
        }
        let feed = Feed::new(task);
        self.engine.doors.subscribers.add(&self.id, &feed);
        Ok(Subscription {
            session: self.clone(),
            feed,
        })
    }

    /// Says that a delegate of this session is there, for as long as the answer lives. A session
    /// without one belongs to an app that is away.
    pub fn attach(&self) -> Attachment {
        self.engine.doors.attachments.attach(&self.id)
    }

    /// Acknowledges facts up to and including this one: they are not told again, and tasks whose
    /// terminal fact is among them are forgotten. Answers after the commit.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails.
    pub async fn acknowledge(&self, up_to: Sequence) -> Result<(), CallError> {
        let change = Change::Acknowledge {
            session: self.id.clone(),
            up_to,
        };
        let make = || Apply(vec![change.clone()]);
        let Ok(answers) = self.engine.doors.registry.call(make).await else {
            return Err(self.engine.gone().await);
        };
        match answers.into_iter().next() {
            Some(Ok(Effect::Forgotten(forgotten))) => {
                if let Some(session) = self.slot.current() {
                    session.do_send(Forgotten(forgotten.tasks));
                }
                Ok(())
            }
            Some(Ok(_)) | None => Ok(()),
            Some(Err(error)) => Err(CallError::Store(error.to_string())),
        }
    }
}

/// A request to upload gets its name here: the same one when it is repeated after a crash.
fn named(mut spec: Spec) -> Spec {
    if let Spec::Upload(upload) = &mut spec {
        upload.request_id = u128::from(entropy()) << 64 | u128::from(entropy()) | 1;
    }
    spec
}

impl Subscription {
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
