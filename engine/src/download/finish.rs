//! From the last byte to the terminal fact: verify, sync, announce, rename, close.

use std::path::PathBuf;

use crate::checkpoint::{Checkpoint, Part, Retry, Stage, ValidityToken};
use crate::download::{Action, Download, Exit, Leave, Step, VerifyOrder};
use crate::failure::{Failure, FailureKind};
use crate::resume;
use crate::retry;
use crate::session::Durability;
use crate::task::{Collision, Desired, Destination, Outcome};

/// The name of a file whose server and URL suggest none.
const FALLBACK_NAME: &str = "download";

impl Download {
    /// Every byte is in the part file.
    pub(super) fn finish(&mut self) {
        self.drop_connections();
        self.act(Action::ReleasePlace);
        let length = self.total.unwrap_or_default();
        if let Some(failure) = self.length_mismatch(length) {
            return self.leave(Leave::FailAndDiscard(failure));
        }
        let digests: Vec<_> = self
            .spec
            .digests
            .iter()
            .chain(&self.offered_digests)
            .cloned()
            .collect();
        self.step = Step::Verifying;
        if digests.is_empty() {
            self.verified(Ok(()));
        } else {
            self.act(Action::Verify(VerifyOrder {
                length,
                digests,
                published: None,
            }));
        }
    }

    fn length_mismatch(&self, length: u64) -> Option<Failure> {
        let expected = self.spec.length.filter(|expected| *expected != length)?;
        Some(Failure::new(
            FailureKind::Integrity,
            format!("the file has {length} bytes, not the expected {expected}"),
        ))
    }

