//! Looking on: at all sessions of an engine, and at one that somebody else owns.

use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::SessionDocument;
use longhaul_engine::id::{Sequence, SessionId, TaskId};

use super::{CallError, EngineHandle, SessionHandle, Subscription, either};

impl EngineHandle {
    /// A handle of a session that is open, or that goes on by itself, whoever owns it. It owns
    /// nothing: the session can be opened beside it, and it works on through restarts and when the
    /// session is opened again. Once the end of the session was acknowledged it says so.
    ///
    /// # Errors
    /// [`CallError::NoSuchSession`] when the engine does not know it, or when the engine has stopped or
    /// is not reachable.
    pub async fn observe(&self, session: &SessionId) -> Result<SessionHandle, CallError> {
        match self {
            Self::Local(engine) => engine.observe(session).await.map(SessionHandle::Local),
            Self::Remote(engine) => engine.observe(session).await.map(SessionHandle::Remote),
        }
    }

    /// Every session that is open, or that goes on by itself, in the order of their identifiers. No
    /// task is read for it.
    ///
    /// # Errors
    /// When the engine has stopped, is not reachable or the store fails.
    pub async fn sessions(&self) -> Result<Vec<SessionDocument>, CallError> {
        either!(self, Self, engine => engine.sessions().await)
    }

    /// What network and power are like, as soon as that is something else than `known`; `None` when
    /// the engine has stopped. Nothing is missed between two calls, but what came and went.
    pub async fn conditions_changed(&self, known: Conditions) -> Option<Conditions> {
        either!(self, Self, engine => engine.conditions_changed(known).await)
    }
}

impl SessionHandle {
    /// The session as it is now, without reading a task.
    ///
    /// # Errors
    /// When its end was acknowledged already, the engine has stopped or is not reachable, or the store
    /// fails.
    pub async fn summary(&self) -> Result<SessionDocument, CallError> {
        either!(self, Self, session => session.summary().await)
    }

    /// As [`SessionHandle::subscribe`], without the facts up to and including `after`, because they
    /// were heard. The subscription of an observer is nobody who listens: the app is called as if it
    /// were not there.
    ///
    /// # Errors
    /// As [`SessionHandle::subscribe`].
    pub async fn subscribe_after(
        &self,
        task: Option<TaskId>,
        after: Sequence,
    ) -> Result<Subscription, CallError> {
        match self {
            Self::Local(session) => {
                let subscribed = session.subscribe_after(task, after).await;
                subscribed.map(Subscription::Local)
            }
            Self::Remote(session) => {
                let subscribed = session.subscribe_after(task, after).await;
                subscribed.map(Subscription::Remote)
            }
        }
    }
}
