//! The registry's commits: when they happen, what goes into one, and how its answers travel.

use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context, Handler, Message};
use longhaul_engine::event::Fact;
use longhaul_engine::id::SessionId;
use longhaul_persistence::{Change, Effect};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Answer, NotStored, RegistryActor};
use crate::fault;
use crate::file::discard::discard;
use crate::intake::{Collect, Write};
use crate::notifier::Committed;
use crate::slot::Later;
use crate::world::Worker;

/// Commits begin at least this far apart. A commit costs a tenth of a millisecond whatever is in it,
/// so under load a few milliseconds of waiting make one of dozens; alone, nothing waits.
const COMMIT_INTERVAL: Duration = Duration::from_millis(3);

/// The same while commits are large: then no single task waits for its own, and what a commit costs
/// is shared by more.
const BUSY_COMMIT_INTERVAL: Duration = Duration::from_millis(8);

/// Changes of a commit from which on it is large.
const BUSY_CHANGES: usize = 16;

/// The commits so far, and what waits for the next one.
#[derive(Debug, Default)]
pub(super) struct Commits {
    pending: Vec<Pending>,
    is_due: bool,
    last: Option<Last>,
}

/// The last commit.
#[derive(Clone, Copy, Debug)]
struct Last {
    began: Instant,
    changes: usize,
}

#[derive(Debug)]
struct Pending {
    changes: Vec<Change>,
    reply: oneshot::Sender<Vec<Answer>>,
}

/// Who waits for how many answers of a commit.
enum Asker {
    Transfer(Worker, oneshot::Sender<Answer>),
    Other(usize, oneshot::Sender<Vec<Answer>>),
}

/// Answers on their way back.
#[derive(Default)]
struct Answers {
    /// Per worker, in the order of the workers.
    transfers: Vec<Vec<(oneshot::Sender<Answer>, Answer)>>,
}

impl Commits {
    fn wait(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |last| {
            let interval = if last.changes < BUSY_CHANGES {
                COMMIT_INTERVAL
            } else {
                BUSY_COMMIT_INTERVAL
            };
            interval.saturating_sub(last.began.elapsed())
        })
    }
}

impl RegistryActor {
    /// Takes changes in and sees to it that they are committed once the mailbox is drained.
    pub(super) fn enqueue(
        &mut self,
        changes: Vec<Change>,
        context: &mut Context<Self>,
    ) -> Later<Vec<Answer>> {
        let (reply, answer) = oneshot::channel();
        self.commits.pending.push(Pending { changes, reply });
        self.flush_soon(context);
        Later(answer)
    }

    /// Sees to it that everything that waits is committed soon.
    pub(super) fn flush_soon(&mut self, context: &mut Context<Self>) {
        if std::mem::replace(&mut self.commits.is_due, true) {
            return;
        }
        match self.commits.wait() {
            Duration::ZERO => context.notify(Flush),
            wait => {
                context.notify_later(Flush, wait);
            }
        }
    }

    /// Everything that waits, and who waits for it. What comes from a transfer that was replaced is
    /// refused at once. What transfers wrote was checked against what the store says now, so it comes
    /// first: a task ends before it gets other options. Nothing of it was answered, so any order is
    /// right.
    fn collect(&mut self, answers: &mut Answers) -> (Vec<Change>, Vec<Asker>) {
        let mut changes = Vec::new();
        let mut askers = Vec::new();
        for write in self.world.intake.take() {
            fault::point("registry.write");
            let is_let = self.fences.lets(&write);
            let Write {
                change,
                worker,
                reply,
                ..
            } = write;
            if is_let {
                changes.push(change);
                askers.push(Asker::Transfer(worker, reply));
            } else {
                answers.put(worker, reply, Err(NotStored::Fenced));
            }
        }
        for pending in std::mem::take(&mut self.commits.pending) {
            askers.push(Asker::Other(pending.changes.len(), pending.reply));
            changes.extend(pending.changes);
        }
        (changes, askers)
    }

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

