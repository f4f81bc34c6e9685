//! How often an app was called back for a session.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use longhaul_engine::launch::{LaunchLog, LaunchReason};
use longhaul_engine::limits::LAUNCHES_PER_HOUR_MAX;
use longhaul_engine::time::Timestamp;

use super::first_version;

/// A session's calls, and the refresh task that is not completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaunchV1 {
    launched_at_ms: Vec<u64>,
    delay_ms: u64,
    open: Option<LaunchReasonV1>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum LaunchReasonV1 {
    Drained,
    AuthorizationRequired,
}

/// Integers of at most nine bytes each.
const LAUNCH_BYTES_MAX: usize = (LAUNCHES_PER_HOUR_MAX + 4) * 9;

first_version!(LaunchV1, kind: b'L', bytes_max: LAUNCH_BYTES_MAX);

impl From<&LaunchLog> for LaunchV1 {
    fn from(log: &LaunchLog) -> Self {
        Self {
            launched_at_ms: log.launches().iter().map(|at| at.as_unix_ms()).collect(),
            delay_ms: u64::try_from(log.delay().as_millis()).unwrap_or(u64::MAX),
            open: log.pending().map(|reason| match reason {
                LaunchReason::Drained => LaunchReasonV1::Drained,
                LaunchReason::AuthorizationRequired => LaunchReasonV1::AuthorizationRequired,
            }),
        }
    }
}

impl From<LaunchV1> for LaunchLog {
    fn from(record: LaunchV1) -> Self {
        let launches = record.launched_at_ms.into_iter();
        let open = record.open.map(|reason| match reason {
            LaunchReasonV1::Drained => LaunchReason::Drained,
            LaunchReasonV1::AuthorizationRequired => LaunchReason::AuthorizationRequired,
        });
        Self::restored(
            launches.map(Timestamp::from_unix_ms).collect(),
            Duration::from_millis(record.delay_ms),
            open,
        )
    }
}
