//! Refresh tasks: the daemon's calls to this app.

use std::fmt;
use std::sync::Arc;

use longhaul_engine::control::{AtRefreshTask, ClientId, CompleteRefresh};
use longhaul_engine::id::SessionId;
use longhaul_engine::launch::LaunchReason;
use longhaul_engine::time::Timestamp;

use super::convert;
use super::handle::EngineHandle;
use super::link::Link;
use super::orders::Order;
use super::question::Question;
use crate::local::CallError;

/// A refresh task on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) session: SessionId,
    pub(super) reason: LaunchReason,
    pub(super) expires_at: Timestamp,
    /// The connection that it came on; with it the daemon takes it back.
    pub(super) connection: u64,
}

/// The daemon's call to an app that was away.
#[must_use = "the app is called again until the task is completed"]
pub struct RefreshTask {
    link: Arc<Link>,
    pub(super) call: Call,
}

/// Somebody waits for refresh tasks, for as long as this lives.
struct Listening(Arc<Link>);

impl EngineHandle {
    /// The next call of this app; `None` when the client has stopped.
    pub async fn next_refresh_task(&self) -> Option<RefreshTask> {
        let link = self.link();
        let _listening = Listening::new(link);
        let mut stopped = link.shared().stopped.subscribe();
        loop {
            let mut called = std::pin::pin!(link.shared().called.notified());
            // From here on no bell is missed.
            called.as_mut().enable();
            let call = link.shared().book().calls.pop_front();
            if let Some(call) = call {
                let link = Arc::clone(link);
                return Some(RefreshTask { link, call });
            }
            tokio::select! {
                () = called => {}
                // Whoever stops it rings no more.
                _ = stopped.wait_for(Option::is_some) => return None,
            }
        }
    }
}

impl Listening {
    fn new(link: &Arc<Link>) -> Self {
        let mut book = link.shared().book();
        book.listeners += 1;
        if book.listeners == 1 {
            link.order(Order::Listen);
        }
        Self(Arc::clone(link))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut book = self.0.shared().book();
        book.listeners -= 1;
        if book.listeners == 0 {
            self.0.order(Order::Listen);
        }
    }
}

impl RefreshTask {
    /// Which session has something to tell.
    #[must_use]
    pub const fn session_identifier(&self) -> &SessionId {
        &self.call.session
    }

    /// Why the app is called.
    #[must_use]
    pub const fn reason(&self) -> LaunchReason {
        self.call.reason
    }

    /// When it expires: the app is then called again, as soon as the budget allows.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.call.expires_at
    }

    /// Says that every event was handled; answers when that is recorded.
    ///
    /// # Errors
    /// [`CallError::RefreshExpired`] when it comes too late, or the daemon was started again since:
    /// then the app is called again. [`CallError::Unreachable`] or [`CallError::Stopped`].
    pub async fn set_task_completed(self) -> Result<(), CallError> {
        let Self { link, call } = self;
        let at = move |client: &ClientId| AtRefreshTask(client.clone(), call.number);
        let question = Question::new(&CompleteRefresh {}, at)
            .map(|question| question.only_on(call.connection));
        let completed = async { link.ask_question::<CompleteRefresh>(question?).await };
        completed.await.map_err(|why| convert::call_error(&why))
    }
}

impl fmt::Debug for RefreshTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTask")
            .field("session", &self.call.session)
            .field("reason", &self.call.reason)
            .finish_non_exhaustive()
    }
}
