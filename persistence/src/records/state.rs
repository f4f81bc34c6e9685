//! What is wanted of a task and how it ended.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use longhaul_engine::limits::{
    ERROR_TEXT_BYTES_MAX, RESPONSE_BODY_BYTES_MAX, RESPONSE_HEADER_BYTES_MAX,
    RESUME_DATA_BYTES_MAX, URL_BYTES_MAX,
};
use longhaul_engine::resume_data::ResumeData;
use longhaul_engine::task::{Desired, Finished, Outcome, Uploaded};

use super::schedule::ScheduleV1;
use super::{FailureV1, PathV1, first_version, path_from_record, path_to_record, ticket_key};
use crate::resume::{TicketClaim, TicketId};

/// What is wanted of a task and how it ended, and what a list of tasks shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateV1 {
    pub(crate) desired: DesiredV1,
    pub(crate) created_at_ms: u64,
    pub(crate) host: String,
    /// A copy of the options that decide when it runs.
    pub(crate) schedule: ScheduleV1,
    /// Its owner has decided that it begins.
    pub(crate) has_begun: bool,
    pub(crate) ended: Option<EndedV1>,
    /// The ticket that the task was made of.
    pub(crate) ticket: Option<TicketClaimV1>,
}

/// A ticket that is claimed by a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TicketClaimV1 {
    id: [u8; 16],
    path: PathV1,
}

impl TicketClaimV1 {
    /// The key of its claim.
    pub(crate) fn key(&self) -> Vec<u8> {
        ticket_key(TicketId(self.id))
    }

    /// Where the ticket lay.
    pub(crate) fn path(self) -> PathBuf {
        path_from_record(self.path)
    }
}

impl From<&TicketClaim> for TicketClaimV1 {
    fn from(claim: &TicketClaim) -> Self {
        Self {
            id: claim.id.0,
            path: path_to_record(&claim.path),
        }
    }
}

impl StateV1 {
    /// The resume data of a failure.
    pub(crate) fn resume_data(&self) -> Option<&[u8]> {
        match &self.ended.as_ref()?.outcome {
            OutcomeV1::Failed(failure) => failure.resume_data.as_deref(),
            OutcomeV1::Finished { .. }
            | OutcomeV1::Skipped(_)
            | OutcomeV1::Cancelled
            | OutcomeV1::CancelledResumable(_)
            | OutcomeV1::Uploaded { .. } => None,
        }
    }
}

/// How a task ended, and the number of the fact that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndedV1 {
    pub(crate) sequence: u64,
    pub(crate) outcome: OutcomeV1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DesiredV1 {
    Running,
    Suspended,
    Cancelled,
    CancelledResumable,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OutcomeV1 {
    Finished {
        path: PathV1,
        bytes: u64,
        length_unverified: bool,
        status: u16,
    },
    Skipped(PathV1),
    Failed(FailureV1),
    Cancelled,
    CancelledResumable(Vec<u8>),
    Uploaded {
        status: u16,
        bytes: u64,
        headers: Vec<(String, String)>,
        response: Vec<u8>,
    },
}

/// An outcome, a host name, which is part of a URL, the path of a ticket of 4 KiB, and some integers.
const STATE_BYTES_MAX: usize = OUTCOME_BYTES_MAX + URL_BYTES_MAX + 5 * 1024;

/// A path, or an error text with resume data, or an answer's body and fields.
pub(super) const OUTCOME_BYTES_MAX: usize = ERROR_TEXT_BYTES_MAX
    + RESUME_DATA_BYTES_MAX
    + RESPONSE_BODY_BYTES_MAX
    + RESPONSE_HEADER_BYTES_MAX
    + 4096;

first_version!(StateV1, kind: b'A', bytes_max: STATE_BYTES_MAX);

impl From<Desired> for DesiredV1 {
    fn from(desired: Desired) -> Self {
        match desired {
            Desired::Running => Self::Running,
            Desired::Suspended => Self::Suspended,
            Desired::Cancelled => Self::Cancelled,
            Desired::CancelledResumable => Self::CancelledResumable,
        }
    }
}

impl From<DesiredV1> for Desired {
    fn from(record: DesiredV1) -> Self {
        match record {
            DesiredV1::Running => Self::Running,
            DesiredV1::Suspended => Self::Suspended,
            DesiredV1::Cancelled => Self::Cancelled,
            DesiredV1::CancelledResumable => Self::CancelledResumable,
        }
    }
}

impl From<&Outcome> for OutcomeV1 {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Finished(Finished {
                path,
                bytes,
                length_unverified,
                status,
            }) => Self::Finished {
                path: path_to_record(path),
                bytes: *bytes,
                length_unverified: *length_unverified,
                status: *status,
            },
            Outcome::Skipped(path) => Self::Skipped(path_to_record(path)),
            Outcome::Failed(failure) => Self::Failed(failure.into()),
            Outcome::Cancelled => Self::Cancelled,
            Outcome::CancelledResumable(data) => Self::CancelledResumable(data.as_bytes().to_vec()),
            Outcome::Uploaded(Uploaded {
                status,
                bytes,
                headers,
                response,
            }) => Self::Uploaded {
                status: *status,
                bytes: *bytes,
                headers: headers.clone(),
                response: response.clone(),
            },
        }
    }
}

impl From<OutcomeV1> for Outcome {
    fn from(record: OutcomeV1) -> Self {
        match record {
            OutcomeV1::Finished {
                path,
                bytes,
                length_unverified,
                status,
            } => Self::Finished(Finished {
                path: path_from_record(path),
                bytes,
                length_unverified,
                status,
            }),
            OutcomeV1::Skipped(path) => Self::Skipped(path_from_record(path)),
            OutcomeV1::Failed(failure) => Self::Failed(failure.into()),
            OutcomeV1::Cancelled => Self::Cancelled,
            OutcomeV1::CancelledResumable(bytes) => match ResumeData::from_bytes(bytes) {
                Ok(data) => Self::CancelledResumable(data),
                // Longer than any that this version makes: of no use to anybody.
                Err(_) => Self::Cancelled,
            },
            OutcomeV1::Uploaded {
                status,
                bytes,
                headers,
                response,
            } => Self::Uploaded(Uploaded {
                status,
                bytes,
                headers,
                response,
            }),
        }
    }
}
