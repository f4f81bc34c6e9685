//! Making a task of resume data: its ticket is claimed in the same transaction, so that it is used
//! once.

use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::id::SessionId;
use longhaul_engine::resume_data::ResumeData;
use redb::ReadableTable;

use super::registering::Registration;
use super::{Batch, Step};
use crate::change::{Effect, Refusal};
use crate::error::Trouble;
use crate::records::{StateV1, TargetV1, TaskV1, ticket_key};
use crate::resume::{ResumeToken, TicketClaim};
use crate::tables::{TARGETS, decode_row};

impl Batch<'_> {
    /// Makes a task that goes on from `progress`, which it got with a ticket.
    pub(super) fn resume(&mut self, request: &Registration<'_>, progress: &TaskCheckpoint) -> Step {
        self.check_session(request.session)?;
        let is_used = match &request.ticket {
            Some(ticket) => self.holder(&ticket_key(ticket.id))?.is_some(),
            None => false,
        };
        if is_used {
            return Err(Refusal::TicketUsed.into());
        }
        let asked = TaskV1::from(request.spec);
        if let Some(claim) = asked.claim() {
            self.check_claim(&claim)?;
        }
        let mut progress = progress.clone();
        // It may have been announced under another name.
        progress.ask_again();
        self.create_with_progress(&asked, request, progress)
    }

    /// Makes a task that begins with what another one had.
    pub(super) fn create_with_progress(
        &mut self,
        asked: &TaskV1,
        request: &Registration<'_>,
        progress: TaskCheckpoint,
    ) -> Step {
        let effect = self.create(asked, request)?;
        if let Effect::Registered(task) = &effect {
            self.put_checkpoint(request.session, *task, &progress.for_successor())?;
        }
        Ok(effect)
    }

    /// What a failed task has left beside its progress.
    pub(super) fn ticket_left(&self, failed: &StateV1) -> Result<TicketLeft, Trouble> {
        let data = failed
            .resume_data()
            .and_then(|bytes| ResumeData::from_bytes(bytes.to_vec()).ok());
        let Some(token) = data.and_then(|data| ResumeToken::decode(&data).ok()) else {
            return Ok(TicketLeft::None);
        };
        Ok(match self.holder(&ticket_key(token.ticket))? {
            Some(_) => TicketLeft::Used,
            None => TicketLeft::Unused(token.claim()),
        })
    }

    /// Removes the row of this claim if it is still of this task.
    pub(super) fn drop_claim(
        &mut self,
        claim: &[u8],
        session: &SessionId,
        task: u64,
    ) -> Result<(), Trouble> {
        let holder = match self.tables.targets.get(claim)? {
            Some(row) => {
                let shown = || format!("of {session}/{task}");
                Some(decode_row::<TargetV1>(row.value(), TARGETS, shown)?)
            }
            None => None,
        };
        if holder.is_some_and(|it| it.session == session.as_str() && it.task == task) {
            self.tables.targets.remove(claim)?;
        }
        Ok(())
    }
}

/// What a failed task has left beside its progress.
pub(super) enum TicketLeft {
    /// No resume data.
    None,
    /// Resume data that nobody has used.
    Unused(TicketClaim),
    /// Resume data that a task was made of: the bytes are that task's.
    Used,
}
