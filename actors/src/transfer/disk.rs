//! Where short file work runs: here while the disk is quick, on the pool while it is not.
//!
//! A write into the page cache takes a few tenths of a millisecond for a mebibyte, and the bytes are
//! still in this core's cache: through the pool a whole transfer takes a fifth more time and a third
//! more CPU (measured). But under writeback pressure the same call sleeps, and every stream of the
//! arbiter with it. So each call is timed: two slow calls in a row of short distance send the work
//! of the next moments to the pool. One alone is a hiccup of the machine.

use std::cell::Cell;
use std::time::Duration;

use super::files::blocking;
use crate::time::Stopwatch;

/// A call that takes longer holds up the other streams of its arbiter for too long.
const SLOW: Duration = Duration::from_millis(50);

/// Two slow calls within this time are no accident, and the pool is used for as long after them.
const MEMORY: Duration = Duration::from_secs(1);

thread_local! {
    static SLOW_CALLS: Cell<SlowCalls> = const { Cell::new(SlowCalls { last: None, again: None }) };
    #[cfg(test)]
    static IS_ALWAYS_SLOW: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread take every disk for slow, or not any more.
#[cfg(test)]
pub(crate) fn pretend_slow(is_slow: bool) {
    IS_ALWAYS_SLOW.set(is_slow);
}

/// The last slow call, and the last one that followed another closely.
#[derive(Clone, Copy)]
struct SlowCalls {
    last: Option<Stopwatch>,
    again: Option<Stopwatch>,
}

/// Runs work that is short unless the disk is slow.
pub(super) async fn quick<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if is_slow() {
        return blocking(work).await;
    }
    timed(work)
}

/// Runs work here, whatever the disk is like, and notes how long it took.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> T {
    let watch = Stopwatch::start();
    let done = work();
    if watch.elapsed() > SLOW {
        let now = Some(Stopwatch::start());
        let calls = SLOW_CALLS.get();
        let again = if is_recent(calls.last) {
            now
        } else {
            calls.again
        };
        SLOW_CALLS.set(SlowCalls { last: now, again });
    }
    done
}

/// Whether work that is short on a quick disk belongs on the pool now.
pub(super) fn is_slow() -> bool {
    #[cfg(test)]
    if IS_ALWAYS_SLOW.get() {
        return true;
    }
    is_recent(SLOW_CALLS.get().again)
}

fn is_recent(at: Option<Stopwatch>) -> bool {
    at.is_some_and(|at| at.elapsed() < MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn after_two_slow_calls_the_work_goes_to_the_pool() {
        let here = std::thread::current().id();
        let place = || quick(|| std::thread::current().id());
        let be_slow = || {
            let watch = Stopwatch::start();
            while watch.elapsed() <= SLOW {
                std::hint::spin_loop();
            }
        };
        assert_eq!(place().await, here);
        quick(be_slow).await;
        assert_eq!(place().await, here, "once is a hiccup");
        quick(be_slow).await;
        assert_ne!(place().await, here);
    }
}
