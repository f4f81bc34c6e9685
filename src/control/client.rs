//! One client: what it owns, waits for and was called with, for as long as its stream lasts.

mod calls;
mod waits;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use futures_util::future::{AbortHandle, Abortable};
use longhaul_actors::local::{Attachment, CallError, RefreshTask, SessionHandle};
use longhaul_engine::control::{ClientId, Problem};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::task::Outcome;

use super::events::Seat;

/// Sessions that one client may own, each with a delegate: an app has a handful, and each is an actor.
pub(super) const SESSIONS_MAX: usize = 1024;

/// Tasks that one client may wait for: every task of the largest session that was measured.
pub(super) const WAITS_MAX: usize = 100_000;

/// Completed calls that a client may complete again: far more than it is asked of at once.
const COMPLETED_MAX: usize = 64;

/// A process for as long as its stream lasts.
pub(super) struct Client {
    id: ClientId,
    pid: Option<u32>,
    /// The session whose launch it is the answer to.
    launched_for: Option<SessionId>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Held,
    is_gone: bool,
    is_listening: bool,
    /// Sessions that it has given up, the last one last; as many as it may own.
    given_up: VecDeque<SessionId>,
    /// Openings and closings that go on.
    turns: HashMap<SessionId, Weak<Turn>>,
    waker: Option<Waker>,
}

/// What a client holds of the engine. Dropping it frees all of it, so it is never dropped under a
/// lock: the engine may ask who takes a call at that moment.
#[derive(Default)]
pub(super) struct Held {
    sessions: HashMap<SessionId, SessionHandle>,
    delegates: HashMap<SessionId, Attachment>,
    waits: HashMap<u64, Waited>,
    /// Waits that its stream has not taken over yet.
    new_waits: Vec<Wait>,
    /// The last call of each session that it was called for, also once that is completed: the answer
    /// may have been lost. Not more than [`COMPLETED_MAX`] are completed.
    calls: HashMap<SessionId, Called>,
    /// A call that is the client's already, and that it is told of once it listens.
    called: Option<RefreshTask>,
    streams: Vec<(SessionId, Weak<Seat>)>,
}

/// Whoever opens or closes a session of a client holds this meanwhile.
pub(super) type Turn = futures_util::lock::Mutex<()>;

/// A call that the client was told of.
struct Called {
    task: Arc<RefreshTask>,
    is_completed: bool,
}

/// What a wait is for, and how to end it.
struct Waited {
    task: (SessionId, TaskId),
    abort: AbortHandle,
}

/// How a wait ended.
pub(super) type Waiting = Pin<Box<dyn Future<Output = (u64, Result<Outcome, CallError>)> + Send>>;

/// A wait, as the stream of its client polls it.
pub(super) type Wait = Abortable<Waiting>;

/// Figures of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) sessions: usize,
    pub(super) delegates: usize,
    pub(super) waits: usize,
    pub(super) refresh_tasks: usize,
}

impl Client {
    pub(super) fn new(
        id: ClientId,
        pid: Option<u32>,
        launched_for: Option<SessionId>,
        called: Option<RefreshTask>,
    ) -> Self {
        let mut state = State::default();
        state.held.called = called;
        Self {
            id,
            pid,
            launched_for,
            state: Mutex::new(state),
        }
    }

    pub(super) const fn id(&self) -> &ClientId {
        &self.id
    }

    pub(super) const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Its stream has ended. What it held is given back, to be dropped without a lock.
    pub(super) fn end(&self) -> Held {
        let mut state = self.lock();
        state.is_gone = true;
        state.is_listening = false;
        std::mem::take(&mut state.held)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lock().is_gone
    }

    /// The owner's handle of a session, if it has opened it and the session is still one.
    pub(super) fn owned(&self, session: &SessionId) -> Option<SessionHandle> {
        let state = self.lock();
        let handle = state.held.sessions.get(session);
        handle.filter(|handle| !handle.is_over()).cloned()
    }

    /// Keeps the handle of a session that was opened for it.
    pub(super) fn own(&self, handle: SessionHandle) -> Result<(), Problem> {
        let mut state = self.lock();
        if state.is_gone {
            drop(state);
            drop(handle);
            return Err(Problem::NoSuchClient);
        }
        let session = handle.id().clone();
        state.given_up.retain(|known| *known != session);
        let old = state.held.sessions.insert(session, handle);
        wake(state);
        drop(old);
        Ok(())
    }

