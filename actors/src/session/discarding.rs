//! The end of cancelled tasks that nothing runs for, and the discarding of what they hold.
//!
//! A session may cancel 100,000 tasks with one word, and most of them have fetched nothing. These are
//! ended together, hundreds with one commit; only what is on record needs a transfer to be discarded.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::id::{Generation, SessionId, TaskId};
use longhaul_engine::lifecycle::Event;
use longhaul_engine::task::{Desired, Destination, Outcome};
use longhaul_persistence::{Change, Refusal};
use tokio::sync::oneshot;

use super::{Launch, SessionActor, SessionParts};
use crate::fault;
use crate::file::discard::discard_unrecorded;
use crate::intake::Write;
use crate::registry::{Answer, Begin, Begun, NotStored};

/// Transfers that only discard what a cancelled task holds, at once: each takes some kilobytes and
/// a commit.
const TRANSFERS_MAX: usize = 64;

/// Tasks that are looked at and ended together: about a megabyte, and a commit of some milliseconds.
const SWEEP_TASKS_MAX: usize = 1024;

/// Cancelled tasks on their way to their end.
#[derive(Debug, Default)]
pub(super) struct Discards {
    /// What they hold is not known yet.
    waiting: VecDeque<TaskId>,
    /// They hold something, so a transfer ends each.
    holding: VecDeque<TaskId>,
    /// Those transfers that run.
    transfers: usize,
    is_sweeping: bool,
}

impl Discards {
    /// A transfer that discarded has ended.
    pub(super) const fn transfer_ended(&mut self) {
        self.transfers -= 1;
    }

    /// Whether tasks are being ended together.
    pub(super) const fn is_sweeping(&self) -> bool {
        self.is_sweeping
    }
}

/// What was found of a cancelled task.
enum Swept {
    Ended(Outcome),
    /// It holds something, or it could not be ended here: a transfer goes on with what was read.
    Holds(Option<Begun>),
}

/// Tasks that are ended together.
struct Sweep {
    parts: Arc<SessionParts>,
    tasks: Vec<TaskId>,
    /// Those of them that no transfer ever ran for, in the same order: they left no file.
    is_new: Vec<bool>,
}

/// A task that holds nothing.
struct Empty {
    task: TaskId,
    generation: Generation,
    /// Where an earlier transfer may have left a part file without a record.
    destination: Option<Destination>,
}

impl SessionActor {
    /// Ends a cancelled task that nothing runs for, as soon as there is a place for it.
    pub(super) fn discard(&mut self, task: TaskId) {
        self.discards.waiting.push_back(task);
    }

    /// Ends those that hold nothing together, and starts the transfers that discard what the others
    /// hold, as many as there are places for.
    pub(super) fn start_discards(&mut self, context: &mut Context<Self>) {
        while self.quiesce.is_none() && self.discards.transfers < TRANSFERS_MAX {
            let Some(task) = self.discards.holding.pop_front() else {
                return self.sweep(context);
            };
            if self.tasks.contains_key(&task) {
                self.discards.transfers += 1;
                self.launch(task, Launch::DISCARD, context);
            }
        }
    }

    fn sweep(&mut self, context: &mut Context<Self>) {
        if self.discards.is_sweeping {
            return;
        }
        let most = self.discards.waiting.len().min(SWEEP_TASKS_MAX);
        let (tasks, is_new): (Vec<_>, Vec<_>) = self
            .discards
            .waiting
            .drain(..most)
            .filter_map(|task| Some((task, self.tasks.get(&task)?.is_new)))
            .unzip();
        if tasks.is_empty() {
            return;
        }
        self.discards.is_sweeping = true;
        let sweep = Sweep {
            parts: Arc::clone(&self.parts),
            tasks,
            is_new,
        };
        context.spawn(sweep.run().into_actor(self).map(Self::swept));
    }

    fn swept(swept: Vec<(TaskId, Swept)>, session: &mut Self, context: &mut Context<Self>) {
        fault::point("session.swept");
        session.discards.is_sweeping = false;
        for (task, swept) in swept {
            match swept {
                Swept::Ended(outcome) => {
                    session.answer_waiters(task, &outcome);
                    session.advance(task, Event::ChildEnded, context);
                }
                Swept::Holds(begun) => {
                    session.ahead.put(task, begun);
                    session.discards.holding.push_back(task);
                }
            }
        }
        if session.quiesce.is_some() {
            return session.answer_quiesce();
        }
        session.maintain(context);
    }
}

