//! Making changes within one write transaction. Each change is checked before anything of it is
//! written, so a refused one leaves no trace.

mod challenging;
mod ending;
mod registering;
mod resuming;
mod scheduling;
mod session;

use std::collections::HashMap;

use longhaul_engine::checkpoint::{Stage, TaskCheckpoint};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::launch::LaunchLog;
use longhaul_engine::task::Desired;
use redb::{ReadableTable, WriteTransaction};

use self::registering::Registration;
use crate::change::{Change, Effect, Refusal};
use crate::codec::{self, Record, TooLarge};
use crate::error::Trouble;
use crate::records::{CheckpointV1, CounterV1, LaunchV1, StateV1, Unusable};
use crate::tables::{self, CHECKPOINTS, STATES, WriteTables, bad_row, number_key, numbered};

/// The first number of tasks and of facts. Zero means "before all of them".
const FIRST: u64 = 1;

/// What a change did, or why there is no such answer.
type Step<T = Effect> = Result<T, Halt>;

/// What ends a change early.
enum Halt {
    /// The change is refused; the others go on.
    Refused(Refusal),
    /// The whole commit fails.
    Broken(Trouble),
}

/// Makes all `changes` within `transaction`. The caller commits it, or drops it on an error.
///
/// # Errors
/// When the store can not be read or written; a refused change is no error.
pub(crate) fn apply_all(
    transaction: &WriteTransaction,
    changes: &[Change],
) -> Result<Vec<Result<Effect, Refusal>>, Trouble> {
    let mut batch = Batch {
        tables: WriteTables::open(transaction)?,
        counters: HashMap::new(),
    };
    let mut answers = Vec::with_capacity(changes.len());
    for change in changes {
        answers.push(match batch.apply(change) {
            Ok(effect) => Ok(effect),
            Err(Halt::Refused(refusal)) => Err(refusal),
            Err(Halt::Broken(trouble)) => return Err(trouble),
        });
    }
    batch.write_counters()?;
    Ok(answers)
}

struct Batch<'txn> {
    tables: WriteTables<'txn>,
    /// The next numbers that this batch has used, by name; written once, at its end.
    counters: HashMap<Vec<u8>, u64>,
}

