//! The root: it starts the actors, restarts what crashes, and gives up when that does not help.

mod questions;
mod sessions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::AsyncContext;
use longhaul_engine::budget::RestartBudget;
use longhaul_engine::id::SessionId;
use longhaul_engine::time::Timestamp;
use longhaul_persistence::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tracing::info_span;

use crate::attachment::Attachments;
use crate::child::{ChildExit, ChildGuard, Place, spawn_child};
use crate::local::StartError;
use crate::notifier::{FinishNotices, NotifierActor, Subscribers};
use crate::ownership::Owners;
use crate::refresh::Refresh;
use crate::registry::RegistryActor;
use crate::scheduling::Scheduling;
use crate::session::Quiesce;
use crate::slot::{Slot, SlotRef};
use crate::time::Clock;
use crate::world::World;
use sessions::OpenSession;

pub(crate) use questions::{Observed, Opened, Question, Request, ToOpen};

/// Time that transfers get to record their progress when the engine stops.
const QUIESCE_TIME_MAX: Duration = Duration::from_millis(1500);

/// Of that time, what the desktop gets to show the last notifications: one that is alive takes
/// milliseconds.
const NOTICES_TIME_MAX: Duration = Duration::from_millis(500);

/// Time that the store gets to close its file.
const CLOSE_TIME_MAX: Duration = Duration::from_millis(400);

/// What a child's end looks like to the root. The number is that of the incarnation.
#[derive(Debug)]
enum Report {
    Registry(u64, ChildExit),
    Notifier(u64, ChildExit),
    Session(SessionId, u64, ChildExit),
    /// The last fact of an invalidated session was acknowledged: the store does not know it any more.
    Gone(SessionId),
}

/// The slots that handles need; they live as long as the root.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) registry: SlotRef<RegistryActor>,
    pub(crate) notifier: SlotRef<NotifierActor>,
    pub(crate) subscribers: Subscribers,
    pub(crate) attachments: Attachments,
    pub(crate) refresh: Refresh,
    pub(crate) scheduling: Scheduling,
    pub(crate) identity: Arc<Identity>,
}

/// Which engine it is.
pub(crate) struct Identity {
    /// The directory that it owns.
    pub(crate) state_dir: PathBuf,
    pub(crate) started_at: Timestamp,
    pub(crate) clock: Clock,
}

pub(crate) struct Root {
    world: World,
    identity: Arc<Identity>,
    registry: Slot<RegistryActor>,
    registry_child: Option<(u64, ChildGuard)>,
    registry_budget: RestartBudget,
    notifier: Slot<NotifierActor>,
    notifier_child: Option<(u64, ChildGuard)>,
    notifier_budget: RestartBudget,
    sessions: BTreeMap<SessionId, OpenSession>,
    /// What is answered when the registry runs again.
    postponed: Vec<Question>,
    subscribers: Subscribers,
    owners: Owners,
    /// Every session is still to go on, opened or not.
    owes_resumption: bool,
    next_incarnation: u64,
    reports: mpsc::UnboundedSender<Report>,
    inbox: mpsc::UnboundedReceiver<Report>,
}

/// Why the root gave up.
#[derive(Debug)]
pub(crate) struct GaveUp(pub(crate) String);

impl Root {
    /// Opens the store and starts the registry and the notifier.
    ///
    /// # Errors
    /// When the store can not be opened.
    pub(crate) async fn start(world: World) -> Result<Self, StartError> {
        let (reports, inbox) = mpsc::unbounded_channel();
        let mut root = Self {
            owes_resumption: world.resumes_sessions,
            identity: Arc::new(Identity {
                state_dir: world.state_dir.to_path_buf(),
                started_at: world.clock.now(),
                clock: world.clock,
            }),
            world,
            registry: Slot::new(),
            registry_child: None,
            registry_budget: RestartBudget::default(),
            notifier: Slot::new(),
            notifier_child: None,
            notifier_budget: RestartBudget::default(),
            sessions: BTreeMap::new(),
            postponed: Vec::new(),
            subscribers: Subscribers::default(),
            owners: Owners::default(),
            next_incarnation: 0,
            reports,
            inbox,
        };
        let open = match root.world.recreates_store {
            true => open_or_recreate,
            false => Store::open,
        };
        let store = root.open_store(open).await;
        let store = store.map_err(|error| StartError::State(error.to_string()))?;
        root.start_registry(store).await;
        root.start_notifier();
        Ok(root)
    }

