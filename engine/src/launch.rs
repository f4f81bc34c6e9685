//! When an app that is away is called back: the budget of refresh tasks, and the log that it needs.

mod command;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::LaunchesDocument;
use crate::limits::LAUNCHES_PER_HOUR_MAX;
use crate::time::Timestamp;

pub use command::{LaunchCommand, LaunchCommandError};

/// How often an app may be called. The defaults are those of watchOS for an app with a complication
/// (`WKURLSessionRefreshBackgroundTask`) and the doubling delay that was measured of Apple's
/// transfer daemon: 60 s, 120 s, 240 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchRules {
    /// Calls within an hour, at most [`LAUNCHES_PER_HOUR_MAX`].
    pub per_hour_max: usize,
    /// Time between two calls.
    pub interval_min: Duration,
    /// The delay that the first call leaves behind; each further one doubles it.
    pub delay_base: Duration,
    /// The longest delay.
    pub delay_cap: Duration,
    /// The time that an app has to complete a refresh task.
    pub expiry: Duration,
}

/// Why an app is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LaunchReason {
    /// All transfers of the session have ended, well or not.
    Drained,
    /// A server wants authorization before a transfer can go on.
    AuthorizationRequired,
}

/// What is known of a session's calls. Every change of it is to be recorded before it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchLog {
    /// When the app was called, the last call last; as many as a budget may ask about.
    launches: Vec<Timestamp>,
    /// How long after the last call the next one has to wait.
    delay: Duration,
    /// A refresh task that is not completed, and when it expires.
    open: Option<(LaunchReason, Timestamp)>,
    /// A call that waits for the budget.
    wanted: Option<LaunchReason>,
}

impl Default for LaunchRules {
    fn default() -> Self {
        Self {
            per_hour_max: 4,
            interval_min: Duration::from_secs(15 * 60),
            delay_base: Duration::from_secs(60),
            delay_cap: Duration::from_secs(24 * 60 * 60),
            expiry: Duration::from_secs(30),
        }
    }
}

impl LaunchRules {
    /// An hour, in which so many calls are allowed.
    const HOUR: Duration = Duration::from_secs(60 * 60);
}

impl LaunchLog {
    /// A log as it was recorded. A refresh task that was open then is gone with its process: the
    /// app is to be called again.
    #[must_use]
    pub fn restored(
        mut launches: Vec<Timestamp>,
        delay: Duration,
        open: Option<LaunchReason>,
    ) -> Self {
        let surplus = launches.len().saturating_sub(LAUNCHES_PER_HOUR_MAX);
        launches.drain(..surplus);
        Self {
            launches,
            delay,
            open: None,
            wanted: open,
        }
    }

    /// When the app was called, the last call last.
    #[must_use]
    pub fn launches(&self) -> &[Timestamp] {
        &self.launches
    }

    /// How long after the last call the next one has to wait.
    #[must_use]
    pub const fn delay(&self) -> Duration {
        self.delay
    }

    /// Why the app was called, or is to be: what of this log must not be forgotten.
    #[must_use]
    pub fn pending(&self) -> Option<LaunchReason> {
        self.open.map(|(reason, _)| reason).max(self.wanted)
    }

    /// Whether a refresh task was handed out that is not completed.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The app shall be called. Several wishes become one call, for the most pressing reason; a
    /// wish while a refresh task is open is kept until that one is completed.
    pub fn want(&mut self, reason: LaunchReason) {
        self.wanted = self.wanted.max(Some(reason));
    }

    /// Nobody needs to be called any more: the app is there.
    pub const fn unwant(&mut self) {
        self.wanted = None;
    }

    /// There is nothing left that the app has not heard. That a server wants authorization stays true.
    pub fn unwant_drained(&mut self) {
        if self.wanted == Some(LaunchReason::Drained) {
            self.wanted = None;
        }
    }

    /// When something is to be done: the next call is allowed, or the open refresh task expires.
    #[must_use]
    pub fn due(&self, rules: &LaunchRules) -> Option<Timestamp> {
        match (self.open, self.wanted) {
            (Some((_, expires_at)), _) => Some(expires_at),
            (None, Some(_)) => Some(self.allowed_from(rules)),
            (None, None) => None,
        }
    }

