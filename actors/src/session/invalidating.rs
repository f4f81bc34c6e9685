//! The end of a session, and the discarding of what its cancelled tasks hold.

use actix::{ActorFutureExt, Context, Handler, Message, ResponseActFuture, WrapFuture};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::session::Invalidation;
use longhaul_engine::task::Desired;
use longhaul_persistence::{Change, Effect, Refusal};

use super::{Launch, SessionActor};
use crate::fault;
use crate::handle::CallError;
use crate::registry::{Apply, NotStored};

/// Transfers that only discard what a cancelled task holds, at once: each takes some kilobytes and
/// a commit, and a session may cancel 100,000 tasks with one word.
const DISCARDING_MAX: usize = 64;

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
    /// Cancels every task, as the store has it already. Those that wait come first, so that none of
    /// them gets the place of one that ran.
    fn cancel_all(&mut self, context: &mut Context<Self>) {
        self.is_cancelled = true;
        let mut live: Vec<(bool, TaskId)> = self
            .tasks
            .iter()
            .filter(|(_, entry)| entry.state != State::Ended)
            .map(|(task, entry)| (entry.child.is_some(), *task))
            .collect();
        live.sort_unstable();
        for (_, task) in live {
            self.happened(task, Event::Want(Desired::Cancelled), context);
        }
    }

    /// Lets a transfer discard what a cancelled task holds, as soon as there is a place for it.
    pub(super) fn discard(&mut self, task: TaskId) {
        self.discards.push_back(task);
    }

    /// Starts the transfers that discard, as many as there are places for.
    pub(super) fn start_discards(&mut self, context: &Context<Self>) {
        while self.quiesce.is_none() && self.discarding < DISCARDING_MAX {
            let Some(task) = self.discards.pop_front() else {
                return;
            };
            if !self.tasks.contains_key(&task) {
                continue;
            }
            self.discarding += 1;
            self.launch(task, Launch::DISCARD, context);
        }
    }
}
