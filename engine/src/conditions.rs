//! What the machine's network and power are like, and which tasks must wait for something better.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::schedule::Schedule;
use crate::session::SessionRules;
use crate::task::Constraint;

/// What the network and the power of this machine are like. `None` is "nobody knows", which counts
/// as good enough: a machine without the services that know must not stop every transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Conditions {
    /// There is a network.
    pub is_online: Option<bool>,
    /// The network costs money by use (Foundation's expensive).
    pub is_metered: Option<bool>,
    /// The network is to be spared (Foundation's constrained, "low data mode").
    pub is_constrained: Option<bool>,
    /// The machine runs on its battery.
    pub is_on_battery: Option<bool>,
}

impl Conditions {
    /// These, and for what nobody knows here, those of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            is_online: self.is_online.or(other.is_online),
            is_metered: self.is_metered.or(other.is_metered),
            is_constrained: self.is_constrained.or(other.is_constrained),
            is_on_battery: self.is_on_battery.or(other.is_on_battery),
        }
    }
}

/// Somebody who knows what this machine's network and power are like.
///
/// It is started when the first task asks for something that it could know, and never before: an
/// engine without such tasks costs nothing. Dropping it, which the engine does when it stops, ends
/// its work.
pub trait ConditionSource: Send {
    /// Begins to look, and keeps `reporter` to tell what it finds: once soon, and again whenever
    /// something has changed, from any thread. It is called once, on a thread that must not be held
    /// up: it returns at once. What it never reports is unknown.
    fn start(&mut self, reporter: ConditionReporter);
}

/// Where a [`ConditionSource`] tells what it found. Clones tell the same engine.
#[derive(Clone)]
pub struct ConditionReporter(Arc<dyn Fn(Conditions) + Send + Sync>);

impl ConditionReporter {
    /// A reporter that hands everything to `tell`, on the thread that reports.
    #[must_use]
    pub fn new(tell: impl Fn(Conditions) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Tells what network and power are like now; `None` is "I can not know". After the engine has
    /// stopped it does nothing.
    pub fn report(&self, conditions: Conditions) {
        (self.0)(conditions);
    }
}

impl fmt::Debug for ConditionReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConditionReporter")
    }
}

/// The first condition that a task asks for and that does not hold; `None` when it may run.
///
/// Every task asks for a network, unless it stays on this machine. One that may not use an expensive
/// or constrained network, by its own word or its session's, asks for another one (Foundation:
/// `allowsExpensiveNetworkAccess`, `allowsConstrainedNetworkAccess`). A discretionary one, by either
/// word, asks for a network that costs nothing and for power (Foundation: `isDiscretionary`).
#[must_use]
pub fn unmet(
    schedule: &Schedule,
    rules: &SessionRules,
    is_local: bool,
    conditions: &Conditions,
) -> Option<Constraint> {
    let needs = Needs::of(schedule, rules);
    let is_offline = conditions.is_online == Some(false);
    let table = [
        (!is_local && is_offline, Constraint::Network),
        (
            needs.unmetered && conditions.is_metered == Some(true),
            Constraint::Unmetered,
        ),
        (
            needs.unconstrained && conditions.is_constrained == Some(true),
            Constraint::Unconstrained,
        ),
        (
            needs.power && conditions.is_on_battery == Some(true),
            Constraint::Power,
        ),
    ];
    table
        .into_iter()
        .find_map(|(is_unmet, constraint)| is_unmet.then_some(constraint))
}

/// Whether a task asks for more than a network: only then somebody must look what it is like.
#[must_use]
pub fn is_choosy(schedule: &Schedule, rules: &SessionRules) -> bool {
    let needs = Needs::of(schedule, rules);
    needs.unmetered || needs.unconstrained || needs.power
}

