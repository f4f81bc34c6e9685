//! The lines of `--json` of the commands that speak to the daemon. They use the words of a run's lines;
//! the names are stable: fields are added, never changed.

use std::borrow::Cow;

use longhaul::{Negotiated, Outcome, Phase, Progress, QueueReason, SessionSummary, Timestamp};
use serde::Serialize;

use super::line::{End, File, Moved, Spoken};
use crate::address::TaskName;
use crate::exit::exit_of_outcome;
use crate::report::Label;
use crate::transfer::{Kind, Standing};
use crate::words;

/// One line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Entry<'a> {
    /// A task of the daemon, as it is now.
    Task(TaskEntry<'a>),
    /// A task was handed to the daemon.
    HandedOver {
        #[serde(flatten)]
        about: About,
        url: String,
        #[serde(flatten)]
        file: File<'a>,
    },
    /// What a task waits for, and how the app of its session is called.
    Why {
        #[serde(flatten)]
        about: About,
        message: String,
        calls: Calls,
    },
    /// A transfer of the foreground that does not run.
    Interrupted {
        state: Cow<'a, str>,
        directory: Option<&'a str>,
        command: Option<&'a [String]>,
        /// Options whose values are not kept, and have to be given again.
        given_again: &'a [String],
        held_bytes: u64,
        total_bytes: Option<u64>,
    },
    /// There is no daemon to list tasks of; so many that have not ended wait for one.
    NoDaemon { message: &'a str, live_tasks: u64 },
    /// A session.
    Session(SessionEntry<'a>),
    /// The ends up to this one were acknowledged.
    Forgotten {
        session: &'a str,
        up_to: u64,
        tasks: Vec<u64>,
    },
    /// A store was looked over.
    State {
        state: Cow<'a, str>,
        owner_pid: Option<u32>,
        sessions: u64,
        live_tasks: u64,
        ended_tasks: u64,
    },
    /// Something is wrong.
    Finding {
        code: &'a str,
        message: String,
        is_repairable: bool,
    },
    /// Something was repaired.
    Repaired { message: String },
    /// A task has ended.
    Ended {
        #[serde(flatten)]
        about: About,
        #[serde(skip_serializing_if = "Option::is_none")]
        sequence: Option<u64>,
        #[serde(flatten)]
        end: Ending<'a>,
    },
    /// A server wants credentials.
    Challenged {
        #[serde(flatten)]
        about: About,
        sequence: u64,
        host: &'a str,
        status: u16,
    },
    /// The session is no more.
    BecameInvalid { session: &'a str, sequence: u64 },
    /// What the session knew is lost.
    StateLost { session: &'a str, sequence: u64 },
    /// A task is further.
    Progress {
        #[serde(flatten)]
        about: About,
        #[serde(flatten)]
        moved: Moved,
    },
    /// A task does something else.
    Phase {
        #[serde(flatten)]
        about: About,
        #[serde(flatten)]
        phase: PhaseEntry<'a>,
    },
    /// An upload has agreed with its server on how to speak.
    Negotiated {
        #[serde(flatten)]
        about: About,
        #[serde(flatten)]
        spoken: Spoken,
    },
    /// A task goes on with bytes of an earlier attempt.
    Resumed {
        #[serde(flatten)]
        about: About,
        held_bytes: u64,
        total_bytes: Option<u64>,
    },
}

/// Which task a line is about.
#[derive(Serialize)]
pub(crate) struct About {
    /// As it is typed.
    name: String,
    session: String,
    task: u64,
}

/// A task at one moment.
#[derive(Serialize)]
pub(crate) struct TaskEntry<'a> {
    #[serde(flatten)]
    about: About,
    url: String,
    #[serde(flatten)]
    file: File<'a>,
    state: &'static str,
    #[serde(flatten)]
    phase: PhaseEntry<'a>,
    #[serde(flatten)]
    moved: Moved,
    #[serde(flatten)]
    end: Option<Ending<'a>>,
}

/// What a task does, and what it waits for.
#[derive(Serialize)]
pub(crate) struct PhaseEntry<'a> {
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_unix_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

/// How a task has ended.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Ending<'a> {
    Finished(End<'a>),
    Skipped {
        path: Cow<'a, str>,
    },
    Failed {
        code: &'a str,
        message: &'a str,
        exit_code: u8,
        is_resumable: bool,
    },
    Cancelled {
        is_resumable: bool,
    },
}

/// A session.
#[derive(Serialize)]
pub(crate) struct SessionEntry<'a> {
    session: &'a str,
    state: &'static str,
    owner_pid: Option<u32>,
    is_attended: bool,
    live_tasks: u64,
    ended_tasks: u64,
    calls: Calls,
}

/// How the app of a session is called.
#[derive(Serialize)]
pub(crate) struct Calls {
    command: Option<Vec<String>>,
    wanted: Option<&'static str>,
    open_until_unix_ms: Option<u64>,
    next_at_unix_ms: Option<u64>,
    called_at_unix_ms: Vec<u64>,
}

impl<'a> Entry<'a> {
    /// A task was handed to the daemon.
    pub(crate) fn handed_over(name: &TaskName, label: Label<'a>) -> Self {
        Self::HandedOver {
            about: name.into(),
            url: label.url.to_string(),
            file: File::new(label.place),
        }
    }

    /// An upload has agreed with its server on how to speak.
    pub(crate) const fn negotiated(about: About, negotiated: Negotiated) -> Self {
        Self::Negotiated {
            about,
            spoken: Spoken::new(negotiated),
        }
    }
}

impl From<&TaskName> for About {
    fn from(name: &TaskName) -> Self {
        Self {
            name: name.to_string(),
            session: name.session.clone(),
            task: name.task.get(),
        }
    }
}

impl<'a> TaskEntry<'a> {
    pub(crate) fn new(name: &TaskName, standing: &'a Standing) -> Self {
        let task = &standing.task;
        Self {
            about: name.into(),
            url: task.url().to_string(),
            file: File::new(task.place()),
            state: words::state(standing.state),
            phase: PhaseEntry::new(&standing.phase),
            moved: moved(task.place().kind(), standing.progress),
            end: standing.outcome.as_ref().map(Ending::new),
        }
    }
}

/// How far a transfer of this kind is.
pub(crate) const fn moved(kind: Kind, progress: Progress) -> Moved {
    Moved::new(kind, progress)
}

impl<'a> PhaseEntry<'a> {
    pub(crate) fn new(phase: &'a Phase) -> Self {
        let (waits_for, at, cause) = match phase {
            Phase::Queued(reason @ QueueReason::NotBefore(at)) => {
                (Some(words::queue_reason(*reason)), Some(*at), None)
            }
            Phase::Queued(reason) => (Some(words::queue_reason(*reason)), None, None),
            Phase::WaitingToRetry { at, cause } => (None, Some(*at), Some(cause.message())),
            _ => (None, None, None),
        };
        Self {
            phase: words::phase(phase),
            waits_for,
            at_unix_ms: at.map(Timestamp::as_unix_ms),
            cause,
        }
    }
}

impl<'a> Ending<'a> {
    pub(crate) fn new(outcome: &'a Outcome) -> Self {
        match outcome {
            Outcome::Finished(finished) => Self::Finished(End::downloaded(finished)),
            Outcome::Uploaded(uploaded) => Self::Finished(End::uploaded(uploaded)),
            Outcome::Skipped(path) => Self::Skipped {
                path: path.to_string_lossy(),
            },
            Outcome::Failed(failure) => Self::Failed {
                code: failure.kind().code(),
                message: failure.message(),
                exit_code: exit_of_outcome(outcome).code(),
                is_resumable: failure.resume_data().is_some(),
            },
            Outcome::Cancelled => Self::Cancelled {
                is_resumable: false,
            },
            Outcome::CancelledResumable(_) => Self::Cancelled { is_resumable: true },
        }
    }
}

impl<'a> SessionEntry<'a> {
    pub(crate) fn new(summary: &'a SessionSummary) -> Self {
        Self {
            session: &summary.identifier,
            state: words::session(summary.state),
            owner_pid: summary.owner_pid,
            is_attended: summary.is_attended,
            live_tasks: summary.live_tasks,
            ended_tasks: summary.ended_tasks,
            calls: Calls::new(summary),
        }
    }
}

impl Calls {
    /// The environment of the command is left out: it may hold secrets.
    pub(crate) fn new(summary: &SessionSummary) -> Self {
        let launches = &summary.launches;
        let command = launches.command.as_ref();
        Self {
            command: command.map(|command| command.argv().to_vec()),
            wanted: launches.wanted.map(words::launch_reason),
            open_until_unix_ms: launches.open_until.map(Timestamp::as_unix_ms),
            next_at_unix_ms: launches.next_at.map(Timestamp::as_unix_ms),
            called_at_unix_ms: launches
                .called_at
                .iter()
                .map(|at| at.as_unix_ms())
                .collect(),
        }
    }
}
