//! Restart intensity: how often a child may be restarted before its parent gives up.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Timestamp;

/// Restarts that are allowed within [`RESTART_WINDOW`].
pub const RESTARTS_IN_WINDOW: usize = 5;

/// The time over which restarts are counted.
pub const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// The restarts of one child: at most 5 in 60 s.
#[derive(Clone, Debug, Default)]
pub struct RestartBudget {
    restarts: VecDeque<Timestamp>,
}

impl RestartBudget {
    /// Takes one restart out of the budget; `false` when it is spent.
    pub fn spend(&mut self, now: Timestamp) -> bool {
        while self
            .restarts
            .front()
            .is_some_and(|at| now.since(*at) > RESTART_WINDOW)
        {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= RESTARTS_IN_WINDOW {
            return false;
        }
        self.restarts.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_restart_in_a_minute_is_refused_and_a_later_one_is_not() {
        let mut budget = RestartBudget::default();
        let at = |s: u64| Timestamp::from_unix_ms(s * 1000);
        for second in 0..5 {
            assert!(budget.spend(at(second)));
        }
        assert!(!budget.spend(at(30)));
        assert!(budget.spend(at(61)), "the first one has left the window");
        assert!(!budget.spend(at(61)));
    }
}
