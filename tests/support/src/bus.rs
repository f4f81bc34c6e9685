//! A private D-Bus with mocks of the services that a desktop has on it.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::Process;
use crate::real::{find_daemon, run};

/// How long the bus or a mock may take to be there, on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks. There is no event to wait for; the end of the process is one, and cuts the
/// wait short.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Debian's own Python: its packages are found by no other one.
const PYTHON: &str = "/usr/bin/python3";

/// A bus of its own, which serves as system bus and as session bus alike, and the mocks on it.
/// Dropping it ends them all.
#[derive(Debug)]
pub struct PrivateBus {
    /// Before the bus: they end first.
    mocks: Vec<(String, Process)>,
    daemon: Process,
    address: String,
    dir: TempDir,
}

impl PrivateBus {
    /// Starts a bus without any service. The error says how to install what is missing.
    pub fn start() -> Result<Self, String> {
        let program = find_daemon("dbus-daemon", "dbus")?;
        find_daemon("dbus-send", "dbus")?;
        run(PYTHON, "python3", &["-c", "import dbusmock"], b"").map_err(|error| {
            format!("{error}; `apt-get install python3-dbusmock` on Debian provides it")
        })?;
        let dir =
            tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
        let socket = dir.path().join("bus");
        let address = format!("unix:path={}", socket.display());
        let mut command = Command::new(&program);
        command.args(["--session", "--nofork", "--nopidfile", "--nosyslog"]);
        command.arg(format!("--address={address}"));
        let mut daemon = start(command, dir.path())?;
        wait_until(&mut daemon, || UnixStream::connect(&socket).is_ok())?;
        Ok(Self {
            mocks: Vec::new(),
            daemon,
            address,
            dir,
        })
    }

    /// The address, as `DBUS_SYSTEM_BUS_ADDRESS` and `DBUS_SESSION_BUS_ADDRESS` take it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The socket's path.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("bus")
    }

    /// Starts the mock that dbusmock's template of this name makes, and waits until it has the
    /// service's name on the bus.
    pub fn mock(&mut self, template: &str, service: &str) -> Result<(), String> {
        let mut command = Command::new(PYTHON);
        command
            .args(["-m", "dbusmock", "--template", template])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        let mut mock = start(command, self.dir.path())?;
        wait_until(&mut mock, || self.has(service))?;
        self.mocks.push((service.to_owned(), mock));
        Ok(())
    }

    /// Kills the mock of this service and waits until its name is free.
    pub fn unmock(&mut self, service: &str) -> Result<(), String> {
        self.mocks.retain(|(name, _)| name != service);
        let address = self.address.clone();
        wait_until(&mut self.daemon, || !has(&address, service))
    }

    /// Calls a method with arguments in `dbus-send`'s notation (`string:x`, `variant:uint32:4`), and
    /// returns the answer as it prints it.
    pub fn call(
        &self,
        service: &str,
        path: &str,
        method: &str,
        arguments: &[&str],
    ) -> Result<String, String> {
        send(&self.address, service, path, method, arguments)
    }

    /// Sets a property of a mock, which tells the bus of it.
    pub fn set_property(
        &self,
        service: &str,
        path: &str,
        name: &str,
        value: &str,
    ) -> Result<(), String> {
        let value = format!("variant:{value}");
        let arguments = [
            &format!("string:{service}"),
            &format!("string:{name}"),
            &value,
        ];
        let method = "org.freedesktop.DBus.Properties.Set";
        self.call(service, path, method, &arguments.map(String::as_str))?;
        Ok(())
    }

    fn has(&self, service: &str) -> bool {
        has(&self.address, service)
    }
}

fn has(address: &str, service: &str) -> bool {
    let name = format!("string:{service}");
    let bus = "org.freedesktop.DBus";
    let method = "org.freedesktop.DBus.NameHasOwner";
    send(address, bus, "/org/freedesktop/DBus", method, &[&name])
        .is_ok_and(|answer| answer.contains("boolean true"))
}

fn send(
    address: &str,
    service: &str,
    path: &str,
    method: &str,
    arguments: &[&str],
) -> Result<String, String> {
    let bus = format!("--bus={address}");
    let to = format!("--dest={service}");
    let mut all = vec!["--print-reply", &bus, &to, path, method];
    all.extend(arguments);
    run("dbus-send", "dbus", &all, b"")
}

fn start(command: Command, dir: &Path) -> Result<Process, String> {
    let shown = format!("{:?}", command.get_program());
    Process::start(command, dir).map_err(|error| format!("cannot start {shown}: {error}"))
}

fn wait_until(process: &mut Process, mut is_true: impl FnMut() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + READY_WITHIN;
    let said = |process: &Process| process.stderr().unwrap_or_default();
    let failed = |error: io::Error| error.to_string();
    while !is_true() {
        if process.wait(LOOK_EVERY).map_err(failed)?.is_some() {
            return Err(format!("it has ended: {}", said(process)));
        }
        if Instant::now() > deadline {
            return Err(format!("it is not there in time: {}", said(process)));
        }
    }
    Ok(())
}
