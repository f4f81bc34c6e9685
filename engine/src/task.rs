//! A task: what was asked, how far it is, how it ended.

mod options;
mod spec;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::id::TaskId;
use crate::resume_data::ResumeData;
use crate::time::Timestamp;

pub use options::{Adjustment, NotificationTitles, Priority, TaskOptions};
pub use spec::{Collision, Destination, DownloadSpec, Spec, UploadSpec};

/// What the owner of a task wants of it. Setting it twice changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// Go on as soon as there is a place.
    #[default]
    Running,
    /// Keep the bytes and wait.
    Suspended,
    /// End, and forget the bytes.
    Cancelled,
    /// End, and hand the bytes to the owner as resume data.
    CancelledResumable,
}

/// A task as the store knows it, without its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// What was asked.
    pub spec: Spec,
    /// What its owner wants of it.
    pub desired: Desired,
    /// When it was made; the resource timeout counts from here.
    pub created_at: Timestamp,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
}

/// How a task ended. There is exactly one for each task, and it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Outcome {
    /// Every byte is under the final name.
    Finished(Finished),
    /// The server has acknowledged every byte.
    Uploaded(Uploaded),
    /// Nothing was fetched because the target exists and the policy is to skip.
    Skipped(#[serde(with = "crate::serial::PathText")] PathBuf),
    /// It failed for good.
    Failed(Failure),
    /// Its owner cancelled it, and its bytes are gone.
    Cancelled,
    /// Its owner cancelled it and holds what it had; see [`ResumeData`].
    CancelledResumable(ResumeData),
}

impl Outcome {
    /// What it left to go on with, if it left anything.
    #[must_use]
    pub const fn resume_data(&self) -> Option<&ResumeData> {
        match self {
            Self::CancelledResumable(data) => Some(data),
            Self::Failed(failure) => failure.resume_data(),
            Self::Finished(_) | Self::Uploaded(_) | Self::Skipped(_) | Self::Cancelled => None,
        }
    }
}

/// A finished upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Uploaded {
    /// The final status of the server, 200 to 299.
    pub status: u16,
    /// The length of the file in bytes; the server has them all.
    pub bytes: u64,
    /// The header fields of the answer, in the order received, at most
    /// [`RESPONSE_HEADER_BYTES_MAX`](crate::limits::RESPONSE_HEADER_BYTES_MAX) of them all; those that
    /// are no text, and cookies, are left out.
    pub headers: Vec<(String, String)>,
    /// The beginning of what the server answered, at most
    /// [`RESPONSE_BODY_BYTES_MAX`](crate::limits::RESPONSE_BODY_BYTES_MAX).
    #[serde(with = "crate::serial::Base64")]
    pub response: Vec<u8>,
}

/// A finished download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Finished {
    /// The final path.
    #[serde(with = "crate::serial::PathText")]
    pub path: PathBuf,
    /// The length of the file in bytes.
    pub bytes: u64,
    /// The server named no length and did not chunk: nothing proves that the body was whole.
    pub length_unverified: bool,
    /// The HTTP status of the answer that the file is the body of; 200 for a 206. It is 400 or above
    /// only when the request accepts that.
    pub status: u16,
}

/// The four states that Foundation names (`URLSessionTask.State`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It runs or waits for its turn.
    Running,
    /// Its owner suspended it.
    Suspended,
    /// Its owner cancelled it and it has not ended yet.
    Canceling,
    /// It has ended, one way or the other.
    Completed,
}

/// What a task does or waits for, beneath its [`TaskState`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// It waits for its turn.
    Queued(QueueReason),
    /// It looks at its file, or waits for the head of an answer.
    Connecting,
    /// Bytes flow.
    Transferring,
    /// It tries again at this time, for this reason.
    WaitingToRetry {
        /// When.
        at: Timestamp,
        /// Why.
        cause: Failure,
    },
    /// The server wants credentials that the task does not have; its bytes are kept.
    AwaitingAuthorization,
    /// The time that its owner had set has come; it waits for its owner's word whether to begin.
    AwaitingBegin,
    /// The bytes are complete; they are verified, synced and renamed, or the server's answer to them
    /// is awaited.
    Finishing,
    /// Its owner suspended it.
    Suspended,
    /// It has ended.
    Completed,
}

/// What a queued task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueReason {
    /// As many tasks run as the session allows.
    SessionLimit,
    /// As many tasks talk to this host as the session allows.
    HostLimit,
    /// As many tasks run as the engine allows.
    EngineLimit,
    /// Its owner wants it to begin at this time at the earliest.
    NotBefore(Timestamp),
    /// A condition that it asks for does not hold.
    Unmet(Constraint),
}

/// A condition that a task asks for and that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Constraint {
    /// There is no network.
    Network,
    /// The network costs money, and the task may not use such a one.
    Unmetered,
    /// The network is to be spared (Foundation's constrained, "low data mode"), and the task may not
    /// use such a one.
    Unconstrained,
    /// The machine runs on its battery, and the task is discretionary.
    Power,
}

/// How far a task is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Progress {
    /// Bytes in the part file of a download.
    pub received_bytes: u64,
    /// Bytes of an upload that were given to the network, those included that the server had before
    /// its latest request. It falls back to [`Progress::acknowledged_bytes`] when a request is lost.
    pub sent_bytes: u64,
    /// Bytes of an upload that the server said it has: they are never sent again. Zero for a plain
    /// request, whose success alone acknowledges anything.
    pub acknowledged_bytes: u64,
    /// The length of the whole, once a server has named it, or the file of an upload was looked at.
    pub total_bytes: Option<u64>,
}

impl Task {
    /// Its state in Foundation's words.
    #[must_use]
    pub const fn state(&self) -> TaskState {
        match (&self.outcome, self.desired) {
            (Some(_), _) => TaskState::Completed,
            (None, Desired::Running) => TaskState::Running,
            (None, Desired::Suspended) => TaskState::Suspended,
            (None, Desired::Cancelled | Desired::CancelledResumable) => TaskState::Canceling,
        }
    }
}
