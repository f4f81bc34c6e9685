//! What the store knows of tickets: which task was made of one, and where it lay.

use std::path::PathBuf;

use longhaul_engine::id::{SessionId, TaskId};
use redb::ReadableDatabase;

use super::Store;
use crate::error::{StoreError, Trouble};
use crate::records::{StateV1, TargetV1, ticket_key};
use crate::resume::TicketId;
use crate::tables::{STATES, TARGETS, bad_row, decode_row, numbered};

impl Store {
    /// The task that was made of a ticket, while the store knows it.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn ticket_holder(
        &self,
        ticket: TicketId,
    ) -> Result<Option<(SessionId, TaskId)>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let targets = self.database().begin_read()?.open_table(TARGETS)?;
            let Some(row) = targets.get(ticket_key(ticket).as_slice())? else {
                return Ok(None);
            };
            let shown = || format!("ticket {ticket:?}");
            let holder: TargetV1 = decode_row(row.value(), TARGETS, shown)?;
            let session = SessionId::new(holder.session)
                .map_err(|error| bad_row(TARGETS, shown(), error.to_string()))?;
            Ok(Some((session, TaskId::new(holder.task))))
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// Where the ticket lay that a task was made of: of no more use since, and to be removed.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn spent_ticket(
        &self,
        session: &SessionId,
        task: TaskId,
    ) -> Result<Option<PathBuf>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let states = self.database().begin_read()?.open_table(STATES)?;
            let state: Option<StateV1> = numbered(&states, STATES, session, task.get())?;
            Ok(state.and_then(|state| state.ticket).map(|it| it.path()))
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }
}
