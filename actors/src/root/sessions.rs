//! The sessions of a root: opened, started with what the store knows, restarted.

use std::collections::HashMap;
use std::sync::Arc;

use longhaul_engine::budget::RestartBudget;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_persistence::{Change, TaskSummary};

use super::{GaveUp, Opened, QUIESCE_TIME_MAX, Report, Root, ToOpen, is_current};
use crate::child::{ChildExit, ChildGuard, Place, spawn_child};
use crate::handle::CallError;
use crate::limiter::Limiter;
use crate::ownership::Owner;
use crate::registry::{Apply, ListTasks, ReadSessions, ReadState, RegistryActor};
use crate::session::{Quiesce, SessionActor, SessionParts};
use crate::slot::Slot;
use crate::starting::{Started, adopt_all, change_of, started};

/// Tasks read at once when a session is opened.
const TASKS_PAGE: usize = 10_000;

/// A session that somebody opened, or that goes on by itself.
pub(super) struct OpenSession {
    pub(super) slot: Slot<SessionActor>,
    rules: Arc<SessionRules>,
    /// Somebody has opened it since the engine started.
    was_opened: bool,
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

impl OpenSession {
    /// One that is not started yet.
    fn new(rules: SessionRules) -> Self {
        Self {
            slot: Slot::new(),
            limiter: Arc::new(Limiter::new(rules.rate_limit_bytes)),
            rules: Arc::new(rules),
            was_opened: false,
            child: None,
            budget: RestartBudget::default(),
        }
    }
}

impl Root {
    /// Opens a session, or finds it open, and answers; or keeps the request until the registry runs
    /// again.
    pub(super) async fn open_session(&mut self, mut wanted: ToOpen) {
        let answer = match self.owners.claim(&wanted.id) {
            // The store is being opened again, and may not know the session any more.
            None if self.is_starting(&wanted.id) => return self.postponed.push(wanted),
            None => Err(CallError::SessionInUse(wanted.id)),
            Some(owner) => match self.try_open(&mut wanted, owner).await {
                Ok(opened) => Ok(opened),
                Err(NotDone::Lost) => {
                    // The commit may have been made.
                    adopt_all(&mut wanted.requests);
                    return self.postponed.push(wanted);
                }
                Err(NotDone::Failed(why)) => Err(CallError::Store(why)),
            },
        };
        // Who asked may be gone.
        let _ = wanted.reply.send(answer);
    }

    fn is_starting(&self, id: &SessionId) -> bool {
        let session = self.sessions.get(id);
        session.is_some_and(|session| session.child.is_none())
    }

    /// Commits the session and what shall be started in it, and only then lets its tasks go on. One
    /// that runs is left as it is.
    async fn try_open(
        &mut self,
        wanted: &mut ToOpen,
        owner: Arc<Owner>,
    ) -> Result<Opened, NotDone> {
        self.refit(&wanted.id, &wanted.rules).await;
        if let Some(open) = self.sessions.get_mut(&wanted.id) {
            open.was_opened = true;
            return Ok(Opened {
                slot: open.slot.reference(),
                owner,
                started: Err(std::mem::take(&mut wanted.requests)),
            });
        }
        for request in &mut wanted.requests {
            let scheduling = &self.world.scheduling;
            scheduling.take_background(request.spec.options_mut());
        }
        let ToOpen { id, rules, .. } = &*wanted;
        let now = self.world.clock.now();
        let requests = wanted.requests.iter().cloned();
        let mut changes = vec![Change::PutSession {
            id: id.clone(),
            rules: rules.clone(),
        }];
        changes.extend(requests.map(|request| change_of(request, id, now)));
        let mut answers = self.ask_registry(Apply(changes)).await?.into_iter();
        if let Some(Err(error)) = answers.next() {
            return Err(NotDone::Failed(error.to_string()));
        }
        let mut opened_with = HashMap::new();
        let mut starts = Vec::with_capacity(wanted.requests.len());
        for answer in answers {
            let answer = started(answer).map_err(|error| NotDone::Failed(error.to_string()))?;
            if let Ok(started) = answer {
                opened_with.insert(started.task(), started);
            }
            starts.push(answer.map(Started::task));
        }
        let mut open = OpenSession::new((**rules).clone());
        open.was_opened = true;
        let slot = open.slot.reference();
        self.sessions.insert(id.clone(), open);
        if let Err(error) = self.start_session(id, opened_with).await {
            self.sessions.remove(id);
            return Err(error);
        }
        Ok(Opened {
            slot,
            owner,
            started: Ok(starts),
        })
    }

