//! The command's only look at the wall clock: how long until a retry, and since the start.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longhaul::Timestamp;

/// The time from now to `at`; zero when it has passed.
pub(crate) fn until(at: Timestamp) -> Duration {
    at.since(now())
}

/// The time now.
pub(crate) fn now() -> Timestamp {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_ms(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
