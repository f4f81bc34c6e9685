//! An app that is killed between any two messages of its delegate: every end arrives at least once,
//! in order, and never two different ones.
//!
//! A plain run makes [`KILLS_DEFAULT`] kills; `LONGHAUL_KILLS=200` makes as many. `LONGHAUL_SEED`
//! repeats a run. The app is this very test binary: it writes down each message before it returns.

mod oracle;

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Stdout, Write as _, stdout};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use longhaul::{Delegate, DownloadRequest, Finished, Outcome, Progress, TaskId};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::seed::Rng;
use longhaul_support::server::Server;

use self::oracle::Journal;
use crate::bench::{Bench, MIB, PATIENCE};
use crate::face::{block_on, open};

/// How many kills to make.
const KILLS_VARIABLE: &str = "LONGHAUL_KILLS";

/// Kills of a plain run.
const KILLS_DEFAULT: u64 = 24;

/// The seed of a plain run.
const SEED: u64 = 20_261_121;

/// Apps under test at the same time.
const WORKERS: u64 = 2;

/// The most kills of one app, which has few messages to hear.
const KILLS_PER_APP: u64 = 8;

/// This process is the app, and its files lie here.
const APP_VARIABLE: &str = "LONGHAUL_DELEGATE_APP";

/// The app does not return from this message, counted from 1, after it wrote it down.
const HOLD_VARIABLE: &str = "LONGHAUL_DELEGATE_HOLD";

/// A process that is to end itself at its n-th fault point.
const FAULT_VARIABLE: &str = "LONGHAUL_FAULT_KILL";

/// Fault points of a whole run of the app are at least about so many.
const FAULTS: u64 = 150;

/// The lengths of the files; every download but these is of a file that is not there.
const LENGTHS: [u64; 6] = [0, 1, 70_000, MIB + 1, 300_000, 5];

/// Downloads of files that are not there.
const MISSING: usize = 3;

/// The test that is the app when [`APP_VARIABLE`] is set.
const APP: &str = "delegate::kill::an_app_that_nobody_kills_hears_every_end_once";

/// What the app prints before each message, for the one who kills it.
const HEARD: &str = "heard ";

/// When to kill.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Within the n-th message: it was written down and does not return.
    Within(u64),
    /// Any time after the n-th message was written down, while the app goes on.
    After(u64),
    /// At the n-th fault point of the actors, by itself.
    Fault(u64),
}

#[test]
fn an_app_that_nobody_kills_hears_every_end_once() {
    if let Ok(place) = env::var(APP_VARIABLE) {
        return app(Path::new(&place));
    }
    let story = Story::new(&mut Rng::new(SEED));
    app(&story.place());
    let journal = story.check();
    assert_eq!((journal.runs(), journal.repeated()), (1, 0), "{journal:#?}");
}

#[test]
fn however_often_the_app_is_killed_its_delegate_hears_every_end_in_order() {
    let kills = env::var(KILLS_VARIABLE).map_or(KILLS_DEFAULT, |text| text.parse().unwrap());
    let base = Rng::from_env_or(SEED).seed();
    let total = Mutex::new((0, 0, 0));
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (total, share) = (&total, (kills + WORKERS - 1 - worker) / WORKERS);
            scope.spawn(move || {
                let mut rng = Rng::new(base.wrapping_add(worker));
                let mut left = share;
                while left > 0 {
                    let mut story = Story::new(&mut rng);
                    let made = story.kill_and_finish(left.min(KILLS_PER_APP), &mut rng);
                    let journal = story.check();
                    left -= made;
                    let mut total = total.lock().unwrap();
                    total.0 += made;
                    total.1 += 1;
                    total.2 += journal.repeated();
                }
            });
        }
    });
    let (made, apps, repeated) = total.into_inner().unwrap();
    assert_eq!(made, kills);
    println!(
        "{made} kills of {apps} apps: every end was heard, in order, {repeated} more than once \
         (seed {base})"
    );
}

