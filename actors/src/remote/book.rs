//! What this process has said to the daemon, and has to say again when that is another one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul_engine::conditions::Conditions;
use longhaul_engine::id::{Sequence, SessionId};
use longhaul_engine::session::SessionRules;
use tokio::sync::{Notify, watch};

use super::link::Link;
use super::orders::Order;
use super::refresh::Call;
use crate::local::{CallError, Stopped};

/// What the handles and the thread of one client share.
pub(super) struct Shared {
    book: Mutex<Book>,
    /// How the client ended, once it has.
    pub(super) stopped: watch::Sender<Option<Stopped>>,
    /// Rings when a refresh task has come.
    pub(super) called: Notify,
    /// What network and power are like, as far as the daemon told.
    pub(super) conditions: watch::Sender<Conditions>,
}

/// What was said; see the fields.
#[derive(Default)]
pub(super) struct Book {
    /// The sessions that this process owns, or is about to.
    pub(super) owned: HashMap<SessionId, Kept>,
    /// How many delegates of each session are there.
    pub(super) attached: BTreeMap<SessionId, usize>,
    /// How many wait for a refresh task.
    pub(super) listeners: usize,
    /// Refresh tasks that nobody has taken yet, of the connection of now.
    pub(super) calls: VecDeque<Call>,
    /// What is started from now on is discretionary.
    pub(super) is_background: bool,
}

/// A session that this process owns.
pub(super) struct Kept {
    pub(super) fate: Arc<Fate>,
    pub(super) rules: SessionRules,
    /// The connection on which it was opened; `None` until it was for the first time.
    pub(super) opened_on: Option<u64>,
    /// What the daemon knows of its delegates.
    pub(super) told_delegate: bool,
    /// Acknowledgements on their way: the session may be no more when the answer to one is lost.
    pub(super) acknowledging: usize,
}

/// What becomes of a session, as all its handles know it.
#[derive(Debug)]
pub(super) struct Fate {
    end: watch::Sender<Option<End>>,
    /// The number of its last fact, once that was heard; else the largest number.
    invalid_at: AtomicU64,
}

/// Why the handles of a session are of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was invalidated, and that was acknowledged.
    Over,
    /// Another process opened it while the daemon was being started again.
    Taken {
        /// The process, when it is known.
        pid: Option<u32>,
    },
}

/// A delegate of a session is there for as long as this lives.
#[must_use = "the delegate is detached when this is dropped"]
pub struct Attachment {
    link: Arc<Link>,
    session: SessionId,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            book: Mutex::default(),
            stopped: watch::Sender::new(None),
            called: Notify::new(),
            conditions: watch::Sender::default(),
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// The session's entry, when it is that of these handles.
    pub(super) fn kept(&mut self, session: &SessionId, fate: &Arc<Fate>) -> Option<&mut Kept> {
        let kept = self.owned.get_mut(session);
        kept.filter(|kept| Arc::ptr_eq(&kept.fate, fate))
    }

    /// Ends the handles of a session and frees its name.
    pub(super) fn end(&mut self, session: &SessionId, fate: &Arc<Fate>, end: End) {
        fate.end(end);
        if self.kept(session, fate).is_some() {
            self.owned.remove(session);
        }
    }

    /// The sessions that were open on any connection.
    pub(super) fn opened(&self) -> Vec<SessionId> {
        let was_open = |(_, kept): &(&SessionId, &Kept)| kept.opened_on.is_some();
        let opened = self.owned.iter().filter(was_open);
        opened.map(|(session, _)| session.clone()).collect()
    }

    /// Whether a delegate of this session is there.
    pub(super) fn is_attached(&self, session: &SessionId) -> bool {
        self.attached.contains_key(session)
    }
}

impl Fate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            end: watch::Sender::new(None),
            invalid_at: AtomicU64::new(u64::MAX),
        })
    }

    /// Why the handles of this session are of no more use, once they are.
    pub(super) fn known(&self) -> Option<End> {
        *self.end.borrow()
    }

    /// The first end stays.
    fn end(&self, end: End) {
        self.end.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(end);
            is_first
        });
    }

    /// Waits until the handles are of no more use.
    pub(super) async fn ended(&self) -> End {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| *end).unwrap_or(End::Over)
    }

    /// The last fact of the session has this number.
    pub(super) fn becomes_invalid(&self, at: Sequence) {
        self.invalid_at.store(at.get(), Ordering::Release);
    }

    /// Whether the session is no more once facts up to this one were acknowledged.
    pub(super) fn is_over_with(&self, up_to: Sequence) -> bool {
        up_to.get() >= self.invalid_at.load(Ordering::Acquire)
    }
}

impl End {
    /// As a call on a handle answers it.
    pub(super) fn error(self, session: &SessionId) -> CallError {
        let session = session.clone();
        match self {
            Self::Over => CallError::Invalidated(session),
            Self::Taken { pid } => CallError::SessionInUse { session, pid },
        }
    }
}

impl Attachment {
    /// Counts one more delegate of this session.
    pub(super) fn new(link: &Arc<Link>, session: &SessionId) -> Self {
        let mut book = link.shared().book();
        let count = book.attached.entry(session.clone()).or_default();
        *count += 1;
        if *count == 1 {
            link.order(Order::Delegate(session.clone()));
        }
        Self {
            link: Arc::clone(link),
            session: session.clone(),
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut book = self.link.shared().book();
        let Some(count) = book.attached.get_mut(&self.session) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            book.attached.remove(&self.session);
            self.link.order(Order::Delegate(self.session.clone()));
        }
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
