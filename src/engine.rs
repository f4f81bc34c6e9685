//! Starting and stopping an engine.

mod connecting;
mod scheduling;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longhaul_actors::handle::{EngineHandle, EngineOptions, StartRequest};
use longhaul_engine::conditions::ConditionSource;
use longhaul_engine::launch::LaunchRules;

pub use self::connecting::{Connector, default_socket};
use crate::session::{named, named_uploads};
use crate::{
    DownloadRequest, DownloadTask, Error, Events, Session, SessionConfiguration, UploadRequest,
    UploadTask,
};

/// Threads that run transfers when the caller names no number: two keep a loopback or a 10 Gbit/s
/// link busy, and more cost memory in every small program.
const WORKER_THREADS_DEFAULT: usize = 2;

/// More worker threads than any machine needs that this was measured on.
const WORKER_THREADS_MAX: usize = 64;

/// A running engine: the actor system that owns one state directory.
///
/// It has threads of its own, so its handles work from any executor and from plain threads with
/// any `block_on`. Cloning gives another handle of the same engine; when the last one and those of
/// its sessions and tasks are dropped, it stops in good order.
///
/// What survives: everything that a call answered, and the bytes that had reached the files. When
/// the process ends without [`Engine::shutdown`], be it by a kill, the next engine on the same
/// directory goes on from the last record.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) handle: EngineHandle,
}

/// How an engine is to be started; made by [`Engine::builder`].
#[must_use = "a builder does nothing until it is started"]
pub struct EngineBuilder {
    state_dir: PathBuf,
    worker_threads: usize,
    launch_rules: LaunchRules,
    recreate_damaged_store: bool,
    resume_sessions: bool,
    tasks_max: Option<u32>,
    conditions: Option<Box<dyn ConditionSource>>,
    #[cfg(feature = "test-util")]
    pub(crate) clock: Option<crate::VirtualClock>,
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("state_dir", &self.state_dir)
            .field("worker_threads", &self.worker_threads)
            .field("tasks_max", &self.tasks_max)
            .finish_non_exhaustive()
    }
}

/// A session that was opened with downloads by [`Engine::session_with`], or with uploads by
/// [`Engine::session_with_uploads`].
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenedSession<T = DownloadTask> {
    /// The session.
    pub session: Session,
    /// What [`Session::events`] gives, with the news of the first moment too.
    pub events: Events,
    /// One result for each request, in their order.
    pub tasks: Vec<Result<T, Error>>,
}

impl Engine {
    /// Describes an engine over `state_dir`, which is made with mode 0700 when it is missing. One
    /// engine at a time owns a directory.
    pub fn builder(state_dir: impl AsRef<Path>) -> EngineBuilder {
        let state_dir = state_dir.as_ref().to_path_buf();
        EngineBuilder {
            state_dir,
            worker_threads: WORKER_THREADS_DEFAULT,
            launch_rules: LaunchRules::default(),
            recreate_damaged_store: false,
            resume_sessions: false,
            tasks_max: None,
            conditions: None,
            #[cfg(feature = "test-util")]
            clock: None,
        }
    }

    /// Opens the session of this name, making it when it is not there, and lets its unfinished
    /// tasks go on. It has one owner: the answer and everything made from it.
    ///
    /// The configuration is copied and frozen. It is that of whoever opened the session last: one that
    /// an earlier owner or process left takes the one given now, also while its tasks are on their
    /// way. When it is another one than before, their transfers record how far they are and go on with
    /// it. One that is being invalidated stays so: see [`Session::state`].
    ///
    /// # Errors
    /// [`Error::SessionInUse`] while a handle of it is alive, [`Error::Stopped`] or [`Error::Store`].
    pub async fn session(&self, configuration: SessionConfiguration) -> Result<Session, Error> {
        let SessionConfiguration { id, rules } = configuration;
        Ok(Session::new(self.handle.open_session(id, rules).await?))
    }

    /// Opens a session and starts downloads in it as one step, which is how a program goes on that
    /// asks for the same again after it was killed: what was left running goes on with the options of
    /// the request that [takes it over](DownloadRequest::adopt_existing) from its first moment, so
    /// that it never ends with the checksum of before. It answers after the commit, which holds the
    /// session and all requests; each has its result. In a session that is open already it is
    /// [`Session::start_downloads`].
    ///
    /// # Errors
    /// [`Error::Stopped`] or [`Error::Store`]: then it is not known which tasks were made, and the
    /// same call with requests that adopt is the way on.
    pub async fn session_with(
        &self,
        configuration: SessionConfiguration,
        requests: Vec<DownloadRequest>,
    ) -> Result<OpenedSession, Error> {
        let SessionConfiguration { id, rules } = configuration;
        let named = named(&requests);
        let requests = requests.into_iter().map(StartRequest::from).collect();
        let opened = self.handle.open_session_with(id, rules, requests).await?;
        let session = Session::new(opened.session);
        Ok(OpenedSession {
            tasks: session.tasks_of(named, opened.started),
            events: Events::new(opened.events),
            session,
        })
    }