    pub(crate) fn doors(&self) -> Doors {
        Doors {
            registry: self.registry.reference(),
            notifier: self.notifier.reference(),
            subscribers: self.subscribers.clone(),
            attachments: self.world.attachments.clone(),
            refresh: self.world.refresh.clone(),
            scheduling: self.world.scheduling.clone(),
            identity: Arc::clone(&self.identity),
        }
    }

    /// Serves until it is told to stop, nobody can tell it any more, or it gives up.
    ///
    /// # Errors
    /// When something crashed more often than it may be restarted.
    pub(crate) async fn run(
        &mut self,
        mut requests: mpsc::UnboundedReceiver<Request>,
    ) -> Result<(), GaveUp> {
        if self.owes_resumption {
            self.restart_sessions().await?;
        }
        loop {
            tokio::select! {
                biased;
                report = self.inbox.recv() => {
                    // The root holds a sender itself, so there is always a report.
                    if let Some(report) = report {
                        self.child_ended(report).await?;
                    }
                }
                request = requests.recv() => match request {
                    Some(Request::Session(question)) => self.answer(question).await,
                    Some(Request::Shutdown) | None => return Ok(()),
                },
            }
        }
    }

    /// Lets every transfer record its progress, then closes everything.
    pub(crate) async fn stop(mut self) {
        let slots: Vec<_> = self
            .sessions
            .values()
            .map(|session| session.slot.reference())
            .collect();
        let quiesce =
            futures_util::future::join_all(slots.iter().map(|slot| slot.call(|| Quiesce)));
        let rest = async {
            quiesce.await;
            self.finish_notices().await;
        };
        if tokio::time::timeout(QUIESCE_TIME_MAX, rest).await.is_err() {
            tracing::warn!("not every transfer was recorded and every notice shown in time");
        }
        self.sessions.clear();
        self.notifier_child = None;
        let registry = self
            .registry_child
            .take()
            .map(|(incarnation, _)| incarnation);
        let closed = async {
            while let Some(report) = self.inbox.recv().await {
                if matches!(&report, Report::Registry(number, _) if Some(*number) == registry) {
                    return;
                }
            }
        };
        if tokio::time::timeout(CLOSE_TIME_MAX, closed).await.is_err() {
            tracing::warn!("the store did not close in time");
        }
        self.subscribers.end();
        self.world.refresh.end();
    }

    /// Lets a person hear of what ended last.
    async fn finish_notices(&self) {
        let Some(notifier) = self.notifier.reference().current() else {
            return;
        };
        let finish = notifier.send(FinishNotices);
        match tokio::time::timeout(NOTICES_TIME_MAX, finish).await {
            // It crashed with what it had: a person hears of an end at most once.
            Ok(Ok(()) | Err(_)) => {}
            Err(_) => tracing::info!("the desktop did not show every notification in time"),
        }
    }

    async fn child_ended(&mut self, report: Report) -> Result<(), GaveUp> {
        tracing::debug!(?report, "an actor ended");
        match report {
            Report::Registry(number, exit) if is_current(&self.registry_child, number) => {
                self.restart_registry(&exit).await
            }
            Report::Notifier(number, exit) if is_current(&self.notifier_child, number) => {
                self.restart_notifier(&exit)
            }
            Report::Session(id, number, exit) => self.restart_session(id, number, &exit).await,
            Report::Gone(id) => {
                self.session_is_gone(&id);
                Ok(())
            }
            // An incarnation that was given up before it ended.
            Report::Registry(..) | Report::Notifier(..) => Ok(()),
        }
    }

