//! Whose delegate is there: a session without one is an app that is away.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul_engine::id::SessionId;
use tokio::sync::Notify;

/// The sessions that somebody listens to as a delegate, and how many do. It outlives every actor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attachments {
    counts: Arc<Mutex<BTreeMap<SessionId, usize>>>,
    /// Rings when the last delegate of a session is gone.
    gone: Arc<Notify>,
}

/// A delegate is attached to a session for as long as this lives.
#[must_use = "the delegate is detached when this is dropped"]
pub struct Attachment {
    attachments: Attachments,
    session: SessionId,
}

impl Attachments {
    /// Counts one more delegate of this session.
    pub(crate) fn attach(&self, session: &SessionId) -> Attachment {
        *self.lock().entry(session.clone()).or_default() += 1;
        Attachment {
            attachments: self.clone(),
            session: session.clone(),
        }
    }

    /// Whether any delegate of this session is there.
    pub(crate) fn is_attached(&self, session: &SessionId) -> bool {
        self.lock().contains_key(session)
    }

    /// Waits until no delegate of this session is there.
    pub(crate) async fn detached(&self, session: &SessionId) {
        loop {
            let mut gone = std::pin::pin!(self.gone.notified());
            // From here on no bell is missed.
            gone.as_mut().enable();
            if !self.is_attached(session) {
                return;
            }
            gone.await;
        }
    }

    fn detach(&self, session: &SessionId) {
        let mut sessions = self.lock();
        if let Some(count) = sessions.get_mut(session) {
            *count -= 1;
            if *count == 0 {
                sessions.remove(session);
                self.gone.notify_waiters();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.attachments.detach(&self.session);
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_session_is_attached_until_its_last_delegate_is_gone() {
        let attachments = Attachments::default();
        let session = SessionId::new("a").unwrap();
        assert!(!attachments.is_attached(&session));
        let one = attachments.attach(&session);
        let two = attachments.attach(&session);
        drop(one);
        assert!(attachments.is_attached(&session));
        let mut detached = std::pin::pin!(attachments.detached(&session));
        assert!(detached.as_mut().now_or_never().is_none());
        drop(two);
        assert!(!attachments.is_attached(&session));
        assert!(detached.now_or_never().is_some());
    }
}
