//! Tasks that stand by for a place, and take it over where it is given back.
//!
//! Where many small files run, a place changes hands thousands of times a second. Each time the
//! session would be woken to name the next task, and then the worker to start it. So the session
//! names the tasks whose turn comes next beforehand, and a transfer that gives its place back starts
//! the first of them on its own worker. The session hears of it when the next transfer ends, when few
//! stand by, or when anything is asked or said of such a task.
//!
//! Only a task that asks for no time and no more than a network, of the host that the place counts for,
//! takes one over: then every limit holds as before. One that begins when the network has just gone is
//! stopped as those are that run. In the eyes of the session what stands by goes on waiting in the run
//! queue until it hears that it has begun. So before it does anything with a task that waits, it
//! settles here whether that has begun ([`SessionActor::settle`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Context;
use longhaul_engine::conditions;
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::{Event, State};
use longhaul_engine::schedule::Admission;
use longhaul_engine::task::Desired;

use super::children::Prepared;
use super::{Child, PlaceHeld, SessionActor};
use crate::fault;
use crate::world::Worker;

/// Tasks that stand by at most. When half of them are left the session is told, and names the next.
const STANDING_BY_MAX: usize = 64;

/// The tasks that stand by. They are the session's, and gone with it.
#[derive(Default)]
pub(super) struct Successors {
    line: Arc<Mutex<Line>>,
    /// Others may come before those that stand by.
    is_outdated: bool,
}

#[derive(Default)]
struct Line {
    /// Whose turn comes next, the first one first.
    standing_by: VecDeque<Successor>,
    /// With fewer the session is told.
    enough: usize,
    /// What has begun and the session has not heard of.
    begun: Vec<Succession>,
}

struct Successor {
    task: TaskId,
    host: Arc<str>,
    prepared: Prepared,
}

/// A task has taken over the place of another.
struct Succession {
    from: TaskId,
    from_launch: u64,
    task: TaskId,
    host: Arc<str>,
    child: Child,
}

/// Who has a place.
pub(crate) struct Holder {
    pub(crate) task: TaskId,
    pub(crate) launch: u64,
    pub(crate) host: Arc<str>,
    pub(crate) worker: Worker,
}

/// What a task was that does not stand by any more.
enum Withdrawn {
    /// It did not stand by.
    Nothing,
    /// It did, and will not begin.
    StoodBy(Box<Prepared>),
    /// It has begun already.
    Begun,
}

/// The tasks that stand by, as those see them who have places.
#[derive(Clone)]
pub(crate) struct Heirs(Arc<Mutex<Line>>);

impl Heirs {
    /// Starts the task whose turn comes next, on the worker of the one that gives its place back, if it
    /// may have this very place. Whether the session must be told: nobody takes the place over, or few
    /// stand by now.
    pub(crate) fn inherit(&self, from: &Holder) -> bool {
        let mut line = lock(&self.0);
        let may_inherit = |next: &Successor| next.host == from.host;
        if !line.standing_by.front().is_some_and(may_inherit) {
            return true;
        }
        let Some(next) = line.standing_by.pop_front() else {
            return true;
        };
        let Successor {
            task,
            host,
            prepared,
        } = next;
        // Within the lock: nobody finds it neither standing by nor begun.
        let child = prepared.start(from.worker, PlaceHeld::Running, None);
        line.begun.push(Succession {
            from: from.task,
            from_launch: from.launch,
            task,
            host,
            child,
        });
        !line.are_enough()
    }
}

impl Successors {
    /// How transfers see them.
    pub(super) fn heirs(&self) -> Heirs {
        Heirs(Arc::clone(&self.line))
    }

    /// The order of the run queue has changed.
    pub(super) const fn outdate(&mut self) {
        self.is_outdated = true;
    }

    /// Leaves out the tasks that stand by or have begun.
    pub(super) fn leave_out(&self, tasks: &mut Vec<TaskId>) {
        let line = self.lock();
        tasks.retain(|task| !line.stands_by(*task) && !line.has_begun(*task));
    }

    fn withdraw(&self, task: TaskId) -> Withdrawn {
        let mut line = self.lock();
        if line.has_begun(task) {
            return Withdrawn::Begun;
        }
        let place = line.standing_by.iter().position(|it| it.task == task);
        match place.and_then(|place| line.standing_by.remove(place)) {
            Some(successor) => Withdrawn::StoodBy(Box::new(successor.prepared)),
            None => Withdrawn::Nothing,
        }
    }

