//! When the tasks of a session run: who is let into the queue, who is held, who is woken.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::conditions::{self, Conditions};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::schedule::{
    Admission, Candidate, Hold, Moment, Schedule, admit, resource_deadline,
};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Phase, QueueReason};
use longhaul_engine::time::Timestamp;
use tokio::sync::watch;

use super::{Entry, SessionActor};
use crate::fault;

impl Entry {
    /// When a task in this state must be looked at.
    pub(super) fn wake_at(&self, rules: &SessionRules) -> Option<Timestamp> {
        match self.state {
            State::Waiting(at) | State::Held(Hold::NotBefore(at)) => Some(at),
            // It then fails: its time for the whole resource runs while it is held.
            State::Held(Hold::Unmet(_)) => Some(resource_deadline(
                self.created_at,
                self.schedule.earliest_begin,
                rules,
            )),
            State::Queued
            | State::Running
            | State::Stopping
            | State::Cancelling
            | State::AwaitingBegin
            | State::AwaitingAuthorization
            | State::Suspended
            | State::Ended => None,
        }
    }
}

impl SessionActor {
    /// Lets a task into the run queue, or holds it.
    pub(super) fn enqueue(&mut self, task: TaskId) {
        let Some(entry) = self.tasks.get(&task) else {
            return;
        };
        match self.admission(entry) {
            Admission::Queue => {
                let (host, priority) = (entry.host.clone(), entry.schedule.priority);
                self.queue.push(&host, task, priority);
                self.successors.outdate();
            }
            Admission::Hold(hold) => self.hold(task, hold),
            Admission::Ask => self.ask_owner(task),
        }
    }

    /// Gives a place to the task whose turn it is, or finds that it must be held.
    pub(super) fn admit_to_place(&mut self, task: TaskId) -> bool {
        let Some(entry) = self.tasks.get(&task) else {
            return false;
        };
        match self.admission(entry) {
            Admission::Queue => return true,
            Admission::Hold(hold) => self.hold(task, hold),
            Admission::Ask => self.ask_owner(task),
        }
        false
    }

    fn hold(&mut self, task: TaskId, hold: Hold) {
        fault::point("session.hold");
        self.forget_ahead(task);
        self.step(task, Event::Held(hold));
        self.tell_phase(task, held_phase(hold));
    }

    fn ask_owner(&mut self, task: TaskId) {
        fault::point("session.ask_owner");
        self.forget_ahead(task);
        self.step(task, Event::AskOwner);
        self.tell_phase(task, Phase::AwaitingBegin);
    }

    pub(super) fn admission(&self, entry: &Entry) -> Admission {
        let world = &self.parts.world;
        let task = Candidate {
            schedule: &entry.schedule,
            rules: &self.parts.rules,
            created_at: entry.created_at,
            is_local: conditions::is_loopback(&entry.host),
            has_begun: entry.has_begun,
        };
        let moment = Moment {
            now: world.clock.now(),
            conditions: &world.scheduling.surroundings.now(),
            is_attached: world.attachments.is_attached(&self.parts.id),
        };
        admit(&task, &moment)
    }

    /// A task that was taken over has another schedule: what it waited for may not hold any more.
    pub(super) fn reschedule(
        &mut self,
        task: TaskId,
        schedule: Schedule,
        context: &mut Context<Self>,
    ) {
        let Some(entry) = self.tasks.get_mut(&task) else {
            return;
        };
        // Its wake depends on both.
        let wake_before = entry.wake_at(&self.parts.rules);
        entry.schedule = schedule;
        let wake_after = entry.wake_at(&self.parts.rules);
        if let (Some(before), Some(after)) = (wake_before, wake_after) {
            self.wakes.remove(&(before, task));
            self.wakes.insert((after, task));
        }
        self.queue
            .set_priority(&entry.host, task, schedule.priority);
        self.successors.outdate();
        self.care_for(&schedule);
        self.advance(task, Event::ConditionsChanged, context);
    }

    /// A task asks for something that somebody must look at.
    pub(super) fn care_for(&self, schedule: &Schedule) {
        if conditions::is_choosy(schedule, &self.parts.rules) {
            self.parts.world.scheduling.surroundings.care();
        }
    }

    /// Hears of conditions and of free places of the engine for as long as it lives.
    pub(super) fn watch_surroundings(&self, context: &mut Context<Self>) {
        let mut changes = self.parts.world.scheduling.surroundings.changes();
        // They may have changed since the tasks were let in.
        changes.mark_changed();
        self.await_conditions(changes, context);
        self.await_bell(context);
    }

