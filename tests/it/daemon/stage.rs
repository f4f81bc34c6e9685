//! A daemon of its own for each test: the real program, on a socket in a directory of the test.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use longhaul_engine::control::{
    AtClientSession, AtRoot, ListSessions, OpenSession, RequestDocument, StartDocument,
};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_support::process::Process;
use serde_json::json;

use super::http::{Client, call};
use crate::bench::{Bench, Ended, PATIENCE};

/// How often is looked whether a daemon that is to say something is still there.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// A daemon that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) socket: PathBuf,
    /// Where it tells systemd how it is.
    _notified: UnixDatagram,
}

/// Where the daemons of a test are.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) bench: Bench,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            bench: Bench::new(),
        }
    }

    /// Its directory is made by the daemon.
    pub(crate) fn socket(&self) -> PathBuf {
        self.bench.outputs().join("run/control.sock")
    }

    /// `longhaul daemon` with these arguments, which tells [`Stage::ready`] when it listens.
    pub(crate) fn daemon(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.arg("daemon").args(arguments);
        self.confine(&mut command);
        command
    }

    pub(crate) fn confine(&self, command: &mut Command) {
        self.bench.confine(command);
        command
            .env("LONGHAUL_SOCKET", self.socket())
            .env_remove("LONGHAUL_LOG")
            .env_remove("NOTIFY_SOCKET");
    }

    /// Starts one, and waits until it listens.
    pub(crate) fn start(&self) -> Running {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> Running {
        self.launch(self.daemon(arguments))
    }

    /// Starts this command, and waits until it says that it is ready, as systemd would.
    pub(crate) fn launch(&self, mut command: Command) -> Running {
        let path = self.bench.outputs().join("notify");
        let _ = fs::remove_file(&path);
        let notified = UnixDatagram::bind(&path).unwrap();
        command.env("NOTIFY_SOCKET", &path);
        let mut process = self.bench.start(command);
        wait_for(&notified, "READY=1", &mut process);
        Running {
            process,
            socket: self.socket(),
            _notified: notified,
        }
    }

    /// Runs one to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.bench.finish(self.bench.start(self.daemon(arguments)))
    }
}

impl Running {
    /// Sends a signal and waits for the end.
    pub(crate) fn end(self, stage: &Stage, signal: &str) -> Ended {
        self.process.signal(signal).unwrap();
        stage.bench.finish(self.process)
    }

    /// Checks that it answers as if nothing had happened.
    #[track_caller]
    pub(crate) fn is_well(&self) {
        let sessions = call(&self.socket, AtRoot, &ListSessions {});
        assert!(
            sessions.is_empty(),
            "something else has happened: {sessions:?}"
        );
    }

    /// What it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id()))
            .unwrap()
            .count()
    }

    /// Its memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kib = line.trim().strip_suffix("kB").unwrap().trim();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// A gauge or count of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> i64 {
        let text = metrics(&self.socket);
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    /// Asks until this is so.
    #[track_caller]
    pub(crate) fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        // Each look is a question to the daemon, or many; nothing spins.
        while !is_so(self) {
            assert!(began.elapsed() < PATIENCE, "it has not come to it");
            std::thread::yield_now();
        }
    }
}

pub(crate) fn metrics(socket: &Path) -> String {
    let answer = super::http::ask(socket, "GET", "/metrics", None);
    assert_eq!(answer.status, 200, "{answer:?}");
    String::from_utf8(answer.body).unwrap()
}

fn wait_for(notified: &UnixDatagram, word: &str, process: &mut Process) {
    notified.set_read_timeout(Some(LOOK_INTERVAL)).unwrap();
    let began = Instant::now();
    let mut text = [0; 1024];
    while began.elapsed() < PATIENCE {
        if let Ok(length) = notified.recv(&mut text)
            && String::from_utf8_lossy(&text[..length])
                .lines()
                .any(|line| line == word)
        {
            return;
        }
        if let Some(status) = process.wait(Duration::ZERO).unwrap() {
            panic!("the daemon ended, {status}: {}", process.stderr().unwrap());
        }
    }
    panic!(
        "the daemon has not said {word}: {}",
        process.stderr().unwrap()
    );
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

/// Opens a session for a client.
pub(crate) fn open(socket: &Path, client: &Client, name: &str) -> SessionId {
    open_with(socket, client, name, Vec::new());
    session(name)
}

/// Opens a session for a client with tasks in it.
pub(crate) fn open_with(
    socket: &Path,
    client: &Client,
    name: &str,
    requests: Vec<RequestDocument>,
) -> Vec<TaskId> {
    let at = AtClientSession(client.id.clone(), session(name));
    let started = call(socket, at, &opening(requests));
    let started = started.into_iter().map(|start| match start {
        StartDocument::Task(task) => task,
        StartDocument::Problem(problem) => panic!("{problem}"),
    });
    started.collect()
}

pub(crate) fn opening(requests: Vec<RequestDocument>) -> OpenSession {
    OpenSession {
        rules: SessionRules::default(),
        requests,
        has_delegate: false,
        is_repeated: false,
    }
}

/// A download as one writes it by hand.
pub(crate) fn download(url: &str, file: &Path) -> RequestDocument {
    let request = json!({
        "request": { "kind": "download", "url": url, "destination": { "kind": "file", "value": file } }
    });
    serde_json::from_value(request).unwrap()
}
