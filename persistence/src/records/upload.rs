//! How far an upload is.

use serde::{Deserialize, Serialize};

use longhaul_engine::checkpoint::{FileIdentity, Retry};
use longhaul_engine::metrics::Counts;
use longhaul_engine::upload::{Remote, Source, UploadCheckpoint, UploadStage};

use super::Unusable;
use super::checkpoint::{AnswersV1, RetryV1};
use super::event::ChallengeV1;
use super::remote::{RemoteV1, UnheardV1};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadCheckpointV1 {
    stage: UploadStageV1,
    source: Option<SourceV1>,
    attempts_failed: u32,
    pub(super) retry: Option<RetryV1>,
    answers: AnswersV1,
    requests: u32,
    redirects: u32,
    remote: Option<RemoteV1>,
    unheard: UnheardV1,
    restarts: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum UploadStageV1 {
    Transferring,
    AwaitingAuthorization(ChallengeV1),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SourceV1 {
    length: u64,
    modified_s: i64,
    modified_ns: u32,
    device: u64,
    inode: u64,
    samples: [u8; 32],
}

impl UploadCheckpointV1 {
    pub(super) const fn awaits_authorization(&self) -> bool {
        matches!(self.stage, UploadStageV1::AwaitingAuthorization(_))
    }
}

impl From<&UploadCheckpoint> for UploadCheckpointV1 {
    fn from(checkpoint: &UploadCheckpoint) -> Self {
        Self {
            stage: match &checkpoint.stage {
                UploadStage::Transferring => UploadStageV1::Transferring,
                UploadStage::AwaitingAuthorization(challenge) => {
                    UploadStageV1::AwaitingAuthorization((&**challenge).into())
                }
            },
            source: checkpoint.source.as_ref().map(SourceV1::from),
            attempts_failed: checkpoint.attempts_failed,
            retry: checkpoint.retry.as_ref().map(RetryV1::from),
            answers: (&checkpoint.answers).into(),
            requests: checkpoint.counts.requests,
            redirects: checkpoint.counts.redirects,
            remote: checkpoint.remote.as_ref().map(RemoteV1::from),
            unheard: checkpoint.unheard.into(),
            restarts: checkpoint.restarts,
        }
    }
}

impl TryFrom<UploadCheckpointV1> for UploadCheckpoint {
    type Error = Unusable;

    fn try_from(record: UploadCheckpointV1) -> Result<Self, Unusable> {
        Ok(Self {
            stage: match record.stage {
                UploadStageV1::Transferring => UploadStage::Transferring,
                UploadStageV1::AwaitingAuthorization(challenge) => {
                    UploadStage::AwaitingAuthorization(Box::new(challenge.into()))
                }
            },
            source: record.source.map(Source::from),
            attempts_failed: record.attempts_failed,
            retry: record.retry.map(Retry::from),
            answers: record.answers.into(),
            counts: Counts {
                requests: record.requests,
                redirects: record.redirects,
            },
            remote: record.remote.map(Remote::try_from).transpose()?,
            unheard: record.unheard.into(),
            restarts: record.restarts,
        })
    }
}

impl From<&Source> for SourceV1 {
    fn from(source: &Source) -> Self {
        Self {
            length: source.length,
            modified_s: source.modified_s,
            modified_ns: source.modified_ns,
            device: source.identity.device,
            inode: source.identity.inode,
            samples: source.samples,
        }
    }
}

impl From<SourceV1> for Source {
    fn from(record: SourceV1) -> Self {
        Self {
            length: record.length,
            modified_s: record.modified_s,
            modified_ns: record.modified_ns,
            identity: FileIdentity {
                device: record.device,
                inode: record.inode,
            },
            samples: record.samples,
        }
    }
}
