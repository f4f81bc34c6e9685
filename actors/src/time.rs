//! The only place that reads a clock or entropy.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longhaul_engine::time::Timestamp;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Where the engine's time comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's clock.
    System,
    /// It goes on evenly from what another clock said, whatever becomes of that one.
    Steady {
        /// What that clock said.
        said: Timestamp,
        /// When that was.
        at: Instant,
    },
    /// The runtime's clock from a fixed point on, as far as it was set since: under a paused runtime
    /// it is virtual time.
    #[cfg(any(test, feature = "test-util"))]
    Runtime {
        /// What the clock said at `origin`.
        base: Timestamp,
        /// When that was.
        origin: Instant,
        /// By how much the clock was set since.
        shift: &'static Shift,
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
            Self::Steady { said, at } => said.after(at.elapsed()),
            #[cfg(any(test, feature = "test-util"))]
            Self::Runtime {
                base,
                origin,
                shift,
            } => shift.of(base.after(origin.elapsed())),
        }
    }

    /// A clock that begins here and can not be set.
    pub(crate) fn steady(self) -> Self {
        Self::Steady {
            said: self.now(),
            at: Instant::now(),
        }
    }

    /// How long to sleep until `at`; zero when it has passed.
    pub(crate) fn until(self, at: Timestamp) -> Duration {
        at.since(self.now())
    }

    /// When the runtime's clock is where this one says `at`, unless this one is set meanwhile.
    pub(crate) fn deadline(self, at: Timestamp) -> Instant {
        Instant::now() + self.until(at)
    }

    /// Waits until the clock says `at`, or was set: who waits must look again. The time in which the
    /// machine sleeps counts.
    pub(crate) async fn wait(self, at: Timestamp) {
        let left = self.until(at);
        if left.is_zero() {
            return;
        }
        match self {
            Self::System => {
                if let Err(error) = wall_timer(at).await {
                    // The runtime's timers see neither sleep nor a clock that is set.
                    tracing::debug!(%error, "no timer of the wall clock");
                    tokio::time::sleep(left.min(LOOK_INTERVAL)).await;
                }
            }
            Self::Steady { .. } => tokio::time::sleep(left).await,
            #[cfg(any(test, feature = "test-util"))]
            Self::Runtime { shift, .. } => {
                let mut was_set = std::pin::pin!(shift.changed.notified());
                was_set.as_mut().enable();
                tokio::select! {
                    () = tokio::time::sleep(self.until(at)) => {}
                    () = was_set => {}
                }
            }
        }
    }
}

/// A kernel timer (timerfd_create(2)) that ends when the wall clock says `at` or is set.
async fn wall_timer(at: Timestamp) -> std::io::Result<()> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
    let never = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let nanos = at.as_unix_ms() % 1000 * 1_000_000;
    let due = Timespec {
        tv_sec: i64::try_from(at.as_unix_secs()).unwrap_or(i64::MAX),
        tv_nsec: nanos.try_into().expect("less than a second"),
    };
    let spec = Itimerspec {
        it_interval: never,
        it_value: due,
    };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(&timer, flags, &spec)?;
    #[allow(
        deprecated,
        reason = "its successor is unsafe for the sake of other types than OwnedFd"
    )]
    let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
    // It has rung, and is not asked again.
    let _ = timer.readable().await?;
    Ok(())
}

/// Notices that the wall clock was set back, by the runtime's clock, which never is.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    said: Timestamp,
    at: Instant,
}

impl ClockWatch {
    /// Begins to watch.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            said: clock.now(),
            at: Instant::now(),
        }
    }

    /// By how much the clock was set back since the last look, if it was.
    pub(crate) fn set_back(&mut self, clock: Clock) -> Option<Duration> {
        let expected = self.said.after(self.at.elapsed());
        *self = Self::new(clock);
        let by = expected.since(self.said);
        (by > CLOCK_SLACK).then_some(by)
    }
}

/// How often a waiting task looks at the clock where the kernel has no timer of it.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Differences between the clocks that are no setting: slewing, and the time to read both.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// A clock that the tests of an app move: it goes on with the system's, from what that said first.
#[cfg(feature = "test-util")]
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    base: Timestamp,
    origin: Instant,
    shift: &'static Shift,
}

#[cfg(feature = "test-util")]
impl VirtualClock {
    /// A clock that says what the system's does. Its few bytes stay until the process ends.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it reads a clock")]
    pub fn new() -> Self {
        Self {
            base: Clock::System.now(),
            origin: Instant::now(),
            // A clock is copied everywhere.
            shift: Box::leak(Box::default()),
        }
    }

    /// What it says now.
    #[must_use]
    pub fn now(self) -> Timestamp {
        self.clock().now()
    }

    /// Moves it forward, and wakes whoever waits for a time that has come so.
    pub fn advance(self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shift.set(by_ms);
    }

    /// As the engine asks it.
    pub(crate) const fn clock(self) -> Clock {
        Clock::Runtime {
            base: self.base,
            origin: self.origin,
            shift: self.shift,
        }
    }
}

/// By how much somebody has set a clock.
#[cfg(any(test, feature = "test-util"))]
#[derive(Debug, Default)]
pub(crate) struct Shift {
    by_ms: std::sync::atomic::AtomicI64,
    changed: tokio::sync::Notify,
}

#[cfg(any(test, feature = "test-util"))]
impl Shift {
    /// Sets the clock so many milliseconds forth, or back.
    pub(crate) fn set(&self, by_ms: i64) {
        self.by_ms
            .fetch_add(by_ms, std::sync::atomic::Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    fn of(&self, now: Timestamp) -> Timestamp {
        let by_ms = self.by_ms.load(std::sync::atomic::Ordering::Relaxed);
        Timestamp::from_unix_ms(now.as_unix_ms().saturating_add_signed(by_ms))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_wakes_who_waits_for_a_time_of_the_wall_clock() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let clock = Clock::System;
            for wait_ms in [0, 1, 30] {
                let at = clock.now().after(Duration::from_millis(wait_ms));
                clock.wait(at).await;
                assert!(clock.now() >= at, "{wait_ms} ms");
            }
            wall_timer(clock.now()).await.expect("a timer");
        });
    }
}
