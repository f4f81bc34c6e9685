//! The actor of one session: the life cycle of its tasks, its run queue, its children.

mod ahead;
mod calls;
mod challenge;
mod children;
mod commands;
mod invalidating;
mod logs;
mod queries;
mod resuming;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, SpawnHandle};
use longhaul_engine::budget::RestartBudget;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::lifecycle::{self, Command, Event, State};
use longhaul_engine::queue::RunQueue;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome};
use longhaul_engine::time::Timestamp;
use longhaul_persistence::TaskSummary;
use tokio::sync::oneshot;

use crate::child::ChildGuard;
use crate::fault;
use crate::handle::CallError;
use crate::limiter::Limiter;
use crate::notifier::NotifierActor;
use crate::registry::RegistryActor;
use crate::slot::SlotRef;
use crate::starting::Started;
use crate::transfer::{Live, TransferActor};
use crate::world::World;
use logs::Logs;

use ahead::Ahead;
pub(crate) use challenge::AnswerChallenge;
pub(crate) use children::PlaceReleased;
pub(crate) use commands::{Forgotten, Quiesce, SetWant, StartTasks};
pub(crate) use invalidating::Invalidate;
pub(crate) use queries::{GetOutcome, GetView, ListViews, NextLive};
pub(crate) use resuming::ResumeTask;

/// Tasks per place that may have given it back and not have ended: they wait for commits, which are
/// cheaper the more of them come together.
const FINISHING_PER_PLACE: usize = 16;

/// What a session is made of.
#[derive(Clone)]
pub(crate) struct SessionParts {
    pub(crate) id: SessionId,
    pub(crate) rules: Arc<SessionRules>,
    pub(crate) limiter: Option<Arc<Limiter>>,
    pub(crate) world: World,
    pub(crate) registry: SlotRef<RegistryActor>,
    pub(crate) notifier: SlotRef<NotifierActor>,
}

/// One per open session, on the control arbiter.
pub(crate) struct SessionActor {
    parts: SessionParts,
    tasks: BTreeMap<TaskId, Entry>,
    queue: RunQueue,
    hosts: HashMap<String, Arc<str>>,
    wakes: BTreeSet<(Timestamp, TaskId)>,
    wake_timer: Option<(Timestamp, SpawnHandle)>,
    waiters: HashMap<TaskId, Vec<Waiter>>,
    /// Ended here, because they crashed too often, and not in the store yet.
    closing: BTreeSet<TaskId>,
    logs: Logs,
    next_launch: u64,
    finishing: usize,
    ahead: Ahead,
    /// Tasks that have not ended.
    live: usize,
    /// Cancelled tasks whose transfers that discard wait for a place.
    discards: VecDeque<TaskId>,
    discarding: usize,
    /// All tasks were cancelled for good: one that turns up is too.
    is_cancelled: bool,
    quiesce: Option<Vec<oneshot::Sender<()>>>,
}

/// Who waits for the outcome of a task.
type Waiter = oneshot::Sender<Result<Outcome, CallError>>;

/// A task in memory: small, because there may be very many that wait.
struct Entry {
    state: State,
    host: Arc<str>,
    child: Option<Box<Child>>,
    budget: Option<Box<RestartBudget>>,
    /// It was made just now, and no transfer ever ran for it.
    is_new: bool,
}

/// A running transfer.
struct Child {
    launch: u64,
    address: actix::Addr<TransferActor>,
    live: Arc<Live>,
    /// What it was last told, or started with.
    told: Desired,
    /// Its owner has said something since it began: when it leaves for want of credentials, they may
    /// be there.
    is_outdated: bool,
    place: PlaceHeld,
    _guard: ChildGuard,
}

/// Whether a child counts in the run queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlaceHeld {
    /// It has a place.
    Running,
    /// It gave its place back and only finishes.
    Finishing,
    /// It never had one: it only discards, and counts among those.
    Discarding,
}

impl SessionActor {
    /// A session with the tasks that the store knows of it. Those that it was opened with do not wait
    /// any longer, whatever they waited for: who asks for a file wants it now.
    pub(crate) fn new(
        parts: SessionParts,
        tasks: Vec<TaskSummary>,
        opened_with: &HashMap<TaskId, Started>,
    ) -> Self {
        let queue = RunQueue::new(parts.rules.tasks_max, parts.rules.tasks_per_host_max);
        let mut session = Self {
            parts,
            tasks: BTreeMap::new(),
            queue,
            hosts: HashMap::new(),
            wakes: BTreeSet::new(),
            wake_timer: None,
            waiters: HashMap::new(),
            closing: BTreeSet::new(),
            logs: Logs::default(),
            next_launch: 0,
            finishing: 0,
            ahead: Ahead::default(),
            live: 0,
            discards: VecDeque::new(),
            discarding: 0,
            is_cancelled: false,
            quiesce: None,
        };
        for task in tasks {
            session.take_in(&task, opened_with.get(&task.id).copied());
        }
        session
    }

