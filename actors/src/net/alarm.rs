//! One timer that is armed and disarmed many times, so that a quiet connection costs nothing.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use crate::timers::Timer;

/// Longest time that is waited for; longer ones are cut, because the clock cannot count them.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A timer by the runtime's clock, so that virtual time moves it in tests.
#[derive(Default)]
pub(super) struct Alarm(Timer);

impl Alarm {
    /// Starts over: the alarm rings `after` from now.
    pub(super) fn arm(&mut self, after: Duration) {
        self.0.set(Some(Instant::now() + after.min(FOREVER)));
    }

    /// The alarm does not ring any more.
    pub(super) fn disarm(&mut self) {
        self.0.set(None);
    }

    /// Ready once when the alarm rings; arms it with `after` if it is not armed.
    pub(super) fn poll_within(&mut self, after: Duration, context: &Context<'_>) -> Poll<()> {
        if self.0.deadline().is_none() {
            self.arm(after);
        }
        self.0.poll_rung(context)
    }
}
