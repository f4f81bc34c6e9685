//! The sessions of a root: opened, started with what the store knows, restarted.

use std::collections::HashMap;
use std::sync::Arc;

use longhaul_engine::budget::RestartBudget;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_persistence::{Change, TaskSummary};
use tracing::info_span;

use super::{
    GaveUp, Observed, Opened, QUIESCE_TIME_MAX, Question, Report, Root, ToOpen, is_current,
};
use crate::child::{ChildExit, ChildGuard, Place, spawn_child};
use crate::limiter::Limiter;
use crate::local::CallError;
use crate::ownership::Owner;
use crate::registry::{Apply, ListTasks, ReadSessions, ReadState, RegistryActor};
use crate::session::{Quiesce, SessionActor, SessionParts};
use crate::slot::Slot;
use crate::starting::{Started, Starts, adopt_all, change_of, started};

/// Tasks read at once when a session is opened.
const TASKS_PAGE: usize = 10_000;

/// A session that somebody opened, or that goes on by itself.
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

impl OpenSession {
    /// One that is not started yet.
    fn new(rules: SessionRules) -> Self {
        Self {
            slot: Slot::new(),
            limiter: Arc::new(Limiter::new(rules.rate_limit_bytes)),
            rules: Arc::new(rules),
            child: None,
            budget: RestartBudget::default(),
        }
    }

    /// Takes other rules, before it is started with them. All who know it find it as before.
    fn refit(&mut self, rules: &SessionRules) {
        self.limiter.set_rate(rules.rate_limit_bytes);
        self.rules = Arc::new(rules.clone());
    }
}

impl Root {
    /// Answers what the handles ask; or keeps it until the registry runs again.
    pub(super) async fn answer(&mut self, question: Question) {
        match question {
            Question::Open(wanted) => self.open_session(wanted).await,
            // Not all are known yet.
            Question::Observe(..) | Question::List(_) if self.owes_resumption => {
                self.postponed.push(question);
            }
            Question::Observe(id, reply) => {
                let open = self.sessions.get(&id);
                let observed = open.map(|open| self.observed(&id, open));
                // Who asked may be gone.
                let _ = reply.send(observed);
            }
            Question::List(reply) => {
                let sessions = self.sessions.iter();
                let observed = sessions.map(|(id, open)| self.observed(id, open));
                // Who asked may be gone.
                let _ = reply.send(observed.collect());
            }
        }
    }

    fn observed(&self, id: &SessionId, open: &OpenSession) -> Observed {
        Observed {
            id: id.clone(),
            slot: open.slot.reference(),
            life: self.owners.life(id),
        }
    }

    async fn open_session(&mut self, mut wanted: ToOpen) {
        let answer = match self.owners.claim(&wanted.id) {
            // The store is being opened again, and may not know the session any more.
            None if self.is_starting(&wanted.id) => {
                return self.postponed.push(Question::Open(wanted));
            }
            None => Err(CallError::SessionInUse {
                session: wanted.id,
                pid: Some(std::process::id()),
            }),
            Some(owner) => match self.try_open(&mut wanted, owner).await {
                Ok(opened) => Ok(opened),
                Err(NotDone::Lost) => {
                    // The commit may have been made.
                    adopt_all(&mut wanted.requests);
                    return self.postponed.push(Question::Open(wanted));
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
    /// that runs as it is wanted is left so; one that runs with other rules rests meanwhile.
    async fn try_open(
        &mut self,
        wanted: &mut ToOpen,
        owner: Arc<Owner>,
    ) -> Result<Opened, NotDone> {
        if let Some(open) = self.sessions.get(&wanted.id)
            && open.child.is_some()
            && *open.rules == *wanted.rules
        {
            // What was set since is no part of the configuration.
            open.limiter.set_rate(open.rules.rate_limit_bytes);
            return Ok(Opened {
                slot: open.slot.reference(),
                owner,
                started: Err(std::mem::take(&mut wanted.requests)),
            });
        }
        self.rest(&wanted.id).await;
        let (opened_with, started) = match self.commit_opening(wanted).await {
            Ok(committed) => committed,
            Err(NotDone::Lost) => return Err(NotDone::Lost),
            Err(NotDone::Failed(why)) => {
                // It goes on as it was.
                if self.sessions.contains_key(&wanted.id) {
                    self.start_session(&wanted.id, HashMap::new()).await?;
                }
                return Err(NotDone::Failed(why));
            }
        };
        let ToOpen { id, rules, .. } = &*wanted;
        let is_new = !self.sessions.contains_key(id);
        let open = self.sessions.entry(id.clone());
        let open = open.or_insert_with(|| OpenSession::new((**rules).clone()));
        open.refit(rules);
        let slot = open.slot.reference();
        if let Err(error) = self.start_session(id, opened_with).await {
            if is_new {
                self.sessions.remove(id);
                self.world.refresh.set_command(id, None);
            }
            return Err(error);
        }
        Ok(Opened {
            slot,
            owner,
            started: Ok(started),
        })
    }

    /// Puts the session with its configuration, and what shall be started in it, into the store.
    async fn commit_opening(
        &self,
        wanted: &mut ToOpen,
    ) -> Result<(HashMap<TaskId, Started>, Starts), NotDone> {
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
        Ok((opened_with, starts))
    }

    /// Ends the actor of a session, if it runs, once its transfers have recorded their progress.
    async fn rest(&mut self, id: &SessionId) {
        let Some(open) = self.sessions.get_mut(id) else {
            return;
        };
        if open.child.is_none() {
            return;
        }
        if let Some(address) = open.slot.reference().current() {
            // What was not recorded in time, or because it crashed, is fetched again.
            let _ = tokio::time::timeout(QUIESCE_TIME_MAX, address.send(Quiesce)).await;
        }
        open.child = None;
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
        self.world.refresh.set_command(id, None);
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
        // What a session is about to be opened with comes before its tasks go on.
        let is_to_open = |id: &SessionId| {
            let is_wanted =
                |it: &Question| matches!(it, Question::Open(wanted) if wanted.id == *id);
            !self.owners.is_owned(id) && self.postponed.iter().any(is_wanted)
        };
        let ids: Vec<SessionId> = self
            .sessions
            .keys()
            .filter(|&id| !is_to_open(id))
            .cloned()
            .collect();
        for id in ids {
            match self.start_session(&id, HashMap::new()).await {
                Ok(()) => {}
                Err(NotDone::Lost) => return Ok(()),
                Err(NotDone::Failed(why)) => return Err(GaveUp(why)),
            }
        }
        for question in std::mem::take(&mut self.postponed) {
            self.answer(question).await;
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
        let command = session.rules.launch_command.as_ref();
        self.world.refresh.set_command(id, command);
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
        let span = info_span!("session", session = %id);
        let (address, guard) = spawn_child(span, &Place::Here, build, report);
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
