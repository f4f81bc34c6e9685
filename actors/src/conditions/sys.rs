//! What the kernel's files tell of power and routes, where no service does.

use std::path::{Path, PathBuf};

/// The files of the kernel that are read; tests have their own.
#[derive(Clone, Debug)]
pub(super) struct SystemFiles {
    /// One directory for each battery and mains adapter.
    pub(super) power_supply: PathBuf,
    /// With `route` and `ipv6_route` in it.
    pub(super) proc_net: PathBuf,
}

impl Default for SystemFiles {
    fn default() -> Self {
        Self {
            power_supply: PathBuf::from("/sys/class/power_supply"),
            proc_net: PathBuf::from("/proc/net"),
        }
    }
}

impl SystemFiles {
    /// Whether the machine runs on its battery (Linux `Documentation/ABI/testing/sysfs-class-power`):
    /// one of its batteries is discharged and no adapter is online. A machine without a battery does
    /// not; `None` when the directory can not be read. Batteries of mice and the like do not count.
    pub(super) fn is_on_battery(&self) -> Option<bool> {
        let supplies: Vec<PathBuf> = std::fs::read_dir(&self.power_supply)
            .ok()?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|supply| word(supply, "scope").as_deref() != Some("Device"))
            .collect();
        let is = |supply: &Path, name: &str, value: &str| {
            word(supply, name).is_some_and(|found| found == value)
        };
        let is_discharging = supplies
            .iter()
            .any(|supply| is(supply, "type", "Battery") && is(supply, "status", "Discharging"));
        let is_plugged_in = supplies
            .iter()
            .any(|supply| !is(supply, "type", "Battery") && is(supply, "online", "1"));
        Some(is_discharging && !is_plugged_in)
    }

    /// Whether the kernel knows a way off this machine: a route over another interface than `lo`.
    /// True when that can not be read.
    pub(super) fn has_route(&self) -> bool {
        // The interface is the first word of a line of `route`, after a line of titles, and the last
        // one of a line of `ipv6_route` (proc(5)).
        let v4 = self.lines("route").map(|text| {
            text.lines()
                .skip(1)
                .filter_map(|line| line.split_whitespace().next())
                .any(|interface| interface != "lo")
        });
        let v6 = self.lines("ipv6_route").map(|text| {
            text.lines()
                .filter_map(|line| line.split_whitespace().next_back())
                .any(|interface| interface != "lo")
        });
        match (v4, v6) {
            (None, None) => true,
            (v4, v6) => v4.unwrap_or(false) || v6.unwrap_or(false),
        }
    }

    fn lines(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.proc_net.join(name)).ok()
    }
}

/// The one word of an attribute; the kernel gives at most a page.
fn word(supply: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(supply.join(name)).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(supplies: &[(&str, &[(&str, &str)])]) -> (tempfile::TempDir, SystemFiles) {
        let directory = tempfile::tempdir().expect("a directory");
        for (supply, attributes) in supplies {
            let at = directory.path().join(supply);
            std::fs::create_dir(&at).expect("a directory");
            for (name, value) in *attributes {
                std::fs::write(at.join(name), format!("{value}\n")).expect("a file");
            }
        }
        let files = SystemFiles {
            power_supply: directory.path().to_owned(),
            proc_net: directory.path().to_owned(),
        };
        (directory, files)
    }

    const DISCHARGING: (&str, &[(&str, &str)]) =
        ("BAT0", &[("type", "Battery"), ("status", "Discharging")]);
    const CHARGING: (&str, &[(&str, &str)]) =
        ("BAT1", &[("type", "Battery"), ("status", "Charging")]);
    const UNPLUGGED: (&str, &[(&str, &str)]) = ("AC", &[("type", "Mains"), ("online", "0")]);
    const PLUGGED: (&str, &[(&str, &str)]) = ("usb0", &[("type", "USB"), ("online", "1")]);
    const MOUSE: (&str, &[(&str, &str)]) = (
        "hid",
        &[
            ("type", "Battery"),
            ("status", "Discharging"),
            ("scope", "Device"),
        ],
    );

    #[test]
    fn a_machine_is_on_battery_when_one_is_discharged_and_nothing_feeds_it() {
        for (what, supplies, expected) in [
            ("nothing", vec![], false),
            ("mains only", vec![PLUGGED], false),
            ("battery only", vec![DISCHARGING], true),
            ("unplugged", vec![DISCHARGING, UNPLUGGED], true),
            ("plugged in", vec![DISCHARGING, PLUGGED], false),
            ("charging", vec![CHARGING, PLUGGED], false),
            ("a mouse", vec![MOUSE], false),
        ] {
            let (_directory, files) = files(&supplies);
            assert_eq!(files.is_on_battery(), Some(expected), "{what}");
        }
        let nowhere = SystemFiles {
            power_supply: PathBuf::from("/nonexistent/power_supply"),
            ..SystemFiles::default()
        };
        assert_eq!(nowhere.is_on_battery(), None);
    }

    #[test]
    fn a_way_off_the_machine_is_a_route_that_is_not_over_lo() {
        const TITLE: &str = "Iface\tDestination\tGateway\n";
        for (what, v4, v6, expected) in [
            ("no file", None, None, true),
            ("titles only", Some(TITLE), None, false),
            ("lo only", Some(TITLE), Some("0000 00 0000 lo\n"), false),
            ("v4", Some("Iface\tDestination\neth0\t0000\n"), None, true),
            ("v6", Some(TITLE), Some("0000 00 0000 wlan0\n"), true),
        ] {
            let (directory, files) = files(&[]);
            for (name, text) in [("route", v4), ("ipv6_route", v6)] {
                if let Some(text) = text {
                    std::fs::write(directory.path().join(name), text).expect("a file");
                }
            }
            assert_eq!(files.has_route(), expected, "{what}");
        }
    }
}
