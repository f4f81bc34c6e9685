//! Calls of an app that is away, on their way to it: what outlives the notifier.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul_engine::id::SessionId;
use longhaul_engine::launch::{LaunchLog, LaunchReason, LaunchRules};
use longhaul_engine::time::Timestamp;
use tokio::sync::Notify;

use crate::handle::CallError;
use crate::notifier::{CompleteRefresh, NotifierActor};
use crate::slot::SlotRef;

/// Refresh tasks that wait for the app, and what is known of each session's calls.
#[derive(Clone, Default)]
pub(crate) struct Refresh(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) rules: LaunchRules,
    pub(crate) logs: HashMap<SessionId, Calls>,
    waiting: VecDeque<Call>,
    /// How many wait for a refresh task now, or have one in hand.
    listeners: usize,
    is_over: bool,
}

/// What is known of one session's calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) log: LaunchLog,
    /// Not before this: an app that has just opened its session attaches its delegate next.
    pub(crate) not_before: Timestamp,
    /// The number of the last refresh task.
    pub(crate) number: u64,
    /// The number of the last one that was completed.
    pub(crate) completed: u64,
}

/// A refresh task on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) session: SessionId,
    pub(crate) reason: LaunchReason,
    pub(crate) number: u64,
    pub(crate) expires_at: Timestamp,
}

/// The engine's call to an app that was away: this session has events, or a server wants
/// authorization. Only the engine makes one (`WKURLSessionRefreshBackgroundTask`).
///
/// Dropping it is no completion: it expires then, and the app is called again.
#[must_use = "the app is called again until the task is completed"]
pub struct RefreshTask {
    call: Call,
    notifier: SlotRef<NotifierActor>,
}

/// Someone waits for refresh tasks, for as long as this lives.
pub(crate) struct Listening(Refresh);

impl Refresh {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that someone waits. Without anybody no app is called.
    pub(crate) fn listen(&self) -> Listening {
        self.lock().listeners += 1;
        Listening(self.clone())
    }

    /// Whether anybody takes refresh tasks.
    pub(crate) fn has_listener(&self) -> bool {
        self.lock().listeners > 0
    }

    pub(crate) fn put(&self, call: Call) {
        self.lock().waiting.push_back(call);
        self.0.arrived.notify_one();
    }

    /// Takes back what was not taken in time.
    pub(crate) fn withdraw(&self, session: &SessionId) {
        self.lock().waiting.retain(|call| call.session != *session);
    }

    /// The next call; `None` when the engine has stopped.
    pub(crate) async fn next(&self) -> Option<Call> {
        loop {
            let arrived = self.0.arrived.notified();
            {
                let mut state = self.lock();
                if let Some(call) = state.waiting.pop_front() {
                    if !state.waiting.is_empty() {
                        self.0.arrived.notify_one();
                    }
                    return Some(call);
                }
                if state.is_over {
                    self.0.arrived.notify_one();
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// The engine has stopped.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.0.arrived.notify_one();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.lock().listeners -= 1;
    }
}

impl RefreshTask {
    pub(crate) const fn new(call: Call, notifier: SlotRef<NotifierActor>) -> Self {
        Self { call, notifier }
    }

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
    /// [`CallError::RefreshExpired`] when it comes too late, [`CallError::Stopped`] when the engine
    /// has stopped.
    pub async fn set_task_completed(self) -> Result<(), CallError> {
        let make = || CompleteRefresh {
            session: self.call.session.clone(),
            number: self.call.number,
        };
        match self.notifier.call(make).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Stopped { reason: None }),
        }
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
