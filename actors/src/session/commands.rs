//! What the owner of a session asks of it.

use actix::{ActorFutureExt, Context, Handler, Message, ResponseActFuture, ResponseFuture, WrapFuture};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::session::host_key;
use longhaul_engine::task::{Desired, DownloadSpec, Outcome, Phase, Progress, QueueReason, Task};
use longhaul_engine::checkpoint::{Checkpoint, Stage};
use longhaul_persistence::{Change, Effect, Refusal};
use tokio::sync::oneshot;

use super::SessionActor;
use crate::fault;
use crate::handle::{CallError, RefusedStart, TaskView};
use crate::registry::{Answer, Apply, ListTasks, NotStored, ReadTask};
use crate::slot::Later;
use crate::transfer::Want;

/// Rows of one read while all tasks are listed, so that writers get their turn.
const LIST_PAGE: usize = 4096;

/// Makes and starts tasks; answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Result<TaskId, RefusedStart>>, CallError>")]
pub(crate) struct StartTasks {
    pub(crate) specs: Vec<DownloadSpec>,
    pub(crate) adopt: bool,
}

impl Handler<StartTasks> for SessionActor {
    type Result = ResponseActFuture<Self, Result<Vec<Result<TaskId, RefusedStart>>, CallError>>;

    fn handle(&mut self, message: StartTasks, _: &mut Self::Context) -> Self::Result {
        fault::point("session.start");
        let created_at = self.parts.world.clock.now();
        let StartTasks { specs, adopt } = message;
        let hosts: Vec<String> = specs.iter().map(|spec| host_key(&spec.url)).collect();
        let session = self.parts.id.clone();
        let changes: Vec<Change> = specs
            .into_iter()
            .map(|spec| Change::Register {
                session: session.clone(),
                spec: Box::new(spec),
                desired: Desired::Running,
                created_at,
                adopt,
            })
            .collect();
        let registry = self.parts.registry.clone();
        let apply = async move {
            fault::point("session.registering");
            registry.call(|| Apply(changes.clone())).await
        };
        Box::pin(apply.into_actor(self).map(move |answers, session, context| {
            fault::point("session.registered");
            let answers = answers.map_err(|_| CallError::Stopped { reason: None })?;
            let mut started = Vec::with_capacity(answers.len());
            for (answer, host) in answers.into_iter().zip(&hosts) {
                started.push(session.registered(answer, host, context)?);
            }
            session.maintain(context);
            Ok(started)
        }))
    }
}

impl SessionActor {
    fn registered(
        &mut self,
        answer: Answer,
        host: &str,
        context: &mut Context<Self>,
    ) -> Result<Result<TaskId, RefusedStart>, CallError> {
        match answer {
            Ok(Effect::Registered(task)) => {
                self.insert(task, host, State::Queued);
                if let Some(entry) = self.tasks.get_mut(&task) {
                    entry.is_new = true;
                }
                Ok(Ok(task))
            }
            Ok(Effect::Adopted(task)) => {
                if self.tasks.contains_key(&task) {
                    self.happened(task, Event::Want(Desired::Running), context);
                }
                Ok(Ok(task))
            }
            Err(NotStored::Refused(Refusal::TargetInUse { session, task })) => {
                Ok(Err(RefusedStart::TargetInUse { session, task }))
            }
            Err(NotStored::Refused(refusal)) => Ok(Err(RefusedStart::Invalid(refusal.to_string()))),
            Ok(Effect::Done | Effect::Closed(_) | Effect::Forgotten(_)) | Err(NotStored::Fenced) => {
                Err(CallError::Store("the store gave an answer to another question".to_owned()))
            }
            Err(NotStored::Failed(why)) => Err(CallError::Store(why)),
        }
    }
}

/// Sets what is wanted of a task; answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), CallError>")]
pub(crate) struct SetWant {
    pub(crate) task: TaskId,
    pub(crate) desired: Desired,
}

impl Handler<SetWant> for SessionActor {
    type Result = ResponseActFuture<Self, Result<(), CallError>>;

