//! How a daemon calls the app of a session.

use longhaul_engine::launch::LaunchCommand;

use super::SessionConfiguration;

impl SessionConfiguration {
    /// What a daemon runs to call the app of this session while it is away: when the session has
    /// drained or a server wants authorization, nobody has the session open, and the budget
    /// ([`LaunchRules`](crate::LaunchRules)) allows a call. It runs as the user of the daemon, and
    /// again until the app has opened the session and completed its
    /// [`RefreshTask`](crate::RefreshTask).
    ///
    /// It is recorded with the session, and so survives the death of the app and of the daemon, until
    /// the session is opened with another one, or without one, or is invalidated. The embedded engine
    /// records it and runs nothing. Off by default; without effect when
    /// [`session_sends_launch_events`](Self::session_sends_launch_events) is off.
    ///
    /// ```
    /// use longhaul::{LaunchCommand, SessionConfiguration};
    ///
    /// # fn main() -> Result<(), longhaul::Error> {
    /// let command = LaunchCommand::new(["/usr/bin/app", "--refresh"], "/var/lib/app")?;
    /// let configuration = SessionConfiguration::new("com.example.sync")?.launch_command(command);
    /// # let _ = configuration;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn launch_command(mut self, command: LaunchCommand) -> Self {
        self.rules.launch_command = Some(command);
        self
    }
}
