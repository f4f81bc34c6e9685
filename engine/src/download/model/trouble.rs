//! Kills, power cuts, strangers, owners that change their mind, and the day that all this ends.

use std::path::Path;

use super::disk::{FOREIGN, Run};
use super::scene::{DIRECTORY, Troubles};
use super::server::{Lies, digest_of};
use super::world::{Store, World};
use crate::authorization_challenge::Answers;
use crate::checkpoint::{Checkpoint, Stage};
use crate::lifecycle::State;
use crate::task::{Desired, Outcome};

impl World {
    /// From now on the server keeps its promises and nobody kills or cuts.
    pub(super) fn become_honest(&mut self) {
        self.note(|| "everybody becomes honest".to_owned());
        self.is_honest = true;
        self.server.lies = Lies::default();
        self.server.password_ok = true;
        self.troubles = Troubles::default();
        self.kill();
        if let Some(checkpoint) = &mut self.store.checkpoint {
            // From now on the owner answers what it is asked.
            checkpoint.answers = Answers::default();
            self.restarts_before = checkpoint.restarts;
            let spans = &checkpoint.spans;
            let is_complete = spans.iter().all(|span| span.end == Some(span.written));
            self.was_complete_before = is_complete && !spans.is_empty();
        }
        if self.store.desired == Desired::Suspended {
            self.want(Desired::Running);
        }
    }

    pub(super) fn trouble(&mut self) {
        let troubles = self.troubles;
        if self.dice.permille(troubles.kill) {
            self.kill();
        }
        if self.dice.permille(troubles.power) {
            self.cut_power();
        }
        if self.dice.permille(troubles.suspend) {
            self.want(Desired::Suspended);
        }
        if self.dice.permille(troubles.cancel) {
            self.want(Desired::Cancelled);
        }
        if self.dice.permille(troubles.hand_over) {
            self.want(Desired::CancelledResumable);
        }
        if self.dice.permille(troubles.version)
            && self.server.current + 1 < self.server.lengths.len()
        {
            self.server.current += 1;
            let version = self.server.current;
            self.note(|| format!("the server has version {version} now"));
        }
        if self.dice.permille(troubles.expiry) {
            self.note(|| "the credentials have expired".to_owned());
            self.server.password_ok = false;
        }
        if self.dice.permille(troubles.stranger) {
            self.stranger();
        }
        if self.state == State::Suspended && self.dice.percent(20) {
            self.want(Desired::Running);
        }
    }

    /// A task that left resume data has mostly a successor, which begins from that alone.
    pub(super) fn go_on_with_resume_data(&mut self) -> bool {
        let Some(outcome) = &self.store.outcome else {
            return false;
        };
        let has_data = match outcome {
            Outcome::CancelledResumable(_) => true,
            Outcome::Failed(failure) => failure.resume_data().is_some(),
            Outcome::Finished(_)
            | Outcome::Uploaded(_)
            | Outcome::Skipped(_)
            | Outcome::Cancelled => false,
        };
        let is_cancelled = matches!(outcome, Outcome::CancelledResumable(_));
        if !has_data || self.dice.percent(20) || (self.is_honest && !is_cancelled) {
            return false;
        }
        self.note(|| "RESUME DATA IS USED".to_owned());
        self.summary.resumed += 1;
        let sealed = self.store.ticket.take().expect("resume data was sealed");
        let checkpoint = Checkpoint {
            stage: Stage::Transferring,
            ..sealed.for_successor()
        };
        self.store = Store {
            checkpoint: Some(checkpoint),
            ..Store::default()
        };
        self.life = None;
        self.created_at = self.now;
        self.state = State::Queued;
        true
    }

    /// Somebody else makes a file with the target's name, or removes it.
    pub(super) fn stranger(&mut self) {
        let path = Path::new(DIRECTORY).join("f");
        // A number that was ours would make it ours: nobody could tell.
        let ours = (0..100).collect();
        match self.disk.named(&path) {
            None => {
                self.note(|| "a stranger takes the name".to_owned());
                let inode = self.disk.create(&path, 3, &ours);
                self.disk.write(
                    inode,
                    Run {
                        start: 0,
                        end: 3,
                        version: FOREIGN,
                    },
                );
                self.disk.sync_whole(inode);
                self.disk.flush_names();
            }
            Some(inode) if self.disk.live(inode).version_at(0) == Some(FOREIGN) => {
                self.note(|| "the stranger removes the file".to_owned());
                self.disk.unlink(&path);
                self.disk.flush_names();
            }
            Some(_) => {}
        }
    }

    pub(super) fn kill(&mut self) {
        self.note(|| "KILL".to_owned());
        self.has_forgotten = true;
        self.summary.kills += 1;
        self.life = None;
        if self.store.outcome.is_none() && self.dice.permille(self.troubles.wishes) {
            self.wish_anew();
        }
        self.state = match (&self.store.outcome, self.store.desired) {
            (Some(_), _) => State::Ended,
            (None, Desired::Suspended) => State::Suspended,
            (None, Desired::Cancelled | Desired::CancelledResumable) => State::Cancelling,
            (None, Desired::Running) => match &self.store.checkpoint {
                Some(Checkpoint {
                    retry: Some(retry), ..
                }) => State::Waiting(retry.at),
                Some(Checkpoint {
                    stage: Stage::AwaitingAuthorization(_),
                    ..
                }) => State::AwaitingAuthorization,
                Some(_) | None => State::Queued,
            },
        };
        if self.state == State::Cancelling {
            self.launch(self.store.desired);
        }
    }

    /// The next process asks for the same download and expects something else of it.
    fn wish_anew(&mut self) {
        let version = self.server.version();
        self.spec.digests = self.dice.pick(&[Vec::new(), vec![digest_of(version)]]);
        self.spec.accept_error_status = self.dice.percent(50);
        self.has_other_wishes = true;
        self.note(|| "the owner has other wishes".to_owned());
    }

    pub(super) fn cut_power(&mut self) {
        self.note(|| "POWER CUT".to_owned());
        self.summary.power_cuts += 1;
        self.life = None;
        self.boot += 1;
        self.disk.cut_power(&mut self.dice);
        self.check_after_power_cut();
        self.kill();
    }
}
