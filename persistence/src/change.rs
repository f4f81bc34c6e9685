//! What can be asked of the store, and what it answers.

use longhaul_engine::checkpoint::{Part, TaskCheckpoint};
use longhaul_engine::event::NumberedFact;
use longhaul_engine::failure::Failure;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::metrics::TaskMetrics;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome, Spec};
use longhaul_engine::time::Timestamp;

/// One change of the store. [`Store::commit`](crate::Store::commit) makes any number of them
/// durable at once and answers each by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Makes a session, or replaces the configuration of one. Answers [`Effect::Done`].
    PutSession {
        /// Its name.
        id: SessionId,
        /// Its configuration.
        rules: Box<SessionRules>,
    },
    /// Makes a task and claims its destination. Answers [`Effect::Registered`], or
    /// [`Effect::Adopted`] when `adopt` found one.
    Register {
        /// Its session, which must exist.
        session: SessionId,
        /// What to transfer.
        spec: Box<Spec>,
        /// What its owner wants of it.
        desired: Desired,
        /// The time of the request.
        created_at: Timestamp,
        /// Take the task of this session that claimed the same destination last, running or ended,
        /// when it is for the same URL: its progress and its age stay, all other options become
        /// those of `spec`, and `desired` too unless it has ended. One that failed is not taken: a
        /// new task gets its progress.
        adopt: bool,
    },
    /// Sets what the owner of a task wants of it. Answers [`Effect::Done`].
    SetDesired {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// What is wanted.
        desired: Desired,
    },
    /// Replaces what is known of a task's progress. Answers [`Effect::Done`].
    Record {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// Its progress.
        checkpoint: Box<TaskCheckpoint>,
    },
    /// Ends a task: its outcome is set, its progress and its claim are dropped and a fact is added
    /// to the session's log, all or nothing. Answers [`Effect::Closed`].
    Close {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// How it ended.
        outcome: Outcome,
        /// What it took.
        metrics: Option<Box<TaskMetrics>>,
    },
    /// Drops the facts up to a number, and the tasks that they ended. Doing it again changes
    /// nothing. Answers [`Effect::Forgotten`].
    Acknowledge {
        /// The session.
        session: SessionId,
        /// The last fact that its owner has taken.
        up_to: Sequence,
    },
    /// Drops an ended task and its fact, if that was not acknowledged yet. Answers
    /// [`Effect::Forgotten`].
    Forget {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
    },
    /// Drops a session with all its ended tasks and its facts. A later session of this name starts
    /// its log anew. Answers [`Effect::Forgotten`].
    RemoveSession {
        /// The session.
        session: SessionId,
    },
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What was asked, and there is nothing to tell.
    Done,
    /// A new task of this number.
    Registered(TaskId),
    /// This task, which was there before.
    Adopted {
        /// Its number.
        task: TaskId,
        /// Its options are others now: what runs for it runs with the old ones.
        is_changed: bool,
    },
    /// The task has ended; this fact says so.
    Closed(NumberedFact),
    /// What is gone.
    Forgotten(Forgotten),
}

/// Tasks that the store does not know any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Their numbers, in the order of their facts or numbers.
    pub tasks: Vec<TaskId>,
    /// The part files that failed tasks among them had kept: nobody else will remove them.
    pub parts: Vec<Part>,
}

/// Why a change was not made. Nothing of it is stored; the other changes of its commit are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no session of this name.
    #[error("there is no session \"{0}\"; open it first")]
    NoSuchSession(SessionId),
    /// There is no such task: it never was, or its end was acknowledged.
    #[error("there is no such task; it may have ended and been acknowledged")]
    NoSuchTask,
    /// The task has ended like this, and an end never changes.
    #[error("the task has ended already")]
    Ended(Box<Outcome>),
    /// A task that has not ended writes to the same destination.
    #[error(
        "task {task} of session \"{session}\" writes to this destination; wait for it or cancel it"
    )]
    TargetInUse {
        /// The session of that task.
        session: SessionId,
        /// That task.
        task: TaskId,
    },
    /// What can only be done to ended tasks was asked of this one, or of its session.
    #[error("task {0} has not ended; wait for it or cancel it")]
    Live(TaskId),
    /// The request is larger than a record may be.
    #[error("the request takes {bytes} bytes to store; at most {bytes_max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// What a list of tasks shows of each, read without what was asked and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    /// Its number.
    pub id: TaskId,
    /// What its owner wants of it.
    pub desired: Desired,
    /// The host that its place in the queue is counted under.
    pub host: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is to be tried again and why, while it waits.
    pub retry: Option<(Timestamp, Failure)>,
    /// It has ended, and waits for its fact to be acknowledged.
    pub ended: bool,
    /// The server wants credentials that the task does not have.
    pub awaiting_authorization: bool,
}