    /// As [`Engine::session_with`], for uploads: what was left running goes on with the options of the
    /// request that [takes it over](UploadRequest::adopt_existing) from its first moment.
    ///
    /// # Errors
    /// As [`Engine::session_with`].
    pub async fn session_with_uploads(
        &self,
        configuration: SessionConfiguration,
        requests: Vec<UploadRequest>,
    ) -> Result<OpenedSession<UploadTask>, Error> {
        let SessionConfiguration { id, rules } = configuration;
        let named = named_uploads(&requests);
        let requests = requests.into_iter().map(StartRequest::from).collect();
        let opened = self.handle.open_session_with(id, rules, requests).await?;
        let session = Session::new(opened.session);
        Ok(OpenedSession {
            tasks: session.uploads_of(named, opened.started),
            events: Events::new(opened.events),
            session,
        })
    }

    /// Records how far every transfer is, stops them all, closes the store and frees the state
    /// directory. It takes at most 2 s; doing it twice is harmless.
    ///
    /// An engine in another process is only let go: its transfers go on, and the sessions that were
    /// opened here are free for others.
    pub async fn shutdown(&self) {
        self.handle.shutdown().await;
    }

    /// As [`Engine::shutdown`], also for an engine in another process: the daemon stops in good order,
    /// for all of its apps. It goes on with all of them when it is started again.
    ///
    /// # Errors
    /// [`Error::Store`] and the like when the daemon fails; one that is not there has stopped.
    pub async fn stop_daemon(&self) -> Result<(), Error> {
        Ok(self.handle.stop_daemon().await?)
    }

    /// Waits until the engine has stopped, or was let go.
    ///
    /// # Errors
    /// [`Error::Stopped`] with the reason when it stopped by itself, because its restart budget was
    /// spent. The process decides what to do; a new engine goes on with what is recorded.
    pub async fn stopped(&self) -> Result<(), Error> {
        match self.handle.stopped().await {
            None => Ok(()),
            Some(reason) => Err(Error::Stopped {
                reason: Some(reason),
            }),
        }
    }
}

impl EngineBuilder {
    /// Threads that run transfers: 2 to 64, 2 without this. A number outside is moved to the
    /// nearer end.
    pub fn worker_threads(mut self, threads: NonZeroUsize) -> Self {
        self.worker_threads = threads
            .get()
            .clamp(WORKER_THREADS_DEFAULT, WORKER_THREADS_MAX);
        self
    }

    /// How often an app that is away may be called; see [`Engine::next_refresh_task`].
    pub const fn launch_rules(mut self, rules: LaunchRules) -> Self {
        self.launch_rules = rules;
        self
    }

    /// What to do about a damaged store. Without this, or with `false`, [`EngineBuilder::start`] fails
    /// and names the file. With `true` it reads the whole store, some 10 µs for each task, and when
    /// anything in it is damaged it keeps the file as `store.redb.damaged-1` (the next free number)
    /// and makes a new store. Every session that is opened in that one for the first time hears
    /// [`Fact::StateLost`](crate::Fact::StateLost) as its first fact: its tasks are lost, their part
    /// files are left behind.
    pub const fn recreate_damaged_store(mut self, recreate: bool) -> Self {
        self.recreate_damaged_store = recreate;
        self
    }

    /// Lets the unfinished tasks of every session go on from the start, as if each had been opened with
    /// the configuration that it had last: a program that only has to finish what others began needs
    /// no identifiers. Without this, or with `false`, a session's tasks wait for [`Engine::session`].
    ///
    /// Who opens such a session later finds its tasks on their way. When the configuration is another
    /// one than before, their transfers record how far they are and go on with the new one. Delayed
    /// tasks whose time comes before that just begin, as without any delegate.
    pub const fn resume_sessions(mut self, resume: bool) -> Self {
        self.resume_sessions = resume;
        self
    }

    /// Starts the engine and returns when its store is open. It blocks for that time, some
    /// milliseconds, and may be called from anywhere, also within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::StateInUse`] when another process owns the directory, [`Error::State`] when it or
    /// the store in it can not be used, [`Error::Threads`] when no thread could be started.
    pub fn start(self) -> Result<Engine, Error> {
        let state_dir = std::path::absolute(&self.state_dir).map_err(|error| {
            Error::State(format!(
                "the state directory \"{}\" is no usable path: {error}; give another one",
                self.state_dir.display()
            ))
        })?;
        let options = EngineOptions {
            state_dir,
            workers: self.worker_threads,
            launch_rules: self.launch_rules,
            recreate_damaged_store: self.recreate_damaged_store,
            resume_sessions: self.resume_sessions,
            tasks_max: self.tasks_max,
            conditions: self.conditions,
            #[cfg(feature = "test-util")]
            clock: self.clock.map(|clock| clock.inner),
        };
        Ok(Engine {
            handle: EngineHandle::start(options)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_worker_threads_stays_in_its_bounds() {
        for (given, used) in [(1, 2), (2, 2), (8, 8), (1000, 64)] {
            let given = NonZeroUsize::new(given).unwrap();
            assert_eq!(
                Engine::builder("x").worker_threads(given).worker_threads,
                used
            );
        }
    }

    #[test]
    fn a_state_directory_without_a_name_is_refused() {
        assert!(matches!(Engine::builder("").start(), Err(Error::State(_))));
    }
}
