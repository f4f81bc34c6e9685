//! What the owner of a session hears.

use serde::{Deserialize, Serialize};

use crate::authorization_challenge::Challenge;
use crate::id::{Sequence, TaskId};
use crate::metrics::TaskMetrics;
use crate::task::{Outcome, Phase, Progress};
use crate::upload::Negotiated;

/// What the owner of a session hears: facts, which are never lost, and news, which may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A committed fact. It is told again after a restart until it is acknowledged.
    Fact(NumberedFact),
    /// How far a task is; at most one per 100 ms and task, none after its terminal fact.
    Progress {
        /// Which task.
        task: TaskId,
        /// How far.
        progress: Progress,
    },
    /// A task does something else now, or waits for something else.
    PhaseChanged {
        /// Which task.
        task: TaskId,
        /// What it does now.
        phase: Phase,
    },
    /// An upload has agreed with its server on how to speak. Without a resumable protocol an
    /// interruption costs the whole file again.
    Negotiated {
        /// Which task.
        task: TaskId,
        /// On what.
        negotiated: Negotiated,
    },
    /// An attempt goes on at this offset with the bytes of an earlier one; at zero when the server has
    /// another resource now, or no ranges, so that they were of no use.
    Resumed {
        /// Which task.
        task: TaskId,
        /// Bytes that are not fetched again.
        held_bytes: u64,
        /// The length of the whole, when known.
        total_bytes: Option<u64>,
    },
}

/// A fact with its place in the session's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct NumberedFact {
    /// Its place.
    pub sequence: Sequence,
    /// The fact.
    pub fact: Fact,
}

/// Something that happened and stays true. It is committed before it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A task has ended. It is the only terminal fact of its task, and its last one.
    Completed {
        /// Which task.
        task: TaskId,
        /// How.
        outcome: Outcome,
        /// What it took; `None` when it ended without a transfer.
        metrics: Option<Box<TaskMetrics>>,
    },
    /// A server wants what a task does not have; the task keeps its bytes and waits.
    Challenged {
        /// Which task.
        task: TaskId,
        /// What is wanted.
        challenge: Challenge,
    },
    /// The session is no more: its last fact (`didBecomeInvalid`).
    BecameInvalid,
    /// What the session knew before is lost: its store was damaged and had to be made anew. It is
    /// the first fact of the new one.
    StateLost,
}

impl Fact {
    /// The task that it is about; `None` when it is about the session.
    #[must_use]
    pub const fn task(&self) -> Option<TaskId> {
        match self {
            Self::Completed { task, .. } | Self::Challenged { task, .. } => Some(*task),
            Self::BecameInvalid | Self::StateLost => None,
        }
    }
}

impl Event {
    /// The task that the event is about; `None` when it is about the session.
    #[must_use]
    pub const fn task(&self) -> Option<TaskId> {
        match self {
            Self::Fact(numbered) => numbered.fact.task(),
            Self::Progress { task, .. }
            | Self::PhaseChanged { task, .. }
            | Self::Negotiated { task, .. }
            | Self::Resumed { task, .. } => Some(*task),
        }
    }
}
