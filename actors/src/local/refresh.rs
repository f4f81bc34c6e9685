//! The app's side of refresh tasks.

use std::sync::Arc;

use super::EngineHandle;
use crate::notifier::Reschedule;
use crate::refresh::{RefreshScope, RefreshTask};

impl EngineHandle {
    /// The next call of an app that was away; `None` when the engine has stopped. Apps are called
    /// while somebody waits here, and within their budget.
    pub async fn next_refresh_task(&self) -> Option<RefreshTask> {
        self.next_refresh_task_of(Arc::new(|_| true)).await
    }

    /// The next call of the app of one of these sessions; `None` when the engine has stopped. An app
    /// is called while somebody waits whose scope has its session. Whoever stops waiting leaves what
    /// has not been given to it to others, or to the next that waits. When a scope comes to have
    /// other sessions while somebody waits, say so: [`EngineHandle::refresh_scopes_changed`].
    pub async fn next_refresh_task_of(&self, scope: RefreshScope) -> Option<RefreshTask> {
        let listening = self.doors.refresh.listen(scope);
        self.look_for_calls();
        let call = listening.next().await?;
        Some(RefreshTask::new(call, self.doors.notifier.clone()))
    }

    /// Some who wait for refresh tasks take those of other sessions now.
    pub fn refresh_scopes_changed(&self) {
        self.doors.refresh.look_again();
        self.look_for_calls();
    }

    fn look_for_calls(&self) {
        if let Some(notifier) = self.doors.notifier.current() {
            notifier.do_send(Reschedule);
        }
    }

    /// A person brought the app to the foreground: its next call has no delay of its own.
    pub fn app_came_to_foreground(&self) {
        self.app_came_to_foreground_of(|_| true);
    }
}
