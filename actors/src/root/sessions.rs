//! The sessions of a root: opened, started with what the store knows, restarted.

use std::sync::Arc;

use actix::AsyncContext;
use longhaul_engine::budget::RestartBudget;
use longhaul_engine::id::SessionId;
use longhaul_engine::session::SessionRules;
use longhaul_persistence::TaskSummary;

use super::{GaveUp, Report, Root, ToOpen, is_current};
use crate::child::{ChildExit, ChildGuard, Place, spawn_child};
use crate::handle::CallError;
use crate::limiter::Limiter;
use crate::registry::{ListTasks, RegistryActor, put_session};
use crate::session::{SessionActor, SessionParts};
use crate::slot::{Slot, SlotRef};

/// Tasks read at once when a session is opened.
const TASKS_PAGE: usize = 10_000;

/// A session that somebody opened.
pub(super) struct OpenSession {
    pub(super) slot: Slot<SessionActor>,
    rules: Arc<SessionRules>,
    limiter: Arc<Limiter>,
    pub(super) child: Option<(u64, ChildGuard)>,
    budget: RestartBudget,
}

/// Why the registry did not do what it was asked.
enum NotDone {
    /// It died before it answered. Its report follows and restarts every session.
    Lost,
    /// It said why.
    Failed(String),
}

impl Root {
    /// Opens a session, or finds it open, and answers; or keeps the request until the registry runs
    /// again.
    pub(super) async fn open_session(&mut self, wanted: ToOpen) {
        let answer = match self.try_open(&wanted.id, &wanted.rules).await {
            Ok(slot) => Ok(slot),
            Err(NotDone::Lost) => return self.postponed.push(wanted),
            Err(NotDone::Failed(why)) => Err(CallError::Store(why)),
        };
        // Who asked may be gone.
        let _ = wanted.reply.send(answer);
    }

    async fn try_open(
        &mut self,
        id: &SessionId,
        rules: &SessionRules,
    ) -> Result<SlotRef<SessionActor>, NotDone> {
        if let Some(open) = self.sessions.get(id) {
            return Ok(open.slot.reference());
        }
        let answers = self.ask_registry(|| put_session(id, rules)).await?;
        if let Some(Err(error)) = answers.into_iter().next() {
            return Err(NotDone::Failed(error.to_string()));
        }
        let limiter = Arc::new(Limiter::new(rules.rate_limit_bytes));
        let open = OpenSession {
            slot: Slot::new(),
            rules: Arc::new(rules.clone()),
            limiter,
            child: None,
            budget: RestartBudget::default(),
        };
        let slot = open.slot.reference();
        self.sessions.insert(id.clone(), open);
        let started = self.start_session(id).await;
        if started.is_err() {
            self.sessions.remove(id);
        }
        started.map(|()| slot)
    }

    /// Starts every session on a new registry, and opens those that waited for it.
    pub(super) async fn restart_sessions(&mut self) -> Result<(), GaveUp> {
        let ids: Vec<SessionId> = self.sessions.keys().cloned().collect();
        for id in ids {
            match self.start_session(&id).await {
                Ok(()) => {}
                Err(NotDone::Lost) => return Ok(()),
                Err(NotDone::Failed(why)) => return Err(GaveUp(why)),
            }
        }
        for wanted in std::mem::take(&mut self.postponed) {
            self.open_session(wanted).await;
        }
        Ok(())
    }

    pub(super) async fn restart_session(
        &mut self,
        id: SessionId,
        number: u64,
        exit: &ChildExit,
    ) -> Result<(), GaveUp> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        if !is_current(&session.child, number) {
            return Ok(());
        }
        tracing::warn!(session = %id, ?exit, "a session ended and is restarted");
        session.child = None;
        if !session.budget.spend(self.world.clock.now()) {
            return Err(GaveUp(format!(
                "session {id} crashes again and again: {exit:?}"
            )));
        }
        match self.start_session(&id).await {
            Ok(()) | Err(NotDone::Lost) => Ok(()),
            Err(NotDone::Failed(why)) => Err(GaveUp(why)),
        }
    }

    /// Reads a session's tasks and starts its actor with them.
    async fn start_session(&mut self, id: &SessionId) -> Result<(), NotDone> {
        let mut tasks = Vec::new();
        loop {
            let after = tasks.last().map(|task: &TaskSummary| task.id);
            let ask = || ListTasks {
                session: id.clone(),
                after,
                limit: TASKS_PAGE,
            };
            let page = self.ask_registry(ask).await?;
            let page = page.map_err(|error| NotDone::Failed(error.to_string()))?;
            let is_last = page.len() < TASKS_PAGE;
            tasks.extend(page);
            if is_last {
                break;
            }
        }
        let number = self.next_number();
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let parts = SessionParts {
            id: id.clone(),
            rules: Arc::clone(&session.rules),
            limiter: Arc::clone(&session.limiter),
            world: self.world.clone(),
            registry: self.registry.reference(),
            notifier: self.notifier.reference(),
        };
        let (address, given) = std::sync::mpsc::channel();
        let build = move |context: &mut actix::Context<SessionActor>| {
            // The receiver waits on this very thread, right below.
            let _ = address.send(context.address());
            SessionActor::new(parts, tasks)
        };
        let reports = self.reports.clone();
        let reported = id.clone();
        let report = move |exit| {
            // Without a root nobody needs to know.
            let _ = reports.send(Report::Session(reported, number, exit));
        };
        let guard = spawn_child(&Place::Here, build, report);
        session.child = Some((number, guard));
        if let Ok(address) = given.try_recv() {
            session.slot.put(address);
        }
        Ok(())
    }

    /// Asks the registry of now, once: the root itself must be free to start the next one.
    async fn ask_registry<M>(&self, make: impl Fn() -> M) -> Result<M::Result, NotDone>
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        RegistryActor: actix::Handler<M>,
        actix::Context<RegistryActor>: actix::dev::ToEnvelope<RegistryActor, M>,
    {
        let address = self.registry.reference().current().ok_or(NotDone::Lost)?;
        address.send(make()).await.map_err(|_| NotDone::Lost)
    }
}
