//! The actor that remembers: the only code that may block on the store.

mod fences;
mod flush;
mod reading;
mod tickets;

use actix::{Actor, ActorContext, Context, Handler, Message};
use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::id::{Generation, SessionId, TaskId};
use longhaul_engine::launch::LaunchLog;
use longhaul_engine::task::{Outcome, Task};
use longhaul_persistence::{Change, Effect, Refusal, Store, StoreError};

use crate::fault;
use crate::notifier::NotifierActor;
use crate::slot::{Later, SlotRef};
use crate::world::World;
use fences::Fences;
use flush::Commits;

pub(crate) use reading::{
    ListTasks, Lives, ReadFacts, ReadLastFact, ReadLives, ReadSessions, ReadState, ReadTask,
    ReadTasks,
};
pub(crate) use tickets::{DiscardResumeData, Resume, Resumed, Seal};

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
    /// Told of each session that the store does not know any more.
    gone: Box<dyn Fn(SessionId) + Send>,
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
    pub(crate) fn new(
        store: Store,
        notifier: SlotRef<NotifierActor>,
        gone: Box<dyn Fn(SessionId) + Send>,
        world: World,
    ) -> Self {
        let next_generation = store.epoch() << EPOCH_SHIFT;
        Self {
            store,
            notifier,
            gone,
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

/// How often the app of a session was called back.
#[derive(Debug, Message)]
#[rtype(result = "Result<LaunchLog, NotStored>")]
pub(crate) struct ReadLaunches(pub(crate) SessionId);

impl Handler<ReadLaunches> for RegistryActor {
    type Result = Result<LaunchLog, NotStored>;

    fn handle(
        &mut self,
        ReadLaunches(session): ReadLaunches,
        context: &mut Self::Context,
    ) -> Self::Result {
        fault::point("registry.launches");
        let read = self.store.launches(&session);
        self.read(read, context)
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
    Live(Box<(Task, Option<TaskCheckpoint>)>, Generation),
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
        let found = self.store.these_tasks(&session, &tasks);
        let found = self.read(found, context)?;
        tasks
            .into_iter()
            .zip(found)
            .map(|(task, found)| self.begin(&session, task, found, context))
            .collect()
    }
}

impl RegistryActor {
    fn begin(
        &mut self,
        session: &SessionId,
        task: TaskId,
        found: Option<(Task, Option<TaskCheckpoint>)>,
        context: &mut Context<Self>,
    ) -> Result<Begun, NotStored> {
        Ok(match found {
            None => Begun::Unknown,
            Some((
                Task {
                    outcome: Some(outcome),
                    ..
                },
                _,
            )) => Begun::Ended(outcome),
            Some(live) => {
                if let (known, Some(checkpoint)) = &live {
                    self.remove_void_tickets(known, checkpoint, (session, context))?;
                }
                self.next_generation += 1;
                let generation = Generation::new(self.next_generation);
                self.fences.raise(task, generation);
                fault::point("registry.begun");
                Begun::Live(Box::new(live), generation)
            }
        })
    }
}
