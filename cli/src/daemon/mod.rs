//! `longhaul daemon`: an engine behind the control API on a Unix socket, for every program of one user.

mod body;
mod idle;
mod launcher;
mod metrics;
mod notify;
mod problems;
mod routes;
mod run;
mod server;
mod socket;
mod streams;

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use longhaul::Engine;
use longhaul::control::Control;
use tokio::sync::oneshot;

pub(crate) use run::run;
pub use socket::{Endpoint, StartError};

use self::server::Site;

/// When the streams have ended, what is still being written to those who read has this long.
const ANSWERS_TIME_MAX: Duration = Duration::from_millis(300);

/// The control API of a running engine, served on a Unix socket.
///
/// It has threads of its own. Dropping it cuts every connection and leaves the engine alone.
#[derive(Debug)]
pub struct Daemon {
    control: Control,
    stop: oneshot::Sender<(How, oneshot::Sender<()>)>,
}

/// How serving ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The engine stops first, and everybody is told.
    InOrder,
    /// Connections are cut; the engine goes on.
    Cut,
}

impl Daemon {
    /// Serves `engine` on a socket at `path`, until it is stopped or the engine is.
    ///
    /// # Errors
    /// See [`Endpoint::bind`]; [`StartError::Threads`] when no thread could be started.
    pub fn start(engine: Engine, path: &Path) -> Result<Self, StartError> {
        Self::serve(engine, Endpoint::bind(path)?)
    }

    /// Serves `engine` on this socket.
    ///
    /// # Errors
    /// [`StartError::Threads`] when no thread could be started, [`StartError::Socket`] when the socket
    /// takes no connections, [`StartError::Engine`] when the engine runs in another process.
    pub fn serve(engine: Engine, endpoint: Endpoint) -> Result<Self, StartError> {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::sync_channel(1);
        let site = Data::new(Site::new(engine).map_err(StartError::Engine)?);
        let control = site.control.clone();
        let threads = |error: String| StartError::Threads(error);
        thread::Builder::new()
            .name("longhaul-api".to_owned())
            .spawn(move || {
                let system = actix_web::rt::System::new();
                system.block_on(serve(site, endpoint, &ready, stopped));
            })
            .map_err(|error| threads(error.to_string()))?;
        let started = is_ready.recv();
        started.unwrap_or_else(|_| Err(threads("it ended at once".to_owned())))?;
        Ok(Self { control, stop })
    }

    /// Stops in good order: transfers record how far they are, clients are told, answers are sent,
    /// the engine and the server stop, and the socket is removed unless systemd made it.
    pub async fn stop(self) {
        self.end(How::InOrder).await;
    }

    /// Cuts every connection, as a kill would, and gives the socket back. The engine goes on, and
    /// another one may serve it.
    pub async fn cut(self) {
        self.end(How::Cut).await;
    }

    async fn end(self, how: How) {
        let (done, is_done) = oneshot::channel();
        // Both fail only when it has ended already.
        let _ = self.stop.send((how, done));
        let _ = is_done.await;
    }
}

/// The thread of the daemon.
async fn serve(
    site: Data<Site>,
    endpoint: Endpoint,
    ready: &mpsc::SyncSender<Result<(), StartError>>,
    mut stop: oneshot::Receiver<(How, oneshot::Sender<()>)>,
) {
    let Endpoint { listener, holding } = endpoint;
    let server = match server::serve(listener, site.clone(), run::descriptors_max()) {
        Ok(server) => server,
        Err(error) => {
            let path = holding.path().display().to_string();
            let error = format!(
                "{path} takes no connections: {error}; name another one with --socket PATH"
            );
            // Whoever started this waits for it.
            let _ = ready.send(Err(StartError::Socket(error)));
            return;
        }
    };
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let socket = holding.path().as_os_str().to_owned();
    let launcher = launcher::launch_all(site.control.clone(), socket, site.metrics.clone());
    let launcher = actix_web::rt::spawn(launcher);
    let _ = ready.send(Ok(()));
    let (how, done) = tokio::select! {
        // Dropped: whoever served it needs it no more.
        asked = &mut stop => asked.map_or((How::Cut, None), |(how, done)| (how, Some(done))),
        _ = site.engine.stopped() => (How::InOrder, None),
    };
    if how == How::InOrder {
        site.engine.shutdown().await;
    }
    launcher.abort();
    close(&handle, how).await;
    drop(holding);
    drop(site);
    if let Some(done) = done {
        let _ = done.send(());
    }
    // Whoever asks while it stops by itself waits until here.
    drop(stop);
}

/// Ends the server: in good order what is being answered is sent first.
async fn close(server: &ServerHandle, how: How) {
    if how == How::InOrder {
        let answered = tokio::time::timeout(ANSWERS_TIME_MAX, server.stop(true)).await;
        if answered.is_ok() {
            return;
        }
    }
    server.stop(false).await;
}