    /// Ends the actor of a session that goes on by itself with another configuration than the one that
    /// it is opened with, once its transfers have recorded their progress: it is opened anew then.
    async fn refit(&mut self, id: &SessionId, rules: &SessionRules) {
        let is_fit = |open: &OpenSession| open.was_opened || *open.rules == *rules;
        match self.sessions.get(id) {
            Some(open) if !is_fit(open) => {
                let slot = open.slot.reference();
                // What was not recorded in time is fetched again.
                let _ = tokio::time::timeout(QUIESCE_TIME_MAX, slot.call(|| Quiesce)).await;
                self.sessions.remove(id);
            }
            Some(_) | None => {}
        }
    }

    /// Takes in every session that the store knows, as it was opened last, when that is still to be
    /// done. They are not started yet.
    async fn take_in_sessions(&mut self) -> Result<(), NotDone> {
        if !self.owes_resumption {
            return Ok(());
        }
        let stored = self.ask_registry(ReadSessions).await?;
        let stored = stored.map_err(|error| NotDone::Failed(error.to_string()))?;
        self.owes_resumption = false;
        for (id, rules) in stored {
            self.sessions
                .entry(id)
                .or_insert_with(|| OpenSession::new(rules));
        }
        Ok(())
    }

    /// The store does not know a session any more: its actor ends, and what listens to it; then its
    /// name is free.
    pub(super) fn session_is_gone(&mut self, id: &SessionId) {
        tracing::info!(session = %id, "a session was invalidated and is gone");
        self.owners.end(id);
        self.sessions.remove(id);
        self.subscribers.end_session(id);
        self.owners.free(id);
    }

    /// Starts every session on a new registry, and opens those that waited for it.
    pub(super) async fn restart_sessions(&mut self) -> Result<(), GaveUp> {
        match self.take_in_sessions().await {
            Ok(()) => {}
            Err(NotDone::Lost) => return Ok(()),
            Err(NotDone::Failed(why)) => return Err(GaveUp(why)),
        }
        let ids: Vec<SessionId> = self.sessions.keys().cloned().collect();
        for id in ids {
            match self.start_session(&id, HashMap::new()).await {
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
        match self.start_session(&id, HashMap::new()).await {
            Ok(()) | Err(NotDone::Lost) => Ok(()),
            Err(NotDone::Failed(why)) => Err(GaveUp(why)),
        }
    }

    /// Reads a session's tasks and starts its actor with them, and with what it is opened with; or
    /// learns that it is gone, when nobody came to say so.
    async fn start_session(
        &mut self,
        id: &SessionId,
        opened_with: HashMap<TaskId, Started>,
    ) -> Result<(), NotDone> {
        let state = self.ask_registry(ReadState(id.clone())).await?;
        if state
            .map_err(|error| NotDone::Failed(error.to_string()))?
            .is_none()
        {
            self.session_is_gone(id);
            return Ok(());
        }
        let mut tasks = Vec::new();
        loop {
            let after = tasks.last().map(|task: &TaskSummary| task.id);
            let ask = ListTasks {
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
        let build = move |_: &mut actix::Context<SessionActor>| {
            SessionActor::new(parts, tasks, &opened_with)
        };
        let reports = self.reports.clone();
        let reported = id.clone();
        let report = move |exit| {
            // Without a root nobody needs to know.
            let _ = reports.send(Report::Session(reported, number, exit));
        };
        let (address, guard) = spawn_child(&Place::Here, build, report);
        session.child = Some((number, guard));
        session.slot.put(address);
        Ok(())
    }

    /// Asks the registry of now, once: the root itself must be free to start the next one.
    async fn ask_registry<M>(&self, message: M) -> Result<M::Result, NotDone>
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        RegistryActor: actix::Handler<M>,
        actix::Context<RegistryActor>: actix::dev::ToEnvelope<RegistryActor, M>,
    {
        let address = self.registry.reference().current().ok_or(NotDone::Lost)?;
        address.send(message).await.map_err(|_| NotDone::Lost)
    }
}
