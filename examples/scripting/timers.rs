//! The timers of a script: `setTimeout`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The longest delay: a day, as more are typing errors in a script.
const DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Timers that are set, the next one first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    set: BTreeSet<(Instant, u32)>,
    made: u32,
}

impl Timers {
    /// Sets one; what is no delay is none.
    pub(crate) fn set(&mut self, delay_ms: f64) -> u32 {
        let delay = Duration::try_from_secs_f64(delay_ms / 1000.0).unwrap_or_default();
        self.made = self.made.wrapping_add(1);
        self.set
            .insert((Instant::now() + delay.min(DELAY_MAX), self.made));
        self.made
    }

    /// Unsets one.
    pub(crate) fn clear(&mut self, timer: u32) {
        self.set.retain(|(_, set)| *set != timer);
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.set.first().map(|(at, _)| *at)
    }

    /// Takes one that is due.
    pub(crate) fn take_due(&mut self) -> Option<u32> {
        let (at, timer) = *self.set.first()?;
        if at > Instant::now() {
            return None;
        }
        self.set.pop_first();
        Some(timer)
    }
}