impl Sweep {
    async fn run(self) -> Vec<(TaskId, Swept)> {
        let Self {
            parts,
            tasks,
            is_new,
        } = self;
        fault::point("session.sweeping");
        let ask = || Begin {
            session: parts.id.clone(),
            tasks: tasks.clone(),
        };
        let Ok(Ok(begun)) = parts.registry.call(ask).await else {
            let unknown = |task| (task, Swept::Holds(None));
            return tasks.into_iter().map(unknown).collect();
        };
        fault::point("session.sweep_begun");
        let (mut swept, mut empty) = (Vec::with_capacity(tasks.len()), Vec::new());
        for ((task, is_new), begun) in tasks.into_iter().zip(is_new).zip(begun) {
            match Empty::find(task, is_new, &begun) {
                Some(found) => empty.push(found),
                None => swept.push((task, Swept::from(begun))),
            }
        }
        remove_parts(&parts, &mut empty).await;
        fault::point("session.sweep_closing");
        swept.extend(close(&parts, empty).await);
        swept
    }
}

impl Empty {
    /// `None` when the task has ended or holds something.
    fn find(task: TaskId, is_new: bool, begun: &Begun) -> Option<Self> {
        let Begun::Live(live, generation) = begun else {
            return None;
        };
        let (known, progress) = &**live;
        let is_empty = progress.is_none() && known.desired == Desired::Cancelled;
        is_empty.then(|| Self {
            task,
            generation: *generation,
            destination: known.spec.destination().filter(|_| !is_new).cloned(),
        })
    }
}

impl From<Begun> for Swept {
    fn from(begun: Begun) -> Self {
        match begun {
            Begun::Ended(outcome) => Self::Ended(outcome),
            Begun::Unknown => Self::Ended(Outcome::Cancelled),
            Begun::Live(..) => Self::Holds(Some(begun)),
        }
    }
}

/// Removes the part files that no record names: before the end is on record, after which nobody
/// would look for them.
async fn remove_parts(parts: &SessionParts, empty: &mut [Empty]) {
    let left: Vec<(TaskId, Destination)> = empty
        .iter_mut()
        .filter_map(|it| Some((it.task, it.destination.take()?)))
        .collect();
    if left.is_empty() {
        return;
    }
    let parts_dir = parts.world.parts_dir.clone();
    let remove = move || discard_unrecorded(&left, &parts_dir);
    match tokio::task::spawn_blocking(remove).await {
        Ok(Ok(())) => {}
        // A part file that stays does not hinder the end.
        Ok(Err(error)) => tracing::warn!(%error, "a part file was left behind"),
        Err(error) => tracing::warn!(%error, "part files were left behind"),
    }
}

/// Ends the tasks, each under the generation that was begun for it.
async fn close(parts: &SessionParts, empty: Vec<Empty>) -> Vec<(TaskId, Swept)> {
    let worker = parts.world.next_worker();
    let (mut writes, mut answers) = (Vec::new(), Vec::new());
    for Empty {
        task, generation, ..
    } in empty
    {
        let (reply, answer) = oneshot::channel();
        answers.push((task, answer));
        writes.push(Write {
            task,
            generation,
            change: closing(parts.id.clone(), task),
            worker,
            reply,
        });
    }
    parts.world.intake.put(writes, &parts.registry);
    let mut closed = Vec::with_capacity(answers.len());
    for (task, answer) in answers {
        closed.push((task, Swept::answered(answer.await.ok())));
    }
    closed
}

fn closing(session: SessionId, task: TaskId) -> Change {
    Change::Close {
        session,
        task,
        outcome: Outcome::Cancelled,
        // It has asked for nothing.
        metrics: None,
    }
}

impl Swept {
    fn answered(answer: Option<Answer>) -> Self {
        match answer {
            Some(Ok(_)) => Self::Ended(Outcome::Cancelled),
            Some(Err(NotStored::Refused(Refusal::Ended(earlier)))) => Self::Ended(*earlier),
            // A transfer tries again, as often as one may.
            Some(Err(NotStored::Refused(_) | NotStored::Fenced | NotStored::Failed(_))) | None => {
                Self::Holds(None)
            }
        }
    }
}
