//! The end of a transfer's task: its terminal fact.

use actix::{AsyncContext, Context};
use longhaul_engine::download::{Exit, Input};
use longhaul_engine::task::Outcome;
use longhaul_persistence::Refusal;

use super::{Past, STORE_RETRY_DELAY, TransferActor};
use crate::fault;
use crate::registry::NotStored;

impl TransferActor {
    pub(super) fn close(&mut self, outcome: Outcome, context: &mut Context<Self>) {
        tracing::debug!("the task ends");
        let Some(running) = &mut self.running else {
            return;
        };
        let generation = running.generation;
        if let Some(past) = running.past.take()
            && may_leave_a_part(&past, &outcome)
        {
            return self.discard_unrecorded(past.destination, outcome, context);
        }
        let change = self.close_change(outcome.clone());
        self.write(generation, change, context, |actor, answer, context| {
            fault::point("transfer.closed");
            match answer {
                Ok(_) => {
                    actor.tell_person(&outcome);
                    actor.feed(Input::Closed(outcome), context);
                }
                Err(NotStored::Refused(Refusal::Ended(earlier))) => {
                    actor.feed(Input::Closed(*earlier), context);
                }
                Err(error) => actor.not_stored(&error, context),
            }
        });
    }

    /// The store did not take what must be stored: the next incarnation begins from what it has.
    pub(super) fn not_stored(&self, error: &NotStored, context: &mut Context<Self>) {
        tracing::warn!(%error, task = %self.parts.task, "the store refused a transfer");
        context.run_later(STORE_RETRY_DELAY, |actor, context| {
            actor.exit(Exit::Fenced, context)
        });
    }
}

/// Whether a part file that no record names may lie there, when a task ends like this. A failed one
/// keeps the part file that its record names, and so does who got it as resume data.
const fn may_leave_a_part(past: &Past, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Cancelled => true,
        Outcome::Failed(_) | Outcome::Skipped(_) => !past.has_part,
        Outcome::Finished(_) | Outcome::Uploaded(_) | Outcome::CancelledResumable(_) => false,
    }
}
