//! What a person is told of the ends of tasks, over a private D-Bus with a desktop that is a mock.
//!
//! The app is this very test binary: it finds the bus as every app does, by its environment. It reads
//! orders from its standard input and says how each task ended.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _, stderr, stdin, stdout};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use longhaul::{DownloadRequest, Engine, Outcome, Session, SessionConfiguration, UploadRequest};
use longhaul_support::bus::PrivateBus;
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, PATIENCE};

const NOTIFICATIONS: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// The titles of the documents.
const DOWNLOADED: &str = "下载成功";
const NOT_DOWNLOADED: &str = "下载失败";
const UPLOADED: &str = "上传成功";
const NOT_UPLOADED: &str = "上传失败";

/// This process is the app, and its files lie here.
const APP_VARIABLE: &str = "LONGHAUL_NOTIFYING_APP";

/// The test that is the app when [`APP_VARIABLE`] is set.
const APP: &str = "notifications::an_app_without_a_bus_goes_on_and_says_so_once";

/// What the app prints before each end.
const ENDED: &str = "ended ";

/// What the log says once when nobody takes notifications.
const COMPLAINT: &str = "no desktop takes notifications";

/// Half of the time that a desktop gets for one answer: whoever waits for the desktop is slower.
const AT_ONCE: Duration = Duration::from_millis(2500);

#[test]
fn an_app_without_a_bus_goes_on_and_says_so_once() {
    if let Ok(place) = env::var(APP_VARIABLE) {
        return app(Path::new(&place));
    }
    let story = Story::new();
    let mut app = story.start("unix:path=/nowhere/bus");
    for _ in 0..3 {
        story.ends_at_once(&mut app);
    }
    assert_eq!(app.stop(), 1);
}

#[test]
fn titles_arrive_byte_for_byte_with_the_name_of_the_file() {
    for (capabilities, body) in [
        ("body actions", "文件 <1> & 2.zip"),
        ("body body-markup actions", "文件 &lt;1&gt; &amp; 2.zip"),
    ] {
        let (story, mut bus) = (Story::new(), PrivateBus::start().unwrap());
        let parameters = format!("{{\"capabilities\": \"{capabilities}\"}}");
        bus.mock_with("notification_daemon", NOTIFICATIONS, &parameters)
            .unwrap();
        let name = "文件 <1> & 2.zip";
        let mut app = story.start(bus.address());
        assert_eq!(app.download(&story.url("/missing"), name), "failed");
        assert_eq!(app.download(&story.url("/f"), name), "finished");
        fs::write(story.bench.file("源.bin"), "bytes").unwrap();
        assert_eq!(app.upload(&story.url("/takes"), "源.bin"), "uploaded");
        assert_eq!(app.upload(&story.url("/refuses"), "源.bin"), "failed");
        assert_eq!(app.cancel(&story.url("/held"), "cancelled"), "cancelled");
        // What ended last is shown before the engine has stopped.
        assert_eq!(app.stop(), 0);
        let with_action = [
            "longhaul", "", DOWNLOADED, body, "default", "Open", "category",
        ];
        let done = "transfer.complete";
        let broken = "transfer.error";
        assert_eq!(
            calls(&bus),
            [
                vec!["longhaul", "", NOT_DOWNLOADED, body, "category", broken],
                [&with_action[..], &[done]].concat(),
                vec!["longhaul", "", UPLOADED, "源.bin", "category", done],
                vec!["longhaul", "", NOT_UPLOADED, "源.bin", "category", broken],
            ]
        );
    }
}

#[test]
fn a_click_opens_the_file_and_nothing_else_does() {
    let (story, mut bus) = (Story::new(), PrivateBus::start().unwrap());
    desktop(&mut bus);
    let mut app = story.start(bus.address());
    for name in ["one", "two", "three"] {
        assert_eq!(app.download(&story.url("/f"), name), "finished");
    }
    until_calls(&bus, 3);
    let signal = format!("{NOTIFICATIONS}.ActionInvoked");
    let click = |id: u32, action: &str| {
        let arguments = format!("[{id}, {action:?}]");
        let arguments = ("us", arguments.as_str());
        bus.emit(NOTIFICATIONS, PATH, &signal, arguments).unwrap();
    };
    let arguments = ["uint32:1", "string:default"];
    bus.emit_as_a_stranger(PATH, &signal, &arguments).unwrap();
    click(99, "default");
    click(1, "other");
    let closed = format!("{NOTIFICATIONS}.NotificationClosed");
    bus.emit(NOTIFICATIONS, PATH, &closed, ("uu", "[3, 2]"))
        .unwrap();
    click(3, "default");
    click(2, "default");
    assert_eq!(story.opener.opened(), story.bench.file("two"));
    // It still runs, as some openers do until the person closes the file, and holds up nobody.
    app.stop();
}

