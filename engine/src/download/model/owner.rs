//! The owner of the task: what is answered when the server wants other credentials.

use super::world::{Store, World};
use crate::authorization_challenge::{Answered, Disposition, Renewal};
use crate::checkpoint::{Checkpoint, Stage, TaskCheckpoint};
use crate::http::authorization::Credentials;
use crate::lifecycle::Event;
use crate::task::{Desired, Spec};

impl World {
    /// The task waits for its owner, who may answer in any way, or only want it to go on.
    pub(super) fn answer_challenge(&mut self) {
        self.server.password_ok |= self.is_honest || self.dice.percent(40);
        let renewal = Renewal::default().with_credentials(Credentials::login("user", "pass"));
        let signed = renewal
            .clone()
            .with_url("https://origin.example/f?signed=anew");
        let disposition = match self.dice.below(20) {
            _ if self.is_honest => Disposition::UseCredential(renewal),
            0 => return self.want(Desired::Cancelled),
            1 => Disposition::PerformDefaultHandling,
            2 => Disposition::RejectProtectionSpace,
            3..7 => return self.want(Desired::Running),
            7..10 => Disposition::UseCredential(signed.expect("a URL")),
            _ => Disposition::UseCredential(renewal),
        };
        self.was_refused |= matches!(
            disposition,
            Disposition::PerformDefaultHandling | Disposition::RejectProtectionSpace
        );
        self.note(|| format!("the owner answers {disposition:?}"));
        let mut spec = Spec::Download(self.spec.clone());
        let checkpoint = self.store.checkpoint.take().expect("it was recorded");
        let held: u64 = checkpoint.spans.iter().map(|s| s.written - s.start).sum();
        let mut known = TaskCheckpoint::Download(checkpoint);
        let answered = disposition.apply(&mut spec, &mut known);
        assert_eq!(answered, Answered::GoesOn, "it waits for an answer");
        self.store.checkpoint = known.into_download();
        let Spec::Download(spec) = spec else {
            panic!("it was a download")
        };
        self.spec = spec;
        self.summary.answered += 1;
        self.summary.answered_half_way += u64::from(held > 0);
        self.event(Event::Want(Desired::Running));
    }

    /// A challenge is told when its record is committed: never twice.
    pub(super) fn check_challenge(&self, recorded: &Checkpoint) {
        let waits = |known: &Checkpoint| matches!(known.stage, Stage::AwaitingAuthorization(_));
        let was_told = self.store.checkpoint.as_ref().is_some_and(waits);
        assert!(
            !(was_told && waits(recorded)),
            "a challenge is told twice: {recorded:?}"
        );
    }
}

impl Store {
    /// The owner wants the task to go on without an answer: it asks again.
    pub(super) fn ask_again(&mut self) {
        if let Some(checkpoint) = &mut self.checkpoint
            && matches!(checkpoint.stage, Stage::AwaitingAuthorization(_))
        {
            checkpoint.stage = Stage::Transferring;
        }
    }
}
