//! The end of an upload that is of no use to anybody: the server is asked to remove it (`DELETE`),
//! a few times, and then the task ends whatever came of it.
//!
//! A task that was cancelled is so on record: a transfer that begins after a crash asks again.

use std::time::Duration;

use crate::failure::{Failure, FailureKind};
use crate::limits::TERMINATIONS_MAX;
use crate::task::Outcome;
use crate::upload::operation::{Act, Dialect, Operation};
use crate::upload::{RequestId, Step, Upload};

/// A server that is being asked to remove an upload.
#[derive(Debug)]
pub(super) struct Termination {
    after: After,
    asked: u32,
}

/// What follows when the upload is removed, or not to be removed.
#[derive(Debug)]
pub(super) enum After {
    /// Its owner has cancelled it.
    Cancel,
    /// It has failed.
    Fail(Failure),
}

impl Upload {
    pub(super) fn cancel(&mut self) {
        match self.has_removable_place() {
            true => self.terminate(After::Cancel),
            false => self.close(Outcome::Cancelled),
        }
    }

    pub(super) fn has_removable_place(&self) -> bool {
        let remote = self.remote.as_ref();
        remote.is_some_and(|remote| remote.can_terminate && Dialect::of(remote.protocol).is_some())
    }

    pub(super) fn terminate(&mut self, after: After) {
        self.termination = Some(Termination { after, asked: 0 });
        self.remove();
    }

    /// Asks the server to remove the upload.
    pub(super) fn remove(&mut self) {
        let dialect = self.remote.as_ref().map(|it| Dialect::of(it.protocol));
        let (Some(Some(dialect)), Some(termination)) = (dialect, &mut self.termination) else {
            return self.removed();
        };
        termination.asked += 1;
        self.begin_request(Operation::Place(dialect, Act::Terminate));
        self.ask();
    }

    /// The answer to that, when it is no redirect and no challenge.
    pub(super) fn answered_removal(&mut self, request: RequestId, status: u16) {
        match status {
            // Something else is at work on it.
            409 | 423 => self.not_removed(),
            _ if FailureKind::Status(status).is_transient() => self.not_removed(),
            // It is removed, or will not be.
            _ => {
                self.drain(request);
                self.removed();
            }
        }
    }

    /// Nothing was removed this time.
    pub(super) fn not_removed(&mut self) {
        self.stop();
        let asked = self.termination.as_ref().map_or(0, |it| it.asked);
        match asked < TERMINATIONS_MAX {
            true => {
                let delay = Duration::from_secs(u64::from(asked));
                self.step = Step::Pausing(self.now.after(delay));
            }
            false => self.removed(),
        }
    }

    /// There is nothing more to be done about it.
    pub(super) fn removed(&mut self) {
        self.stop();
        let Some(termination) = self.termination.take() else {
            return;
        };
        match termination.after {
            After::Cancel => self.close(Outcome::Cancelled),
            After::Fail(failure) => self.end_failed(failure),
        }
    }
}
