//! How a client is called, as the app of its sessions.

use std::collections::HashSet;
use std::sync::Arc;

use longhaul_actors::local::RefreshTask;
use longhaul_engine::control::Problem;
use longhaul_engine::id::SessionId;

use super::{COMPLETED_MAX, Called, Client, wake};

impl Client {
    /// Says whether it takes refresh tasks.
    pub(in crate::control) fn listen(&self, is_listening: bool) -> Result<(), Problem> {
        let mut state = self.lock();
        if state.is_gone {
            return Err(Problem::NoSuchClient);
        }
        state.is_listening = is_listening;
        wake(state);
        Ok(())
    }

    /// Whether it takes refresh tasks.
    pub(in crate::control) fn is_listening(&self) -> bool {
        self.lock().is_listening
    }

    /// Whether a session is or was its own, or it was launched for it.
    pub(in crate::control) fn is_app_of(&self, session: &SessionId) -> bool {
        let state = self.lock();
        self.launched_for.as_ref() == Some(session)
            || state.held.sessions.contains_key(session)
            || state.given_up.contains(session)
    }

    /// All sessions that [`Client::is_app_of`] is true of.
    pub(in crate::control) fn sessions(&self) -> HashSet<SessionId> {
        let state = self.lock();
        let owned = state.held.sessions.keys().chain(&state.given_up);
        owned.chain(&self.launched_for).cloned().collect()
    }

    /// The call that it was launched with, once it listens.
    pub(in crate::control) fn take_call(&self) -> Option<RefreshTask> {
        let mut state = self.lock();
        match state.is_listening {
            true => state.held.called.take(),
            false => None,
        }
    }

    /// Keeps a call in place of the one before of its session, which has expired or is completed, and
    /// gives its number.
    pub(in crate::control) fn hold_call(&self, task: RefreshTask) -> Option<u64> {
        let mut state = self.lock();
        if state.is_gone {
            drop(state);
            drop(task);
            return None;
        }
        let (number, session) = (task.number(), task.session_identifier().clone());
        let call = Called {
            task: Arc::new(task),
            is_completed: false,
        };
        let old = state.held.calls.insert(session, call);
        drop(state);
        drop(old);
        Some(number)
    }

    /// The call of this number, to complete it.
    pub(in crate::control) fn call(&self, number: u64) -> Result<Arc<RefreshTask>, Problem> {
        let state = self.lock();
        let mut tasks = state.held.calls.values().map(|call| &call.task);
        let task = tasks.find(|task| task.number() == number);
        task.cloned().ok_or(Problem::RefreshExpired)
    }

    /// A call was completed. Those before it are forgotten when they are too many.
    pub(in crate::control) fn has_completed(&self, task: &RefreshTask) {
        let mut state = self.lock();
        let calls = &mut state.held.calls;
        let completed = calls.values().filter(|call| call.is_completed).count();
        let forgotten: Vec<_> = match completed >= COMPLETED_MAX {
            true => calls.extract_if(|_, call| call.is_completed).collect(),
            false => Vec::new(),
        };
        if let Some(call) = calls.get_mut(task.session_identifier())
            && call.task.number() == task.number()
        {
            call.is_completed = true;
        }
        drop(state);
        drop(forgotten);
    }
}
