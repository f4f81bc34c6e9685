//! When a task runs, as its state repeats it: a list of tasks is read without what was asked.

use serde::{Deserialize, Serialize};

use longhaul_engine::schedule::Schedule;
use longhaul_engine::task::Priority;
use longhaul_engine::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScheduleV1 {
    priority: u16,
    earliest_begin_ms: Option<u64>,
    is_discretionary: bool,
    allows_expensive_network_access: bool,
    allows_constrained_network_access: bool,
    rate_limit_bytes: Option<u64>,
}

impl From<Schedule> for ScheduleV1 {
    fn from(schedule: Schedule) -> Self {
        Self {
            priority: schedule.priority.thousandths(),
            earliest_begin_ms: schedule.earliest_begin.map(Timestamp::as_unix_ms),
            is_discretionary: schedule.is_discretionary,
            allows_expensive_network_access: schedule.allows_expensive_network_access,
            allows_constrained_network_access: schedule.allows_constrained_network_access,
            rate_limit_bytes: schedule.rate_limit_bytes,
        }
    }
}

impl From<ScheduleV1> for Schedule {
    fn from(record: ScheduleV1) -> Self {
        Self {
            priority: Priority::from_thousandths(record.priority),
            earliest_begin: record.earliest_begin_ms.map(Timestamp::from_unix_ms),
            is_discretionary: record.is_discretionary,
            allows_expensive_network_access: record.allows_expensive_network_access,
            allows_constrained_network_access: record.allows_constrained_network_access,
            rate_limit_bytes: record.rate_limit_bytes,
        }
    }
}
