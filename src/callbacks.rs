//! The callbacks of single tasks, and the one thread of a session that calls them.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use longhaul_actors::handle::{CallError, SessionHandle};
use longhaul_engine::event::Event;
use longhaul_engine::id::TaskId;
use longhaul_engine::task::{Outcome, Progress};

use crate::Error;
use crate::blocking::block_on;
use crate::incoming::Incoming;

type OnProgress = Box<dyn FnMut(Progress) + Send>;
type OnEnd = Box<dyn FnOnce(&Outcome) + Send>;

/// The end of one task, as soon as there is one.
type End = Pin<Box<dyn Future<Output = (TaskId, Result<Outcome, CallError>)> + Send>>;

/// What an app wants to be called back for.
pub(crate) enum Callback {
    /// How far the task is: never after its end.
    Progress(OnProgress),
    /// A download has its file, or has ended without.
    FinishDownload(OnEnd),
    /// The task has ended. It comes last.
    Complete(OnEnd),
}

/// The callbacks of a session's tasks. A thread runs as long as there are any, and keeps the session
/// open for that time.
#[derive(Default)]
pub(crate) struct Callbacks {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A task is in here from the setting of its first callback until its end.
    tasks: HashMap<TaskId, OfTask>,
    /// The ends of new ones in `tasks`, which the thread shall wait for.
    arrivals: Vec<End>,
    wants_progress: bool,
    is_running: bool,
    waker: Option<Waker>,
}

#[derive(Default)]
struct OfTask {
    on_progress: Option<OnProgress>,
    on_finish_download: Option<OnEnd>,
    on_complete: Option<OnEnd>,
}

/// What the thread does next.
enum Step {
    Ended(TaskId, Result<Outcome, CallError>),
    Progressed(TaskId, Progress),
    /// Somebody wants to hear of progress.
    Listen,
    /// No callback is left.
    Rest,
}

/// How the thread hears of progress.
enum Ear {
    /// Nobody asked for it.
    Closed,
    Open(Box<Incoming>),
    /// The engine has stopped.
    Deaf,
}

impl Callbacks {
    /// Sets a callback. It is called once for an end that has been already.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`], [`Error::Stopped`], [`Error::Store`] or [`Error::Threads`]; then it is
    /// never called.
    pub(crate) async fn set(
        self: &Arc<Self>,
        session: &SessionHandle,
        task: TaskId,
        callback: Callback,
    ) -> Result<(), Error> {
        let Some(callback) = self.lock().replace(task, callback) else {
            return Ok(());
        };
        let end = end_of(session, task).await?;
        self.add(session, task, callback, end)
    }

    fn add(
        self: &Arc<Self>,
        session: &SessionHandle,
        task: TaskId,
        callback: Callback,
        end: End,
    ) -> Result<(), Error> {
        let mut state = self.lock();
        // Somebody else may have set another one meanwhile.
        let Some(callback) = state.replace(task, callback) else {
            return Ok(());
        };
        if !state.is_running {
            let (callbacks, session) = (Arc::clone(self), session.clone());
            thread::Builder::new()
                .name("longhaul-callbacks".to_owned())
                .spawn(move || block_on(callbacks.serve(session)))
                .map_err(|error| Error::Threads(error.to_string()))?;
            state.is_running = true;
        }
        state.tasks.insert(task, OfTask::default());
        state.replace(task, callback);
        state.arrivals.push(end);
        state.wake();
        Ok(())
    }

    /// The life of the thread.
    async fn serve(&self, session: SessionHandle) {
        let mut ends = FuturesUnordered::new();
        let mut ear = Ear::Closed;
        loop {
            match poll_fn(|context| self.poll_step(context, &mut ends, &mut ear)).await {
                Step::Ended(task, Ok(outcome)) => self.call_ended(task, &outcome),
                Step::Ended(task, Err(error)) => {
                    self.lock().tasks.remove(&task);
                    tracing::warn!(%task, %error, "the callbacks of a task are not called");
                }
                Step::Progressed(task, progress) => self.call_progressed(task, progress),
                Step::Listen => {
                    let heard = session.subscribe(None).await;
                    ear =
                        heard.map_or(Ear::Deaf, |heard| Ear::Open(Box::new(Incoming::new(heard))));
                }
                Step::Rest => return,
            }
        }
    }

