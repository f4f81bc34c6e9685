//! How fast bytes may pass: one limiter for a task, one for its session, one for the engine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longhaul_engine::why::{RateDelay, RateScope};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The time whose bytes may come in one burst.
const BURST: Duration = Duration::from_millis(100);

/// The largest read under a limit, so that a slow limit still flows evenly.
pub(crate) const LIMITED_READ_BYTES: usize = 16 * 1024;

/// A point in the stream of all bytes that a limiter has seen, in bytes times nanoseconds, so that
/// slow rates lose nothing to rounding.
type Mark = u128;

const NANOS: u128 = 1_000_000_000;

/// Lets so many bytes pass per second, or all of them. Bytes are paid for after they came; who owes
/// waits. The rate may change at any time, also for those who wait.
#[derive(Debug)]
pub(crate) struct Limiter {
    is_limited: AtomicBool,
    flow: Mutex<Flow>,
    changed: Notify,
}

#[derive(Debug)]
struct Flow {
    bytes_per_second: Option<u64>,
    taken: Mark,
    passed: Mark,
    /// When `passed` was reckoned.
    at: Instant,
}

/// The limiters that one task's bytes go through.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) task: Arc<Limiter>,
    pub(crate) session: Arc<Limiter>,
    pub(crate) engine: Arc<Limiter>,
}

