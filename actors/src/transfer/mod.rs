//! The actor of one running task: it feeds its machine and performs what the machine says.

mod disk;
mod files;
mod live;
mod names;
mod pump;
mod requests;
mod starting;
mod upload;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    SpawnHandle, WrapFuture,
};
use longhaul_engine::download::{Action, ConnId, Download, Exit, Input, News};
use longhaul_engine::id::{Generation, TaskId};
use longhaul_engine::task::{Desired, Destination, Outcome};
use longhaul_engine::time::Timestamp;
use longhaul_engine::upload::Input as UploadInput;
use longhaul_persistence::{Change, Effect, Refusal};

use crate::fault;
use crate::file::part::PartFile;
use crate::net::Client;
use crate::notifier::TaskNews;
use crate::registry::{Begin, Begun, NotStored, Write};
use crate::session::{ChildStarted, PlaceReleased, SessionActor, SessionParts};
pub(crate) use live::Live;
use requests::Line;
use upload::Uploading;
#[cfg(test)]
pub(crate) use {disk::pretend_slow, worker::forget as forget_clients};

/// A commit that failed is tried again after this time by the next incarnation; the transfer waits
/// for its own end until then.
const STORE_RETRY_DELAY: Duration = Duration::from_millis(200);

/// What a transfer is made of.
pub(crate) struct TransferParts {
    pub(crate) session: SessionParts,
    pub(crate) task: TaskId,
    pub(crate) launch: u64,
    pub(crate) desired: Desired,
    /// No transfer ever ran for the task.
    pub(crate) is_first: bool,
    pub(crate) live: Arc<Live>,
    pub(crate) parent: Addr<SessionActor>,
}

/// One per running task, on a worker arbiter.
pub(crate) struct TransferActor {
    parts: TransferParts,
    desired: Desired,
    /// Its download, from its beginning to its exit.
    running: Option<Running>,
    /// Its upload, likewise; a task has one of the two.
    uploading: Option<Box<Uploading>>,
    /// What a copy to another device left, until the terminal fact is committed.
    leftover: Option<PartFile>,
}

/// A transfer whose task was read from the store.
struct Running {
    machine: Download,
    generation: Generation,
    client: Client,
    lines: HashMap<ConnId, Line>,
    part: Option<PartFile>,
    /// Digests of tails that are known without reading: the bytes before these marks.
    tails: HashMap<u64, [u8; 32]>,
    timer: Option<(Timestamp, SpawnHandle)>,
    /// What an earlier transfer may have left without a record.
    past: Option<Past>,
}

/// A task that was begun before: it may have a part file that no record names.
struct Past {
    destination: Destination,
    /// A record, or this transfer itself, knows the file by that name.
    has_part: bool,
}

impl TransferActor {
    pub(crate) fn new(parts: TransferParts) -> Self {
        let desired = parts.desired;
        Self {
            parts,
            desired,
            running: None,
            uploading: None,
            leftover: None,
        }
    }

    fn begin(&self, context: &mut Context<Self>) {
        let registry = self.parts.session.registry.clone();
        let (session, task) = (self.parts.session.id.clone(), self.parts.task);
        let ask = async move {
            fault::point("transfer.beginning");
            registry
                .call(|| Begin {
                    session: session.clone(),
                    task,
                })
                .await
        };
        context.spawn(ask.into_actor(self).map(|begun, actor, context| {
            fault::point("transfer.begun");
            match begun {
                Ok(Ok(Begun::Live(live, generation))) => {
                    let (task, checkpoint) = *live;
                    actor.run(task, checkpoint, generation, context);
                }
                Ok(Ok(Begun::Ended(outcome))) => actor.exit(Exit::Ended(outcome), context),
                Ok(Ok(Begun::Unknown)) => {
                    actor.exit(Exit::Ended(Outcome::Cancelled), context);
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a transfer could not begin");
                    actor.exit(Exit::Fenced, context);
                }
                Err(_) => context.stop(),
            }
        }));
    }

    /// Feeds the machine and performs what it says.
    fn feed(&mut self, input: Input, context: &mut Context<Self>) {
        let now = self.parts.session.world.clock.now();
        let Some(running) = &mut self.running else {
            return;
        };
        running.machine.handle(now, input);
        self.perform_all(context);
    }

    fn perform_all(&mut self, context: &mut Context<Self>) {
        while let Some(action) = self
            .running
            .as_mut()
            .and_then(|running| running.machine.poll())
        {
            self.perform(action, context);
        }
        self.set_timer(context);
    }

    fn perform(&mut self, action: Action, context: &mut Context<Self>) {
        fault::point(names::name_of(&action));
        match action {
            Action::Recover(checkpoint) => self.recover(*checkpoint, context),
            Action::Ask(ask) => self.ask(ask, context),
            Action::Stream(stream) => self.stream(stream, context),
            Action::Limit { conn, until } => self.limit(conn, until),
            Action::Stop { conn } => self.stop_line(conn, context),
            Action::Drain { conn } => self.drain(conn),
            Action::Record(checkpoint) => self.record(checkpoint, context),
            Action::Sync => self.sync(context),
            Action::Verify(order) => self.verify(order, context),
            Action::Name(wanted) => self.choose_name(wanted, context),
            Action::Publish {
                target,
                length,
                collision,
            } => {
                self.publish(target, length, collision, context);
            }
            Action::Discard(part) => self.discard(part, context),
            Action::Close(outcome) => self.close(outcome, context),
            Action::ReleasePlace => self.release_place(),
            Action::Tell(news) => self.tell(news),
            Action::Exit(exit) => self.exit(exit, context),
        }
    }

