//! How the runs ended, so that nothing is believed tested that never happened.

use std::collections::BTreeMap;

/// How often each thing happened.
#[derive(Debug, Default)]
pub(super) struct Summary(BTreeMap<&'static str, u64>);

/// What must have happened in all the runs together, each more often than now and then.
const EXPECTED: [&str; 31] = [
    "104",
    "104 of another version",
    "104 after the body",
    "409",
    "413",
    "423",
    "460",
    "DELETE",
    "PATCH as POST",
    "authorization",
    "begun again",
    "cancelled",
    "changed",
    "complete too early",
    "crash",
    "cut and dropped",
    "cut and kept",
    "digest",
    "failed",
    "gone",
    "ietf",
    "lost answer",
    "outcome unknown",
    "plain",
    "redirect",
    "resumed",
    "retry",
    "sealed",
    "short acknowledgement",
    "tus",
    "uploaded",
];

impl Summary {
    pub(super) fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    pub(super) fn check_that_nothing_was_missed(&self) {
        for what in EXPECTED {
            let count = self.0.get(what).copied().unwrap_or_default();
            assert!(count > 50, "{what}: {self:?}");
        }
    }
}