    fn await_conditions(
        &self,
        mut changes: watch::Receiver<Conditions>,
        context: &mut Context<Self>,
    ) {
        let change = async move { changes.changed().await.ok().map(|()| changes) };
        context.spawn(change.into_actor(self).map(|changes, session, context| {
            fault::point("session.conditions");
            if let Some(changes) = changes {
                session.conditions_changed(context);
                session.await_conditions(changes, context);
            }
        }));
    }

    fn await_bell(&self, context: &mut Context<Self>) {
        let bell = self.line.bell();
        let rung = async move { bell.notified().await };
        context.spawn(rung.into_actor(self).map(|(), session, context| {
            fault::point("session.place_free");
            session.maintain(context);
            session.await_bell(context);
        }));
    }

    /// Lets go of what is held without need, and stops what must not run any more. What waits for
    /// its turn is looked at when it gets it.
    fn conditions_changed(&mut self, context: &mut Context<Self>) {
        self.hold_successors();
        let moved = |(task, entry): (&TaskId, &Entry)| {
            let event = match (entry.state, self.admission(entry)) {
                (State::Held(old @ Hold::Unmet(_)), Admission::Hold(new)) if old == new => None,
                (State::Held(Hold::Unmet(_)), _) => Some(Event::ConditionsChanged),
                (State::Running, Admission::Hold(hold @ Hold::Unmet(_))) => Some(Event::Held(hold)),
                _ => None,
            };
            event.map(|event| (*task, event))
        };
        let moved: Vec<(TaskId, Event)> = self.tasks.iter().filter_map(moved).collect();
        for (task, event) in moved {
            self.advance(task, event, context);
        }
        self.maintain(context);
    }

    /// Waits for the delegate to leave while a task waits for its word: then the task just begins.
    pub(super) fn watch_delegate(&mut self, context: &mut Context<Self>) {
        if self.awaiting_begin.is_empty() || std::mem::replace(&mut self.is_watching, true) {
            return;
        }
        let attachments = self.parts.world.attachments.clone();
        let id = self.parts.id.clone();
        let gone = async move { attachments.detached(&id).await };
        context.spawn(gone.into_actor(self).map(|(), session, context| {
            fault::point("session.delegate_gone");
            session.is_watching = false;
            let left = std::mem::take(&mut session.awaiting_begin);
            for task in left {
                session.advance(task, Event::Begin, context);
            }
            session.maintain(context);
        }));
    }

    /// Sets the timer for the first task that waits for a time.
    pub(super) fn set_wake_timer(&mut self, context: &mut Context<Self>) {
        let first = self.wakes.first().map(|(at, _)| *at);
        if self.wake_timer.as_ref().map(|(at, _)| *at) == first {
            return;
        }
        if let Some((_, timer)) = self.wake_timer.take() {
            context.cancel_future(timer);
        }
        if let Some(at) = first {
            let clock = self.parts.world.clock;
            let due = async move { clock.wait(at).await };
            let wake = due.into_actor(self).map(|(), session, context| {
                session.wake(context);
            });
            self.wake_timer = Some((at, context.spawn(wake)));
        }
    }

    fn wake(&mut self, context: &mut Context<Self>) {
        fault::point("session.wake");
        self.wake_timer = None;
        self.check_clock(context);
        let now = self.parts.world.clock.now();
        while let Some((at, task)) = self.wakes.first().copied() {
            if at > now {
                break;
            }
            self.advance(task, Event::TimerDue, context);
        }
        self.maintain(context);
    }

    /// Moves what waits for a delay when the clock was set back, so that no delay grows by it. An
    /// earliest begin is a time of the wall clock, and is meant to move with it.
    pub(super) fn check_clock(&mut self, context: &mut Context<Self>) {
        let Some(by) = self.clock_watch.set_back(self.parts.world.clock) else {
            return;
        };
        tracing::warn!(session = %self.parts.id, ?by, "the clock was set back");
        let tasks: Vec<TaskId> = self.wakes.iter().map(|(_, task)| *task).collect();
        for task in tasks {
            self.advance(task, Event::ClockSetBack(by), context);
        }
    }

    /// What a task that waits for a place waits for.
    pub(super) fn queue_reason(&self, entry: &Entry) -> QueueReason {
        if self.queue.is_full() {
            QueueReason::SessionLimit
        } else if self.queue.is_host_full(&entry.host) {
            QueueReason::HostLimit
        } else if self.line.is_full() {
            QueueReason::EngineLimit
        } else {
            QueueReason::SessionLimit
        }
    }
}

/// How a held task is shown.
pub(super) const fn held_phase(hold: Hold) -> Phase {
    Phase::Queued(match hold {
        Hold::NotBefore(at) => QueueReason::NotBefore(at),
        Hold::Unmet(constraint) => QueueReason::Unmet(constraint),
    })
}