    fn handle(&mut self, message: SetWant, _: &mut Self::Context) -> Self::Result {
        fault::point("session.want");
        let SetWant { task, desired } = message;
        let is_cancelling =
            self.tasks.get(&task).is_some_and(|entry| entry.state == State::Cancelling);
        if is_cancelling {
            // A cancelled task can not be resumed; the first wish stands.
            return Box::pin(std::future::ready(Ok(())).into_actor(self));
        }
        let change = Change::SetDesired { session: self.parts.id.clone(), task, desired };
        let registry = self.parts.registry.clone();
        let apply = async move {
            fault::point("session.wanting");
            registry.call(|| Apply(vec![change.clone()])).await
        };
        Box::pin(apply.into_actor(self).map(move |answers, session, context| {
            fault::point("session.wanted");
            let answers = answers.map_err(|_| CallError::Stopped { reason: None })?;
            match answers.into_iter().next() {
                Some(Ok(_)) => {
                    session.happened(task, Event::Want(desired), context);
                    Ok(())
                }
                // It has ended: there is nothing left to want.
                Some(Err(NotStored::Refused(Refusal::Ended(_)))) => Ok(()),
                Some(Err(NotStored::Refused(_))) => Err(CallError::NoSuchTask(task)),
                Some(Err(error)) => Err(CallError::Store(error.to_string())),
                None => Err(CallError::Store("the store gave no answer".to_owned())),
            }
        }))
    }
}

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
            let ask = || ReadTask { session: session.clone(), task };
            let outcome = match registry.call(ask).await {
                Ok(Ok(Some((Task { outcome: Some(outcome), .. }, _)))) => Ok(outcome),
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
            let ask = || ReadTask { session: session.clone(), task };
            registry.call(ask).await
        };
        Box::pin(read.into_actor(self).map(move |found, session, _| {
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
                let ask = || ListTasks { session: session.clone(), after, limit: LIST_PAGE };
                let page = registry.call(ask).await;
                let page = page.map_err(|_| CallError::Stopped { reason: None })?;
                let page = page.map_err(|error| CallError::Store(error.to_string()))?;
                after = page.last().map(|task| task.id);
                let is_last = page.len() < LIST_PAGE;
                for summary in page {
                    let ask = || ReadTask { session: session.clone(), task: summary.id };
                    if let Ok(Ok(Some(task))) = registry.call(ask).await {
                        found.push(task);
                    }
                }
                if is_last {
                    return Ok(found);
                }
            }
        };
        Box::pin(read.into_actor(self).map(|found, session, _| {
            let found: Vec<(Task, Option<Checkpoint>)> = found?;
            Ok(found.into_iter().map(|(t, c)| session.view(t, c.as_ref())).collect())
        }))
    }
}

impl SessionActor {
    /// Puts together what the store knows and what the actor knows better.
    fn view(&self, task: Task, checkpoint: Option<&Checkpoint>) -> TaskView {
        let entry = self.tasks.get(&task.id);
        let recorded = Progress {
            received_bytes: checkpoint
                .map_or(0, |known| known.spans.iter().map(|s| s.written - s.start).sum()),
            total_bytes: checkpoint.and_then(|known| known.total),
        };
        let child = entry.and_then(|entry| entry.child.as_ref());
        let (live_phase, live_progress) = child.map(|child| child.live.now()).unwrap_or_default();
        let phase = match entry.map(|entry| entry.state) {
            Some(State::Queued) if self.queue.is_full() => Phase::Queued(QueueReason::SessionLimit),
            Some(State::Queued) => Phase::Queued(QueueReason::HostLimit),
            Some(State::Running | State::Stopping | State::Cancelling) => {
                live_phase.unwrap_or(Phase::Connecting)
            }
            Some(State::Waiting(at)) => waiting(at, checkpoint),
            Some(State::AwaitingAuthorization) => Phase::AwaitingAuthorization,
            Some(State::Suspended) => Phase::Suspended,
            Some(State::Ended) | None => Phase::Completed,
        };
        let progress = match &task.outcome {
            Some(Outcome::Finished(finished)) => {
                Progress { received_bytes: finished.bytes, total_bytes: Some(finished.bytes) }
            }
            Some(_) | None => live_progress.unwrap_or(recorded),
        };
        TaskView {
            id: task.id,
            state: task.state(),
            phase,
            progress,
            url: task.spec.url,
            destination: task.spec.destination,
            outcome: task.outcome,
        }
    }
}

fn waiting(at: longhaul_engine::time::Timestamp, checkpoint: Option<&Checkpoint>) -> Phase {
    match checkpoint {
        Some(Checkpoint { retry: Some((at, cause)), .. }) => {
            Phase::WaitingToRetry { at: *at, cause: cause.clone() }
        }
        Some(Checkpoint { stage: Stage::AwaitingAuthorization, .. }) => Phase::AwaitingAuthorization,
        Some(_) | None => Phase::WaitingToRetry {
            at,
            cause: longhaul_engine::failure::Failure::new(
                longhaul_engine::failure::FailureKind::Disconnected,
                "the transfer was interrupted",
            ),
        },
    }
}

/// The end of these tasks was acknowledged: they are gone from the store. A hint; a restart forgets
/// them too.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Forgotten(pub(crate) Vec<TaskId>);

impl Handler<Forgotten> for SessionActor {
    type Result = ();

    fn handle(&mut self, Forgotten(tasks): Forgotten, _: &mut Self::Context) {
        fault::point("session.forgotten");
        for task in tasks {
            if self.tasks.get(&task).is_some_and(|entry| entry.child.is_none()) {
                self.tasks.remove(&task);
            }
        }
    }
}

/// Stops all transfers without wishing anything else of them: the engine stops. Answered when the
/// last has recorded its progress.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Quiesce;

impl Handler<Quiesce> for SessionActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Quiesce, _: &mut Self::Context) -> Self::Result {
        fault::point("session.quiesce");
        let (reply, answer) = oneshot::channel();
        self.quiesce.get_or_insert_default().push(reply);
        for child in self.tasks.values_mut().filter_map(|entry| entry.child.as_mut()) {
            if child.told == Desired::Running {
                child.told = Desired::Suspended;
                if let Some(address) = &child.address {
                    address.do_send(Want(Desired::Suspended));
                }
            }
        }
        fault::point("session.quiesced");
        self.answer_quiesce();
        Box::pin(async move {
            // Without an answer the actor is gone, and its children with it.
            let _ = answer.await;
        })
    }
}
