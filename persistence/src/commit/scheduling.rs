//! Changing when and with what a task runs, while it lives.

use longhaul_engine::delayed_request::{DelayedRequest, NewRequest};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::schedule::Schedule;
use longhaul_engine::session::host_key;
use longhaul_engine::task::{Adjustment, Desired};

use super::{Batch, Step, encoded};
use crate::change::Effect;
use crate::records::{StateV1, TaskV1};
use crate::tables::number_key;

impl Batch<'_> {
    pub(super) fn adjust(
        &mut self,
        session: &SessionId,
        task: TaskId,
        adjustment: Adjustment,
    ) -> Step {
        let mut state = self.live_state(session, task)?;
        let mut spec = self.asked(session, task)?;
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
        let mut spec = self.asked(session, task)?;
        let old = TaskV1::from(&spec);
        spec.replace_request(request.clone());
        let new = TaskV1::from(&spec);
        // What is refused leaves no trace: a request too large is, before anything is written.
        let row = encoded(&new)?;
        self.move_claim(session, task, (&old, &new))?;
        state.host = host_key(spec.url());
        let key = number_key(session, task.get());
        self.tables.tasks.insert(key, row.as_slice())?;
        Ok(())
    }

    fn put_spec(&mut self, session: &SessionId, task: TaskId, asked: &TaskV1) -> Step<()> {
        let row = encoded(asked)?;
        let key = number_key(session, task.get());
        self.tables.tasks.insert(key, row.as_slice())?;
        Ok(())
    }
}
