//! A stream of events of a session in another process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use longhaul_engine::event::Event;
use longhaul_engine::id::{Sequence, TaskId};
use tokio::sync::{mpsc, oneshot};

use super::convert;
use super::orders::{Hear, Order};
use super::session::SessionHandle;
use crate::local::CallError;

/// Events that are read before the app takes them. What lies behind them waits in the daemon, which
/// holds no more than a bounded number and reads facts from its store again.
const EVENTS_MAX: usize = 64;

/// A stream of events; see [`Subscription::poll_next`].
pub struct Subscription {
    /// The session is owned for as long as it is listened to by its owner.
    session: SessionHandle,
    events: mpsc::Receiver<Event>,
    has_missed_news: Arc<AtomicBool>,
}

impl SessionHandle {
    /// Events from now on, and every fact that was not acknowledged; of one task or of all.
    ///
    /// # Errors
    /// As [`SessionHandle::subscribe_after`].
    pub async fn subscribe(&self, task: Option<TaskId>) -> Result<Subscription, CallError> {
        self.subscribe_after(task, Sequence::default()).await
    }

    /// The same, without the facts up to `after`. It answers when the daemon listens, and goes on when
    /// that was started again, however long that takes: no fact is told twice and none is left out.
    ///
    /// # Errors
    /// When the session's end was acknowledged, the daemon is not reachable, or the client is closed.
    pub async fn subscribe_after(
        &self,
        task: Option<TaskId>,
        after: Sequence,
    ) -> Result<Subscription, CallError> {
        self.check()?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (heard, is_heard) = oneshot::channel();
        let has_missed_news = Arc::new(AtomicBool::new(false));
        self.link().order(Order::Hear(Hear {
            session: self.id().clone(),
            task,
            after,
            is_owner: self.is_owner(),
            fate: Arc::clone(self.fate()),
            events: sender,
            has_missed_news: Arc::clone(&has_missed_news),
            heard: Some(heard),
        }));
        match is_heard.await {
            Ok(heard) => heard.map_err(|why| self.failed(&why))?,
            Err(_) => {
                self.check()?;
                return Err(convert::call_error(&self.link().gone().await));
            }
        }
        Ok(Subscription {
            session: self.clone(),
            events,
            has_missed_news,
        })
    }
}

impl Subscription {
    /// Whether news were missed since this was asked last: because the app was slow, or the daemon was
    /// away.
    #[must_use]
    pub fn take_missed_news(&self) -> bool {
        self.has_missed_news.swap(false, Ordering::AcqRel)
    }

    /// The next event; `None` when the client is closed, the session is no more or is another
    /// process's. A subscription of one task ends after its terminal fact.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll_recv(context)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("session", self.session.id())
            .finish_non_exhaustive()
    }
}