    /// Keeps those that are `wanted` in this order, and answers who of these is missing, and who does
    /// not stand by any more.
    fn keep(&self, mut wanted: Vec<TaskId>) -> (Vec<TaskId>, VecDeque<Successor>) {
        let mut line = self.lock();
        wanted.retain(|task| !line.has_begun(*task));
        let standing = line.standing_by.iter().map(|it| it.task);
        let kept = standing.zip(&wanted).take_while(|(a, b)| a == *b).count();
        let gone = line.standing_by.split_off(kept);
        (wanted.split_off(kept), gone)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().standing_by.len()
    }

    fn append(&self, successors: Vec<Successor>, enough: usize) {
        let mut line = self.lock();
        line.standing_by.extend(successors);
        line.enough = enough;
    }

    fn take_begun(&self) -> Vec<Succession> {
        std::mem::take(&mut self.lock().begun)
    }

    fn are_enough(&self) -> bool {
        !self.is_outdated && self.lock().are_enough()
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        lock(&self.line)
    }
}

impl Drop for Successors {
    fn drop(&mut self) {
        // They hold each other. What has begun is aborted.
        *self.lock() = Line::default();
    }
}

impl Line {
    fn are_enough(&self) -> bool {
        !self.standing_by.is_empty() && self.standing_by.len() >= self.enough
    }

    fn stands_by(&self, task: TaskId) -> bool {
        self.standing_by.iter().any(|it| it.task == task)
    }

    fn has_begun(&self, task: TaskId) -> bool {
        self.begun.iter().any(|it| it.task == task)
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionActor {
    /// Sees to it that the tasks whose turn comes next stand by.
    pub(super) fn let_stand_by(&mut self, context: &Context<Self>) {
        if self.quiesce.is_some() || self.line.is_limited() || self.successors.are_enough() {
            return;
        }
        self.catch_up();
        let room = self.finishing_max().saturating_sub(self.finishing);
        // Those that stand by already may take it beyond that, by their number.
        let most = room.min(STANDING_BY_MAX);
        let wanted = self.queue.successors(most);
        let (missing, gone) = self.successors.keep(wanted);
        gone.into_iter().for_each(|it| self.put_back(it.prepared));
        self.successors.is_outdated = false;
        let mut ready = Vec::new();
        for task in missing {
            let Some(host) = self.may_stand_by(task) else {
                break;
            };
            let prepared = self.prepare(task, Desired::Running, context);
            ready.extend(prepared.map(|prepared| Successor {
                task,
                host,
                prepared,
            }));
        }
        self.successors.append(ready, most / 2);
    }

    /// Whether nothing can hold a task that waits: its host then.
    fn may_stand_by(&self, task: TaskId) -> Option<Arc<str>> {
        let entry = self.tasks.get(&task)?;
        let is_free = entry.state == State::Queued
            && entry.schedule.earliest_begin.is_none()
            && !conditions::is_choosy(&entry.schedule, &self.parts.rules)
            && self.ahead.knows(task)
            && self.admission(entry) == Admission::Queue;
        is_free.then(|| Arc::clone(&entry.host))
    }

    /// Hears which tasks have taken over a place.
    pub(super) fn catch_up(&mut self) {
        for succession in self.successors.take_begun() {
            fault::point("session.caught_up");
            let Succession {
                from,
                from_launch,
                task,
                host,
                child,
            } = succession;
            self.give_place_back(from, from_launch);
            assert!(self.queue.take(&host, task), "what stood by waited");
            self.step(task, Event::PlaceFree);
            self.took_child(task, child);
        }
    }

    /// Something is about to be done with a task that waits: it does not stand by any more, or the
    /// session knows that it has begun.
    pub(super) fn settle(&mut self, task: TaskId) {
        match self.successors.withdraw(task) {
            Withdrawn::Nothing => {}
            Withdrawn::StoodBy(prepared) => {
                self.put_back(*prepared);
                // It may go on waiting, before those that stand by.
                self.successors.outdate();
            }
            Withdrawn::Begun => self.catch_up(),
        }
    }

    /// No task takes a place over until the session is looked after again.
    pub(super) fn hold_successors(&mut self) {
        let (_, gone) = self.successors.keep(Vec::new());
        gone.into_iter().for_each(|it| self.put_back(it.prepared));
        self.catch_up();
    }

    /// What was read of a task ahead does not hold any more, or it does not run next.
    pub(super) fn forget_ahead(&mut self, task: TaskId) {
        self.settle(task);
        self.ahead.forget(task);
    }
}
