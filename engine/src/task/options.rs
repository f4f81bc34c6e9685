//! What any task may be given beside what it transfers: when, how eagerly, and who hears of it.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What any task may be given beside what it transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TaskOptions {
    /// Which of the waiting tasks of a session goes first.
    pub priority: Priority,
    /// Not to begin before this time (`earliestBeginDate`).
    pub earliest_begin: Option<Timestamp>,
    /// It may wait for power and a network that costs nothing (`isDiscretionary`). The session's rule
    /// and this one: either is enough.
    pub is_discretionary: bool,
    /// It may use a network that costs money. The session's rule must allow it too.
    pub allows_expensive_network_access: bool,
    /// It may use a network that is to be spared. The session's rule must allow it too.
    pub allows_constrained_network_access: bool,
    /// Bytes per second for this task alone.
    pub rate_limit_bytes: Option<u64>,
    /// The titles of the notification that tells a person of its end.
    pub notify_on_finished: Option<NotificationTitles>,
    /// Statuses beside 401 and 407 that are not a failure but a challenge: those of a signed URL that
    /// has expired, such as 403 and 410. At most
    /// [`CHALLENGE_STATUSES_MAX`](crate::limits::CHALLENGE_STATUSES_MAX).
    pub challenge_statuses: Vec<u16>,
    /// A text of its owner, which the engine keeps and does not read (`taskDescription`).
    pub description: Option<String>,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            priority: Priority::default(),
            earliest_begin: None,
            is_discretionary: false,
            allows_expensive_network_access: true,
            allows_constrained_network_access: true,
            rate_limit_bytes: None,
            notify_on_finished: None,
            challenge_statuses: Vec::new(),
            description: None,
        }
    }
}

/// A change of a task's options while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Adjustment {
    /// Its place among the waiting tasks.
    Priority(Priority),
    /// Bytes per second for it alone; `None` is without a limit.
    RateLimit(Option<u64>),
}

impl TaskOptions {
    /// Makes the change.
    pub const fn adjust(&mut self, adjustment: Adjustment) {
        match adjustment {
            Adjustment::Priority(priority) => self.priority = priority,
            Adjustment::RateLimit(bytes) => self.rate_limit_bytes = bytes,
        }
    }
}

/// The titles of a finish notification; its text is the name of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct NotificationTitles {
    /// When every byte has arrived.
    pub success: String,
    /// When it failed.
    pub failure: String,
}

/// Which of the waiting tasks goes first: 0 to 1, in thousandths (`URLSessionTask.priority`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u16);

impl Priority {
    /// `URLSessionTask.lowPriority`.
    pub const LOW: Self = Self(250);
    /// `URLSessionTask.defaultPriority`.
    pub const DEFAULT: Self = Self(500);
    /// `URLSessionTask.highPriority`.
    pub const HIGH: Self = Self(750);

    /// The priority nearest to `value`; what is not between 0 and 1 is moved to the nearer end, and
    /// what is no number is the default.
    #[must_use]
    pub fn new(value: f32) -> Self {
        if value.is_nan() {
            return Self::DEFAULT;
        }
        // Between 0 and 1000 by then, so nothing is cut.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Self((value.clamp(0.0, 1.0) * 1000.0).round() as u16)
    }

    /// The priority of so many thousandths; more than 1000 count as 1000.
    #[must_use]
    pub const fn from_thousandths(thousandths: u16) -> Self {
        if thousandths > 1000 {
            Self(1000)
        } else {
            Self(thousandths)
        }
    }

    /// In thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u16 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_stays_between_its_ends() {
        for (given, thousandths) in [
            (0.0, 0),
            (0.25, 250),
            (0.75, 750),
            (1.0, 1000),
            (-3.0, 0),
            (7.0, 1000),
            (f32::NAN, 500),
            (f32::INFINITY, 1000),
        ] {
            assert_eq!(Priority::new(given).thousandths(), thousandths, "{given}");
        }
        assert_eq!(Priority::from_thousandths(4000).thousandths(), 1000);
    }
}
