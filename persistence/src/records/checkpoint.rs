//! How far a task is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use longhaul_engine::authorization_challenge::Answers;
use longhaul_engine::checkpoint::{
    Checkpoint, FileIdentity, Part, Retry, SpanRecord, Stage, TaskCheckpoint, ValidityToken,
};
use longhaul_engine::http::validator::{EntityTag, Validator};
use longhaul_engine::limits::{SPANS_MAX, URL_BYTES_MAX};
use longhaul_engine::metrics::Counts;
use longhaul_engine::time::Timestamp;

use super::event::ChallengeV1;
use super::upload::UploadCheckpointV1;
use super::{
    DigestV1, FailureV1, PathV1, Unusable, digests_from_record, first_version, path_from_record,
    path_to_record,
};

/// Both kinds lie in one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CheckpointV1 {
    Download(DownloadCheckpointV1),
    Upload(UploadCheckpointV1),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DownloadCheckpointV1 {
    stage: StageV1,
    total: Option<u64>,
    validator: ValidatorV1,
    status: Option<u16>,
    offered_digests: Vec<DigestV1>,
    part: Option<PartV1>,
    spans: Vec<SpanV1>,
    file_name: Option<String>,
    attempts_failed: u32,
    restarts: u32,
    retry: Option<RetryV1>,
    length_unverified: bool,
    answers: AnswersV1,
    requests: u32,
    redirects: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum StageV1 {
    Transferring,
    Finishing(PathV1),
    AwaitingAuthorization(ChallengeV1),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AnswersV1 {
    unproven: u32,
    rejected_schemes: Vec<String>,
    is_default_handling: bool,
}

/// An entity tag is kept as it stands in its field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ValidatorV1 {
    Tag(String),
    Date { last_modified_s: u64, strong: bool },
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartV1 {
    path: PathV1,
    device: u64,
    inode: u64,
    boot: [u8; 16],
    mount: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SpanV1 {
    start: u64,
    end: Option<u64>,
    written: u64,
    synced: u64,
    tail: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RetryV1 {
    at_ms: u64,
    delay_ms: u64,
    cause: FailureV1,
}

/// More than either kind. Of a download: all spans of 69 bytes at most, two paths and an error text of
/// 4 KiB each, an entity tag of 1 KiB, digests, a challenge of less than 1 KiB and as much of rejected
/// schemes. Of an upload: a URL, an error text with resume data, and the challenge.
pub(super) const CHECKPOINT_BYTES_MAX: usize = SPANS_MAX * 69 + URL_BYTES_MAX + 26 * 1024;

first_version!(CheckpointV1, kind: b'P', bytes_max: CHECKPOINT_BYTES_MAX);

impl CheckpointV1 {
    /// When the task tries again and why, while it waits.
    pub(crate) fn retry(self) -> Option<Retry> {
        let retry = match self {
            Self::Download(known) => known.retry,
            Self::Upload(known) => known.retry,
        };
        retry.map(Retry::from)
    }

    /// True while the task waits for credentials.
    pub(crate) const fn awaits_authorization(&self) -> bool {
        match self {
            Self::Download(known) => matches!(known.stage, StageV1::AwaitingAuthorization(_)),
            Self::Upload(known) => known.awaits_authorization(),
        }
    }
}

impl From<&TaskCheckpoint> for CheckpointV1 {
    fn from(checkpoint: &TaskCheckpoint) -> Self {
        match checkpoint {
            TaskCheckpoint::Download(known) => known.into(),
            TaskCheckpoint::Upload(known) => Self::Upload(known.into()),
        }
    }
}

impl From<&Checkpoint> for CheckpointV1 {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self::Download(checkpoint.into())
    }
}

impl TryFrom<CheckpointV1> for TaskCheckpoint {
    type Error = Unusable;

    fn try_from(record: CheckpointV1) -> Result<Self, Unusable> {
        Ok(match record {
            CheckpointV1::Download(record) => Self::Download(record.try_into()?),
            CheckpointV1::Upload(record) => Self::Upload(record.try_into()?),
        })
    }
}

impl From<&Checkpoint> for DownloadCheckpointV1 {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            stage: (&checkpoint.stage).into(),
            total: checkpoint.total,
            validator: (&checkpoint.validator).into(),
            status: checkpoint.status,
            offered_digests: checkpoint
                .offered_digests
                .iter()
                .map(DigestV1::from)
                .collect(),
            part: checkpoint.part.as_ref().map(PartV1::from),
            spans: checkpoint.spans.iter().map(SpanV1::from).collect(),
            file_name: checkpoint.file_name.clone(),
            attempts_failed: checkpoint.attempts_failed,
            restarts: checkpoint.restarts,
            retry: checkpoint.retry.as_ref().map(RetryV1::from),
            length_unverified: checkpoint.length_unverified,
            answers: (&checkpoint.answers).into(),
            requests: checkpoint.counts.requests,
            redirects: checkpoint.counts.redirects,
        }
    }
}

impl TryFrom<DownloadCheckpointV1> for Checkpoint {
    type Error = Unusable;

    fn try_from(record: DownloadCheckpointV1) -> Result<Self, Unusable> {
        if record.spans.len() > SPANS_MAX {
            return Err(Unusable("it has too many spans"));
        }
        let spans = record.spans.into_iter().map(SpanRecord::try_from);
        Ok(Self {
            stage: record.stage.into(),
            total: record.total,
            validator: record.validator.try_into()?,
            status: record.status,
            offered_digests: digests_from_record(record.offered_digests)?,
            part: record.part.map(Part::from),
            spans: spans.collect::<Result<_, _>>()?,
            file_name: record.file_name,
            attempts_failed: record.attempts_failed,
            restarts: record.restarts,
            retry: record.retry.map(Retry::from),
            length_unverified: record.length_unverified,
            answers: record.answers.into(),
            counts: Counts {
                requests: record.requests,
                redirects: record.redirects,
            },
        })
    }
}

impl From<&Retry> for RetryV1 {
    fn from(retry: &Retry) -> Self {
        Self {
            at_ms: retry.at.as_unix_ms(),
            delay_ms: u64::try_from(retry.delay.as_millis()).unwrap_or(u64::MAX),
            cause: (&retry.cause).into(),
        }
    }
}

impl From<RetryV1> for Retry {
    fn from(record: RetryV1) -> Self {
        Self {
            at: Timestamp::from_unix_ms(record.at_ms),
            delay: Duration::from_millis(record.delay_ms),
            cause: record.cause.into(),
        }
    }
}

impl From<&Stage> for StageV1 {
    fn from(stage: &Stage) -> Self {
        match stage {
            Stage::Transferring => Self::Transferring,
            Stage::Finishing(path) => Self::Finishing(path_to_record(path)),
            Stage::AwaitingAuthorization(challenge) => {
                Self::AwaitingAuthorization((&**challenge).into())
            }
        }
    }
}

impl From<StageV1> for Stage {
    fn from(record: StageV1) -> Self {
        match record {
            StageV1::Transferring => Self::Transferring,
            StageV1::Finishing(path) => Self::Finishing(path_from_record(path)),
            StageV1::AwaitingAuthorization(challenge) => {
                Self::AwaitingAuthorization(Box::new(challenge.into()))
            }
        }
    }
}

impl From<&Answers> for AnswersV1 {
    fn from(answers: &Answers) -> Self {
        Self {
            unproven: answers.unproven,
            rejected_schemes: answers.rejected_schemes.clone(),
            is_default_handling: answers.is_default_handling,
        }
    }
}

impl From<AnswersV1> for Answers {
    fn from(record: AnswersV1) -> Self {
        Self {
            unproven: record.unproven,
            rejected_schemes: record.rejected_schemes,
            is_default_handling: record.is_default_handling,
        }
    }
}

impl From<&Validator> for ValidatorV1 {
    fn from(validator: &Validator) -> Self {
        match validator {
            Validator::Tag(tag) => Self::Tag(tag.to_string()),
            Validator::Date {
                last_modified_s,
                strong,
            } => Self::Date {
                last_modified_s: *last_modified_s,
                strong: *strong,
            },
            Validator::None => Self::None,
        }
    }
}

impl TryFrom<ValidatorV1> for Validator {
    type Error = Unusable;

    fn try_from(record: ValidatorV1) -> Result<Self, Unusable> {
        Ok(match record {
            ValidatorV1::Tag(text) => {
                Self::Tag(EntityTag::parse(&text).ok_or(Unusable("its entity tag is malformed"))?)
            }
            ValidatorV1::Date {
                last_modified_s,
                strong,
            } => Self::Date {
                last_modified_s,
                strong,
            },
            ValidatorV1::None => Self::None,
        })
    }
}

impl From<&Part> for PartV1 {
    fn from(part: &Part) -> Self {
        Self {
            path: path_to_record(&part.path),
            device: part.identity.device,
            inode: part.identity.inode,
            boot: part.token.boot,
            mount: part.token.mount,
        }
    }
}

impl From<PartV1> for Part {
    fn from(record: PartV1) -> Self {
        Self {
            path: path_from_record(record.path),
            identity: FileIdentity {
                device: record.device,
                inode: record.inode,
            },
            token: ValidityToken {
                boot: record.boot,
                mount: record.mount,
            },
        }
    }
}

impl From<&SpanRecord> for SpanV1 {
    fn from(span: &SpanRecord) -> Self {
        let SpanRecord {
            start,
            end,
            written,
            synced,
            tail,
        } = *span;
        Self {
            start,
            end,
            written,
            synced,
            tail,
        }
    }
}

impl TryFrom<SpanV1> for SpanRecord {
    type Error = Unusable;

    /// Holds the order of the marks: a claim that breaks it can not be believed at all.
    fn try_from(record: SpanV1) -> Result<Self, Unusable> {
        let SpanV1 {
            start,
            end,
            written,
            synced,
            tail,
        } = record;
        let ordered = start <= synced && synced <= written && end.is_none_or(|end| written <= end);
        if !ordered {
            return Err(Unusable("the marks of a span are out of order"));
        }
        Ok(Self {
            start,
            end,
            written,
            synced,
            tail,
        })
    }
}
