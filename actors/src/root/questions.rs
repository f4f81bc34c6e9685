//! What the handles ask of the root, and what it answers.

use std::sync::Arc;

use longhaul_engine::id::SessionId;
use longhaul_engine::session::SessionRules;
use tokio::sync::oneshot;

use crate::local::CallError;
use crate::ownership::{Life, Owner};
use crate::session::SessionActor;
use crate::slot::SlotRef;
use crate::starting::{StartRequest, Starts};

/// What the handles ask of the root.
pub(crate) enum Request {
    /// Something about sessions.
    Session(Question),
    /// Stop in good order.
    Shutdown,
}

/// What the handles ask about sessions.
pub(crate) enum Question {
    /// Open one, or find it open.
    Open(ToOpen),
    /// Find one that is there, for who looks on.
    Observe(SessionId, oneshot::Sender<Option<Observed>>),
    /// Find all of them.
    List(oneshot::Sender<Vec<Observed>>),
}

/// A session that somebody waits for.
pub(crate) struct ToOpen {
    pub(crate) id: SessionId,
    pub(crate) rules: Box<SessionRules>,
    /// What to start in it.
    pub(crate) requests: Vec<StartRequest>,
    pub(crate) reply: oneshot::Sender<Result<Opened, CallError>>,
}

/// A session that somebody waited for.
pub(crate) struct Opened {
    pub(crate) slot: SlotRef<SessionActor>,
    /// What makes its handles its owner.
    pub(crate) owner: Arc<Owner>,
    /// What became of the requests; or they themselves, when the session was open already: it is
    /// asked then.
    pub(crate) started: Result<Starts, Vec<StartRequest>>,
}

/// A session that somebody looks on at.
pub(crate) struct Observed {
    pub(crate) id: SessionId,
    pub(crate) slot: SlotRef<SessionActor>,
    pub(crate) life: Arc<Life>,
}