    pub(super) fn verified(&mut self, result: Result<(), Failure>) {
        if let Step::Checking(published) = &self.step {
            let published = published.clone();
            return self.checked(published, result);
        }
        if self.step != Step::Verifying {
            return;
        }
        match result {
            Ok(()) if self.must_sync() => {
                self.step = Step::Syncing;
                if !self.cadence.is_syncing() {
                    self.start_sync();
                }
            }
            Ok(()) => self.choose_name(),
            Err(failure) if failure.kind() == FailureKind::Integrity => {
                self.leave(Leave::FailAndDiscard(failure));
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn must_sync(&self) -> bool {
        self.rules.durability == Durability::Power
            && self.spans.synced_bytes() < self.spans.written_bytes()
    }

    pub(super) fn synced(&mut self, result: Result<(), Failure>) {
        self.sync_ended(result.is_ok());
        match (&self.step, result) {
            // A sync that was under way may not have covered the last bytes.
            (Step::Syncing, Ok(())) if self.must_sync() => self.start_sync(),
            (Step::Syncing, Ok(())) => self.choose_name(),
            (Step::Syncing | Step::Fetching, Err(failure)) => self.fail(failure),
            (_, _) => {}
        }
    }

    fn choose_name(&mut self) {
        let target = self.target();
        if self.spec.collision == Collision::Rename {
            self.step = Step::Naming;
            self.act(Action::Name(target));
        } else {
            self.announce(target);
        }
    }

    pub(super) fn named(&mut self, result: Result<PathBuf, Failure>) {
        if self.step != Step::Naming {
            return;
        }
        match result {
            Ok(target) => self.announce(target),
            Err(failure) => self.fail(failure),
        }
    }

    fn announce(&mut self, target: PathBuf) {
        self.step = Step::Announcing(target.clone());
        // One record at a time: the announcement follows the one that is under way.
        if !self.cadence.is_recording() {
            let stage = Stage::Finishing(target);
            let checkpoint = Checkpoint {
                stage,
                ..self.progress_checkpoint()
            };
            self.record(checkpoint);
        }
    }

    pub(super) fn recorded(&mut self, result: Result<(), Failure>) {
        if self.record_ended(result.is_ok()) {
            return match (self.step.clone(), result) {
                (Step::Announcing(target), _) => self.announce(target),
                (Step::Stopping(_), _) => self.stopped_if_quiet(),
                (Step::Fetching, Ok(())) if self.pending.is_some() => self.try_pending(),
                (Step::Fetching, Err(_)) if self.pending.is_some() => {
                    self.drop_connections();
                    self.fence();
                }
                (_, _) => {}
            };
        }
        match (self.step.clone(), result) {
            (Step::Announcing(target), Ok(())) => self.publish(target),
            (Step::Recording(leave), Ok(())) => self.left(*leave),
            (Step::Announcing(_) | Step::Recording(_), Err(_)) => self.fence(),
            (_, _) => {}
        }
    }

    fn fence(&mut self) {
        self.step = Step::Gone;
        self.act(Action::Exit(Exit::Fenced));
    }

    pub(super) fn publish(&mut self, target: PathBuf) {
        self.step = Step::Publishing(target.clone());
        self.act(Action::Publish {
            target,
            length: self.total.unwrap_or_default(),
            collision: self.spec.collision,
        });
    }

    pub(super) fn published(&mut self, result: Result<(), Failure>) {
        let Step::Publishing(target) = &self.step else {
            return;
        };
        let target = target.clone();
        match (result, self.spec.collision) {
            (Ok(()), _) => {
                let outcome = self.finished(target);
                self.close(outcome);
            }
            (Err(failure), Collision::Rename) if failure.kind() == FailureKind::TargetExists => {
                self.choose_name();
            }
            (Err(failure), Collision::Skip) if failure.kind() == FailureKind::TargetExists => {
                self.discard(Outcome::Skipped(target));
            }
            (Err(failure), _) => self.fail(failure),
        }
    }

    /// A transfer ended between the rename and the terminal fact. The owner may expect something else
    /// of the file by now than when it got its name.
    pub(super) fn found_published(
        &mut self,
        checkpoint: &Checkpoint,
        target: PathBuf,
        token: ValidityToken,
    ) {
        let Some(part) = self.leftover.take() else {
            // Nothing can be found of a file that no record names.
            return self.fetch();
        };
        let published = Part {
            path: target,
            ..part
        };
        let is_same_life = published.token == token;
        let is_synced = checkpoint
            .spans
            .iter()
            .all(|span| span.end == Some(span.synced));
        let is_wanted =
            self.spec.accept_error_status || !checkpoint.status.is_some_and(resume::is_error);
        if !is_wanted || !(is_same_life || is_synced) {
            // The power went before the data was synced, so that its bytes can not be believed, or it
            // is the body of an error. Nobody was told of this file: it is removed before a transfer
            // from zero looks at the target.
            self.step = Step::Clearing;
            return self.act(Action::Discard(published));
        }
        self.total = checkpoint.total;
        self.status = checkpoint.status;
        self.length_unverified = checkpoint.length_unverified;
        self.act(Action::ReleasePlace);
        self.step = Step::Checking(published.clone());
        let length = self.total.unwrap_or_default();
        let digests = self.spec.digests.clone();
        match self.length_mismatch(length) {
            Some(failure) => self.verified(Err(failure)),
            None if digests.is_empty() => self.verified(Ok(())),
            None => self.act(Action::Verify(VerifyOrder {
                length,
                digests,
                published: Some(published),
            })),
        }
    }

    /// The file that has its name already is, or is not, what its owner expects.
    fn checked(&mut self, published: Part, result: Result<(), Failure>) {
        match result {
            Ok(()) => {
                let outcome = self.finished(published.path);
                self.close(outcome);
            }
            Err(failure) if failure.kind() == FailureKind::Integrity => {
                self.step = Step::Discarding(Outcome::Failed(failure));
                self.act(Action::Discard(published));
            }
            Err(failure) => self.close(Outcome::Failed(failure)),
        }
    }

    pub(super) fn target_taken(&mut self, path: PathBuf) {
        if matches!(self.step, Step::Stopping(_)) {
            // It ends the stream that found it, and that stream was the only one.
            self.drop_connections();
            return self.stopped_if_quiet();
        }
        if self.step != Step::Fetching {
            return;
        }
        self.drop_connections();
        if self.spec.collision == Collision::Skip {
            self.act(Action::ReleasePlace);
            return self.discard(Outcome::Skipped(path));
        }
        self.fail(Failure::new(
            FailureKind::TargetExists,
            format!(
                "{} exists; remove it, or choose to overwrite, rename or skip",
                path.display()
            ),
        ));
    }

    pub(super) fn file_failed(&mut self, failure: Failure) {
        match &self.step {
            Step::Fetching => {
                self.drop_connections();
                self.fail(failure);
            }
            Step::Stopping(_) => {
                // Nothing that is still to come can be written.
                self.drop_connections();
                self.stopped_if_quiet();
            }
            Step::Recovering(checkpoint) => {
                let checkpoint = (**checkpoint).clone();
                match self.desired {
                    Desired::Cancelled => self.leave(Leave::Cancel),
                    Desired::CancelledResumable => self.seal_unseen(&checkpoint),
                    Desired::Running | Desired::Suspended => {
                        self.not_recovered(checkpoint, failure);
                    }
                }
            }
            Step::Recording(_)
            | Step::Verifying
            | Step::Syncing
            | Step::Naming
            | Step::Announcing(_)
            | Step::Publishing(_)
            | Step::Checking(_)
            | Step::Discarding(_)
            | Step::Sealing(_)
            | Step::Clearing
            | Step::Closing
            | Step::Gone => {}
        }
    }

    /// The part file could not be looked at. What is on record stays; a later try may find it.
    fn not_recovered(&mut self, checkpoint: Checkpoint, failure: Failure) {
        self.attempts_failed = self.attempts_failed.saturating_add(1);
        if !retry::is_allowed(&self.rules, self.attempts_failed) {
            return self.fail_unseen(&checkpoint, failure);
        }
        let delay = retry::delay(&self.rules, self.attempts_failed, None, &mut self.jitter);
        let at = self.now.after(delay);
        let attempts_failed = self.attempts_failed;
        let retry = Some(Retry {
            at,
            delay,
            cause: failure.clone(),
        });
        let checkpoint = Checkpoint {
            attempts_failed,
            retry,
            ..checkpoint
        };
        self.step = Step::Recording(Box::new(Leave::Retry(at, failure)));
        self.record(checkpoint);
    }

    /// The final path as far as it is known.
    pub(super) fn target(&self) -> PathBuf {
        match &self.spec.destination {
            Destination::File(path) => path.clone(),
            Destination::Directory(directory) => {
                directory.join(self.file_name.as_deref().unwrap_or(FALLBACK_NAME))
            }
        }
    }
}
