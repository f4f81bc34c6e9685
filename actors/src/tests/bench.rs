//! What every test here stands on: virtual time, directories, engines that start again, a listener.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::System;
use longhaul_engine::event::{Event, Fact, NumberedFact};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::safe_url::parse_http_url;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{
    Collision, Desired, Destination, DownloadSpec, Finished, NotificationTitles, Outcome, Phase,
    Spec, TaskOptions, UploadSpec, Uploaded,
};
use longhaul_engine::time::Timestamp;
use longhaul_engine::upload::UploadProtocol;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::server::Server;
use crate::child::Place;
use crate::desktop::{Desktop, Notice, Post};
use crate::handle::{EngineHandle, SessionHandle, StartRequest, Subscription};
use crate::intake::Intake;
use crate::net::{Dial, TcpDial};
use crate::scheduling::Scheduling;
use crate::threads::start_here;
use crate::time::{Clock, Shift};
use crate::transfer::forget_clients;
use crate::world::{World, WorldParts};

/// Virtual time after which a test hangs.
const DEADLINE: Duration = Duration::from_secs(3600);

/// How often a test that waits for something looks, in virtual time.
const LOOK: Duration = Duration::from_millis(10);

/// What the engine's clock says when a test begins.
const BASE: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// Notices that no test exceeds.
const NOTICES_MAX: usize = 1024;

/// The titles of every task.
pub(super) const SUCCESS: &str = "\u{4e0b}\u{8f7d}\u{6210}\u{529f}";
pub(super) const FAILURE: &str = "\u{4e0b}\u{8f7d}\u{5931}\u{8d25}";

/// Runs a test on one thread under virtual time. One that hangs fails after [`DEADLINE`].
pub(crate) fn virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    // The pooled connections of an earlier system on this thread lead nowhere.
    forget_clients();
    System::with_tokio_rt(runtime).block_on(async {
        tokio::time::timeout(DEADLINE, test)
            .await
            .expect("the test hangs: an hour has passed")
    })
}

/// Runs a test on one thread under the real clock, as sockets need it.
pub(crate) fn real_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    forget_clients();
    System::with_tokio_rt(runtime).block_on(test)
}

/// Bytes that look like a file, the same for the same arguments.
pub(super) fn content(bytes: usize, seed: usize) -> Arc<[u8]> {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        std::iter::repeat_with(next)
            .take((1 << 20) + (1 << 17))
            .flatten()
            .collect()
    });
    Arc::from(&noise[seed * 4099..][..bytes])
}

/// Directories, a server, and the clock of all engines of a test.
pub(super) struct Bench {
    directory: tempfile::TempDir,
    origin: Instant,
    /// Sets the clock of all its engines.
    pub(super) shift: &'static Shift,
    pub(super) server: Server,
    desktop: Desktop,
    notices: Rc<RefCell<Vec<Notice>>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        // A file system in memory, where there is one: a thousand stores are synced there.
        let memory = Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let directory = directory.expect("a directory");
        for name in ["state", "files", "sources"] {
            std::fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        let (sender, posts) = mpsc::channel(NOTICES_MAX);
        let notices = Rc::default();
        actix_rt::spawn(take_posts(posts, Rc::clone(&notices)));
        Self {
            desktop: Desktop::into_channel(sender),
            notices,
            directory,
            origin: Instant::now(),
            // A clock is copied everywhere; a test's is small.
            shift: Box::leak(Box::default()),
            server: Server::default(),
        }
    }

    /// Starts an engine on this thread. The one before must have stopped.
    pub(super) async fn engine(&self) -> EngineHandle {
        start_here(self.world()).await.expect("an engine")
    }

    /// The same, and what holds its commits up.
    pub(super) async fn engine_with_intake(&self) -> (EngineHandle, Intake) {
        let world = self.world();
        let intake = world.intake.clone();
        (start_here(world).await.expect("an engine"), intake)
    }

    /// The same over real sockets; never under virtual time.
    pub(super) async fn engine_over_sockets(&self) -> EngineHandle {
        let mut world = self.world();
        world.make_dial = Arc::new(|| Rc::new(TcpDial) as Rc<dyn Dial>);
        start_here(world).await.expect("an engine")
    }

    /// The same, with at most so many tasks at once.
    pub(super) async fn engine_with_places(&self, tasks_max: u32) -> EngineHandle {
        let scheduling = Scheduling::new(Some(tasks_max), None);
        let world = self.world().with_scheduling(scheduling);
        start_here(world).await.expect("an engine")
    }

    /// The same, and every session goes on at once.
    pub(super) async fn engine_that_resumes(&self) -> EngineHandle {
        let mut world = self.world();
        world.resumes_sessions = true;
        start_here(world).await.expect("an engine")
    }

