//! What the store knows of a download's progress, and which bytes survive a restart.

use std::path::PathBuf;
use std::time::Duration;

use crate::authorization_challenge::{Answers, Challenge};
use crate::checksum::Digest;
use crate::failure::Failure;
use crate::http::validator::Validator;
use crate::metrics::Counts;
use crate::task::Progress;
use crate::time::Timestamp;
use crate::upload::{UploadCheckpoint, UploadStage};

/// What the store knows of the progress of a task of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskCheckpoint {
    /// Of a download.
    Download(Checkpoint),
    /// Of an upload.
    Upload(UploadCheckpoint),
}

/// What the store knows of a download's progress. No claim in it exceeds what is durable under its
/// own rule: `written` for this boot and mount, `synced` for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Where in its life the download is.
    pub stage: Stage,
    /// The length of the whole, once a server has named it.
    pub total: Option<u64>,
    /// What identifies the representation that the bytes belong to.
    pub validator: Validator,
    /// The HTTP status that the representation came with, once a server has answered; 200 for a 206.
    pub status: Option<u16>,
    /// Digests of the whole that the server offered (RFC 9530 `Repr-Digest`).
    pub offered_digests: Vec<Digest>,
    /// The part file and what is known of it; `None` before the first byte.
    pub part: Option<Part>,
    /// The parts of the file that were begun, in order, without overlap.
    pub spans: Vec<SpanRecord>,
    /// The file name that the server or the URL suggested, once chosen.
    pub file_name: Option<String>,
    /// Attempts in a row that brought no byte.
    pub attempts_failed: u32,
    /// Times that the task started from zero because the resource had changed.
    pub restarts: u32,
    /// When to try again and why, while the task waits.
    pub retry: Option<Retry>,
    /// The server named no length and did not chunk.
    pub length_unverified: bool,
    /// What its owner has answered to challenges.
    pub answers: Answers,
    /// What was asked of servers so far.
    pub counts: Counts,
}

impl Checkpoint {
    /// What another task begins with that goes on with these bytes: its attempts, and what its owner
    /// answers, are its own. A file that may have its final name already is still to be looked for
    /// under that.
    #[must_use]
    pub fn for_successor(self) -> Self {
        Self {
            stage: match self.stage {
                Stage::AwaitingAuthorization(_) => Stage::Transferring,
                stage @ (Stage::Transferring | Stage::Finishing(_)) => stage,
            },
            attempts_failed: 0,
            restarts: 0,
            retry: None,
            answers: Answers::default(),
            counts: Counts::default(),
            ..self
        }
    }
}

/// A wait for the next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When it is over.
    pub at: Timestamp,
    /// How long it was to last when it was recorded.
    pub delay: Duration,
    /// What the last attempt failed of.
    pub cause: Failure,
}

impl Retry {
    /// When the wait is over, read after a restart at `now`. A clock that was set back meanwhile
    /// makes it no longer than it was when it was recorded.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Timestamp {
        self.at.min(now.after(self.delay))
    }
}

/// Where in its life a download is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Bytes are missing.
    #[default]
    Transferring,
    /// Every byte is in the part file and verified; it is about to be, or has been, renamed to this
    /// path. After a crash either name may exist: finish the step (design 5.2).
    Finishing(PathBuf),
    /// The server wants this; the bytes are kept, and the fact that says so was committed with it. A
    /// transfer that begins here waits on: only an answer or a new wish of the owner leads out.
    AwaitingAuthorization(Box<Challenge>),
}

/// The part file, as it was when the checkpoint was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its absolute path.
    pub path: PathBuf,
    /// Which file it was.
    pub identity: FileIdentity,
    /// For how long `written` may be believed.
    pub token: ValidityToken,
}

/// Which file a path meant: a path alone may come to mean another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// The device number.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
}

/// The life of a page cache: this boot of the kernel and this mount of the file system. While it is
/// the same, what was written is there to be read, synced or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValidityToken {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: [u8; 16],
    /// `statx` with `STATX_MNT_ID_UNIQUE`, or `STATX_MNT_ID` on older kernels.
    pub mount: u64,
}

