//! Why a task is not done yet, in words for a person.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::task::{Constraint, Phase, QueueReason};
use crate::time::Timestamp;

/// Why a task is not done yet: what it does or waits for, and what slows it down. `Display` says it
/// in a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Why {
    /// What it does or waits for, with the constraint, the time or the cause.
    pub phase: Phase,
    /// The rate limit that holds its bytes back at this moment.
    pub slowed_by: Option<RateDelay>,
}

impl Why {
    /// The reason of a task in this phase.
    #[must_use]
    pub const fn new(phase: Phase, slowed_by: Option<RateDelay>) -> Self {
        Self { phase, slowed_by }
    }
}

/// A rate limit that holds bytes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RateDelay {
    /// Whose limit it is.
    pub scope: RateScope,
    /// The limit.
    pub bytes_per_second: u64,
    /// For how long the next byte is held back.
    #[serde(rename = "delay_ms", with = "crate::serial::Millis")]
    pub delay: Duration,
}

/// Whose rate limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RateScope {
    /// The task's own.
    Task,
    /// That of all tasks of its session together.
    Session,
    /// That of all tasks of the engine together.
    Engine,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.phase {
            Phase::Queued(reason) => write_queued(*reason, f)?,
            Phase::Connecting => f.write_str("it waits for the server's answer")?,
            Phase::Transferring => f.write_str("its bytes flow")?,
            Phase::WaitingToRetry { at, cause } => {
                write!(f, "it tries again at {}, because: {cause}", Shown(*at))?;
            }
            Phase::AwaitingAuthorization => {
                f.write_str("the server wants credentials that it does not have")?;
            }
            Phase::AwaitingBegin => {
                f.write_str("its time has come, and its owner was asked whether it shall begin")?;
            }
            Phase::Finishing => {
                f.write_str("every byte is there, and the file is being finished")?
            }
            Phase::Suspended => f.write_str("its owner suspended it")?,
            Phase::Completed => f.write_str("it has ended")?,
        }
        match &self.slowed_by {
            Some(slowed) => write!(f, "; {slowed}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RateDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.scope {
            RateScope::Task => "its own limit",
            RateScope::Session => "its session's limit",
            RateScope::Engine => "the engine's limit",
        };
        let (rate, delay_ms) = (self.bytes_per_second, self.delay.as_millis());
        write!(
            f,
            "{whose} of {rate} bytes per second holds the next byte back for {delay_ms} ms"
        )
    }
}

fn write_queued(reason: QueueReason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = match reason {
        QueueReason::SessionLimit => "it waits until fewer tasks of its session run",
        QueueReason::HostLimit => "it waits until fewer tasks talk to its host",
        QueueReason::EngineLimit => "it waits until fewer tasks of the engine run",
        QueueReason::NotBefore(at) => {
            return write!(f, "it shall not begin before {}", Shown(at));
        }
        QueueReason::Unmet(Constraint::Network) => "it waits for a network",
        QueueReason::Unmet(Constraint::Unmetered) => {
            "it waits for a network that costs nothing; the one that is there is metered"
        }
        QueueReason::Unmet(Constraint::Unconstrained) => {
            "it waits for a network that need not be spared"
        }
        QueueReason::Unmet(Constraint::Power) => {
            "it waits for power; the machine runs on its battery"
        }
    };
    f.write_str(text)
}

/// A time as RFC 9110 section 5.6.7 writes it, in GMT.
struct Shown(Timestamp);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The last second that the format has a year for: of 9999.
        const LAST_S: u64 = 253_402_300_799;
        let since_epoch = Duration::from_secs(self.0.as_unix_secs().min(LAST_S));
        f.write_str(&httpdate::fmt_http_date(UNIX_EPOCH + since_epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureKind};

    #[test]
    fn every_wait_is_told_with_what_it_waits_for() {
        let at = Timestamp::from_unix_ms(784_111_777_000);
        let far = Timestamp::from_unix_ms(u64::MAX);
        let cause = Failure::new(FailureKind::Connect, "connection refused");
        let table = [
            (Phase::Queued(QueueReason::SessionLimit), "session"),
            (Phase::Queued(QueueReason::HostLimit), "host"),
            (Phase::Queued(QueueReason::EngineLimit), "engine"),
            (
                Phase::Queued(QueueReason::NotBefore(at)),
                "Sun, 06 Nov 1994 08:49:37 GMT",
            ),
            (Phase::Queued(QueueReason::NotBefore(far)), "9999"),
            (
                Phase::Queued(QueueReason::Unmet(Constraint::Network)),
                "network",
            ),
            (
                Phase::Queued(QueueReason::Unmet(Constraint::Unmetered)),
                "metered",
            ),
            (
                Phase::Queued(QueueReason::Unmet(Constraint::Unconstrained)),
                "spared",
            ),
            (
                Phase::Queued(QueueReason::Unmet(Constraint::Power)),
                "battery",
            ),
            (
                Phase::WaitingToRetry {
                    at,
                    cause: cause.clone(),
                },
                "connection refused",
            ),
            (Phase::WaitingToRetry { at, cause }, "08:49:37"),
            (Phase::AwaitingAuthorization, "credentials"),
            (Phase::AwaitingBegin, "owner"),
        ];
        for (phase, part) in table {
            let text = Why::new(phase, None).to_string();
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_limiter_is_named_with_its_rate() {
        for (scope, whose) in [
            (RateScope::Task, "its own"),
            (RateScope::Session, "session"),
            (RateScope::Engine, "engine"),
        ] {
            let slowed_by = RateDelay {
                scope,
                bytes_per_second: 1000,
                delay: Duration::from_millis(250),
            };
            let text = Why::new(Phase::Transferring, Some(slowed_by)).to_string();
            assert!(
                text.contains(whose) && text.contains("1000 bytes"),
                "{text}"
            );
            assert!(text.contains("250 ms"), "{text}");
        }
    }
}