    /// What the engine's clock says.
    pub(super) fn now(&self) -> Timestamp {
        self.clock().now()
    }

    const fn clock(&self) -> Clock {
        Clock::Runtime {
            base: BASE,
            origin: self.origin,
            shift: self.shift,
        }
    }

    fn world(&self) -> World {
        let clock = self.clock();
        let mut world = World::new(WorldParts {
            clock,
            state_dir: self.directory.path().join("state"),
            store_path: self.store_path(),
            parts_dir: self.directory.path().join("state/parts"),
            registry_place: Place::Here,
            worker_places: vec![Place::Here],
            make_dial: self.server.make_dial(),
        });
        world.desktop = self.desktop.clone();
        world
    }

    /// What a person was told.
    pub(super) fn notices(&self) -> Vec<Notice> {
        self.notices.borrow().clone()
    }

    /// The desktop takes no notification and says nothing.
    pub(super) fn hang_desktop(&mut self) -> mpsc::Receiver<Post> {
        let (sender, posts) = mpsc::channel(1);
        self.desktop = Desktop::into_channel(sender);
        posts
    }

    pub(super) fn store_path(&self) -> PathBuf {
        self.directory.path().join("state/store.redb")
    }

    /// The path of a finished file.
    pub(super) fn target(&self, name: &str) -> PathBuf {
        self.directory.path().join("files").join(name)
    }

    /// The names of all files where downloads go, part files included.
    pub(super) fn files(&self) -> Vec<String> {
        let directories = ["files", "state/parts"].map(|it| self.directory.path().join(it));
        let mut names: Vec<_> = directories.iter().flat_map(|it| names_in(it)).collect();
        names.sort();
        names
    }

    /// A download of `http://AT` to the file of the last part of its path.
    pub(super) fn spec(&self, at: &str) -> DownloadSpec {
        let (_, name) = at.rsplit_once('/').expect("a path");
        DownloadSpec {
            url: parse_http_url(&format!("http://{at}")).expect("a url").url,
            destination: Destination::File(self.target(name)),
            collision: Collision::Fail,
            headers: Vec::new(),
            credentials: None,
            digests: Vec::new(),
            length: None,
            connections: 1,
            allow_unvalidated_resume: false,
            allow_encoded: false,
            allow_downgrade: false,
            options: told(),
            accept_error_status: false,
        }
    }

    /// Puts a file where uploads take theirs.
    pub(super) fn put_source(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join("sources").join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// The names of all files where uploads take theirs.
    pub(super) fn sources(&self) -> Vec<String> {
        names_in(&self.directory.path().join("sources"))
    }

    /// An upload of the file of the last part of `at` to `http://AT`.
    pub(super) fn upload(&self, at: &str) -> UploadSpec {
        let (_, name) = at.rsplit_once('/').expect("a path");
        UploadSpec {
            url: parse_http_url(&format!("http://{at}")).expect("a url").url,
            source: self.directory.path().join("sources").join(name),
            method: "PUT".to_owned(),
            protocol: UploadProtocol::Plain,
            place: None,
            is_repeatable: false,
            metadata: Vec::new(),
            checksum: None,
            headers: Vec::new(),
            credentials: None,
            allow_downgrade: false,
            request_id: 0,
            is_adoptable: false,
            options: told(),
        }
    }

    /// How an upload of `bytes` ends when all is well.
    pub(super) fn uploaded(bytes: usize) -> Outcome {
        Outcome::Uploaded(Uploaded {
            status: 201,
            bytes: u64::try_from(bytes).expect("a length"),
            headers: vec![("content-length".to_owned(), "4".to_owned())],
            response: b"got!".to_vec(),
        })
    }

    /// How a download of `bytes` to `name` ends when all is well.
    pub(super) fn finished(&self, name: &str, bytes: usize) -> Outcome {
        Outcome::Finished(Finished {
            path: self.target(name),
            bytes: u64::try_from(bytes).expect("a length"),
            length_unverified: false,
            status: 200,
        })
    }

    /// What lies at a target, if anything does.
    pub(super) fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.target(name)).ok()
    }

    /// Virtual time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// The names of all files in a directory, which may not be there, in order.
fn names_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// A person is told of the end.
pub(super) fn told() -> TaskOptions {
    TaskOptions {
        notify_on_finished: Some(NotificationTitles {
            success: SUCCESS.to_owned(),
            failure: FAILURE.to_owned(),
        }),
        ..TaskOptions::default()
    }
}

/// A desktop that shows everything at once.
async fn take_posts(mut posts: mpsc::Receiver<Post>, notices: Rc<RefCell<Vec<Notice>>>) {
    while let Some(post) = posts.recv().await {
        match post {
            Post::Show(notice) => notices.borrow_mut().push(notice),
            Post::Done(done) => {
                // Who waited may have given up.
                let _ = done.send(());
            }
        }
    }
}

