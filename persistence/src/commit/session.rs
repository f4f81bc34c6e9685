//! The life of a session: made, invalidated, ended with its last task.

use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::session::{Invalidation, SessionRules};
use redb::ReadableTable;

use super::{Batch, Step, encoded};
use crate::change::{Effect, Refusal};
use crate::error::Trouble;
use crate::records::{CounterV1, DesiredV1, FactV1, SessionV1, StateV1};
use crate::tables::{
    self, RECREATED, STATES, all_of, decode_row, invalidated, loss_told, next_fact, number_key,
};

impl Batch<'_> {
    pub(super) fn put_session(&mut self, id: &SessionId, rules: &SessionRules) -> Step {
        let row = encoded(&SessionV1::from(rules))?;
        let key = id.as_str().as_bytes();
        let is_new = self.tables.sessions.insert(key, row.as_slice())?.is_none();
        if is_new && self.has_lost(id)? {
            self.put_counter(&loss_told(id), 1)?;
            self.tell(id, Fact::StateLost)?;
        }
        Ok(Effect::Done)
    }

    pub(super) fn invalidate(&mut self, session: &SessionId, how: Invalidation) -> Step {
        self.check_session(session)?;
        let left = tables::counter(&self.tables.meta, &invalidated(session))?;
        if left == Some(0) || (left.is_some() && how == Invalidation::FinishTasks) {
            return Ok(Effect::Invalidated(None));
        }
        let live = self.live_tasks(session)?;
        if how == Invalidation::CancelTasks {
            for (task, state) in &live {
                self.want_cancelled(session, *task, state)?;
            }
        }
        if left.is_some() {
            return Ok(Effect::Invalidated(None));
        }
        self.put_counter(&invalidated(session), live.len() as u64)?;
        let ended = match live.is_empty() {
            true => Some(self.tell(session, Fact::BecameInvalid)?),
            false => None,
        };
        Ok(Effect::Invalidated(ended))
    }

    /// A task of the session was closed. The fact says that the session ended with it.
    pub(super) fn one_task_less(&mut self, session: &SessionId) -> Step<Option<NumberedFact>> {
        let name = invalidated(session);
        let Some(left) = tables::counter(&self.tables.meta, &name)? else {
            return Ok(None);
        };
        let left = left.saturating_sub(1);
        self.put_counter(&name, left)?;
        match left {
            0 => self.tell(session, Fact::BecameInvalid).map(Some),
            _ => Ok(None),
        }
    }

    /// Refused when the session is being invalidated.
    pub(super) fn check_open(&self, session: &SessionId) -> Step<()> {
        match tables::counter(&self.tables.meta, &invalidated(session))? {
            None => Ok(()),
            Some(_) => Err(Refusal::Invalidated(session.clone()).into()),
        }
    }

    /// Adds a fact, of which `row` is the record, to the session's log.
    pub(super) fn add_fact(
        &mut self,
        session: &SessionId,
        fact: Fact,
        row: &[u8],
    ) -> Step<NumberedFact> {
        let counter = next_fact(session);
        let sequence = self.next_number(&counter)?;
        self.use_number(counter, sequence);
        self.tables
            .events
            .insert(number_key(session, sequence), row)?;
        let sequence = Sequence::new(sequence);
        Ok(NumberedFact { sequence, fact })
    }

    fn tell(&mut self, session: &SessionId, fact: Fact) -> Step<NumberedFact> {
        let row = encoded(&FactV1::from(&fact))?;
        self.add_fact(session, fact, &row)
    }

    /// Whether what an earlier store knew of the session is lost, and it was not told so yet.
    fn has_lost(&self, session: &SessionId) -> Result<bool, Trouble> {
        let meta = &self.tables.meta;
        Ok(tables::counter(meta, RECREATED)?.is_some()
            && tables::counter(meta, &loss_told(session))?.is_none())
    }

    fn live_tasks(&self, session: &SessionId) -> Result<Vec<(u64, StateV1)>, Trouble> {
        let mut live = Vec::new();
        for row in self.tables.states.range(all_of(session))? {
            let (key, row) = row?;
            let task = key.value().1;
            let shown = || format!("{session}/{task}");
            let state: StateV1 = decode_row(row.value(), STATES, shown)?;
            if state.ended.is_none() {
                live.push((task, state));
            }
        }
        Ok(live)
    }

    /// One that is cancelled already stays so in its own way.
    fn want_cancelled(&mut self, session: &SessionId, task: u64, state: &StateV1) -> Step<()> {
        match state.desired {
            DesiredV1::Cancelled | DesiredV1::CancelledResumable => return Ok(()),
            DesiredV1::Running | DesiredV1::Suspended => {}
        }
        let cancelled = StateV1 {
            desired: DesiredV1::Cancelled,
            ..state.clone()
        };
        self.put_state(session, TaskId::new(task), &cancelled)
    }

    fn put_counter(&mut self, name: &[u8], value: u64) -> Result<(), Trouble> {
        let row = CounterV1::row(value);
        self.tables.meta.insert(name, row.as_slice())?;
        Ok(())
    }
}
