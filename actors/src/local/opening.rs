//! Opening a session, and what shall be downloaded in it, as one step.

use std::sync::Arc;

use longhaul_engine::id::{Sequence, SessionId};
use longhaul_engine::session::SessionRules;
use tokio::sync::oneshot;

use super::{CallError, EngineHandle, SessionHandle, Subscription};
use crate::feed::{Feed, Reader};
use crate::ownership::Hold;
use crate::root::{Opened, Question, Request, ToOpen};
use crate::starting::{StartRequest, Starts, name_all};

/// A session that was opened with requests.
#[derive(Debug)]
pub struct OpenSession {
    /// The session.
    pub session: SessionHandle,
    /// Every fact that was not acknowledged, then all events from the first moment of its transfers.
    pub events: Subscription,
    /// What became of the requests, in their order.
    pub started: Starts,
}

impl EngineHandle {
    /// Opens a session, making it when it does not exist, and starts what was left running in it. It
    /// has these rules from then on: the transfers of one that runs with others record how far they
    /// are, and go on with the new ones. One that is being invalidated stays so.
    ///
    /// # Errors
    /// When a handle of it is alive, the engine has stopped, or the store fails.
    pub async fn open_session(
        &self,
        id: SessionId,
        rules: SessionRules,
    ) -> Result<SessionHandle, CallError> {
        let (session, _) = self.open(id, rules, Vec::new()).await?;
        Ok(session)
    }

    /// The same, and makes and starts downloads in it: they are committed in one transaction before
    /// any transfer of the session begins, so that what was left running goes on with the options of
    /// the request that takes it over, and never ends with those of before. In a session that runs
    /// with these rules already this is [`SessionHandle::start`]. Answers after the commit.
    ///
    /// # Errors
    /// When the engine has stopped, or the store fails; then it is not known what was started.
    pub async fn open_session_with(
        &self,
        id: SessionId,
        rules: SessionRules,
        requests: Vec<StartRequest>,
    ) -> Result<OpenSession, CallError> {
        let feed = Feed::new(None, Sequence::default(), Reader::Owner);
        self.doors.subscribers.add(&id, &feed);
        let (session, started) = self.open(id, rules, requests).await?;
        Ok(OpenSession {
            events: Subscription {
                session: session.clone(),
                feed: Arc::clone(&feed),
            },
            session,
            started,
        })
    }

    async fn open(
        &self,
        id: SessionId,
        rules: SessionRules,
        mut requests: Vec<StartRequest>,
    ) -> Result<(SessionHandle, Starts), CallError> {
        name_all(&mut requests);
        let (reply, answer) = oneshot::channel();
        let wanted = ToOpen {
            id: id.clone(),
            rules: Box::new(rules),
            requests,
            reply,
        };
        // Without a root the request is dropped, and the reply with it.
        let _ = self.requests.send(Request::Session(Question::Open(wanted)));
        let Ok(opened) = answer.await else {
            return Err(self.gone().await);
        };
        let Opened {
            slot,
            owner,
            started,
        } = opened?;
        let session = SessionHandle {
            engine: self.clone(),
            id,
            slot,
            hold: Hold::Owner(owner),
        };
        let started = match started {
            Ok(started) => started,
            Err(requests) if requests.is_empty() => Vec::new(),
            Err(requests) => session.start(requests).await?,
        };
        Ok((session, started))
    }
}
