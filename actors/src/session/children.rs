//! A session's children: started, told, heard of when they end.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::download::{Exit, News};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::task::{Desired, Outcome, Phase};
use longhaul_persistence::{Change, Effect, Refusal};
use tracing::info_span;

use super::reports::{ChildReport, Reports};
use super::{Child, PlaceHeld, SessionActor};
use crate::child::{ChildExit, spawn_child};
use crate::desktop::Notice;
use crate::fault;
use crate::file::discard::discard_unrecorded;
use crate::limiter::{Limiter, Limits};
use crate::notifier::{TaskNews, tell_person};
use crate::registry::{Apply, NotStored, ReadTask};
use crate::scheduling::Place;
use crate::transfer::{TransferActor, TransferParts, Want};
use crate::world::Worker;

/// How a transfer is started.
pub(super) struct Launch {
    desired: Desired,
    place: PlaceHeld,
    engine_place: Option<Place>,
}

impl Launch {
    /// It only discards, and counts among those.
    pub(super) const DISCARD: Self = Self {
        desired: Desired::Cancelled,
        place: PlaceHeld::Discarding,
        engine_place: None,
    };

    pub(super) const fn run(engine_place: Option<Place>) -> Self {
        Self {
            desired: Desired::Running,
            place: PlaceHeld::Running,
            engine_place,
        }
    }
}

/// A transfer that can be started on any worker.
pub(super) struct Prepared {
    parts: TransferParts,
    reports: Reports,
}

impl Prepared {
    /// Starts it there, with the place that it gets.
    pub(super) fn start(
        self,
        worker: Worker,
        place: PlaceHeld,
        engine_place: Option<Place>,
    ) -> Child {
        let Self { mut parts, reports } = self;
        parts.worker = worker;
        // A clock that is set must not stop its records. It may have stood by for long.
        parts.clock = parts.session.world.clock.steady();
        let (task, launch, desired) = (parts.task, parts.launch, parts.desired);
        let (live, limits) = (Arc::clone(&parts.live), parts.limits.clone());
        let clock = parts.clock;
        let report = {
            let (live, parent) = (Arc::clone(&live), parts.parent.clone());
            move |how| {
                let exit = live.take_exit();
                let report = ChildReport {
                    task,
                    launch,
                    how,
                    exit,
                };
                reports.put(report, parent);
            }
        };
        let span = info_span!(parent: None, "transfer", session = %parts.session.id, %task);
        let at = parts.session.world.place_of(worker).clone();
        let (address, guard) = spawn_child(span, &at, move |_| TransferActor::new(parts), report);
        Child {
            launch,
            address,
            live,
            told: desired,
            is_outdated: false,
            place,
            engine_place,
            limits,
            clock,
            worker,
            _guard: guard,
        }
    }
}

impl SessionActor {
    pub(super) fn launch(&mut self, task: TaskId, order: Launch, context: &Context<Self>) {
        fault::point("session.launch");
        let Some(prepared) = self.prepare(task, order.desired, context) else {
            return;
        };
        let worker = self.freed_worker.take();
        let worker = worker.unwrap_or_else(|| self.parts.world.next_worker());
        let child = prepared.start(worker, order.place, order.engine_place);
        fault::point("session.launched");
        self.took_child(task, child);
    }

    /// A transfer of a task that nothing runs for.
    pub(super) fn prepare(
        &mut self,
        task: TaskId,
        desired: Desired,
        context: &Context<Self>,
    ) -> Option<Prepared> {
        let entry = self.tasks.get(&task)?;
        debug_assert!(entry.child.is_none(), "one live child per task");
        let limits = Limits {
            task: Arc::new(Limiter::new(entry.schedule.rate_limit_bytes)),
            session: Arc::clone(&self.parts.limiter),
            engine: Arc::clone(&self.parts.world.scheduling.limiter),
        };
        let launch = self.next_launch;
        self.next_launch += 1;
        let parts = TransferParts {
            session: Arc::clone(&self.parts),
            clock: self.parts.world.clock,
            task,
            launch,
            host: Arc::clone(&entry.host),
            heirs: (desired == Desired::Running).then(|| self.successors.heirs()),
            worker: Worker(0),
            desired,
            is_first: entry.is_new,
            begun: self.ahead.take(task),
            live: Arc::default(),
            log: self.logs.take(task),
            limits,
            parent: context.address(),
        };
        Some(Prepared {
            parts,
            reports: self.reports.clone(),
        })
    }