    fn tell(&mut self, changes: &[Change], answers: &[Answer]) {
        let mut facts = Vec::new();
        for (change, answer) in changes.iter().zip(answers) {
            let new = match answer {
                Ok(Effect::Closed(facts)) => facts.as_slice(),
                Ok(Effect::Invalidated(fact)) => fact.as_slice(),
                Ok(Effect::Challenged(fact)) => std::slice::from_ref(fact),
                Ok(Effect::Forgotten(forgotten)) => {
                    if forgotten.session_is_gone {
                        (self.gone)(session_of(change).clone());
                    }
                    &[]
                }
                Ok(
                    Effect::Done
                    | Effect::Registered(_)
                    | Effect::Adopted { .. }
                    | Effect::Answered { .. },
                )
                | Err(_) => &[],
            };
            for fact in new {
                if let Fact::Completed { task, .. } = &fact.fact {
                    self.fences.lower(*task);
                }
                facts.push((session_of(change).clone(), fact.clone()));
            }
        }
        if let (false, Some(notifier)) = (facts.is_empty(), self.notifier.current()) {
            notifier.do_send(Committed(facts));
        }
    }
}

impl Answers {
    fn put(&mut self, Worker(worker): Worker, reply: oneshot::Sender<Answer>, answer: Answer) {
        if self.transfers.len() <= worker {
            self.transfers.resize_with(worker + 1, Vec::new);
        }
        self.transfers[worker].push((reply, answer));
    }

    /// Gives every asker its answers, in the order of the changes.
    fn give(&mut self, askers: Vec<Asker>, answers: impl IntoIterator<Item = Answer>) {
        let mut answers = answers.into_iter();
        for asker in askers {
            match asker {
                Asker::Transfer(worker, reply) => {
                    if let Some(answer) = answers.next() {
                        self.put(worker, reply, answer);
                    }
                }
                Asker::Other(count, reply) => {
                    // Who asked may be gone; the commit stands.
                    let _ = reply.send(answers.by_ref().take(count).collect());
                }
            }
        }
    }
}

/// A transfer waits for the next commit.
impl Handler<Collect> for RegistryActor {
    type Result = ();

    fn handle(&mut self, _: Collect, context: &mut Self::Context) {
        fault::point("registry.collect");
        self.flush_soon(context);
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
        let began = Instant::now();
        self.commits.is_due = false;
        let mut answers = Answers::default();
        let (changes, askers) = self.collect(&mut answers);
        if !changes.is_empty() {
            let changes = changes.len();
            self.commits.last = Some(Last { began, changes });
        }
        match self.store.commit(&changes) {
            Ok(effects) => {
                fault::point("registry.committed");
                let effects: Vec<Answer> = effects
                    .into_iter()
                    .map(|effect| effect.map_err(NotStored::Refused))
                    .collect();
                self.fences.outdate(&effects);
                Self::remove_parts(&effects);
                fault::point("registry.parts_removed");
                self.tell(&changes, &effects);
                fault::point("registry.told");
                answers.give(askers, effects);
                fault::point("registry.answered");
            }
            Err(error) => {
                tracing::error!(%error, "a commit failed; the store is opened again");
                let failed = || Err(NotStored::Failed(error.to_string()));
                answers.give(askers, std::iter::repeat_with(failed).take(changes.len()));
                context.stop();
            }
        }
        for (worker, answers) in answers.transfers.into_iter().enumerate() {
            if answers.is_empty() {
                continue;
            }
            self.world.place_of(Worker(worker)).run(move || {
                for (reply, answer) in answers {
                    // Who asked may be gone; the commit stands.
                    let _ = reply.send(answer);
                }
            });
        }
    }
}

const fn session_of(change: &Change) -> &SessionId {
    match change {
        Change::PutSession { id, .. } => id,
        Change::Register { session, .. }
        | Change::Resume { session, .. }
        | Change::SetDesired { session, .. }
        | Change::Adjust { session, .. }
        | Change::DecideBegin { session, .. }
        | Change::Record { session, .. }
        | Change::Renew { session, .. }
        | Change::Close { session, .. }
        | Change::Acknowledge { session, .. }
        | Change::Forget { session, .. }
        | Change::Invalidate { session, .. }
        | Change::PutLaunches { session, .. }
        | Change::RemoveSession { session } => session,
    }
}
