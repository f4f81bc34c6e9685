//! The actor that remembers: the only code that may block on the store.

use std::collections::HashMap;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::event::NumberedFact;
use longhaul_engine::id::{Generation, Sequence, SessionId, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Outcome, Task};
use longhaul_persistence::{Change, Effect, Refusal, Store, StoreError, TaskSummary};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fault;
use crate::file::discard::discard;
use crate::notifier::{Committed, NotifierActor};
use crate::slot::{Later, SlotRef};

/// Commits begin at least this far apart. A commit costs a tenth of a millisecond whatever is in it,
/// so under load a few milliseconds of waiting make one of dozens; alone, nothing waits.
const COMMIT_INTERVAL: Duration = Duration::from_millis(3);

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
    /// The generation of the transfer that may write, per running task.
    fences: HashMap<TaskId, Generation>,
    next_generation: u64,
    pending: Vec<Pending>,
    committed_at: Option<Instant>,
}

struct Pending {
    changes: Vec<Change>,
    reply: oneshot::Sender<Vec<Answer>>,
}

impl std::fmt::Debug for RegistryActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryActor")
            .field("running", &self.fences.len())
            .finish_non_exhaustive()
    }
}

impl RegistryActor {
    pub(crate) fn new(store: Store, notifier: SlotRef<NotifierActor>) -> Self {
        let next_generation = store.epoch() << EPOCH_SHIFT;
        Self {
            store,
            notifier,
            fences: HashMap::new(),
            next_generation,
            pending: Vec::new(),
            committed_at: None,
        }
    }

    /// Takes changes in and sees to it that they are committed once the mailbox is drained.
    fn enqueue(&mut self, changes: Vec<Change>, context: &mut Context<Self>) -> Later<Vec<Answer>> {
        let (reply, answer) = oneshot::channel();
        if self.pending.is_empty() {
            let since = self.committed_at.map_or(COMMIT_INTERVAL, |at| at.elapsed());
            match COMMIT_INTERVAL.checked_sub(since) {
                None | Some(Duration::ZERO) => context.notify(Flush),
                Some(wait) => {
                    context.notify_later(Flush, wait);
                }
            }
        }
        self.pending.push(Pending { changes, reply });
        Later(answer)
    }

    fn refuse(why: NotStored) -> Later<Vec<Answer>> {
        let (reply, answer) = oneshot::channel();
        // The receiver is right here.
        let _ = reply.send(vec![Err(why)]);
        Later(answer)
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

    fn started(&mut self, _: &mut Self::Context) {
        fault::point("registry.started");
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

/// A transfer writes about its own task: a checkpoint or the end. Refused unless it is of the
/// generation that was begun last. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Answer>")]
pub(crate) struct Write {
    pub(crate) task: TaskId,
    pub(crate) generation: Generation,
    pub(crate) change: Change,
}

impl Handler<Write> for RegistryActor {
    type Result = Later<Vec<Answer>>;

    fn handle(&mut self, message: Write, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.write");
        if self.fences.get(&message.task) != Some(&message.generation) {
            return Self::refuse(NotStored::Fenced);
        }
        self.enqueue(vec![message.change], context)
    }
}

/// Everything that arrived before this is committed in one transaction.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Flush;

impl Handler<Flush> for RegistryActor {
    type Result = ();

    fn handle(&mut self, _: Flush, context: &mut Self::Context) {
        fault::point("registry.flush");
        let pending = std::mem::take(&mut self.pending);
        self.committed_at = Some(Instant::now());
        let mut changes = Vec::with_capacity(pending.len());
        let mut replies = Vec::with_capacity(pending.len());
        for Pending {
            changes: own,
            reply,
        } in pending
        {
            replies.push((own.len(), reply));
            changes.extend(own);
        }
        let sessions: Vec<SessionId> = changes.iter().map(session_of).cloned().collect();
        match self.store.commit(&changes) {
            Ok(effects) => {
                fault::point("registry.committed");
                let answers: Vec<Answer> = effects
                    .into_iter()
                    .map(|e| e.map_err(NotStored::Refused))
                    .collect();
                Self::remove_parts(&answers);
                fault::point("registry.parts_removed");
                self.tell(&sessions, &answers);
                fault::point("registry.told");
                let mut answers = answers.into_iter();
                for (count, reply) in replies {
                    // Who asked may be gone; the commit stands.
                    let _ = reply.send(answers.by_ref().take(count).collect());
                }
                fault::point("registry.answered");
            }
            Err(error) => {
                tracing::error!(%error, "a commit failed; the store is opened again");
                for (count, reply) in replies {
                    let _ = reply.send(vec![Err(NotStored::Failed(error.to_string())); count]);
                }
                context.stop();
            }
        }
    }
}

impl RegistryActor {
    /// Removes the part files that failed tasks had kept and that nobody knows any more.
    fn remove_parts(answers: &[Answer]) {
        for answer in answers {
            let Ok(Effect::Forgotten(forgotten)) = answer else {
                continue;
            };
            for part in &forgotten.parts {
                if let Err(error) = discard(&part.path, part.identity) {
                    tracing::warn!(%error, "a part file was left behind");
                }
            }
        }
    }

    fn tell(&mut self, sessions: &[SessionId], answers: &[Answer]) {
        let mut facts = Vec::new();
        for (session, answer) in sessions.iter().zip(answers) {
            if let Ok(Effect::Closed(fact)) = answer {
                if let Some(task) = fact.fact.task() {
                    self.fences.remove(&task);
                }
                facts.push((session.clone(), fact.clone()));
            }
        }
        if let (false, Some(notifier)) = (facts.is_empty(), self.notifier.current()) {
            notifier.do_send(Committed(facts));
        }
    }
}

const fn session_of(change: &Change) -> &SessionId {
    match change {
        Change::PutSession { id, .. } => id,
        Change::Register { session, .. }
        | Change::SetDesired { session, .. }
        | Change::Record { session, .. }
        | Change::Close { session, .. }
        | Change::Acknowledge { session, .. }
        | Change::Forget { session, .. }
        | Change::RemoveSession { session } => session,
    }
}

/// A transfer begins: it gets the task, what is known of its progress, and the generation under
/// which alone it may write.
#[derive(Debug, Message)]
#[rtype(result = "Result<Begun, NotStored>")]
pub(crate) struct Begin {
    pub(crate) session: SessionId,
    pub(crate) task: TaskId,
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
    type Result = Result<Begun, NotStored>;

    fn handle(&mut self, message: Begin, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.begin");
        let found = self.store.task(&message.session, message.task);
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
                self.fences.insert(message.task, generation);
                fault::point("registry.begun");
                Begun::Live(Box::new(live), generation)
            }
        })
    }
}

/// One task with its progress.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<(Task, Option<TaskCheckpoint>)>, NotStored>")]
pub(crate) struct ReadTask {
    pub(crate) session: SessionId,
    pub(crate) task: TaskId,
}

impl Handler<ReadTask> for RegistryActor {
    type Result = Result<Option<(Task, Option<TaskCheckpoint>)>, NotStored>;

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