/// An app with its downloads on its way through several lives.
struct Story {
    server: Server,
    bench: Bench,
    contents: Vec<Content>,
    /// How each task is to end, in the order of their numbers.
    ends: Vec<(TaskId, String)>,
    moments: Vec<Moment>,
}

impl Story {
    /// The downloads are recorded and nothing of them has come.
    fn new(rng: &mut Rng) -> Self {
        let (server, bench, gate) = (Server::start(), Bench::new(), Gate::new());
        let contents = LENGTHS.map(|length| Content::new(rng.next_u64(), length));
        for (index, content) in contents.iter().enumerate() {
            let path = format!("/{index}");
            server.serve(&path, Resource::new(*content));
            server.script(&path, [Reply::normal().hold_head(&gate)]);
        }
        let requests = (0..LENGTHS.len() + MISSING).map(|index| {
            let url = server.url(&format!("/{index}"));
            DownloadRequest::new(&url, bench.file(&index.to_string())).unwrap()
        });
        let requests = requests.collect();
        let tasks = block_on(async {
            let (engine, session) = open(&bench.state()).await;
            let tasks = session.start_downloads(requests).await.unwrap();
            engine.shutdown().await;
            tasks
        });
        for index in 0..contents.len() {
            let slow = Reply::normal().bytes_per_second(4 * MIB);
            server.script(&format!("/{index}"), [slow]);
        }
        let ends = tasks.into_iter().enumerate().map(|(index, task)| {
            let end = match LENGTHS.get(index) {
                Some(length) => format!("finished with {length} bytes"),
                None => "failed with status".to_owned(),
            };
            (task.unwrap().id(), end)
        });
        Self {
            ends: ends.collect(),
            server,
            bench,
            contents: contents.to_vec(),
            moments: Vec::new(),
        }
    }

    /// Where the app's state directory and its journal are.
    fn place(&self) -> PathBuf {
        self.bench.state().parent().unwrap().to_owned()
    }

    /// Kills it at most so often, then lets it end; how often it was killed.
    fn kill_and_finish(&mut self, most: u64, rng: &mut Rng) -> u64 {
        for kills in 0..most {
            let messages = (self.ends.len() + LENGTHS.len()) as u64;
            let moment = match rng.within(0..3) {
                0 => Moment::Within(rng.within(1..messages)),
                1 => Moment::After(rng.within(1..messages)),
                _ => Moment::Fault(rng.within(1..FAULTS)),
            };
            self.moments.push(moment);
            if !self.run_and_kill(moment) {
                return kills;
            }
        }
        let (mut app, output) = self.start(None);
        BufReader::new(output).lines().for_each(drop);
        assert!(app.wait().unwrap().success(), "{:?}", self.moments);
        most
    }

    /// Runs the app until this moment; false when it ended before.
    fn run_and_kill(&self, moment: Moment) -> bool {
        let (mut app, output) = self.start(Some(moment));
        let count = match moment {
            Moment::Within(count) | Moment::After(count) => count as usize,
            Moment::Fault(_) => usize::MAX,
        };
        let lines = BufReader::new(output).lines();
        // They can be read for as long as the app lives: it notices nothing.
        let mut heard = lines.filter(|line| line.as_ref().unwrap().starts_with(HEARD));
        if heard.by_ref().take(count).count() == count {
            app.kill().unwrap();
        }
        let status = app.wait().unwrap();
        let is_killed = status.signal() == Some(9);
        assert!(
            is_killed || status.success(),
            "{:?}: {status}",
            self.moments
        );
        is_killed
    }