    fn take_in(&mut self, task: &TaskSummary, started: Option<Started>) {
        let state = match (task.ended, task.desired, &task.retry) {
            (true, _, _) => State::Ended,
            // Its transfer that ends it starts when the actor does.
            (false, Desired::Cancelled | Desired::CancelledResumable, _) => State::Cancelling,
            (false, Desired::Suspended, _) => State::Suspended,
            (false, Desired::Running, _) if started.is_some() => State::Queued,
            (false, Desired::Running, _) if task.awaiting_authorization => {
                State::AwaitingAuthorization
            }
            (false, Desired::Running, Some((at, _))) => State::Waiting(*at),
            (false, Desired::Running, None) => State::Queued,
        };
        self.insert(task.id, &task.host, state);
        if let Some(Started::New(task)) = started {
            self.mark_new(task);
        }
    }

    fn mark_new(&mut self, task: TaskId) {
        if let Some(entry) = self.tasks.get_mut(&task) {
            entry.is_new = true;
        }
    }

    fn host(&mut self, host: &str) -> Arc<str> {
        match self.hosts.get(host) {
            Some(known) => Arc::clone(known),
            None => {
                let new: Arc<str> = Arc::from(host);
                self.hosts.insert(host.to_owned(), Arc::clone(&new));
                new
            }
        }
    }

    fn insert(&mut self, task: TaskId, host: &str, state: State) {
        let host = self.host(host);
        match state {
            State::Queued => self.queue.push(&host, task),
            State::Waiting(at) => {
                self.wakes.insert((at, task));
            }
            State::Running
            | State::Stopping
            | State::Cancelling
            | State::AwaitingAuthorization
            | State::Suspended
            | State::Ended => {}
        }
        self.live += usize::from(state != State::Ended);
        self.tasks.insert(
            task,
            Entry {
                state,
                host,
                child: None,
                budget: None,
                is_new: false,
            },
        );
    }

    /// Something happened to a task: the one place where its life moves on.
    fn happened(&mut self, task: TaskId, event: Event, context: &mut Context<Self>) {
        fault::point("session.happened");
        let Some(entry) = self.tasks.get_mut(&task) else {
            return;
        };
        let (next, command) = lifecycle::step(entry.state, event);
        tracing::debug!(%task, from = ?entry.state, ?event, to = ?next, "task moved");
        if let State::Waiting(at) = entry.state {
            self.wakes.remove(&(at, task));
        }
        let before = std::mem::replace(&mut entry.state, next);
        let host = Arc::clone(&entry.host);
        self.may_call_app(before, next);
        match command {
            Command::None => {
                if let State::Waiting(at) = next {
                    self.wakes.insert((at, task));
                }
            }
            Command::Enqueue => self.queue.push(&host, task),
            Command::Dequeue => {
                self.ahead.forget(task);
                self.queue.remove(&host, task);
            }
            Command::DequeueAndDiscard => {
                // What was read ahead does not say how it is cancelled.
                self.ahead.forget(task);
                self.queue.remove(&host, task);
                self.discard(task);
            }
            Command::Launch => self.launch(task, Desired::Running, PlaceHeld::Running, context),
            Command::Discard => self.discard(task),
            Command::Tell(desired) => self.tell(task, desired),
            Command::WakeAt(at) => {
                self.wakes.insert((at, task));
            }
            Command::CloseAsCrashed => self.close_as_crashed(task, context),
        }
        self.maintain(context);
    }

    /// What must be true after every message: free places are given out, and the timer is set for
    /// the first task that waits for a time.
    fn maintain(&mut self, context: &mut Context<Self>) {
        self.start_discards(context);
        let places = usize::try_from(self.parts.rules.tasks_max).unwrap_or(usize::MAX);
        let finishing_max = places.saturating_mul(FINISHING_PER_PLACE);
        while self.quiesce.is_none() && self.finishing < finishing_max {
            let Some(task) = self.queue.pop() else { break };
            let Some(entry) = self.tasks.get_mut(&task) else {
                continue;
            };
            let (next, command) = lifecycle::step(entry.state, Event::PlaceFree);
            entry.state = next;
            if command == Command::Launch {
                self.launch(task, Desired::Running, PlaceHeld::Running, context);
            } else {
                let host = Arc::clone(&entry.host);
                self.queue.release(&host);
            }
        }
        self.look_ahead(context);
        self.set_wake_timer(context);
    }

    fn set_wake_timer(&mut self, context: &mut Context<Self>) {
        let first = self.wakes.first().map(|(at, _)| *at);
        if self.wake_timer.as_ref().map(|(at, _)| *at) == first {
            return;
        }
        if let Some((_, timer)) = self.wake_timer.take() {
            context.cancel_future(timer);
        }
        if let Some(at) = first {
            let delay = self.parts.world.clock.until(at);
            let timer = context.run_later(delay, |session, context| session.wake(context));
            self.wake_timer = Some((at, timer));
        }
    }

    fn wake(&mut self, context: &mut Context<Self>) {
        fault::point("session.wake");
        self.wake_timer = None;
        let now = self.parts.world.clock.now();
        while let Some((at, task)) = self.wakes.first().copied() {
            if at > now {
                break;
            }
            self.happened(task, Event::TimerDue, context);
        }
        self.maintain(context);
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        fault::point("session.started");
        self.call_app_for_the_past();
        let cancelled: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, entry)| entry.state == State::Cancelling)
            .map(|(task, _)| *task)
            .collect();
        self.discards.extend(cancelled);
        self.maintain(context);
    }
}
