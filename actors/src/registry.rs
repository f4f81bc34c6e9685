//! The actor that remembers: the only code that may block on the store.

mod fences;
mod flush;

use actix::{Actor, ActorContext, Context, Handler, Message};
use longhaul_engine::checkpoint::Checkpoint;
use longhaul_engine::event::NumberedFact;
use longhaul_engine::id::{Generation, Sequence, SessionId, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Outcome, Task};
use longhaul_persistence::{Change, Effect, Refusal, Store, StoreError, TaskSummary};

use crate::fault;
use crate::notifier::NotifierActor;
use crate::slot::{Later, SlotRef};
use crate::world::World;
use fences::Fences;
use flush::Commits;

/// Bits of a generation that count within one opening of the store; the rest is the store's epoch.
const EPOCH_SHIFT: u32 = 32;

/// What the store said to one change, or why it said nothing.
pub(crate) type Answer = Result<Effect, NotStored>;

/// Why a change is not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotStored {
    /// The store refused this change.
    #[error("{0}")]
    Refused(Refusal),
    /// The sender is not the task's transfer any more.
    #[error("another transfer runs for this task")]
    Fenced,
    /// The store failed.
    #[error("{0}")]
    Failed(String),
}

/// One per engine, alone on its arbiter. It owns the store; changes that arrive together are
/// committed together, and every answer comes after the commit.
pub(crate) struct RegistryActor {
    store: Store,
    notifier: SlotRef<NotifierActor>,
    /// Which transfer may write, per running task.
    fences: Fences,
    next_generation: u64,
    commits: Commits,
    world: World,
}

impl std::fmt::Debug for RegistryActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryActor")
            .field("running", &self.fences.len())
            .finish_non_exhaustive()
    }
}

impl RegistryActor {
    pub(crate) fn new(store: Store, notifier: SlotRef<NotifierActor>, world: World) -> Self {
        let next_generation = store.epoch() << EPOCH_SHIFT;
        Self {
            store,
            notifier,
            fences: Fences::default(),
            next_generation,
            commits: Commits::default(),
            world,
        }
    }

    /// A store that failed is of no more use; the next incarnation opens it again.
    fn read<T>(
        &self,
        result: Result<T, StoreError>,
        context: &mut Context<Self>,
    ) -> Result<T, NotStored> {
        result.map_err(|error| {
            tracing::warn!(%error, "the store could not be read");
            if error.needs_reopen() {
                context.stop();
            }
            NotStored::Failed(error.to_string())
        })
    }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        fault::point("registry.started");
        // What was put into the intake while nobody was there to be woken is answered too.
        self.flush_soon(context);
    }
}

/// Commits these changes and answers each, after the commit. All changes are harmless to repeat but
/// [`Change::Register`] without `adopt`, whose sender must look before it asks again.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Answer>")]
pub(crate) struct Apply(pub(crate) Vec<Change>);

impl Handler<Apply> for RegistryActor {
    type Result = Later<Vec<Answer>>;

    fn handle(&mut self, Apply(changes): Apply, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.apply");
        self.enqueue(changes, context)
    }
}

/// Transfers of these tasks begin: each gets the task, what is known of its progress, and the
/// generation under which alone it may write. Answered in the same order.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Begun>, NotStored>")]
pub(crate) struct Begin {
    pub(crate) session: SessionId,
    pub(crate) tasks: Vec<TaskId>,
}

/// What a transfer begins with.
#[derive(Debug)]
pub(crate) enum Begun {
    /// The task and its progress.
    Live(Box<(Task, Option<Checkpoint>)>, Generation),
    /// It has ended already.
    Ended(Outcome),
    /// There is no such task.
    Unknown,
}

impl Handler<Begin> for RegistryActor {
    type Result = Result<Vec<Begun>, NotStored>;

    fn handle(&mut self, message: Begin, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.begin");
        let Begin { session, tasks } = message;
        tasks
            .into_iter()
            .map(|task| self.begin(&session, task, context))
            .collect()
    }
}

impl RegistryActor {
    fn begin(
        &mut self,
        session: &SessionId,
        task: TaskId,
        context: &mut Context<Self>,
    ) -> Result<Begun, NotStored> {
        let found = self.store.task(session, task);
        Ok(match self.read(found, context)? {
            None => Begun::Unknown,
            Some((
                Task {
                    outcome: Some(outcome),
                    ..
                },
                _,
            )) => Begun::Ended(outcome),
            Some(live) => {
                self.next_generation += 1;
                let generation = Generation::new(self.next_generation);
                self.fences.raise(task, generation);
                fault::point("registry.begun");
                Begun::Live(Box::new(live), generation)
            }
        })
    }
}

/// One task with its progress.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<(Task, Option<Checkpoint>)>, NotStored>")]
pub(crate) struct ReadTask {
    pub(crate) session: SessionId,
    pub(crate) task: TaskId,
}

impl Handler<ReadTask> for RegistryActor {
    type Result = Result<Option<(Task, Option<Checkpoint>)>, NotStored>;

    fn handle(&mut self, message: ReadTask, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_task");
        let found = self.store.task(&message.session, message.task);
        self.read(found, context)
    }
}

/// A page of a session's tasks.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<TaskSummary>, NotStored>")]
pub(crate) struct ListTasks {
    pub(crate) session: SessionId,
    pub(crate) after: Option<TaskId>,
    pub(crate) limit: usize,
}

impl Handler<ListTasks> for RegistryActor {
    type Result = Result<Vec<TaskSummary>, NotStored>;

    fn handle(&mut self, message: ListTasks, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.list");
        let found = self
            .store
            .tasks(&message.session, message.after, message.limit);
        self.read(found, context)
    }
}

/// Facts that nobody has acknowledged.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<NumberedFact>, NotStored>")]
pub(crate) struct ReadFacts {
    pub(crate) session: SessionId,
    pub(crate) after: Sequence,
    pub(crate) limit: usize,
}

impl Handler<ReadFacts> for RegistryActor {
    type Result = Result<Vec<NumberedFact>, NotStored>;

    fn handle(&mut self, message: ReadFacts, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_facts");
        let found = self
            .store
            .facts(&message.session, message.after, message.limit);
        self.read(found, context)
    }
}

/// Makes a session or gives it a new configuration.
pub(crate) fn put_session(id: &SessionId, rules: &SessionRules) -> Apply {
    Apply(vec![Change::PutSession {
        id: id.clone(),
        rules: Box::new(rules.clone()),
    }])
}
