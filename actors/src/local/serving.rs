//! What whoever answers for an engine needs beside what its apps do.

use std::sync::atomic::{AtomicBool, Ordering};

use longhaul_engine::id::SessionId;
use longhaul_engine::launch::LaunchCommand;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::time::Timestamp;

use super::{CallError, EngineHandle, RefusedStart, ResumedTask, Resuming, SessionHandle};
use crate::registry::DiscardResumeData;
use crate::session::{AppHasGone, ResumeTask};
use crate::time::entropy;

/// A number that nobody can guess: 128 bits of the kernel's entropy.
#[must_use]
pub fn random_number() -> u128 {
    u128::from(entropy()) << 64 | u128::from(entropy())
}

/// The number of this process.
#[must_use]
pub fn process_id() -> u32 {
    std::process::id()
}

impl EngineHandle {
    /// What its clock says.
    pub(super) fn now(&self) -> Timestamp {
        self.doors.identity.clock.now()
    }

    /// What is run to call the app of a session, as it was opened last. It answers at once.
    #[must_use]
    pub fn launch_command(&self, session: &SessionId) -> Option<LaunchCommand> {
        self.doors.refresh.command(session)
    }

    /// Whether something is run to call the app of a session. It answers at once.
    #[must_use]
    pub fn has_launch_command(&self, session: &SessionId) -> bool {
        self.doors.refresh.has_command(session)
    }

    /// A person brought the app of these sessions to the foreground: the next call of each has no
    /// delay of its own.
    pub fn app_came_to_foreground_of(&self, sessions: impl Fn(&SessionId) -> bool) {
        let mut state = self.doors.refresh.lock();
        for (session, calls) in &mut state.logs {
            if sessions(session) {
                calls.log.came_to_foreground();
            }
        }
        drop(state);
        self.refresh_scopes_changed();
    }

    /// Removes the files that resume data stands for, as [`SessionHandle::discard_resume_data`] does,
    /// of no session in particular.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails; the inner error says why it was refused.
    pub async fn discard_resume_data(
        &self,
        data: ResumeData,
    ) -> Result<Result<(), ResumeDataError>, CallError> {
        let make = || DiscardResumeData(data.clone());
        match self.doors.registry.call(make).await {
            Ok(answer) => answer.map_err(|error| CallError::Store(error.to_string())),
            Err(_) => Err(self.gone().await),
        }
    }
}

impl SessionHandle {
    /// Says that the app which owned the session has gone: it is called, within its budget, when it has
    /// left something that it has not heard or answered, and nobody is there by then. Harmless to
    /// repeat.
    pub fn app_has_gone(&self) {
        if let Some(session) = self.slot.current() {
            session.do_send(AppHasGone);
        }
    }

    /// Makes and starts a task of resume data, of either kind; answers after the commit.
    ///
    /// # Errors
    /// As [`SessionHandle::resume_download`].
    pub async fn resume_task(
        &self,
        asked: Resuming,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        // When an actor crashed before it answered, the task may be there already.
        let is_repeated = AtomicBool::new(asked.is_repeated);
        self.ask(|| {
            ResumeTask(Resuming {
                is_repeated: is_repeated.swap(true, Ordering::Relaxed),
                ..asked.clone()
            })
        })
        .await
    }
}
