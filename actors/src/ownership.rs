//! Whose a session is: one owner at a time, for as long as a handle lives.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use longhaul_engine::id::SessionId;

/// The owners of one engine's sessions. It outlives every actor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners(Arc<Mutex<BTreeMap<SessionId, Weak<Owner>>>>);

/// What all handles of one session share. With the last of them the session is free.
pub(crate) struct Owner {
    owners: Owners,
    session: SessionId,
    is_over: AtomicBool,
}

impl Owners {
    /// The new owner of a session; `None` when it has one.
    pub(crate) fn claim(&self, session: &SessionId) -> Option<Arc<Owner>> {
        let mut owners = self.lock();
        if owners
            .get(session)
            .is_some_and(|owner| owner.strong_count() > 0)
        {
            return None;
        }
        let owner = Arc::new(Owner {
            owners: self.clone(),
            session: session.clone(),
            is_over: AtomicBool::new(false),
        });
        owners.insert(session.clone(), Arc::downgrade(&owner));
        Some(owner)
    }

    /// The session is no more, and its handles are of no use. Its name stays taken until
    /// [`Owners::free`].
    pub(crate) fn end(&self, session: &SessionId) {
        let owner = self.lock().get(session).and_then(Weak::upgrade);
        if let Some(owner) = owner {
            owner.end();
        }
    }

    /// Another session may have the name.
    pub(crate) fn free(&self, session: &SessionId) {
        self.lock().remove(session);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Weak<Owner>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner {
    /// The session is no more, and its handles are of no use.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// The session has ended and was acknowledged: another one may have its name.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut owners = self.owners.lock();
        // It may be another owner's entry by now.
        if owners
            .get(&self.session)
            .is_some_and(|owner| owner.strong_count() == 0)
        {
            owners.remove(&self.session);
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner")
            .field("session", &self.session)
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_one_owner_until_the_last_handle_is_gone() {
        let owners = Owners::default();
        let (a, b) = (SessionId::new("a").unwrap(), SessionId::new("b").unwrap());
        let first = owners.claim(&a).unwrap();
        let clone = Arc::clone(&first);
        assert!(owners.claim(&a).is_none());
        assert!(owners.claim(&b).is_some(), "another session is free");
        drop(first);
        assert!(owners.claim(&a).is_none());
        drop(clone);
        assert!(owners.claim(&a).is_some());
        assert!(
            owners.lock().is_empty(),
            "nothing is left of those that are gone"
        );
    }

    #[test]
    fn handles_of_a_session_that_is_no_more_do_not_hold_its_name() {
        let owners = Owners::default();
        let a = SessionId::new("a").unwrap();
        let old = owners.claim(&a).unwrap();
        owners.end(&a);
        assert!(old.is_over());
        assert!(owners.claim(&a).is_none(), "it is not free yet");
        owners.free(&a);
        let new = owners.claim(&a).unwrap();
        drop(old);
        assert!(!new.is_over());
        assert!(
            owners.claim(&a).is_none(),
            "the old handles end nothing of the new one"
        );
    }
}
