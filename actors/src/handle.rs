//! The handles that the face of the library is built on: `Send + Sync`, for any executor. What they
//! stand for lives in this process or in another one, and answers the same.

mod looking;
mod session;

use std::task::{Context, Poll};

use longhaul_engine::conditions::Conditions;
use longhaul_engine::event::Event;
use longhaul_engine::id::SessionId;
use longhaul_engine::launch::LaunchReason;
use longhaul_engine::session::SessionRules;
use longhaul_engine::time::Timestamp;

#[cfg(feature = "test-util")]
pub use crate::local::VirtualClock;
pub use crate::local::{
    CallError, EngineOptions, RefusedStart, ResumeOptions, ResumedTask, StartError, StartRequest,
    Starts, TaskView,
};
pub use crate::remote::{ConnectError, ConnectOptions, DaemonOptions};
use crate::{local, remote};

/// Asks whichever of the two it is.
macro_rules! either {
    ($it:expr, $kind:ident, $inner:ident => $answer:expr) => {
        match $it {
            $kind::Local($inner) => $answer,
            $kind::Remote($inner) => $answer,
        }
    };
}
use either;

/// A running engine. Cloning it gives another handle of the same one; when the last is dropped, and
/// every session's too, the engine stops in good order, or the client of one in another process is
/// closed.
#[derive(Clone, Debug)]
pub enum EngineHandle {
    /// It runs in this process.
    Local(local::EngineHandle),
    /// It runs in another one.
    Remote(remote::EngineHandle),
}

/// An open session. All handles of it, and of its tasks and subscriptions, are one owner: while one
/// of them lives the session can not be opened again.
#[derive(Clone, Debug)]
pub enum SessionHandle {
    /// Its engine runs in this process.
    Local(local::SessionHandle),
    /// It runs in another one.
    Remote(remote::SessionHandle),
}

/// A stream of events; see [`Subscription::poll_next`].
#[derive(Debug)]
pub enum Subscription {
    /// Its engine runs in this process.
    Local(local::Subscription),
    /// It runs in another one.
    Remote(remote::Subscription),
}

/// A delegate is attached to a session for as long as this lives.
#[derive(Debug)]
#[must_use = "the delegate is detached when this is dropped"]
pub enum Attachment {
    /// To one of this process.
    Local(local::Attachment),
    /// To one of another process.
    Remote(remote::Attachment),
}

/// The engine's call to an app that was away. Dropping it is no completion: it expires then, and the
/// app is called again.
#[derive(Debug)]
#[must_use = "the app is called again until the task is completed"]
pub enum RefreshTask {
    /// By the engine of this process.
    Local(local::RefreshTask),
    /// By that of another one.
    Remote(remote::RefreshTask),
}

/// A session that was opened with requests.
#[derive(Debug)]
pub struct OpenSession {
    /// The session.
    pub session: SessionHandle,
    /// Every fact that was not acknowledged, then all events; in this process from the first moment of
    /// its transfers.
    pub events: Subscription,
    /// What became of the requests, in their order.
    pub started: Starts,
}

impl EngineHandle {
    /// Starts an engine on threads of its own and returns once its store is open. It blocks for
    /// that time and may be called from anywhere, also within a tokio runtime.
    ///
    /// # Errors
    /// When the directory is owned by another process, or can not be used.
    pub fn start(options: EngineOptions) -> Result<Self, StartError> {
        local::EngineHandle::start(options).map(Self::Local)
    }

