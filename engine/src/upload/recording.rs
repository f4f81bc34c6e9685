//! What is on record, and when: ahead of a request whose answer may be lost, the instant the server
//! names a place, and now and then what it acknowledges.
//!
//! One record is under way at a time. What must be there before a request goes out is awaited; what
//! only spares work after a crash is written beside the stream.

use crate::failure::Failure;
use crate::limits::{ACKNOWLEDGED_RECORD_BYTES, ACKNOWLEDGED_RECORD_INTERVAL};
use crate::safe_url::HttpUrl;
use crate::upload::operation::{Act, Operation};
use crate::upload::{
    Action, Leave, Protocol, Remote, Step, Unheard, Upload, UploadCheckpoint, UploadStage,
};
use crate::{checkpoint::Retry, download::Exit};

impl Upload {
    /// What is known now, in a task that goes on.
    pub(super) fn checkpoint(&self, unheard: Unheard) -> UploadCheckpoint {
        UploadCheckpoint {
            stage: UploadStage::Transferring,
            source: self.source,
            attempts_failed: self.attempts_failed,
            retry: None,
            answers: self.answers.clone(),
            counts: self.counts,
            remote: self.remote.clone(),
            unheard,
            restarts: self.restarts,
        }
    }

    /// What is known when it leaves.
    pub(super) fn last_checkpoint(&self, leave: &Leave) -> UploadCheckpoint {
        let (stage, retry): (_, Option<Retry>) = match leave {
            Leave::Suspend | Leave::CancelResumable | Leave::FailResumable(_) => {
                (UploadStage::Transferring, None)
            }
            Leave::Retry(retry) => (UploadStage::Transferring, Some(retry.clone())),
            Leave::Authorization(asked) => {
                (UploadStage::AwaitingAuthorization(asked.clone()), None)
            }
        };
        UploadCheckpoint {
            stage,
            retry,
            ..self.checkpoint(self.unheard)
        }
    }

    pub(super) fn record(&mut self, checkpoint: UploadCheckpoint) {
        self.recorded_at = self.now;
        self.in_flight = Some(Box::new(checkpoint.clone()));
        self.act(Action::Record(Box::new(checkpoint)));
    }

    /// Whether the store knows what a crash from now on must not make us forget: which file it is,
    /// where the server has it, and what may happen there unheard.
    pub(super) fn is_on_record(&self, unheard: Unheard) -> bool {
        fn place(remote: Option<&Remote>) -> Option<(Protocol, &HttpUrl)> {
            remote.map(|remote| (remote.protocol, &remote.url))
        }
        self.on_record.as_ref().is_some_and(|known| {
            known.source == self.source
                && known.unheard == unheard
                && place(known.remote.as_ref()) == place(self.remote.as_ref())
        })
    }

    /// What is unheard while the request that is about to go out is.
    pub(super) fn unheard_ahead(&self) -> Unheard {
        match self.leaves_unheard() {
            Unheard::Nothing => self.unheard,
            leaves @ (Unheard::Creation | Unheard::Completion) => leaves,
        }
    }

    /// What the request of this moment leaves unheard when its answer is lost.
    pub(super) fn leaves_unheard(&self) -> Unheard {
        match self.operation {
            Operation::Whole { .. } | Operation::SeeOther if self.remote.is_some() => {
                Unheard::Completion
            }
            Operation::Whole { .. } | Operation::SeeOther if !self.is_repeatable() => {
                Unheard::Creation
            }
            // An empty file is whole with the place that is made for it.
            Operation::Place(_, Act::Create(length))
                if length == self.length() && !self.is_repeatable() =>
            {
                Unheard::Creation
            }
            Operation::Place(_, Act::Append(piece)) if piece.is_last => Unheard::Completion,
            Operation::Whole { .. }
            | Operation::SeeOther
            | Operation::Discover
            | Operation::Place(_, Act::Create(_) | Act::Offset | Act::Append(_) | Act::Terminate) => {
                Unheard::Nothing
            }
        }
    }

    pub(super) fn recorded(&mut self, result: Result<(), Failure>) {
        let Some(checkpoint) = self.in_flight.take() else {
            return;
        };
        if result.is_err() {
            return self.not_recorded();
        }
        self.on_record = Some(*checkpoint);
        match self.step.clone() {
            Step::Announcing => self.prepare(),
            Step::Recording(leave) => self.go_off(&leave),
            Step::Asking(request) if self.is_held => self.let_flow(request),
            Step::Inspecting
            | Step::Digesting
            | Step::Asking(_)
            | Step::Receiving
            | Step::Confirming
            | Step::Pausing(_)
            | Step::Sealing(_)
            | Step::Closing
            | Step::Gone => {}
        }
    }

    /// The store does not take what must be there. An end that is certain does not need it.
    fn not_recorded(&mut self) {
        match self.step {
            Step::Inspecting
            | Step::Announcing
            | Step::Digesting
            | Step::Asking(_)
            | Step::Recording(_)
                if self.termination.is_none() =>
            {
                self.stop();
                self.exit(Exit::Fenced);
            }
            Step::Inspecting
            | Step::Announcing
            | Step::Digesting
            | Step::Asking(_)
            | Step::Recording(_)
            | Step::Receiving
            | Step::Confirming
            | Step::Pausing(_)
            | Step::Sealing(_)
            | Step::Closing
            | Step::Gone => {}
        }
    }

    /// Records what the server has acknowledged, beside the stream, when that is due.
    pub(super) fn record_acknowledged(&mut self) {
        let is_flowing = matches!(self.step, Step::Asking(_)) && self.termination.is_none();
        let recorded = self.on_record.as_ref().and_then(|it| it.remote.as_ref());
        let Some(recorded) = recorded.filter(|_| is_flowing && self.in_flight.is_none()) else {
            return;
        };
        let new = self.acknowledged().saturating_sub(recorded.acknowledged);
        let is_due = new >= ACKNOWLEDGED_RECORD_BYTES
            || self.now.since(self.recorded_at) >= ACKNOWLEDGED_RECORD_INTERVAL;
        if new > 0 && is_due {
            let checkpoint = self.checkpoint(self.unheard_ahead());
            self.record(checkpoint);
        }
    }
}
