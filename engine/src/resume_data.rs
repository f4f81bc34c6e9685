//! A checkpoint in the hands of its owner, as an opaque value.

use std::fmt;

use crate::limits::RESUME_DATA_BYTES_MAX;

/// What a cancelled or failed task leaves to its owner, to go on with later: opaque, versioned,
/// checksummed, of use once, and without any secret of the request
/// (`cancel(byProducingResumeData:)`, `NSURLSessionDownloadTaskResumeData`).
///
/// It names a part file, which holds the bytes: when that is gone the resume data is worth nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResumeData(Vec<u8>);

/// The bytes can be no resume data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resume data has at most {RESUME_DATA_BYTES_MAX} bytes, and this has {0}")]
pub struct ResumeDataTooLong(pub usize);

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