    /// It is not started: what it was made of is kept for the next one.
    pub(super) fn put_back(&mut self, prepared: Prepared) {
        let TransferParts {
            task, begun, log, ..
        } = prepared.parts;
        self.ahead.put(task, begun);
        if !log.is_empty() {
            self.logs.put(task, log);
        }
    }

    /// A transfer runs for the task from now on.
    pub(super) fn took_child(&mut self, task: TaskId, child: Child) {
        if let Some(entry) = self.tasks.get_mut(&task) {
            entry.is_new = false;
            entry.has_begun |= child.told == Desired::Running;
            entry.child = Some(Box::new(child));
            self.children += 1;
        }
    }

    pub(super) fn tell(&mut self, task: TaskId, desired: Desired) {
        let Some(child) = self
            .tasks
            .get_mut(&task)
            .and_then(|entry| entry.child.as_mut())
        else {
            return;
        };
        child.told = desired;
        child.address.do_send(Want(desired));
    }

    pub(super) fn child_ended(&mut self, report: ChildReport, context: &mut Context<Self>) {
        let ChildReport {
            task,
            launch,
            how,
            exit,
        } = report;
        let Some(entry) = self.tasks.get_mut(&task) else {
            return;
        };
        if entry
            .child
            .as_ref()
            .is_none_or(|child| child.launch != launch)
        {
            return;
        }
        let child = entry.child.take();
        self.children -= 1;
        let host = Arc::clone(&entry.host);
        let clock = child
            .as_ref()
            .map_or(self.parts.world.clock, |child| child.clock);
        let is_outdated = child.as_ref().is_some_and(|child| child.is_outdated);
        if let (Some(child), Some(Exit::Retry { .. } | Exit::Stopped | Exit::NeedsAuthorization)) =
            (&child, &exit)
        {
            self.logs.put(task, child.live.take_log());
        }
        match child.map(|child| child.place) {
            Some(PlaceHeld::Running) => self.queue.release(&host),
            Some(PlaceHeld::Finishing) => self.finishing -= 1,
            Some(PlaceHeld::Discarding) => self.discards.transfer_ended(),
            None => {}
        }
        if self.quiesce.is_some() {
            if let Some(Exit::Ended(outcome)) = exit {
                self.answer_waiters(task, &outcome);
            }
            return self.answer_quiesce();
        }
        match exit {
            Some(Exit::Ended(outcome)) => {
                self.answer_waiters(task, &outcome);
                fault::point("session.told_outcome");
                self.happened(task, Event::ChildEnded, context);
                let entry = self.tasks.get(&task);
                if entry.is_some_and(|entry| entry.is_forgotten) {
                    self.tasks.remove(&task);
                }
            }
            Some(Exit::Stopped) => {
                self.happened(task, Event::ChildStopped, context);
                // One that was stopped for the sake of other options runs on.
                let state = self.tasks.get(&task).map(|entry| entry.state);
                if state == Some(State::Suspended) {
                    self.tell_phase(task, Phase::Suspended);
                }
            }
            Some(Exit::Retry { at, cause }) => {
                self.check_clock(context);
                let at = self.parts.world.clock.now().after(clock.until(at));
                self.tell_phase(task, Phase::WaitingToRetry { at, cause });
                self.happened(task, Event::ChildRetries(at), context);
            }
            // It is told by the record that it begins with whether it still waits for an answer.
            Some(Exit::NeedsAuthorization) if is_outdated => {
                self.happened(task, Event::ChildStopped, context);
            }
            Some(Exit::NeedsAuthorization) => {
                self.tell_phase(task, Phase::AwaitingAuthorization);
                self.happened(task, Event::ChildNeedsAuthorization, context);
            }
            Some(Exit::Fenced) | None => self.child_crashed(task, &how, context),
        }
    }

