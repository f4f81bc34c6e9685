//! What is to be told about one transfer.

use std::path::PathBuf;

use longhaul::{Error, Failure, Finished, Negotiated, Progress, Timestamp, Uploaded};

use crate::exit::{Exit, code_of, exit_of};

/// Something to be told about one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Its place in the run.
    pub(crate) item: usize,
    /// What happened.
    pub(crate) what: What,
}

/// What happened to a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It began, or went on.
    Started,
    /// It goes on with bytes of an earlier attempt.
    Resumed {
        /// Bytes that are not transferred again.
        held_bytes: u64,
        /// The length of the whole, when known.
        total_bytes: Option<u64>,
    },
    /// It is further now.
    Progress(Progress),
    /// It tries again later.
    Retrying {
        /// Retries in a row that brought nothing new, with this one.
        retry: u32,
        /// When.
        at: Timestamp,
        /// Why.
        cause: Failure,
    },
    /// It speaks another protocol now than before, or the first one.
    Negotiated(Negotiated),
    /// The file is here.
    Finished(Finished),
    /// The server has the file.
    Uploaded(Uploaded),
    /// The file exists already.
    Skipped(PathBuf),
    /// It failed, or was given up.
    Failed(Problem),
}

/// Why a file did not come, or did not go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The stable name for scripts.
    pub(crate) code: &'static str,
    /// The exit code that goes with it.
    pub(crate) exit: Exit,
    /// For a person.
    pub(crate) message: String,
    /// The engine has not ended the task: what it holds is kept, and the same command goes on.
    pub(crate) is_kept: bool,
}

impl Problem {
    /// A transfer that could not be started.
    pub(super) fn refused(error: &Error) -> Self {
        Self {
            code: code_of(error),
            exit: exit_of(error),
            message: error.to_string(),
            is_kept: false,
        }
    }

    /// One that nobody of this command has cancelled.
    pub(super) fn cancelled() -> Self {
        Self {
            code: "cancelled",
            exit: Exit::OTHER,
            message: "it was cancelled".to_owned(),
            is_kept: false,
        }
    }

    pub(super) fn of(failure: &Failure, is_kept: bool) -> Self {
        Self {
            code: failure.kind().code(),
            exit: Exit::of(failure.kind().class()),
            message: failure.message().to_owned(),
            is_kept,
        }
    }

    pub(super) fn out_of_retries(cause: &Failure, retries_max: u32) -> Self {
        let mut problem = Self::of(cause, true);
        match retries_max {
            0 => {}
            1 => problem.message.push_str(" (given up after 1 retry)"),
            many => problem
                .message
                .push_str(&format!(" (given up after {many} retries)")),
        }
        problem
    }

    pub(super) fn out_of_time(cause: Option<&Failure>) -> Self {
        let last = cause.map_or_else(String::new, |cause| format!(": {}", cause.message()));
        Self {
            code: "retry_timed_out",
            exit: Exit::TIMED_OUT,
            message: format!("the time for retries is over{last}"),
            is_kept: true,
        }
    }

    pub(super) fn unauthorized() -> Self {
        Self {
            code: "authentication",
            exit: Exit::AUTHENTICATION,
            message: "the server asks for credentials, or refused those it was given".to_owned(),
            is_kept: true,
        }
    }
}
