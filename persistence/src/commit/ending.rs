//! The end of a task, and what is dropped when its owner has heard of it.

use longhaul_engine::checkpoint::{Part, TaskCheckpoint};
use longhaul_engine::event::Fact;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::metrics::TaskMetrics;
use longhaul_engine::task::Outcome;
use redb::ReadableTable;

use super::{Batch, Step, encoded};
use crate::change::{Effect, Forgotten, Refusal};
use crate::error::Trouble;
use crate::records::{EndedV1, FactV1, StateV1, TaskV1};
use crate::tables::{
    EVENTS, STATES, TASKS, all_of, decode_row, invalidated, next_fact, number_key, numbered,
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
        let fact = Fact::Completed {
            task,
            outcome: outcome.clone(),
            metrics: metrics.map(|metrics| Box::new(metrics.clone())),
        };
        let row = encoded(&FactV1::from(&fact))?;
        let sequence = self.next_number(&next_fact(session))?;
        state.ended = Some(EndedV1 {
            sequence,
            outcome: outcome.into(),
        });
        let state = encoded(&state)?;

        let key = number_key(session, task.get());
        self.tables.states.insert(key, state.as_slice())?;
        if !keeps_progress(outcome) {
            self.tables.checkpoints.remove(key)?;
        }
        let mut facts = vec![self.add_fact(session, fact, &row)?];
        facts.extend(self.one_task_less(session)?);
        Ok(Effect::Closed(facts))
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
                FactV1::BecameInvalid => forgotten.session_is_gone = true,
                FactV1::Challenged { .. } | FactV1::StateLost => {}
            }
        }
        if forgotten.session_is_gone {
            // Its last fact: whatever else there is of it was told before.
            self.drop_session(session, &mut forgotten)?;
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
            session_is_gone: false,
        }))
    }

    pub(super) fn remove_session(&mut self, session: &SessionId) -> Step {
        self.check_session(session)?;
        let mut forgotten = Forgotten {
            session_is_gone: true,
            ..Forgotten::default()
        };
        self.drop_session(session, &mut forgotten)?;
        Ok(Effect::Forgotten(forgotten))
    }

    /// Drops all rows of a session; refused when one of its tasks has not ended.
    fn drop_session(&mut self, session: &SessionId, forgotten: &mut Forgotten) -> Step<()> {
        let tasks = self.ended_tasks(session)?;
        for task in &tasks {
            let part = self.drop_task(session, task.get())?;
            forgotten.parts.extend(part);
        }
        forgotten.tasks.extend(tasks);
        self.tables
            .events
            .retain_in(all_of(session), |_, _| false)?;
        let counter = next_fact(session);
        self.tables.meta.remove(counter.as_slice())?;
        self.counters.remove(&counter);
        self.tables.launches.remove(session.as_str().as_bytes())?;
        self.tables.meta.remove(invalidated(session).as_slice())?;
        self.tables.sessions.remove(session.as_str().as_bytes())?;
        Ok(())
    }

    /// Drops all rows of a task that has ended, and its claim unless a later task took it over.
    /// The answer is the part file that nobody knows any more, if the task had kept one; who holds its
    /// resume data still does.
    fn drop_task(&mut self, session: &SessionId, task: u64) -> Result<Option<Part>, Trouble> {
        let key = number_key(session, task);
        let state = numbered::<StateV1>(&self.tables.states, STATES, session, task)?;
        let is_handed_over = state.as_ref().is_some_and(|it| it.resume_data().is_some());
        let part = self
            .checkpoint(session, task)?
            .and_then(TaskCheckpoint::into_download)
            .and_then(|checkpoint| checkpoint.part)
            .filter(|_| !is_handed_over);
        let asked = numbered::<TaskV1>(&self.tables.tasks, TASKS, session, task)?;
        if let Some(claim) = asked.and_then(|asked| asked.claim()) {
            self.drop_claim(&claim, session, task)?;
        }
        if let Some(ticket) = state.and_then(|state| state.ticket) {
            self.drop_claim(&ticket.key(), session, task)?;
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