    fn close_change(&self, outcome: Outcome) -> Change {
        Change::Close {
            session: self.parts.session.id.clone(),
            task: self.parts.task,
            outcome,
            metrics: None,
        }
    }

    fn close(&mut self, outcome: Outcome, context: &mut Context<Self>) {
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
                Ok(_) => actor.feed(Input::Closed(outcome), context),
                Err(NotStored::Refused(Refusal::Ended(earlier))) => {
                    actor.feed(Input::Closed(*earlier), context);
                }
                Err(error) => actor.not_stored(&error, context),
            }
        });
    }

    /// The store did not take what must be stored: the next incarnation begins from what it has.
    fn not_stored(&self, error: &NotStored, context: &mut Context<Self>) {
        tracing::warn!(%error, task = %self.parts.task, "the store refused a transfer");
        context.run_later(STORE_RETRY_DELAY, |actor, context| {
            actor.exit(Exit::Fenced, context)
        });
    }

    /// Writes under this transfer's generation and goes on with the answer, after the commit.
    fn write(
        &self,
        generation: Generation,
        change: Change,
        context: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Result<Effect, NotStored>, &mut Context<Self>) + 'static,
    ) {
        let registry = self.parts.session.registry.clone();
        let task = self.parts.task;
        let write = async move {
            let make = || Write {
                task,
                generation,
                change: change.clone(),
            };
            let gone = |_| NotStored::Failed("the engine has stopped".to_owned());
            fault::point("transfer.writing");
            let answers = registry.call(make).await.map_err(gone)?;
            fault::point("transfer.written");
            let none = || NotStored::Failed("the store gave no answer".to_owned());
            answers.into_iter().next().ok_or_else(none)?
        };
        context.spawn(
            write
                .into_actor(self)
                .map(move |answer, actor, context| then(actor, answer, context)),
        );
    }

    fn release_place(&self) {
        let (task, launch) = (self.parts.task, self.parts.launch);
        self.parts.parent.do_send(PlaceReleased { task, launch });
    }

    fn tell(&self, news: News) {
        self.parts.live.tell(&news);
        if let Some(notifier) = self.parts.session.notifier.current() {
            let session = self.parts.session.id.clone();
            notifier.do_send(TaskNews {
                session,
                task: self.parts.task,
                news,
            });
        }
    }

    fn exit(&mut self, exit: Exit, context: &mut Context<Self>) {
        if matches!(exit, Exit::Ended(_)) {
            self.remove_leftover();
        }
        self.parts.live.set_exit(exit);
        fault::point("transfer.exiting");
        self.running = None;
        self.uploading = None;
        context.stop();
    }

    fn set_timer(&mut self, context: &mut Context<Self>) {
        let clock = self.parts.session.world.clock;
        let Some(running) = &mut self.running else {
            return;
        };
        let due = running.machine.poll_timeout();
        // A timer that fires early only asks again, so an earlier one is left to run.
        if let (Some(due), Some((set, _))) = (due, &running.timer)
            && *set <= due
        {
            return;
        }
        if let Some((_, timer)) = running.timer.take() {
            context.cancel_future(timer);
        }
        if let Some(due) = due {
            let timer = context.run_later(clock.until(due), |actor, context| {
                fault::point("transfer.tick");
                if let Some(running) = &mut actor.running {
                    running.timer = None;
                }
                actor.feed(Input::Tick, context);
            });
            running.timer = Some((due, timer));
        }
    }
}

/// Whether a part file that no record names may lie there, when a task ends like this. A failed one
/// keeps the part file that its record names.
const fn may_leave_a_part(past: &Past, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Cancelled | Outcome::CancelledResumable(_) => true,
        Outcome::Failed(_) | Outcome::Skipped(_) => !past.has_part,
        Outcome::Finished(_) | Outcome::Uploaded(_) => false,
    }
}

impl Actor for TransferActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        fault::point("transfer.started");
        self.parts.parent.do_send(ChildStarted {
            task: self.parts.task,
            launch: self.parts.launch,
            desired: self.desired,
            address: context.address(),
        });
        self.begin(context);
    }
}

/// The owner wants something else of the task. Harmless to lose or repeat: the session keeps it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Want(pub(crate) Desired);

impl Handler<Want> for TransferActor {
    type Result = ();

    fn handle(&mut self, Want(desired): Want, context: &mut Self::Context) {
        fault::point("transfer.want");
        self.desired = desired;
        self.feed(Input::Want(desired), context);
        self.feed_upload(UploadInput::Want(desired), context);
    }
}
