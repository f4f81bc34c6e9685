//! Refresh tasks: the engine's call to an app that was away.

use longhaul_actors::handle;
use longhaul_engine::launch::LaunchReason;
use longhaul_engine::time::Timestamp;

use crate::{Engine, Error};

/// The engine's call to an app that was away: a session of it has events, or a server wants
/// authorization. Nobody else can make one; see [`Engine::next_refresh_task`].
///
/// Open the session with the same identifier, handle its events, then call
/// [`RefreshTask::set_task_completed`]. Dropping the task is no completion: it expires, a warning is
/// logged, and the app is called again (`WKURLSessionRefreshBackgroundTask`).
#[derive(Debug)]
#[must_use = "the app is called again until the task is completed"]
pub struct RefreshTask {
    task: handle::RefreshTask,
}

impl RefreshTask {
    /// The identifier of the session (`sessionIdentifier`).
    #[must_use]
    pub fn session_identifier(&self) -> &str {
        self.task.session_identifier().as_str()
    }

    /// Why the app is called.
    #[must_use]
    pub const fn reason(&self) -> LaunchReason {
        self.task.reason()
    }

    /// When it expires.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.task.expires_at()
    }

    /// Says that every event of the session was handled (`setTaskCompleted`); answers when that is
    /// recorded. When events are left that nobody has acknowledged, the app is called again within
    /// its budget.
    ///
    /// # Errors
    /// [`Error::RefreshExpired`] when it comes too late, [`Error::Stopped`] when the engine has
    /// stopped.
    pub async fn set_task_completed(self) -> Result<(), Error> {
        Ok(self.task.set_task_completed().await?)
    }
}

impl Engine {
    /// Waits for the next call of the app; `None` when the engine has stopped.
    ///
    /// The app is called when all transfers of a session have ended, or when a server wants
    /// authorization, and nobody listens to the session: no delegate is attached and nobody reads its
    /// events. There is one call for several reasons, at most four an hour and 15 minutes apart
    /// ([`LaunchRules`](crate::LaunchRules)), each with twice the delay of the one before, until
    /// [`Engine::app_came_to_foreground`]. The budget survives a restart. While nobody waits here no
    /// app is called, and the wish for a call is kept. A session that was opened with
    /// [`session_sends_launch_events(false)`](crate::SessionConfiguration::session_sends_launch_events)
    /// calls nobody.
    pub async fn next_refresh_task(&self) -> Option<RefreshTask> {
        let task = self.handle.next_refresh_task().await?;
        Some(RefreshTask { task })
    }

    /// Says that a person brought the app to the foreground: the next call has no delay of its own.
    pub fn app_came_to_foreground(&self) {
        self.handle.app_came_to_foreground();
    }
}
