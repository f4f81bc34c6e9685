//! Points in time, as the caller tells them: milliseconds since the Unix epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A wall clock reading in milliseconds since the Unix epoch. It is an input everywhere: nothing
/// in this crate can read a clock. Waits are stored as such points, so they survive a restart.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `ms` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This point moved by `delay` into the future; it saturates.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(delay_ms))
    }

    /// The time from `earlier` to this point; zero when `earlier` is later (a clock set back).
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This point moved by `delay` into the past; it stops at the epoch.
    #[must_use]
    pub const fn before(self, delay: Duration) -> Self {
        let delay_ms = delay.as_secs().saturating_mul(1000);
        let delay_ms = delay_ms.saturating_add(delay.subsec_millis() as u64);
        Self(self.0.saturating_sub(delay_ms))
    }
}

impl From<SystemTime> for Timestamp {
    /// To the millisecond; what is before the epoch becomes the epoch.
    fn from(time: SystemTime) -> Self {
        Self::default().after(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}
