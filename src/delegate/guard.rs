//! Setting a delegate, and letting go of it.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use longhaul_actors::handle::Attachment;

use crate::blocking::block_on;
use crate::delegate::Delegate;
use crate::delegate::dispatcher::Dispatcher;
use crate::incoming::Incoming;
use crate::{Engine, Error, Session, SessionConfiguration};

/// A delegate is called for as long as this lives, the engine runs and the session is valid. The
/// delegate, the session and its engine are kept alive for that time.
#[must_use = "the delegate is let go when this is dropped"]
pub struct DelegateGuard {
    leash: Arc<Leash>,
}

/// What a guard and its dispatcher tell each other.
#[derive(Debug, Default)]
pub(super) struct Leash(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_released: bool,
    has_ended: bool,
    dispatcher: Option<Waker>,
    waiting: Vec<Waker>,
}

impl Session {
    /// Sets the delegate of the session: from now on it hears, on a thread of its own, every fact
    /// that was not acknowledged, also of earlier processes, and then whatever happens. It may be
    /// called before this has answered. As long as the guard lives the app counts as present.
    ///
    /// A session has one delegate, as in Foundation. The facts that it was told are acknowledged, so
    /// [`Session::events`] beside it is for watching only.
    ///
    /// ```
    /// use std::sync::{Arc, mpsc};
    ///
    /// use longhaul::{Delegate, DownloadRequest, Engine, Outcome, SessionConfiguration, TaskId};
    /// # use longhaul_support::{content::Content, resource::Resource, server::Server};
    ///
    /// struct Listener(mpsc::Sender<String>);
    ///
    /// impl Delegate for Listener {
    ///     fn did_complete(&self, task: TaskId, outcome: &Outcome) {
    ///         let is_there = matches!(outcome, Outcome::Finished(_));
    ///         let _ = self.0.send(format!("task {task}: {is_there}"));
    ///     }
    ///
    ///     fn session_finished_events(&self) {
    ///         let _ = self.0.send("all is done".to_owned());
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let directory = directory.path();
    /// # let server = Server::start();
    /// # server.serve("/a.bin", Resource::new(Content::new(1, 100_000)));
    /// # let url = server.url("/a.bin");
    /// let engine = Engine::builder(directory.join("state")).start()?;
    /// let session = engine.session(SessionConfiguration::new("com.example")?).await?;
    /// let (sender, heard) = mpsc::channel();
    /// let guard = session.set_delegate(Arc::new(Listener(sender))).await?;
    ///
    /// session.start_download(DownloadRequest::new(&url, directory.join("a.bin"))?).await?;
    /// assert_eq!(heard.recv()?, "task 1: true");
    /// assert_eq!(heard.recv()?, "all is done");
    ///
    /// guard.detach().await;
    /// # engine.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::DelegateInUse`] when the session has one, [`Error::Threads`] or [`Error::Stopped`].
    pub async fn set_delegate(&self, delegate: Arc<dyn Delegate>) -> Result<DelegateGuard, Error> {
        let attachment = self.link().attach();
        self.employ(delegate, attachment).await
    }

    async fn employ(
        &self,
        delegate: Arc<dyn Delegate>,
        attachment: Attachment,
    ) -> Result<DelegateGuard, Error> {
        let link = self.link();
        let seat = link.take_seat().ok_or(Error::DelegateInUse)?;
        let incoming = Incoming::new(link.subscribe(None).await?);
        let leash = Arc::new(Leash::default());
        let dispatcher = Dispatcher::new((**link).clone(), incoming, delegate, Arc::clone(&leash));
        let ending = Ending(Arc::clone(&leash));
        let run = move || {
            block_on(dispatcher.run());
            drop((attachment, seat));
            drop(ending);
        };
        thread::Builder::new()
            .name("longhaul-delegate".to_owned())
            .spawn(run)
            .map_err(|error| Error::Threads(error.to_string()))?;
        Ok(DelegateGuard { leash })
    }
}

impl Engine {
    /// Opens a session and sets its delegate before any of its tasks goes on
    /// (`URLSession(configuration:delegate:delegateQueue:)`). With [`Engine::session`] and
    /// [`Session::set_delegate`] a delayed task whose time has come may begin between the two,
    /// because nobody is there to be asked
    /// ([`Delegate::will_begin_delayed_request`]).
    ///
    /// # Errors
    /// As [`Engine::session`] and [`Session::set_delegate`].
    pub async fn session_with_delegate(
        &self,
        configuration: SessionConfiguration,
        delegate: Arc<dyn Delegate>,
    ) -> Result<(Session, DelegateGuard), Error> {
        let attachment = self.handle.attach(&configuration.id);
        let session = self.session(configuration).await?;
        let guard = session.employ(delegate, attachment).await?;
        Ok((session, guard))
    }
}

impl DelegateGuard {
    /// Lets the delegate go and waits until its last call has returned: no method is called any
    /// more, and the session can be given another delegate. What it was not told yet, and what was
    /// not acknowledged, is told to the next one. It must not be waited for in a method of the
    /// delegate itself.
    pub async fn detach(self) {
        self.leash.release();
        self.ended().await;
    }

    /// Waits until the delegate is called no more because the engine has stopped, or
    /// [`Delegate::did_become_invalid`] has returned.
    pub async fn ended(&self) {
        poll_fn(|context| self.leash.poll_ended(context)).await;
    }
}

impl Drop for DelegateGuard {
    /// Lets the delegate go without waiting: a call that runs goes on to its end.
    fn drop(&mut self) {
        self.leash.release();
    }
}

impl fmt::Debug for DelegateGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelegateGuard").finish_non_exhaustive()
    }
}

impl Leash {
    /// Whether the guard is gone; if not, the dispatcher is woken when it goes.
    pub(super) fn is_released(&self, context: &Context<'_>) -> bool {
        let mut state = self.lock();
        state.dispatcher = Some(context.waker().clone());
        state.is_released
    }

    fn release(&self) {
        let mut state = self.lock();
        state.is_released = true;
        if let Some(waker) = state.dispatcher.take() {
            waker.wake();
        }
    }

    fn poll_ended(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.has_ended {
            return Poll::Ready(());
        }
        // Who polls again and again waits once.
        if !state.waiting.iter().any(|it| it.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the dispatcher has ended, however it did.
struct Ending(Arc<Leash>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_ended = true;
        for waker in state.waiting.drain(..) {
            waker.wake();
        }
    }
}
