//! A private D-Bus with mocks of the services that a desktop has on it.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::Process;
use crate::real::{find_daemon, run};

/// How long the bus or a mock may take to be there, on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks. There is no event to wait for; the end of the process is one, and cuts the
/// wait short.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The name of the bus on itself.
const BUS: &str = "org.freedesktop.DBus";
/// The object of a mock that tests talk to (python-dbusmock, "D-Bus interface").
const MOCK: &str = "org.freedesktop.DBus.Mock";
/// Has a mock send a signal to everybody: `dbus-send` can not write its arguments, and what it sends
/// itself is not from the service. Arguments: address, service, path, interface, signal, and the
/// signal's own, as Python writes them.
const EMIT: &str = "import ast, dbus, sys
address, service, path, interface, signal, signature, arguments = sys.argv[1:]
mock = dbus.bus.BusConnection(address).get_object(service, path)
arguments = dbus.Array(ast.literal_eval(arguments), signature='v')
mock.EmitSignal(interface, signal, signature, arguments, dbus_interface='org.freedesktop.DBus.Mock')
";
/// Debian's own Python: its packages are found by no other one.
const PYTHON: &str = "/usr/bin/python3";

/// A bus of its own, which serves as system bus and as session bus alike, and the mocks on it.
/// Dropping it ends them all.
#[derive(Debug)]
pub struct PrivateBus {
    /// Before the bus: they end first.
    mocks: Vec<(String, Process)>,
    _daemon: Daemon,
    address: String,
    dir: TempDir,
}

/// The daemon's process. It closes its standard input, so it is no [`Process`].
#[derive(Debug)]
struct Daemon(Child);

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
        let daemon = Daemon::start(&program, &address)?;
        Ok(Self {
            mocks: Vec::new(),
            _daemon: daemon,
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
        self.mock_with(template, service, "{}")
    }

    /// The same with parameters of the template, as JSON.
    pub fn mock_with(
        &mut self,
        template: &str,
        service: &str,
        parameters: &str,
    ) -> Result<(), String> {
        let mut command = Command::new(PYTHON);
        command
            .args(["-m", "dbusmock", "--template", template])
            .args(["--parameters", parameters])
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
        let deadline = Instant::now() + READY_WITHIN;
        // Each look is a process of its own, which is pause enough.
        while self.has(service) {
            if Instant::now() > deadline {
                return Err(format!("{service} does not go"));
            }
        }
        Ok(())
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
        let bus = format!("--bus={}", self.address);
        let to = format!("--dest={service}");
        let mut all = vec!["--print-reply", &bus, &to, path, method];
        all.extend(arguments);
        run("dbus-send", "dbus", &all, b"")
    }

    /// The calls of a method that a mock has had, first to last, of each its arguments that are text
    /// or lists of text.
    pub fn texts_of_calls(
        &self,
        service: &str,
        path: &str,
        method: &str,
    ) -> Result<Vec<Vec<String>>, String> {
        let ask = format!("{MOCK}.GetMethodCalls");
        let answer = self.call(service, path, &ask, &[&format!("string:{method}")])?;
        let calls = answer.split("struct {").skip(1);
        Ok(calls.map(texts).collect())
    }

    /// Has a mock send a signal with arguments of this signature, written as a list of Python.
    pub fn emit(
        &self,
        service: &str,
        path: &str,
        signal: &str,
        (signature, arguments): (&str, &str),
    ) -> Result<(), String> {
        let (interface, name) = signal.rsplit_once('.').ok_or("a signal has an interface")?;
        let arguments = [
            "-c",
            EMIT,
            &self.address,
            service,
            path,
            interface,
            name,
            signature,
            arguments,
        ];
        run(PYTHON, "python3-dbusmock", &arguments, b"").map(drop)
    }

    /// Sends a signal that is not from the service whose it looks.
    pub fn emit_as_a_stranger(
        &self,
        path: &str,
        signal: &str,
        arguments: &[&str],
    ) -> Result<(), String> {
        let bus = format!("--bus={}", self.address);
        let mut all = vec!["--type=signal", &bus, path, signal];
        all.extend(arguments);
        run("dbus-send", "dbus", &all, b"").map(drop)
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
        let name = format!("string:{service}");
        let method = "org.freedesktop.DBus.NameHasOwner";
        self.call(BUS, "/org/freedesktop/DBus", method, &[&name])
            .is_ok_and(|answer| answer.contains("boolean true"))
    }
}

impl Daemon {
    /// Starts it and waits until it says where it listens.
    fn start(program: &Path, address: &str) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot start {}: {error}", program.display());
        let mut child = Command::new(program)
            .args(["--session", "--nofork", "--nopidfile", "--nosyslog"])
            .arg(format!("--address={address}"))
            .arg("--print-address=1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take();
        let daemon = Self(child);
        let mut said = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout)
                .read_line(&mut said)
                .map_err(failed)?;
        }
        match said.starts_with(address) {
            true => Ok(daemon),
            false => Err(format!("{} does not listen: {said}", program.display())),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The texts in what `dbus-send` prints, each on a line of its own.
fn texts(printed: &str) -> Vec<String> {
    let text = |line: &str| {
        let (_, text) = line.split_once("string \"")?;
        text.strip_suffix('"').map(str::to_owned)
    };
    printed.lines().filter_map(text).collect()
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
