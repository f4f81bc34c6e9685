//! Requests whose answer did not come: what the server may have done, and whether they are sent again.

use crate::failure::{Failure, FailureKind};
use crate::limits::{PIECE_BYTES, PIECE_BYTES_MIN, STALL_BYTES_MIN};
use crate::upload::operation::{Act, Operation};
use crate::upload::{Step, Unheard, Upload};

/// The failure of a request that must not be sent twice, and may have been taken.
pub(super) fn outcome_unknown() -> Failure {
    Failure::new(
        FailureKind::OutcomeUnknown,
        "the answer to the upload was lost, and its request must not be sent twice; see whether the \
         server has the file, and start the upload again if not",
    )
}

impl Upload {
    /// Whether the caller's request may reach the server twice: it is idempotent (RFC 9110 section
    /// 9.2.2), or its caller said so, or gave it a key that tells repetitions
    /// (draft-ietf-httpapi-idempotency-key-header).
    pub(super) fn is_repeatable(&self) -> bool {
        self.spec.method == "PUT" || self.is_declared_repeatable()
    }

    /// Whether the caller said that a request may reach the server twice.
    pub(super) fn is_declared_repeatable(&self) -> bool {
        let mut headers = self.rules.headers_with(&self.spec.headers);
        self.spec.is_repeatable
            || headers.any(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"))
    }

    /// Whether a request that must not be sent twice may have been taken, and nothing can be asked
    /// about it.
    pub(super) fn is_lost_for_good(&self) -> bool {
        self.unheard == Unheard::Creation && self.remote.is_none() && !self.is_repeatable()
    }

    /// No answer came to the request that is under way, all of whose sent bytes are known.
    pub(super) fn unanswered(&mut self, failure: Failure) {
        let has_reached = self.sent > 0 || has_reached_server(&failure);
        match self.operation {
            Operation::Place(_, Act::Terminate) => return self.not_removed(),
            // Some servers, and things before them, break the connection at a method that they do
            // not know.
            Operation::Discover if is_broken_off(&failure) => return self.discovered(None),
            Operation::Discover
            | Operation::Whole { .. }
            | Operation::SeeOther
            | Operation::Place(_, Act::Create(_) | Act::Offset | Act::Append(_)) => {}
        }
        self.settle_offer();
        if has_reached {
            self.note_unheard();
            self.note_stall();
        }
        if self.is_lost_for_good() && failure.is_transient() {
            return self.fail(outcome_unknown());
        }
        self.lose(failure, None);
    }

    /// The owner's wish ends the request that is under way. A body that has not gone as a whole is one
    /// that the server can not take for the file: it knows its length (RFC 9112 section 6.3).
    pub(super) fn interrupt(&mut self) {
        let is_asking = matches!(self.step, Step::Asking(_));
        if is_asking && self.is_all_sent() {
            self.note_unheard();
        }
    }

    /// The server may have acted on the request that is under way.
    pub(super) fn note_unheard(&mut self) {
        let (_, length) = self.body();
        match self.leaves_unheard() {
            Unheard::Nothing => {}
            // Some servers keep what came of a file that was cut.
            Unheard::Creation if self.sent > 0 || length == 0 => self.unheard = Unheard::Creation,
            // The length was told, and nothing is complete before it is reached.
            Unheard::Completion if self.is_all_sent() => self.unheard = Unheard::Completion,
            Unheard::Creation | Unheard::Completion => {}
        }
    }

    /// Makes pieces shorter when the way to the server loses what was sent of long ones: a request
    /// was cut, the one before it too, and the server has acknowledged nothing of either.
    fn note_stall(&mut self) {
        let Operation::Place(_, Act::Append(piece)) = self.operation else {
            return;
        };
        let Some(remote) = &mut self.remote else {
            return;
        };
        if self.sent > STALL_BYTES_MIN && self.attempts_failed > 0 {
            let shorter = (piece.length / 2).clamp(PIECE_BYTES_MIN, PIECE_BYTES);
            remote.piece_max = Some(shorter);
        }
    }
}

/// Whether the connection was there, and broke.
const fn is_broken_off(failure: &Failure) -> bool {
    matches!(
        failure.kind(),
        FailureKind::Disconnected | FailureKind::TimedOut | FailureKind::Protocol
    )
}

/// Whether a byte of the request may have reached the server.
const fn has_reached_server(failure: &Failure) -> bool {
    match failure.kind() {
        FailureKind::Resolve | FailureKind::Connect | FailureKind::Tls | FailureKind::Proxy => {
            false
        }
        FailureKind::InvalidRequest
        | FailureKind::TargetExists
        | FailureKind::File
        | FailureKind::NoSpace
        | FailureKind::SourceMissing
        | FailureKind::SourceChanged
        | FailureKind::OutcomeUnknown
        | FailureKind::Disconnected
        | FailureKind::TimedOut
        | FailureKind::Authentication
        | FailureKind::Protocol
        | FailureKind::Encoded
        | FailureKind::Redirect
        | FailureKind::Status(_)
        | FailureKind::Unstable
        | FailureKind::Integrity
        | FailureKind::ResourceTimedOut
        | FailureKind::Crashed
        | FailureKind::Store => true,
    }
}
