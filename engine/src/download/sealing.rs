//! Ends that leave the bytes to the owner: resume data is made of the last record.

use crate::checkpoint::Checkpoint;
use crate::download::{Action, Download, Leave, Step};
use crate::failure::Failure;
use crate::http::validator::Validator;
use crate::resume;
use crate::resume_data::{Ending, ResumeData};
use crate::task::Outcome;

impl Download {
    /// Whether a later attempt may go on with bytes of this representation.
    pub(super) fn can_continue(&self, validator: &Validator, total: Option<u64>) -> bool {
        validator.if_range().is_some() || (self.spec.allow_unvalidated_resume && total.is_some())
    }

    /// Whether what is held is worth resume data: there are bytes, and either none is missing or the
    /// server named what lets them be continued (`cancel(byProducingResumeData:)`: the response had
    /// an `ETag` or a `Last-Modified`). The body of an error is an answer of its time and never is.
    pub(super) fn is_resumable(&self) -> bool {
        self.is_worth_sealing(&self.progress_checkpoint())
    }

    /// What is held is on record; the owner that cancelled gets it.
    pub(super) fn seal_cancelled(&mut self) {
        self.seal(Ending::Cancelled);
    }

    /// The part file could not be looked at, and the owner wants it as resume data: whether its bytes
    /// are there is found out by whoever uses that.
    pub(super) fn seal_unseen(&mut self, checkpoint: &Checkpoint) {
        match self.is_worth_sealing(checkpoint) {
            true => self.seal(Ending::Cancelled),
            false => self.leave(Leave::Cancel),
        }
    }

    /// It failed for good with bytes that may serve another attempt; they are on record.
    pub(super) fn fail_with_bytes(&mut self, failure: Failure) {
        match self.rules.resume_data_on_failure && self.is_resumable() {
            true => self.seal(Ending::Failed(failure)),
            false => self.close(Outcome::Failed(failure)),
        }
    }

    /// It failed because the part file could not be looked at; the record of it stands.
    pub(super) fn fail_unseen(&mut self, checkpoint: &Checkpoint, failure: Failure) {
        match self.rules.resume_data_on_failure && self.is_worth_sealing(checkpoint) {
            true => self.seal(Ending::Failed(failure)),
            false => self.close(Outcome::Failed(failure)),
        }
    }

    fn is_worth_sealing(&self, checkpoint: &Checkpoint) -> bool {
        let is_missing = |end: Option<u64>, written| end != Some(written);
        let mut spans = checkpoint.spans.iter();
        let is_complete = !spans.any(|span| is_missing(span.end, span.written));
        let has_bytes = checkpoint
            .spans
            .iter()
            .any(|span| span.written > span.start);
        let can_continue = self.can_continue(&checkpoint.validator, checkpoint.total);
        let is_error = checkpoint.status.is_some_and(resume::is_error);
        checkpoint.part.is_some() && has_bytes && !is_error && (can_continue || is_complete)
    }

    fn seal(&mut self, ending: Ending) {
        self.step = Step::Sealing(ending);
        self.act(Action::Seal);
    }

    pub(super) fn sealed(&mut self, result: Result<ResumeData, Failure>) {
        let Step::Sealing(ending) = &self.step else {
            return;
        };
        match (ending.clone(), result) {
            (Ending::Cancelled, Ok(data)) => self.close(Outcome::CancelledResumable(data)),
            // Cancelled it is all the same: what nobody can use goes.
            (Ending::Cancelled, Err(_)) => self.discard(Outcome::Cancelled),
            (Ending::Failed(failure), result) => {
                let failure = failure.with_resume_data(result.ok());
                self.close(Outcome::Failed(failure));
            }
        }
    }
}
