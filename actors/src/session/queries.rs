//! What the owner of a session asks about its tasks.

use std::ops::Bound;

use actix::{ActorFutureExt, Handler, Message, ResponseActFuture, WrapFuture};
use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::State;
use longhaul_engine::task::{Outcome, Phase, Progress, QueueReason, Task};
use longhaul_engine::time::Timestamp;
use tokio::sync::oneshot;

use super::scheduling::held_phase;
use super::{Entry, SessionActor};
use crate::fault;
use crate::local::{CallError, TaskView};
use crate::registry::{ReadTask, ReadTasks};
use crate::slot::Later;

/// Rows of one read while all tasks are listed, so that writers get their turn.
const LIST_PAGE: usize = 4096;

/// The outcome of a task, as soon as it has one.
#[derive(Debug, Message)]
#[rtype(result = "Result<Outcome, CallError>")]
pub(crate) struct GetOutcome(pub(crate) TaskId);

impl Handler<GetOutcome> for SessionActor {
    type Result = Later<Result<Outcome, CallError>>;

    fn handle(&mut self, GetOutcome(task): GetOutcome, _: &mut Self::Context) -> Self::Result {
        fault::point("session.outcome");
        let (reply, answer) = oneshot::channel();
        let state = self.tasks.get(&task).map(|entry| entry.state);
        let has_ended = state.is_none_or(|state| state == State::Ended);
        if !has_ended || self.closing.contains(&task) {
            self.waiters.entry(task).or_default().push(reply);
            return Later(answer);
        }
        let registry = self.parts.registry.clone();
        let session = self.parts.id.clone();
        actix_rt::spawn(async move {
            let ask = || ReadTask {
                session: session.clone(),
                task,
            };
            let outcome = match registry.call(ask).await {
                Ok(Ok(Some((
                    Task {
                        outcome: Some(outcome),
                        ..
                    },
                    _,
                )))) => Ok(outcome),
                Ok(Ok(_)) => Err(CallError::NoSuchTask(task)),
                Ok(Err(error)) => Err(CallError::Store(error.to_string())),
                Err(_) => Err(CallError::Stopped { reason: None }),
            };
            // Who asked may be gone.
            let _ = reply.send(outcome);
        });
        Later(answer)
    }
}

/// One task as it is now.
#[derive(Debug, Message)]
#[rtype(result = "Result<TaskView, CallError>")]
pub(crate) struct GetView(pub(crate) TaskId);

impl Handler<GetView> for SessionActor {
    type Result = ResponseActFuture<Self, Result<TaskView, CallError>>;

    fn handle(&mut self, GetView(task): GetView, _: &mut Self::Context) -> Self::Result {
        fault::point("session.view");
        let registry = self.parts.registry.clone();
        let session = self.parts.id.clone();
        let read = async move {
            let ask = || ReadTask {
                session: session.clone(),
                task,
            };
            registry.call(ask).await
        };
        Box::pin(read.into_actor(self).map(move |found, session, _| {
            session.catch_up();
            let found = found.map_err(|_| CallError::Stopped { reason: None })?;
            match found.map_err(|error| CallError::Store(error.to_string()))? {
                Some((task, checkpoint)) => Ok(session.view(task, checkpoint.as_ref())),
                None => Err(CallError::NoSuchTask(task)),
            }
        }))
    }
}

/// All tasks as they are now.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<TaskView>, CallError>")]
pub(crate) struct ListViews;

impl Handler<ListViews> for SessionActor {
    type Result = ResponseActFuture<Self, Result<Vec<TaskView>, CallError>>;

    fn handle(&mut self, _: ListViews, _: &mut Self::Context) -> Self::Result {
        fault::point("session.list");
        let registry = self.parts.registry.clone();
        let session = self.parts.id.clone();
        let read = async move {
            fault::point("session.listing");
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let ask = || ReadTasks {
                    session: session.clone(),
                    after,
                    limit: LIST_PAGE,
                };
                let page = registry.call(ask).await;
                let page = page.map_err(|_| CallError::Stopped { reason: None })?;
                let page = page.map_err(|error| CallError::Store(error.to_string()))?;
                after = page.last().map(|(task, _)| task.id);
                let is_last = page.len() < LIST_PAGE;
                found.extend(page);
                if is_last {
                    return Ok(found);
                }
            }
        };
        Box::pin(read.into_actor(self).map(|found, session, _| {
            session.catch_up();
            let found: Vec<(Task, Option<TaskCheckpoint>)> = found?;
            Ok(found
                .into_iter()
                .map(|(t, c)| session.view(t, c.as_ref()))
                .collect())
        }))
    }
}

/// The first task after this number that has not ended, as far as the session knows: it hears of an
/// end a moment after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<TaskId>, CallError>")]
pub(crate) struct NextLive {
    pub(crate) after: TaskId,
}

impl Handler<NextLive> for SessionActor {
    type Result = Result<Option<TaskId>, CallError>;

