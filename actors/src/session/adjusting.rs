//! What the owner of a session changes about tasks that live: options, and whether they begin.

use actix::{ActorFutureExt, Handler, Message, ResponseActFuture, WrapFuture};
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::session::host_key;
use longhaul_engine::task::{Adjustment, Desired};
use longhaul_persistence::{Change, Effect, Refusal};

use super::SessionActor;
use crate::fault;
use crate::local::{CallError, RefusedStart};
use crate::registry::{Answer, Apply, NotStored};
use crate::slot::Gone;

/// Changes an option of a task; answered after the commit. A task that has ended is left as it is.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), CallError>")]
pub(crate) struct Adjust {
    pub(crate) task: TaskId,
    pub(crate) adjustment: Adjustment,
}

impl Handler<Adjust> for SessionActor {
    type Result = ResponseActFuture<Self, Result<(), CallError>>;

    fn handle(&mut self, message: Adjust, _: &mut Self::Context) -> Self::Result {
        fault::point("session.adjust");
        let Adjust { task, adjustment } = message;
        let change = Change::Adjust {
            session: self.parts.id.clone(),
            task,
            adjustment,
        };
        let applied = self.apply_one(change).into_actor(self);
        Box::pin(applied.map(move |answer, session, context| {
            fault::point("session.adjusted");
            match stored(answer, task)? {
                Stored::Done => {
                    session.adjusted(task, adjustment);
                    session.let_stand_by(context);
                }
                Stored::Ended => {}
                Stored::TargetInUse(_) => return Err(other_answer()),
            }
            Ok(())
        }))
    }
}

/// Says what becomes of a delayed task whose time has come; answered after the commit. A task that
/// does not wait for this word is left as it is.
#[derive(Debug, Message)]
#[rtype(result = "Result<Result<(), RefusedStart>, CallError>")]
pub(crate) struct DecideBegin {
    pub(crate) task: TaskId,
    pub(crate) decision: DelayedRequest,
}

impl Handler<DecideBegin> for SessionActor {
    type Result = ResponseActFuture<Self, Result<Result<(), RefusedStart>, CallError>>;

    fn handle(&mut self, message: DecideBegin, _: &mut Self::Context) -> Self::Result {
        fault::point("session.decide_begin");
        let DecideBegin { task, decision } = message;
        let state = self.tasks.get(&task).map(|entry| entry.state);
        if state != Some(State::AwaitingBegin) {
            let answer = state.map(|_| Ok(())).ok_or(CallError::NoSuchTask(task));
            return Box::pin(std::future::ready(answer).into_actor(self));
        }
        let change = Change::DecideBegin {
            session: self.parts.id.clone(),
            task,
            decision: decision.clone(),
        };
        let applied = self.apply_one(change).into_actor(self);
        Box::pin(applied.map(move |answer, session, context| {
            fault::point("session.decided_begin");
            match stored(answer, task)? {
                Stored::Done => {
                    let event = session.decided(task, &decision);
                    session.happened(task, event, context);
                }
                Stored::Ended => {}
                Stored::TargetInUse(refused) => return Ok(Err(refused)),
            }
            Ok(Ok(()))
        }))
    }
}

/// Sets the rate of the whole session until the engine stops.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), CallError>")]
pub(crate) struct SetRateLimit(pub(crate) Option<u64>);

impl Handler<SetRateLimit> for SessionActor {
    type Result = Result<(), CallError>;

    fn handle(&mut self, SetRateLimit(bytes): SetRateLimit, _: &mut Self::Context) -> Self::Result {
        fault::point("session.set_rate_limit");
        self.parts.limiter.set_rate(bytes);
        Ok(())
    }
}

/// What the store made of a change of one task.
enum Stored {
    Done,
    /// There is nothing left to change.
    Ended,
    TargetInUse(RefusedStart),
}

impl SessionActor {
    fn apply_one(&self, change: Change) -> impl Future<Output = Result<Vec<Answer>, Gone>> + use<> {
        let registry = self.parts.registry.clone();
        async move {
            fault::point("session.applying");
            registry.call(|| Apply(vec![change.clone()])).await
        }
    }

    fn adjusted(&mut self, task: TaskId, adjustment: Adjustment) {
        self.settle(task);
        let Some(entry) = self.tasks.get_mut(&task) else {
            return;
        };
        match adjustment {
            Adjustment::Priority(priority) => {
                entry.schedule.priority = priority;
                self.queue.set_priority(&entry.host, task, priority);
                self.successors.outdate();
            }
            Adjustment::RateLimit(bytes) => {
                entry.schedule.rate_limit_bytes = bytes;
                if let Some(child) = &entry.child {
                    child.limits.task.set_rate(bytes);
                }
            }
        }
    }

    fn decided(&mut self, task: TaskId, decision: &DelayedRequest) -> Event {
        if let Some(entry) = self.tasks.get_mut(&task) {
            entry.has_begun = true;
        }
        if let DelayedRequest::UseNewRequest(request) = decision {
            self.forget_ahead(task);
            self.relaunch(task);
            self.move_to_host(task, &host_key(&request.url));
        }
        match decision {
            DelayedRequest::ContinueLoading | DelayedRequest::UseNewRequest(_) => Event::Begin,
            DelayedRequest::Cancel => Event::Want(Desired::Cancelled),
        }
    }
}

fn stored(answer: Result<Vec<Answer>, Gone>, task: TaskId) -> Result<Stored, CallError> {
    let answers = answer.map_err(|Gone| CallError::Stopped { reason: None })?;
    match answers.into_iter().next() {
        Some(Ok(Effect::Done)) => Ok(Stored::Done),
        Some(Err(NotStored::Refused(Refusal::Ended(_)))) => Ok(Stored::Ended),
        Some(Err(NotStored::Refused(Refusal::TargetInUse { session, task }))) => {
            let refused = RefusedStart::TargetInUse { session, task };
            Ok(Stored::TargetInUse(refused))
        }
        Some(Err(NotStored::Refused(Refusal::NoSuchTask))) => Err(CallError::NoSuchTask(task)),
        Some(Err(error)) => Err(CallError::Store(error.to_string())),
        Some(Ok(_)) | None => Err(other_answer()),
    }
}

fn other_answer() -> CallError {
    CallError::Store("the store gave an answer to another question".to_owned())
}