impl Limiter {
    /// A limiter of this rate; `None` lets everything pass, and 0 counts as 1.
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            is_limited: AtomicBool::new(bytes_per_second.is_some()),
            flow: Mutex::new(Flow {
                bytes_per_second: bytes_per_second.map(|rate| rate.max(1)),
                taken: 0,
                passed: 0,
                at: Instant::now(),
            }),
            changed: Notify::new(),
        }
    }

    /// Sets another rate, from now on and for those who wait.
    pub(crate) fn set_rate(&self, bytes_per_second: Option<u64>) {
        let mut flow = self.flow();
        flow.advance(Instant::now());
        flow.bytes_per_second = bytes_per_second.map(|rate| rate.max(1));
        // What was owed is forgiven, and what comes is paid from here on.
        if bytes_per_second.is_none() {
            flow.passed = flow.taken;
        }
        drop(flow);
        self.is_limited
            .store(bytes_per_second.is_some(), Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    fn is_limited(&self) -> bool {
        self.is_limited.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize, now: Instant) -> Mark {
        let mut flow = self.flow();
        flow.advance(now);
        flow.taken += u128::try_from(bytes).unwrap_or_default() * NANOS;
        if flow.bytes_per_second.is_none() {
            flow.passed = flow.taken;
        }
        flow.taken
    }

    /// Waits until everything up to `mark` has passed.
    async fn passed(&self, mark: Mark) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on a change is not missed.
            changed.as_mut().enable();
            let wait = self.wait(mark, Instant::now());
            if wait.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed => {}
            }
        }
    }

    fn wait(&self, mark: Mark, now: Instant) -> Duration {
        let mut flow = self.flow();
        flow.advance(now);
        let Some(rate) = flow.bytes_per_second else {
            return Duration::ZERO;
        };
        let nanos = mark.saturating_sub(flow.passed).div_ceil(u128::from(rate));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn delay(&self, scope: RateScope, now: Instant) -> Option<RateDelay> {
        let (mark, rate) = {
            let flow = self.flow();
            (flow.taken, flow.bytes_per_second)
        };
        let delay = self.wait(mark, now);
        rate.filter(|_| !delay.is_zero())
            .map(|bytes_per_second| RateDelay {
                scope,
                bytes_per_second,
                delay,
            })
    }

    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flow {
    fn advance(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_nanos();
        self.at = now;
        if let Some(rate) = self.bytes_per_second {
            let rate = u128::from(rate);
            let most = self.taken + BURST.as_nanos() * rate;
            self.passed = (self.passed + since * rate).min(most);
        }
    }
}

impl Limits {
    /// Whether any of the limiters limits.
    pub(crate) fn is_limited(&self) -> bool {
        self.all().iter().any(|(_, limiter)| limiter.is_limited())
    }

    /// Pays for `bytes` at all limiters at once, and waits for the slowest.
    pub(crate) async fn pay(&self, bytes: usize) {
        if !self.is_limited() {
            return;
        }
        let now = Instant::now();
        let marks = self
            .all()
            .map(|(_, limiter)| (limiter, limiter.take(bytes, now)));
        for (limiter, mark) in marks {
            limiter.passed(mark).await;
        }
    }

    /// The limiter that holds the next byte back for longest at this moment.
    pub(crate) fn slowest(&self) -> Option<RateDelay> {
        let now = Instant::now();
        let delays = self.all().map(|(scope, limiter)| limiter.delay(scope, now));
        delays.into_iter().flatten().max_by_key(|slow| slow.delay)
    }

    const fn all(&self) -> [(RateScope, &Arc<Limiter>); 3] {
        [
            (RateScope::Task, &self.task),
            (RateScope::Session, &self.session),
            (RateScope::Engine, &self.engine),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::virtual_time;

    fn limits(task: Option<u64>, session: Option<u64>, engine: Option<u64>) -> Limits {
        let new = |rate| Arc::new(Limiter::new(rate));
        Limits {
            task: new(task),
            session: new(session),
            engine: new(engine),
        }
    }

    /// Pays for so many bytes in blocks and says how long that took.
    async fn pay(limits: &Limits, block: usize, blocks: usize) -> Duration {
        let start = Instant::now();
        for _ in 0..blocks {
            limits.pay(block).await;
        }
        start.elapsed()
    }

    fn assert_near(took: Duration, expected_s: f64) {
        let off = (took.as_secs_f64() - expected_s).abs();
        assert!(off <= expected_s * 0.1, "{took:?} for {expected_s} s");
    }

    #[test]
    fn bytes_take_as_long_as_the_lowest_of_the_rates_says() {
        virtual_time(async {
            for (task, session, engine, expected_s) in [
                (Some(1000), None, None, 100.0),
                (None, Some(1000), None, 100.0),
                (None, None, Some(2000), 50.0),
                (Some(1000), Some(1000), Some(1000), 100.0),
                (Some(500), Some(1000), Some(100_000), 200.0),
                (Some(250), None, None, 400.0),
            ] {
                let limits = limits(task, session, engine);
                assert_near(pay(&limits, 100, 1000).await, expected_s);
                assert_near(pay(&limits, 10_000, 10).await, expected_s);
            }
            let free = limits(None, None, None);
            assert_eq!(pay(&free, 1 << 20, 1000).await, Duration::ZERO);
        });
    }

    #[test]
    fn tasks_share_what_their_session_may() {
        virtual_time(async {
            let one = limits(None, Some(1000), None);
            let other = Limits {
                task: Arc::new(Limiter::new(None)),
                ..one.clone()
            };
            let (first, second) = tokio::join!(pay(&one, 100, 500), pay(&other, 100, 500));
            assert_near(first.max(second), 100.0);
        });
    }

    #[test]
    fn a_changed_rate_counts_at_once_also_for_who_waits() {
        virtual_time(async {
            let slow = limits(Some(1), None, None);
            let start = Instant::now();
            let change = async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                slow.task.set_rate(Some(1000));
            };
            tokio::join!(slow.pay(10_010), change);
            assert_near(start.elapsed(), 20.0);
            let lift = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                slow.task.set_rate(None);
            };
            let start = Instant::now();
            tokio::join!(slow.pay(1_000_000), lift);
            assert_near(start.elapsed(), 1.0);
            assert!(!slow.is_limited());
            slow.task.set_rate(Some(100));
            assert_near(pay(&slow, 100, 100).await, 100.0);
        });
    }

    #[test]
    fn time_without_bytes_is_not_saved_up() {
        virtual_time(async {
            let limits = limits(Some(1000), None, None);
            tokio::time::sleep(Duration::from_secs(1000)).await;
            assert_near(pay(&limits, 100, 100).await, 10.0);
        });
    }

    #[test]
    fn the_limiter_that_holds_back_is_named() {
        virtual_time(async {
            let limits = limits(Some(1000), Some(10), None);
            assert_eq!(limits.slowest(), None);
            let _ = tokio::time::timeout(Duration::from_secs(1), limits.pay(100)).await;
            let slowest = limits.slowest().expect("it owes");
            assert_eq!(slowest.scope, RateScope::Session);
            assert_eq!(slowest.bytes_per_second, 10);
            assert_near(slowest.delay, 9.0);
        });
    }
}