    /// The log as everybody may see it, at this time; without what is secret in the command.
    #[must_use]
    pub fn document(
        &self,
        rules: &LaunchRules,
        command: Option<&LaunchCommand>,
        now: Timestamp,
    ) -> LaunchesDocument {
        let open_until = self.open.map(|(_, expires_at)| expires_at);
        let next_at = self.allowed_from(rules).max(open_until.unwrap_or_default());
        let is_of_interest = self.pending().is_some() || next_at > now;
        LaunchesDocument {
            command: command.map(LaunchCommand::shown),
            wanted: self.wanted,
            open_until,
            next_at: is_of_interest.then_some(next_at.max(now)),
            called_at: self.launches.clone(),
        }
    }

    /// The first moment at which the budget allows a call; the epoch when it always has.
    fn allowed_from(&self, rules: &LaunchRules) -> Timestamp {
        let Some(last) = self.launches.last() else {
            return Timestamp::default();
        };
        let spaced = last.after(rules.interval_min.max(self.delay));
        let per_hour = rules.per_hour_max.clamp(1, LAUNCHES_PER_HOUR_MAX);
        let hourly = match self.launches.len().checked_sub(per_hour) {
            Some(oldest) => self.launches[oldest].after(LaunchRules::HOUR),
            None => Timestamp::default(),
        };
        spaced.max(hourly)
    }

    /// Calls the app if the budget allows it now, and says why it is called.
    pub fn launch(&mut self, now: Timestamp, rules: &LaunchRules) -> Option<LaunchReason> {
        let reason = self.wanted?;
        if self.open.is_some() || now < self.allowed_from(rules) {
            return None;
        }
        // A delay that ran out without a call is forgotten (Apple: "resets if the delay elapses").
        let elapsed = self
            .launches
            .last()
            .is_none_or(|last| now >= last.after(self.delay.saturating_mul(2)));
        self.delay = if elapsed {
            rules.delay_base
        } else {
            self.delay.saturating_mul(2).min(rules.delay_cap)
        };
        if self.launches.len() >= LAUNCHES_PER_HOUR_MAX {
            self.launches.remove(0);
        }
        self.launches.push(now);
        self.wanted = None;
        self.open = Some((reason, now.after(rules.expiry)));
        Some(reason)
    }

