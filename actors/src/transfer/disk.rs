//! Where short file work runs: here while the disk is quick, on the pool while it is not.
//!
//! A write into the page cache takes a tenth of a millisecond for a mebibyte, and the bytes are
//! still in this core's cache: handing it to another thread costs more than it does (a quarter of
//! the whole transfer's CPU, measured). But under writeback pressure the same call may sleep, and
//! every stream of the arbiter with it. So each call is timed: one slow call sends the work of the
//! next seconds to the pool.

use std::cell::Cell;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::files::blocking;
use crate::time::Stopwatch;

/// A call that takes longer holds up the other streams of its arbiter for too long.
const SLOW: Duration = Duration::from_millis(20);

/// How long the pool is used after a slow call: dirty pages take seconds to be written back.
const POOL_TIME: Duration = Duration::from_secs(2);

thread_local! {
    static SLOW_SINCE: Cell<Option<Stopwatch>> = const { Cell::new(None) };
}

/// A piece of work that was done here, or is being done on the pool.
pub(super) enum Ran<T> {
    /// It is done.
    Here(T),
    /// It is under way.
    OnPool(JoinHandle<T>),
}

/// Runs work that is short unless the disk is slow.
pub(super) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Ran<T> {
    if is_slow() {
        return Ran::OnPool(tokio::task::spawn_blocking(work));
    }
    Ran::Here(timed(work))
}

/// Runs work that is short unless the disk is slow, and waits for it.
pub(super) async fn quick<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if is_slow() {
        return blocking(work).await;
    }
    timed(work)
}

fn timed<T>(work: impl FnOnce() -> T) -> T {
    let watch = Stopwatch::start();
    let done = work();
    if watch.elapsed() > SLOW {
        tracing::debug!(took = ?watch.elapsed(), "the disk is slow; its work goes to the pool");
        SLOW_SINCE.set(Some(Stopwatch::start()));
    }
    done
}

fn is_slow() -> bool {
    let is_slow = SLOW_SINCE.get().is_some_and(|since| since.elapsed() < POOL_TIME);
    if !is_slow {
        SLOW_SINCE.set(None);
    }
    is_slow
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn after_one_slow_call_the_work_goes_to_the_pool() {
        let here = std::thread::current().id();
        let place = || quick(|| std::thread::current().id());
        assert_eq!(place().await, here);
        quick(|| {
            let watch = Stopwatch::start();
            while watch.elapsed() <= SLOW {
                std::hint::spin_loop();
            }
        })
        .await;
        assert_ne!(place().await, here);
    }
}
