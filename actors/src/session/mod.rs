//! The actor of one session: the life cycle of its tasks, its run queue, its children.

mod adjusting;
mod ahead;
mod calls;
mod challenge;
mod children;
mod commands;
mod discarding;
mod invalidating;
mod logs;
mod queries;
mod reports;
mod resuming;
mod scheduling;
mod successors;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use actix::{Actor, Context, SpawnHandle};
use longhaul_engine::budget::RestartBudget;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::lifecycle::{self, Command, Event, State};
use longhaul_engine::queue::RunQueue;
use longhaul_engine::schedule::Schedule;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome};
use longhaul_engine::time::Timestamp;
use longhaul_persistence::TaskSummary;
use tokio::sync::oneshot;

use crate::child::ChildGuard;
use crate::fault;
use crate::limiter::{Limiter, Limits};
use crate::local::CallError;
use crate::notifier::NotifierActor;
use crate::registry::RegistryActor;
use crate::scheduling::{Place, PlaceLine};
use crate::slot::SlotRef;
use crate::starting::Started;
use crate::time::{Clock, ClockWatch};
use crate::transfer::{Live, TransferActor};
use crate::world::{Worker, World};
use logs::Logs;

pub(crate) use adjusting::{Adjust, DecideBegin, SetRateLimit};
use ahead::Ahead;
pub(crate) use calls::AppHasGone;
pub(crate) use challenge::AnswerChallenge;
use children::Launch;
pub(crate) use commands::{Forgotten, Quiesce, SetWant, StartTasks};
use discarding::Discards;
pub(crate) use invalidating::Invalidate;
pub(crate) use queries::{
    CountTasks, GetOutcome, GetView, ListViews, NextAwaitingBegin, NextLive, TaskCounts,
};
pub(crate) use reports::PlaceReleased;
use reports::Reports;
pub(crate) use resuming::ResumeTask;
use successors::Successors;
pub(crate) use successors::{Heirs, Holder};

/// What a session is made of.
pub(crate) struct SessionParts {
    pub(crate) id: SessionId,
    pub(crate) rules: Arc<SessionRules>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) world: World,
    pub(crate) registry: SlotRef<RegistryActor>,
    pub(crate) notifier: SlotRef<NotifierActor>,
}

/// One per open session, on the control arbiter.
pub(crate) struct SessionActor {
    parts: Arc<SessionParts>,
    /// Before the tasks: nothing begins any more while these are dropped.
    successors: Successors,
    tasks: BTreeMap<TaskId, Entry>,
    queue: RunQueue,
    hosts: HashMap<String, Arc<str>>,
    wakes: BTreeSet<(Timestamp, TaskId)>,
    wake_timer: Option<(Timestamp, SpawnHandle)>,
    waiters: HashMap<TaskId, Vec<Waiter>>,
    /// Ended here, because they crashed too often, and not in the store yet.
    closing: BTreeSet<TaskId>,
    logs: Logs,
    reports: Reports,
    /// Where a place was given back just now: the connection is there that the next may use.
    freed_worker: Option<Worker>,
    /// Tasks whose owner was asked whether they shall begin.
    awaiting_begin: BTreeSet<TaskId>,
    /// Somebody waits for the delegate to leave.
    is_watching: bool,
    clock_watch: ClockWatch,
    line: PlaceLine,
    next_launch: u64,
    /// Tasks with a transfer.
    children: usize,
    finishing: usize,
    ahead: Ahead,
    /// Tasks that have not ended.
    live: usize,
    discards: Discards,
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
    /// Its end was acknowledged before its transfer was gone.
    is_forgotten: bool,
    schedule: Schedule,
    created_at: Timestamp,
    /// It has begun before, or its owner has said that it shall.
    has_begun: bool,
}

