//! The owner of a task: what it wants, and what it answers when it is asked.

use super::world::World;
use crate::authorization_challenge::{Answered, Disposition, Renewal};
use crate::checkpoint::TaskCheckpoint;
use crate::http::authorization::Credentials;
use crate::task::{Desired, Spec};

impl World {
    /// What the owner wants now, if it is something else.
    pub(super) fn wish(&mut self) -> Option<Desired> {
        let may_want = self.is_troubled() && self.desired == Desired::Running;
        if !may_want || !self.dice.percent(2) {
            return None;
        }
        self.desired = self.dice.pick(&[
            Desired::Suspended,
            Desired::Suspended,
            Desired::Cancelled,
            Desired::CancelledResumable,
        ]);
        Some(self.desired)
    }

    /// The task waits for its owner, who may answer in any way, or only want it to go on.
    pub(super) fn answer_challenge(&mut self) {
        self.summary.note("authorization");
        if self.desired == Desired::Suspended {
            self.desired = Desired::Running;
        }
        let stored = self.stored.take().expect("it was recorded");
        let mut known = TaskCheckpoint::Upload(stored);
        assert!(known.challenge().is_some(), "nobody was asked");
        let login = Renewal::default().with_credentials(Credentials::login("me", "hush"));
        let disposition = match self.dice.below(10) {
            0 => Disposition::PerformDefaultHandling,
            1 => Disposition::RejectProtectionSpace,
            _ => Disposition::UseCredential(login),
        };
        if self.dice.percent(20) {
            known.ask_again();
        } else {
            let mut spec = Spec::Upload(self.spec.clone());
            let answered = disposition.apply(&mut spec, &mut known);
            assert_eq!(answered, Answered::GoesOn);
            let Spec::Upload(spec) = spec else {
                panic!("it was an upload")
            };
            self.spec = spec;
        }
        self.stored = known.into_upload();
    }
}
