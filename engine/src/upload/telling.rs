//! What whoever listens hears of an upload: how far it is, what it does, how it speaks.

use crate::download::News;
use crate::pace::Pace;
use crate::task::{Phase, Progress};
use crate::time::Timestamp;
use crate::upload::operation::{Act, Operation};
use crate::upload::{Action, Step, Upload};

/// What was told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) phase: Pace<Phase>,
    /// Bytes sent and acknowledged.
    bytes: Pace<(u64, u64)>,
}

impl Told {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            phase: Pace::new(Phase::Connecting, now),
            bytes: Pace::new((0, 0), now),
        }
    }
}

impl Upload {
    /// Tells how far it is when that is due; a transfer that is over sooner has no news but its end.
    pub(super) fn tell_progress(&mut self) {
        if self.is_telling_progress() && self.told.bytes.tell(&self.bytes(), self.now) {
            self.act(Action::Tell(News::Progress(self.progress())));
        }
    }

    /// When it must be told how far it is, though no byte goes any more; `None` when it was.
    pub(super) fn progress_due(&self) -> Option<Timestamp> {
        let due = self.told.bytes.due(&self.bytes());
        due.filter(|_| self.is_telling_progress())
    }

    const fn is_telling_progress(&self) -> bool {
        matches!(self.step, Step::Asking(_)) && self.termination.is_none()
    }

    fn bytes(&self) -> (u64, u64) {
        let progress = self.progress();
        (progress.sent_bytes, progress.acknowledged_bytes)
    }

    pub(super) fn tell_phase(&mut self) {
        if let Some(phase) = self.phase_now()
            && self.told.phase.tell(&phase, self.now)
        {
            self.act(Action::Tell(News::Phase(phase)));
        }
    }

    /// When what it does now must be told; `None` when it was.
    pub(super) fn phase_due(&self) -> Option<Timestamp> {
        self.told.phase.due(&self.phase_now()?)
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
                } else if self.sent > 0 || *self.told.phase.told() == Phase::Transferring {
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
