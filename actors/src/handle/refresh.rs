//! The app's side of refresh tasks.

use super::EngineHandle;
use crate::notifier::Reschedule;
use crate::refresh::RefreshTask;

impl EngineHandle {
    /// The next call of an app that was away; `None` when the engine has stopped. Apps are called
    /// while somebody waits here, and within their budget.
    pub async fn next_refresh_task(&self) -> Option<RefreshTask> {
        let _listening = self.doors.refresh.listen();
        if let Some(notifier) = self.doors.notifier.current() {
            notifier.do_send(Reschedule);
        }
        let call = self.doors.refresh.next().await?;
        Some(RefreshTask::new(call, self.doors.notifier.clone()))
    }

    /// A person brought the app to the foreground: its next call has no delay of its own.
    pub fn app_came_to_foreground(&self) {
        let mut state = self.doors.refresh.lock();
        for calls in state.logs.values_mut() {
            calls.log.came_to_foreground();
        }
        drop(state);
        if let Some(notifier) = self.doors.notifier.current() {
            notifier.do_send(Reschedule);
        }
    }
}