/// A session of this name, made or found.
pub(super) async fn session(engine: &EngineHandle, name: &str) -> SessionHandle {
    session_with(engine, name, SessionRules::default()).await
}

/// The same with these rules.
pub(super) async fn session_with(
    engine: &EngineHandle,
    name: &str,
    rules: SessionRules,
) -> SessionHandle {
    let id = SessionId::new(name).expect("a name");
    engine.open_session(id, rules).await.expect("a session")
}

/// The same with downloads that begin with it.
pub(super) async fn session_with_requests(
    engine: &EngineHandle,
    name: &str,
    rules: SessionRules,
    requests: Vec<StartRequest>,
) -> (SessionHandle, Heard, Vec<TaskId>) {
    let id = SessionId::new(name).expect("a name");
    let opened = engine.open_session_with(id, rules, requests).await;
    let opened = opened.expect("a session");
    let tasks = opened.started.into_iter();
    (
        opened.session,
        Heard::from(opened.events),
        tasks.map(|task| task.expect("a task")).collect(),
    )
}

/// Requests for tasks, which all adopt or all do not.
pub(super) fn requests(specs: Vec<impl Into<Spec>>, adopts: bool) -> Vec<StartRequest> {
    let request = |spec| StartRequest {
        spec,
        adopts,
        desired: Desired::Running,
    };
    specs.into_iter().map(Into::into).map(request).collect()
}

/// Starts downloads that nothing speaks against.
pub(super) async fn start(session: &SessionHandle, specs: Vec<impl Into<Spec>>) -> Vec<TaskId> {
    let started = session
        .start(requests(specs, false))
        .await
        .expect("an answer");
    started
        .into_iter()
        .map(|task| task.expect("a task"))
        .collect()
}

/// Starts one.
pub(super) async fn start_one(session: &SessionHandle, spec: impl Into<Spec>) -> TaskId {
    start(session, vec![spec]).await[0]
}

/// Waits until something is true, in virtual time.
pub(super) async fn until(mut is_true: impl AsyncFnMut() -> bool) {
    while !is_true().await {
        tokio::time::sleep(LOOK).await;
    }
}

/// What a task does.
pub(super) async fn phase(session: &SessionHandle, task: TaskId) -> Phase {
    session.view(task).await.expect("a view").phase
}

/// Waits until a task does this.
pub(super) async fn until_phase(session: &SessionHandle, task: TaskId, expected: &Phase) {
    until(async || phase(session, task).await == *expected).await;
}

/// Listens to a session.
pub(super) async fn listen(session: &SessionHandle) -> Heard {
    Heard::from(session.subscribe(None).await.expect("a subscription"))
}

/// Everything that a subscription told so far, with when it did.
#[derive(Clone, Default)]
pub(super) struct Heard(Rc<RefCell<Vec<(Instant, Event)>>>, Rc<RefCell<bool>>);

impl Heard {
    /// Reads a subscription to its end.
    pub(super) fn from(mut subscription: Subscription) -> Self {
        let heard = Self::default();
        let log = heard.clone();
        actix_rt::spawn(async move {
            while let Some(event) = poll_fn(|context| subscription.poll_next(context)).await {
                log.0.borrow_mut().push((Instant::now(), event));
            }
            *log.1.borrow_mut() = true;
        });
        heard
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.0
            .borrow()
            .iter()
            .map(|(_, event)| event.clone())
            .collect()
    }

    pub(super) fn facts(&self) -> Vec<NumberedFact> {
        facts_of(&self.events())
    }

    /// When the events of one kind were told.
    pub(super) fn times(&self, is_meant: impl Fn(&Event) -> bool) -> Vec<Instant> {
        let heard = self.0.borrow();
        heard
            .iter()
            .filter(|(_, event)| is_meant(event))
            .map(|(at, _)| *at)
            .collect()
    }

    /// The subscription is over.
    pub(super) fn is_over(&self) -> bool {
        *self.1.borrow()
    }

    /// Waits for so many facts and gives all.
    pub(super) async fn until_facts(&self, count: usize) -> Vec<NumberedFact> {
        until(async || self.facts().len() >= count).await;
        self.facts()
    }
}

/// The facts among events.
pub(super) fn facts_of(events: &[Event]) -> Vec<NumberedFact> {
    let fact = |event: &Event| match event {
        Event::Fact(fact) => Some(fact.clone()),
        _ => None,
    };
    events.iter().filter_map(fact).collect()
}

/// Of which task a fact is, and how it ended.
pub(super) fn ending(fact: &NumberedFact) -> (TaskId, Outcome) {
    match &fact.fact {
        Fact::Completed { task, outcome, .. } => (*task, outcome.clone()),
        other => panic!("a fact that nobody expects: {other:?}"),
    }
}
