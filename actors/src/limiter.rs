//! A token bucket over bytes that all transfers of a session share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time whose bytes may come in one burst.
const BURST: Duration = Duration::from_millis(100);

/// The largest read under a limit, so that a slow limit still flows evenly.
pub(crate) const LIMITED_READ_BYTES: usize = 16 * 1024;

/// Lets so many bytes pass per second. Bytes are paid for after they came; who owes waits.
#[derive(Debug)]
pub(crate) struct Limiter {
    bytes_per_second: u64,
    paid_until: Mutex<Option<Instant>>,
}

impl Limiter {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            paid_until: Mutex::new(None),
        }
    }

    /// Pays for `bytes` and waits as long as the session owes.
    pub(crate) async fn pay(&self, bytes: usize) {
        let wait = self.owe(bytes, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn owe(&self, bytes: usize, now: Instant) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid_until = self
            .paid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let start = paid_until
            .unwrap_or(now)
            .max(now.checked_sub(BURST).unwrap_or(now));
        let end = start + cost;
        *paid_until = Some(end);
        end.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_payments_take_as_long_as_their_sum() {
        let limiter = Limiter::new(1000);
        let start = Instant::now();
        let mut now = start;
        for _ in 0..100 {
            now += limiter.owe(100, now);
        }
        let took = now - start;
        assert!(
            took >= Duration::from_millis(9800) && took <= Duration::from_secs(10),
            "{took:?}"
        );
    }
}