/// A task that the session did not know.
struct NewTask<'a> {
    host: &'a str,
    state: State,
    schedule: Schedule,
    created_at: Timestamp,
    has_begun: bool,
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
    /// Its place of the engine's; `None` when it does not count there.
    engine_place: Option<Place>,
    limits: Limits,
    /// The clock that it was given; its times are of this one.
    clock: Clock,
    worker: Worker,
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
        let clock_watch = ClockWatch::new(parts.world.clock);
        let line = parts.world.scheduling.places.line(&parts.id);
        let mut session = Self {
            parts: Arc::new(parts),
            tasks: BTreeMap::new(),
            queue,
            hosts: HashMap::new(),
            wakes: BTreeSet::new(),
            wake_timer: None,
            waiters: HashMap::new(),
            closing: BTreeSet::new(),
            logs: Logs::default(),
            reports: Reports::default(),
            freed_worker: None,
            awaiting_begin: BTreeSet::new(),
            is_watching: false,
            clock_watch,
            line,
            next_launch: 0,
            children: 0,
            finishing: 0,
            ahead: Ahead::default(),
            successors: Successors::default(),
            live: 0,
            discards: Discards::default(),
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
            (false, Desired::Running, Some(retry)) => {
                State::Waiting(retry.due(self.parts.world.clock.now()))
            }
            (false, Desired::Running, None) => State::Queued,
        };
        let new = NewTask {
            host: &task.host,
            state,
            schedule: task.schedule,
            created_at: task.created_at,
            has_begun: task.has_begun,
            is_new: matches!(started, Some(Started::New(_))),
        };
        self.insert(task.id, new);
    }

    fn host(&mut self, host: &str) -> Arc<str> {
        match self.hosts.get(host) {
            Some(known) => Arc::clone(known),
            None => {
                let host: Arc<str> = Arc::from(host);
                self.hosts
                    .insert(host.as_ref().to_owned(), Arc::clone(&host));
                host
            }
        }
    }

    fn insert(&mut self, task: TaskId, new: NewTask<'_>) {
        let host = self.host(new.host);
        let entry = Entry {
            state: new.state,
            host,
            child: None,
            budget: None,
            is_new: new.is_new,
            is_forgotten: false,
            schedule: new.schedule,
            created_at: new.created_at,
            has_begun: new.has_begun,
        };
        if let Some(at) = entry.wake_at(&self.parts.rules) {
            self.wakes.insert((at, task));
        }
        self.tasks.insert(task, entry);
        if new.state != State::Ended {
            self.live += 1;
            self.care_for(&new.schedule);
        }
        if new.state == State::Queued {
            self.enqueue(task);
        }
    }

    /// Something happened to a task: what follows is done, and what must be true after it.
    fn happened(&mut self, task: TaskId, event: Event, context: &mut Context<Self>) {
        self.advance(task, event, context);
        self.maintain(context);
    }

    /// Something happened to a task, and more happens before the session is looked after.
    fn advance(&mut self, task: TaskId, event: Event, context: &mut Context<Self>) {
        fault::point("session.happened");
        let Some(command) = self.step(task, event) else {
            return;
        };
        match command {
            // Timers follow the state.
            Command::None | Command::WakeAt(_) => {}
            Command::Enqueue => self.enqueue(task),
            Command::Dequeue => self.dequeue(task),
            Command::DequeueAndDiscard => {
                self.dequeue(task);
                self.discard(task);
            }
            Command::Launch => self.launch(task, Launch::run(None), context),
            Command::Discard => self.discard(task),
            Command::Tell(desired) => self.tell(task, desired),
            Command::CloseAsCrashed => self.close_as_crashed(task, context),
        }
    }

    /// The one place where a task's life moves on.
    fn step(&mut self, task: TaskId, event: Event) -> Option<Command> {
        if self.tasks.get(&task)?.state == State::Queued {
            self.settle(task);
        }
        let entry = self.tasks.get_mut(&task)?;
        let wake_before = entry.wake_at(&self.parts.rules);
        let (next, command) = lifecycle::step(entry.state, event);
        tracing::debug!(%task, from = ?entry.state, ?event, to = ?next, "task moved");
        let before = std::mem::replace(&mut entry.state, next);
        let wake_after = entry.wake_at(&self.parts.rules);
        if wake_before != wake_after {
            if let Some(at) = wake_before {
                self.wakes.remove(&(at, task));
            }
            if let Some(at) = wake_after {
                self.wakes.insert((at, task));
            }
        }
        if next == State::AwaitingBegin {
            self.awaiting_begin.insert(task);
        } else {
            self.awaiting_begin.remove(&task);
        }
        self.may_call_app(before, next);
        Some(command)
    }

    fn dequeue(&mut self, task: TaskId) {
        // What was read ahead does not say how it goes on.
        self.forget_ahead(task);
        if let Some(entry) = self.tasks.get(&task) {
            self.queue.remove(&entry.host, task);
        }
    }

    /// What must be true after every message: free places are given out, and who waits for a time or
    /// a word is woken when it comes.
    fn maintain(&mut self, context: &mut Context<Self>) {
        self.start_discards(context);
        let is_open = |session: &Self| {
            session.quiesce.is_none()
                && session.finishing < session.finishing_max()
                && session.queue.is_ready()
        };
        while is_open(self) {
            let next = self.queue.next();
            next.into_iter().for_each(|next| self.settle(next));
            if self.queue.next() != next {
                continue;
            }
            let Some(place) = self.line.take() else { break };
            let Some(task) = self.queue.pop() else { break };
            let may_run = self.admit_to_place(task);
            if may_run && self.step(task, Event::PlaceFree) == Some(Command::Launch) {
                self.launch(task, Launch::run(Some(place)), context);
            } else if let Some(entry) = self.tasks.get(&task) {
                self.queue.release(&entry.host);
            }
        }
        if !is_open(self) {
            self.line.leave();
        }
        self.watch_delegate(context);
        self.let_stand_by(context);
        self.look_ahead(context);
        self.set_wake_timer(context);
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
        for task in cancelled {
            self.discard(task);
        }
        self.watch_surroundings(context);
        self.maintain(context);
    }
}
