//! The store: one file, one writer, durable commits, and reads of what was committed.

mod check;
mod facts;
mod tickets;

use std::ops::{Bound, RangeBounds};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::launch::LaunchLog;
use longhaul_engine::session::{SessionRules, SessionState};
use longhaul_engine::task::{Spec, Task};
use longhaul_engine::time::Timestamp;
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};

use crate::change::{Change, Effect, Refusal, TaskSummary};
use crate::commit;
use crate::error::{StoreError, Trouble};
use crate::open;
use crate::records::{CheckpointV1, LaunchV1, SessionV1, StateV1, TaskV1, Unusable};
use crate::tables::{
    self, Bytes, CHECKPOINTS, LAUNCHES, META, NumberKey, SESSIONS, STATES, TASKS, bad_row,
    decode_row, invalidated, number_key, numbered,
};

/// What the engine remembers. One file, which one `Store` at a time has open; dropping it closes
/// it.
///
/// Every function blocks on the disk.
#[derive(Debug)]
pub struct Store {
    /// `None` only while it is being dropped.
    database: Option<Database>,
    path: PathBuf,
    epoch: u64,
}

impl Store {
    /// Opens the store at `path`, or makes it, readable for its owner only. The directory must
    /// exist, and should be closed to others too. After a crash the file is repaired first.
    ///
    /// # Errors
    /// When another process or another `Store` has it open, when it is damaged, of a newer version
    /// or none of ours, and when the system refuses. Each names the file and what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (database, epoch) = open::open_file(path)?;
        Ok(Self {
            database: Some(database),
            path: path.to_owned(),
            epoch,
        })
    }

    /// Opens the store at `path` as [`Store::open`] does, and reads every record of it. When the file is
    /// damaged it is kept under another name, which is answered, and a new store is made in its
    /// place. That one remembers it: every session that is made in it begins with
    /// [`Fact::StateLost`](longhaul_engine::event::Fact::StateLost), and the numbers of its tasks are
    /// none that the damaged one had given out. A crash at any point of this leaves one or the other.
    ///
    /// # Errors
    /// As [`Store::open`], and when the damaged file can not be renamed.
    pub fn open_or_recreate(path: &Path) -> Result<(Self, Option<PathBuf>), StoreError> {
        let opened = Self::open(path).and_then(|store| {
            store.check()?;
            Ok(store)
        });
        match opened {
            Err(StoreError::Corrupt { .. }) => {
                let aside = open::move_aside(path)?;
                Ok((Self::open(path)?, Some(aside)))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// Opens the store in `backend`, as [`Store::open`] does it with a file; `path` is its name in
    /// errors.
    pub(crate) fn open_in(
        path: &Path,
        backend: impl redb::StorageBackend,
    ) -> Result<Self, StoreError> {
        let (database, epoch) = open::open_backend(path, backend, 0)?;
        Ok(Self {
            database: Some(database),
            path: path.to_owned(),
            epoch,
        })
    }

    /// Makes all `changes` in one transaction, and answers after it is durable, one answer for
    /// each, in order. A later change sees what an earlier one did. A refused change writes nothing
    /// and does not hinder the others.
    ///
    /// # Errors
    /// When the store can not be read or written. Then nothing of `changes` is stored, unless the
    /// very last step failed, when all or nothing of it is: open the store again and look.
    pub fn commit(
        &mut self,
        changes: &[Change],
    ) -> Result<Vec<Result<Effect, Refusal>>, StoreError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.try_commit(changes)
            .map_err(|trouble| trouble.at(&self.path))
    }

    /// How often the store was opened, this time included. No two openings of a store have the
    /// same.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The configuration of a session; `None` when there is no such session.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn session(&self, id: &SessionId) -> Result<Option<SessionRules>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let sessions = self.database().begin_read()?.open_table(SESSIONS)?;
            let Some(row) = sessions.get(id.as_str().as_bytes())? else {
                return Ok(None);
            };
            let record: SessionV1 = decode_row(row.value(), SESSIONS, || id.to_string())?;
            let rules = SessionRules::try_from(record);
            rules
                .map(Some)
                .map_err(|Unusable(what)| bad_row(SESSIONS, id.to_string(), what.to_owned()))
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// Where a session is in its life; `None` when there is no such session.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn session_state(&self, id: &SessionId) -> Result<Option<SessionState>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let transaction = self.database().begin_read()?;
            let sessions = transaction.open_table(SESSIONS)?;
            if sessions.get(id.as_str().as_bytes())?.is_none() {
                return Ok(None);
            }
            let left = tables::counter(&transaction.open_table(META)?, &invalidated(id))?;
            Ok(Some(match left {
                None => SessionState::Open,
                Some(0) => SessionState::Invalid,
                Some(_) => SessionState::Finishing,
            }))
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// All sessions, in the order of their names.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn sessions(&self) -> Result<Vec<SessionId>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let sessions = self.database().begin_read()?.open_table(SESSIONS)?;
            sessions
                .iter()?
                .map(|row| session_id(row?.0.value()))
                .collect()
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// At most `limit` tasks of a session, ended ones included, in the order of their numbers,
    /// from the one after `after`.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn tasks(
        &self,
        session: &SessionId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<TaskSummary>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let transaction = self.database().begin_read()?;
            let states = transaction.open_table(STATES)?;
            let checkpoints = transaction.open_table(CHECKPOINTS)?;
            let mut summaries = Vec::new();
            for row in states
                .range(after_number(session, after.map(TaskId::get)))?
                .take(limit)
            {
                let (key, row) = row?;
                let number = key.value().1;
                let state = decode_row(row.value(), STATES, || format!("{session}/{number}"))?;
                let checkpoint = numbered(&checkpoints, CHECKPOINTS, session, number)?;
                summaries.push(summary(TaskId::new(number), state, checkpoint));
            }
            Ok(summaries)
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// A task and its progress, if any is on record; `None` when there is no such task.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn task(
        &self,
        session: &SessionId,
        task: TaskId,
    ) -> Result<Option<(Task, Option<TaskCheckpoint>)>, StoreError> {
        let read = || TaskTables::open(&self.database().begin_read()?)?.task(session, task);
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// These tasks, each as [`Store::task`] gives it, in the same order: all as they were at one moment.
    ///
    /// # Errors
    /// When the store can not be read.
    #[expect(
        clippy::type_complexity,
        reason = "a list of what the method above answers"
    )]
    pub fn these_tasks(
        &self,
        session: &SessionId,
        tasks: &[TaskId],
    ) -> Result<Vec<Option<(Task, Option<TaskCheckpoint>)>>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let tables = TaskTables::open(&self.database().begin_read()?)?;
            tasks
                .iter()
                .map(|task| tables.task(session, *task))
                .collect()
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// At most `limit` tasks of a session as [`Store::task`] gives each, ended ones included, in the
    /// order of their numbers, from the one after `after`: all as they were at one moment.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn full_tasks(
        &self,
        session: &SessionId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<(Task, Option<TaskCheckpoint>)>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let tables = TaskTables::open(&self.database().begin_read()?)?;
            let mut tasks = Vec::new();
            for row in tables
                .states
                .range(after_number(session, after.map(TaskId::get)))?
                .take(limit)
            {
                let task = TaskId::new(row?.0.value().1);
                tasks.extend(tables.task(session, task)?);
            }
            Ok(tasks)
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// How often the app of a session was called back; empty when it never was.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn launches(&self, session: &SessionId) -> Result<LaunchLog, StoreError> {
        let read = || -> Result<_, Trouble> {
            let launches = self.database().begin_read()?.open_table(LAUNCHES)?;
            let Some(row) = launches.get(session.as_str().as_bytes())? else {
                return Ok(LaunchLog::default());
            };
            let record: LaunchV1 = decode_row(row.value(), LAUNCHES, || session.to_string())?;
            Ok(record.into())
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// Beneath this crate's own functions, for tests that look at the rows or damage them too.
    pub(crate) const fn database(&self) -> &Database {
        self.database
            .as_ref()
            .expect("only the end of drop is without it")
    }

    fn try_commit(&self, changes: &[Change]) -> Result<Vec<Result<Effect, Refusal>>, Trouble> {
        // Without another word a transaction of this database is durable when it has committed.
        let transaction = self.database().begin_write()?;
        let answers = commit::apply_all(&transaction, changes)?;
        if answers.iter().any(Result::is_ok) {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok(answers)
    }
}

impl Drop for Store {
    /// Closing saves what makes the next opening fast, nothing that was promised; on a damaged page
    /// the database may panic in it, which must not reach an owner that is unwinding already.
    fn drop(&mut self) {
        let database = self.database.take();
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// The tables of a read transaction that hold tasks.
struct TaskTables {
    tasks: ReadOnlyTable<NumberKey, Bytes>,
    states: ReadOnlyTable<NumberKey, Bytes>,
    checkpoints: ReadOnlyTable<NumberKey, Bytes>,
}

impl TaskTables {
    fn open(transaction: &ReadTransaction) -> Result<Self, Trouble> {
        Ok(Self {
            tasks: transaction.open_table(TASKS)?,
            states: transaction.open_table(STATES)?,
            checkpoints: transaction.open_table(CHECKPOINTS)?,
        })
    }

    fn task(
        &self,
        session: &SessionId,
        task: TaskId,
    ) -> Result<Option<(Task, Option<TaskCheckpoint>)>, Trouble> {
        let number = task.get();
        let unusable = |table, Unusable(what)| -> Trouble {
            bad_row(table, format!("{session}/{number}"), what.to_owned())
        };
        let Some(state) = numbered::<StateV1>(&self.states, STATES, session, number)? else {
            return Ok(None);
        };
        let missing = || unusable(TASKS, Unusable("the row is missing"));
        let asked = numbered::<TaskV1>(&self.tasks, TASKS, session, number)?.ok_or_else(missing)?;
        let spec = Spec::try_from(asked).map_err(|it| unusable(TASKS, it))?;
        let checkpoint = numbered::<CheckpointV1>(&self.checkpoints, CHECKPOINTS, session, number)?
            .map(TaskCheckpoint::try_from)
            .transpose()
            .map_err(|it| unusable(CHECKPOINTS, it))?;
        let task = Task {
            id: task,
            spec,
            desired: state.desired.into(),
            created_at: Timestamp::from_unix_ms(state.created_at_ms),
            outcome: state.ended.map(|ended| ended.outcome.into()),
        };
        Ok(Some((task, checkpoint)))
    }
}

fn summary(id: TaskId, state: StateV1, checkpoint: Option<CheckpointV1>) -> TaskSummary {
    let awaiting_authorization = checkpoint
        .as_ref()
        .is_some_and(CheckpointV1::awaits_authorization);
    TaskSummary {
        id,
        desired: state.desired.into(),
        host: state.host,
        created_at: Timestamp::from_unix_ms(state.created_at_ms),
        schedule: state.schedule.into(),
        has_begun: state.has_begun || checkpoint.is_some(),
        retry: checkpoint.and_then(CheckpointV1::retry),
        ended: state.ended.is_some(),
        awaiting_authorization,
    }
}

/// The keys of a session from the one after `number`. At the last number there are none after it.
fn after_number(session: &SessionId, number: Option<u64>) -> impl RangeBounds<(&[u8], u64)> {
    let start = match number {
        Some(number) => Bound::Excluded(number_key(session, number)),
        None => Bound::Included(number_key(session, 0)),
    };
    (start, Bound::Included(number_key(session, u64::MAX)))
}

fn session_id(key: &[u8]) -> Result<SessionId, Trouble> {
    let text = String::from_utf8_lossy(key).into_owned();
    SessionId::new(text.clone())
        .map_err(|error| bad_row(SESSIONS, text.escape_debug().to_string(), error.to_string()))
}
