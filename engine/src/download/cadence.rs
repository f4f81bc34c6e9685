//! When to record, when to sync, when to tell: beside the stream, never in its way.

use std::time::Duration;

use crate::checkpoint::Checkpoint;
use crate::download::{Action, Download, News, Step};
use crate::limits::{
    RECORD_BYTES, RECORD_INTERVAL_MAX, RECORD_INTERVAL_MIN, SYNC_BYTES, SYNC_INTERVAL,
};
use crate::pace::Pace;
use crate::span::SpanId;
use crate::task::{Phase, Progress};
use crate::time::Timestamp;

/// How much of the file is in it and on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) written_bytes: u64,
    pub(super) synced_bytes: u64,
}

/// The clocks of one transfer.
#[derive(Debug)]
pub(super) struct Cadence {
    recorded: Marks,
    recording: Option<Marks>,
    recorded_at: Timestamp,
    /// The last record that was started claims no byte.
    is_claimless: bool,
    syncing: Option<Vec<(SpanId, u64)>>,
    synced_at: Timestamp,
    /// Bytes that are written.
    told: Pace<u64>,
}

impl Cadence {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            recorded: Marks {
                written_bytes: 0,
                synced_bytes: 0,
            },
            recording: None,
            recorded_at: now,
            is_claimless: false,
            syncing: None,
            synced_at: now,
            told: Pace::new(0, now),
        }
    }

    /// Counting begins here, with this much recorded already. A sync that runs is of no more use:
    /// its marks are of other spans.
    pub(super) fn start(&mut self, now: Timestamp, recorded: Marks) {
        self.recorded = recorded;
        self.recording = self.recording.map(|_| recorded);
        self.recorded_at = now;
        self.syncing = self.syncing.as_ref().map(|_| Vec::new());
        self.synced_at = now;
    }

    pub(super) const fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    pub(super) const fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// When so many bytes that no record knows must be recorded.
    pub(super) fn record_due(&self, dirty: u64) -> Option<Timestamp> {
        let interval = if dirty >= RECORD_BYTES {
            RECORD_INTERVAL_MIN
        } else {
            RECORD_INTERVAL_MAX
        };
        (dirty > 0 && !self.is_recording()).then(|| self.recorded_at.after(interval))
    }

    /// When so many bytes that no sync covered must be synced.
    pub(super) fn sync_due(&self, unsynced: u64) -> Option<Timestamp> {
        let interval = if unsynced >= SYNC_BYTES {
            Duration::ZERO
        } else {
            SYNC_INTERVAL
        };
        (unsynced > 0 && !self.is_syncing()).then(|| self.synced_at.after(interval))
    }
}

impl Download {
    /// Starts the record and the sync that are due.
    pub(super) fn keep_cadence(&mut self) {
        if self.part.is_none() {
            return;
        }
        let unsynced = self.spans.written_bytes() - self.spans.synced_bytes();
        if self
            .cadence
            .sync_due(unsynced)
            .is_some_and(|due| due <= self.now)
        {
            self.start_sync();
        }
        let dirty = self.unrecorded_bytes();
        if self
            .cadence
            .record_due(dirty)
            .is_some_and(|due| due <= self.now)
        {
            self.record_progress();
        }
    }

    /// Starts a record of what is held now. None is under way.
    pub(super) fn record_progress(&mut self) {
        self.cadence.recording = Some(self.marks());
        self.cadence.recorded_at = self.now;
        let checkpoint = self.progress_checkpoint();
        self.record(checkpoint);
    }

    pub(super) fn record(&mut self, checkpoint: Checkpoint) {
        self.has_claims |= !checkpoint.spans.is_empty();
        self.cadence.is_claimless = checkpoint.spans.is_empty();
        self.act(Action::Record(Box::new(checkpoint)));
    }

    pub(super) fn marks(&self) -> Marks {
        Marks {
            written_bytes: self.spans.written_bytes(),
            synced_bytes: self.spans.synced_bytes(),
        }
    }

    /// Bytes of which the store does not know what is known here.
    pub(super) fn unrecorded_bytes(&self) -> u64 {
        let (now, recorded) = (self.marks(), self.cadence.recorded);
        (now.written_bytes - recorded.written_bytes).max(now.synced_bytes - recorded.synced_bytes)
    }

    pub(super) fn start_sync(&mut self) {
        let marks = self
            .spans
            .iter()
            .map(|span| (span.id(), span.written()))
            .collect();
        self.cadence.syncing = Some(marks);
        self.cadence.synced_at = self.now;
        self.act(Action::Sync);
    }

    /// A sync ended; its marks hold for what was written when it began.
    pub(super) fn sync_ended(&mut self, is_ok: bool) {
        for (span, to) in self.cadence.syncing.take().unwrap_or_default() {
            if is_ok {
                self.spans.sync(span, to);
            }
        }
        self.spans.join_complete();
    }

    /// A record ended; `false` when none was under way.
    pub(super) fn record_ended(&mut self, is_ok: bool) -> bool {
        if is_ok && self.cadence.is_claimless {
            self.has_claims = false;
        }
        let Some(marks) = self.cadence.recording.take() else {
            return false;
        };
        if is_ok {
            self.cadence.recorded = marks;
        }
        true
    }

    /// Tells how far it is when that is due; a transfer that is over sooner has no news but its end.
    pub(super) fn tell_progress(&mut self) {
        let written = self.spans.written_bytes();
        if self.step == Step::Fetching && self.cadence.told.tell(&written, self.now) {
            self.act(Action::Tell(News::Progress(self.progress())));
        }
    }

    /// When it must be told how far it is, though no byte comes any more; `None` when it was.
    pub(super) fn progress_due(&self) -> Option<Timestamp> {
        let due = self.cadence.told.due(&self.spans.written_bytes());
        due.filter(|_| self.step == Step::Fetching)
    }

    /// Tells what it does now when that has changed and is due.
    pub(super) fn tell_phase(&mut self) {
        if let Some(phase) = self.phase_now()
            && self.phase.tell(&phase, self.now)
        {
            self.act(Action::Tell(News::Phase(phase)));
        }
    }

    /// When what it does now must be told; `None` when it was.
    pub(super) fn phase_due(&self) -> Option<Timestamp> {
        self.phase.due(&self.phase_now()?)
    }

    /// What it does in this step; `None` when that is nothing of its own, but the way to its end.
    fn phase_now(&self) -> Option<Phase> {
        match &self.step {
            Step::Recovering(_) => Some(Phase::Connecting),
            Step::Fetching if self.connections.iter().any(|c| c.is_streaming) => {
                Some(Phase::Transferring)
            }
            Step::Fetching => Some(Phase::Connecting),
            Step::Verifying
            | Step::Syncing
            | Step::Naming
            | Step::Announcing(_)
            | Step::Publishing(_)
            | Step::Checking(_) => Some(Phase::Finishing),
            Step::Stopping(_)
            | Step::Recording(_)
            | Step::Discarding(_)
            | Step::Sealing(_)
            | Step::Clearing
            | Step::Closing
            | Step::Gone => None,
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            received_bytes: self.spans.written_bytes(),
            sent_bytes: 0,
            acknowledged_bytes: 0,
            total_bytes: self.total,
        }
    }
}
