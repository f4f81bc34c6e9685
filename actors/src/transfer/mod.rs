//! The actor of one running task: it feeds its machine and performs what the machine says.

mod begin;
mod closing;
mod disk;
mod files;
mod live;
mod metrics;
mod names;
mod pump;
mod requests;
mod sealing;
mod starting;
mod ticking;
mod upload;
mod worker;

use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WrapFuture,
};
use longhaul_engine::download::{Action, ConnId, Download, Exit, Input, News};
use longhaul_engine::id::{Generation, TaskId};
use longhaul_engine::metrics::TransactionLog;
use longhaul_engine::task::{Desired, Destination, NotificationTitles, Outcome};
use longhaul_engine::upload::Input as UploadInput;
use longhaul_persistence::{Change, Effect};
use tokio::sync::oneshot;

use crate::fault;
use crate::file::part::PartFile;
use crate::intake::Write;
use crate::limiter::Limits;
use crate::net::Client;
use crate::notifier::{TaskNews, tell_person};
use crate::registry::{Begun, NotStored};
use crate::session::{Heirs, Holder, PlaceReleased, SessionActor, SessionParts};
use crate::time::Clock;
use crate::world::Worker;
pub(crate) use live::Live;
use metrics::Metrics;
use requests::Line;
use ticking::Tick;
use upload::Uploading;
#[cfg(test)]
pub(crate) use {disk::pretend_slow, worker::forget as forget_clients};

/// A commit that failed is tried again after this time by the next incarnation; the transfer waits
/// for its own end until then.
const STORE_RETRY_DELAY: Duration = Duration::from_millis(200);

/// What a transfer is made of.
pub(crate) struct TransferParts {
    pub(crate) session: Arc<SessionParts>,
    /// It measures delays only.
    pub(crate) clock: Clock,
    pub(crate) task: TaskId,
    pub(crate) launch: u64,
    /// The host that its place counts for.
    pub(crate) host: Arc<str>,
    /// Who may take its place over; `None` when it has none.
    pub(crate) heirs: Option<Heirs>,
    /// Where it runs.
    pub(crate) worker: Worker,
    pub(crate) desired: Desired,
    /// No transfer ever ran for the task.
    pub(crate) is_first: bool,
    /// What the registry has said of the task, if it was asked before.
    pub(crate) begun: Option<Begun>,
    pub(crate) live: Arc<Live>,
    /// What earlier transfers of this process noted of their requests.
    pub(crate) log: TransactionLog,
    pub(crate) limits: Limits,
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
    /// What a person is told of the end, once the task was read from the store.
    notice: Option<Box<(NotificationTitles, PathBuf)>>,
    /// What a copy to another device left, until the terminal fact is committed.
    leftover: Option<PartFile>,
    tick: Tick,
    /// Its place among those that use the network.
    place: Rc<NetworkPlace>,
}

/// A transfer whose task was read from the store.
struct Running {
    machine: Download,
    generation: Generation,
    client: Client,
    lines: HashMap<ConnId, Line>,
    metrics: Metrics,
    part: Option<PartFile>,
    /// Digests of tails that are known without reading: the bytes before these marks.
    tails: HashMap<u64, [u8; 32]>,
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
        let place = NetworkPlace {
            holder: Holder {
                task: parts.task,
                launch: parts.launch,
                host: Arc::clone(&parts.host),
                worker: parts.worker,
            },
            heirs: parts.heirs.clone(),
            parent: parts.parent.clone(),
            is_released: Cell::new(false),
        };
        Self {
            parts,
            place: Rc::new(place),
            desired,
            running: None,
            uploading: None,
            notice: None,
            leftover: None,
            tick: Tick::default(),
        }
    }

    /// Feeds the machine and performs what it says.
    fn feed(&mut self, input: Input, context: &mut Context<Self>) {
        let now = self.parts.clock.now();
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
        if let Some(running) = &self.running {
            let due = running.machine.poll_timeout();
            self.tick.set(due, self.parts.clock);
        }
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
            Action::Seal => self.seal(context),
            Action::Close(outcome) => self.close(outcome, context),
            Action::ReleasePlace => self.release_place(),
            Action::Tell(news) => self.tell(news),
            Action::Exit(exit) => self.exit(exit, context),
        }
    }

    /// Writes under this transfer's generation and goes on with the answer, after the commit.
    fn write(
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
        session.world.intake.put([write], &session.registry);
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

    /// The news goes out when what can run here has run: several transfers that end in one moment
    /// wake the session once.
    fn release_place(&self) {
        let place = Rc::clone(&self.place);
        actix_rt::spawn(async move { place.release() });
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

    /// Tells a person that the task has ended, if its owner wishes it.
    fn tell_person(&self, outcome: &Outcome) {
        let notifier = &self.parts.session.notifier;
        tell_person(notifier, self.notice.as_deref(), outcome);
    }

    fn exit(&mut self, exit: Exit, context: &mut Context<Self>) {
        if matches!(exit, Exit::Ended(_)) {
            self.remove_leftover();
        }
        let log = self.take_log();
        self.parts.live.set_exit(exit, log);
        fault::point("transfer.exiting");
        self.running = None;
        self.uploading = None;
        context.stop();
    }
}

/// The place that a transfer has among those that use the network.
struct NetworkPlace {
    holder: Holder,
    heirs: Option<Heirs>,
    parent: Addr<SessionActor>,
    is_released: Cell<bool>,
}

impl NetworkPlace {
    /// Gives it back, once: to the task whose turn comes next, or to the session.
    fn release(&self) {
        if self.is_released.replace(true) {
            return;
        }
        fault::point("transfer.releasing");
        let heirs = self.heirs.as_ref();
        if heirs.is_none_or(|heirs| heirs.inherit(&self.holder)) {
            let Holder { task, launch, .. } = self.holder;
            self.parent.do_send(PlaceReleased { task, launch });
        }
    }
}

impl Actor for TransferActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        fault::point("transfer.started");
        tracing::debug!("a transfer begins");
        context.spawn(self.tick.ticks());
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
        self.tell_sent(context);
        self.feed_upload(UploadInput::Want(desired), context);
    }
}