    async fn restart_registry(&mut self, exit: &ChildExit) -> Result<(), GaveUp> {
        tracing::warn!(?exit, "the registry ended; the store is opened again");
        self.registry_child = None;
        // Whatever runs believes in a store that is gone.
        for session in self.sessions.values_mut() {
            session.child = None;
        }
        let mut error = String::new();
        let store = loop {
            if !self.registry_budget.spend(self.world.clock.now()) {
                let why = format!("the store fails again and again ({exit:?}) {error}");
                return Err(GaveUp(why));
            }
            match self.open_store(Store::open).await {
                Ok(store) => break store,
                Err(failed) => error = failed.to_string(),
            }
        };
        self.start_registry(store).await;
        // What was committed and not told of is found in the store.
        self.notifier_child = None;
        self.start_notifier();
        self.restart_sessions().await
    }

    fn restart_notifier(&mut self, exit: &ChildExit) -> Result<(), GaveUp> {
        tracing::warn!(?exit, "the notifier ended and is restarted");
        if !self.notifier_budget.spend(self.world.clock.now()) {
            return Err(GaveUp(format!(
                "the notifier crashes again and again: {exit:?}"
            )));
        }
        self.start_notifier();
        Ok(())
    }

    async fn open_store(&self, open: OpenStore) -> Result<Store, StoreError> {
        let path = self.world.store_path.clone();
        match &self.world.registry_place {
            Place::Here => open(&path),
            Place::Arbiter(arbiter) => {
                let (sender, receiver) = oneshot::channel();
                let opened = path.clone();
                arbiter.spawn_fn(move || {
                    // The root waits right below.
                    let _ = sender.send(open(&opened));
                });
                match receiver.await {
                    Ok(store) => store,
                    Err(_) => open(&path),
                }
            }
        }
    }

    /// Starts the registry and waits until it has an address: who asks it next finds it.
    async fn start_registry(&mut self, store: Store) {
        let number = self.next_number();
        let notifier = self.notifier.reference();
        let world = self.world.clone();
        let registry = self.registry.clone();
        let (built, is_built) = oneshot::channel();
        let reports = self.reports.clone();
        let gone = Box::new(move |session| {
            // Without a root nobody needs to know.
            let _ = reports.send(Report::Gone(session));
        });
        let build = move |context: &mut actix::Context<RegistryActor>| {
            registry.put(context.address());
            // The root waits right below.
            let _ = built.send(());
            RegistryActor::new(store, notifier, gone, world)
        };
        let reports = self.reports.clone();
        let report = move |exit| {
            // Without a root nobody needs to know.
            let _ = reports.send(Report::Registry(number, exit));
        };
        let (_, guard) = spawn_child(
            info_span!("registry"),
            &self.world.registry_place,
            build,
            report,
        );
        self.registry_child = Some((number, guard));
        // When it never ran its report comes next, and starts another.
        let _ = is_built.await;
    }

    fn start_notifier(&mut self) {
        let number = self.next_number();
        let subscribers = self.subscribers.clone();
        let registry = self.registry.reference();
        let notifier = self.notifier.clone();
        let world = self.world.clone();
        let build = move |context: &mut actix::Context<NotifierActor>| {
            notifier.put(context.address());
            NotifierActor::new(subscribers, registry, world)
        };
        let reports = self.reports.clone();
        let report = move |exit| {
            // Without a root nobody needs to know.
            let _ = reports.send(Report::Notifier(number, exit));
        };
        let (_, guard) = spawn_child(info_span!("notifier"), &Place::Here, build, report);
        self.notifier_child = Some((number, guard));
    }

    const fn next_number(&mut self) -> u64 {
        self.next_incarnation += 1;
        self.next_incarnation
    }
}

/// A way to open the store at a path.
type OpenStore = fn(&Path) -> Result<Store, StoreError>;

fn open_or_recreate(path: &Path) -> Result<Store, StoreError> {
    let (store, aside) = Store::open_or_recreate(path)?;
    if let Some(aside) = aside {
        let aside = aside.display();
        tracing::error!(%aside, "the store was damaged: it is kept there, and a new one is made");
    }
    Ok(store)
}

fn is_current(child: &Option<(u64, ChildGuard)>, number: u64) -> bool {
    child
        .as_ref()
        .is_some_and(|(current, _)| *current == number)
}
