//! What every test of the command stands on: directories of its own, runs of the real binary, and
//! what a run left behind.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use longhaul::{Event, Events, Fact, NumberedFact, Outcome, TaskMetrics};
use longhaul_support::content::Content;
use longhaul_support::process::Process;
use longhaul_support::server::Server;
use tempfile::TempDir;

/// How long a run of the command, or a wait, may take: far more than any needs on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// 1 MiB.
pub(crate) const MIB: u64 = 1024 * 1024;

/// Values that no output may ever hold. They are given as passwords, tokens and signatures.
pub(crate) const SECRET: &str = "hush-4711";

/// A place for downloads, one for the state, and the command to run between them.
#[derive(Debug)]
pub(crate) struct Bench {
    root: TempDir,
}

/// A run of the command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    /// Empty directories.
    pub(crate) fn new() -> Self {
        Self::in_root(tempfile::tempdir().unwrap())
    }

    /// Empty directories beneath this one.
    pub(crate) fn in_root(root: TempDir) -> Self {
        for name in ["files", "outputs"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        Self { root }
    }

    /// The directory for downloads.
    pub(crate) fn files(&self) -> PathBuf {
        self.root.path().join("files")
    }

    /// A file in the directory for downloads.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files().join(name)
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// A directory for other files of the test; what processes print lies there too.
    pub(crate) fn outputs(&self) -> PathBuf {
        self.root.path().join("outputs")
    }

    /// `longhaul get` with these arguments, in the directory for downloads.
    pub(crate) fn get(&self, arguments: &[&str]) -> Command {
        self.longhaul("get", arguments)
    }

    /// `longhaul put` with these arguments, in the same directory.
    pub(crate) fn put(&self, arguments: &[&str]) -> Command {
        self.longhaul("put", arguments)
    }

    fn longhaul(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.arg(name).args(arguments);
        self.confine(&mut command);
        command
    }

    /// Lets `command` see the directories of this test and nothing of the user's.
    pub(crate) fn confine(&self, command: &mut Command) {
        command
            .current_dir(self.files())
            .env("HOME", self.root.path())
            .env("LONGHAUL_STATE_DIR", self.state())
            .env_remove("XDG_STATE_HOME")
            .env_remove("LONGHAUL_FAULT_KILL");
    }

    /// Starts a command.
    pub(crate) fn start(&self, command: Command) -> Process {
        Process::start(command, &self.outputs()).unwrap()
    }

    /// Runs `longhaul get` with these arguments to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.finish(self.start(self.get(arguments)))
    }

    /// Runs `longhaul put` with these arguments to its end.
    pub(crate) fn run_put(&self, arguments: &[&str]) -> Ended {
        self.finish(self.start(self.put(arguments)))
    }

    /// Waits for the end of a process.
    pub(crate) fn finish(&self, mut process: Process) -> Ended {
        let status = process.wait(PATIENCE).unwrap();
        let (stdout, stderr) = (process.stdout().unwrap(), process.stderr().unwrap());
        let status =
            status.unwrap_or_else(|| panic!("it has not ended in {PATIENCE:?}: {stderr}{stdout}"));
        Ended {
            status,
            stdout,
            stderr,
        }
    }

    /// Starts a run, kills it when the server has sent this many body bytes, and checks that the
    /// kill came in time. The server must be slow enough, or hold the rest back.
    pub(crate) fn kill_after(&self, server: &Server, path: &str, bytes: u64, arguments: &[&str]) {
        let before = server.bytes_served(path);
        let mut process = self.start(self.get(arguments));
        server.wait_for(|requests| {
            let of_path = requests.iter().filter(|request| request.path == path);
            of_path.map(|request| request.body_sent).sum::<u64>() >= before + bytes
        });
        let status = process.kill().unwrap();
        assert_eq!(status.signal(), Some(9), "{}", process.stderr().unwrap());
    }

    /// The names in the directory for downloads, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(&self.files())
    }

    /// Checks that the state directory holds nothing, or does not exist.
    #[track_caller]
    pub(crate) fn assert_no_state(&self) {
        let left = tree(&self.state());
        assert!(left.is_empty(), "left in the state directory: {left:#?}");
    }

    /// Checks that the download `name` is there, byte for byte, and nothing beside it nor in the
    /// state directory.
    #[track_caller]
    pub(crate) fn assert_only(&self, name: &str, content: Content) {
        self.assert_file(name, content);
        assert_eq!(self.names(), [name]);
        self.assert_no_state();
    }

    /// Checks that the download `name` is there, byte for byte.
    #[track_caller]
    pub(crate) fn assert_file(&self, name: &str, content: Content) {
        if let Err(mismatch) = content.verify_file(&self.file(name)) {
            panic!("{name}: {mismatch}");
        }
    }

    /// Checks that a failed run has left no file under a final name, and either nothing at all or
    /// a part file with what it takes to go on, and has said so.
    #[track_caller]
    pub(crate) fn assert_resumable_or_nothing(&self, ended: &Ended) {
        let names = self.names();
        if names.is_empty() {
            return self.assert_no_state();
        }
        assert!(
            names.iter().all(|name| name.ends_with(".part")),
            "{names:?}"
        );
        assert!(
            !tree(&self.state()).is_empty(),
            "{names:?} is left, and nobody knows of it"
        );
        ended.says("run the same command again to resume");
    }

    /// Checks that there is neither a download nor state.
    #[track_caller]
    pub(crate) fn assert_nothing(&self) {
        assert_eq!(self.names(), [""; 0]);
        self.assert_no_state();
    }
}

impl Ended {
    /// The exit code; `None` after a signal.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Checks the exit code, and that no secret was printed.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "{self:#?}");
        assert!(
            !self.stdout.contains(SECRET) && !self.stderr.contains(SECRET),
            "{self:#?}"
        );
        self
    }

    /// Checks that stderr has this text.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "{text:?} is missing in {self:#?}"
        );
        self
    }

    /// Checks that stderr is empty.
    #[track_caller]
    pub(crate) fn is_silent(&self) -> &Self {
        assert_eq!(self.stderr, "", "{self:#?}");
        self
    }

    /// The lines of `--json`, each parsed.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The only line of `--json` with this `event`.
    #[track_caller]
    pub(crate) fn json_event(&self, event: &str) -> serde_json::Value {
        let mut found = self.json();
        found.retain(|line| line["event"] == event);
        assert_eq!(found.len(), 1, "{event}: {self:#?}");
        found.remove(0)
    }
}

/// Runs a test on an executor of its own; one that waits for ever fails.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let bounded = async { tokio::time::timeout(PATIENCE, test).await };
    let ended = runtime.unwrap().block_on(bounded);
    ended.expect("what the test waits for has not come")
}

/// The next fact of a session.
pub(crate) async fn next_fact(events: &mut Events) -> NumberedFact {
    loop {
        if let Event::Fact(fact) = events.next().await.expect("the session lives") {
            return fact;
        }
    }
}

/// How the next task of the session to end has ended, and what it took.
pub(crate) async fn next_end(events: &mut Events) -> (Outcome, TaskMetrics) {
    match next_fact(events).await.fact {
        Fact::Completed {
            outcome, metrics, ..
        } => (outcome, *metrics.expect("something was asked for")),
        other => panic!("no end: {other:?}"),
    }
}

/// What a callback tells next.
pub(crate) fn next<T>(heard: &Receiver<T>) -> T {
    let patience = longhaul_support::log::PATIENCE;
    heard.recv_timeout(patience).expect("it is called")
}

/// The names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Every file and directory beneath a directory, which may be missing.
pub(crate) fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut tree(&path));
        }
        found.push(path);
    }
    found
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