impl Batch<'_> {
    fn apply(&mut self, change: &Change) -> Step {
        match change {
            Change::PutSession { id, rules } => self.put_session(id, rules),
            Change::Register {
                session,
                spec,
                desired,
                created_at,
                adopt,
            } => self.register(&Registration {
                session,
                spec,
                desired: *desired,
                created_at: *created_at,
                adopt: *adopt,
                ticket: None,
            }),
            Change::Resume {
                session,
                spec,
                checkpoint,
                ticket,
                created_at,
            } => {
                let request = Registration {
                    session,
                    spec,
                    desired: Desired::Running,
                    created_at: *created_at,
                    adopt: false,
                    ticket: Some(ticket.clone()),
                };
                self.resume(&request, checkpoint)
            }
            Change::SetDesired {
                session,
                task,
                desired,
            } => self.set_desired(session, *task, *desired),
            Change::Adjust {
                session,
                task,
                adjustment,
            } => self.adjust(session, *task, *adjustment),
            Change::DecideBegin {
                session,
                task,
                decision,
            } => self.decide_begin(session, *task, decision),
            Change::Record {
                session,
                task,
                checkpoint,
            } => self.record(session, *task, checkpoint),
            Change::Renew {
                session,
                task,
                disposition,
            } => self.renew(session, *task, disposition),
            Change::Close {
                session,
                task,
                outcome,
                metrics,
            } => self.close(session, *task, outcome, metrics.as_deref()),
            Change::Acknowledge { session, up_to } => self.acknowledge(session, *up_to),
            Change::Forget { session, task } => self.forget(session, *task),
            Change::PutLaunches { session, log } => self.put_launches(session, log),
            Change::Invalidate { session, how } => self.invalidate(session, *how),
            Change::RemoveSession { session } => self.remove_session(session),
        }
    }

    fn put_launches(&mut self, session: &SessionId, log: &LaunchLog) -> Step {
        self.check_session(session)?;
        let row = encoded(&LaunchV1::from(log))?;
        self.tables
            .launches
            .insert(session.as_str().as_bytes(), row.as_slice())?;
        Ok(Effect::Done)
    }

    fn set_desired(&mut self, session: &SessionId, task: TaskId, desired: Desired) -> Step {
        let mut state = self.live_state(session, task)?;
        if state.desired != desired.into() {
            state.desired = desired.into();
            self.put_state(session, task, &state)?;
        }
        if desired == Desired::Running {
            self.ask_again(session, task)?;
        }
        Ok(Effect::Done)
    }

    fn record(&mut self, session: &SessionId, task: TaskId, checkpoint: &TaskCheckpoint) -> Step {
        self.live_state(session, task)?;
        if let TaskCheckpoint::Download(known) = checkpoint
            && let Stage::AwaitingAuthorization(challenge) = &known.stage
        {
            return self.challenge(session, task, checkpoint, challenge);
        }
        self.put_checkpoint(session, task, checkpoint)?;
        Ok(Effect::Done)
    }

    fn put_checkpoint(
        &mut self,
        session: &SessionId,
        task: TaskId,
        checkpoint: &TaskCheckpoint,
    ) -> Step<()> {
        let row = encoded(&CheckpointV1::from(checkpoint))?;
        self.tables
            .checkpoints
            .insert(number_key(session, task.get()), row.as_slice())?;
        Ok(())
    }

    fn put_state(&mut self, session: &SessionId, task: TaskId, state: &StateV1) -> Step<()> {
        let row = encoded(state)?;
        self.tables
            .states
            .insert(number_key(session, task.get()), row.as_slice())?;
        Ok(())
    }

    /// Takes the number that [`Batch::next_number`] has shown.
    fn use_number(&mut self, name: Vec<u8>, number: u64) {
        self.counters.insert(name, number + 1);
    }

    fn write_counters(&mut self) -> Result<(), Trouble> {
        for (name, value) in &self.counters {
            let row = CounterV1::row(*value);
            self.tables.meta.insert(name.as_slice(), row.as_slice())?;
        }
        Ok(())
    }

    /// The number that the next task or fact gets.
    fn next_number(&self, name: &[u8]) -> Result<u64, Trouble> {
        match self.counters.get(name) {
            Some(number) => Ok(*number),
            None => Ok(tables::counter(&self.tables.meta, name)?.unwrap_or(FIRST)),
        }
    }

    fn check_session(&self, session: &SessionId) -> Step<()> {
        match self.tables.sessions.get(session.as_str().as_bytes())? {
            Some(_) => Ok(()),
            None => Err(Refusal::NoSuchSession(session.clone()).into()),
        }
    }

    fn state(&self, session: &SessionId, task: TaskId) -> Step<Option<StateV1>> {
        Ok(numbered(&self.tables.states, STATES, session, task.get())?)
    }

    /// What is known of a task's progress.
    fn checkpoint(
        &self,
        session: &SessionId,
        task: u64,
    ) -> Result<Option<TaskCheckpoint>, Trouble> {
        let found = numbered::<CheckpointV1>(&self.tables.checkpoints, CHECKPOINTS, session, task)?;
        let unusable =
            |Unusable(what)| bad_row(CHECKPOINTS, format!("{session}/{task}"), what.to_string());
        found
            .map(TaskCheckpoint::try_from)
            .transpose()
            .map_err(unusable)
    }

    /// The state of a task that has not ended.
    fn live_state(&self, session: &SessionId, task: TaskId) -> Step<StateV1> {
        let state = self.state(session, task)?.ok_or(Refusal::NoSuchTask)?;
        match state.ended {
            None => Ok(state),
            Some(ended) => Err(Refusal::Ended(Box::new(ended.outcome.into())).into()),
        }
    }
}

/// The bytes of a record; what is too large for its kind is the caller's to answer for.
fn encoded<T: Record>(record: &T) -> Step<Vec<u8>> {
    codec::encode(record)
        .map_err(|TooLarge { bytes, bytes_max }| Refusal::TooLarge { bytes, bytes_max }.into())
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<T: Into<Trouble>> From<T> for Halt {
    fn from(trouble: T) -> Self {
        Self::Broken(trouble.into())
    }
}
