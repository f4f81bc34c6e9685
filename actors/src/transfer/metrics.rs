//! What the requests of a transfer took, from the first to the terminal fact.

use std::cell::RefCell;
use std::rc::Rc;

use longhaul_engine::metrics::{Counts, TaskMetrics, TransactionLog};
use longhaul_engine::task::Outcome;
use longhaul_engine::time::Timestamp;
use longhaul_persistence::Change;

use super::TransferActor;
use crate::net::Probe;
use crate::time::{Anchor, Clock};

impl TransferActor {
    pub(super) fn close_change(&self, outcome: Outcome) -> Change {
        let running = self.running.as_ref();
        let download = running.and_then(|it| it.metrics.summary(it.machine.counts()));
        let upload = || self.uploading.as_ref().and_then(|it| it.summary());
        Change::Close {
            session: self.parts.session.id.clone(),
            task: self.parts.task,
            outcome,
            metrics: download.or_else(upload),
        }
    }

    /// What the next transfer of the task goes on with.
    pub(super) fn take_log(&mut self) -> TransactionLog {
        match (&self.running, &self.uploading) {
            (Some(running), _) => running.metrics.take_log(),
            (None, Some(uploading)) => uploading.take_log(),
            (None, None) => std::mem::take(&mut self.parts.log),
        }
    }
}

/// The log of a running transfer.
pub(super) struct Metrics {
    log: Rc<RefCell<TransactionLog>>,
    anchor: Anchor,
    created_at: Timestamp,
}

impl Metrics {
    /// Goes on with what earlier transfers of this process noted.
    pub(super) fn new(earlier: TransactionLog, created_at: Timestamp, clock: Clock) -> Self {
        Self {
            log: Rc::new(RefCell::new(earlier)),
            anchor: Anchor::new(clock),
            created_at,
        }
    }

    /// Notes one more request.
    pub(super) fn probe(&self) -> Probe {
        Probe::new(&self.log, self.anchor)
    }

    pub(super) fn take_log(&self) -> TransactionLog {
        self.log.take()
    }

    /// What the task took until now.
    pub(super) fn summary(&self, counts: Counts) -> Option<Box<TaskMetrics>> {
        let ended_at = self.anchor.now();
        let log = self.log.borrow();
        log.summary(counts, self.created_at, ended_at).map(Box::new)
    }
}
