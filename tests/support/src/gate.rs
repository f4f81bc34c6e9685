//! Gates: the points where a test makes the server wait until the test has seen enough.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::locks::lock;

/// A door that is shut until [`Gate::open`]; clones are the same door. It belongs to one server:
/// when that is dropped, nobody can wait here any more.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The test let everybody through.
    is_open: bool,
    /// A server that holds somebody here is being dropped: nobody may wait any longer.
    is_abandoned: bool,
}

/// Why a wait at a [`Gate`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// The test opened the gate.
    Opened,
    /// The server stops; the caller gives up.
    Abandoned,
    /// The deadline of the caller has passed.
    TimedOut,
}

impl Gate {
    /// A new gate, shut.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through who waits here now or comes later.
    pub fn open(&self) {
        lock(&self.inner.state).is_open = true;
        self.inner.changed.notify_all();
    }

    /// Whether [`Gate::open`] was called.
    pub fn is_open(&self) -> bool {
        lock(&self.inner.state).is_open
    }

    /// Sends everybody away who waits here, for a server that stops.
    pub(crate) fn abandon(&self) {
        lock(&self.inner.state).is_abandoned = true;
        self.inner.changed.notify_all();
    }

    /// Blocks until the gate opens, is abandoned, or `deadline` (if any) has passed.
    pub(crate) fn pass(&self, deadline: Option<Instant>) -> Passage {
        let mut state = lock(&self.inner.state);
        loop {
            if state.is_open {
                return Passage::Opened;
            }
            if state.is_abandoned {
                return Passage::Abandoned;
            }
            state = match deadline {
                None => self
                    .inner
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Passage::TimedOut;
                    }
                    let waited = self.inner.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::{Gate, Passage};

    #[test]
    fn a_waiter_passes_when_the_gate_opens() {
        let gate = Gate::new();
        let waiter = {
            let gate = gate.clone();
            thread::spawn(move || gate.pass(None))
        };
        gate.open();
        assert_eq!(
            waiter.join().expect("the waiter does not panic"),
            Passage::Opened
        );
        assert!(gate.is_open());
    }

    #[test]
    fn an_abandoned_gate_and_a_passed_deadline_end_the_wait() {
        let gate = Gate::new();
        assert_eq!(gate.pass(Some(Instant::now())), Passage::TimedOut);
        gate.abandon();
        assert_eq!(gate.pass(None), Passage::Abandoned);
    }
}
