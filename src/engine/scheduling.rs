//! When and how fast the tasks of an engine run.

use std::num::NonZeroU32;

use longhaul_engine::conditions::{ConditionSource, Conditions};

use super::{Engine, EngineBuilder};
use crate::{Error, options};

impl EngineBuilder {
    /// Tasks that run at once in all sessions together; sessions take turns at its places. Without
    /// this only the limits of each session hold.
    pub fn tasks_max(mut self, tasks: NonZeroU32) -> Self {
        self.tasks_max = Some(tasks.get());
        self
    }

    /// Who knows what this machine's network and power are like. Without this NetworkManager and
    /// UPower are asked over the system's D-Bus, and the kernel about power without UPower; what
    /// nobody knows is no hindrance. Whoever it is, it is started with the first task that asks for
    /// something, and never for others.
    pub fn conditions(mut self, source: Box<dyn ConditionSource>) -> Self {
        self.conditions = Some(source);
        self
    }
}

impl Engine {
    /// Tells that the app is in the background from now on, or that it is back. Tasks that are made
    /// while it is in the background are discretionary for their whole life, also after a restart;
    /// earlier ones stay what they are (Foundation: `isDiscretionary`). An engine starts in the
    /// foreground.
    pub fn set_background(&self, is_background: bool) {
        self.handle.set_background(is_background);
    }

    /// Sets by hand what network and power are like: what is `None` is left to the
    /// [source](EngineBuilder::conditions), so [`Conditions::default`] takes everything back. Tasks
    /// that may not run any more are stopped, with their bytes recorded, and others go on. It is
    /// forgotten when the engine stops.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.handle.set_conditions(conditions);
    }

    /// What network and power are like, as far as is known. Nobody looks before a task asks for it.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        self.handle.conditions()
    }

    /// Sets the bytes per second of all tasks together, from now on; `None` lifts the limit. It is
    /// forgotten when the engine stops.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero.
    pub fn set_rate_limit(&self, bytes_per_second: Option<u64>) -> Result<(), Error> {
        self.handle.set_rate_limit(options::rate(bytes_per_second)?);
        Ok(())
    }
}
