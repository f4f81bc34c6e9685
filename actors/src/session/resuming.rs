//! Tasks that are made of resume data.

use actix::{ActorFutureExt, Handler, Message, ResponseActFuture, WrapFuture};
use longhaul_engine::session::host_key;
use longhaul_engine::task::Desired;

use super::SessionActor;
use super::commands::Asked;
use crate::fault;
use crate::local::{CallError, RefusedStart, ResumedTask, Resuming};
use crate::registry::{Resume, Resumed};

/// Makes a task of resume data and starts it; answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Result<ResumedTask, RefusedStart>, CallError>")]
pub(crate) struct ResumeTask(pub(crate) Resuming);

impl Handler<ResumeTask> for SessionActor {
    type Result = ResponseActFuture<Self, Result<Result<ResumedTask, RefusedStart>, CallError>>;

    fn handle(&mut self, ResumeTask(asked): ResumeTask, _: &mut Self::Context) -> Self::Result {
        fault::point("session.resume");
        let created_at = self.parts.world.clock.now();
        let session = self.parts.id.clone();
        let registry = self.parts.registry.clone();
        let ask = async move {
            fault::point("session.resuming");
            let make = || Resume {
                session: session.clone(),
                asked: asked.clone(),
                created_at,
            };
            registry.call(make).await
        };
        Box::pin(ask.into_actor(self).map(move |answer, session, context| {
            fault::point("session.resumed");
            let answer = answer.map_err(|_| CallError::Stopped { reason: None })?;
            let answer = answer.map_err(|error| CallError::Store(error.to_string()))?;
            Ok(answer.map(|resumed| {
                let Resumed {
                    task, url, file, ..
                } = resumed;
                // One that an earlier request made may be in the list that this actor began with.
                if !session.tasks.contains_key(&task) {
                    let asked = Asked {
                        host: host_key(&url),
                        desired: Desired::Running,
                        schedule: resumed.schedule,
                        created_at,
                        has_begun: true,
                    };
                    session.take_in_new(task, &asked, resumed.is_new, context);
                    session.maintain(context);
                }
                ResumedTask { task, url, file }
            }))
        }))
    }
}
