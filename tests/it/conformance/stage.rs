//! What the tests of the suite stand on: a server with one file, an engine, and a delegate that
//! notes everything.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longhaul::{
    Challenge, Conditions, DelayedRequest, Delegate, DelegateGuard, Disposition, DownloadRequest,
    DownloadTask, Engine, EngineBuilder, Failure, FailureKind, Finished, Outcome, Phase, Progress,
    Session, SessionConfiguration, TaskId, TaskMetrics,
};
use longhaul_cli::daemon::Daemon;
use longhaul_support::content::Content;
use longhaul_support::log::PATIENCE;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB};

/// Where the file is.
pub(super) const PATH: &str = "/a.bin";

/// The file: long enough to be cut in its middle.
pub(super) const CONTENT: Content = Content::new(901, 2 * MIB + 7);

/// The name of the session.
pub(super) const NAME: &str = "com.example.conformance";

/// A network that costs nothing, on the mains.
pub(super) const FREE: Conditions = Conditions {
    is_online: Some(true),
    is_metered: Some(false),
    is_constrained: Some(false),
    is_on_battery: Some(false),
};

/// Where transfers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    /// In the process of the app.
    Embedded,
    /// In a daemon, to which the app is connected.
    Daemon,
}

impl Backend {
    /// The variable that says where the suite runs.
    pub(super) const VARIABLE: &str = "LONGHAUL_CONFORMANCE";

    pub(super) fn of_this_run() -> Self {
        match std::env::var(Self::VARIABLE).as_deref() {
            Ok("daemon") => Self::Daemon,
            Ok(other) => panic!("{}={other}: there is \"daemon\" only", Self::VARIABLE),
            Err(_) => Self::Embedded,
        }
    }
}

/// The defaults, only that what fails is soon tried again.
pub(super) fn configuration() -> SessionConfiguration {
    let second = Duration::from_secs(1);
    let configuration = SessionConfiguration::new(NAME).unwrap();
    configuration
        .retry_delay(second / 100, second / 10)
        .unwrap()
}

/// A server with one file, directories, and the process that transfers, if that is another one.
pub(super) struct Stage {
    daemon: OnceCell<Daemon>,
    pub(super) bench: Bench,
    pub(super) server: Server,
}

impl Stage {
    pub(super) fn new() -> Self {
        let server = Server::start();
        server.serve(PATH, Resource::new(CONTENT));
        Self {
            daemon: OnceCell::new(),
            bench: Bench::new(),
            server,
        }
    }

    /// One whose server gives these answers first; the last one repeats.
    pub(super) fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let stage = Self::new();
        stage.server.script(PATH, replies);
        stage
    }

    pub(super) async fn engine(&self) -> Engine {
        self.engine_with(|builder| builder).await
    }

    /// An engine that is given this: in this process, or that of a daemon, which is started by the
    /// first call and lives as long as the stage.
    pub(super) async fn engine_with(
        &self,
        give: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Engine {
        let start = || give(Engine::builder(self.bench.state())).start().unwrap();
        let engine = match Backend::of_this_run() {
            Backend::Embedded => start(),
            Backend::Daemon => {
                let socket = self.bench.outputs().join("run/control.sock");
                self.daemon
                    .get_or_init(|| Daemon::start(start(), &socket).unwrap());
                let connecting = Engine::connector().socket(&socket).connect();
                connecting.await.unwrap()
            }
        };
        // Whatever the machine is like that the tests run on.
        engine.set_conditions(FREE);
        engine
    }

    pub(super) async fn open(&self) -> (Engine, Session) {
        self.open_as(configuration()).await
    }

    pub(super) async fn open_as(&self, configuration: SessionConfiguration) -> (Engine, Session) {
        let engine = self.engine().await;
        let session = engine.session(configuration).await.unwrap();
        (engine, session)
    }

    /// A request for the file under this name.
    pub(super) fn request(&self, name: &str) -> DownloadRequest {
        self.request_for(PATH, name)
    }

    pub(super) fn request_for(&self, path: &str, name: &str) -> DownloadRequest {
        DownloadRequest::new(&self.server.url(path), self.bench.file(name)).unwrap()
    }

    /// Starts a download of the file under this name.
    pub(super) async fn start(&self, session: &Session, name: &str) -> DownloadTask {
        session.start_download(self.request(name)).await.unwrap()
    }

    /// Starts a download and waits until a request for it has come.
    pub(super) async fn started(&self, session: &Session, name: &str) -> DownloadTask {
        let task = self.start(session, name).await;
        self.server.wait_for(|requests| !requests.is_empty());
        task
    }

    /// Checks that the file is there under this name, whole.
    #[track_caller]
    pub(super) fn assert_file(&self, name: &str) {
        self.bench.assert_file(name, CONTENT);
    }

    /// How many requests have come for this path.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.server.requests_for(path).len()
    }
}

/// Waits until the task is in such a phase, by its events, which come when it changes.
pub(super) async fn until(task: &DownloadTask, mut is_meant: impl FnMut(&Phase) -> bool) -> Phase {
    let mut events = task.events().await.unwrap();
    loop {
        let phase = task.phase().await.unwrap();
        if is_meant(&phase) {
            return phase;
        }
        assert_ne!(phase, Phase::Completed, "it has ended otherwise");
        events.next().await.expect("the engine runs");
    }
}

/// Waits until the first mebibyte of the task is in its file.
pub(super) async fn until_held(task: &DownloadTask) {
    let mut events = task.events().await.unwrap();
    while task.progress().await.unwrap().received_bytes < MIB {
        events.next().await.expect("the engine runs");
    }
}

