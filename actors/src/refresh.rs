//! Calls of an app that is away, on their way to it: what outlives the notifier.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul_engine::id::SessionId;
use longhaul_engine::launch::{LaunchCommand, LaunchLog, LaunchReason, LaunchRules};
use longhaul_engine::time::Timestamp;
use tokio::sync::Notify;

use crate::local::CallError;
use crate::notifier::{CompleteRefresh, NotifierActor};
use crate::slot::SlotRef;

/// Refresh tasks that wait for the app, and what is known of each session's calls.
#[derive(Clone, Default)]
pub(crate) struct Refresh(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// What is run to call the apps of sessions, where something is.
    commands: Mutex<HashMap<SessionId, LaunchCommand>>,
    arrived: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) rules: LaunchRules,
    pub(crate) logs: HashMap<SessionId, Calls>,
    waiting: VecDeque<Call>,
    /// Who waits for a refresh task now.
    listeners: BTreeMap<u64, RefreshScope>,
    next_listener: u64,
    /// The number of the last refresh task of all sessions.
    last_number: u64,
    is_over: bool,
}

/// Of which sessions somebody takes the refresh tasks. It is asked often and answers at once.
pub type RefreshScope = Arc<dyn Fn(&SessionId) -> bool + Send + Sync>;

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

/// Someone waits for refresh tasks, for as long as this lives. What waits when it goes stays for the
/// next one.
pub(crate) struct Listening {
    refresh: Refresh,
    number: u64,
    scope: RefreshScope,
}

/// Who waits for refresh tasks, as of one moment.
pub(crate) struct Listeners(Vec<RefreshScope>);

impl Refresh {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is run to call the app of a session.
    pub(crate) fn command(&self, session: &SessionId) -> Option<LaunchCommand> {
        self.commands().get(session).cloned()
    }

    pub(crate) fn has_command(&self, session: &SessionId) -> bool {
        self.commands().contains_key(session)
    }

    /// A session was opened with this command, or is no more.
    pub(crate) fn set_command(&self, session: &SessionId, command: Option<&LaunchCommand>) {
        let mut commands = self.commands();
        match command {
            Some(command) => drop(commands.insert(session.clone(), command.clone())),
            None => drop(commands.remove(session)),
        }
    }

    fn commands(&self) -> MutexGuard<'_, HashMap<SessionId, LaunchCommand>> {
        let commands = self.0.commands.lock();
        commands.unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that someone waits for those of these sessions. Without anybody no app is called.
    pub(crate) fn listen(&self, scope: RefreshScope) -> Listening {
        let mut state = self.lock();
        let number = state.next_listener;
        state.next_listener += 1;
        state.listeners.insert(number, Arc::clone(&scope));
        drop(state);
        Listening {
            refresh: self.clone(),
            number,
            scope,
        }
    }

    /// Who waits now. They are asked without the lock: what they look at may have one of its own.
    pub(crate) fn listeners(&self) -> Listeners {
        Listeners(self.lock().listeners.values().cloned().collect())
    }

    pub(crate) fn put(&self, call: Call) {
        self.lock().waiting.push_back(call);
        self.0.arrived.notify_waiters();
    }

    /// Some who wait take those of other sessions now.
    pub(crate) fn look_again(&self) {
        self.0.arrived.notify_waiters();
    }

    /// Takes back what was not taken in time.
    pub(crate) fn withdraw(&self, session: &SessionId) {
        self.lock().waiting.retain(|call| call.session != *session);
    }

    /// The engine has stopped.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.0.arrived.notify_waiters();
    }
}

impl State {
    /// The number of the next refresh task; no two of an engine have the same.
    pub(crate) const fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl Listening {
    /// The next call of one of its sessions; `None` when the engine has stopped.
    pub(crate) async fn next(&self) -> Option<Call> {
        let shared = &self.refresh.0;
        loop {
            let mut arrived = std::pin::pin!(shared.arrived.notified());
            // From here on no arrival is missed.
            arrived.as_mut().enable();
            if let Some(call) = self.take() {
                return Some(call);
            }
            if self.refresh.lock().is_over {
                return None;
            }
            arrived.await;
        }
    }

    fn take(&self) -> Option<Call> {
        let waiting: Vec<(SessionId, u64)> = {
            let state = self.refresh.lock();
            let named = |call: &Call| (call.session.clone(), call.number);
            state.waiting.iter().map(named).collect()
        };
        let ours = waiting.into_iter().filter(|(it, _)| (self.scope)(it));
        for (_, number) in ours {
            let mut state = self.refresh.lock();
            let found = state.waiting.iter().position(|it| it.number == number);
            // Another one may have taken it meanwhile.
            if let Some(call) = found.and_then(|index| state.waiting.remove(index)) {
                return Some(call);
            }
        }
        None
    }
}

impl Listeners {
    /// Whether anybody takes the refresh tasks of this session.
    pub(crate) fn take(&self, session: &SessionId) -> bool {
        self.0.iter().any(|scope| scope(session))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let listener = self.refresh.lock().listeners.remove(&self.number);
        // What it holds may do anything when it goes, and the lock is free.
        drop(listener);
    }
}

impl RefreshTask {
    pub(crate) const fn new(call: Call, notifier: SlotRef<NotifierActor>) -> Self {
        Self { call, notifier }
    }

    /// Its number: no other refresh task of this engine has it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.call.number
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

    /// Says that every event was handled; answers when that is recorded. Harmless to repeat until the
    /// next call of the session.
    ///
    /// # Errors
    /// [`CallError::RefreshExpired`] when it comes too late, [`CallError::Stopped`] when the engine
    /// has stopped.
    pub async fn set_task_completed(&self) -> Result<(), CallError> {
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