    /// Ends the transfer of a task that shall run on with other options: it is queued again as soon
    /// as it has recorded its progress, because nobody wants the task suspended.
    pub(super) fn relaunch(&mut self, task: TaskId) {
        let state = self.tasks.get(&task).map(|entry| entry.state);
        if state == Some(State::Running) {
            self.tell(task, Desired::Suspended);
        }
    }

    pub(super) fn tell_phase(&self, task: TaskId, phase: Phase) {
        if let Some(notifier) = self.parts.notifier.current() {
            let session = self.parts.id.clone();
            notifier.do_send(TaskNews {
                session,
                task,
                news: News::Phase(phase),
            });
        }
    }

    fn child_crashed(&mut self, task: TaskId, how: &ChildExit, context: &mut Context<Self>) {
        tracing::warn!(%task, ?how, "a transfer crashed");
        let now = self.parts.world.clock.now();
        let Some(entry) = self.tasks.get_mut(&task) else {
            return;
        };
        let event = match entry.budget.get_or_insert_default().spend(now) {
            true => Event::ChildCrashed,
            false => Event::BudgetSpent,
        };
        self.happened(task, event, context);
    }

    pub(super) fn close_as_crashed(&mut self, task: TaskId, context: &mut Context<Self>) {
        let failure = Failure::new(
            FailureKind::Crashed,
            "the transfer crashed more often than it may be restarted; see the log",
        );
        let session = self.parts.id.clone();
        let registry = self.parts.registry.clone();
        let notifier = self.parts.notifier.clone();
        let parts_dir = self.parts.world.parts_dir.clone();
        self.closing.insert(task);
        let close = async move {
            fault::point("session.close_crashed");
            let read = || ReadTask {
                session: session.clone(),
                task,
            };
            let (known, progress) = registry.call(read).await.ok()?.ok()??;
            let wanted = Notice::wanted(&known.spec);
            if progress
                .and_then(TaskCheckpoint::into_download)
                .is_none_or(|progress| progress.part.is_none())
                && let Some(destination) = known.spec.destination().cloned()
            {
                let sweep = move || discard_unrecorded(&[(task, destination)], &parts_dir);
                // A part file that stays does not hinder the end.
                if let Ok(Err(error)) = tokio::task::spawn_blocking(sweep).await {
                    tracing::warn!(%error, "a part file was left behind");
                }
            }
            let outcome = Outcome::Failed(failure);
            let change = Change::Close {
                session,
                task,
                outcome: outcome.clone(),
                metrics: None,
            };
            let answers = registry.call(|| Apply(vec![change.clone()])).await.ok()?;
            match answers.into_iter().next()? {
                Ok(Effect::Closed(_)) => {
                    tell_person(&notifier, wanted.as_deref(), &outcome);
                    Some(outcome)
                }
                Err(NotStored::Refused(Refusal::Ended(outcome))) => Some(*outcome),
                Ok(_) | Err(_) => None,
            }
        };
        context.spawn(close.into_actor(self).map(move |outcome, session, _| {
            fault::point("session.closed_crashed");
            session.closing.remove(&task);
            if let Some(outcome) = outcome {
                session.answer_waiters(task, &outcome);
            }
        }));
    }

    pub(super) fn answer_waiters(&mut self, task: TaskId, outcome: &Outcome) {
        for waiter in self.waiters.remove(&task).unwrap_or_default() {
            // Who asked may be gone.
            let _ = waiter.send(Ok(outcome.clone()));
        }
    }

    pub(super) fn answer_quiesce(&mut self) {
        if self.children > 0 || self.discards.is_sweeping() {
            return;
        }
        for reply in self
            .quiesce
            .iter_mut()
            .flat_map(|replies| replies.drain(..))
        {
            // Who asked may be gone.
            let _ = reply.send(());
        }
    }
}
