//! Resume data and the ticket that it opens.

use serde::{Deserialize, Serialize};

use longhaul_engine::limits::RESUME_DATA_BYTES_MAX;

use super::checkpoint::{CHECKPOINT_BYTES_MAX, DownloadCheckpointV1};
use super::task::{DownloadV1, TASK_BYTES_MAX, UploadV1};
use super::upload::UploadCheckpointV1;
use super::{PathV1, Unusable, first_version, path_from_record, path_to_record};
use crate::resume::{RESUME_MAGIC, ResumeToken, Ticket, TicketId};

/// What resume data holds. It has no `Debug`: the key is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenV1 {
    key: [u8; 32],
    ticket: [u8; 16],
    path: PathV1,
}

/// What lies sealed beside the file of a task. It has no `Debug`, as what was asked of a task has none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TicketV1 {
    Download {
        asked: Box<DownloadV1>,
        progress: Box<DownloadCheckpointV1>,
    },
    Upload {
        asked: Box<UploadV1>,
        progress: Box<UploadCheckpointV1>,
    },
}

first_version!(
    TokenV1,
    kind: b'R',
    bytes_max: RESUME_DATA_BYTES_MAX - RESUME_MAGIC.len() - crate::codec::HEADER_BYTES
);

/// Both at their limits, and the tag between them.
const TICKET_BYTES_MAX: usize = TASK_BYTES_MAX + CHECKPOINT_BYTES_MAX + 1;

first_version!(TicketV1, kind: b'K', bytes_max: TICKET_BYTES_MAX);

impl From<&ResumeToken> for TokenV1 {
    fn from(token: &ResumeToken) -> Self {
        Self {
            key: token.key,
            ticket: token.ticket.0,
            path: path_to_record(&token.path),
        }
    }
}

impl From<TokenV1> for ResumeToken {
    fn from(record: TokenV1) -> Self {
        Self {
            key: record.key,
            ticket: TicketId(record.ticket),
            path: path_from_record(record.path),
        }
    }
}

impl From<&Ticket> for TicketV1 {
    fn from(ticket: &Ticket) -> Self {
        match ticket {
            Ticket::Download(spec, checkpoint) => Self::Download {
                asked: Box::new(spec.into()),
                progress: Box::new(checkpoint.into()),
            },
            Ticket::Upload(spec, checkpoint) => Self::Upload {
                asked: Box::new(spec.into()),
                progress: Box::new(checkpoint.into()),
            },
        }
    }
}

impl TryFrom<TicketV1> for Ticket {
    type Error = Unusable;

    fn try_from(record: TicketV1) -> Result<Self, Unusable> {
        Ok(match record {
            TicketV1::Download { asked, progress } => {
                Self::Download((*asked).try_into()?, (*progress).try_into()?)
            }
            TicketV1::Upload { asked, progress } => {
                Self::Upload((*asked).try_into()?, (*progress).try_into()?)
            }
        })
    }
}
