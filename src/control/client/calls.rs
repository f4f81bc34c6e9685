//! How a client is called, as the app of its sessions.

use std::collections::HashSet;

use longhaul_actors::local::RefreshTask;
use longhaul_engine::control::Problem;
use longhaul_engine::id::SessionId;

use super::{COMPLETED_MAX, Client, wake};

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

    /// Keeps a call until it is completed, and gives its number. An earlier one of the session has
    /// expired.
    pub(in crate::control) fn hold_call(&self, task: RefreshTask) -> Option<u64> {
        let mut state = self.lock();
        if state.is_gone {
            drop(state);
            drop(task);
            return None;
        }
        let number = task.number();
        let session = task.session_identifier();
        let is_old = |old: &RefreshTask| old.session_identifier() == session;
        let calls = &state.held.refresh;
        let old = calls.iter().find(|(_, held)| is_old(held));
        let old = old.map(|(number, _)| *number);
        let expired = old.and_then(|old| state.held.refresh.remove(&old));
        state.held.refresh.insert(number, task);
        drop(state);
        drop(expired);
        Some(number)
    }

    /// Takes a call out to complete it; `Ok(None)` when it was completed before.
    pub(in crate::control) fn take_refresh(
        &self,
        number: u64,
    ) -> Result<Option<RefreshTask>, Problem> {
        let mut state = self.lock();
        match state.held.refresh.remove(&number) {
            Some(task) => Ok(Some(task)),
            None if state.held.completed.contains(&number) => Ok(None),
            None => Err(Problem::RefreshExpired),
        }
    }

    /// A call was completed.
    pub(in crate::control) fn has_completed(&self, number: u64) {
        let mut state = self.lock();
        let completed = &mut state.held.completed;
        if completed.len() >= COMPLETED_MAX {
            completed.pop_front();
        }
        completed.push_back(number);
    }
}
