//! An app that is killed while its transfers run in a daemon, and is started again by it: nothing is
//! lost, and every end is heard once, also when the daemon itself is killed at any moment.
//!
//! A plain run kills the daemon [`KILLS_DEFAULT`] times; `LONGHAUL_KILLS=50` makes as many.
//! `LONGHAUL_SEED` repeats a run. The app is this very test binary.

mod app;
mod oracle;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::seed::Rng;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, PATIENCE};

/// How many kills of the daemon to make.
const KILLS_VARIABLE: &str = "LONGHAUL_KILLS";

/// Kills of a plain run.
const KILLS_DEFAULT: u64 = 8;

/// The seed of a plain run.
const SEED: u64 = 20_261_122;

/// Kills within the life of one session, which has an end.
const KILLS_PER_STORY: u64 = 6;

/// A process that is to end itself at its n-th fault point.
const FAULT_VARIABLE: &str = "LONGHAUL_FAULT_KILL";

/// Fault points of a daemon that carries a session to its end are at least about so many.
const FAULTS: u64 = 1500;

/// More than any daemon here lives.
const LIFE_MAX: Duration = Duration::from_secs(600);

const DOWNLOADS: usize = 50;
const UPLOADS: usize = 10;

/// What a download has, and what an upload sends.
const BYTES_MAX: u64 = 512 * 1024;

/// The test that is the app when [`app::VARIABLE`] is set.
const APP: &str = "relaunch::an_app_that_dies_hears_of_every_end_once_when_it_is_called";

#[test]
fn an_app_that_dies_hears_of_every_end_once_when_it_is_called() {
    if let Some(place) = env::var_os(app::VARIABLE) {
        return app::live(Path::new(&place));
    }
    let mut rng = Rng::new(SEED);
    let story = Story::new(&mut rng);
    let daemon = story.start_daemon(None);
    story.let_the_app_die();
    story.wait_for(&News::Over);
    daemon.signal("TERM");
    let News::Died(status) = story.next_news() else {
        panic!("it is over already");
    };
    assert!(status.success(), "{status}: {}", daemon.complaints());
    story.check();
}

#[test]
fn a_daemon_that_is_killed_at_any_moment_and_started_again_loses_no_end_and_tells_none_twice() {
    let kills = env::var(KILLS_VARIABLE).map_or(KILLS_DEFAULT, |text| text.parse().unwrap());
    let mut rng = Rng::from_env_or(SEED);
    let seed = rng.seed();
    let (mut made, mut stories) = (0, 0);
    while made < kills {
        let story = Story::new(&mut rng);
        made += story.kill_and_finish((kills - made).min(KILLS_PER_STORY), &mut rng);
        story.check();
        stories += 1;
    }
    println!(
        "{made} kills of a daemon with {stories} sessions of {DOWNLOADS} downloads and {UPLOADS} \
         uploads: every end was heard once (seed {seed})"
    );
}

/// One session from its first transfer to the last word of its app.
struct Story {
    bench: Bench,
    server: Server,
    /// Keeps transfers from ending before the app is dead.
    gate: Gate,
    downloads: Vec<Content>,
    uploads: Vec<Content>,
    sender: Sender<News>,
    news: Receiver<News>,
    /// Where daemons say that they listen.
    readiness: UnixDatagram,
}

/// What the test waits for.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// The app was called, has heard everything and has said so.
    Over,
    /// The daemon has ended.
    Died(ExitStatus),
}

/// A daemon that runs, or has ended.
struct Daemon {
    pid: u32,
    complaints: Receiver<String>,
}

impl Daemon {
    /// Sends it a signal. It may have ended.
    fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.pid);
        Command::new("sh").args(["-c", &script]).status().unwrap();
    }

    /// What it has said, once it has ended.
    fn complaints(&self) -> String {
        self.complaints.recv_timeout(PATIENCE).unwrap_or_default()
    }
}

impl Story {
    fn new(rng: &mut Rng) -> Self {
        let (bench, server, gate) = (Bench::new(), Server::start(), Gate::new());
        let mut content = || Content::new(rng.next_u64(), rng.within(0..BYTES_MAX));
        let downloads: Vec<_> = (0..DOWNLOADS).map(|_| content()).collect();
        let uploads: Vec<_> = (0..UPLOADS).map(|_| content()).collect();
        for (index, content) in downloads.iter().enumerate() {
            let path = format!("/d{index}");
            server.serve(&path, Resource::new(*content));
            let slow = Reply::normal().bytes_per_second(MIB);
            server.script(&path, [slow.hold_at(content.len() / 2, &gate)]);
        }
        for (index, content) in uploads.iter().enumerate() {
            content
                .write_file(&bench.file(&format!("u{index}")))
                .unwrap();
            let held = Reply::status(201).hold_head(&gate);
            server.script(&format!("/u{index}"), [held]);
        }
        let (sender, news) = channel();
        let listener = UnixListener::bind(app::over_in(&place_of(&bench))).unwrap();
        let readiness = UnixDatagram::bind(place_of(&bench).join("notify.sock")).unwrap();
        readiness.set_read_timeout(Some(PATIENCE)).unwrap();
        let over = sender.clone();
        thread::spawn(
            move || {
                while listener.accept().is_ok() && over.send(News::Over).is_ok() {}
            },
        );
        Self {
            bench,
            server,
            gate,
            downloads,
            uploads,
            sender,
            news,
            readiness,
        }
    }

