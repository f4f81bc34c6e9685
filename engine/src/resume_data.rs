//! A checkpoint in the hands of its owner, as an opaque value.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::limits::RESUME_DATA_BYTES_MAX;

/// What a cancelled or failed task leaves to its owner, to go on with later: opaque, versioned,
/// checksummed, of use once, and without any secret of the request
/// (`cancel(byProducingResumeData:)`, `NSURLSessionDownloadTaskResumeData`,
/// `URLError.uploadTaskResumeData`).
///
/// It names a sealed file, the ticket, which holds what was asked and can be opened with this value
/// alone. That of a download lies beside its part file, which holds the bytes; that of an upload
/// beside the file that is sent, or in the state directory where no file may be made there. When the
/// ticket, the part file or the file to be sent is gone or has changed, the resume data is worth
/// nothing. It is of use in any session, with any state directory, also after the one of its task was
/// deleted, unless the ticket lay in it. The files stay until it is used or discarded; no
/// acknowledgement removes them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResumeData(Vec<u8>);

/// What a task that leaves resume data ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its owner cancelled it.
    Cancelled,
    /// It failed.
    Failed(Failure),
}

/// The bytes can be no resume data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resume data has at most {RESUME_DATA_BYTES_MAX} bytes, and this has {0}")]
pub struct ResumeDataTooLong(pub usize);

/// Why resume data is of no use. Nothing was changed then, and no task was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResumeDataError {
    /// Caller: the bytes are something else.
    #[error("these bytes are no resume data; give those that a task has left, as they were")]
    NotResumeData,
    /// Caller: some of the bytes have changed or are missing.
    #[error("the resume data is damaged; give it as it was, or start the transfer anew")]
    Torn,
    /// Operator: a later version of this program made it.
    #[error(
        "the resume data is of version {found}, and this version knows up to {known}; install the \
         newer version, or start the transfer anew"
    )]
    Newer {
        /// Its version.
        found: u8,
        /// The newest version that this program knows.
        known: u8,
    },
    /// Caller: it is of an upload.
    #[error("the resume data is of an upload; resume it as one")]
    OfAnUpload,
    /// Caller: it is of a download.
    #[error("the resume data is of a download; resume it as one")]
    OfADownload,
    /// Caller: what lies where it points was sealed by another task, or changed.
    #[error("{0:?} can not be opened with this resume data; start the transfer anew")]
    Foreign(#[serde(with = "crate::serial::PathText")] PathBuf),
    /// Caller: the files that it needs are gone or are others now.
    #[error(
        "what the resume data needs is not at {0:?} any more: it was used, or its files were \
         removed or changed; start the transfer anew"
    )]
    Stale(#[serde(with = "crate::serial::PathText")] PathBuf),
    /// Caller: it was used, or is being used in this moment.
    #[error("the resume data was used already; go on with the task that was made of it")]
    Used,
    /// Operator: the system refuses; the text names the file and the next step.
    #[error("{0}")]
    File(String),
}

impl ResumeData {
    /// Takes bytes that [`ResumeData::as_bytes`] gave earlier. Whether they are whole, and of use,
    /// is found out when a task is made of them.
    ///
    /// # Errors
    /// When they are longer than any resume data.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ResumeDataTooLong> {
        match bytes.len() {
            0..=RESUME_DATA_BYTES_MAX => Ok(Self(bytes)),
            length => Err(ResumeDataTooLong(length)),
        }
    }

    /// The bytes, to be kept in a file or a preference.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ResumeData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumeData({} bytes)", self.0.len())
    }
}