    fn handle(&mut self, NextLive { after }: NextLive, _: &mut Self::Context) -> Self::Result {
        fault::point("session.next_live");
        let later = (Bound::Excluded(after), Bound::Unbounded);
        let mut later = self.tasks.range(later);
        let is_live = |(task, entry): &(&TaskId, &Entry)| {
            entry.state != State::Ended || self.closing.contains(task)
        };
        Ok(later.find(is_live).map(|(task, _)| *task))
    }
}

/// How many tasks there are, as far as the session knows.
#[derive(Debug, Message)]
#[rtype(result = "Result<TaskCounts, CallError>")]
pub(crate) struct CountTasks;

/// How many tasks a session has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    pub(crate) live: u64,
    /// They have ended, and were not acknowledged.
    pub(crate) ended: u64,
}

impl Handler<CountTasks> for SessionActor {
    type Result = Result<TaskCounts, CallError>;

    fn handle(&mut self, _: CountTasks, _: &mut Self::Context) -> Self::Result {
        fault::point("session.count");
        // Those that crashed too often end a moment later.
        let live = self.live + self.closing.len();
        let ended = self.tasks.len().saturating_sub(live);
        let count = |tasks| u64::try_from(tasks).unwrap_or(u64::MAX);
        Ok(TaskCounts {
            live: count(live),
            ended: count(ended),
        })
    }
}

/// The first task after this number whose owner was asked whether it shall begin, and has not said.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<TaskId>, CallError>")]
pub(crate) struct NextAwaitingBegin {
    pub(crate) after: TaskId,
}

impl Handler<NextAwaitingBegin> for SessionActor {
    type Result = Result<Option<TaskId>, CallError>;

    fn handle(&mut self, message: NextAwaitingBegin, _: &mut Self::Context) -> Self::Result {
        fault::point("session.next_awaiting_begin");
        let later = (Bound::Excluded(message.after), Bound::Unbounded);
        Ok(self.awaiting_begin.range(later).next().copied())
    }
}

impl SessionActor {
    /// Puts together what the store knows and what the actor knows better.
    fn view(&self, task: Task, checkpoint: Option<&TaskCheckpoint>) -> TaskView {
        let entry = self.tasks.get(&task.id);
        let recorded = checkpoint.map(TaskCheckpoint::progress).unwrap_or_default();
        let child = entry.and_then(|entry| entry.child.as_ref());
        let (live_phase, live_progress) = child.map(|child| child.live.now()).unwrap_or_default();
        let slowed_by = child.and_then(|child| child.limits.slowest());
        let state = entry.map(|entry| {
            let is_asked = checkpoint.is_some_and(|known| known.challenge().is_some());
            entry.state.as_recorded(task.outcome.is_some(), is_asked)
        });
        let phase = match state {
            Some(State::Queued) => {
                Phase::Queued(entry.map_or(QueueReason::SessionLimit, |it| self.queue_reason(it)))
            }
            Some(State::Held(hold)) => held_phase(hold),
            Some(State::AwaitingBegin) => Phase::AwaitingBegin,
            Some(State::Running | State::Stopping | State::Cancelling) => {
                live_phase.unwrap_or(Phase::Connecting)
            }
            Some(State::Waiting(at)) => waiting(at, checkpoint),
            Some(State::AwaitingAuthorization) => Phase::AwaitingAuthorization,
            Some(State::Suspended) => Phase::Suspended,
            Some(State::Ended) => Phase::Completed,
            // It was made just now.
            None if task.outcome.is_none() => Phase::Queued(QueueReason::SessionLimit),
            None => Phase::Completed,
        };
        let progress = match &task.outcome {
            Some(Outcome::Finished(finished)) => Progress {
                received_bytes: finished.bytes,
                sent_bytes: 0,
                acknowledged_bytes: 0,
                total_bytes: Some(finished.bytes),
            },
            Some(Outcome::Uploaded(uploaded)) => Progress {
                received_bytes: 0,
                sent_bytes: uploaded.bytes,
                acknowledged_bytes: uploaded.bytes,
                total_bytes: Some(uploaded.bytes),
            },
            Some(_) | None => live_progress.unwrap_or(recorded),
        };
        TaskView {
            id: task.id,
            state: task.state(),
            phase,
            progress,
            spec: Box::new(task.spec),
            outcome: task.outcome,
            slowed_by,
        }
    }
}

fn waiting(at: Timestamp, checkpoint: Option<&TaskCheckpoint>) -> Phase {
    if let Some(retry) = checkpoint.and_then(TaskCheckpoint::retry) {
        return Phase::WaitingToRetry {
            at,
            cause: retry.cause.clone(),
        };
    }
    match checkpoint {
        Some(known) if known.challenge().is_some() => Phase::AwaitingAuthorization,
        Some(_) | None => Phase::WaitingToRetry {
            at,
            cause: Failure::new(FailureKind::Disconnected, "the transfer was interrupted"),
        },
    }
}
