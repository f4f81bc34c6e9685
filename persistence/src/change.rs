//! What can be asked of the store, and what it answers.

use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::checkpoint::{Checkpoint, Part, Retry, TaskCheckpoint};
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::event::NumberedFact;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::launch::LaunchLog;
use longhaul_engine::metrics::TaskMetrics;
use longhaul_engine::schedule::Schedule;
use longhaul_engine::session::{Invalidation, SessionRules};
use longhaul_engine::task::{Adjustment, Desired, Outcome, Spec};
use longhaul_engine::time::Timestamp;

use crate::resume::TicketClaim;

/// One change of the store. [`Store::commit`](crate::Store::commit) makes any number of them
/// durable at once and answers each by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Makes a session, or replaces the configuration of one, whatever its state. A session that is
    /// new in a store that had to be made anew begins with
    /// [`Fact::StateLost`](longhaul_engine::event::Fact::StateLost). Answers [`Effect::Done`].
    PutSession {
        /// Its name.
        id: SessionId,
        /// Its configuration.
        rules: Box<SessionRules>,
    },
    /// Makes a task and claims its destination. Answers [`Effect::Registered`], or
    /// [`Effect::Adopted`] when `adopt` found one. A session that is being invalidated gets no new
    /// task.
    Register {
        /// Its session, which must exist.
        session: SessionId,
        /// What to transfer.
        spec: Box<Spec>,
        /// What its owner wants of it.
        desired: Desired,
        /// The time of the request.
        created_at: Timestamp,
        /// Take the task of this session that claimed the same destination last, when it is for the
        /// same URL: its progress and its age stay, all other options become those of `spec`, and
        /// `desired` too. One that has ended stays as it is, and is taken only when its end is the
        /// one that `spec` would have had ([`adoption`](longhaul_engine::adoption)); of one that
        /// failed a new task gets the progress.
        adopt: bool,
    },
    /// Makes a task that goes on with the bytes of another one, which left them as resume data, and
    /// claims its destination and the ticket: it is used once. Answers [`Effect::Registered`].
    Resume {
        /// Its session, which must exist.
        session: SessionId,
        /// What to transfer.
        spec: Box<Spec>,
        /// How far it is.
        checkpoint: Box<Checkpoint>,
        /// What it is made of.
        ticket: TicketClaim,
        /// The time of the request.
        created_at: Timestamp,
    },
    /// Sets what the owner of a task wants of it. Who wants one to run that waits for an answer has
    /// it ask again. Answers [`Effect::Done`].
    SetDesired {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// What is wanted.
        desired: Desired,
    },
    /// Changes an option of a task. Answers [`Effect::Done`].
    Adjust {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// The new value.
        adjustment: Adjustment,
    },
    /// Keeps what the owner of a delayed task says when its time has come: that it begins, with
    /// which request, or that it is cancelled. Answers [`Effect::Done`].
    DecideBegin {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// What its owner says.
        decision: DelayedRequest,
    },
    /// Replaces what is known of a task's progress. Answers [`Effect::Done`], or
    /// [`Effect::Challenged`] when the task waits for an answer from now on: then the fact that says
    /// so is added to the session's log, all or nothing.
    Record {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// Its progress.
        checkpoint: Box<TaskCheckpoint>,
    },
    /// Answers the challenge that a task waits with: in one step its request and its progress become
    /// what [`Disposition::apply`] makes of them, or it is wanted to be cancelled. Answers
    /// [`Effect::Answered`]; refused when the task waits for no answer, so that doing it again changes
    /// nothing.
    Renew {
        /// The task's session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// The answer.
        disposition: Box<Disposition>,
    },
    /// Ends a task: its outcome is set, its progress and its claim are dropped and a fact is added
    /// to the session's log, all or nothing. With the last task of a session that is being
    /// invalidated the session ends too. Answers [`Effect::Closed`].
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
    /// Drops the facts up to a number, and the tasks that they ended; with the fact that the session
    /// became invalid, the session as [`Change::RemoveSession`] does. Doing it again changes
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
    /// Replaces what is known of a session's calls of its app. Answers [`Effect::Done`].
    PutLaunches {
        /// The session, which must exist.
        session: SessionId,
        /// Its calls.
        log: Box<LaunchLog>,
    },
    /// Lets a session take no new tasks, and end with the last one that it has: at once when it has
    /// none. Doing it again changes nothing but that `how` may cancel now what it did not before.
    /// Answers [`Effect::Invalidated`].
    Invalidate {
        /// The session.
        session: SessionId,
        /// What becomes of its tasks.
        how: Invalidation,
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
        /// Its options are others now: what runs for it runs with the old ones. Never of one that
        /// has ended.
        is_changed: bool,
    },
    /// The task has ended. The first fact says so; a second one says that its session ended with it.
    Closed(Vec<NumberedFact>),
    /// The session takes no new tasks. The fact says that it has ended, when it did so just now.
    Invalidated(Option<NumberedFact>),
    /// The task waits for an answer; this fact says so.
    Challenged(NumberedFact),
    /// The task goes on with an answer, or is to be cancelled.
    Answered {
        /// What its owner wants of it now.
        desired: Desired,
        /// The host that its place in the queue is counted under from now on.
        host: String,
    },
    /// What is gone.
    Forgotten(Forgotten),
}

/// What the store does not know any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Tasks, in the order of their facts or numbers.
    pub tasks: Vec<TaskId>,
    /// The part files that failed tasks among them had kept and not handed over as resume data: nobody
    /// else will remove them.
    pub parts: Vec<Part>,
    /// Their session is gone too: its name is free.
    pub session_is_gone: bool,
}

/// Why a change was not made. Nothing of it is stored; the other changes of its commit are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no session of this name.
    #[error("there is no session \"{0}\"; open it first")]
    NoSuchSession(SessionId),
    /// The session is being invalidated and gets no new task.
    #[error("the session \"{0}\" is being invalidated and takes no new tasks")]
    Invalidated(SessionId),
    /// There is no such task: it never was, or its end was acknowledged.
    #[error("there is no such task; it may have ended and been acknowledged")]
    NoSuchTask,
    /// The task has ended like this, and an end never changes.
    #[error("the task has ended already")]
    Ended(Box<Outcome>),
    /// The task waits for no answer.
    #[error("the task waits for no answer; it may have been given already")]
    NotAsked,
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
    /// A task that the store knows was made of this resume data, or took its bytes over.
    #[error("the resume data was used already")]
    TicketUsed,
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
    pub retry: Option<Retry>,
    /// When it may run.
    pub schedule: Schedule,
    /// It has progress, or its owner has decided that it begins.
    pub has_begun: bool,
    /// It has ended, and waits for its fact to be acknowledged.
    pub ended: bool,
    /// The server wants credentials that the task does not have.
    pub awaiting_authorization: bool,
}
