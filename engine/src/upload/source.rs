//! The file of an upload: which one it was when its bytes began to flow, and whether it still is.

use crate::authorization_challenge::{Answers, Challenge};
use crate::checkpoint::{FileIdentity, Retry};
use crate::limits::SOURCE_SAMPLE_BYTES;
use crate::metrics::Counts;
use crate::task::UploadSpec;
use crate::upload::protocol::{Protocol, Remote, Unheard, UploadLimits, UploadProtocol};

/// What the file of an upload was when the task looked at it first. No byte of it is sent before
/// this is on record, and none of a file that differs is sent after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its length in bytes.
    pub length: u64,
    /// When it was modified last: whole seconds since the Unix epoch.
    pub modified_s: i64,
    /// And the nanoseconds beyond them.
    pub modified_ns: u32,
    /// Which file it was.
    pub identity: FileIdentity,
    /// BLAKE3 of the [`samples`].
    pub samples: [u8; 32],
}

/// What the store knows of an upload's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadCheckpoint {
    /// Where in its life the upload is.
    pub stage: UploadStage,
    /// The file as it was when it was looked at first; `None` before that.
    pub source: Option<Source>,
    /// Attempts in a row that failed.
    pub attempts_failed: u32,
    /// When to try again and why, while the task waits.
    pub retry: Option<Retry>,
    /// What its owner has answered to challenges.
    pub answers: Answers,
    /// What was asked of servers so far.
    pub counts: Counts,
    /// The place that the server has made for it.
    pub remote: Option<Remote>,
    /// What may have happened that nobody has heard of.
    pub unheard: Unheard,
    /// Times that bytes which the server had acknowledged were lost there, so that they were sent
    /// again: at most [`RESTARTS_MAX`](crate::limits::RESTARTS_MAX).
    pub restarts: u32,
}

impl UploadCheckpoint {
    /// What is known of a task before its first transfer: nothing, or where something else has put a
    /// part of the file. Nobody has heard whether that has brought all of it, so an upload that is gone
    /// may be done. It is not ours to remove.
    #[must_use]
    pub fn of(spec: &UploadSpec) -> Self {
        let protocol = match spec.protocol {
            UploadProtocol::Tus => Protocol::Tus,
            UploadProtocol::Ietf { interop } => Protocol::Ietf { interop },
            UploadProtocol::Auto | UploadProtocol::Plain => return Self::default(),
        };
        let Some(url) = spec.place.clone() else {
            return Self::default();
        };
        let remote = Remote {
            protocol,
            url,
            acknowledged: 0,
            limits: UploadLimits::default(),
            expires_at: None,
            can_terminate: false,
            checksum: None,
            piece_max: None,
        };
        Self {
            remote: Some(remote),
            unheard: Unheard::Completion,
            ..Self::default()
        }
    }

    /// What another task begins with that sends the same file: its attempts, and what its owner
    /// answers, are its own. The place at the server goes over to it.
    #[must_use]
    pub fn for_successor(self) -> Self {
        Self {
            source: self.source,
            remote: self.remote,
            unheard: self.unheard,
            ..Self::default()
        }
    }
}

/// Where in its life an upload is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UploadStage {
    /// The server has not acknowledged every byte.
    #[default]
    Transferring,
    /// The server wants this; the fact that says so was committed with it. A transfer that begins
    /// here waits on: only an answer or a new wish of the owner leads out.
    AwaitingAuthorization(Box<Challenge>),
}

impl Source {
    /// Whether `other` is the same file with the same bytes, as far as can be told without reading
    /// all of it. The number of a device is not compared: it may change when the machine starts.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.length == other.length
            && self.modified_s == other.modified_s
            && self.modified_ns == other.modified_ns
            && self.identity.inode == other.identity.inode
            && self.samples == other.samples
    }
}

/// The parts of a file of this length that its samples are taken from, as offset and length: its
/// beginning, its middle and its end, or all of it. They do not overlap.
#[must_use]
pub fn samples(length: u64) -> Vec<(u64, u64)> {
    if length <= 3 * SOURCE_SAMPLE_BYTES {
        return vec![(0, length)];
    }
    [
        0,
        length / 2 - SOURCE_SAMPLE_BYTES / 2,
        length - SOURCE_SAMPLE_BYTES,
    ]
    .map(|offset| (offset, SOURCE_SAMPLE_BYTES))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source = Source {
        length: 7,
        modified_s: -3,
        modified_ns: 5,
        identity: FileIdentity {
            device: 1,
            inode: 2,
        },
        samples: [9; 32],
    };

    #[test]
    fn a_file_is_the_same_when_all_but_its_device_is() {
        let identity = |device, inode| FileIdentity { device, inode };
        let table = [
            (SOURCE, true),
            (
                Source {
                    length: 8,
                    ..SOURCE
                },
                false,
            ),
            (
                Source {
                    modified_s: 3,
                    ..SOURCE
                },
                false,
            ),
            (
                Source {
                    modified_ns: 6,
                    ..SOURCE
                },
                false,
            ),
            (
                Source {
                    samples: [8; 32],
                    ..SOURCE
                },
                false,
            ),
            (
                Source {
                    identity: identity(1, 3),
                    ..SOURCE
                },
                false,
            ),
            (
                Source {
                    identity: identity(8, 2),
                    ..SOURCE
                },
                true,
            ),
        ];
        for (other, expected) in table {
            assert_eq!(SOURCE.is_same(&other), expected, "{other:?}");
        }
    }

    #[test]
    fn samples_lie_within_the_file_and_do_not_overlap() {
        for length in [0, 1, 65_536, 196_608, 196_609, 1 << 20, 5_000_000_001] {
            let mut end = 0;
            for (offset, count) in samples(length) {
                assert!(
                    offset >= end && offset + count <= length,
                    "{length}: {offset}"
                );
                end = offset + count;
            }
            assert_eq!(end, length, "the end is always among them");
        }
    }
}
