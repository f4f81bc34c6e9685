//! How long to wait before the next try.

use std::time::Duration;

use crate::time::entropy;

/// The first pause: a daemon that is being started again is there after some milliseconds.
const FIRST: Duration = Duration::from_millis(10);

/// The longest pause: a person who starts a daemon hardly notices it.
const LONGEST: Duration = Duration::from_millis(500);

/// Pauses that double, from 10 to 500 ms, each shortened by chance to as little as its half, so that
/// many clients of one daemon do not come at once.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    /// Nothing was tried yet.
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// Waits for the next try.
    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.next(entropy())).await;
    }

    fn next(&mut self, chance: u64) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        let half_us = u64::try_from(pause.as_micros() / 2).unwrap_or(u64::MAX);
        pause - Duration::from_micros(chance % (half_us + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_by_half_at_most() {
        let mut backoff = Backoff::new();
        for whole_ms in [10, 20, 40, 80, 160, 320, 500, 500] {
            let before = backoff.0;
            assert_eq!(before, Duration::from_millis(whole_ms));
            for chance in [0, 1, 7_777_777, u64::MAX] {
                let pause = Backoff(before).next(chance);
                assert!(
                    pause <= before && pause >= before / 2,
                    "{pause:?} of {before:?}"
                );
            }
            backoff.next(0);
        }
    }
}
