//! A clock that the tests of an app move by hand.

use std::fmt;
use std::time::Duration;

use longhaul_engine::time::Timestamp;

use crate::EngineBuilder;

/// A clock for the tests of an app, under the feature `test-util`: an engine that was
/// [given](EngineBuilder::virtual_clock) it comes to a time in hours as soon as the test says so.
///
/// It goes on with the system's clock, and [`VirtualClock::advance`] moves it further. Whatever waits
/// for a time by it goes on then: an [`earliest_begin_date`](crate::DownloadRequest::earliest_begin_date),
/// the delay of a retry, the budget and the expiry of refresh tasks. A transfer under way measures its
/// timeouts from its start and is not hurried, as its server and its sockets know only real time.
///
/// Clones are the same clock. Each one made stays in memory, some bytes, until the process ends.
#[derive(Clone, Copy)]
pub struct VirtualClock {
    pub(crate) inner: longhaul_actors::handle::VirtualClock,
}

impl VirtualClock {
    /// A clock that says what the system's says.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it reads a clock")]
    pub fn new() -> Self {
        let inner = longhaul_actors::handle::VirtualClock::new();
        Self { inner }
    }

    /// What it says now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.inner.advance(by);
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualClock({} ms)", self.now().as_unix_ms())
    }
}

impl EngineBuilder {
    /// Lets the engine tell the time by this clock; without this it is the system's.
    pub const fn virtual_clock(mut self, clock: VirtualClock) -> Self {
        self.clock = Some(clock);
        self
    }
}
