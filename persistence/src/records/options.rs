//! What any task was given beside what it transfers.

use serde::{Deserialize, Serialize};

use longhaul_engine::task::{NotificationTitles, Priority, TaskOptions};
use longhaul_engine::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OptionsV1 {
    priority: u16,
    earliest_begin_ms: Option<u64>,
    is_discretionary: bool,
    allows_expensive_network_access: bool,
    allows_constrained_network_access: bool,
    rate_limit_bytes: Option<u64>,
    notify_on_finished: Option<(String, String)>,
    description: Option<String>,
    challenge_statuses: Vec<u16>,
}

impl From<&TaskOptions> for OptionsV1 {
    fn from(options: &TaskOptions) -> Self {
        let notify = options.notify_on_finished.as_ref();
        Self {
            priority: options.priority.thousandths(),
            earliest_begin_ms: options.earliest_begin.map(Timestamp::as_unix_ms),
            is_discretionary: options.is_discretionary,
            allows_expensive_network_access: options.allows_expensive_network_access,
            allows_constrained_network_access: options.allows_constrained_network_access,
            rate_limit_bytes: options.rate_limit_bytes,
            notify_on_finished: notify
                .map(|titles| (titles.success.clone(), titles.failure.clone())),
            description: options.description.clone(),
            challenge_statuses: options.challenge_statuses.clone(),
        }
    }
}

impl From<OptionsV1> for TaskOptions {
    fn from(record: OptionsV1) -> Self {
        Self {
            priority: Priority::from_thousandths(record.priority),
            earliest_begin: record.earliest_begin_ms.map(Timestamp::from_unix_ms),
            is_discretionary: record.is_discretionary,
            allows_expensive_network_access: record.allows_expensive_network_access,
            allows_constrained_network_access: record.allows_constrained_network_access,
            rate_limit_bytes: record.rate_limit_bytes,
            notify_on_finished: record
                .notify_on_finished
                .map(|(success, failure)| NotificationTitles { success, failure }),
            challenge_statuses: record.challenge_statuses,
            description: record.description,
        }
    }
}
