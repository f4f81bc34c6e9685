//! What the owner of a session does with the session itself: its state, its end.

use longhaul_engine::session::{Invalidation, SessionState};

use super::{CallError, SessionHandle};
use crate::registry::ReadState;
use crate::session::Invalidate;

impl SessionHandle {
    /// Lets the session take no new tasks and end with the last that it has. Answers after the
    /// commit: it survives a restart from then on. Harmless to repeat.
    ///
    /// # Errors
    /// When its end was acknowledged already, the engine has stopped, or the store fails.
    pub async fn invalidate(&self, how: Invalidation) -> Result<(), CallError> {
        self.ask(|| Invalidate(how)).await
    }

    /// Where it is in its life.
    ///
    /// # Errors
    /// When its end was acknowledged already, the engine has stopped, or the store fails.
    pub async fn state(&self) -> Result<SessionState, CallError> {
        if self.is_over() {
            return Err(self.invalidated());
        }
        let ask = || ReadState(self.id.clone());
        let Ok(state) = self.engine.doors.registry.call(ask).await else {
            return Err(self.engine.gone().await);
        };
        let state = state.map_err(|error| CallError::Store(error.to_string()))?;
        state.ok_or_else(|| self.invalidated())
    }

    /// Whether the session is no more, so that the handle is of no use.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.hold.life().is_over()
    }

    /// Why a handle is of no more use.
    pub(super) fn invalidated(&self) -> CallError {
        CallError::Invalidated(self.id.clone())
    }
}
