//! How an engine is started.

use std::fmt;
use std::path::PathBuf;

use longhaul_engine::conditions::ConditionSource;
use longhaul_engine::launch::LaunchRules;

/// How an engine is started.
pub struct EngineOptions {
    /// The state directory; made with mode 0700 when it is missing.
    pub state_dir: PathBuf,
    /// Threads that run transfers; at least 2 are used.
    pub workers: usize,
    /// How often an app that is away may be called.
    pub launch_rules: LaunchRules,
    /// Keep a damaged store under another name and make a new one, instead of failing.
    pub recreate_damaged_store: bool,
    /// Let every session go on at once, opened or not.
    pub resume_sessions: bool,
    /// Tasks that run at once in all sessions together; `None` leaves it to the sessions.
    pub tasks_max: Option<u32>,
    /// Who knows what network and power are like; `None` asks the system.
    pub conditions: Option<Box<dyn ConditionSource>>,
    /// Another clock than the system's.
    #[cfg(feature = "test-util")]
    pub clock: Option<crate::time::VirtualClock>,
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("state_dir", &self.state_dir)
            .field("workers", &self.workers)
            .field("launch_rules", &self.launch_rules)
            .field("recreate_damaged_store", &self.recreate_damaged_store)
            .field("resume_sessions", &self.resume_sessions)
            .field("tasks_max", &self.tasks_max)
            .finish_non_exhaustive()
    }
}
