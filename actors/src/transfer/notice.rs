//! What a person hears of a task's end.

use longhaul_engine::task::Outcome;

use super::TransferActor;
use crate::desktop::Notice;
use crate::notifier::PostNotice;

impl TransferActor {
    /// Tells a person that the task has ended, if its owner wishes it.
    pub(super) fn tell_person(&self, outcome: &Outcome) {
        let Some(wanted) = self.notice.as_deref() else {
            return;
        };
        let notice = Notice::of(&wanted.0, outcome, &wanted.1);
        if let (Some(notice), Some(notifier)) = (notice, self.parts.session.notifier.current()) {
            notifier.do_send(PostNotice(notice));
        }
    }
}
