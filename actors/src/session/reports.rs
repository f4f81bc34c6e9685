//! What children report to their session: that they need the network no more, that they have ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::{Addr, Context, Handler, Message};
use actix_rt::Arbiter;
use longhaul_engine::download::Exit;
use longhaul_engine::id::TaskId;

use super::{PlaceHeld, SessionActor};
use crate::child::ChildExit;
use crate::fault;
use crate::world::Worker;

/// Tasks per place that may have given it back and not have ended: they wait for commits, which are
/// cheaper the more of them come together.
const FINISHING_PER_PLACE: usize = 16;

/// A transfer does not need the network any more, and nobody has taken its place over, or few stand by
/// now. A hint: its end frees the place too.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PlaceReleased {
    pub(crate) task: TaskId,
    pub(crate) launch: u64,
}

impl Handler<PlaceReleased> for SessionActor {
    type Result = ();

    fn handle(&mut self, message: PlaceReleased, context: &mut Self::Context) {
        fault::point("session.place_released");
        self.catch_up();
        self.freed_worker = self.give_place_back(message.task, message.launch);
        self.maintain(context);
        self.freed_worker = None;
    }
}

impl SessionActor {
    /// Tasks that may have given their place back and not have ended.
    pub(super) fn finishing_max(&self) -> usize {
        let places = usize::try_from(self.parts.rules.tasks_max).unwrap_or(usize::MAX);
        places.saturating_mul(FINISHING_PER_PLACE)
    }

    /// The place of a transfer is free, and it only finishes: where it does.
    pub(super) fn give_place_back(&mut self, task: TaskId, launch: u64) -> Option<Worker> {
        let entry = self.tasks.get_mut(&task)?;
        let child = entry.child.as_mut()?;
        if child.launch != launch || child.place != PlaceHeld::Running {
            return None;
        }
        child.place = PlaceHeld::Finishing;
        self.finishing += 1;
        child.engine_place = None;
        let worker = child.worker;
        let host = Arc::clone(&entry.host);
        self.queue.release(&host);
        Some(worker)
    }
}

/// A transfer has ended, one way or the other, and all that it owned was dropped.
#[derive(Debug)]
pub(super) struct ChildReport {
    pub(super) task: TaskId,
    pub(super) launch: u64,
    pub(super) how: ChildExit,
    pub(super) exit: Option<Exit>,
}

/// Reports on their way. They wait until what can run where they come from has run: transfers whose
/// ends were committed together end in one moment, and wake the session once. At most one of each
/// child is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports(Arc<Mutex<Vec<ChildReport>>>);

impl Reports {
    /// Sees to it that `session` hears of this end.
    pub(super) fn put(&self, report: ChildReport, session: Addr<SessionActor>) {
        let is_first = {
            let mut waiting = self.lock();
            waiting.push(report);
            waiting.len() == 1
        };
        if !is_first {
            return;
        }
        let reports = self.clone();
        let send = move || session.do_send(ChildReports(std::mem::take(&mut *reports.lock())));
        match Arbiter::try_current() {
            Some(arbiter) => {
                // An arbiter that has stopped drops it: then the whole engine stops.
                let _ = arbiter.spawn_fn(send);
            }
            None => send(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ChildReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Transfers have ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct ChildReports(Vec<ChildReport>);

impl Handler<ChildReports> for SessionActor {
    type Result = ();

    fn handle(&mut self, ChildReports(reports): ChildReports, context: &mut Context<Self>) {
        fault::point("session.child_reports");
        self.catch_up();
        for report in reports {
            self.child_ended(report, context);
        }
    }
}
