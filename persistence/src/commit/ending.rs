//! The end of a task, and what is dropped when its owner has heard of it.

use longhaul_engine::checkpoint::{Part, TaskCheckpoint};
use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::metrics::TaskMetrics;
use longhaul_engine::task::Outcome;
use redb::ReadableTable;

use super::{Batch, Step, encoded};
use crate::change::{Effect, Forgotten, Refusal};
use crate::error::Trouble;
use crate::records::{EndedV1, FactV1, StateV1, TargetV1, TaskV1};
use crate::tables::{
    EVENTS, STATES, TARGETS, TASKS, all_of, decode_row, next_fact, number_key, numbered,
};

/// Whether what was fetched may serve another task of the same URL and destination.
const fn keeps_progress(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Failed(failure) => !failure.kind().spoils_bytes(),
        Outcome::Finished(_)
        | Outcome::Uploaded(_)
        | Outcome::Skipped(_)
        | Outcome::Cancelled
        | Outcome::CancelledResumable(_) => false,
    }
}

impl Batch<'_> {
    pub(super) fn close(
        &mut self,
        session: &SessionId,
        task: TaskId,
        outcome: &Outcome,
        metrics: Option<&TaskMetrics>,
    ) -> Step {
        let mut state = self.live_state(session, task)?;
        let counter = next_fact(session);
        let sequence = self.next_number(&counter)?;
        state.ended = Some(EndedV1 {
            sequence,
            outcome: outcome.into(),
        });
        let state = encoded(&state)?;
        let fact = Fact::Completed {
            task,
            outcome: outcome.clone(),
            metrics: metrics.map(|metrics| Box::new(metrics.clone())),
        };
        let row = encoded(&FactV1::from(&fact))?;

        self.use_number(counter, sequence);
        let key = number_key(session, task.get());
        self.tables.states.insert(key, state.as_slice())?;
        if !keeps_progress(outcome) {
            self.tables.checkpoints.remove(key)?;
        }
        self.tables
            .events
            .insert(number_key(session, sequence), row.as_slice())?;
        Ok(Effect::Closed(NumberedFact {
            sequence: Sequence::new(sequence),
            fact,
        }))
    }

    pub(super) fn acknowledge(&mut self, session: &SessionId, up_to: Sequence) -> Step {
        self.check_session(session)?;
        let taken = self.facts_up_to(session, up_to.get())?;
        let mut forgotten = Forgotten::default();
        for (sequence, fact) in taken {
            self.tables.events.remove(number_key(session, sequence))?;
            match fact {
                FactV1::Completed { task, .. } => {
                    forgotten.parts.extend(self.drop_task(session, task)?);
                    forgotten.tasks.push(TaskId::new(task));
                }
                FactV1::Challenged { .. } | FactV1::BecameInvalid | FactV1::StateLost => {}
            }
        }
        Ok(Effect::Forgotten(forgotten))
    }

    pub(super) fn forget(&mut self, session: &SessionId, task: TaskId) -> Step {
        let state = self.state(session, task)?.ok_or(Refusal::NoSuchTask)?;
        let ended = state.ended.ok_or(Refusal::Live(task))?;
        self.tables
            .events
            .remove(number_key(session, ended.sequence))?;
        let part = self.drop_task(session, task.get())?;
        let parts = part.into_iter().collect();
        Ok(Effect::Forgotten(Forgotten {
            tasks: vec![task],
            parts,
        }))
    }

    pub(super) fn remove_session(&mut self, session: &SessionId) -> Step {
        self.check_session(session)?;
        let tasks = self.ended_tasks(session)?;
        let mut parts = Vec::new();
        for task in &tasks {
            parts.extend(self.drop_task(session, task.get())?);
        }
        self.tables
            .events
            .retain_in(all_of(session), |_, _| false)?;
        let counter = next_fact(session);
        self.tables.meta.remove(counter.as_slice())?;
        self.counters.remove(&counter);
        self.tables.sessions.remove(session.as_str().as_bytes())?;
        Ok(Effect::Forgotten(Forgotten { tasks, parts }))
    }

    /// Drops all rows of a task that has ended, and its claim unless a later task took it over.
    /// The answer is the part file that nobody knows any more, if the task had kept one.
    fn drop_task(&mut self, session: &SessionId, task: u64) -> Result<Option<Part>, Trouble> {
        let key = number_key(session, task);
        let part = self
            .checkpoint(session, task)?
            .and_then(TaskCheckpoint::into_download)
            .and_then(|checkpoint| checkpoint.part);
        let asked = numbered::<TaskV1>(&self.tables.tasks, TASKS, session, task)?;
        if let Some(claim) = asked.and_then(|asked| asked.claim()) {
            let holder = match self.tables.targets.get(claim.as_slice())? {
                Some(row) => {
                    let shown = || format!("of {session}/{task}");
                    Some(decode_row::<TargetV1>(row.value(), TARGETS, shown)?)
                }
                None => None,
            };
            if holder.is_some_and(|it| it.session == session.as_str() && it.task == task) {
                self.tables.targets.remove(claim.as_slice())?;
            }
        }
        self.tables.tasks.remove(key)?;
        self.tables.states.remove(key)?;
        self.tables.checkpoints.remove(key)?;
        Ok(part)
    }

    fn facts_up_to(&self, session: &SessionId, up_to: u64) -> Result<Vec<(u64, FactV1)>, Trouble> {
        let range = number_key(session, 0)..=number_key(session, up_to);
        let mut facts = Vec::new();
        for row in self.tables.events.range(range)? {
            let (key, row) = row?;
            let sequence = key.value().1;
            let shown = || format!("{session}/{sequence}");
            facts.push((sequence, decode_row(row.value(), EVENTS, shown)?));
        }
        Ok(facts)
    }

    /// All tasks of a session; refused when one of them has not ended.
    fn ended_tasks(&self, session: &SessionId) -> Step<Vec<TaskId>> {
        let mut tasks = Vec::new();
        for row in self.tables.states.range(all_of(session))? {
            let (key, row) = row?;
            let task = key.value().1;
            let shown = || format!("{session}/{task}");
            let state: StateV1 = decode_row(row.value(), STATES, shown)?;
            if state.ended.is_none() {
                return Err(Refusal::Live(TaskId::new(task)).into());
            }
            tasks.push(TaskId::new(task));
        }
        Ok(tasks)
    }
}
