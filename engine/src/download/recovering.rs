//! What an earlier transfer left: looked at, believed as far as it may be, gone on with.

use crate::checkpoint::{Checkpoint, Stage};
use crate::download::{Download, Leave, Step};
use crate::recovery::{self, Found};
use crate::resume;
use crate::span::Spans;
use crate::task::Desired;

impl Download {
    pub(super) fn remember(&mut self, checkpoint: &Checkpoint) {
        self.file_name.clone_from(&checkpoint.file_name);
        self.attempts_failed = checkpoint.attempts_failed;
        self.restarts = checkpoint.restarts;
        self.answers.clone_from(&checkpoint.answers);
        self.counts = checkpoint.counts;
        self.leftover.clone_from(&checkpoint.part);
        self.has_claims = !checkpoint.spans.is_empty();
    }

    pub(super) fn recovered(&mut self, found: &Found) {
        let Step::Recovering(checkpoint) = &self.step else {
            return;
        };
        let checkpoint = (**checkpoint).clone();
        if let (Stage::Finishing(target), Found::Published(token)) = (&checkpoint.stage, found) {
            return self.found_published(&checkpoint, target.clone(), *token);
        }
        if self.desired == Desired::Cancelled {
            return self.leave(Leave::Cancel);
        }
        let survivors = recovery::survivors(&checkpoint, found);
        if self.desired == Desired::CancelledResumable {
            let is_of_use = |spans| self.is_worth_handing_over(&checkpoint, &spans);
            // The record stands as it is: nothing was added to it.
            return match survivors.is_some_and(is_of_use) {
                true => self.seal_cancelled(),
                false => self.leave(Leave::Cancel),
            };
        }
        if let Some(spans) = survivors.filter(|spans| self.may_use(&checkpoint, spans)) {
            self.hold(&checkpoint, found, spans);
        }
        // What is complete is verified again, because the owner may expect other digests by now.
        // What may not be used is replaced when the first byte of a fresh answer comes.
        self.fetch();
    }

    fn may_use(&self, checkpoint: &Checkpoint, spans: &Spans) -> bool {
        if checkpoint.status.is_some_and(resume::is_error) {
            // An error is an answer of its time: its body may be finished, but not gone on with.
            return self.spec.accept_error_status
                && matches!(checkpoint.stage, Stage::Finishing(_))
                && spans.is_complete();
        }
        spans.is_complete() || self.can_continue(&checkpoint.validator, checkpoint.total)
    }

    /// Whether resume data is made of what was found: of the body of an error it never is.
    fn is_worth_handing_over(&self, checkpoint: &Checkpoint, spans: &Spans) -> bool {
        !checkpoint.status.is_some_and(resume::is_error)
            && spans.written_bytes() > 0
            && self.may_use(checkpoint, spans)
    }

    fn hold(&mut self, checkpoint: &Checkpoint, found: &Found, spans: Spans) {
        self.total = checkpoint.total;
        self.validator = checkpoint.validator.clone();
        self.status = checkpoint.status;
        self.offered_digests.clone_from(&checkpoint.offered_digests);
        self.length_unverified = checkpoint.length_unverified;
        self.part = self.leftover.take();
        if let (Some(part), Found::Part(found)) = (&mut self.part, found) {
            part.token = found.token;
        }
        self.spans = spans;
        self.cadence.start(self.now, self.marks());
    }
}
