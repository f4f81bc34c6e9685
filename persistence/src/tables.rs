//! Every table of the store, in one place. A new layout of a table is a new name.

use longhaul_engine::id::SessionId;
use redb::{
    ReadTransaction, ReadableTable, Table, TableDefinition, TableError, TableHandle,
    WriteTransaction,
};

use crate::codec::{self, Record};
use crate::error::Trouble;
use crate::records::CounterV1;

/// Bytes as keys too: the decoder of text keys panics on damage.
pub(crate) type Bytes = &'static [u8];
/// A session identifier and a number in it, of a task or of a fact.
pub(crate) type NumberKey = (Bytes, u64);

/// Counters by name. The one table whose name never changes: it holds the schema's number.
pub(crate) const META: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("meta-1");
/// Session identifier: its configuration.
pub(crate) const SESSIONS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("sessions-1");
/// What was asked of a task: large, and written once.
pub(crate) const TASKS: TableDefinition<'_, NumberKey, Bytes> = TableDefinition::new("tasks-1");
/// What is wanted of a task and how it ended: small, and what lists and closes touch.
pub(crate) const STATES: TableDefinition<'_, NumberKey, Bytes> = TableDefinition::new("states-1");
/// How far a task is: small, and written all the time.
pub(crate) const CHECKPOINTS: TableDefinition<'_, NumberKey, Bytes> =
    TableDefinition::new("checkpoints-1");
/// Destination: the task that claimed it last. The claim holds while that task has not ended.
pub(crate) const TARGETS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("targets-1");
/// Facts that nobody has acknowledged.
pub(crate) const EVENTS: TableDefinition<'_, NumberKey, Bytes> = TableDefinition::new("events-1");

/// Session identifier: how often its app was called back.
pub(crate) const LAUNCHES: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("launches-1");

/// In [`META`]: the layout of all tables together.
pub(crate) const SCHEMA: &[u8] = b"schema";
/// In [`META`]: how often the store was opened.
pub(crate) const EPOCH: &[u8] = b"epoch";
/// In [`META`]: the number of the next task.
pub(crate) const NEXT_TASK: &[u8] = b"next-task";

/// In [`META`]: the store was made anew after an earlier one was damaged, so often.
pub(crate) const RECREATED: &[u8] = b"recreated";

/// In [`META`]: `session` is being invalidated; the value is how many of its tasks live. At 0 it is
/// invalid.
pub(crate) fn invalidated(session: &SessionId) -> Vec<u8> {
    [b"invalidated/", session.as_str().as_bytes()].concat()
}

/// In [`META`]: `session` was told that an earlier store is lost. It outlives the session, so that
/// the next one of this name does not hear it again.
pub(crate) fn loss_told(session: &SessionId) -> Vec<u8> {
    [b"loss-told/", session.as_str().as_bytes()].concat()
}

/// In [`META`]: the number of the next fact of `session`.
pub(crate) fn next_fact(session: &SessionId) -> Vec<u8> {
    [b"next-fact/", session.as_str().as_bytes()].concat()
}

/// The key of the task or fact `number` of `session`.
pub(crate) fn number_key(session: &SessionId, number: u64) -> (&[u8], u64) {
    (session.as_str().as_bytes(), number)
}

/// All tables, open in one write transaction.
pub(crate) struct WriteTables<'txn> {
    pub(crate) meta: Table<'txn, Bytes, Bytes>,
    pub(crate) sessions: Table<'txn, Bytes, Bytes>,
    pub(crate) tasks: Table<'txn, NumberKey, Bytes>,
    pub(crate) states: Table<'txn, NumberKey, Bytes>,
    pub(crate) checkpoints: Table<'txn, NumberKey, Bytes>,
    pub(crate) targets: Table<'txn, Bytes, Bytes>,
    pub(crate) events: Table<'txn, NumberKey, Bytes>,
    pub(crate) launches: Table<'txn, Bytes, Bytes>,
}

impl<'txn> WriteTables<'txn> {
    /// Opens them, and makes the ones that do not exist.
    pub(crate) fn open(transaction: &'txn WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            sessions: transaction.open_table(SESSIONS)?,
            tasks: transaction.open_table(TASKS)?,
            states: transaction.open_table(STATES)?,
            checkpoints: transaction.open_table(CHECKPOINTS)?,
            targets: transaction.open_table(TARGETS)?,
            events: transaction.open_table(EVENTS)?,
            launches: transaction.open_table(LAUNCHES)?,
        })
    }
}

/// The counter `name` of the table [`META`]; `None` when it was never written.
pub(crate) fn counter(
    meta: &impl ReadableTable<Bytes, Bytes>,
    name: &[u8],
) -> Result<Option<u64>, Trouble> {
    let Some(row) = meta.get(name)? else {
        return Ok(None);
    };
    let counter: CounterV1 = decode_row(row.value(), META, || {
        String::from_utf8_lossy(name).into_owned()
    })?;
    Ok(Some(counter.value))
}

/// The row `number` of `session` in the table that `definition` names.
pub(crate) fn numbered<T: Record>(
    table: &impl ReadableTable<NumberKey, Bytes>,
    definition: impl TableHandle,
    session: &SessionId,
    number: u64,
) -> Result<Option<T>, Trouble> {
    let Some(row) = table.get(number_key(session, number))? else {
        return Ok(None);
    };
    decode_row(row.value(), definition, || format!("{session}/{number}")).map(Some)
}

/// The record in a row. `key` names the row and shows no secret.
pub(crate) fn decode_row<T: Record>(
    bytes: &[u8],
    definition: impl TableHandle,
    key: impl FnOnce() -> String,
) -> Result<T, Trouble> {
    codec::decode(bytes).map_err(|error| bad_row(definition, key(), error.to_string()))
}

/// The trouble with a row that can not be used.
pub(crate) fn bad_row(definition: impl TableHandle, key: String, what: String) -> Trouble {
    Trouble::Row {
        table: definition.name().to_owned(),
        key,
        what,
    }
}

/// All rows of a session, in the order of their numbers, in a read transaction or a write one.
pub(crate) fn all_of(session: &SessionId) -> std::ops::RangeInclusive<(&[u8], u64)> {
    number_key(session, 0)..=number_key(session, u64::MAX)
}

/// Whether the file of this transaction has no table at all: it is new.
pub(crate) fn is_empty(transaction: &ReadTransaction) -> Result<bool, Trouble> {
    Ok(transaction.list_tables()?.next().is_none()
        && transaction.list_multimap_tables()?.next().is_none())
}
