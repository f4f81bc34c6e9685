//! Looking on: at all sessions of an engine, and at one that somebody else owns.

use futures_util::future::join_all;
use longhaul_engine::control::SessionDocument;
use longhaul_engine::id::SessionId;
use tokio::sync::oneshot;

use super::{CallError, EngineHandle, SessionHandle};
use crate::ownership::Hold;
use crate::registry::{Lives, ReadLives};
use crate::root::{Observed, Question, Request};
use crate::session::{CountTasks, TaskCounts};

/// Sessions asked at once: one read of the store tells of so many, and others get their turn between
/// two of them.
const SESSIONS_PAGE: usize = 128;

impl EngineHandle {
    /// A handle of a session that is open, or that goes on by itself, whoever owns it. It owns
    /// nothing: the session can be opened beside it, and it works on through restarts and when the
    /// session is opened again. Once the end of the session was acknowledged it says so.
    ///
    /// # Errors
    /// [`CallError::NoSuchSession`] when the engine does not know it, or when the engine has stopped.
    pub async fn observe(&self, session: &SessionId) -> Result<SessionHandle, CallError> {
        let (reply, answer) = oneshot::channel();
        let question = Question::Observe(session.clone(), reply);
        // Without a root the request is dropped, and the reply with it.
        let _ = self.requests.send(Request::Session(question));
        match answer.await {
            Ok(Some(observed)) => Ok(self.observer(observed)),
            Ok(None) => Err(CallError::NoSuchSession(session.clone())),
            Err(_) => Err(self.gone().await),
        }
    }

    /// Every session that is open, or that goes on by itself, in the order of their identifiers. No
    /// task is read for it.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails.
    pub async fn sessions(&self) -> Result<Vec<SessionDocument>, CallError> {
        let (reply, answer) = oneshot::channel();
        // Without a root the request is dropped, and the reply with it.
        let _ = self.requests.send(Request::Session(Question::List(reply)));
        let Ok(observed) = answer.await else {
            return Err(self.gone().await);
        };
        let sessions = observed.into_iter().map(|it| self.observer(it));
        let sessions: Vec<SessionHandle> = sessions.collect();
        let mut views = Vec::with_capacity(sessions.len());
        for page in sessions.chunks(SESSIONS_PAGE) {
            views.extend(self.views(page).await?);
        }
        Ok(views)
    }

    /// Views of sessions; those that are gone by now are left out.
    async fn views(&self, sessions: &[SessionHandle]) -> Result<Vec<SessionDocument>, CallError> {
        let ids = sessions.iter().map(|session| session.id.clone());
        let ask = ReadLives(ids.collect());
        let lives = match self.doors.registry.call(|| ask.clone()).await {
            Ok(lives) => lives.map_err(|error| CallError::Store(error.to_string()))?,
            Err(_) => return Err(self.gone().await),
        };
        let counts = join_all(sessions.iter().map(|it| it.ask(|| CountTasks))).await;
        let mut views = Vec::with_capacity(sessions.len());
        for ((session, lives), counts) in sessions.iter().zip(lives).zip(counts) {
            match (lives, counts) {
                (Some(lives), Ok(counts)) => views.push(session.shown(lives, counts)),
                (None, _) | (_, Err(CallError::Invalidated(_))) => {}
                (Some(_), Err(error)) => return Err(error),
            }
        }
        Ok(views)
    }

    fn observer(&self, observed: Observed) -> SessionHandle {
        let Observed { id, slot, life } = observed;
        SessionHandle {
            engine: self.clone(),
            id,
            slot,
            hold: Hold::Observer(life),
        }
    }
}

impl SessionHandle {
    /// The session as it is now, without reading a task.
    ///
    /// # Errors
    /// When its end was acknowledged already, the engine has stopped, or the store fails.
    pub async fn summary(&self) -> Result<SessionDocument, CallError> {
        if self.is_over() {
            return Err(self.invalidated());
        }
        let views = self.engine.views(std::slice::from_ref(self)).await?;
        views.into_iter().next().ok_or_else(|| self.invalidated())
    }

    fn shown(&self, lives: Lives, counts: TaskCounts) -> SessionDocument {
        let doors = &self.engine.doors;
        let is_attached = doors.attachments.is_attached(&self.id);
        let command = doors.refresh.command(&self.id);
        let refresh = doors.refresh.lock();
        // What is in memory is what the store has, and newer.
        let known = refresh.logs.get(&self.id).map(|calls| calls.log.clone());
        let (log, rules) = (known.unwrap_or(lives.launches), refresh.rules);
        drop(refresh);
        SessionDocument {
            session: self.id.clone(),
            state: lives.state,
            owner_pid: self.hold.life().is_owned().then(std::process::id),
            is_attended: is_attached || doors.subscribers.has_owner(&self.id),
            live_tasks: counts.live,
            ended_tasks: counts.ended,
            launches: log.document(&rules, command.as_ref(), self.engine.now()),
        }
    }
}
