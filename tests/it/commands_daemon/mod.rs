//! The commands over a daemon of their own, end to end: the real binary starts it, and it is stopped with
//! the test.

mod background;
mod doctor;
mod errors;
mod interrupted;
mod tasks;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, Ended, MIB, PATIENCE};

/// Directories, and the socket of a daemon that is started by the first transfer with `-b`.
struct Desk {
    bench: Bench,
}

impl Desk {
    fn new() -> Self {
        let bench = Bench::new();
        Self { bench }
    }

    fn socket(&self) -> PathBuf {
        self.bench.outputs().join("run/control.sock")
    }

    /// `longhaul` with these words.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.args(words);
        self.bench.confine(&mut command);
        command
            .env("LONGHAUL_SOCKET", self.socket())
            .env_remove("LONGHAUL_PROGRAM")
            .env_remove("LONGHAUL_LAUNCH");
        command
    }

    /// Runs it to its end.
    fn run(&self, words: &[&str]) -> Ended {
        self.bench.finish(self.bench.start(self.command(words)))
    }

    /// Hands a download over; answers its name.
    #[track_caller]
    fn hand_over(&self, words: &[&str]) -> String {
        let words: Vec<&str> = ["get", "-b"].iter().chain(words).copied().collect();
        let ended = self.run(&words);
        ended.expect(0).is_silent();
        ended.stdout.trim_end().to_owned()
    }

    /// The only line of JSON that these words print.
    #[track_caller]
    fn json(&self, words: &[&str]) -> serde_json::Value {
        let words: Vec<&str> = words.iter().chain(&["--json"]).copied().collect();
        let ended = self.run(&words);
        ended.expect(0);
        let mut lines = ended.json();
        assert_eq!(lines.len(), 1, "{ended:#?}");
        lines.remove(0)
    }

    /// Looks at a task until it is in this phase.
    #[track_caller]
    fn wait_for_phase(&self, name: &str, phase: &str) {
        let patience = Instant::now() + PATIENCE;
        while self.json(&["show", name])["phase"] != phase {
            assert!(Instant::now() < patience, "task {name} is never {phase}");
        }
    }

    /// The process of the daemon.
    #[track_caller]
    fn daemon(&self) -> u64 {
        let looked = self.run(&["doctor", "--json"]);
        let owner = looked
            .json()
            .iter()
            .find_map(|line| line["owner_pid"].as_u64());
        owner.unwrap_or_else(|| panic!("no daemon: {looked:#?}"))
    }

    /// Kills the daemon.
    #[track_caller]
    fn kill(&self) {
        let script = format!("kill -KILL {}", self.daemon());
        let killed = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(killed.success(), "{script}");
    }

    /// Asks the daemon to stop, and waits until its process has closed the connection.
    fn stop(&self) {
        let Ok(mut stream) = UnixStream::connect(self.socket()) else {
            return;
        };
        let question = "POST /v1/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Type: \
                        application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        // What can not be read or written any more has stopped.
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.write_all(question.as_bytes());
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A file whose first answer is held back after 1 MiB, until the gate is opened.
fn serve_held(server: &Server, path: &str, content: longhaul_support::content::Content) -> Gate {
    let gate = Gate::new();
    server.serve(path, Resource::new(content));
    server.script(path, [Reply::normal().hold_at(MIB, &gate), Reply::normal()]);
    gate
}

/// Waits until the held part of a file was sent.
fn wait_until_held(server: &Server, path: &str) {
    server.wait_for(|requests| {
        let mut of_path = requests.iter().filter(|request| request.path == path);
        of_path.any(|request| request.body_sent >= MIB)
    });
}

#[test]
fn a_transfer_in_the_background_starts_a_daemon_and_goes_on_without_the_command() {
    let (server, desk) = (Server::start(), Desk::new());
    let content = longhaul_support::content::Content::new(501, 3 * MIB);
    let gate = serve_held(&server, "/a.bin", content);
    let name = desk.hand_over(&[&server.url("/a.bin")]);
    assert!(name.parse::<u64>().is_ok(), "{name}");
    wait_until_held(&server, "/a.bin");
    let again = desk.hand_over(&[&server.url("/a.bin")]);
    assert_eq!(again, name, "the same download is the same task");
    gate.open();
    let waited = desk.run(&["wait", &name]);
    waited.expect(0).is_silent();
    assert!(
        waited.stdout.starts_with(&format!("{name}: finished: ")),
        "{waited:#?}"
    );
    desk.bench.assert_file("a.bin", content);
    assert_eq!(server.requests_for("/a.bin").len(), 1);
    let owner = fs::metadata(desk.socket()).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&owner.permissions()) & 0o777,
        0o600
    );
}

#[test]
fn an_upload_in_the_background_arrives() {
    let (server, desk) = (Server::start(), Desk::new());
    let content = longhaul_support::content::Content::new(502, 100_000);
    let source = desk.bench.outputs().join("up.bin");
    content.write_file(&source).unwrap();
    server.script("/up", [Reply::status(201)]);
    let source = source.to_str().unwrap();
    let words = [
        "put",
        "-b",
        source,
        &server.url("/up"),
        "-X",
        "POST",
        "--protocol",
        "plain",
    ];
    let ended = desk.run(&words);
    let name = ended.expect(0).is_silent().stdout.trim_end();
    let waited = desk.run(&["wait", name, "--json"]);
    let end = waited.expect(0).json_event("ended");
    assert_eq!(
        (&end["outcome"], &end["status"]),
        (&"finished".into(), &201.into())
    );
    assert_eq!(end["bytes"], 100_000);
}
