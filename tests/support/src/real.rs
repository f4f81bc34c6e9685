//! What the real servers have in common: finding, configuring, starting and knowing them ready.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use tempfile::TempDir;

use crate::content::Content;
use crate::process::Process;
use crate::resource::LAST_MODIFIED;

/// How long a server may take to answer its first request, on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Between two attempts to connect. There is no event to wait for: only the server knows when it
/// listens. Its end is an event, and cuts the wait short.
const ATTEMPT_EVERY: Duration = Duration::from_millis(10);
/// What is asked for to see whether a server answers; it serves no such file.
const READY_PATH: &str = "/is-it-ready";
/// Published files are dated within so many seconds (115 days) after [`LAST_MODIFIED`].
const MODIFIED_WITHIN_SECONDS: u64 = 10_000_000;
/// Another process may take a free port between our looking and the server's binding.
const STARTS_MAX: usize = 5;
/// Where Debian keeps daemons; often missing from the `PATH` of users who are not root.
const DAEMON_DIRS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];

/// The ports of one server, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) tls: u16,
}

/// A running real server and its directory, which goes with it.
#[derive(Debug)]
pub(crate) struct RealServer {
    /// Before `dir`: the process ends before its files go.
    process: Process,
    program: PathBuf,
    arguments: Vec<String>,
    ports: Ports,
    dir: TempDir,
}

impl RealServer {
    /// Starts the server of `program`: `prepare` writes its files for the ports into the directory
    /// and returns the arguments.
    pub(crate) fn start(
        program: &Path,
        prepare: impl Fn(&Path, Ports) -> Result<Vec<String>, String>,
    ) -> Result<Self, String> {
        let mut failure = String::new();
        for _ in 0..STARTS_MAX {
            let dir = directory()?;
            let ports = free_ports()?;
            let arguments = prepare(dir.path(), ports)?;
            let process = launch(program, &arguments, dir.path())?;
            let mut server = Self {
                process,
                program: program.into(),
                arguments,
                ports,
                dir,
            };
            match server.become_ready() {
                Ok(()) => return Ok(server),
                Err(reason) => failure = reason,
            }
        }
        Err(format!(
            "{} did not start {STARTS_MAX} times: {failure}",
            program.display()
        ))
    }

    /// Ends the server with SIGKILL, whatever it was doing; its files stay.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.process.kill().map(drop)
    }

    /// Starts the server again, after a kill, with the same arguments, ports and files.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        self.kill().map_err(|error| error.to_string())?;
        let mut failure = String::new();
        for _ in 0..STARTS_MAX {
            self.process = launch(&self.program, &self.arguments, self.dir.path())?;
            match self.become_ready() {
                Ok(()) => return Ok(()),
                // For a moment its port may have gone to an outgoing connection of another test.
                Err(reason) => failure = reason,
            }
        }
        Err(format!(
            "{} did not come back {STARTS_MAX} times: {failure}",
            self.program.display()
        ))
    }

    /// The URL of `path` without TLS.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.plain)
    }

    /// The URL of `path` over TLS, by name.
    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.ports.tls)
    }

    /// A file or directory of the server, by its name in the server's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `content` into the document root as `name`. The file is dated back into 2025, by the
    /// seed of the content: Apache gives a weak ETag to a file changed within the last second, and
    /// both servers make their ETag of length and date only.
    pub(crate) fn publish(&self, name: &str, content: &Content) -> io::Result<PathBuf> {
        let path = self.path("www").join(name);
        content.write_file(&path)?;
        let age = Duration::from_secs(content.seed() % MODIFIED_WITHIN_SECONDS);
        let file = fs::File::options().write(true).open(&path)?;
        file.set_modified(UNIX_EPOCH + LAST_MODIFIED + age)?;
        Ok(path)
    }

    /// The access log without the request that asked whether the server is ready.
    pub(crate) fn access_log(&self) -> io::Result<String> {
        let log = fs::read_to_string(self.path("access.log"))?;
        let lines = log
            .split_inclusive('\n')
            .filter(|line| !line.trim_end().ends_with(READY_PATH));
        Ok(lines.collect())
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn become_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + READY_WITHIN;
        while !is_answering(self.ports.plain) {
            let ended = self
                .process
                .wait(ATTEMPT_EVERY)
                .map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(self.complaint());
            }
        }
        // Somebody else may have taken the port and answered; then ours has ended.
        match self.process.wait(Duration::ZERO) {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(self.complaint()),
        }
    }

    /// What the server said on standard error and in its log.
    fn complaint(&self) -> String {
        let stderr = self.process.stderr().unwrap_or_default();
        let log = fs::read_to_string(self.path("error.log")).unwrap_or_default();
        format!("{stderr}{log}")
    }
}

/// Starts `program`, which sees no files of the user's own.
fn launch(program: &Path, arguments: &[String], dir: &Path) -> Result<Process, String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(dir)
        .env("HOME", dir)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME");
    Process::start(command, dir)
        .map_err(|error| format!("cannot start {}: {error}", program.display()))
}

/// Whether the server on this port of 127.0.0.1 answers a request. That it accepts a connection is
/// not enough: Apache listens before it has read the rest of its configuration.
fn is_answering(port: u16) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(READY_WITHIN))?;
        stream.write_all(format!("GET {READY_PATH} HTTP/1.0\r\n\r\n").as_bytes())?;
        Ok(stream.read(&mut [0])? == 1)
    };
    ask().unwrap_or(false)
}

/// The path of the daemon `name`, or how to install it.
pub(crate) fn find_daemon(name: &str, package: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(DAEMON_DIRS.map(PathBuf::from));
    let mut candidates = dirs.map(|dir| dir.join(name));
    candidates
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| not_installed(name, package))
}

/// Runs a command to its end with `input`, and returns its standard output.
pub(crate) fn run(
    program: &str,
    package: &str,
    arguments: &[&str],
    input: &[u8],
) -> Result<String, String> {
    let failed = |error: io::Error| format!("{program}: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|_| not_installed(program, package))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {}: {stderr}", arguments.join(" ")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether files made by this process belong to root; Apache then wants another user to run as.
pub(crate) fn is_root(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|metadata| metadata.uid() == 0)
}

/// Writes `content` to the file `name` in `dir` and returns its path as text.
pub(crate) fn write(dir: &Path, name: &str, content: &str) -> Result<String, String> {
    let path = dir.join(name);
    fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.display().to_string())
}

fn not_installed(program: &str, package: &str) -> String {
    format!("{program} is not installed: `apt-get install {package}` on Debian provides it")
}

/// A directory that a server under another user can enter, with the document root `www`.
fn directory() -> Result<TempDir, String> {
    let dir = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let root = dir.path().join("www");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))
        .and_then(|()| fs::create_dir(&root))
        .map_err(|error| format!("{}: {error}", root.display()))?;
    Ok(dir)
}

/// Two ports that were free a moment ago.
fn free_ports() -> Result<Ports, String> {
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let ports = || -> io::Result<Ports> {
        let (plain, tls) = (free()?, free()?);
        Ok(Ports {
            plain: plain.local_addr()?.port(),
            tls: tls.local_addr()?.port(),
        })
    };
    ports().map_err(|error| format!("no free port: {error}"))
}
