//! What the owner of a session asks of it.

use actix::{
    ActorFutureExt, Context, Handler, Message, ResponseActFuture, ResponseFuture, WrapFuture,
};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::schedule::Schedule;
use longhaul_engine::session::host_key;
use longhaul_engine::task::Desired;
use longhaul_engine::time::Timestamp;
use longhaul_persistence::{Change, Refusal};
use tokio::sync::oneshot;

use super::{NewTask, SessionActor};
use crate::fault;
use crate::local::CallError;
use crate::registry::{Apply, NotStored};
use crate::starting::{StartRequest, Started, Starts, change_of, started};
use crate::transfer::Want;

/// Makes tasks, running or suspended; answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Starts, CallError>")]
pub(crate) struct StartTasks(pub(crate) Vec<StartRequest>);

impl Handler<StartTasks> for SessionActor {
    type Result = ResponseActFuture<Self, Result<Starts, CallError>>;

    fn handle(&mut self, StartTasks(requests): StartTasks, _: &mut Self::Context) -> Self::Result {
        fault::point("session.start");
        let created_at = self.parts.world.clock.now();
        let mut requests = requests;
        for request in &mut requests {
            let scheduling = &self.parts.world.scheduling;
            scheduling.take_background(request.spec.options_mut());
        }
        let asked: Vec<Asked> = requests
            .iter()
            .map(|request| Asked::new(request, created_at))
            .collect();
        let session = self.parts.id.clone();
        let changes: Vec<Change> = requests
            .into_iter()
            .map(|request| change_of(request, &session, created_at))
            .collect();
        let registry = self.parts.registry.clone();
        let apply = async move {
            fault::point("session.registering");
            registry.call(|| Apply(changes.clone())).await
        };
        Box::pin(
            apply
                .into_actor(self)
                .map(move |answers, session, context| {
                    fault::point("session.registered");
                    let answers = answers.map_err(|_| CallError::Stopped { reason: None })?;
                    let mut starts = Vec::with_capacity(answers.len());
                    for (answer, asked) in answers.into_iter().zip(&asked) {
                        let answer = started(answer)?;
                        if let Ok(started) = answer {
                            session.registered(started, asked, context);
                        }
                        starts.push(answer.map(Started::task));
                    }
                    session.maintain(context);
                    Ok(starts)
                }),
        )
    }
}

/// What the session keeps of a request while it is recorded.
pub(super) struct Asked {
    pub(super) host: String,
    pub(super) desired: Desired,
    pub(super) schedule: Schedule,
    pub(super) created_at: Timestamp,
    /// It goes on with what another task had fetched.
    pub(super) has_begun: bool,
}

impl Asked {
    fn new(request: &StartRequest, created_at: Timestamp) -> Self {
        Self {
            host: host_key(request.spec.url()),
            desired: request.desired,
            schedule: Schedule::from(request.spec.options()),
            created_at,
            has_begun: false,
        }
    }
}

impl SessionActor {
    fn registered(&mut self, started: Started, asked: &Asked, context: &mut Context<Self>) {
        match started {
            Started::New(task) => {
                self.take_in_new(task, asked, true, context);
            }
            Started::Adopted { task, is_changed } => {
                if is_changed {
                    self.forget_ahead(task);
                    self.relaunch(task);
                    self.reschedule(task, asked.schedule, context);
                }
                if self.tasks.contains_key(&task) {
                    self.outdate(task);
                    self.happened(task, Event::Want(asked.desired), context);
                } else {
                    // It was registered while this actor was being started, and is not in its list.
                    self.take_in_new(task, asked, false, context);
                }
            }
        }
    }
}

impl SessionActor {
    /// Begins with a task that is in the store and not in the list of this actor.
    pub(super) fn take_in_new(
        &mut self,
        task: TaskId,
        asked: &Asked,
        is_new: bool,
        context: &mut Context<Self>,
    ) {
        let state = match asked.desired {
            Desired::Running => State::Queued,
            Desired::Suspended | Desired::Cancelled | Desired::CancelledResumable => {
                State::Suspended
            }
        };
        let new = NewTask {
            host: &asked.host,
            state,
            schedule: asked.schedule,
            created_at: asked.created_at,
            has_begun: asked.has_begun,
            is_new,
        };
        self.insert(task, new);
        if self.is_cancelled {
            // It was registered just before all were cancelled.
            self.happened(task, Event::Want(Desired::Cancelled), context);
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
        let is_cancelling = self
            .tasks
            .get(&task)
            .is_some_and(|entry| entry.state == State::Cancelling);
        if is_cancelling {
            // A cancelled task can not be resumed; the first wish stands.
            return Box::pin(std::future::ready(Ok(())).into_actor(self));
        }
        let change = Change::SetDesired {
            session: self.parts.id.clone(),
            task,
            desired,
        };
        let registry = self.parts.registry.clone();
        let apply = async move {
            fault::point("session.wanting");
            registry.call(|| Apply(vec![change.clone()])).await
        };
        Box::pin(
            apply
                .into_actor(self)
                .map(move |answers, session, context| {
                    fault::point("session.wanted");
                    let answers = answers.map_err(|_| CallError::Stopped { reason: None })?;
                    match answers.into_iter().next() {
                        Some(Ok(_)) => {
                            if desired == Desired::Running {
                                session.outdate(task);
                            }
                            session.happened(task, Event::Want(desired), context);
                            Ok(())
                        }
                        // It has ended: there is nothing left to want.
                        Some(Err(NotStored::Refused(Refusal::Ended(_)))) => Ok(()),
                        Some(Err(NotStored::Refused(_))) => Err(CallError::NoSuchTask(task)),
                        Some(Err(error)) => Err(CallError::Store(error.to_string())),
                        None => Err(CallError::Store("the store gave no answer".to_owned())),
                    }
                }),
        )
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
            self.settle(task);
            match self.tasks.get_mut(&task) {
                // Its transfer is about to go.
                Some(entry) if entry.child.is_some() => entry.is_forgotten = true,
                Some(entry) => {
                    if entry.state != State::Ended {
                        // A transfer of an earlier incarnation has ended it.
                        self.dequeue(task);
                        self.step(task, Event::ChildEnded);
                    }
                    self.tasks.remove(&task);
                    for waiter in self.waiters.remove(&task).unwrap_or_default() {
                        // Who asked may be gone.
                        let _ = waiter.send(Err(CallError::NoSuchTask(task)));
                    }
                }
                None => {}
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
        self.hold_successors();
        for child in self
            .tasks
            .values_mut()
            .filter_map(|entry| entry.child.as_mut())
        {
            if child.told == Desired::Running {
                child.told = Desired::Suspended;
                child.address.do_send(Want(Desired::Suspended));
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
