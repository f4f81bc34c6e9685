//! How a machine ends before its file is complete: told to, or by a failure.

use std::time::Duration;

use crate::checkpoint::{Checkpoint, Retry, Stage};
use crate::download::cadence::Marks;
use crate::download::{Action, Download, Exit, Leave, Step};
use crate::failure::{Failure, FailureKind};
use crate::http::validator::Validator;
use crate::limits::RESTARTS_MAX;
use crate::resume::RestartCause;
use crate::retry;
use crate::span::Spans;
use crate::task::{Desired, Outcome};

impl Download {
    pub(super) fn want(&mut self, desired: Desired) {
        self.desired = desired;
        match (&self.step, desired) {
            (_, Desired::Running) => {}
            (Step::Recovering(_), Desired::Suspended) => {
                self.step = Step::Gone;
                self.act(Action::Exit(Exit::Stopped));
            }
            (Step::Recovering(checkpoint), Desired::Cancelled) => {
                if !matches!(checkpoint.stage, Stage::Finishing(_)) {
                    self.leave(Leave::Cancel);
                }
            }
            // Looked at when it is known what is there.
            (Step::Recovering(_), Desired::CancelledResumable) => {}
            // Looked at when the file is gone.
            (
                Step::Clearing,
                Desired::Suspended | Desired::Cancelled | Desired::CancelledResumable,
            ) => {}
            (Step::Fetching | Step::Verifying, Desired::Suspended) => self.leave(Leave::Suspend),
            (Step::Fetching | Step::Verifying, Desired::CancelledResumable) => {
                self.leave(Leave::CancelResumable);
            }
            (
                Step::Fetching | Step::Verifying | Step::Stopping(_) | Step::Recording(_),
                Desired::Cancelled,
            ) => self.leave(Leave::Cancel),
            (Step::Stopping(leave), Desired::CancelledResumable) => {
                self.step = Step::Stopping(Box::new(overtaken(leave)));
            }
            (Step::Recording(leave), Desired::CancelledResumable) if self.is_resumable() => {
                self.step = Step::Recording(Box::new(overtaken(leave)));
            }
            // The next transfer finds in the record whether there is something to hand over.
            (Step::Recording(_), Desired::CancelledResumable) => {}
            // It is about to end by itself, which is sooner than any other way to stop.
            (Step::Stopping(_) | Step::Recording(_), Desired::Suspended)
            | (
                Step::Syncing
                | Step::Naming
                | Step::Announcing(_)
                | Step::Publishing(_)
                | Step::Checking(_)
                | Step::Discarding(_)
                | Step::Sealing(_)
                | Step::Closing
                | Step::Gone,
                Desired::Suspended | Desired::Cancelled | Desired::CancelledResumable,
            ) => {}
        }
    }

    /// Ends the fetching: connections first, then a record of what is held, then the rest.
    pub(super) fn leave(&mut self, leave: Leave) {
        self.reopen_at = None;
        self.pending = None;
        for connection in &self.connections {
            self.actions.push_back(Action::Stop {
                conn: connection.id,
            });
        }
        self.connections
            .retain(|connection| connection.is_streaming);
        self.step = Step::Stopping(Box::new(leave));
        self.stopped_if_quiet();
    }

    pub(super) fn stopped_if_quiet(&mut self) {
        let Step::Stopping(leave) = &self.step else {
            return;
        };
        if !self.connections.is_empty() || self.cadence.is_recording() {
            return;
        }
        let leave = (**leave).clone();
        match leave {
            Leave::Cancel => self.discard(Outcome::Cancelled),
            Leave::CancelResumable if !self.is_resumable() => self.discard(Outcome::Cancelled),
            Leave::FailAndDiscard(failure) => self.discard(Outcome::Failed(failure)),
            Leave::Suspend
            | Leave::Retry(..)
            | Leave::Authorization(_)
            | Leave::Fail(_)
            | Leave::CancelResumable => {
                let checkpoint = self.checkpoint(&leave);
                self.step = Step::Recording(Box::new(leave));
                self.record(checkpoint);
            }
        }
    }

    pub(super) fn left(&mut self, leave: Leave) {
        let exit = match leave {
            Leave::Suspend => Exit::Stopped,
            Leave::Retry(at, cause) => Exit::Retry { at, cause },
            Leave::Authorization(_) => Exit::NeedsAuthorization,
            Leave::Fail(failure) => return self.fail_with_bytes(failure),
            Leave::CancelResumable => return self.seal_cancelled(),
            Leave::FailAndDiscard(failure) => return self.discard(Outcome::Failed(failure)),
            Leave::Cancel => return self.discard(Outcome::Cancelled),
        };
        self.step = Step::Gone;
        self.act(Action::Exit(exit));
    }

