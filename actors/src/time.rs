//! The only place that reads a clock or entropy.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longhaul_engine::time::Timestamp;
use tokio::time::Instant;

/// Where the engine's time comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's clock.
    System,
    /// The runtime's clock from a fixed point on: under a paused runtime it is virtual time.
    #[cfg(test)]
    Runtime {
        /// What the clock said at `origin`.
        base: Timestamp,
        /// When that was.
        origin: Instant,
    },
}

impl Clock {
    /// What the clock says now.
    pub(crate) fn now(self) -> Timestamp {
        match self {
            Self::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp::from_unix_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            #[cfg(test)]
            Self::Runtime { base, origin } => base.after(origin.elapsed()),
        }
    }

    /// How long to sleep until `at`; zero when it has passed.
    pub(crate) fn until(self, at: Timestamp) -> Duration {
        at.since(self.now())
    }
}

/// A moment that later ones are measured from: they stay in order when the system's clock is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    wall: Timestamp,
    instant: Instant,
}

impl Anchor {
    /// Now, by this clock.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            wall: clock.now(),
            instant: Instant::now(),
        }
    }

    /// What the clock would say now if nobody had set it since.
    pub(crate) fn now(self) -> Timestamp {
        self.wall.after(self.instant.elapsed())
    }
}

/// Fills `bytes` with the kernel's entropy: for keys, so there is nothing instead.
///
/// # Errors
/// When the kernel gives none.
pub(crate) fn fill_with_entropy(bytes: &mut [u8]) -> std::io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes[filled..], flags) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Eight bytes of the kernel's entropy; the clock's digits where it gives none.
pub(crate) fn entropy() -> u64 {
    let mut bytes = [0_u8; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(8) => u64::from_ne_bytes(bytes),
        Ok(_) | Err(_) => {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            u64::from(since.subsec_nanos()) << 32 | u64::from(std::process::id())
        }
    }
}

/// Measures how long something takes, in real time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
