//! What is asked of a session.

use longhaul_engine::control::{
    Acknowledge, AtRoot, AtSession, GetSession, InvalidateSession, IsDrained, ListSessions,
    Problem, SessionDocument, SetSessionRateLimit,
};

use crate::control::dispatch::Answered;
use crate::control::{Control, Inner, problems};
use crate::options;

impl Answered for ListSessions {
    async fn answer(
        self,
        control: Control,
        AtRoot: AtRoot,
    ) -> Result<Vec<SessionDocument>, Problem> {
        let inner = &control.inner;
        let sessions = inner.engine.sessions().await.map_err(problems::of_call)?;
        Ok(sessions
            .into_iter()
            .map(|it| inner.with_owner(it))
            .collect())
    }
}

impl Answered for GetSession {
    async fn answer(
        self,
        control: Control,
        AtSession(session): AtSession,
    ) -> Result<SessionDocument, Problem> {
        let inner = &control.inner;
        let document = inner.observe(&session).await?.summary().await;
        Ok(inner.with_owner(document.map_err(problems::of_call)?))
    }
}

impl Inner {
    /// With the owner that this process only serves.
    fn with_owner(&self, document: SessionDocument) -> SessionDocument {
        let owner = self.clients.owner(&document.session);
        SessionDocument {
            owner_pid: owner.map_or(document.owner_pid, |owner| owner.pid()),
            ..document
        }
    }
}

impl Answered for InvalidateSession {
    async fn answer(self, control: Control, AtSession(session): AtSession) -> Result<(), Problem> {
        let session = control.inner.observe(&session).await?;
        let invalidated = session.invalidate(self.how).await;
        invalidated.map_err(problems::of_call)
    }
}

impl Answered for Acknowledge {
    async fn answer(self, control: Control, AtSession(session): AtSession) -> Result<(), Problem> {
        let session = control.inner.observe(&session).await?;
        let acknowledged = session.acknowledge(self.up_to).await;
        acknowledged.map_err(problems::of_call)
    }
}

impl Answered for IsDrained {
    async fn answer(
        self,
        control: Control,
        AtSession(session): AtSession,
    ) -> Result<bool, Problem> {
        let session = control.inner.observe(&session).await?;
        let is_drained = session.is_drained(self.heard).await;
        is_drained.map_err(problems::of_call)
    }
}

impl Answered for SetSessionRateLimit {
    async fn answer(self, control: Control, AtSession(session): AtSession) -> Result<(), Problem> {
        let rate = options::rate(self.bytes_per_second).map_err(problems::of_document)?;
        let session = control.inner.observe(&session).await?;
        let set = session.set_rate_limit(rate).await;
        set.map_err(problems::of_call)
    }
}