    /// The app has completed its refresh task; `false` when none was open.
    pub const fn complete(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// The open refresh task has expired, if its time is over: the app is to be called again.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        match self.open {
            Some((reason, at)) if at <= now => {
                self.open = None;
                self.want(reason);
                true
            }
            Some(_) | None => false,
        }
    }

    /// A person brought the app to the foreground: the next call has no delay of its own.
    pub const fn came_to_foreground(&mut self) {
        self.delay = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60 * 1000;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_unix_ms(1_000_000 * MINUTE + minutes * MINUTE)
    }

    #[test]
    fn the_log_is_shown_with_the_time_of_the_next_call() {
        let rules = LaunchRules::default();
        let command = LaunchCommand::new(["app"], "/").and_then(|c| c.variable("TOKEN", "hush"));
        let command = command.expect("a command");
        let mut log = LaunchLog::default();
        let shown = log.document(&rules, Some(&command), at(0));
        assert_eq!(shown.command, Some(command.shown()));
        assert_eq!(
            (shown.wanted, shown.next_at, shown.open_until),
            (None, None, None)
        );
        log.want(LaunchReason::Drained);
        let shown = log.document(&rules, None, at(0));
        assert_eq!(
            (shown.wanted, shown.next_at),
            (Some(LaunchReason::Drained), Some(at(0)))
        );
        assert_eq!(log.launch(at(0), &rules), Some(LaunchReason::Drained));
        let shown = log.document(&rules, None, at(0));
        assert_eq!(shown.open_until, Some(at(0).after(rules.expiry)));
        assert_eq!((shown.wanted, shown.next_at), (None, Some(at(15))));
        assert_eq!(shown.called_at, [at(0)]);
        assert!(log.complete());
        assert_eq!(log.document(&rules, None, at(14)).next_at, Some(at(15)));
        assert_eq!(log.document(&rules, None, at(15)).next_at, None);
    }

    /// The minutes at which an app is called that is always wanted and completes at once.
    fn calls(rules: &LaunchRules, minutes: u64) -> Vec<u64> {
        let mut log = LaunchLog::default();
        let mut calls = Vec::new();
        for minute in 0..minutes {
            log.want(LaunchReason::Drained);
            if log.launch(at(minute), rules).is_some() {
                assert!(log.complete());
                log.came_to_foreground();
                calls.push(minute);
            }
        }
        calls
    }

    #[test]
    fn an_app_is_called_four_times_an_hour_and_fifteen_minutes_apart() {
        assert_eq!(
            calls(&LaunchRules::default(), 121),
            [0, 15, 30, 45, 60, 75, 90, 105, 120]
        );
    }

    #[test]
    fn the_hourly_budget_holds_where_the_interval_alone_would_not() {
        let rules = LaunchRules {
            interval_min: Duration::from_secs(60),
            ..LaunchRules::default()
        };
        assert_eq!(calls(&rules, 64), [0, 1, 2, 3, 60, 61, 62, 63]);
    }

    #[test]
    fn the_delay_doubles_with_each_call_and_ends_when_the_app_comes_to_the_foreground() {
        let rules = LaunchRules {
            per_hour_max: LAUNCHES_PER_HOUR_MAX,
            interval_min: Duration::ZERO,
            ..LaunchRules::default()
        };
        let mut log = LaunchLog::default();
        let mut minute = 0;
        for delay_s in [60, 120, 240, 480, 960] {
            log.want(LaunchReason::Drained);
            while log.launch(at(minute), &rules).is_none() {
                minute += 1;
            }
            assert_eq!(log.delay(), Duration::from_secs(delay_s));
            log.complete();
        }
        log.came_to_foreground();
        log.want(LaunchReason::Drained);
        assert!(log.launch(at(minute + 1), &rules).is_some());
        assert_eq!(log.delay(), rules.delay_base);
    }

    #[test]
    fn several_wishes_are_one_call_for_the_most_pressing_reason() {
        let rules = LaunchRules::default();
        let mut log = LaunchLog::default();
        log.want(LaunchReason::Drained);
        log.want(LaunchReason::AuthorizationRequired);
        log.want(LaunchReason::Drained);
        assert_eq!(
            log.launch(at(0), &rules),
            Some(LaunchReason::AuthorizationRequired)
        );
        assert_eq!(log.launch(at(60), &rules), None, "it was one call");
    }

    #[test]
    fn what_was_heard_needs_no_call_but_authorization_does() {
        let rules = LaunchRules::default();
        for (reason, is_called) in [
            (LaunchReason::Drained, false),
            (LaunchReason::AuthorizationRequired, true),
        ] {
            let mut log = LaunchLog::default();
            log.want(reason);
            log.unwant_drained();
            assert_eq!(log.launch(at(0), &rules).is_some(), is_called);
        }
    }

    #[test]
    fn a_refresh_task_that_is_not_completed_is_called_again_with_a_longer_delay() {
        let rules = LaunchRules::default();
        let mut log = LaunchLog::default();
        log.want(LaunchReason::Drained);
        assert!(log.launch(at(0), &rules).is_some());
        assert!(!log.expire(at(0)), "its time is not over");
        assert_eq!(log.due(&rules), Some(at(0).after(rules.expiry)));
        assert!(log.expire(at(1)));
        assert_eq!(log.due(&rules), Some(at(15)));
        assert!(log.launch(at(14), &rules).is_none());
        assert!(log.launch(at(15), &rules).is_some());
    }

    #[test]
    fn what_is_wanted_while_a_refresh_task_is_open_is_called_for_after_it() {
        let rules = LaunchRules::default();
        let mut log = LaunchLog::default();
        log.want(LaunchReason::Drained);
        log.launch(at(0), &rules);
        log.want(LaunchReason::Drained);
        assert_eq!(log.launch(at(40), &rules), None, "one is open");
        assert!(log.complete());
        assert!(!log.complete(), "it is completed once");
        assert!(log.launch(at(40), &rules).is_some());
    }

    #[test]
    fn a_budget_survives_a_restart_and_an_open_refresh_task_becomes_a_wish() {
        let rules = LaunchRules::default();
        let log = LaunchLog::restored(
            vec![at(0), at(15), at(30), at(45)],
            rules.delay_base,
            Some(LaunchReason::Drained),
        );
        assert!(!log.is_open());
        assert_eq!(log.due(&rules), Some(at(60)));
    }
}