#[test]
fn a_bus_that_never_answers_delays_nothing_and_is_logged_once() {
    let story = Story::new();
    let socket = story.bench.outputs().join("silent");
    let silent = UnixListener::bind(&socket).unwrap();
    let mut app = story.start(&format!("unix:path={}", socket.display()));
    story.ends_at_once(&mut app);
    // It has come to ask, and nobody answers.
    let (asking, _) = silent.accept().unwrap();
    for _ in 0..2 {
        story.ends_at_once(&mut app);
    }
    // It gives up what it asked for when its time for an answer is over, and asks for the next.
    let (asking_again, _) = silent.accept().unwrap();
    drop(asking);
    story.ends_at_once(&mut app);
    let start = Instant::now();
    assert_eq!(app.stop(), 1);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    drop(asking_again);
}

#[test]
fn a_desktop_that_goes_is_found_when_it_is_back_and_a_bus_that_dies_delays_nothing() {
    let (story, mut bus) = (Story::new(), PrivateBus::start().unwrap());
    desktop(&mut bus);
    let mut app = story.start(bus.address());
    story.ends_at_once(&mut app);
    until_calls(&bus, 1);
    bus.unmock(NOTIFICATIONS).unwrap();
    story.ends_at_once(&mut app);
    // The second is given up before the third is taken.
    app.until_complaint();
    desktop(&mut bus);
    story.ends_at_once(&mut app);
    until_calls(&bus, 1);
    drop(bus);
    for _ in 0..2 {
        story.ends_at_once(&mut app);
    }
    assert_eq!(app.stop(), 1);
}

#[test]
fn an_app_that_is_killed_before_a_person_was_told_tells_nobody_later() {
    let (story, mut bus) = (Story::new(), PrivateBus::start().unwrap());
    let socket = story.bench.outputs().join("silent");
    let silent = UnixListener::bind(&socket).unwrap();
    let mut app = story.start(&format!("unix:path={}", socket.display()));
    assert_eq!(app.download(&story.url("/f"), "lost"), "finished");
    let (asking, _) = silent.accept().unwrap();
    app.kill();
    drop(asking);
    desktop(&mut bus);
    let mut app = story.start(bus.address());
    assert_eq!(app.download(&story.url("/f"), "told"), "finished");
    app.stop();
    let told: Vec<_> = calls(&bus)
        .into_iter()
        .map(|call| call[3].clone())
        .collect();
    assert_eq!(told, ["told"]);
}

/// A desktop that knows actions.
fn desktop(bus: &mut PrivateBus) {
    let parameters = "{\"capabilities\": \"body actions\"}";
    bus.mock_with("notification_daemon", NOTIFICATIONS, parameters)
        .unwrap();
}

fn calls(bus: &PrivateBus) -> Vec<Vec<String>> {
    bus.texts_of_calls(NOTIFICATIONS, PATH, "Notify").unwrap()
}

/// Waits until the desktop was asked for so many notifications.
fn until_calls(bus: &PrivateBus, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    // Each look is a process of its own, which is pause enough.
    while calls(bus).len() < count {
        assert!(Instant::now() < deadline, "{:?}", calls(bus));
    }
}

/// A server, and a place for apps.
struct Story {
    server: Server,
    /// Before the directories that it lies in: it ends first.
    opener: Opener,
    bench: Bench,
    /// A head that never comes.
    _held: Gate,
}

impl Story {
    fn new() -> Self {
        let (server, bench, held) = (Server::start(), Bench::new(), Gate::new());
        server.serve("/f", Resource::new(Content::new(9, 70_000)));
        server.serve("/held", Resource::new(Content::new(9, 1)));
        server.script("/held", [Reply::normal().hold_head(&held)]);
        server.script("/takes", [Reply::status(201)]);
        server.script("/refuses", [Reply::status(403)]);
        let opener = Opener::new(&bench.outputs());
        Self {
            server,
            bench,
            opener,
            _held: held,
        }
    }

    fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Starts the app on this bus.
    fn start(&self, bus: &str) -> App {
        let [orders, answers, log] = [(); 3].map(|()| UnixStream::pair().unwrap());
        for (ours, _) in [&answers, &log] {
            ours.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let theirs = |stream: UnixStream| Stdio::from(OwnedFd::from(stream));
        let mut path = vec![self.opener.directory.clone()];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", APP, "--nocapture"])
            .env(APP_VARIABLE, self.bench.state().parent().unwrap())
            .env("DBUS_SESSION_BUS_ADDRESS", bus)
            .env("PATH", env::join_paths(path).unwrap())
            .stdin(theirs(orders.1))
            .stdout(theirs(answers.1))
            .stderr(theirs(log.1))
            .spawn()
            .unwrap();
        App {
            child,
            orders: orders.0,
            answers: BufReader::new(answers.0),
            log: BufReader::new(log.0),
            complaints: 0,
        }
    }

    /// One more download, which must not wait for the desktop.
    fn ends_at_once(&self, app: &mut App) {
        let start = Instant::now();
        let name = format!("{}", self.bench.names().len());
        assert_eq!(app.download(&self.url("/f"), &name), "finished");
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    }
}

/// What stands in for the desktop's own opener: it says what it was to open, and runs on.
struct Opener {
    directory: PathBuf,
}

impl Opener {
    fn new(beside: &Path) -> Self {
        let directory = beside.join("bin");
        fs::create_dir(&directory).unwrap();
        for name in ["opened", "end"] {
            let made = Command::new("mkfifo").arg(directory.join(name)).status();
            assert!(made.unwrap().success());
        }
        let shown = directory.display();
        let script =
            format!("#!/bin/sh\nprintf '%s' \"$1\" >'{shown}/opened'\nread end <'{shown}/end'\n");
        let path = directory.join("xdg-open");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { directory }
    }

    /// The file that was opened first.
    fn opened(&self) -> PathBuf {
        let (sender, receiver) = channel();
        let pipe = self.directory.join("opened");
        thread::spawn(move || sender.send(fs::read_to_string(pipe).unwrap()));
        PathBuf::from(
            receiver
                .recv_timeout(PATIENCE)
                .expect("something is opened"),
        )
    }
}

impl Drop for Opener {
    /// Lets it end, if it runs. For reading and writing a pipe opens at once (fifo(7)).
    fn drop(&mut self) {
        let end = self.directory.join("end");
        File::options().read(true).write(true).open(end).unwrap();
    }
}

/// A run of the app.
struct App {
    child: Child,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
    log: BufReader<UnixStream>,
    complaints: usize,
}

impl App {
    /// How a download to a file of this name ends.
    fn download(&mut self, url: &str, name: &str) -> String {
        self.order("download", url, name)
    }

    /// The same of one that is cancelled when it has begun.
    fn cancel(&mut self, url: &str, name: &str) -> String {
        self.order("cancel", url, name)
    }

    /// How an upload of the file of this name ends.
    fn upload(&mut self, url: &str, name: &str) -> String {
        self.order("upload", url, name)
    }

    fn order(&mut self, what: &str, url: &str, name: &str) -> String {
        let order = format!("{what}\t{url}\t{name}\n");
        self.orders.write_all(order.as_bytes()).unwrap();
        let answers = self.answers.by_ref().lines().map(Result::unwrap);
        let mut ends = answers.filter_map(|line| line.strip_prefix(ENDED).map(str::to_owned));
        ends.next().expect("the app lives")
    }

    /// Reads the log until nobody takes notifications.
    fn until_complaint(&mut self) {
        let mut lines = self.log.by_ref().lines().map(Result::unwrap);
        assert!(
            lines.any(|line| line.contains(COMPLAINT)),
            "nobody complains"
        );
        self.complaints += 1;
    }

    /// Lets it stop its engine; how often the log says that nobody takes notifications.
    fn stop(mut self) -> usize {
        self.orders.shutdown(Shutdown::Write).unwrap();
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        self.complaints + log.matches(COMPLAINT).count()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Both fail only for one that has ended, as it should have.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The app: it does what it is told, one task after the other, and stops at the end of its input.
fn app(place: &Path) {
    tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let engine = Engine::builder(place.join("state")).start().unwrap();
        let configuration = SessionConfiguration::new("com.example.notifications").unwrap();
        let session = engine.session(configuration).await.unwrap();
        let mut answers = stdout();
        for line in stdin().lines() {
            let line = line.unwrap();
            let [what, url, name] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let outcome = obey(&session, what, url, &place.join("files").join(name)).await;
            let end = match outcome {
                Outcome::Finished(_) => "finished",
                Outcome::Uploaded(_) => "uploaded",
                Outcome::Failed(_) => "failed",
                Outcome::Cancelled => "cancelled",
                other => panic!("{other:?}"),
            };
            // A line of its own, whatever the runner of tests prints.
            writeln!(answers, "\n{ENDED}{end}").unwrap();
        }
        engine.shutdown().await;
    });
}

async fn obey(session: &Session, what: &str, url: &str, file: &Path) -> Outcome {
    if what == "upload" {
        let request = UploadRequest::new(url, file).unwrap();
        let request = request.notify_on_finished(UPLOADED, NOT_UPLOADED).unwrap();
        let task = session.start_upload(request).await.unwrap();
        return task.finished().await.unwrap();
    }
    let request = DownloadRequest::new(url, file).unwrap();
    let request = request
        .notify_on_finished(DOWNLOADED, NOT_DOWNLOADED)
        .unwrap();
    let task = session.start_download(request).await.unwrap();
    if what == "cancel" {
        task.cancel().await.unwrap();
    }
    task.finished().await.unwrap()
}
