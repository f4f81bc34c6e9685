//! How a machine ends: told to, by a failure, or by the server's last word.

use std::time::Duration;

use crate::checkpoint::Retry;
use crate::download::Exit;
use crate::failure::{Failure, FailureKind};
use crate::resume_data::Ending;
use crate::retry;
use crate::task::{Desired, Outcome};
use crate::upload::terminating::After;
use crate::upload::{Action, Leave, Step, Upload};

impl Upload {
    pub(super) fn want(&mut self, desired: Desired) {
        match (&self.step, desired) {
            (_, Desired::Running) => {}
            // It is being removed at the server, and ends when it is.
            _ if self.termination.is_some() => {}
            (
                Step::Inspecting | Step::Announcing | Step::Digesting | Step::Asking(_),
                Desired::Suspended,
            ) => {
                self.interrupt();
                self.leave(Leave::Suspend);
            }
            (
                Step::Inspecting
                | Step::Announcing
                | Step::Digesting
                | Step::Asking(_)
                | Step::Recording(_),
                Desired::Cancelled,
            ) => {
                self.stop();
                self.cancel();
            }
            (
                Step::Inspecting | Step::Announcing | Step::Digesting | Step::Asking(_),
                Desired::CancelledResumable,
            ) => {
                self.interrupt();
                self.leave(Leave::CancelResumable);
            }
            // The record that is under way says nothing less.
            (Step::Recording(_), Desired::CancelledResumable) => {
                self.step = Step::Recording(Leave::CancelResumable);
            }
            // It is about to end by itself, which is sooner than any other way to stop. The server
            // has acknowledged every byte where its answer is being read.
            (Step::Recording(_), Desired::Suspended)
            | (
                Step::Receiving
                | Step::Confirming
                | Step::Pausing(_)
                | Step::Sealing(_)
                | Step::Closing
                | Step::Gone,
                Desired::Suspended | Desired::Cancelled | Desired::CancelledResumable,
            ) => {}
        }
    }

    /// The request brought no acknowledgement: tries again after the backoff, or fails.
    pub(super) fn lose(&mut self, failure: Failure, asked: Option<Duration>) {
        self.attempts_failed = self.attempts_failed.saturating_add(1);
        if !failure.is_transient() || !retry::is_allowed(&self.rules, self.attempts_failed) {
            return self.fail(failure);
        }
        let delay = retry::delay(&self.rules, self.attempts_failed, asked, &mut self.jitter);
        self.wait(delay, failure);
    }

    /// Tries again after this time.
    pub(super) fn wait(&mut self, delay: Duration, cause: Failure) {
        let at = self.now.after(delay);
        self.leave(Leave::Retry(Retry { at, delay, cause }));
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.stop();
        if self.termination.is_some() {
            return self.removed();
        }
        // What the server has is of no use to anybody.
        let is_spoilt = matches!(
            failure.kind(),
            FailureKind::SourceChanged | FailureKind::Integrity
        );
        match is_spoilt && self.has_removable_place() {
            true => self.terminate(After::Fail(failure)),
            false => self.end_failed(failure),
        }
    }

    /// Resume data is made of what is on record, which must say no more than that it failed: a request
    /// that was refused leaves nothing unheard.
    pub(super) fn end_failed(&mut self, failure: Failure) {
        match self.rules.resume_data_on_failure && self.is_worth_sealing(&failure) {
            true => self.record_and_go(Leave::FailResumable(failure)),
            false => self.close(Outcome::Failed(failure)),
        }
    }

    /// Ends the request, records why, and goes.
    pub(super) fn leave(&mut self, leave: Leave) {
        self.stop();
        self.record_and_go(leave);
    }

    fn record_and_go(&mut self, leave: Leave) {
        self.step = Step::Recording(leave.clone());
        if self.in_flight.is_none() {
            self.go_off(&leave);
        }
    }

    /// Goes when the store knows all that is known here, and tells it before.
    pub(super) fn go_off(&mut self, leave: &Leave) {
        let checkpoint = self.last_checkpoint(leave);
        let is_done = match leave {
            Leave::Suspend | Leave::Retry(_) | Leave::Authorization(_) => {
                self.on_record.as_ref() == Some(&checkpoint)
            }
            Leave::CancelResumable | Leave::FailResumable(_) => {
                self.source.is_none() || self.is_on_record(checkpoint.unheard)
            }
        };
        if !is_done {
            return self.record(checkpoint);
        }
        match leave.clone() {
            Leave::Suspend => self.exit(Exit::Stopped),
            Leave::Retry(Retry { at, cause, .. }) => self.exit(Exit::Retry { at, cause }),
            Leave::Authorization(_) => self.exit(Exit::NeedsAuthorization),
            Leave::CancelResumable => self.cancel_resumable(),
            Leave::FailResumable(failure) => self.seal(Ending::Failed(failure)),
        }
    }

    pub(super) fn stop(&mut self) {
        if let Step::Asking(request) = self.step {
            self.act(Action::Stop(request));
        }
    }

    pub(super) fn close(&mut self, outcome: Outcome) {
        self.step = Step::Closing;
        self.act(Action::Close(outcome));
    }

    pub(super) fn closed(&mut self, outcome: Outcome) {
        if self.step == Step::Closing {
            self.exit(Exit::Ended(outcome));
        }
    }

    pub(super) fn exit(&mut self, exit: Exit) {
        self.step = Step::Gone;
        self.act(Action::Exit(exit));
    }
}
