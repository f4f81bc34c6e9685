//! What the owner of a session asks of it.

use actix::{
    ActorFutureExt, Context, Handler, Message, ResponseActFuture, ResponseFuture, WrapFuture,
};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::schedule::Schedule;
use longhaul_engine::session::host_key;
use longhaul_engine::task::{Desired, Spec};
use longhaul_engine::time::Timestamp;
use longhaul_persistence::{Change, Effect, Refusal};
use tokio::sync::oneshot;

use super::{NewTask, SessionActor};
use crate::fault;
use crate::handle::{CallError, RefusedStart};
use crate::registry::{Answer, Apply, NotStored};
use crate::transfer::Want;

/// Makes and starts tasks; answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Result<TaskId, RefusedStart>>, CallError>")]
pub(crate) struct StartTasks {
    pub(crate) specs: Vec<Spec>,
    pub(crate) adopt: bool,
}

impl Handler<StartTasks> for SessionActor {
    type Result = ResponseActFuture<Self, Result<Vec<Result<TaskId, RefusedStart>>, CallError>>;

    fn handle(&mut self, message: StartTasks, _: &mut Self::Context) -> Self::Result {
        fault::point("session.start");
        let created_at = self.parts.world.clock.now();
        let StartTasks { mut specs, adopt } = message;
        if self.parts.world.scheduling.is_background() {
            for spec in &mut specs {
                spec.options_mut().is_discretionary = true;
            }
        }
        let asked: Vec<Asked> = specs
            .iter()
            .map(|spec| Asked::new(spec, created_at))
            .collect();
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
        Box::pin(
            apply
                .into_actor(self)
                .map(move |answers, session, context| {
                    fault::point("session.registered");
                    let answers = answers.map_err(|_| CallError::Stopped { reason: None })?;
                    let mut started = Vec::with_capacity(answers.len());
                    for (answer, asked) in answers.into_iter().zip(&asked) {
                        started.push(session.registered(answer, asked, context)?);
                    }
                    session.maintain(context);
                    Ok(started)
                }),
        )
    }
}

/// What the session keeps of a request while it is recorded.
struct Asked {
    host: String,
    schedule: Schedule,
    created_at: Timestamp,
}

impl Asked {
    fn new(spec: &Spec, created_at: Timestamp) -> Self {
        Self {
            host: host_key(spec.url()),
            schedule: Schedule::from(spec.options()),
            created_at,
        }
    }
}

impl SessionActor {
    fn registered(
        &mut self,
        answer: Answer,
        asked: &Asked,
        context: &mut Context<Self>,
    ) -> Result<Result<TaskId, RefusedStart>, CallError> {
        match answer {
            Ok(Effect::Registered(task)) => {
                let new = NewTask {
                    host: &asked.host,
                    state: State::Queued,
                    schedule: asked.schedule,
                    created_at: asked.created_at,
                    has_begun: false,
                    is_new: true,
                };
                self.insert(task, new);
                Ok(Ok(task))
            }
            Ok(Effect::Adopted { task, is_changed }) => {
                if is_changed {
                    self.relaunch(task);
                    self.reschedule(task, asked.schedule, context);
                }
                if self.tasks.contains_key(&task) {
                    self.happened(task, Event::Want(Desired::Running), context);
                }
                Ok(Ok(task))
            }
            Err(NotStored::Refused(Refusal::TargetInUse { session, task })) => {
                Ok(Err(RefusedStart::TargetInUse { session, task }))
            }
            Err(NotStored::Refused(refusal)) => Ok(Err(RefusedStart::Invalid(refusal.to_string()))),
            Ok(Effect::Done | Effect::Closed(_) | Effect::Forgotten(_))
            | Err(NotStored::Fenced) => Err(CallError::Store(
                "the store gave an answer to another question".to_owned(),
            )),
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
            if self
                .tasks
                .get(&task)
                .is_some_and(|entry| entry.child.is_none())
            {
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
        for child in self
            .tasks
            .values_mut()
            .filter_map(|entry| entry.child.as_mut())
        {
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
