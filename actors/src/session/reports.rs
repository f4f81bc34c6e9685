//! What children report to their session: that they need the network no more, that they have ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::{Addr, Context, Handler, Message};
use actix_rt::Arbiter;
use longhaul_engine::download::Exit;
use longhaul_engine::id::TaskId;

use super::{PlaceHeld, SessionActor};
use crate::child::ChildExit;
use crate::fault;

/// A transfer does not need the network any more. A hint: its end frees the place too.
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
        let Some(entry) = self.tasks.get_mut(&message.task) else {
            return;
        };
        let Some(child) = entry.child.as_mut() else {
            return;
        };
        if child.launch == message.launch && child.place == PlaceHeld::Running {
            child.place = PlaceHeld::Finishing;
            child.engine_place = None;
            self.finishing += 1;
            self.freed_worker = Some(child.worker);
            let host = Arc::clone(&entry.host);
            self.queue.release(&host);
            self.maintain(context);
            self.freed_worker = None;
        }
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
        for report in reports {
            self.child_ended(report, context);
        }
    }
}
