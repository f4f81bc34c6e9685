//! What whoever listens hears of an upload: how far it is, what it does, how it speaks.

use std::time::Duration;

use crate::download::News;
use crate::task::{Phase, Progress};
use crate::time::Timestamp;
use crate::upload::operation::{Act, Operation};
use crate::upload::{Action, Step, Upload};

/// Progress of one task is told at most this often, and so is what it does; neither waits for the
/// other.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);

/// What was told last, and when.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) phase: Phase,
    phase_at: Timestamp,
    /// Bytes sent and acknowledged.
    bytes: (u64, u64),
    progress_at: Timestamp,
}

impl Told {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            phase: Phase::Connecting,
            phase_at: now,
            bytes: (0, 0),
            progress_at: now,
        }
    }
}

impl Upload {
    /// Tells how far it is when that is due; a transfer that is over sooner has no news but its end.
    pub(super) fn tell_progress(&mut self) {
        if self.progress_due().is_some_and(|due| due <= self.now) {
            let progress = self.progress();
            self.told.progress_at = self.now;
            self.told.bytes = (progress.sent_bytes, progress.acknowledged_bytes);
            self.act(Action::Tell(News::Progress(progress)));
        }
    }

    /// When it must be told how far it is, though no byte goes any more; `None` when it was.
    pub(super) fn progress_due(&self) -> Option<Timestamp> {
        let progress = self.progress();
        let is_new = (progress.sent_bytes, progress.acknowledged_bytes) != self.told.bytes;
        let is_asking = matches!(self.step, Step::Asking(_)) && self.termination.is_none();
        (is_asking && is_new).then(|| self.told.progress_at.after(NEWS_INTERVAL))
    }

    pub(super) fn tell_phase(&mut self) {
        if self.phase_due().is_some_and(|due| due <= self.now)
            && let Some(phase) = self.phase_now()
        {
            self.told.phase_at = self.now;
            self.told.phase = phase.clone();
            self.act(Action::Tell(News::Phase(phase)));
        }
    }

    /// When what it does now must be told; `None` when it was.
    pub(super) fn phase_due(&self) -> Option<Timestamp> {
        let is_new = self
            .phase_now()
            .is_some_and(|phase| phase != self.told.phase);
        is_new.then(|| self.told.phase_at.after(NEWS_INTERVAL))
    }

    /// What it does in this step; `None` when that is nothing of its own, but the way to its end.
    fn phase_now(&self) -> Option<Phase> {
        if self.termination.is_some() {
            return None;
        }
        match &self.step {
            Step::Inspecting => Some(Phase::Connecting),
            Step::Announcing | Step::Digesting | Step::Asking(_) => Some(self.phase_of_bytes()),
            Step::Receiving | Step::Confirming => Some(Phase::Finishing),
            Step::Pausing(_)
            | Step::Recording(_)
            | Step::Sealing(_)
            | Step::Closing
            | Step::Gone => None,
        }
    }

    fn phase_of_bytes(&self) -> Phase {
        match self.operation {
            Operation::SeeOther => Phase::Finishing,
            Operation::Discover
            | Operation::Place(_, Act::Offset | Act::Create(0) | Act::Terminate) => {
                Phase::Connecting
            }
            Operation::Whole { .. } | Operation::Place(_, Act::Create(_) | Act::Append(_)) => {
                let (offset, _) = self.body();
                if offset + self.sent >= self.length() && (self.sent > 0 || offset > 0) {
                    Phase::Finishing
                } else if self.sent > 0 || self.told.phase == Phase::Transferring {
                    Phase::Transferring
                } else {
                    Phase::Connecting
                }
            }
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let acknowledged = self.acknowledged();
        let sent = match self.operation {
            Operation::Whole { .. } | Operation::Place(_, Act::Create(_) | Act::Append(_)) => {
                self.body().0 + self.sent
            }
            Operation::SeeOther => self.length(),
            Operation::Discover | Operation::Place(_, Act::Offset | Act::Terminate) => acknowledged,
        };
        Progress {
            received_bytes: 0,
            sent_bytes: sent.max(acknowledged),
            acknowledged_bytes: acknowledged,
            total_bytes: self.source.map(|source| source.length),
        }
    }

    /// Bytes that the server said it has.
    pub(super) fn acknowledged(&self) -> u64 {
        self.remote.as_ref().map_or(0, |remote| remote.acknowledged)
    }
}
