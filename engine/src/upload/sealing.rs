//! Ends that leave something to the owner: resume data is made of the last record.
//!
//! The resume data of an upload is the request, which file it was, and the place that the server has
//! made for it: whoever goes on with it sends what is missing there, or the same file from its first
//! byte where there is no such place, or nothing when the file has changed.

use crate::failure::{Failure, FailureKind};
use crate::resume_data::{Ending, ResumeData};
use crate::task::Outcome;
use crate::upload::{Action, Step, Upload};

impl Upload {
    /// Its owner cancelled it and wants resume data; there is none of a file that nobody has looked at.
    pub(super) fn cancel_resumable(&mut self) {
        match self.source {
            Some(_) => self.seal(Ending::Cancelled),
            None => self.close(Outcome::Cancelled),
        }
    }

    /// Whether another task may do better with the same request and the same file.
    pub(super) const fn is_worth_sealing(&self, failure: &Failure) -> bool {
        let is_in_vain = matches!(
            failure.kind(),
            FailureKind::SourceMissing
                | FailureKind::SourceChanged
                | FailureKind::Integrity
                | FailureKind::InvalidRequest
        );
        self.source.is_some() && !is_in_vain
    }

    pub(super) fn seal(&mut self, ending: Ending) {
        self.step = Step::Sealing(ending);
        self.act(Action::Seal);
    }

    pub(super) fn sealed(&mut self, result: Result<ResumeData, Failure>) {
        let Step::Sealing(ending) = &self.step else {
            return;
        };
        let outcome = match (ending.clone(), result) {
            (Ending::Cancelled, Ok(data)) => Outcome::CancelledResumable(data),
            // Cancelled it is all the same.
            (Ending::Cancelled, Err(_)) => Outcome::Cancelled,
            (Ending::Failed(failure), result) => {
                Outcome::Failed(failure.with_resume_data(result.ok()))
            }
        };
        self.close(outcome);
    }
}
