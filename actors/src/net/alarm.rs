//! One timer that is armed and disarmed many times, so that a quiet connection costs no allocation.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// Longest time that is waited for; longer ones are cut, because the clock cannot count them.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A timer of the runtime, so that virtual time moves it in tests.
#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    is_armed: bool,
}

impl Alarm {
    /// Starts over: the alarm rings `after` from now.
    pub(super) fn arm(&mut self, after: Duration) {
        let deadline = Instant::now() + after.min(FOREVER);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(deadline),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(deadline))),
        }
        self.is_armed = true;
    }

    /// The alarm does not ring any more.
    pub(super) fn disarm(&mut self) {
        self.is_armed = false;
    }

    /// Ready once when the alarm rings; arms it with `after` if it is not armed.
    pub(super) fn poll_within(&mut self, after: Duration, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_armed {
            self.arm(after);
        }
        let Some(sleep) = &mut self.sleep else {
            return Poll::Pending;
        };
        let rung = sleep.as_mut().poll(context);
        if rung.is_ready() {
            self.is_armed = false;
        }
        rung
    }
}