    /// Starts the app; what it prints can be read from the other value.
    fn start(&self, moment: Option<Moment>) -> (Child, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", APP]);
        command.env(APP_VARIABLE, self.place());
        match moment {
            Some(Moment::Within(count)) => command.env(HOLD_VARIABLE, count.to_string()),
            Some(Moment::Fault(point)) => command.env(FAULT_VARIABLE, point.to_string()),
            Some(Moment::After(_)) | None => &mut command,
        };
        let log = File::create(self.bench.outputs().join("stderr")).unwrap();
        let command = command.stdin(Stdio::null()).stderr(log);
        let app = command.stdout(Stdio::from(OwnedFd::from(theirs)));
        let child = app.spawn().unwrap();
        // The command holds the other end; the child alone shall.
        app.stdout(Stdio::null());
        (child, ours)
    }

    /// Judges what the app wrote down, and what is left of it.
    fn check(&self) -> Journal {
        let text = std::fs::read_to_string(journal_in(&self.place())).unwrap();
        let journal = Journal::read(&text);
        if let Err(why) = journal.judge(&self.ends) {
            panic!(
                "{why}: {:?} {:#?}\n{text}",
                self.moments,
                self.server.requests()
            );
        }
        for (index, content) in self.contents.iter().enumerate() {
            self.bench.assert_file(&index.to_string(), *content);
        }
        assert_eq!(self.bench.names().len(), self.contents.len());
        journal
    }
}

/// The app: it opens its session, writes down what its delegate hears, and ends when that is all.
fn app(place: &Path) {
    let hold_at = env::var(HOLD_VARIABLE).map_or(0, |text| text.parse().unwrap());
    block_on(async {
        let (engine, session) = open(&place.join("state")).await;
        let journal = OpenOptions::new()
            .create(true)
            .append(true)
            .open(journal_in(place));
        let (over, is_over) = channel();
        let listener = Listener {
            journal: journal.unwrap(),
            messages: Mutex::new(0),
            hold_at,
            watcher: env::var_os(APP_VARIABLE).map(|_| stdout()),
            over,
        };
        let known = session.get_download_tasks().await.unwrap();
        let ids: Vec<_> = known.iter().map(|task| task.id().to_string()).collect();
        listener.write(&format!("run {}", ids.join(" ")));
        if !known.is_empty() {
            let guard = session.set_delegate(Arc::new(listener)).await.unwrap();
            is_over.recv_timeout(PATIENCE).unwrap();
            guard.detach().await;
        }
        engine.shutdown().await;
    });
}

fn journal_in(place: &Path) -> PathBuf {
    place.join("journal")
}

/// Writes down each message, so that it is there whatever happens next.
struct Listener {
    journal: File,
    messages: Mutex<u64>,
    hold_at: u64,
    /// Where the one who kills this process listens, when there is one.
    watcher: Option<Stdout>,
    over: Sender<()>,
}

impl Listener {
    fn write(&self, line: &str) {
        (&self.journal)
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
        self.journal.sync_data().unwrap();
    }

    fn hear(&self, line: &str) {
        self.write(line);
        let mut messages = self.messages.lock().unwrap();
        *messages += 1;
        if let Some(watcher) = &self.watcher {
            // A line of its own, whatever the runner of tests prints.
            writeln!(watcher.lock(), "\n{HEARD}{line}").unwrap();
        }
        if *messages == self.hold_at {
            loop {
                thread::park();
            }
        }
    }
}

impl Delegate for Listener {
    fn did_write_data(&self, task: TaskId, _: Progress) {
        self.hear(&format!("wrote {task}"));
    }

    fn did_finish_downloading(&self, task: TaskId, _: &Finished) {
        self.hear(&format!("finished {task}"));
    }

    fn did_complete(&self, task: TaskId, outcome: &Outcome) {
        let end = match outcome {
            Outcome::Finished(file) => format!("finished with {} bytes", file.bytes),
            Outcome::Failed(failure) => format!("failed with {}", failure.kind().code()),
            other => format!("{other:?}"),
        };
        self.hear(&format!("completed {task} {end}"));
    }

    fn session_finished_events(&self) {
        self.hear("all");
        self.over.send(()).unwrap();
    }
}
