//! A session as everybody may see it, and handles that only look on.

use longhaul_engine::control::{LaunchesDocument, SessionDocument};
use longhaul_engine::id::SessionId;
use longhaul_engine::launch::{LaunchCommand, LaunchReason};
use longhaul_engine::session::SessionState;
use longhaul_engine::time::Timestamp;

use super::Session;
use crate::{Engine, Error};

/// A session at one moment, as everybody may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// Its name.
    pub identifier: String,
    /// Where it is in its life.
    pub state: SessionState,
    /// The process that has it open, if one has.
    pub owner_pid: Option<u32>,
    /// Whether its app is there: a delegate is attached, or its owner reads its events. An app that
    /// is there is not called.
    pub is_attended: bool,
    /// Its tasks that have not ended.
    pub live_tasks: u64,
    /// Its tasks that have ended and were not acknowledged.
    pub ended_tasks: u64,
    /// How its app is called.
    pub launches: Launches,
}

/// The calls of a session's app: made, wanted, and when the next may be
/// ([`Engine::next_refresh_task`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Launches {
    /// What a daemon runs to call it, without the values of its environment.
    pub command: Option<LaunchCommand>,
    /// Why it is to be called, if it is.
    pub wanted: Option<LaunchReason>,
    /// It was called and has not completed its refresh task; it is called again after this time.
    pub open_until: Option<Timestamp>,
    /// The earliest time of the next call, when one is wanted or the budget holds it back.
    pub next_at: Option<Timestamp>,
    /// The last calls, the latest last.
    pub called_at: Vec<Timestamp>,
}

impl From<SessionDocument> for SessionSummary {
    fn from(document: SessionDocument) -> Self {
        let LaunchesDocument {
            command,
            wanted,
            open_until,
            next_at,
            called_at,
        } = document.launches;
        Self {
            identifier: document.session.as_str().to_owned(),
            state: document.state,
            owner_pid: document.owner_pid,
            is_attended: document.is_attended,
            live_tasks: document.live_tasks,
            ended_tasks: document.ended_tasks,
            launches: Launches {
                command,
                wanted,
                open_until,
                next_at,
                called_at,
            },
        }
    }
}

impl Engine {
    /// Every session that the engine runs, in the order of their names: those that were opened since
    /// it started, and with [`EngineBuilder::resume_sessions`](crate::EngineBuilder::resume_sessions)
    /// all that earlier processes left. It reads no task, however many there are.
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn sessions(&self) -> Result<Vec<SessionSummary>, Error> {
        let sessions = self.handle.sessions().await?;
        Ok(sessions.into_iter().map(SessionSummary::from).collect())
    }

    /// A handle of a session that owns nothing, whoever has it open: it does all that the owner's does,
    /// but the session can be opened beside it, its events are heard by somebody who only looks on, so
    /// that the app is called all the same, and its delegate is one more beside the owner's. It works on
    /// when the session is closed and opened again.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the identifier can be none, [`Error::NoSuchSession`] when the engine does
    /// not run such a session ([`Engine::sessions`]), [`Error::Stopped`] or [`Error::Store`].
    pub async fn observe(&self, identifier: &str) -> Result<Session, Error> {
        let id = SessionId::new(identifier)?;
        Ok(Session::new(self.handle.observe(&id).await?))
    }
}

impl Session {
    /// The session as everybody may see it now.
    ///
    /// # Errors
    /// [`Error::Invalidated`] once the session's end was acknowledged, [`Error::Stopped`] or
    /// [`Error::Store`].
    pub async fn summary(&self) -> Result<SessionSummary, Error> {
        Ok(self.link().summary().await?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;
    use crate::{DownloadRequest, SessionConfiguration};

    #[test]
    fn sessions_are_seen_with_their_owner_and_their_tasks_and_are_looked_at_without_owning() {
        block_on(async {
            let dir = tempfile::TempDir::new().unwrap();
            let engine = Engine::builder(dir.path().join("state")).start().unwrap();
            let none = engine.observe("b").await.unwrap_err();
            assert!(matches!(none, Error::NoSuchSession { .. }), "{none:?}");
            let open = |name: &str| engine.session(SessionConfiguration::new(name).unwrap());
            let (b, a) = (open("b").await.unwrap(), open("a").await.unwrap());
            let request = DownloadRequest::new("http://h/x", dir.path().join("x")).unwrap();
            b.download_task(request).await.unwrap();
            let events = a.events().await.unwrap();

            let sessions = engine.sessions().await.unwrap();
            let seen = |it: &SessionSummary| (it.identifier.clone(), it.live_tasks, it.is_attended);
            let expected = [("a".to_owned(), 0, true), ("b".to_owned(), 1, false)];
            assert_eq!(sessions.iter().map(seen).collect::<Vec<_>>(), expected);
            let pid = Some(std::process::id());
            assert!(sessions.iter().all(|it| it.owner_pid == pid));
            assert_eq!(sessions[1], b.summary().await.unwrap());

            drop((a, b, events));
            let observer = engine.observe("b").await.unwrap();
            assert_eq!(observer.get_download_tasks().await.unwrap().len(), 1);
            let looked_at = observer.events().await.unwrap();
            let summary = observer.summary().await.unwrap();
            assert_eq!((summary.owner_pid, summary.is_attended), (None, false));
            let opened = open("b").await.unwrap();
            assert_eq!(observer.summary().await.unwrap().owner_pid, pid);
            drop((opened, looked_at));
        });
    }
}
