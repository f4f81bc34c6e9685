//! What every test stands on: directories of its own, and runs of the real host with a script.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use longhaul_support::process::Process;
use longhaul_support::server::Server;
use tempfile::TempDir;

/// How long a run may take: far more than any needs on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// 1 MiB.
pub(crate) const MIB: u64 = 1024 * 1024;

/// A place for files and one for the state, which every run of a test shares.
#[derive(Debug)]
pub(crate) struct Bench {
    root: TempDir,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    /// A path for a file of the test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// As [`Bench::path`], as an argument of a script.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).into_os_string().into_string().unwrap()
    }

    /// Starts a script: one of ours by its name, or any by its path.
    pub(crate) fn start(&self, script: &Path, arguments: &[&str]) -> Process {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_scripting"));
        command
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg(scripts.join(script))
            .args(arguments)
            .current_dir(self.root.path())
            .env("HOME", self.root.path())
            .env_remove("DBUS_SESSION_BUS_ADDRESS");
        Process::start(command, self.root.path()).unwrap()
    }

    /// Runs one of our scripts to its end.
    pub(crate) fn run(&self, script: &str, arguments: &[&str]) -> Ended {
        finish(self.start(Path::new(script), arguments))
    }

    /// Runs this script to its end.
    pub(crate) fn run_source(&self, source: &str, arguments: &[&str]) -> Ended {
        finish(self.start(&self.script(source), arguments))
    }

    /// A file with this script.
    pub(crate) fn script(&self, source: &str) -> PathBuf {
        let path = self.path("script.js");
        std::fs::write(&path, source).unwrap();
        path
    }

    /// Starts a script and kills it with SIGKILL when the server has had a request for `path` and
    /// has sent this many bytes of it. The script must not be able to end before.
    pub(crate) fn kill_after(
        &self,
        (server, path, bytes): (&Server, &str, u64),
        script: &Path,
        arguments: &[&str],
    ) {
        let mut process = self.start(script, arguments);
        server.wait_for(|requests| {
            let mut of_path = requests.iter().filter(|request| request.path == path);
            of_path.any(|request| request.body_sent >= bytes)
        });
        let status = process.kill().unwrap();
        assert!(status.code().is_none(), "it ended before it was killed");
    }
}

impl Ended {
    /// The lines of standard output of a run that nothing was wrong with.
    pub(crate) fn lines(&self) -> Vec<&str> {
        assert!(self.status.success(), "{self:?}");
        assert_eq!(self.stderr, "");
        self.stdout.lines().collect()
    }

    /// Standard error of a run that was told to have failed.
    pub(crate) fn failure(&self) -> &str {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        &self.stderr
    }
}

fn finish(mut process: Process) -> Ended {
    let status = process.wait(PATIENCE).unwrap();
    let (stdout, stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
    let status = status.unwrap_or_else(|| panic!("it has not ended: {stderr}{stdout}"));
    Ended {
        status,
        stdout,
        stderr,
    }
}