/// One part of the file. `start <= synced <= written <= end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanRecord {
    /// Its first byte.
    pub start: u64,
    /// One past its last byte; `None` when the length is not known.
    pub end: Option<u64>,
    /// One past the last byte that had reached the file.
    pub written: u64,
    /// One past the last byte that had reached the device.
    pub synced: u64,
    /// BLAKE3 of at most the last 16 KiB before `written`, within the span.
    pub tail: [u8; 32],
}

impl TaskCheckpoint {
    /// When to try again and why, while the task waits.
    #[must_use]
    pub const fn retry(&self) -> Option<&Retry> {
        match self {
            Self::Download(known) => known.retry.as_ref(),
            Self::Upload(known) => known.retry.as_ref(),
        }
    }

    /// What the server wants, while the task waits for it.
    #[must_use]
    pub fn challenge(&self) -> Option<&Challenge> {
        match self {
            Self::Download(known) => match &known.stage {
                Stage::AwaitingAuthorization(challenge) => Some(challenge),
                Stage::Transferring | Stage::Finishing(_) => None,
            },
            Self::Upload(known) => match &known.stage {
                UploadStage::AwaitingAuthorization(challenge) => Some(challenge),
                UploadStage::Transferring => None,
            },
        }
    }

    /// The task does not wait for an answer any more.
    pub fn ask_again(&mut self) {
        match self {
            Self::Download(known) => known.stage = Stage::Transferring,
            Self::Upload(known) => known.stage = UploadStage::Transferring,
        }
    }

    /// What the owner of the task has answered to challenges.
    pub(crate) const fn answers_mut(&mut self) -> &mut Answers {
        match self {
            Self::Download(known) => &mut known.answers,
            Self::Upload(known) => &mut known.answers,
        }
    }

    /// What another task begins with that goes on with this.
    #[must_use]
    pub fn for_successor(self) -> Self {
        match self {
            Self::Download(known) => known.for_successor().into(),
            Self::Upload(known) => known.for_successor().into(),
        }
    }

    /// How far the task is. Of an upload only what the server has acknowledged is of use to its next
    /// attempt.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match self {
            Self::Download(known) => Progress {
                received_bytes: known.spans.iter().map(|s| s.written - s.start).sum(),
                sent_bytes: 0,
                acknowledged_bytes: 0,
                total_bytes: known.total,
            },
            Self::Upload(known) => Progress {
                received_bytes: 0,
                sent_bytes: acknowledged(known),
                acknowledged_bytes: acknowledged(known),
                total_bytes: known.source.as_ref().map(|source| source.length),
            },
        }
    }

    /// The progress of a download.
    #[must_use]
    pub fn into_download(self) -> Option<Checkpoint> {
        match self {
            Self::Download(known) => Some(known),
            Self::Upload(_) => None,
        }
    }

    /// The progress of an upload.
    #[must_use]
    pub fn into_upload(self) -> Option<UploadCheckpoint> {
        match self {
            Self::Download(_) => None,
            Self::Upload(known) => Some(known),
        }
    }
}

fn acknowledged(known: &UploadCheckpoint) -> u64 {
    let remote = known.remote.as_ref();
    remote.map_or(0, |remote| remote.acknowledged)
}

impl From<Checkpoint> for TaskCheckpoint {
    fn from(known: Checkpoint) -> Self {
        Self::Download(known)
    }
}

impl From<UploadCheckpoint> for TaskCheckpoint {
    fn from(known: UploadCheckpoint) -> Self {
        Self::Upload(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    #[test]
    fn a_wait_is_never_longer_than_it_was_recorded_whatever_the_clock_says() {
        let retry = Retry {
            at: Timestamp::from_unix_ms(100_000),
            delay: Duration::from_secs(10),
            cause: Failure::new(FailureKind::Connect, "refused"),
        };
        for (now_ms, due_ms) in [
            (90_000, 100_000),
            (95_000, 100_000),
            (200_000, 100_000),
            (50_000, 60_000),
            (0, 10_000),
        ] {
            let due = retry.due(Timestamp::from_unix_ms(now_ms));
            assert_eq!(due.as_unix_ms(), due_ms, "{now_ms}");
        }
    }
}
