//! The end of a transfer that leaves what it has to the owner of its task.

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::download::Input;
use longhaul_engine::task::Desired;
use longhaul_engine::upload::Input as UploadInput;

use super::TransferActor;
use crate::fault;
use crate::registry::Seal;

impl TransferActor {
    /// Has what is on record sealed. When the store does not answer, the next transfer of the task
    /// does it again.
    pub(super) fn seal(&self, context: &mut Context<Self>) {
        let download = self.running.as_ref().map(|running| running.generation);
        let upload = self.uploading.as_ref().map(|it| it.generation());
        let Some(generation) = download.or(upload) else {
            return;
        };
        let registry = self.parts.session.registry.clone();
        let (session, task) = (self.parts.session.id.clone(), self.parts.task);
        let ask = async move {
            fault::point("transfer.sealing");
            let make = || Seal {
                session: session.clone(),
                task,
                generation,
            };
            registry.call(make).await
        };
        context.spawn(ask.into_actor(self).map(|answer, actor, context| {
            fault::point("transfer.sealed");
            match answer {
                Ok(Ok(sealed)) => {
                    if let Err(failure) = &sealed {
                        tracing::warn!(%failure, "there is no resume data");
                    }
                    // A task is one of the two.
                    actor.feed(Input::Sealed(sealed.clone()), context);
                    actor.feed_upload(UploadInput::Sealed(sealed), context);
                }
                Ok(Err(error)) => actor.not_stored(&error, context),
                Err(_) => context.stop(),
            }
        }));
    }
}

/// What is wanted of a task. The session says that it is cancelled; how is on record.
pub(super) const fn as_cancelled(told: Desired, recorded: Desired) -> Desired {
    match (told, recorded) {
        (Desired::Cancelled, Desired::CancelledResumable) => recorded,
        (Desired::Cancelled, Desired::Running | Desired::Suspended | Desired::Cancelled)
        | (Desired::Running | Desired::Suspended | Desired::CancelledResumable, _) => told,
    }
}
