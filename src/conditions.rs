//! The conditions of the system that an engine runs on.

use longhaul_actors::conditions::LinuxConditions;
use longhaul_engine::conditions::{ConditionReporter, ConditionSource};

/// Network and power as the system tells them: NetworkManager and UPower over D-Bus, and the kernel
/// about power where UPower is missing. What nobody answers is unknown; a missing bus is no error.
/// An engine that is given no other source uses this one.
#[derive(Debug, Default)]
pub struct SystemConditions {
    source: LinuxConditions,
}

impl SystemConditions {
    /// The same on another bus than the system's: its address as D-Bus writes it, such as
    /// `unix:path=/run/bus`.
    #[must_use]
    pub fn on_bus(address: &str) -> Self {
        Self {
            source: LinuxConditions::on_bus(address),
        }
    }
}

impl ConditionSource for SystemConditions {
    /// Called by the engine, on a thread of its own.
    fn start(&mut self, reporter: ConditionReporter) {
        self.source.start(reporter);
    }
}
