//! The appends of an upload: how long each piece is, and what is done about those that did not fit.

use std::time::Duration;

use crate::checkpoint::Retry;
use crate::failure::{Failure, FailureKind};
use crate::http::head::ResponseHead;
use crate::limits::{CONFLICTS_MAX, MISMATCHES_MAX, PIECE_BYTES, PIECE_BYTES_MAX, PIECE_BYTES_MIN};
use crate::resume::status_failure;
use crate::upload::holding::Answer;
use crate::upload::operation::{Act, Dialect, Held, Operation, Piece};
use crate::upload::{Remote, Upload};

/// How long is waited, time after time, while another request is at work on an upload: a server may
/// take minutes to see that its connection is gone.
const LOCK_WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// How long was waited, when it was for another request at work on the upload.
pub(super) fn lock_wait(retry: Option<&Retry>) -> Option<Duration> {
    let retry = retry.filter(|retry| retry.cause.kind() == FailureKind::Status(423))?;
    Some(retry.delay)
}

impl Upload {
    /// Sends the next piece of what the server does not have.
    pub(super) fn append(&mut self) {
        let Some((dialect, piece)) = self.next_piece() else {
            // Every caller has a place.
            return;
        };
        self.go(Operation::Place(dialect, Act::Append(piece)));
    }

    fn next_piece(&self) -> Option<(Dialect, Piece)> {
        let remote = self.remote.as_ref()?;
        let offset = remote.acknowledged;
        let rest = self.length().saturating_sub(offset);
        let length = rest.min(longest_piece(remote));
        let is_last = length == rest;
        let piece = Piece {
            offset,
            length,
            is_last,
        };
        Some((Dialect::of(remote.protocol)?, piece))
    }

    /// The server may have more or less than we know: it is asked, but not for ever.
    pub(super) fn ask_after(&mut self, (request, _): Answer<'_>) {
        if self.is_conflict_too_many() {
            return self.fail(nothing_acknowledged());
        }
        self.drain(request);
        self.ask_place();
    }

    /// Asks the place how much it has.
    pub(super) fn ask_place(&mut self) {
        let remote = self.remote.as_ref();
        if let Some(dialect) = remote.and_then(|remote| Dialect::of(remote.protocol)) {
            self.go(Operation::Place(dialect, Act::Offset));
        }
    }

    /// Counts an answer that brought nothing on. True when there were too many of them in a row.
    pub(super) const fn is_conflict_too_many(&mut self) -> bool {
        self.oddities.conflicts += 1;
        self.oddities.conflicts >= CONFLICTS_MAX
    }

    /// The append does not fit (409): goes on where the server says it is, or asks it.
    pub(super) fn conflicted(&mut self, answer: Answer<'_>, offset: Option<u64>) {
        if self.remote.is_none() || self.is_conflict_too_many() {
            return self.fail(status_failure(answer.1.status));
        }
        let (start, _) = self.body();
        let is_tus = matches!(self.operation, Operation::Place(Dialect::Tus, _));
        let most = if is_tus {
            start + self.sent
        } else {
            self.length()
        };
        self.drain(answer.0);
        let Some(offset) = offset.filter(|offset| *offset <= most) else {
            return self.ask_place();
        };
        let held = Held {
            offset: Some(offset),
            ..Held::default()
        };
        match self.learn(&held) {
            Ok(()) => self.append(),
            Err(failure) => self.fail(failure),
        }
    }

    /// Another request is at work on the upload (423): waits, longer each time, and never gives up.
    pub(super) fn locked(&mut self, head: &ResponseHead) {
        let failure = status_failure(head.status);
        let has_place = matches!(self.operation, Operation::Place(_, _)) || self.remote.is_some();
        if !has_place {
            return self.fail(failure);
        }
        let before = self.oddities.lock_wait.unwrap_or_default();
        let mut waits = LOCK_WAITS.into_iter();
        let next = waits.find(|wait| *wait > before);
        let next = next.unwrap_or(LOCK_WAITS[LOCK_WAITS.len() - 1]);
        let delay = next.max(self.asked_delay(head).unwrap_or_default());
        self.wait(delay, failure);
    }

    /// The server finds another digest of the piece (460): it is sent again, a few times.
    pub(super) fn mismatched(&mut self, (request, head): Answer<'_>) {
        self.oddities.mismatches += 1;
        if self.oddities.mismatches > MISMATCHES_MAX {
            return self.fail(status_failure(head.status));
        }
        self.drain(request);
        self.append();
    }

    /// The body is too long (413) for the server, or for something before it: a shorter one may pass.
    pub(super) fn too_large(&mut self, (request, head): Answer<'_>) {
        let (_, length) = self.body();
        let Some(remote) = &mut self.remote else {
            return self.fail(status_failure(head.status));
        };
        let least = remote.limits.append_min.unwrap_or(0).max(PIECE_BYTES_MIN);
        if length <= least {
            return self.fail(status_failure(head.status));
        }
        remote.limits.append_max = Some((length / 2).max(least));
        self.drain(request);
        self.ask_place();
    }

    /// The server, or something before it, takes no `PATCH` (405, 501): it may take it by another
    /// name, once.
    pub(super) fn method_refused(&mut self, (request, head): Answer<'_>) {
        if self.oddities.refuses_patch {
            return self.fail(status_failure(head.status));
        }
        self.oddities.refuses_patch = true;
        self.drain(request);
        self.append();
    }

    /// Pieces that were made shorter become longer again while they arrive.
    pub(super) fn lengthen_pieces(&mut self) {
        let Operation::Place(_, Act::Append(piece)) = self.operation else {
            return;
        };
        let Some(remote) = &mut self.remote else {
            return;
        };
        let has_arrived = remote.acknowledged == piece.offset + piece.length;
        if let Some(most) = remote.piece_max
            && has_arrived
        {
            remote.piece_max = Some(most.saturating_mul(2).min(PIECE_BYTES_MAX));
        }
    }
}

/// The failure of an upload whose server says yes and gets no further.
pub(super) fn nothing_acknowledged() -> Failure {
    Failure::new(
        FailureKind::Protocol,
        "the server took bytes again and again and acknowledged none of them",
    )
}

/// The longest piece that may be sent to a place.
fn longest_piece(remote: &Remote) -> u64 {
    let checked = remote.checksum.map(|_| PIECE_BYTES);
    [remote.piece_max, remote.limits.append_max, checked]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(u64::MAX)
}
