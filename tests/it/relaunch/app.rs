//! The app: its first life starts everything and is killed, a later one is called and hears it.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use longhaul::{
    Delegate, DownloadRequest, Engine, Error, LaunchCommand, Outcome, SessionConfiguration, TaskId,
    UploadProtocol, UploadRequest,
};

use super::{APP, DOWNLOADS, UPLOADS};
use crate::bench::PATIENCE;
use crate::face::block_on;

/// This process is the app, and its files lie here.
pub(super) const VARIABLE: &str = "LONGHAUL_RELAUNCHED_APP";

/// Where the app's server is.
pub(super) const SERVER_VARIABLE: &str = "LONGHAUL_RELAUNCHED_SERVER";

/// What the app prints when everything of it is recorded.
pub(super) const STARTED: &str = "started everything";

const NAME: &str = "com.example.relaunched";

pub(super) fn socket_in(place: &Path) -> PathBuf {
    place.join("run/control.sock")
}

pub(super) fn over_in(place: &Path) -> PathBuf {
    place.join("over.sock")
}

pub(super) fn journal_in(place: &Path) -> PathBuf {
    place.join("journal")
}

/// One life of the app.
pub(super) fn live(place: &Path) {
    block_on(async {
        let connector = Engine::connector().socket(socket_in(place));
        let engine = connector.connect().await.unwrap();
        match env::var_os("LONGHAUL_LAUNCH") {
            None => start(&engine, place).await,
            Some(_) => hear(&engine, place).await,
        }
    });
}

/// The session, whose app is this very program.
fn configuration(place: &Path) -> SessionConfiguration {
    let program = env::current_exe().unwrap();
    let words = [program.to_str().unwrap(), "--exact", APP];
    let command = LaunchCommand::new(words, place).unwrap();
    let command = command.variable(VARIABLE, place.to_str().unwrap()).unwrap();
    let tasks = u32::try_from(DOWNLOADS + UPLOADS).unwrap();
    SessionConfiguration::new(NAME)
        .unwrap()
        .tasks_max(tasks)
        .unwrap()
        .tasks_per_host_max(tasks)
        .unwrap()
        .launch_command(command)
}

/// Starts every transfer, and is killed.
async fn start(engine: &Engine, place: &Path) {
    let url = env::var(SERVER_VARIABLE).unwrap();
    let file = |name: &str| place.with_file_name("files").join(name);
    let session = engine.session(configuration(place)).await.unwrap();
    let downloads = (0..DOWNLOADS).map(|index| {
        let name = format!("d{index}");
        DownloadRequest::new(&format!("{url}/{name}"), file(&name)).unwrap()
    });
    let uploads = (0..UPLOADS).map(|index| {
        let name = format!("u{index}");
        let request = UploadRequest::new(&format!("{url}/{name}"), file(&name)).unwrap();
        let request = request.protocol(UploadProtocol::Plain).unwrap();
        request.repeatable()
    });
    for started in session.start_downloads(downloads.collect()).await.unwrap() {
        started.unwrap();
    }
    for started in session.start_uploads(uploads.collect()).await.unwrap() {
        started.unwrap();
    }
    // A line of its own, whatever the runner of tests prints.
    let mut stage = std::io::stdout().lock();
    writeln!(stage, "\n{STARTED}").unwrap();
    drop(stage);
    loop {
        thread::park();
    }
}

/// Hears everything that happened while it was away, and says so.
async fn hear(engine: &Engine, place: &Path) {
    let call = engine.next_refresh_task().await.expect("it was called");
    assert_eq!(call.session_identifier(), NAME);
    let session = match engine.session(configuration(place)).await {
        // It was called once more while it is still at it.
        Err(Error::SessionInUse { .. }) => return,
        opened => opened.unwrap(),
    };
    let journal = OpenOptions::new()
        .create(true)
        .append(true)
        .open(journal_in(place));
    let (all, is_all) = channel();
    let listener = Listener {
        journal: Mutex::new(journal.unwrap()),
        all,
    };
    listener.write("called");
    let guard = session.set_delegate(Arc::new(listener)).await.unwrap();
    is_all.recv_timeout(PATIENCE).unwrap();
    guard.detach().await;
    // An earlier call has expired when the daemon was killed meanwhile: everything is heard all the same.
    match call.set_task_completed().await {
        Ok(()) | Err(Error::RefreshExpired) => {}
        Err(error) => panic!("{error}"),
    }
    UnixStream::connect(over_in(place)).unwrap();
}

/// Writes down each end.
struct Listener {
    journal: Mutex<File>,
    all: Sender<()>,
}

impl Listener {
    fn write(&self, line: &str) {
        let mut journal = self.journal.lock().unwrap();
        journal.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

impl Delegate for Listener {
    fn did_complete(&self, task: TaskId, outcome: &Outcome) {
        let end = match outcome {
            Outcome::Finished(file) => format!("finished {}", file.bytes),
            Outcome::Uploaded(sent) => format!("uploaded {}", sent.bytes),
            other => format!("{other:?}"),
        };
        self.write(&format!("{task} {end}"));
    }

    fn session_finished_events(&self) {
        self.write("all");
        // The one who listens has heard it already when tasks end one after the other.
        let _ = self.all.send(());
    }
}
