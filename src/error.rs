//! Everything that a call of this library can fail with, in one enum.

use std::path::PathBuf;

use longhaul_actors::handle::{CallError, RefusedStart, StartError};
use longhaul_engine::checksum::DigestError;
use longhaul_engine::id::{SessionIdError, TaskId};
use longhaul_engine::launch::LaunchCommandError;
use longhaul_engine::resume_data::{ResumeDataError, ResumeDataTooLong};
use longhaul_engine::safe_url::UrlError;

/// Why a call failed. The variants are sorted by who must act: the caller, the operator of the
/// machine, or the engine.
///
/// How a *transfer* failed is no error of a call: it is a [`Failure`](crate::Failure) in the task's
/// [`Outcome`](crate::Outcome). No text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request or a configuration holds something that can not be used; the text says what and
    /// what to give instead.
    #[error("{0}")]
    Invalid(String),
    /// A live task writes the same target already.
    #[error(
        "task {task} of session \"{session}\" writes this target already; wait for it or cancel it"
    )]
    TargetInUse {
        /// The session of the other task.
        session: String,
        /// The other task.
        task: TaskId,
    },
    /// The resume data is of no use; nothing was changed.
    #[error(transparent)]
    ResumeData(#[from] ResumeDataError),
    /// The session is open already: a handle of it, of one of its tasks or of its events is alive. One
    /// owner at a time; in this process clone the session that is there.
    #[error(
        "the session \"{session}\" is open already in process {pid}; use that one, or drop all handles of it and of its tasks first",
        pid = shown(*pid)
    )]
    SessionInUse {
        /// The session.
        session: String,
        /// The owner's process, when it is known.
        pid: Option<u32>,
    },
    /// The engine does not know a session of this name.
    #[error("there is no session \"{session}\"; open it first")]
    NoSuchSession {
        /// The session.
        session: String,
    },
    /// The engine runs in another process, which does not answer; the text says where and why.
    #[error("the daemon is not reachable: {0}; start it with `longhaul daemon`")]
    Unreachable(String),
    /// The daemon takes no more clients, or speaks another version of the control API; the text says
    /// which, and what to do.
    #[error("{0}")]
    Daemon(String),
    /// The session is being invalidated and takes no new tasks, or has ended.
    #[error(
        "the session \"{session}\" was invalidated; acknowledge its last fact, BecameInvalid, then open it anew"
    )]
    Invalidated {
        /// The session.
        session: String,
    },
    /// The session has no such task, or has forgotten it because its end was acknowledged.
    #[error("there is no task {0} in this session")]
    NoSuchTask(TaskId),
    /// The session has a delegate already.
    #[error("the session has a delegate already; detach its guard first")]
    DelegateInUse,
    /// Another process owns the state directory.
    #[error(
        "the state directory {path} is in use by process {pid}; stop it, or use another directory",
        path = path.display(),
        pid = shown(*pid)
    )]
    StateInUse {
        /// The directory.
        path: PathBuf,
        /// Its owner, when it could be read.
        pid: Option<u32>,
    },
    /// The state directory, or the store in it, can not be used; the text names the file.
    #[error("{0}")]
    State(String),
    /// The threads of the engine, or the one for a delegate or callbacks, could not be started.
    #[error("a thread could not be started: {0}")]
    Threads(String),
    /// The store failed to answer one call; the engine opens it again by itself.
    #[error("the store failed: {0}")]
    Store(String),
    /// The engine has stopped. With a reason it did so by itself, because its restart budget was
    /// spent: the transfers' state is safe, and a new engine goes on with it.
    #[error("the engine has stopped{}", reason.as_ref().map_or_else(String::new, |r| format!(": {r}")))]
    Stopped {
        /// Why, when it was not its owner's wish.
        reason: Option<String>,
    },
    /// A refresh task was completed too late: the app is called again.
    #[error("the refresh task has expired; the app is called again, complete that one in time")]
    RefreshExpired,
}

/// The number of a process, as far as it is known.
fn shown(pid: Option<u32>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::InUse { path, pid } => Self::StateInUse { path, pid },
            StartError::State(text) => Self::State(text),
            StartError::Threads(text) => Self::Threads(text),
            other => Self::State(other.to_string()),
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Stopped { reason } => Self::Stopped { reason },
            CallError::SessionInUse { session, pid } => Self::SessionInUse {
                session: session.as_str().to_owned(),
                pid,
            },
            CallError::NoSuchSession(session) => Self::NoSuchSession {
                session: session.as_str().to_owned(),
            },
            CallError::Unreachable(text) => Self::Unreachable(text),
            CallError::Invalidated(session) => Self::Invalidated {
                session: session.as_str().to_owned(),
            },
            CallError::NoSuchTask(task) => Self::NoSuchTask(task),
            CallError::Refused(text) => Self::Invalid(text),
            CallError::Store(text) => Self::Store(text),
            CallError::RefreshExpired => Self::RefreshExpired,
            other => Self::Store(other.to_string()),
        }
    }
}

impl From<RefusedStart> for Error {
    fn from(error: RefusedStart) -> Self {
        match error {
            RefusedStart::TargetInUse { session, task } => Self::TargetInUse {
                session: session.as_str().to_owned(),
                task,
            },
            RefusedStart::Invalidated(session) => Self::Invalidated {
                session: session.as_str().to_owned(),
            },
            RefusedStart::Invalid(text) => Self::Invalid(text),
            RefusedStart::ResumeData(error) => Self::ResumeData(error),
            other => Self::Invalid(other.to_string()),
        }
    }
}

impl From<ResumeDataTooLong> for Error {
    fn from(error: ResumeDataTooLong) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<DigestError> for Error {
    fn from(error: DigestError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<SessionIdError> for Error {
    fn from(error: SessionIdError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<LaunchCommandError> for Error {
    fn from(error: LaunchCommandError) -> Self {
        Self::Invalid(error.to_string())
    }
}
