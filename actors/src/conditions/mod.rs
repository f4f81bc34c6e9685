//! What the machine's network and power are like: who looks, and who hears of it.

mod bus;
mod linux;
mod sys;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul_engine::conditions::{ConditionReporter, ConditionSource, Conditions};
use tokio::sync::watch;

pub use linux::LinuxConditions;

/// The conditions of an engine; clones are the same one. What was set by hand goes before what its
/// source reports.
#[derive(Clone)]
pub(crate) struct Surroundings(Arc<Shared>);

struct Shared {
    knowledge: Mutex<Knowledge>,
    current: watch::Sender<Conditions>,
}

struct Knowledge {
    source: Option<Box<dyn ConditionSource>>,
    is_started: bool,
    reported: Conditions,
    by_hand: Conditions,
}

impl Surroundings {
    /// Nothing is known until `source`, which was not started yet, or its owner says so.
    pub(crate) fn new(source: Option<Box<dyn ConditionSource>>) -> Self {
        let knowledge = Knowledge {
            source,
            is_started: false,
            reported: Conditions::default(),
            by_hand: Conditions::default(),
        };
        Self(Arc::new(Shared {
            knowledge: Mutex::new(knowledge),
            current: watch::Sender::new(Conditions::default()),
        }))
    }

    /// A task asks for something that the source could know: it is started, once.
    pub(crate) fn care(&self) {
        let mut knowledge = self.0.lock();
        if std::mem::replace(&mut knowledge.is_started, true) {
            return;
        }
        let source = knowledge.source.take();
        // It may report at once, which takes the lock.
        drop(knowledge);
        if let Some(mut source) = source {
            source.start(self.reporter());
            self.0.lock().source = Some(source);
        }
    }

    /// A way in that does not keep them alive.
    fn reporter(&self) -> ConditionReporter {
        let shared = Arc::downgrade(&self.0);
        ConditionReporter::new(move |conditions| {
            if let Some(shared) = shared.upgrade() {
                shared.update(|knowledge| knowledge.reported = conditions);
            }
        })
    }

    /// Sets by hand what the source is not to be believed about.
    pub(crate) fn set_by_hand(&self, conditions: Conditions) {
        self.0.update(|knowledge| knowledge.by_hand = conditions);
    }

    /// What they are now.
    pub(crate) fn now(&self) -> Conditions {
        *self.0.current.borrow()
    }

    /// Wakes whenever they change.
    pub(crate) fn changes(&self) -> watch::Receiver<Conditions> {
        self.0.current.subscribe()
    }
}

impl Shared {
    fn update(&self, change: impl FnOnce(&mut Knowledge)) {
        let mut knowledge = self.lock();
        change(&mut knowledge);
        let now = knowledge.by_hand.or(knowledge.reported);
        let is_new = self.current.send_if_modified(|current| {
            let is_new = *current != now;
            *current = now;
            is_new
        });
        drop(knowledge);
        if is_new {
            tracing::info!(conditions = ?now, "network or power changed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METERED: Conditions = Conditions {
        is_online: None,
        is_metered: Some(true),
        is_constrained: None,
        is_on_battery: None,
    };

    /// Reports at once, and counts how often it was started.
    struct Known(Conditions, Arc<Mutex<u32>>);

    impl ConditionSource for Known {
        fn start(&mut self, reporter: ConditionReporter) {
            *self.1.lock().expect("no panic") += 1;
            reporter.report(self.0);
        }
    }

    #[test]
    fn a_source_is_started_once_and_only_when_somebody_cares() {
        let started = Arc::new(Mutex::new(0));
        let source = Known(METERED, Arc::clone(&started));
        let surroundings = Surroundings::new(Some(Box::new(source)));
        assert_eq!(surroundings.now(), Conditions::default());
        assert_eq!(*started.lock().expect("no panic"), 0);
        surroundings.care();
        surroundings.care();
        assert_eq!(surroundings.now(), METERED);
        assert_eq!(*started.lock().expect("no panic"), 1);
    }

    #[test]
    fn what_is_set_by_hand_holds_until_it_is_unset() {
        let surroundings = Surroundings::new(Some(Box::new(Known(METERED, Arc::default()))));
        surroundings.care();
        let changes = surroundings.changes();
        let free = Conditions {
            is_metered: Some(false),
            ..Conditions::default()
        };
        surroundings.set_by_hand(free);
        assert_eq!(surroundings.now(), free);
        assert!(changes.has_changed().expect("it lives"));
        surroundings.set_by_hand(Conditions::default());
        assert_eq!(surroundings.now(), METERED);
    }

    #[test]
    fn a_report_after_the_end_is_lost() {
        let surroundings = Surroundings::new(None);
        let reporter = surroundings.reporter();
        let changes = surroundings.changes();
        drop(surroundings);
        reporter.report(METERED);
        assert_eq!(*changes.borrow(), Conditions::default());
    }
}