    /// Lets one after the other open and close a session.
    pub(super) fn turn(&self, session: &SessionId) -> Arc<Turn> {
        let mut state = self.lock();
        if let Some(turn) = state.turns.get(session).and_then(Weak::upgrade) {
            return turn;
        }
        state.turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::default());
        state.turns.insert(session.clone(), Arc::downgrade(&turn));
        turn
    }

    /// Whether it has opened a session that is no more.
    pub(super) fn has_outlived(&self, session: &SessionId) -> bool {
        let state = self.lock();
        let handle = state.held.sessions.get(session);
        handle.is_some_and(SessionHandle::is_over)
    }

    /// Whether it may own one more session, or owns this one. Those that are about to be opened count,
    /// and whoever asks has a turn.
    pub(super) fn has_room_for(&self, session: &SessionId) -> Result<(), Problem> {
        let state = self.lock();
        let sessions = &state.held.sessions;
        let is_opening = |(session, turn): &(&SessionId, &Weak<Turn>)| {
            turn.strong_count() > 0 && !sessions.contains_key(session)
        };
        let opening = state.turns.iter().filter(is_opening).count();
        if sessions.contains_key(session) || sessions.len() + opening <= SESSIONS_MAX {
            return Ok(());
        }
        Err(Problem::TooMany {
            detail: format!(
                "this client has {SESSIONS_MAX} sessions open already; close one that it needs no \
                 more"
            ),
        })
    }

    /// Gives a session up, with its delegate and its streams.
    pub(super) fn give_up(&self, session: &SessionId) {
        let mut state = self.lock();
        let handle = state.held.sessions.remove(session);
        let delegate = state.held.delegates.remove(session);
        let (theirs, others) = std::mem::take(&mut state.held.streams)
            .into_iter()
            .partition(|(of, _)| of == session);
        state.held.streams = others;
        if handle.is_some() {
            if state.given_up.len() >= SESSIONS_MAX {
                state.given_up.pop_front();
            }
            state.given_up.push_back(session.clone());
        }
        drop(state);
        drop(delegate);
        end_streams(theirs);
        if let Some(handle) = handle {
            handle.app_has_gone();
        }
    }

    /// Whether a delegate of this session is there.
    pub(super) fn has_delegate(&self, session: &SessionId) -> bool {
        self.lock().held.delegates.contains_key(session)
    }

    /// Keeps, or with `None` detaches, the delegate of a session that is its own or about to be.
    pub(super) fn set_delegate(
        &self,
        session: &SessionId,
        delegate: Option<Attachment>,
    ) -> Result<(), Problem> {
        let mut state = self.lock();
        if state.is_gone {
            drop(state);
            drop(delegate);
            return Err(Problem::NoSuchClient);
        }
        let delegates = &mut state.held.delegates;
        let old = match delegate {
            Some(delegate) => delegates.insert(session.clone(), delegate),
            None => delegates.remove(session),
        };
        drop(state);
        drop(old);
        Ok(())
    }

    /// A stream of its own session is there; it ends with the client.
    pub(super) fn add_stream(&self, session: &SessionId, seat: &Arc<Seat>) -> Result<(), Problem> {
        let mut state = self.lock();
        if state.is_gone {
            return Err(Problem::NoSuchClient);
        }
        let streams = &mut state.held.streams;
        streams.retain(|(_, seat)| seat.strong_count() > 0);
        streams.push((session.clone(), Arc::downgrade(seat)));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Has its stream woken by what changes from here on.
    pub(super) fn set_waker(&self, waker: &Waker) {
        self.lock().waker = Some(waker.clone());
    }

    /// Figures of it.
    pub(super) fn figures(&self) -> Figures {
        let state = self.lock();
        let Held {
            sessions,
            delegates,
            waits,
            new_waits: _,
            calls,
            called,
            streams: _,
        } = &state.held;
        let open = calls.values().filter(|call| !call.is_completed).count();
        Figures {
            sessions: sessions.len(),
            delegates: delegates.len(),
            waits: waits.len(),
            refresh_tasks: open + usize::from(called.is_some()),
        }
    }
}

/// Wakes the stream of a client, without its lock.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    waker.into_iter().for_each(Waker::wake);
}

impl Drop for Held {
    fn drop(&mut self) {
        for waited in self.waits.values() {
            waited.abort.abort();
        }
        end_streams(std::mem::take(&mut self.streams));
        self.delegates.clear();
        self.sessions.values().for_each(SessionHandle::app_has_gone);
    }
}

fn end_streams(streams: Vec<(SessionId, Weak<Seat>)>) {
    for seat in streams.into_iter().filter_map(|(_, seat)| seat.upgrade()) {
        seat.end();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("pid", &self.pid)
            .field("launched_for", &self.launched_for)
            .finish_non_exhaustive()
    }
}
