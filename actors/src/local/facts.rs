//! What the owner of a session hears of it, and what it has taken care of.

use longhaul_engine::id::{Sequence, TaskId};
use longhaul_persistence::{Change, Effect, Refusal};

use super::{CallError, SessionHandle, Subscription};
use crate::feed::{Feed, Reader};
use crate::registry::{Apply, NotStored, ReadLastFact};
use crate::session::Forgotten;

impl SessionHandle {
    /// Events from now on, and every fact that was not acknowledged; of one task or of all.
    ///
    /// # Errors
    /// When the end of the session was acknowledged, or the engine has stopped.
    pub async fn subscribe(&self, task: Option<TaskId>) -> Result<Subscription, CallError> {
        self.subscribe_after(task, Sequence::default()).await
    }

    /// The same, and facts up to and including `after` are not told, because they were heard: what is
    /// between them and the first that is told was acknowledged. When the end of the task is among
    /// those, nothing is told of it, and the subscription ends with the session. An `after` that the
    /// session has not come to yet was heard of another store, before this one was made anew: then
    /// everything is told.
    ///
    /// The subscription of an observer is nobody who listens: the app is called as if it were not there.
    ///
    /// # Errors
    /// As [`SessionHandle::subscribe`].
    pub async fn subscribe_after(
        &self,
        task: Option<TaskId>,
        after: Sequence,
    ) -> Result<Subscription, CallError> {
        if self.is_over() {
            return Err(self.invalidated());
        }
        if self.engine.stopped.borrow().is_some() {
            return Err(self.engine.gone().await);
        }
        let reader = match self.hold.is_owner() {
            true => Reader::Owner,
            false => Reader::Observer,
        };
        let feed = Feed::new(task, self.heard_here(after).await?, reader);
        self.engine.doors.subscribers.add(&self.id, &feed);
        if self.is_over() {
            feed.end();
        }
        Ok(Subscription {
            session: self.clone(),
            feed,
        })
    }

    /// The fact that was heard last, if it is one of this store.
    async fn heard_here(&self, after: Sequence) -> Result<Sequence, CallError> {
        if after == Sequence::default() {
            return Ok(after);
        }
        let ask = || ReadLastFact(self.id.clone());
        let Ok(last) = self.engine.doors.registry.call(ask).await else {
            return Err(self.engine.gone().await);
        };
        let last = last.map_err(|error| CallError::Store(error.to_string()))?;
        Ok(if after > last {
            Sequence::default()
        } else {
            after
        })
    }

    /// Acknowledges facts up to and including this one: they are not told again, and tasks whose
    /// terminal fact is among them are forgotten; with the last fact of an invalidated session the
    /// session is, and its name is free. Answers after the commit.
    ///
    /// # Errors
    /// When the engine has stopped or the store fails.
    pub async fn acknowledge(&self, up_to: Sequence) -> Result<(), CallError> {
        if self.is_over() {
            // Everything of it was acknowledged, and the name may be another session's by now.
            return Ok(());
        }
        let change = Change::Acknowledge {
            session: self.id.clone(),
            up_to,
        };
        let make = || Apply(vec![change.clone()]);
        let Ok(answers) = self.engine.doors.registry.call(make).await else {
            return Err(self.engine.gone().await);
        };
        match answers.into_iter().next() {
            Some(Ok(Effect::Forgotten(forgotten))) => {
                if forgotten.session_is_gone {
                    self.hold.life().end();
                } else if let Some(session) = self.slot.current() {
                    session.do_send(Forgotten(forgotten.tasks));
                }
                Ok(())
            }
            Some(Ok(_)) | None => Ok(()),
            // It was gone before: the answer to an earlier asking was lost.
            Some(Err(NotStored::Refused(Refusal::NoSuchSession(_)))) => {
                self.hold.life().end();
                Ok(())
            }
            Some(Err(error)) => Err(CallError::Store(error.to_string())),
        }
    }
}