    pub(super) fn discard(&mut self, outcome: Outcome) {
        match self.part.take().or_else(|| self.leftover.take()) {
            Some(part) => {
                self.step = Step::Discarding(outcome);
                self.act(Action::Discard(part));
            }
            None => self.close(outcome),
        }
    }

    pub(super) fn discarded(&mut self) {
        match (&self.step, self.desired) {
            (Step::Discarding(outcome), _) => {
                let outcome = outcome.clone();
                self.close(outcome);
            }
            (Step::Clearing, Desired::Running) => self.fetch(),
            (Step::Clearing, Desired::Suspended) => {
                self.step = Step::Gone;
                self.act(Action::Exit(Exit::Stopped));
            }
            (Step::Clearing, Desired::Cancelled | Desired::CancelledResumable) => {
                self.leave(Leave::Cancel)
            }
            (
                Step::Recovering(_)
                | Step::Fetching
                | Step::Stopping(_)
                | Step::Recording(_)
                | Step::Verifying
                | Step::Syncing
                | Step::Naming
                | Step::Announcing(_)
                | Step::Publishing(_)
                | Step::Checking(_)
                | Step::Sealing(_)
                | Step::Closing
                | Step::Gone,
                _,
            ) => {}
        }
    }

    pub(super) fn close(&mut self, outcome: Outcome) {
        self.step = Step::Closing;
        self.act(Action::Close(outcome));
    }

    pub(super) fn closed(&mut self, outcome: Outcome) {
        if self.step == Step::Closing {
            self.step = Step::Gone;
            self.act(Action::Exit(Exit::Ended(outcome)));
        }
    }

    /// Fails for good; the bytes are kept for another attempt unless they are of no use to it.
    pub(super) fn fail(&mut self, failure: Failure) {
        if failure.kind().spoils_bytes() {
            return self.leave(Leave::FailAndDiscard(failure));
        }
        self.leave(Leave::Fail(failure));
    }

    /// Tries again after the backoff, or fails when no attempt is left.
    pub(super) fn retry(&mut self, failure: Failure, asked: Option<Duration>) {
        self.attempts_failed = self.attempts_failed.saturating_add(1);
        if !retry::is_allowed(&self.rules, self.attempts_failed) {
            return self.fail(failure);
        }
        let delay = retry::delay(&self.rules, self.attempts_failed, asked, &mut self.jitter);
        self.leave(Leave::Retry(self.now.after(delay), failure));
    }

    /// Forgets every held byte, because they are not of the representation that is there now.
    pub(super) fn start_over(&mut self, cause: RestartCause) {
        self.drop_connections();
        self.note_loss();
        self.spans = Spans::default();
        self.total = None;
        self.validator = Validator::None;
        self.status = None;
        self.offered_digests.clear();
        self.cadence.start(self.now, Marks::default());
        self.restarts += 1;
        // Its answers to requests for parts are not to be trusted: one stream shall bring it all.
        self.connections_wanted = 1;
        let again = cause == RestartCause::Unsatisfiable
            && std::mem::replace(&mut self.was_unsatisfiable, true);
        if again {
            return self.leave(Leave::FailAndDiscard(Failure::new(
                FailureKind::Status(416),
                "the server answered 416 (range not satisfiable) again after a start from zero",
            )));
        }
        if self.restarts > RESTARTS_MAX {
            return self.give_up_unstable();
        }
        self.fetch();
    }

    pub(super) fn give_up_unstable(&mut self) {
        self.leave(Leave::FailAndDiscard(Failure::new(
            FailureKind::Unstable,
            "the resource changed with every attempt to go on; try again when it is stable",
        )));
    }

    pub(super) fn checkpoint(&self, leave: &Leave) -> Checkpoint {
        let (stage, retry) = match leave {
            Leave::Retry(at, cause) => {
                let (at, delay, cause) = (*at, at.since(self.now), cause.clone());
                (Stage::Transferring, Some(Retry { at, delay, cause }))
            }
            Leave::Authorization(asked) => (Stage::AwaitingAuthorization(asked.clone()), None),
            Leave::Suspend
            | Leave::Fail(_)
            | Leave::FailAndDiscard(_)
            | Leave::Cancel
            | Leave::CancelResumable => (Stage::Transferring, None),
        };
        Checkpoint {
            stage,
            retry,
            ..self.progress_checkpoint()
        }
    }
}

/// Why a machine leaves that was leaving already when its owner wants its bytes as resume data.
fn overtaken(leave: &Leave) -> Leave {
    match leave {
        Leave::Suspend
        | Leave::Retry(..)
        | Leave::Authorization(_)
        | Leave::Fail(_)
        | Leave::CancelResumable => Leave::CancelResumable,
        // There is nothing to hand over.
        Leave::FailAndDiscard(_) | Leave::Cancel => leave.clone(),
    }
}