/// Whether a [`host_key`](crate::session::host_key) names this very machine, which needs no network
/// to be reached: `localhost` (RFC 6761 section 6.3) and the loopback addresses.
#[must_use]
pub fn is_loopback(host_key: &str) -> bool {
    let host = host_key.rsplit_once(':').map_or(host_key, |(host, _)| host);
    let name = host.trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

struct Needs {
    unmetered: bool,
    unconstrained: bool,
    power: bool,
}

impl Needs {
    const fn of(schedule: &Schedule, rules: &SessionRules) -> Self {
        let is_discretionary = schedule.is_discretionary || rules.is_discretionary;
        let allows_expensive =
            schedule.allows_expensive_network_access && rules.allows_expensive_network_access;
        let allows_constrained =
            schedule.allows_constrained_network_access && rules.allows_constrained_network_access;
        Self {
            unmetered: is_discretionary || !allows_expensive,
            unconstrained: !allows_constrained,
            power: is_discretionary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: Conditions = Conditions {
        is_online: None,
        is_metered: None,
        is_constrained: None,
        is_on_battery: None,
    };
    const BAD: Conditions = Conditions {
        is_online: Some(true),
        is_metered: Some(true),
        is_constrained: Some(true),
        is_on_battery: Some(true),
    };
    const GOOD: Conditions = Conditions {
        is_online: Some(true),
        is_metered: Some(false),
        is_constrained: Some(false),
        is_on_battery: Some(false),
    };

    /// Each way to ask for something: by the task, by its session.
    fn asks() -> [(&'static str, Schedule, SessionRules, Option<Constraint>); 7] {
        let (task, session) = (Schedule::default, SessionRules::default);
        let discretionary = |is_discretionary| Schedule {
            is_discretionary,
            ..task()
        };
        [
            ("nothing", task(), session(), None),
            (
                "discretionary task",
                discretionary(true),
                session(),
                Some(Constraint::Unmetered),
            ),
            (
                "discretionary session",
                task(),
                SessionRules {
                    is_discretionary: true,
                    ..session()
                },
                Some(Constraint::Unmetered),
            ),
            (
                "no expensive network for the task",
                Schedule {
                    allows_expensive_network_access: false,
                    ..task()
                },
                session(),
                Some(Constraint::Unmetered),
            ),
            (
                "no expensive network for the session",
                task(),
                SessionRules {
                    allows_expensive_network_access: false,
                    ..session()
                },
                Some(Constraint::Unmetered),
            ),
            (
                "no constrained network for the task",
                Schedule {
                    allows_constrained_network_access: false,
                    ..task()
                },
                session(),
                Some(Constraint::Unconstrained),
            ),
            (
                "no constrained network for the session",
                task(),
                SessionRules {
                    allows_constrained_network_access: false,
                    ..session()
                },
                Some(Constraint::Unconstrained),
            ),
        ]
    }

    #[test]
    fn who_asks_for_something_waits_while_it_is_known_not_to_hold() {
        for (what, schedule, rules, first) in asks() {
            assert_eq!(unmet(&schedule, &rules, false, &BAD), first, "{what}");
            assert_eq!(unmet(&schedule, &rules, false, &GOOD), None, "{what}");
            assert_eq!(unmet(&schedule, &rules, false, &UNKNOWN), None, "{what}");
            assert_eq!(is_choosy(&schedule, &rules), first.is_some(), "{what}");
        }
    }

    #[test]
    fn only_a_discretionary_task_waits_for_power() {
        let on_battery = Conditions {
            is_on_battery: Some(true),
            ..GOOD
        };
        for (what, schedule, rules, _) in asks() {
            let is_discretionary = what.starts_with("discretionary");
            let expected = is_discretionary.then_some(Constraint::Power);
            assert_eq!(
                unmet(&schedule, &rules, false, &on_battery),
                expected,
                "{what}"
            );
        }
    }

    #[test]
    fn without_a_network_only_what_stays_on_this_machine_runs() {
        let offline = Conditions {
            is_online: Some(false),
            ..UNKNOWN
        };
        let (schedule, rules) = (Schedule::default(), SessionRules::default());
        assert_eq!(
            unmet(&schedule, &rules, false, &offline),
            Some(Constraint::Network)
        );
        assert_eq!(unmet(&schedule, &rules, true, &offline), None);
    }

    #[test]
    fn a_host_is_known_to_be_this_machine() {
        for (host, expected) in [
            ("localhost:80", true),
            ("LocalHost.:80", true),
            ("a.localhost:8080", true),
            ("127.0.0.1:80", true),
            ("127.9.9.9:80", true),
            ("[::1]:80", true),
            ("example.com:80", false),
            ("localhost.example.com:80", false),
            ("10.0.0.1:80", false),
            ("[fe80::1]:80", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn what_is_said_by_hand_goes_before_what_is_measured() {
        let by_hand = Conditions {
            is_metered: Some(false),
            ..UNKNOWN
        };
        let both = by_hand.or(BAD);
        assert_eq!(both.is_metered, Some(false));
        assert_eq!(both.is_on_battery, Some(true));
    }
}
