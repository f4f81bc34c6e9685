//! What a transfer writes to the store, and what it does when that fails.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::download::Exit;
use longhaul_engine::id::Generation;
use longhaul_persistence::{Change, Effect};
use tokio::sync::oneshot;

use super::TransferActor;
use crate::fault;
use crate::intake::Write;
use crate::registry::NotStored;

/// A commit that failed is tried again after this time by the next incarnation; the transfer waits
/// for its own end until then.
const STORE_RETRY_DELAY: Duration = Duration::from_millis(200);

impl TransferActor {
    /// The store did not take what must be stored: the next incarnation begins from what it has.
    pub(super) fn not_stored(&self, error: &NotStored, context: &mut Context<Self>) {
        tracing::warn!(%error, task = %self.parts.task, "the store refused a transfer");
        context.run_later(STORE_RETRY_DELAY, |actor, context| {
            actor.exit(Exit::Fenced, context)
        });
    }

    /// Writes under this transfer's generation and goes on with the answer, after the commit.
    pub(super) fn write(
        &self,
        generation: Generation,
        change: Change,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Result<Effect, NotStored>, &mut Context<Self>) + 'static,
    ) {
        fault::point("transfer.writing");
        let (reply, answer) = oneshot::channel();
        let write = Write {
            task: self.parts.task,
            generation,
            change,
            worker: self.parts.worker,
            reply,
        };
        let session = &self.parts.session;
        session.world.intake.put(write, &session.registry);
        let write = async move {
            let gone = |_| NotStored::Failed("the store is being opened again".to_owned());
            let answer = answer.await.map_err(gone)?;
            fault::point("transfer.written");
            answer
        };
        context.spawn(
            write
                .into_actor(self)
                .map(move |answer, actor, context| then(actor, answer, context)),
        );
    }
}
