//! Whether a task may have a place now, and if not, what it waits for.

use crate::conditions::{self, Conditions};
use crate::session::SessionRules;
use crate::task::{Constraint, Priority, TaskOptions};
use crate::time::Timestamp;

/// What decides when a task runs: the part of its [`TaskOptions`] that its session must know while
/// the task only waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Which of the waiting tasks goes first.
    pub priority: Priority,
    /// Not to begin before this time.
    pub earliest_begin: Option<Timestamp>,
    /// It may wait for power and a network that costs nothing.
    pub is_discretionary: bool,
    /// It may use a network that costs money.
    pub allows_expensive_network_access: bool,
    /// It may use a network that is to be spared.
    pub allows_constrained_network_access: bool,
    /// Bytes per second for this task alone.
    pub rate_limit_bytes: Option<u64>,
}

impl From<&TaskOptions> for Schedule {
    fn from(options: &TaskOptions) -> Self {
        Self {
            priority: options.priority,
            earliest_begin: options.earliest_begin,
            is_discretionary: options.is_discretionary,
            allows_expensive_network_access: options.allows_expensive_network_access,
            allows_constrained_network_access: options.allows_constrained_network_access,
            rate_limit_bytes: options.rate_limit_bytes,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::from(&TaskOptions::default())
    }
}

/// What keeps a task out of the run queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Its owner wants it to begin at this time at the earliest. It is a time of the wall clock, so
    /// setting the clock moves the wait.
    NotBefore(Timestamp),
    /// A condition that it asks for does not hold.
    Unmet(Constraint),
}

/// What becomes of a task that wants a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It queues for one.
    Queue,
    /// It waits for something else first.
    Hold(Hold),
    /// The time that its owner had set has come, and its owner is there to be asked whether it shall
    /// begin (`willBeginDelayedRequest`).
    Ask,
}

/// A task that wants a place.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its own part.
    pub schedule: &'a Schedule,
    /// Its session's part.
    pub rules: &'a SessionRules,
    /// When it was made.
    pub created_at: Timestamp,
    /// It stays on this machine.
    pub is_local: bool,
    /// It has begun before, or its owner has said that it shall.
    pub has_begun: bool,
}

/// The world at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The time.
    pub now: Timestamp,
    /// The machine's network and power.
    pub conditions: &'a Conditions,
    /// Somebody is there to be asked.
    pub is_attached: bool,
}

/// Decides whether a task may queue for a place now.
///
/// A task whose time for the whole resource ran out while it waited is let through whatever the
/// conditions are: its transfer ends it at once, because that time runs while a task waits for the
/// network (Foundation: `waitsForConnectivity`).
#[must_use]
pub fn admit(task: &Candidate<'_>, moment: &Moment<'_>) -> Admission {
    let earliest_begin = task.schedule.earliest_begin;
    if let Some(at) = earliest_begin.filter(|at| *at > moment.now) {
        return Admission::Hold(Hold::NotBefore(at));
    }
    if moment.now >= resource_deadline(task.created_at, earliest_begin, task.rules) {
        return Admission::Queue;
    }
    let unmet = conditions::unmet(task.schedule, task.rules, task.is_local, moment.conditions);
    if let Some(constraint) = unmet {
        return Admission::Hold(Hold::Unmet(constraint));
    }
    match earliest_begin.is_some() && !task.has_begun && moment.is_attached {
        true => Admission::Ask,
        false => Admission::Queue,
    }
}

/// When the time for the whole resource is over. It runs from the moment the task was made, or from
/// its earliest begin when that is later: a task that shall begin in eight days does not fail after
/// seven.
#[must_use]
pub fn resource_deadline(
    created_at: Timestamp,
    earliest_begin: Option<Timestamp>,
    rules: &SessionRules,
) -> Timestamp {
    let start = earliest_begin.map_or(created_at, |at| at.max(created_at));
    start.after(rules.timeout_for_resource)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);
    const EARLIER: Timestamp = Timestamp::from_unix_ms(900_000);
    const LATER: Timestamp = Timestamp::from_unix_ms(1_100_000);
    const METERED: Conditions = Conditions {
        is_online: Some(true),
        is_metered: Some(true),
        is_constrained: None,
        is_on_battery: None,
    };

    #[derive(Clone, Copy)]
    struct Case {
        earliest_begin: Option<Timestamp>,
        is_discretionary: bool,
        has_begun: bool,
        is_attached: bool,
        timeout_s: u64,
    }

    fn decide(case: Case) -> Admission {
        let schedule = Schedule {
            earliest_begin: case.earliest_begin,
            is_discretionary: case.is_discretionary,
            ..Schedule::default()
        };
        let rules = SessionRules {
            timeout_for_resource: Duration::from_secs(case.timeout_s),
            ..SessionRules::default()
        };
        let task = Candidate {
            schedule: &schedule,
            rules: &rules,
            created_at: Timestamp::from_unix_ms(800_000),
            is_local: false,
            has_begun: case.has_begun,
        };
        let moment = Moment {
            now: NOW,
            conditions: &METERED,
            is_attached: case.is_attached,
        };
        admit(&task, &moment)
    }

    #[test]
    fn a_task_waits_for_its_time_then_for_conditions_then_for_its_owner() {
        let plain = Case {
            earliest_begin: None,
            is_discretionary: false,
            has_begun: false,
            is_attached: true,
            timeout_s: 1000,
        };
        let due = Case {
            earliest_begin: Some(EARLIER),
            ..plain
        };
        let unmet = Admission::Hold(Hold::Unmet(Constraint::Unmetered));
        let table = [
            ("a plain one", plain, Admission::Queue),
            (
                "not yet",
                Case {
                    earliest_begin: Some(LATER),
                    is_discretionary: true,
                    ..plain
                },
                Admission::Hold(Hold::NotBefore(LATER)),
            ),
            ("due, and asked for", due, Admission::Ask),
            (
                "due, and nobody there",
                Case {
                    is_attached: false,
                    ..due
                },
                Admission::Queue,
            ),
            (
                "due, and begun before",
                Case {
                    has_begun: true,
                    ..due
                },
                Admission::Queue,
            ),
            (
                "due, and held",
                Case {
                    is_discretionary: true,
                    ..due
                },
                unmet,
            ),
            (
                "held for too long",
                Case {
                    is_discretionary: true,
                    timeout_s: 200,
                    ..plain
                },
                Admission::Queue,
            ),
            (
                "the time for the resource runs from the begin",
                Case {
                    is_discretionary: true,
                    timeout_s: 200,
                    ..due
                },
                unmet,
            ),
        ];
        for (what, case, expected) in table {
            assert_eq!(decide(case), expected, "{what}");
        }
    }

    #[test]
    fn a_begin_before_the_task_was_made_does_not_shorten_its_time() {
        let rules = SessionRules {
            timeout_for_resource: Duration::from_secs(1),
            ..SessionRules::default()
        };
        let end = |begin| resource_deadline(NOW, begin, &rules).as_unix_ms();
        assert_eq!(end(None), 1_001_000);
        assert_eq!(end(Some(EARLIER)), 1_001_000);
        assert_eq!(end(Some(LATER)), 1_101_000);
    }
}
