//! Timers of one thread that are cheap to set and to drop, because most of them never ring.
//!
//! A transfer of a small file sets several timers and ends before any is due. Each of the runtime's
//! own that is due before all others wakes the thread's driver through the kernel. Here a thread has
//! one timer of the runtime for all of them, and one that is moved to a later time is left where it
//! is and looks again when it rings.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, sleep_until};

thread_local! {
    static QUEUE: RefCell<Queue> = RefCell::default();
}

/// When a timer wakes whom, and a number that tells those of one moment apart.
type Key = (Instant, u64);

#[derive(Default)]
struct Queue {
    entries: BTreeMap<Key, Waker>,
    next_number: u64,
    driver: Option<Driver>,
}

/// The task that waits for the first entry.
struct Driver {
    until: Instant,
    /// `None` before it ran for the first time.
    waker: Option<Waker>,
}

/// A timer that can be set again and again, by the runtime's clock. It rings where it is polled, on
/// a thread that runs actors.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    deadline: Option<Instant>,
    /// Where it stands in the queue: at its deadline or before it.
    entry: Option<Key>,
    waker: Option<Waker>,
}

impl Timer {
    /// Rings at `deadline`, or not at all.
    pub(crate) fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        let is_late = |(at, _): Key| deadline.is_some_and(|deadline| deadline < at);
        if self.entry.is_none_or(is_late) {
            self.enter();
        }
    }

    /// When it rings next.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Ready once when it rings; the deadline is gone then.
    pub(crate) fn poll_rung(&mut self, context: &Context<'_>) -> Poll<()> {
        let is_known = self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(context.waker()));
        if !is_known {
            self.waker = Some(context.waker().clone());
        }
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let is_queued = self.entry.is_some_and(|entry| {
            let found = with_queue(|queue| {
                let waker = queue.entries.get_mut(&entry)?;
                let old = (!is_known).then(|| std::mem::replace(waker, context.waker().clone()));
                // What it belongs to may end with it, and so must not end here.
                Some(old)
            });
            found.flatten().is_some()
        });
        if is_queued {
            return Poll::Pending;
        }
        if deadline <= Instant::now() {
            self.deadline = None;
            self.entry = None;
            return Poll::Ready(());
        }
        self.enter();
        Poll::Pending
    }

    /// Stands in the queue at its deadline from now on, if somebody waits for it.
    fn enter(&mut self) {
        self.leave();
        if let (Some(deadline), Some(waker)) = (self.deadline, &self.waker) {
            self.entry = with_queue(|queue| queue.enter(deadline, waker.clone()));
        }
    }

    fn leave(&mut self) {
        if let Some(entry) = self.entry.take() {
            with_queue(|queue| queue.entries.remove(&entry));
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Queue {
    fn enter(&mut self, at: Instant, waker: Waker) -> Key {
        self.next_number += 1;
        let key = (at, self.next_number);
        self.entries.insert(key, waker);
        match &mut self.driver {
            None => {
                self.driver = Some(Driver {
                    until: at,
                    waker: None,
                });
                actix_rt::spawn(drive());
            }
            Some(driver) if at < driver.until => {
                driver.until = at;
                if let Some(waker) = driver.waker.take() {
                    waker.wake();
                }
            }
            Some(_) => {}
        }
        key
    }

    /// Takes out who is due, and notes until when the driver waits now.
    fn take_due(&mut self, driver: &Waker) -> (Vec<Waker>, Option<Instant>) {
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(first) = self.entries.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        let next = self.entries.first_key_value().map(|((at, _), _)| *at);
        self.driver = next.map(|until| Driver {
            until,
            waker: Some(driver.clone()),
        });
        (due, next)
    }
}

/// Runs `work` on this thread's queue, unless the thread is ending.
fn with_queue<T>(work: impl FnOnce(&mut Queue) -> T) -> Option<T> {
    QUEUE.try_with(|queue| work(&mut queue.borrow_mut())).ok()
}

/// The runtime ends while the driver waits: another runtime of this thread needs another one.
struct Driving;

impl Drop for Driving {
    fn drop(&mut self) {
        with_queue(|queue| queue.driver = None);
    }
}

/// Rings until nobody is left.
async fn drive() {
    let _driving = Driving;
    let mut sleep = pin!(sleep_until(Instant::now()));
    poll_fn(|context| {
        while let Some(next) = ring(context.waker()) {
            if sleep.deadline() != next {
                sleep.as_mut().reset(next);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    })
    .await;
}

/// Wakes who is due, and says until when the others wait.
fn ring(driver: &Waker) -> Option<Instant> {
    let (due, next) = with_queue(|queue| queue.take_due(driver))?;
    for waker in due {
        waker.wake();
    }
    next
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;
    use crate::tests::bench::virtual_time;

    async fn rung(timer: &mut Timer) {
        poll_fn(|context| timer.poll_rung(context)).await;
    }

    fn queued() -> usize {
        with_queue(|queue| queue.entries.len()).expect("the thread lives")
    }

    #[test]
    fn timers_ring_at_their_times_in_any_order_of_setting() {
        virtual_time(async {
            let start = Instant::now();
            let wait = async |seconds: u64| {
                let mut timer = Timer::default();
                timer.set(Some(start + Duration::from_secs(seconds)));
                rung(&mut timer).await;
                assert_eq!(timer.deadline(), None);
                start.elapsed().as_secs()
            };
            let waits = [30, 10, 20, 10, 40].map(wait);
            let found = futures_util::future::join_all(waits).await;
            assert_eq!(found, [30, 10, 20, 10, 40]);
            assert_eq!(queued(), 0);
        });
    }

    #[test]
    fn a_timer_that_is_set_again_rings_at_its_last_time_only() {
        virtual_time(async {
            for (first, second) in [(10, 30), (30, 10)] {
                let start = Instant::now();
                let mut timer = Timer::default();
                timer.set(Some(start + Duration::from_secs(first)));
                let mut ring = pin!(poll_fn(|context| {
                    let rung = timer.poll_rung(context);
                    if timer.deadline() == Some(start + Duration::from_secs(first)) {
                        timer.set(Some(start + Duration::from_secs(second)));
                    }
                    rung
                }));
                ring.as_mut().await;
                assert_eq!(start.elapsed().as_secs(), second);
            }
        });
    }

    #[test]
    fn a_timer_without_a_time_waits_for_one_and_one_that_is_dropped_leaves_the_queue() {
        virtual_time(async {
            let mut timer = Timer::default();
            assert!(pin!(rung(&mut timer)).now_or_never().is_none());
            timer.set(Some(Instant::now() + Duration::from_secs(5)));
            assert_eq!(queued(), 1);
            timer.set(None);
            advance(Duration::from_secs(6)).await;
            assert!(pin!(rung(&mut timer)).now_or_never().is_none());
            timer.set(Some(Instant::now() + Duration::from_secs(5)));
            drop(timer);
            assert_eq!(queued(), 0);
        });
    }
}
