//! The source of conditions on Linux: two services on the system bus, and the kernel without them.

use std::time::Duration;

use longhaul_engine::conditions::{ConditionReporter, ConditionSource, Conditions};
use tokio::task::AbortHandle;

use super::bus::Services;
use super::sys::SystemFiles;

/// The first wait before the bus is tried again, and how often the kernel is asked meanwhile.
const RECONNECT_MIN: Duration = Duration::from_secs(1);

/// The longest one. It is also how often the kernel is asked about power when UPower is missing: it
/// tells nobody by itself.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Asks NetworkManager and UPower, and the kernel about power when UPower is missing. What nobody
/// answers is unknown; no bus is no error.
#[derive(Debug, Default)]
pub struct LinuxConditions {
    /// `None` is the system's.
    bus: Option<String>,
    files: SystemFiles,
    watch: Option<AbortHandle>,
}

impl LinuxConditions {
    /// The same on another bus than the system's: its address as D-Bus writes it, such as
    /// `unix:path=/run/bus`.
    #[must_use]
    pub fn on_bus(address: &str) -> Self {
        Self {
            bus: Some(address.to_owned()),
            files: SystemFiles::default(),
            watch: None,
        }
    }
}

impl ConditionSource for LinuxConditions {
    fn start(&mut self, reporter: ConditionReporter) {
        let watch = actix_rt::spawn(watch(self.bus.clone(), self.files.clone(), reporter));
        self.watch = Some(watch.abort_handle());
    }
}

impl Drop for LinuxConditions {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

async fn watch(bus: Option<String>, files: SystemFiles, reporter: ConditionReporter) {
    let mut delay = RECONNECT_MIN;
    let mut is_logged = false;
    loop {
        match Services::connect(bus.as_deref()).await {
            Ok(services) => {
                delay = RECONNECT_MIN;
                follow(services, &files, &reporter).await;
            }
            Err(error) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::info!(%error, "no system bus; only the kernel is asked about power");
                }
                reporter.report(completed(Conditions::default(), &files).await);
            }
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LOOK_INTERVAL);
    }
}

/// Reports until the bus is gone.
async fn follow(mut services: Services, files: &SystemFiles, reporter: &ConditionReporter) {
    loop {
        let known = services.read().await;
        reporter.report(completed(known, files).await);
        let look = async {
            match known.is_on_battery {
                Some(_) => std::future::pending().await,
                None => tokio::time::sleep(LOOK_INTERVAL).await,
            }
        };
        let is_there = tokio::select! {
            is_there = services.changed() => is_there,
            () = look => true,
        };
        if !is_there {
            return;
        }
    }
}

/// What the services say, completed and checked by what the kernel knows. NetworkManager says that
/// there is no network also where another program looks after it: then the kernel has a route.
async fn completed(known: Conditions, files: &SystemFiles) -> Conditions {
    let asks_power = known.is_on_battery.is_none();
    let asks_route = known.is_online == Some(false);
    if !asks_power && !asks_route {
        return known;
    }
    let files = files.clone();
    let ask = move || {
        let on_battery = asks_power.then(|| files.is_on_battery()).flatten();
        (on_battery, asks_route && files.has_route())
    };
    // A read of the kernel that panics tells nothing.
    let (on_battery, has_route) = tokio::task::spawn_blocking(ask).await.unwrap_or_default();
    Conditions {
        is_online: known.is_online.filter(|_| !has_route),
        is_on_battery: known.is_on_battery.or(on_battery),
        ..known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(battery: &str, route: &str) -> (tempfile::TempDir, SystemFiles) {
        let directory = tempfile::tempdir().expect("a directory");
        let supply = directory.path().join("power/BAT0");
        std::fs::create_dir_all(&supply).expect("a directory");
        std::fs::write(supply.join("type"), "Battery\n").expect("a file");
        std::fs::write(supply.join("status"), battery).expect("a file");
        let text = format!("Iface\tDestination\n{route}\t0\n");
        std::fs::write(directory.path().join("route"), text).expect("a file");
        let files = SystemFiles {
            power_supply: directory.path().join("power"),
            proc_net: directory.path().to_owned(),
        };
        (directory, files)
    }

    #[test]
    fn the_kernel_answers_where_the_services_do_not() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let none = Conditions::default();
        let offline = Conditions {
            is_online: Some(false),
            ..none
        };
        let plugged = Conditions {
            is_on_battery: Some(false),
            ..none
        };
        for (what, known, route, is_online, is_on_battery) in [
            ("nobody knows", none, "lo", None, Some(true)),
            ("UPower knows", plugged, "lo", None, Some(false)),
            ("no network", offline, "lo", Some(false), Some(true)),
            ("another's network", offline, "eth0", None, Some(true)),
        ] {
            let (_directory, files) = files("Discharging\n", route);
            let found = runtime.block_on(completed(known, &files));
            assert_eq!(found.is_online, is_online, "{what}");
            assert_eq!(found.is_on_battery, is_on_battery, "{what}");
        }
    }
}
