//! When to try again: exponential backoff with full jitter, bounded by what the server asks for.

use std::time::Duration;

use crate::session::SessionRules;

/// A small generator (xorshift64*) whose seed the caller gives: jitter needs no secrecy.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// A generator with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A duration from zero to `most`, both included.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.next_u64() % (most_ms + 1))
    }
}

/// The delay before the next attempt, after `failed` attempts in a row without a new byte (at least
/// 1). What the server asked for is a lower bound; jitter comes on top of it, so that all clients of
/// one server do not come back at once.
#[must_use]
pub fn delay(
    rules: &SessionRules,
    failed: u32,
    asked: Option<Duration>,
    jitter: &mut Jitter,
) -> Duration {
    let doublings = failed.saturating_sub(1).min(31);
    let most = rules
        .retry_base
        .saturating_mul(1 << doublings)
        .min(rules.retry_cap);
    let spread = jitter.up_to(most);
    match asked {
        Some(asked) => asked.saturating_add(spread.min(rules.retry_base)),
        None => spread,
    }
}

/// Whether one more attempt is allowed after `failed` attempts in a row without a new byte.
#[must_use]
pub fn is_allowed(rules: &SessionRules, failed: u32) -> bool {
    rules.retries_max.is_none_or(|most| failed <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> SessionRules {
        SessionRules {
            retry_base: Duration::from_secs(1),
            retry_cap: Duration::from_secs(60),
            ..SessionRules::default()
        }
    }

    #[test]
    fn the_delay_doubles_up_to_its_cap() {
        for (failed, most_s) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1000, 60)] {
            let mut longest = Duration::ZERO;
            let mut jitter = Jitter::new(7);
            for _ in 0..2000 {
                let delay = delay(&rules(), failed, None, &mut jitter);
                assert!(delay <= Duration::from_secs(most_s), "{failed}: {delay:?}");
                longest = longest.max(delay);
            }
            assert!(
                longest >= Duration::from_secs(most_s) * 9 / 10,
                "{failed}: {longest:?}"
            );
        }
    }

    #[test]
    fn what_the_server_asks_for_is_a_lower_bound() {
        let asked = Duration::from_secs(120);
        let mut jitter = Jitter::new(3);
        for _ in 0..1000 {
            let delay = delay(&rules(), 9, Some(asked), &mut jitter);
            assert!(delay >= asked && delay <= asked + Duration::from_secs(1));
        }
    }

    #[test]
    fn the_count_of_attempts_is_bounded_when_asked() {
        let bounded = SessionRules {
            retries_max: Some(2),
            ..rules()
        };
        assert!(is_allowed(&bounded, 1) && is_allowed(&bounded, 2) && !is_allowed(&bounded, 3));
        assert!(is_allowed(&rules(), u32::MAX));
    }
}
