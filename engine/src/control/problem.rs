//! Why a call was not answered well.

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::id::{SessionId, TaskId};
use crate::resume_data::ResumeDataError;

/// Why a call was not answered well: `application/problem+json` (RFC 9457), whose `code` is one of these,
/// with the `status` of the answer, its name as `title`, and a `detail` for people. Whoever reads one
/// needs the code and its own members only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(transform = crate::serial::schemas::with_members_of_all))]
#[serde(remote = "Self", tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// What was asked can not be done; the text says what to ask instead.
    #[error("{detail}")]
    Invalid {
        /// Why, and the next step.
        #[serde(skip_serializing)]
        detail: String,
    },
    /// There is no such path.
    #[error("there is nothing at this path; the API begins with /v1")]
    NoSuchPath,
    /// There is something at this path, but it is asked with another method.
    #[error("this is not what is done at this path; ask with {allowed}")]
    MethodNotAllowed {
        /// The methods, as they stand in `Allow` (RFC 9110 section 10.2.1).
        allowed: String,
    },
    /// The body is not said to be JSON.
    #[error("the body is no JSON by its kind; send it with Content-Type: application/json")]
    NotJson,
    /// Who asks may not, or not in this way.
    #[error("{detail}")]
    Forbidden {
        /// Why, and the next step.
        #[serde(skip_serializing)]
        detail: String,
    },
    /// The body stopped coming.
    #[error("the body stopped in the middle; send all of it at once")]
    TooSlow,
    /// The body is longer than is allowed.
    #[error("the body is longer than {bytes_max} bytes; send less at once")]
    TooLong {
        /// The limit.
        bytes_max: u64,
    },
    /// Another process, or another client of this one, owns the session.
    #[error("the session \"{session}\" is open already{}", owner(*pid))]
    SessionInUse {
        /// The session.
        session: SessionId,
        /// The owner.
        pid: Option<u32>,
    },
    /// The session is being invalidated, or was.
    #[error("the session \"{session}\" was invalidated")]
    Invalidated {
        /// The session.
        session: SessionId,
    },
    /// There is no such session.
    #[error("there is no session \"{session}\"")]
    NoSuchSession {
        /// The session.
        session: SessionId,
    },
    /// The session has no such task.
    #[error("there is no task {task} in this session")]
    NoSuchTask {
        /// The task.
        task: TaskId,
    },
    /// There is no such client: its stream has ended.
    #[error("there is no such client; its stream has ended, become a client again")]
    NoSuchClient,
    /// A live task writes the same target already.
    #[error(
        "task {task} of session \"{session}\" writes this target already; wait for it or cancel it"
    )]
    TargetInUse {
        /// The session of the other task.
        session: SessionId,
        /// The other task.
        task: TaskId,
    },
    /// The resume data is of no use.
    #[error(transparent)]
    ResumeData {
        /// Why.
        #[from]
        reason: ResumeDataError,
    },
    /// A refresh task was completed too late.
    #[error("the refresh task has expired; the app is called again, complete that one in time")]
    RefreshExpired,
    /// There are too many of something; wait until some are gone.
    #[error("{detail}")]
    TooMany {
        /// Of what, and the limit.
        #[serde(skip_serializing)]
        detail: String,
    },
    /// The store failed; the engine opens it again.
    #[error("the store failed: {detail}")]
    Store {
        /// Why.
        #[serde(rename = "reason")]
        detail: String,
    },
    /// The engine has stopped, or is stopping.
    #[error("the engine has stopped{}", reason.as_ref().map_or_else(String::new, |r| format!(": {r}")))]
    Stopped {
        /// Why, when it was not its owner's wish.
        reason: Option<String>,
    },
}

impl Problem {
    /// What was asked can not be done.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid {
            detail: detail.into(),
        }
    }

    /// The status of its answer (RFC 9110 section 15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status_and_title().0
    }

    /// The status and its name: without a `type` there is nothing else to be a title (RFC 9457 section
    /// 4.2.1).
    const fn status_and_title(&self) -> (u16, &'static str) {
        match self {
            Self::Invalid { .. } => (400, "Bad Request"),
            Self::Forbidden { .. } => (403, "Forbidden"),
            Self::NoSuchPath
            | Self::NoSuchSession { .. }
            | Self::NoSuchTask { .. }
            | Self::NoSuchClient => (404, "Not Found"),
            Self::MethodNotAllowed { .. } => (405, "Method Not Allowed"),
            Self::TooSlow => (408, "Request Timeout"),
            Self::SessionInUse { .. } | Self::TargetInUse { .. } => (409, "Conflict"),
            Self::Invalidated { .. } | Self::RefreshExpired => (410, "Gone"),
            Self::TooLong { .. } => (413, "Content Too Large"),
            Self::NotJson => (415, "Unsupported Media Type"),
            Self::ResumeData { .. } => (422, "Unprocessable Content"),
            Self::TooMany { .. } => (429, "Too Many Requests"),
            Self::Store { .. } => (500, "Internal Server Error"),
            Self::Stopped { .. } => (503, "Service Unavailable"),
        }
    }
}

/// A problem with the members that all have.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten, serialize_with = "own_members")]
    problem: &'a Problem,
    status: u16,
    title: &'static str,
    detail: String,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (status, title) = self.status_and_title();
        let shown = Shown {
            problem: self,
            status,
            title,
            detail: self.to_string(),
        };
        shown.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // The derived one: it passes over what all problems have.
        Self::deserialize(from)
    }
}

/// What is derived of the problem itself: its code and its own members.
fn own_members<S: Serializer>(problem: &&Problem, to: S) -> Result<S::Ok, S::Error> {
    Problem::serialize(problem, to)
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" in process {pid}"))
}
