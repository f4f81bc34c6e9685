//! The command's only look at the wall clock: how long until a retry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longhaul::Timestamp;

/// The time from now to `at`; zero when it has passed.
pub(crate) fn until(at: Timestamp) -> Duration {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    at.since(Timestamp::from_unix_ms(now_ms))
}
