//! Which orders wait for which: what is set by one call holds for every call after it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use tokio::sync::Notify;

/// Numbers the orders as they come. Those that others depend on hold the later ones up until they are
/// carried out; the rest runs side by side.
#[derive(Debug, Default)]
pub(super) struct Turns {
    next: Cell<u64>,
    held: RefCell<BTreeSet<u64>>,
    freed: Notify,
}

/// The place of one order among all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn(u64);

/// Later orders wait for as long as this lives.
#[derive(Debug)]
pub(super) struct Hold {
    turns: Rc<Turns>,
    number: u64,
}

impl Turns {
    /// The next order's place.
    pub(super) fn take(&self) -> Turn {
        Turn(self.next.replace(self.next.get() + 1))
    }

    /// Holds up everything that comes after this order.
    pub(super) fn hold(self: &Rc<Self>, turn: Turn) -> Hold {
        self.held.borrow_mut().insert(turn.0);
        Hold {
            turns: Rc::clone(self),
            number: turn.0,
        }
    }

    /// Waits until nothing before this order holds it up.
    pub(super) async fn come(&self, turn: Turn) {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // From here on no bell is missed.
            freed.as_mut().enable();
            let first = self.held.borrow().first().copied();
            if first.is_none_or(|first| first >= turn.0) {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.turns.held.borrow_mut().remove(&self.number);
        self.turns.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn an_order_waits_for_those_before_it_that_hold_and_for_no_others() {
        let turns = Rc::new(Turns::default());
        let [setting, asking, later_setting, later_asking] = [(); 4].map(|()| turns.take());
        let hold = turns.hold(setting);
        let later_hold = turns.hold(later_setting);
        let mut asked = std::pin::pin!(turns.come(asking));
        let mut asked_later = std::pin::pin!(turns.come(later_asking));
        assert!(
            turns.come(setting).now_or_never().is_some(),
            "it is the first"
        );
        assert!(asked.as_mut().now_or_never().is_none());
        drop(hold);
        assert!(asked.now_or_never().is_some());
        assert!(asked_later.as_mut().now_or_never().is_none());
        drop(later_hold);
        assert!(asked_later.now_or_never().is_some());
    }
}
