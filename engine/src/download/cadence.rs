//! When to record, when to sync, when to tell: beside the stream, never in its way.

use std::time::Duration;

use crate::download::{Action, Download, News};
use crate::limits::{
    RECORD_BYTES, RECORD_INTERVAL_MAX, RECORD_INTERVAL_MIN, SYNC_BYTES, SYNC_INTERVAL,
};
use crate::span::SpanId;
use crate::task::Progress;
use crate::time::Timestamp;

/// Progress is told at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The clocks of one transfer.
#[derive(Debug)]
pub(super) struct Cadence {
    recorded_bytes: u64,
    recording_bytes: Option<u64>,
    recorded_at: Timestamp,
    syncing: Option<Vec<(SpanId, u64)>>,
    synced_at: Timestamp,
    told_at: Timestamp,
}

impl Cadence {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            recorded_bytes: 0,
            recording_bytes: None,
            recorded_at: now,
            syncing: None,
            synced_at: now,
            told_at: now,
        }
    }

    /// Counting begins here, with this much recorded already. A sync that runs is of no more use:
    /// its marks are of other spans.
    pub(super) fn start(&mut self, now: Timestamp, recorded_bytes: u64) {
        self.recorded_bytes = recorded_bytes;
        self.recording_bytes = self.recording_bytes.map(|_| recorded_bytes);
        self.recorded_at = now;
        self.syncing = self.syncing.as_ref().map(|_| Vec::new());
        self.synced_at = now;
    }

    pub(super) const fn recorded_bytes(&self) -> u64 {
        self.recorded_bytes
    }

    pub(super) const fn is_recording(&self) -> bool {
        self.recording_bytes.is_some()
    }

    pub(super) const fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// When so many bytes that no record knows must be recorded.
    pub(super) fn record_due(&self, dirty: u64) -> Option<Timestamp> {
        let interval =
            if dirty >= RECORD_BYTES { RECORD_INTERVAL_MIN } else { RECORD_INTERVAL_MAX };
        (dirty > 0 && !self.is_recording()).then(|| self.recorded_at.after(interval))
    }

    /// When so many bytes that no sync covered must be synced.
    pub(super) fn sync_due(&self, unsynced: u64) -> Option<Timestamp> {
        let interval = if unsynced >= SYNC_BYTES { Duration::ZERO } else { SYNC_INTERVAL };
        (unsynced > 0 && !self.is_syncing()).then(|| self.synced_at.after(interval))
    }
}

impl Download {
    /// Starts the record and the sync that are due.
    pub(super) fn keep_cadence(&mut self) {
        if self.part.is_none() {
            return;
        }
        let written = self.spans.written_bytes();
        let unsynced = written - self.spans.synced_bytes();
        if self.cadence.sync_due(unsynced).is_some_and(|due| due <= self.now) {
            self.start_sync();
        }
        let dirty = written - self.cadence.recorded_bytes;
        if self.cadence.record_due(dirty).is_some_and(|due| due <= self.now) {
            self.cadence.recording_bytes = Some(written);
            self.cadence.recorded_at = self.now;
            let checkpoint = self.progress_checkpoint();
            self.act(Action::Record(Box::new(checkpoint)));
        }
    }

    pub(super) fn start_sync(&mut self) {
        let marks = self.spans.iter().map(|span| (span.id(), span.written())).collect();
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
        let Some(bytes) = self.cadence.recording_bytes.take() else { return false };
        if is_ok {
            self.cadence.recorded_bytes = bytes;
        }
        true
    }

    pub(super) fn tell_progress(&mut self) {
        if self.now.since(self.cadence.told_at) >= PROGRESS_INTERVAL {
            self.cadence.told_at = self.now;
            let progress = self.progress();
            self.act(Action::Tell(News::Progress(progress)));
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { received_bytes: self.spans.written_bytes(), total_bytes: self.total }
    }
}
