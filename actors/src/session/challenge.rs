//! What the owner of a task answers to its challenge.

use std::sync::Arc;

use actix::{ActorFutureExt, Context, Handler, Message, ResponseActFuture, WrapFuture};
use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::task::Desired;
use longhaul_persistence::{Change, Effect, Refusal};

use super::SessionActor;
use crate::fault;
use crate::local::CallError;
use crate::registry::{Apply, NotStored};

/// Answers the challenge that a task waits with; answered after the commit. An answer to none changes
/// nothing.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), CallError>")]
pub(crate) struct AnswerChallenge {
    pub(crate) task: TaskId,
    pub(crate) disposition: Disposition,
}

impl Handler<AnswerChallenge> for SessionActor {
    type Result = ResponseActFuture<Self, Result<(), CallError>>;

    fn handle(&mut self, message: AnswerChallenge, _: &mut Self::Context) -> Self::Result {
        fault::point("session.answer");
        let AnswerChallenge { task, disposition } = message;
        let wanted = match &disposition {
            Disposition::Cancel => Desired::Cancelled,
            Disposition::UseCredential(_)
            | Disposition::PerformDefaultHandling
            | Disposition::RejectProtectionSpace => Desired::Running,
        };
        let change = Change::Renew {
            session: self.parts.id.clone(),
            task,
            disposition: Box::new(disposition),
        };
        let registry = self.parts.registry.clone();
        let apply = async move {
            fault::point("session.answering");
            registry.call(|| Apply(vec![change.clone()])).await
        };
        Box::pin(
            apply
                .into_actor(self)
                .map(move |answers, session, context| {
                    fault::point("session.answered");
                    let answers = answers.map_err(|_| CallError::Stopped { reason: None })?;
                    match answers.into_iter().next() {
                        Some(Ok(Effect::Answered { desired, host })) => {
                            session.challenge_answered(task, desired, &host, context);
                            Ok(())
                        }
                        // It was answered before: maybe just now, by an earlier incarnation.
                        Some(Err(NotStored::Refused(Refusal::NotAsked))) => {
                            session.was_answered(task, wanted, context);
                            Ok(())
                        }
                        Some(Err(NotStored::Refused(Refusal::Ended(_)))) => Ok(()),
                        Some(Err(NotStored::Refused(Refusal::NoSuchTask))) => {
                            Err(CallError::NoSuchTask(task))
                        }
                        Some(Err(NotStored::Refused(refusal))) => {
                            Err(CallError::Refused(refusal.to_string()))
                        }
                        Some(Err(error)) => Err(CallError::Store(error.to_string())),
                        Some(Ok(_)) | None => {
                            Err(CallError::Store("the store gave no answer".to_owned()))
                        }
                    }
                }),
        )
    }
}

impl SessionActor {
    /// What is running for a task, or was read of it, knows less than its owner has said by now.
    pub(super) fn outdate(&mut self, task: TaskId) {
        self.forget_ahead(task);
        let child = self
            .tasks
            .get_mut(&task)
            .and_then(|entry| entry.child.as_mut());
        if let Some(child) = child {
            child.is_outdated = true;
        }
    }

    fn challenge_answered(
        &mut self,
        task: TaskId,
        desired: Desired,
        host: &str,
        context: &mut Context<Self>,
    ) {
        // The transfer that has recorded the challenge may not have ended yet.
        self.outdate(task);
        let Some(state) = self.tasks.get(&task).map(|entry| entry.state) else {
            return;
        };
        self.move_to_host(task, host);
        match (desired, state) {
            // It was suspended while it waited, and goes on when it is resumed.
            (Desired::Running, State::Suspended | State::Stopping) | (Desired::Suspended, _) => {}
            (Desired::Running | Desired::Cancelled | Desired::CancelledResumable, _) => {
                self.happened(task, Event::Want(desired), context);
            }
        }
    }

    /// The store does not wait for an answer. This actor may have read the task before that was
    /// committed, and would wait for ever.
    fn was_answered(&mut self, task: TaskId, wanted: Desired, context: &mut Context<Self>) {
        self.outdate(task);
        let state = self.tasks.get(&task).map(|entry| entry.state);
        if state == Some(State::AwaitingAuthorization) {
            self.happened(task, Event::Want(wanted), context);
        } else {
            self.maintain(context);
        }
    }

    /// Another URL may be of another host. A place that is held, or waited for, stays the old one's.
    pub(super) fn move_to_host(&mut self, task: TaskId, host: &str) {
        let known = self.host(host);
        if let Some(entry) = self.tasks.get_mut(&task)
            && entry.child.is_none()
            && entry.state != State::Queued
        {
            entry.host = Arc::clone(&known);
        }
    }
}
