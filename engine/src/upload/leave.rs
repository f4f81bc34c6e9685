//! How a machine ends: told to, by a failure, or by the server's last word.

use std::time::Duration;

use crate::checkpoint::Retry;
use crate::download::Exit;
use crate::failure::Failure;
use crate::resume_data::Ending;
use crate::retry;
use crate::task::{Desired, Outcome};
use crate::upload::{Action, Leave, Step, Upload, UploadCheckpoint, UploadStage};

impl Upload {
    pub(super) fn want(&mut self, desired: Desired) {
        match (&self.step, desired) {
            (_, Desired::Running) => {}
            // The record that is under way says what this one would.
            (Step::Announcing, Desired::Suspended) => self.step = Step::Recording(Leave::Suspend),
            (Step::Inspecting | Step::Asking(_), Desired::Suspended) => {
                self.leave(Leave::Suspend);
            }
            (
                Step::Inspecting | Step::Announcing | Step::Asking(_) | Step::Recording(_),
                Desired::Cancelled,
            ) => {
                self.stop();
                self.close(Outcome::Cancelled);
            }
            (Step::Inspecting | Step::Asking(_), Desired::CancelledResumable) => {
                self.stop();
                self.cancel_resumable();
            }
            // The record that is under way says which file it is.
            (Step::Announcing | Step::Recording(_), Desired::CancelledResumable) => {
                self.step = Step::Recording(Leave::CancelResumable);
            }
            // It is about to end by itself, which is sooner than any other way to stop. The server
            // has acknowledged every byte where its answer is being read.
            (Step::Recording(_), Desired::Suspended)
            | (
                Step::Receiving(_) | Step::Sealing(_) | Step::Closing | Step::Gone,
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
        self.leave(Leave::Retry(self.now.after(delay), failure));
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.stop();
        match self.rules.resume_data_on_failure && self.is_worth_sealing(&failure) {
            true => self.seal(Ending::Failed(failure)),
            false => self.close(Outcome::Failed(failure)),
        }
    }

    /// Ends the request, records why, and goes.
    pub(super) fn leave(&mut self, leave: Leave) {
        self.stop();
        let checkpoint = self.checkpoint(&leave);
        self.step = Step::Recording(leave);
        self.act(Action::Record(Box::new(checkpoint)));
    }

    fn stop(&mut self) {
        if let Step::Asking(request) = self.step {
            self.act(Action::Stop(request));
        }
    }

    pub(super) fn checkpoint(&self, leave: &Leave) -> UploadCheckpoint {
        let (stage, retry) = match leave {
            Leave::Suspend | Leave::CancelResumable => (UploadStage::Transferring, None),
            Leave::Retry(at, cause) => {
                let (at, delay, cause) = (*at, at.since(self.now), cause.clone());
                (UploadStage::Transferring, Some(Retry { at, delay, cause }))
            }
            Leave::Authorization(asked) => {
                (UploadStage::AwaitingAuthorization(asked.clone()), None)
            }
        };
        UploadCheckpoint {
            stage,
            source: self.source,
            attempts_failed: self.attempts_failed,
            retry,
            answers: self.answers.clone(),
            counts: self.counts,
            remote: self.remote.clone(),
            unheard: self.unheard,
            restarts: self.restarts,
        }
    }

    pub(super) fn recorded(&mut self, result: Result<(), Failure>) {
        match (&self.step, result) {
            (Step::Announcing, Ok(())) => self.ask(),
            (Step::Recording(leave), Ok(())) => {
                let exit = match leave.clone() {
                    Leave::Suspend => Exit::Stopped,
                    Leave::Retry(at, cause) => Exit::Retry { at, cause },
                    Leave::Authorization(_) => Exit::NeedsAuthorization,
                    Leave::CancelResumable => return self.cancel_resumable(),
                };
                self.exit(exit);
            }
            (Step::Announcing | Step::Recording(_), Err(_)) => self.exit(Exit::Fenced),
            // The owner's wish came while it was being written.
            (
                Step::Inspecting
                | Step::Asking(_)
                | Step::Receiving(_)
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
            self.exit(Exit::Ended(outcome));
        }
    }

    pub(super) fn exit(&mut self, exit: Exit) {
        self.step = Step::Gone;
        self.act(Action::Exit(exit));
    }
}