#[track_caller]
pub(super) fn finished(outcome: &Outcome) -> &Finished {
    match outcome {
        Outcome::Finished(file) => file,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn failure(outcome: &Outcome) -> &Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// How a download with such a request fails that is not tried again.
pub(super) async fn failure_of(stage: &Stage, request: DownloadRequest) -> FailureKind {
    let (engine, session) = stage.open_as(configuration().retries_max(0)).await;
    let task = session.start_download(request).await.unwrap();
    let outcome = task.finished().await.unwrap();
    engine.shutdown().await;
    failure(&outcome).kind()
}

/// A message of a delegate.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Challenged(TaskId, Challenge),
    WillBegin(TaskId),
    Resumed(TaskId, u64, Option<u64>),
    Wrote(TaskId, Progress),
    Sent(TaskId, Progress),
    Finished(TaskId, PathBuf),
    Measured(TaskId, TaskMetrics),
    Completed(TaskId, Outcome),
    AllFinished,
    BecameInvalid,
    StateLost,
}

type Answer<T> = Mutex<Box<dyn FnMut() -> T + Send>>;

/// A delegate that notes what it is told, and answers what it was told to.
pub(super) struct Witness {
    sender: Mutex<Sender<Told>>,
    disposition: Answer<Disposition>,
    begin: Answer<DelayedRequest>,
}

/// What a [`Witness`] has noted.
pub(super) struct Heard(Receiver<Told>);

impl Witness {
    pub(super) fn new() -> (Self, Heard) {
        let (sender, receiver) = channel();
        let witness = Self {
            sender: Mutex::new(sender),
            disposition: Mutex::new(Box::new(|| Disposition::PerformDefaultHandling)),
            begin: Mutex::new(Box::new(|| DelayedRequest::ContinueLoading)),
        };
        (witness, Heard(receiver))
    }

    /// Answers challenges with what `answer` makes, one after the other.
    pub(super) fn answering(self, answer: impl FnMut() -> Disposition + Send + 'static) -> Self {
        *self.disposition.lock().unwrap() = Box::new(answer);
        self
    }

    /// Decides about delayed requests with what `answer` makes.
    pub(super) fn deciding(self, answer: impl FnMut() -> DelayedRequest + Send + 'static) -> Self {
        *self.begin.lock().unwrap() = Box::new(answer);
        self
    }

    fn note(&self, told: Told) {
        // The test may have heard enough.
        let _ = self.sender.lock().unwrap().send(told);
    }
}

impl Delegate for Witness {
    fn did_receive_challenge(&self, task: TaskId, challenge: &Challenge) -> Disposition {
        self.note(Told::Challenged(task, challenge.clone()));
        self.disposition.lock().unwrap()()
    }

    fn will_begin_delayed_request(&self, task: TaskId) -> DelayedRequest {
        self.note(Told::WillBegin(task));
        self.begin.lock().unwrap()()
    }

    fn did_resume_at_offset(&self, task: TaskId, offset: u64, total_bytes: Option<u64>) {
        self.note(Told::Resumed(task, offset, total_bytes));
    }

    fn did_write_data(&self, task: TaskId, progress: Progress) {
        self.note(Told::Wrote(task, progress));
    }

    fn did_send_body_data(&self, task: TaskId, progress: Progress) {
        self.note(Told::Sent(task, progress));
    }

    fn did_finish_downloading(&self, task: TaskId, file: &Finished) {
        assert_eq!(file.path.metadata().unwrap().len(), file.bytes);
        self.note(Told::Finished(task, file.path.clone()));
    }

    fn did_finish_collecting_metrics(&self, task: TaskId, metrics: &TaskMetrics) {
        self.note(Told::Measured(task, metrics.clone()));
    }

    fn did_complete(&self, task: TaskId, outcome: &Outcome) {
        self.note(Told::Completed(task, outcome.clone()));
    }

    fn session_finished_events(&self) {
        self.note(Told::AllFinished);
    }

    fn did_become_invalid(&self) {
        self.note(Told::BecameInvalid);
    }

    fn state_lost(&self) {
        self.note(Told::StateLost);
    }
}

impl Heard {
    /// Everything up to and with the first message that is meant.
    #[track_caller]
    pub(super) fn until(&self, is_meant: impl Fn(&Told) -> bool) -> Vec<Told> {
        let mut told = Vec::new();
        while !told.last().is_some_and(&is_meant) {
            match self.0.recv_timeout(PATIENCE) {
                Ok(message) => told.push(message),
                Err(error) => panic!("{error} after {told:?}"),
            }
        }
        told
    }

    /// Everything up to and with this message.
    #[track_caller]
    pub(super) fn until_told(&self, last: &Told) -> Vec<Told> {
        self.until(|told| told == last)
    }

    /// Everything up to the end of the delegate, which nobody holds any more.
    #[track_caller]
    pub(super) fn until_let_go(&self) -> Vec<Told> {
        let mut told = Vec::new();
        loop {
            match self.0.recv_timeout(PATIENCE) {
                Ok(message) => told.push(message),
                Err(RecvTimeoutError::Disconnected) => return told,
                Err(RecvTimeoutError::Timeout) => panic!("it is still held after {told:?}"),
            }
        }
    }
}

/// The tasks that have ended among these messages, and how.
pub(super) fn completed(told: &[Told]) -> Vec<(TaskId, &Outcome)> {
    let mut ends = Vec::new();
    for message in told {
        if let Told::Completed(task, outcome) = message {
            ends.push((*task, outcome));
        }
    }
    ends
}

/// A session with a delegate that notes everything.
pub(super) async fn attend(session: &Session, witness: Witness) -> DelegateGuard {
    session.set_delegate(Arc::new(witness)).await.unwrap()
}
