//! Whose a session is: one owner at a time, for as long as a handle lives; others may look on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use longhaul_engine::id::SessionId;

/// The owners of one engine's sessions. It outlives every actor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners(Arc<Mutex<BTreeMap<SessionId, Entry>>>);

/// What is known of one session while anybody has a handle of it.
#[derive(Debug)]
struct Entry {
    life: Weak<Life>,
    owner: Weak<Owner>,
}

/// What all handles of one session share: from its making until its end was acknowledged.
pub(crate) struct Life {
    owners: Owners,
    session: SessionId,
    is_over: AtomicBool,
}

/// What all handles of a session's owner share. With the last of them the session is free.
#[derive(Debug)]
pub(crate) struct Owner(Arc<Life>);

/// What a handle has of its session.
#[derive(Clone, Debug)]
pub(crate) enum Hold {
    /// It is the owner's.
    Owner(Arc<Owner>),
    /// It only looks on: the session may be opened beside it.
    Observer(Arc<Life>),
}

impl Owners {
    /// The new owner of a session; `None` when it has one.
    pub(crate) fn claim(&self, session: &SessionId) -> Option<Arc<Owner>> {
        if self.is_owned(session) {
            return None;
        }
        // Only the root claims, so nobody else did meanwhile.
        let known = self.known(session).filter(|life| !life.is_over());
        let life = known.unwrap_or_else(|| self.begin(session));
        let owner = Arc::new(Owner(Arc::clone(&life)));
        let entry = Entry {
            life: Arc::downgrade(&life),
            owner: Arc::downgrade(&owner),
        };
        self.lock().insert(session.clone(), entry);
        Some(owner)
    }

    /// Whether a handle of the session's owner is alive.
    pub(crate) fn is_owned(&self, session: &SessionId) -> bool {
        let owners = self.lock();
        owners
            .get(session)
            .is_some_and(|entry| entry.owner.strong_count() > 0)
    }

    /// The life of a session that is there, for who looks on.
    pub(crate) fn life(&self, session: &SessionId) -> Arc<Life> {
        self.known(session).unwrap_or_else(|| self.begin(session))
    }

    fn begin(&self, session: &SessionId) -> Arc<Life> {
        let life = Arc::new(Life {
            owners: self.clone(),
            session: session.clone(),
            is_over: AtomicBool::new(false),
        });
        let entry = Entry {
            life: Arc::downgrade(&life),
            owner: Weak::new(),
        };
        self.lock().insert(session.clone(), entry);
        life
    }

    /// The session is no more, and its handles are of no use. Its name stays taken until
    /// [`Owners::free`].
    pub(crate) fn end(&self, session: &SessionId) {
        if let Some(life) = self.known(session) {
            life.end();
        }
    }

    /// Another session may have the name.
    pub(crate) fn free(&self, session: &SessionId) {
        self.lock().remove(session);
    }

    /// The lock is free when this answers: what it gives takes the lock when it is dropped.
    fn known(&self, session: &SessionId) -> Option<Arc<Life>> {
        let owners = self.lock();
        owners.get(session).and_then(|entry| entry.life.upgrade())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Life {
    /// Whether a handle of the session's owner is alive.
    pub(crate) fn is_owned(&self) -> bool {
        !self.is_over() && self.owners.is_owned(&self.session)
    }

    /// The session is no more, and its handles are of no use.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// The session has ended and was acknowledged: another one may have its name.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl Hold {
    /// The life of the session.
    pub(crate) fn life(&self) -> &Life {
        match self {
            Self::Owner(owner) => &owner.0,
            Self::Observer(life) => life,
        }
    }

    /// Whether the session is in use for as long as this lives.
    pub(crate) const fn is_owner(&self) -> bool {
        match self {
            Self::Owner(_) => true,
            Self::Observer(_) => false,
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let mut owners = self.owners.lock();
        // It may be another life's entry by now.
        if owners
            .get(&self.session)
            .is_some_and(|entry| entry.life.strong_count() == 0)
        {
            owners.remove(&self.session);
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
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
        assert!(old.0.is_over());
        assert!(owners.claim(&a).is_none(), "it is not free yet");
        owners.free(&a);
        let new = owners.claim(&a).unwrap();
        drop(old);
        assert!(!new.0.is_over());
        assert!(
            owners.claim(&a).is_none(),
            "the old handles end nothing of the new one"
        );
    }

    #[test]
    fn who_looks_on_hinders_no_owner_and_learns_of_the_end() {
        let owners = Owners::default();
        let a = SessionId::new("a").unwrap();
        let watcher = owners.life(&a);
        let first = owners.claim(&a).unwrap();
        assert!(owners.is_owned(&a));
        drop(first);
        assert!(!owners.is_owned(&a));
        let second = owners.claim(&a).unwrap();
        let late = owners.life(&a);
        assert!(Arc::ptr_eq(&late, &watcher) && Arc::ptr_eq(&late, &second.0));
        assert!(owners.claim(&a).is_none(), "whoever looks on");
        owners.end(&a);
        owners.free(&a);
        assert!(watcher.is_over() && second.0.is_over());
        let next = owners.life(&a);
        drop((watcher, late, second));
        assert!(!next.is_over() && Arc::ptr_eq(&owners.life(&a), &next));
        drop(next);
        assert!(owners.lock().is_empty());
    }
}
