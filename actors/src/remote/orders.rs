//! What handles want of the client's thread, in the order in which they want it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use longhaul_engine::conditions::Conditions;
use longhaul_engine::event::Event;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::task::Outcome;
use tokio::sync::{mpsc, oneshot};

use super::book::Fate;
use super::question::{Question, Unanswered};
use crate::local::CallError;

/// Who waits for the end of a task.
pub(super) type EndReply = oneshot::Sender<Result<Outcome, CallError>>;

/// One order. What is asked by one, and has to hold for those after it, holds them up.
#[derive(Debug)]
pub(super) enum Order {
    /// Ask until there is an answer.
    Ask {
        question: Question,
        reply: oneshot::Sender<Result<Vec<u8>, Unanswered>>,
    },
    /// The same, and the session is open then.
    Open {
        session: SessionId,
        question: Question,
        reply: oneshot::Sender<Result<Vec<u8>, Unanswered>>,
    },
    /// The last handle of a session is gone.
    Close(SessionId),
    /// The first delegate of a session came, or the last one went.
    Delegate(SessionId),
    /// Tell the end of a task.
    Wait {
        session: SessionId,
        task: TaskId,
        reply: EndReply,
    },
    /// Somebody waits for the end of this task no longer.
    ForgetWait { session: SessionId, task: TaskId },
    /// Tell the events of a session.
    Hear(Hear),
    /// Somebody begins to wait for refresh tasks, or nobody does any more.
    Listen,
    /// Tell what network and power are like.
    SetConditions(Conditions),
    /// Limit the bytes per second of all tasks.
    SetRateLimit(Option<u64>),
    /// The app came to the foreground.
    CameToForeground,
    /// Carry out what was ordered, and close.
    Shutdown,
}

/// A subscription, as the thread has to serve it.
#[derive(Debug)]
pub(super) struct Hear {
    pub(super) session: SessionId,
    pub(super) task: Option<TaskId>,
    /// The facts up to this one are known.
    pub(super) after: Sequence,
    /// It was made with a handle that owns the session.
    pub(super) is_owner: bool,
    pub(super) fate: Arc<Fate>,
    /// Where the events go; the stream is not read while it is full.
    pub(super) events: mpsc::Sender<Event>,
    pub(super) has_missed_news: Arc<AtomicBool>,
    /// Told once, when the daemon listens.
    pub(super) heard: Option<oneshot::Sender<Result<(), Unanswered>>>,
}
