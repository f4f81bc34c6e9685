//! A fact that waits to be acknowledged.

use serde::{Deserialize, Serialize};

use longhaul_engine::event::Fact;
use longhaul_engine::id::TaskId;
use longhaul_engine::limits::ERROR_TEXT_BYTES_MAX;

use super::first_version;
use super::state::OutcomeV1;

/// A fact; its number is in the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FactV1 {
    Completed { task: u64, outcome: OutcomeV1 },
}

/// A path or an error text, both of at most 4 KiB, and some integers.
const FACT_BYTES_MAX: usize = ERROR_TEXT_BYTES_MAX + 4 * 1024;

first_version!(FactV1, kind: b'E', bytes_max: FACT_BYTES_MAX);

impl From<FactV1> for Fact {
    fn from(record: FactV1) -> Self {
        match record {
            FactV1::Completed { task, outcome } => Self::Completed {
                task: TaskId::new(task),
                outcome: outcome.into(),
            },
        }
    }
}
