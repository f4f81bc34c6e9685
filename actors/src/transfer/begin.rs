//! The beginning of a transfer: what the registry says of its task.

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::download::Exit;
use longhaul_engine::task::Outcome;

use super::TransferActor;
use crate::fault;
use crate::registry::{Begin, Begun};

impl TransferActor {
    pub(super) fn begin(&mut self, context: &mut Context<Self>) {
        if let Some(begun) = self.parts.begun.take() {
            return self.begun(begun, context);
        }
        let registry = self.parts.session.registry.clone();
        let (session, task) = (self.parts.session.id.clone(), self.parts.task);
        let ask = async move {
            fault::point("transfer.beginning");
            registry
                .call(|| Begin {
                    session: session.clone(),
                    tasks: vec![task],
                })
                .await
        };
        context.spawn(ask.into_actor(self).map(|begun, actor, context| {
            match begun.map(|begun| begun.map(|begun| begun.into_iter().next())) {
                Ok(Ok(begun)) => actor.begun(begun.unwrap_or(Begun::Unknown), context),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a transfer could not begin");
                    actor.exit(Exit::Fenced, context);
                }
                Err(_) => context.stop(),
            }
        }));
    }

    fn begun(&mut self, begun: Begun, context: &mut Context<Self>) {
        fault::point("transfer.begun");
        match begun {
            Begun::Live(live, generation) => {
                let (task, checkpoint) = *live;
                self.run(task, checkpoint, generation, context);
            }
            Begun::Ended(outcome) => self.exit(Exit::Ended(outcome), context),
            Begun::Unknown => self.exit(Exit::Ended(Outcome::Cancelled), context),
        }
    }
}
