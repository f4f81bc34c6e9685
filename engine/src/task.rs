//! A task: what was asked, how far it is, how it ended.

use std::fmt;
use std::path::PathBuf;

use crate::checksum::Digest;
use crate::failure::Failure;
use crate::http::authorization::Credentials;
use crate::id::TaskId;
use crate::safe_url::HttpUrl;
use crate::time::Timestamp;

/// Everything that one download needs, as its caller gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct DownloadSpec {
    /// What to fetch. Each attempt asks this URL, not the one it redirected to.
    pub url: HttpUrl,
    /// Where the finished file goes.
    pub destination: Destination,
    /// What to do when a file of that name exists.
    pub collision: Collision,
    /// Header fields sent to the origin of `url` only, beside the session's.
    pub headers: Vec<(String, String)>,
    /// Answers to a 401 of the origin of `url`.
    pub credentials: Option<Credentials>,
    /// Digests that the finished bytes must have; all of them.
    pub digests: Vec<Digest>,
    /// The length that the finished file must have.
    pub length: Option<u64>,
    /// Connections to spread one file over, 1 to 16.
    pub connections: u32,
    /// Go on without a validator when the total length is equal. Off by default: it may splice.
    pub allow_unvalidated_resume: bool,
    /// Keep the bytes of a `Content-Encoding` as they come instead of failing.
    pub allow_encoded: bool,
    /// Follow a redirect from https to http.
    pub allow_downgrade: bool,
    /// Deliver the body of an error status (400 and above) as the file, as Foundation does, instead
    /// of failing. What is tried again and what waits for credentials (401, 407) is not delivered.
    pub accept_error_status: bool,
}

impl fmt::Debug for DownloadSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadSpec")
            .field("url", &self.url)
            .field("destination", &self.destination)
            .field("collision", &self.collision)
            .field(
                "headers",
                &self
                    .headers
                    .iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            )
            .field("has_credentials", &self.credentials.is_some())
            .field("digests", &self.digests)
            .field("length", &self.length)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Where a finished file goes. Both paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Exactly this path.
    File(PathBuf),
    /// Into this directory, under a safe name that the server or the URL suggests.
    Directory(PathBuf),
}

/// What to do when the destination exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Collision {
    /// Fail, and leave both files alone.
    #[default]
    Fail,
    /// Replace it atomically.
    Overwrite,
    /// Take the next free name: `name.1.ext`, `name.2.ext`.
    Rename,
    /// Call the task finished without fetching anything.
    Skip,
}

/// What the owner of a task wants of it. Setting it twice changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Desired {
    /// Go on as soon as there is a place.
    #[default]
    Running,
    /// Keep the bytes and wait.
    Suspended,
    /// End, and forget the bytes.
    Cancelled,
}

/// A task as the store knows it, without its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// What was asked.
    pub spec: DownloadSpec,
    /// What its owner wants of it.
    pub desired: Desired,
    /// When it was made; the resource timeout counts from here.
    pub created_at: Timestamp,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
}

/// How a task ended. There is exactly one for each task, and it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every byte is under the final name.
    Finished(Finished),
    /// Nothing was fetched because the target exists and the policy is to skip.
    Skipped(PathBuf),
    /// It failed for good.
    Failed(Failure),
    /// Its owner cancelled it.
    Cancelled,
}

/// A finished download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The final path.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It waits for its turn.
    Queued(QueueReason),
    /// It opens its part file or waits for the head of an answer.
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
    /// The bytes are complete; they are verified, synced and renamed.
    Finishing,
    /// Its owner suspended it.
    Suspended,
    /// It has ended.
    Completed,
}

/// What a queued task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueReason {
    /// As many tasks run as the session allows.
    SessionLimit,
    /// As many tasks talk to this host as the session allows.
    HostLimit,
}

/// How far a task is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes in the part file.
    pub received_bytes: u64,
    /// The length of the whole, once a server has named it.
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
            (None, Desired::Cancelled) => TaskState::Canceling,
        }
    }
}
