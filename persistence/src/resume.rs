//! Resume data as bytes: the token that its owner holds, and the ticket that it opens.

use std::fmt;
use std::path::PathBuf;

use longhaul_engine::checkpoint::Checkpoint;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::task::{DownloadSpec, UploadSpec};
use longhaul_engine::upload::UploadCheckpoint;

use crate::codec::{self, CodecError, TooLarge};
use crate::records::{TicketV1, TokenV1};

/// How resume data begins, so that other bytes are told from damaged ones.
pub(crate) const RESUME_MAGIC: &[u8] = b"longhaul-resume";

/// What resume data holds: where the ticket lies and what opens it, and nothing of the request.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeToken {
    /// Opens the ticket; made for it alone.
    pub key: [u8; 32],
    /// Which ticket.
    pub ticket: TicketId,
    /// Where it lies: an absolute path.
    pub path: PathBuf,
}

/// Tells tickets apart. It is no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TicketId(pub [u8; 16]);

/// What lies sealed beside a part file, or the file of an upload: all that a task needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// What was asked, and how far it is.
    Download(DownloadSpec, Checkpoint),
    /// What was asked, and which file it was. A plain upload begins from its first byte.
    Upload(UploadSpec, UploadCheckpoint),
}

/// A ticket that a task is made of. It is held while the store knows that task, so that the ticket is
/// used once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketClaim {
    /// Which ticket.
    pub id: TicketId,
    /// Where it lies until it is removed.
    pub path: PathBuf,
}

impl ResumeToken {
    /// The token as its owner gets it.
    ///
    /// # Errors
    /// When the path is longer than any that a system takes.
    pub fn encode(&self) -> Result<ResumeData, TicketTooLarge> {
        let record = codec::encode(&TokenV1::from(self))?;
        let bytes = [RESUME_MAGIC, &record].concat();
        Ok(ResumeData::from_bytes(bytes).expect("the record's limit leaves room for the magic"))
    }

    /// What its owner gives back.
    ///
    /// # Errors
    /// [`ResumeDataError::NotResumeData`], [`ResumeDataError::Torn`] or [`ResumeDataError::Newer`].
    pub fn decode(data: &ResumeData) -> Result<Self, ResumeDataError> {
        let Some(record) = data.as_bytes().strip_prefix(RESUME_MAGIC) else {
            return Err(ResumeDataError::NotResumeData);
        };
        codec::decode::<TokenV1>(record)
            .map(Self::from)
            .map_err(unusable)
    }

    /// The claim of a task that is made of it.
    #[must_use]
    pub fn claim(&self) -> TicketClaim {
        TicketClaim {
            id: self.ticket,
            path: self.path.clone(),
        }
    }
}

impl Ticket {
    /// Its bytes, which are secrets: they are to be sealed.
    ///
    /// # Errors
    /// When the request is larger than any that a store takes.
    pub fn encode(&self) -> Result<Vec<u8>, TicketTooLarge> {
        Ok(codec::encode(&TicketV1::from(self))?)
    }

    /// The ticket in bytes that were sealed.
    ///
    /// # Errors
    /// [`ResumeDataError::Newer`], or [`ResumeDataError::Torn`] when it is none that this program
    /// writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ResumeDataError> {
        let record: TicketV1 = codec::decode(bytes).map_err(unusable)?;
        Self::try_from(record).map_err(|_| ResumeDataError::Torn)
    }
}

/// What is to be sealed is larger than any store takes, so no store gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ticket of {bytes} bytes is larger than the {bytes_max} allowed")]
pub struct TicketTooLarge {
    /// Its size.
    pub bytes: usize,
    /// The limit.
    pub bytes_max: usize,
}

impl From<TooLarge> for TicketTooLarge {
    fn from(TooLarge { bytes, bytes_max }: TooLarge) -> Self {
        Self { bytes, bytes_max }
    }
}

fn unusable(error: CodecError) -> ResumeDataError {
    match error {
        CodecError::Newer { found, known } => ResumeDataError::Newer { found, known },
        CodecError::Torn
        | CodecError::TooLarge(_)
        | CodecError::Trailing(_)
        | CodecError::Malformed(_) => ResumeDataError::Torn,
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeToken")
            .field("ticket", &self.ticket)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