    /// Connects to an engine in another process, on a thread of its own.
    ///
    /// # Errors
    /// When nobody answers at the socket, or not in this version's words; it is tried once.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        let connected = remote::EngineHandle::connect(options).await;
        connected.map(Self::Remote)
    }

    /// Records every transfer's progress, stops all and frees the state directory; within 2 s. A client
    /// of an engine in another process is closed, and nothing else changes.
    pub async fn shutdown(&self) {
        either!(self, Self, engine => engine.shutdown().await);
    }

    /// Stops the engine in good order, in whatever process it runs, for all of its apps.
    ///
    /// # Errors
    /// When one in another process fails.
    pub async fn stop_daemon(&self) -> Result<(), CallError> {
        match self {
            Self::Local(engine) => {
                engine.shutdown().await;
                Ok(())
            }
            Self::Remote(engine) => engine.stop_daemon().await,
        }
    }

    /// Waits until the engine has stopped, or the client was closed; `Some` reason when it gave up by
    /// itself.
    pub async fn stopped(&self) -> Option<String> {
        either!(self, Self, engine => engine.stopped().await)
    }

    /// Says that a delegate of this session is there, before it is opened: what its tasks ask when
    /// they go on is asked of it.
    pub fn attach(&self, session: &SessionId) -> Attachment {
        match self {
            Self::Local(engine) => Attachment::Local(engine.attach(session)),
            Self::Remote(engine) => Attachment::Remote(engine.attach(session)),
        }
    }

    /// Opens a session, making it when it does not exist, and starts what was left running in it. One
    /// that is being invalidated stays so.
    ///
    /// # Errors
    /// When it has an owner, the engine has stopped or is not reachable, or the store fails.
    pub async fn open_session(
        &self,
        id: SessionId,
        rules: SessionRules,
    ) -> Result<SessionHandle, CallError> {
        match self {
            Self::Local(engine) => {
                let opened = engine.open_session(id, rules).await;
                opened.map(SessionHandle::Local)
            }
            Self::Remote(engine) => {
                let opened = engine.open_session(id, rules).await;
                opened.map(SessionHandle::Remote)
            }
        }
    }

    /// The same, and makes and starts tasks in it: they are committed in one transaction before any
    /// transfer of the session begins. Answers after the commit.
    ///
    /// # Errors
    /// As [`EngineHandle::open_session`]; then it is not known what was started.
    pub async fn open_session_with(
        &self,
        id: SessionId,
        rules: SessionRules,
        requests: Vec<StartRequest>,
    ) -> Result<OpenSession, CallError> {
        match self {
            Self::Local(engine) => {
                let opened = engine.open_session_with(id, rules, requests).await?;
                Ok(OpenSession {
                    session: SessionHandle::Local(opened.session),
                    events: Subscription::Local(opened.events),
                    started: opened.started,
                })
            }
            Self::Remote(engine) => {
                let opened = engine.open_session_with(id, rules, requests).await?;
                Ok(OpenSession {
                    session: SessionHandle::Remote(opened.session),
                    events: Subscription::Remote(opened.events),
                    started: opened.started,
                })
            }
        }
    }

    /// The next call of an app that was away; `None` when the engine has stopped. Apps are called
    /// while somebody waits here, and within their budget.
    pub async fn next_refresh_task(&self) -> Option<RefreshTask> {
        match self {
            Self::Local(engine) => engine.next_refresh_task().await.map(RefreshTask::Local),
            Self::Remote(engine) => engine.next_refresh_task().await.map(RefreshTask::Remote),
        }
    }

    /// A person brought the app to the foreground: its next call has no delay of its own.
    pub fn app_came_to_foreground(&self) {
        either!(self, Self, engine => engine.app_came_to_foreground());
    }

    /// Tells that the app is in the background from now on, or is not any more: tasks that are made
    /// in the background are discretionary for their whole life (Foundation: `isDiscretionary`).
    pub fn set_background(&self, is_background: bool) {
        either!(self, Self, engine => engine.set_background(is_background));
    }

    /// Sets by hand what network and power are like; for what is `None` the source is believed. It
    /// is forgotten when the engine stops.
    pub fn set_conditions(&self, conditions: Conditions) {
        either!(self, Self, engine => engine.set_conditions(conditions));
    }

    /// What network and power are like, as far as is known: nobody looks before a task asks for it.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        either!(self, Self, engine => engine.conditions())
    }

    /// Sets the bytes per second of all tasks together, from now on; `None` lifts the limit. It is
    /// forgotten when the engine stops.
    pub fn set_rate_limit(&self, bytes_per_second: Option<u64>) {
        either!(self, Self, engine => engine.set_rate_limit(bytes_per_second));
    }
}

impl Subscription {
    /// Whether news were missed since this was asked last, because there was no room for them, the
    /// one who tells crashed, or the connection to it was lost.
    #[must_use]
    pub fn take_missed_news(&self) -> bool {
        either!(self, Self, events => events.take_missed_news())
    }

    /// The next event; `None` when the engine has stopped or the session is no more. A subscription of
    /// one task ends after its terminal fact.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        either!(self, Self, events => events.poll_next(context))
    }
}

impl RefreshTask {
    /// Which session has something to tell.
    #[must_use]
    pub const fn session_identifier(&self) -> &SessionId {
        either!(self, Self, task => task.session_identifier())
    }

    /// Why the app is called.
    #[must_use]
    pub const fn reason(&self) -> LaunchReason {
        either!(self, Self, task => task.reason())
    }

    /// When it expires: the app is then called again, as soon as the budget allows.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        either!(self, Self, task => task.expires_at())
    }

    /// Says that every event was handled; answers when that is recorded.
    ///
    /// # Errors
    /// [`CallError::RefreshExpired`] when it comes too late, [`CallError::Stopped`] when the engine
    /// has stopped.
    pub async fn set_task_completed(self) -> Result<(), CallError> {
        either!(self, Self, task => task.set_task_completed().await)
    }
}
