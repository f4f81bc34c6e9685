//! The end of a session.

use actix::{ActorFutureExt, Context, Handler, Message, ResponseActFuture, WrapFuture};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::session::Invalidation;
use longhaul_engine::task::Desired;
use longhaul_persistence::{Change, Effect, Refusal};

use super::{Entry, SessionActor};
use crate::fault;
use crate::local::CallError;
use crate::registry::{Apply, NotStored};

/// Lets the session take no new tasks and end with its last; answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), CallError>")]
pub(crate) struct Invalidate(pub(crate) Invalidation);

impl Handler<Invalidate> for SessionActor {
    type Result = ResponseActFuture<Self, Result<(), CallError>>;

    fn handle(&mut self, Invalidate(how): Invalidate, _: &mut Self::Context) -> Self::Result {
        fault::point("session.invalidate");
        let session = self.parts.id.clone();
        let change = Change::Invalidate {
            session: session.clone(),
            how,
        };
        let registry = self.parts.registry.clone();
        let apply = async move {
            fault::point("session.invalidating");
            registry.call(|| Apply(vec![change.clone()])).await
        };
        let answered = apply.into_actor(self).map(move |answers, actor, context| {
            fault::point("session.invalidated");
            let answers = answers.map_err(|_| CallError::Stopped { reason: None })?;
            match answers.into_iter().next() {
                Some(Ok(Effect::Invalidated(_))) => {
                    if how == Invalidation::CancelTasks {
                        actor.cancel_all(context);
                    }
                    Ok(())
                }
                Some(Err(NotStored::Refused(Refusal::NoSuchSession(_)))) => {
                    Err(CallError::Invalidated(session))
                }
                Some(Err(error)) => Err(CallError::Store(error.to_string())),
                Some(Ok(_)) | None => Err(CallError::Store("it gave no answer".to_owned())),
            }
        });
        Box::pin(answered)
    }
}

impl SessionActor {
    /// Cancels every task, as the store has it already. Places are given out when all of them have
    /// heard it, so that none that waits gets the place of one that ran.
    fn cancel_all(&mut self, context: &mut Context<Self>) {
        self.is_cancelled = true;
        self.hold_successors();
        let is_live = |(_, entry): &(&TaskId, &Entry)| entry.state != State::Ended;
        let live: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(is_live)
            .map(|(id, _)| *id)
            .collect();
        for task in live {
            self.advance(task, Event::Want(Desired::Cancelled), context);
        }
        self.maintain(context);
    }
}
