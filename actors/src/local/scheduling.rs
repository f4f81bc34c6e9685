//! When and how fast tasks run, as the outside decides it.

use longhaul_engine::conditions::Conditions;
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::TaskId;
use longhaul_engine::task::Adjustment;

use super::{CallError, EngineHandle, RefusedStart, SessionHandle};
use crate::session::{Adjust, DecideBegin, NextAwaitingBegin, SetRateLimit};

impl EngineHandle {
    /// Tells that the app is in the background from now on, or is not any more: tasks that are made
    /// in the background are discretionary for their whole life (Foundation: `isDiscretionary`).
    /// Tasks that were made before stay what they are. It is forgotten when the engine stops.
    pub fn set_background(&self, is_background: bool) {
        self.doors.scheduling.set_background(is_background);
    }

    /// Sets by hand what network and power are like; for what is `None` the source is believed. It
    /// is forgotten when the engine stops.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.doors.scheduling.surroundings.set_by_hand(conditions);
    }

    /// What network and power are like, as far as is known: nobody looks before a task asks for it.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        self.doors.scheduling.surroundings.now()
    }

    /// What they are like, as soon as that is something else than `known`; `None` when the engine has
    /// stopped. Nothing is missed between two calls, but what came and went.
    pub async fn conditions_changed(&self, known: Conditions) -> Option<Conditions> {
        let mut changes = self.doors.scheduling.surroundings.changes();
        let changed = changes.wait_for(|now| *now != known);
        tokio::select! {
            biased;
            _ = self.stopped() => None,
            now = changed => now.ok().map(|now| *now),
        }
    }

    /// Sets the bytes per second of all tasks together, from now on; `None` lifts the limit. It is
    /// forgotten when the engine stops.
    pub fn set_rate_limit(&self, bytes_per_second: Option<u64>) {
        self.doors.scheduling.limiter.set_rate(bytes_per_second);
    }
}

impl SessionHandle {
    /// Changes an option of a task, which counts at once also for one that runs; answers after the
    /// commit. A task that has ended is left as it is.
    ///
    /// # Errors
    /// When there is none of this number, the engine has stopped, or the store fails.
    pub async fn adjust(&self, task: TaskId, adjustment: Adjustment) -> Result<(), CallError> {
        self.ask(|| Adjust { task, adjustment }).await
    }

    /// Sets the bytes per second of all tasks of the session together, from now on; `None` lifts the
    /// limit. When the session is opened again, or the engine starts again, the configuration counts.
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn set_rate_limit(&self, bytes_per_second: Option<u64>) -> Result<(), CallError> {
        self.ask(|| SetRateLimit(bytes_per_second)).await
    }

    /// Says what becomes of a delayed task whose time has come and that waits for this word
    /// ([`Phase::AwaitingBegin`](longhaul_engine::task::Phase::AwaitingBegin)); answers after the
    /// commit. Any other task is left as it is. With a new request that claims what another task
    /// claims it goes on waiting.
    ///
    /// # Errors
    /// When there is none of this number, the engine has stopped, or the store fails.
    pub async fn decide_begin(
        &self,
        task: TaskId,
        decision: DelayedRequest,
    ) -> Result<Result<(), RefusedStart>, CallError> {
        let make = || DecideBegin {
            task,
            decision: decision.clone(),
        };
        self.ask(make).await
    }

    /// The first task after this number that waits for [`SessionHandle::decide_begin`].
    ///
    /// # Errors
    /// When the engine has stopped.
    pub async fn next_awaiting_begin(&self, after: TaskId) -> Result<Option<TaskId>, CallError> {
        self.ask(|| NextAwaitingBegin { after }).await
    }
}