    fn poll_step(
        &self,
        context: &mut Context<'_>,
        ends: &mut FuturesUnordered<End>,
        ear: &mut Ear,
    ) -> Poll<Step> {
        let wants_progress = {
            let mut state = self.lock();
            if state.tasks.is_empty() {
                *state = State::default();
                return Poll::Ready(Step::Rest);
            }
            state.waker = Some(context.waker().clone());
            ends.extend(state.arrivals.drain(..));
            state.wants_progress
        };
        if let Poll::Ready(Some((task, outcome))) = ends.poll_next_unpin(context) {
            return Poll::Ready(Step::Ended(task, outcome));
        }
        match ear {
            Ear::Closed if wants_progress => return Poll::Ready(Step::Listen),
            Ear::Open(incoming) => {
                while let Poll::Ready(event) = incoming.poll_next(context) {
                    match event {
                        Some(Event::Progress { task, progress }) => {
                            return Poll::Ready(Step::Progressed(task, progress));
                        }
                        Some(_) => {}
                        None => {
                            *ear = Ear::Deaf;
                            break;
                        }
                    }
                }
            }
            Ear::Closed | Ear::Deaf => {}
        }
        Poll::Pending
    }

    fn call_ended(&self, task: TaskId, outcome: &Outcome) {
        let removed = self.lock().tasks.remove(&task);
        let Some(of_task) = removed else { return };
        for call in [of_task.on_finish_download, of_task.on_complete] {
            if let Some(call) = call
                && catch_unwind(AssertUnwindSafe(|| call(outcome))).is_err()
            {
                tracing::error!(%task, "a callback for the end of a task panicked");
            }
        }
    }

    fn call_progressed(&self, task: TaskId, progress: Progress) {
        let mut state = self.lock();
        let of_task = state.tasks.get_mut(&task);
        let Some(mut call) = of_task.and_then(|of_task| of_task.on_progress.take()) else {
            return;
        };
        drop(state);
        if catch_unwind(AssertUnwindSafe(|| call(progress))).is_err() {
            tracing::error!(%task, "a callback for progress panicked and is not called again");
            return;
        }
        // Unless another one was set meanwhile.
        if let Some(of_task) = self.lock().tasks.get_mut(&task) {
            of_task.on_progress.get_or_insert(call);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sets a callback of a task that has some; gives it back when the task has none.
    fn replace(&mut self, task: TaskId, callback: Callback) -> Option<Callback> {
        let Some(of_task) = self.tasks.get_mut(&task) else {
            return Some(callback);
        };
        match callback {
            Callback::Progress(call) => {
                of_task.on_progress = Some(call);
                self.wants_progress = true;
                self.wake();
            }
            Callback::FinishDownload(call) => of_task.on_finish_download = Some(call),
            Callback::Complete(call) => of_task.on_complete = Some(call),
        }
        None
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("tasks", &self.lock().tasks.len())
            .finish_non_exhaustive()
    }
}

/// Waits for the end of a task from now on: once this has answered, the end is heard of even when it
/// is acknowledged by somebody else in the same moment.
async fn end_of(session: &SessionHandle, task: TaskId) -> Result<End, Error> {
    let asking = session.clone();
    let mut end: End = Box::pin(async move { (task, asking.outcome(task).await) });
    // The question goes out with the first poll, and the view is asked for behind it: when that is
    // of a live task, the session knows already that somebody waits.
    if let Some(known) = look(&mut end)? {
        return Ok(known);
    }
    let view = session.view(task).await;
    if let Some(known) = look(&mut end)? {
        return Ok(known);
    }
    match view?.outcome {
        Some(outcome) => Ok(Box::pin(std::future::ready((task, Ok(outcome))))),
        None => Ok(end),
    }
}

/// The end, when it is known already.
fn look(end: &mut End) -> Result<Option<End>, Error> {
    match end.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready((task, outcome)) => {
            let outcome = outcome?;
            Ok(Some(Box::pin(std::future::ready((task, Ok(outcome))))))
        }
        Poll::Pending => Ok(None),
    }
}
