//! What a running transfer shows of itself.

use std::sync::{Mutex, PoisonError};

use longhaul_engine::download::{Exit, News};
use longhaul_engine::metrics::TransactionLog;
use longhaul_engine::task::{Phase, Progress};

/// What a transfer shows of itself while it runs, and why it ended: read by its session.
#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<LiveState>);

#[derive(Debug, Default)]
struct LiveState {
    phase: Option<Phase>,
    progress: Option<Progress>,
    exit: Option<Exit>,
    log: TransactionLog,
}

impl Live {
    /// What it does and how far it is, as far as it has told.
    pub(crate) fn now(&self) -> (Option<Phase>, Option<Progress>) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.phase.clone(), state.progress)
    }

    /// Why it ended; `None` when it did not say.
    pub(crate) fn take_exit(&self) -> Option<Exit> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .exit
            .take()
    }

    /// What it noted of its requests; nothing when it crashed.
    pub(crate) fn take_log(&self) -> TransactionLog {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.log)
    }

    pub(super) fn set_exit(&self, exit: Exit, log: TransactionLog) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.exit = Some(exit);
        state.log = log;
    }

    pub(super) fn tell(&self, news: &News) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            News::Phase(phase) => state.phase = Some(phase.clone()),
            News::Negotiated(_) => {}
            News::Progress(progress) | News::Resumed(progress) => state.progress = Some(*progress),
        }
    }
}