    fn place(&self) -> PathBuf {
        place_of(&self.bench)
    }

    /// A daemon, which ends itself at this fault point. Its end is news.
    fn start_daemon(&self, fault: Option<u64>) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.arg("daemon");
        command.arg("--socket").arg(app::socket_in(&self.place()));
        command.arg("--state-dir").arg(self.bench.state());
        // The budget of calls has tests of its own.
        command.args(["--launch-interval", "0s", "--launch-delay", "0s"]);
        self.bench.confine(&mut command);
        // As systemd hears of it.
        command.env("NOTIFY_SOCKET", self.place().join("notify.sock"));
        if let Some(point) = fault {
            command.env(FAULT_VARIABLE, point.to_string());
        }
        let mut process = self.bench.start(command);
        let (pid, news) = (process.id(), self.sender.clone());
        let (complain, complaints) = channel();
        thread::spawn(move || {
            let status = process.wait(LIFE_MAX).unwrap();
            let status = status.expect("a daemon lives as long as its story");
            // The test may have heard enough.
            let _ = complain.send(process.stderr().unwrap());
            let _ = news.send(News::Died(status));
        });
        Daemon { pid, complaints }
    }

    /// Starts the app when the daemon listens, and kills it while all of its transfers run.
    fn let_the_app_die(&self) {
        let mut said = [0; 1024];
        let length = self.readiness.recv(&mut said).unwrap();
        assert!(said[..length].starts_with(b"READY=1"));
        let mut app = self.start_app();
        let answered = self.server.wait_for(|requests| {
            let paths: std::collections::BTreeSet<_> =
                requests.iter().map(|request| &request.path).collect();
            paths.len() == DOWNLOADS + UPLOADS
        });
        assert!(
            !answered.iter().any(|request| request.is_finished),
            "all run"
        );
        app.kill().unwrap();
        app.wait().unwrap();
        self.gate.open();
    }

    /// Starts the app, which answers when everything of it is recorded.
    fn start_app(&self) -> Child {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", APP, "--nocapture"]);
        command.env(app::VARIABLE, self.place());
        command.env(app::SERVER_VARIABLE, self.server.url(""));
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut app = command.spawn().unwrap();
        let lines = BufReader::new(app.stdout.take().unwrap()).lines();
        let mut words = lines.map_while(Result::ok);
        assert!(words.any(|line| line == app::STARTED), "it did not start");
        app
    }

    fn next_news(&self) -> News {
        let news = self.news.recv_timeout(PATIENCE);
        news.unwrap_or_else(|_| panic!("the app has not heard everything: {}", self.journal()))
    }

    fn wait_for(&self, expected: &News) {
        let news = self.next_news();
        assert_eq!(news, *expected, "{}", self.journal());
    }

    /// Kills the daemon at most so often, at fault points, and starts it again each time; how often it
    /// was killed before the app had heard everything.
    fn kill_and_finish(&self, most: u64, rng: &mut Rng) -> u64 {
        let mut daemon = self.start_daemon(None);
        self.let_the_app_die();
        // The first kill comes from outside: a daemon must live for the app to begin.
        daemon.signal("KILL");
        for kills in 1..=most {
            match self.next_news() {
                News::Died(status) => {
                    assert_eq!(status.signal(), Some(9), "{}", daemon.complaints());
                }
                News::Over => {
                    daemon.signal("KILL");
                    return kills - 1;
                }
            }
            let fault = (kills < most).then(|| rng.within(1..FAULTS));
            daemon = self.start_daemon(fault);
        }
        self.wait_for(&News::Over);
        daemon.signal("KILL");
        most
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(app::journal_in(&self.place())).unwrap_or_default()
    }

    /// Judges what the app has heard, what lies on the disk and what the server has.
    fn check(&self) {
        let journal = self.journal();
        if let Err(why) = oracle::judge(&journal, &self.downloads, &self.uploads) {
            panic!("{why}\n{journal}");
        }
        for (index, content) in self.downloads.iter().enumerate() {
            self.bench.assert_file(&format!("d{index}"), *content);
        }
        for (index, content) in self.uploads.iter().enumerate() {
            let sent = self.server.requests_for(&format!("/u{index}"));
            let is_whole = sent
                .iter()
                .any(|request| *request.body == content.bytes(0..content.len()));
            assert!(is_whole, "upload {index} has not arrived");
        }
        assert_eq!(
            self.bench.names().len(),
            DOWNLOADS + UPLOADS,
            "nothing is left behind"
        );
    }
}

fn place_of(bench: &Bench) -> PathBuf {
    bench.outputs()
}
