//! A fact that waits to be acknowledged.

use serde::{Deserialize, Serialize};

use longhaul_engine::authorization_challenge::Challenge;
use longhaul_engine::event::Fact;
use longhaul_engine::id::TaskId;
use longhaul_engine::limits::{REALM_BYTES_MAX, URL_BYTES_MAX};

use super::first_version;
use super::metrics::{METRICS_BYTES_MAX, MetricsV1};
use super::state::{OUTCOME_BYTES_MAX, OutcomeV1};

/// A fact; its number is in the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FactV1 {
    Completed {
        task: u64,
        outcome: OutcomeV1,
        metrics: Option<MetricsV1>,
    },
    Challenged {
        task: u64,
        challenge: ChallengeV1,
    },
    BecameInvalid,
    StateLost,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChallengeV1 {
    host: String,
    status: u16,
    scheme: String,
    realm: Option<String>,
    previous_failures: u32,
}

/// An outcome with its metrics, or a host and a realm.
const FACT_BYTES_MAX: usize =
    OUTCOME_BYTES_MAX + METRICS_BYTES_MAX + URL_BYTES_MAX + REALM_BYTES_MAX;

first_version!(FactV1, kind: b'E', bytes_max: FACT_BYTES_MAX);

impl From<&Fact> for FactV1 {
    fn from(fact: &Fact) -> Self {
        match fact {
            Fact::Completed {
                task,
                outcome,
                metrics,
            } => Self::Completed {
                task: task.get(),
                outcome: outcome.into(),
                metrics: metrics.as_deref().map(MetricsV1::from),
            },
            Fact::Challenged { task, challenge } => Self::Challenged {
                task: task.get(),
                challenge: challenge.into(),
            },
            Fact::BecameInvalid => Self::BecameInvalid,
            Fact::StateLost => Self::StateLost,
        }
    }
}

impl From<FactV1> for Fact {
    fn from(record: FactV1) -> Self {
        match record {
            FactV1::Completed {
                task,
                outcome,
                metrics,
            } => Self::Completed {
                task: TaskId::new(task),
                outcome: outcome.into(),
                metrics: metrics.map(|metrics| Box::new(metrics.into())),
            },
            FactV1::Challenged { task, challenge } => Self::Challenged {
                task: TaskId::new(task),
                challenge: challenge.into(),
            },
            FactV1::BecameInvalid => Self::BecameInvalid,
            FactV1::StateLost => Self::StateLost,
        }
    }
}

impl From<&Challenge> for ChallengeV1 {
    fn from(challenge: &Challenge) -> Self {
        Self {
            host: challenge.host.clone(),
            status: challenge.status,
            scheme: challenge.scheme.clone(),
            realm: challenge.realm.clone(),
            previous_failures: challenge.previous_failures,
        }
    }
}

impl From<ChallengeV1> for Challenge {
    fn from(record: ChallengeV1) -> Self {
        let ChallengeV1 {
            host,
            status,
            scheme,
            realm,
            previous_failures,
        } = record;
        Self {
            host,
            status,
            scheme,
            realm,
            previous_failures,
        }
    }
}
