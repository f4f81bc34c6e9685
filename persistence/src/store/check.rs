//! Reading everything once, to know that all of it can be read.

use longhaul_engine::id::TaskId;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Store, TaskTables, session_id};
use crate::codec::Record;
use crate::error::{StoreError, Trouble};
use crate::open;
use crate::records::{CounterV1, FactV1, LaunchV1, SessionV1, TargetV1};
use crate::tables::{Bytes, EVENTS, LAUNCHES, META, SESSIONS, TARGETS, decode_row};

impl Store {
    /// Reads every record; a second is enough for some 100,000 tasks.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first record that is damaged, and those of all reading.
    pub fn check(&self) -> Result<(), StoreError> {
        let read = || self.read_all().map_err(|trouble| trouble.at(&self.path));
        open::guarded(&self.path, read)
    }

    fn read_all(&self) -> Result<(), Trouble> {
        let transaction = self.database().begin_read()?;
        read_named::<CounterV1>(&transaction, META)?;
        read_named::<SessionV1>(&transaction, SESSIONS)?;
        read_named::<TargetV1>(&transaction, TARGETS)?;
        read_named::<LaunchV1>(&transaction, LAUNCHES)?;
        for row in transaction.open_table(EVENTS)?.iter()? {
            let (key, row) = row?;
            let (session, number) = key.value();
            let shown = || format!("{}/{number}", session.escape_ascii());
            decode_row::<FactV1>(row.value(), EVENTS, shown)?;
        }
        let tables = TaskTables::open(&transaction)?;
        for row in tables.states.iter()? {
            let (key, _) = row?;
            let (session, number) = key.value();
            tables.task(&session_id(session)?, TaskId::new(number))?;
        }
        Ok(())
    }
}

/// Reads a table whose keys are names. The keys are not shown: a claim may hold a signed URL.
fn read_named<T: Record>(
    transaction: &ReadTransaction,
    table: TableDefinition<'static, Bytes, Bytes>,
) -> Result<(), Trouble> {
    for (place, row) in transaction.open_table(table)?.iter()?.enumerate() {
        let (_, row) = row?;
        decode_row::<T>(row.value(), table, || format!("number {place}"))?;
    }
    Ok(())
}
