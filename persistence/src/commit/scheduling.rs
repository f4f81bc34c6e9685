//! Changing when and with what a task runs, while it lives.

use longhaul_engine::delayed_request::{DelayedRequest, NewRequest};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::schedule::Schedule;
use longhaul_engine::session::host_key;
use longhaul_engine::task::{Adjustment, Desired, Spec};

use super::{Batch, Halt, Step, encoded};
use crate::change::{Effect, Refusal};
use crate::records::{StateV1, TargetV1, TaskV1, Unusable};
use crate::tables::{TASKS, bad_row, number_key, numbered};

impl Batch<'_> {
    pub(super) fn adjust(
        &mut self,
        session: &SessionId,
        task: TaskId,
        adjustment: Adjustment,
    ) -> Step {
        let mut state = self.live_state(session, task)?;
        let mut spec = self.spec(session, task)?;
        spec.options_mut().adjust(adjustment);
        state.schedule = Schedule::from(spec.options()).into();
        self.put_spec(session, task, &TaskV1::from(&spec))?;
        self.put_state(session, task, &state)?;
        Ok(Effect::Done)
    }

    /// Records what the owner of a delayed task has decided, so that it is asked only once.
    pub(super) fn decide_begin(
        &mut self,
        session: &SessionId,
        task: TaskId,
        decision: &DelayedRequest,
    ) -> Step {
        let mut state = self.live_state(session, task)?;
        state.has_begun = true;
        match decision {
            DelayedRequest::ContinueLoading => {}
            DelayedRequest::UseNewRequest(request) => {
                self.replace_request(session, task, &mut state, request)?;
            }
            DelayedRequest::Cancel => state.desired = Desired::Cancelled.into(),
        }
        self.put_state(session, task, &state)?;
        Ok(Effect::Done)
    }

    fn replace_request(
        &mut self,
        session: &SessionId,
        task: TaskId,
        state: &mut StateV1,
        request: &NewRequest,
    ) -> Step<()> {
        let mut spec = self.spec(session, task)?;
        let old_claim = TaskV1::from(&spec).claim();
        spec.replace_request(request.clone());
        let asked = TaskV1::from(&spec);
        let claim = asked.claim();
        if claim != old_claim {
            self.check_free(claim.as_deref())?;
        }
        state.host = host_key(spec.url());
        self.put_spec(session, task, &asked)?;
        if claim != old_claim {
            self.move_claim(session, task, old_claim, claim)?;
        }
        Ok(())
    }

    /// Refuses a claim that a task which has not ended holds.
    fn check_free(&self, claim: Option<&[u8]>) -> Step<()> {
        let holder = match claim {
            Some(claim) => self.holder(claim)?,
            None => None,
        };
        match holder.filter(|holder| holder.state.ended.is_none()) {
            Some(holder) => Err(Refusal::TargetInUse {
                session: holder.session,
                task: holder.task,
            }
            .into()),
            None => Ok(()),
        }
    }

    fn move_claim(
        &mut self,
        session: &SessionId,
        task: TaskId,
        from: Option<Vec<u8>>,
        to: Option<Vec<u8>>,
    ) -> Step<()> {
        if let Some(from) = from {
            self.tables.targets.remove(from.as_slice())?;
        }
        if let Some(to) = to {
            let target = encoded(&TargetV1 {
                session: session.as_str().to_owned(),
                task: task.get(),
            })?;
            self.tables
                .targets
                .insert(to.as_slice(), target.as_slice())?;
        }
        Ok(())
    }

    fn spec(&self, session: &SessionId, task: TaskId) -> Step<Spec> {
        let unusable = |Unusable(what)| {
            Halt::from(bad_row(TASKS, format!("{session}/{task}"), what.to_owned()))
        };
        let asked: Option<TaskV1> = numbered(&self.tables.tasks, TASKS, session, task.get())?;
        let asked = asked.ok_or_else(|| unusable(Unusable("the row is missing")))?;
        Spec::try_from(asked).map_err(unusable)
    }

    fn put_spec(&mut self, session: &SessionId, task: TaskId, asked: &TaskV1) -> Step<()> {
        let row = encoded(asked)?;
        let key = number_key(session, task.get());
        self.tables.tasks.insert(key, row.as_slice())?;
        Ok(())
    }
}
