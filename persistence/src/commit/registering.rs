//! Making a task, or finding the one that does the same.

use longhaul_engine::adoption::{self, Adoption};
use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::schedule::Schedule;
use longhaul_engine::session::host_key;
use longhaul_engine::task::{Desired, Outcome, Spec};
use longhaul_engine::time::Timestamp;
use redb::ReadableTable;

use super::resuming::TicketLeft;
use super::{Batch, Step, encoded};
use crate::change::{Effect, Refusal};
use crate::error::Trouble;
use crate::records::{StateV1, TargetV1, TaskV1, TicketClaimV1, Unusable, ticket_key};
use crate::resume::TicketClaim;
use crate::tables::{NEXT_TASK, TARGETS, TASKS, bad_row, decode_row, number_key, numbered};

/// A request for a task.
pub(super) struct Registration<'a> {
    pub(super) session: &'a SessionId,
    pub(super) spec: &'a Spec,
    pub(super) desired: Desired,
    pub(super) created_at: Timestamp,
    pub(super) adopt: bool,
    /// The ticket that it is made of.
    pub(super) ticket: Option<TicketClaim>,
}

/// The task that claimed a destination last.
pub(super) struct Holder {
    pub(super) session: SessionId,
    pub(super) task: TaskId,
    pub(super) state: StateV1,
}

impl Batch<'_> {
    pub(super) fn register(&mut self, request: &Registration<'_>) -> Step {
        self.check_session(request.session)?;
        let asked = TaskV1::from(request.spec);
        let holder = match asked.claim() {
            Some(claim) => self.holder(&claim)?,
            None => None,
        };
        match holder {
            Some(holder) => self.register_beside(holder, &asked, request),
            None => self.create(&asked, request),
        }
    }

    /// The destination was claimed before.
    fn register_beside(
        &mut self,
        holder: Holder,
        asked: &TaskV1,
        request: &Registration<'_>,
    ) -> Step {
        let earlier = match request.adopt {
            true => self.same_request(&holder, request)?,
            false => None,
        };
        let (ended, earlier) = match (&holder.state.ended, earlier) {
            (None, Some(earlier)) => {
                return self.adopt(holder, &asked.named_as(&earlier), request);
            }
            (None, None) => {
                let Holder { session, task, .. } = holder;
                return Err(Refusal::TargetInUse { session, task }.into());
            }
            (Some(_), None) => return self.create(asked, request),
            (Some(ended), Some(earlier)) => (ended, earlier),
        };
        let row = || format!("{}/{}", holder.session, holder.task);
        let earlier = Spec::try_from(earlier)
            .map_err(|Unusable(what)| bad_row(TASKS, row(), what.to_string()))?;
        let outcome = Outcome::from(ended.outcome.clone());
        match adoption::decide(&earlier, &outcome, request.spec) {
            Adoption::TakeOver => Ok(Effect::Adopted {
                task: holder.task,
                is_changed: false,
            }),
            Adoption::Inherit => self.inherit(&holder, asked, request),
            Adoption::Anew => self.create(asked, request),
        }
    }

    pub(super) fn create(&mut self, asked: &TaskV1, request: &Registration<'_>) -> Step {
        self.check_open(request.session)?;
        let number = self.next_number(NEXT_TASK)?;
        let row = encoded(asked)?;
        let state = encoded(&StateV1 {
            desired: request.desired.into(),
            created_at_ms: request.created_at.as_unix_ms(),
            host: host_key(request.spec.url()),
            schedule: Schedule::from(request.spec.options()).into(),
            has_begun: false,
            ended: None,
            ticket: request.ticket.as_ref().map(TicketClaimV1::from),
        })?;
        let session = request.session.as_str().to_owned();
        let target = encoded(&TargetV1 {
            session,
            task: number,
        })?;

        self.use_number(NEXT_TASK.to_vec(), number);
        let key = number_key(request.session, number);
        self.tables.tasks.insert(key, row.as_slice())?;
        self.tables.states.insert(key, state.as_slice())?;
        if let Some(claim) = asked.claim() {
            self.tables
                .targets
                .insert(claim.as_slice(), target.as_slice())?;
        }
        if let Some(ticket) = &request.ticket {
            self.tables
                .targets
                .insert(ticket_key(ticket.id).as_slice(), target.as_slice())?;
        }
        Ok(Effect::Registered(TaskId::new(number)))
    }

    /// Makes a task that goes on with what a failed one had fetched, unless its resume data was used:
    /// the resume data is of no more use then.
    fn inherit(&mut self, failed: &Holder, asked: &TaskV1, request: &Registration<'_>) -> Step {
        let ticket = match self.ticket_left(&failed.state)? {
            TicketLeft::None => None,
            TicketLeft::Unused(ticket) => Some(ticket),
            TicketLeft::Used => return self.create(asked, request),
        };
        let progress = self
            .checkpoint(&failed.session, failed.task.get())?
            .and_then(TaskCheckpoint::into_download);
        let Some(progress) = progress else {
            return self.create(asked, request);
        };
        let request = Registration { ticket, ..*request };
        let effect = self.create_with_progress(asked, &request, progress.into())?;
        self.tables
            .checkpoints
            .remove(number_key(&failed.session, failed.task.get()))?;
        Ok(effect)
    }

    /// Makes a task that has not ended the one that is asked for.
    fn adopt(&mut self, holder: Holder, asked: &TaskV1, request: &Registration<'_>) -> Step {
        let Holder {
            session,
            task,
            mut state,
        } = holder;
        let asked = encoded(asked)?;
        let key = number_key(&session, task.get());
        // The usual case is the same command run again: nothing to write.
        let is_same = self
            .tables
            .tasks
            .get(key)?
            .is_some_and(|row| row.value() == asked);
        if !is_same {
            self.tables.tasks.insert(key, asked.as_slice())?;
        }
        let schedule = Schedule::from(request.spec.options()).into();
        let is_current = state.desired == request.desired.into() && state.schedule == schedule;
        if !is_current {
            state.desired = request.desired.into();
            state.schedule = schedule;
            self.put_state(&session, task, &state)?;
        }
        if request.desired == Desired::Running {
            self.ask_again(&session, task)?;
        }
        Ok(Effect::Adopted {
            task,
            is_changed: !is_same,
        })
    }

    /// Refuses when a task that has not ended holds this claim.
    pub(super) fn check_claim(&self, claim: &[u8]) -> Step<()> {
        match self.holder(claim)? {
            Some(Holder {
                session,
                task,
                state: StateV1 { ended: None, .. },
            }) => Err(Refusal::TargetInUse { session, task }.into()),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn holder(&self, claim: &[u8]) -> Result<Option<Holder>, Trouble> {
        let Some(row) = self.tables.targets.get(claim)? else {
            return Ok(None);
        };
        let target: TargetV1 = decode_row(row.value(), TARGETS, || shown(claim))?;
        let session = SessionId::new(target.session)
            .map_err(|error| bad_row(TARGETS, shown(claim), error.to_string()))?;
        let task = TaskId::new(target.task);
        let state = numbered(
            &self.tables.states,
            crate::tables::STATES,
            &session,
            target.task,
        )?;
        // A forgotten task takes its claim with it, so a claim without a task binds nobody.
        Ok(state.map(|state| Holder {
            session,
            task,
            state,
        }))
    }

    /// What the holder of the destination was asked for, if it is of the same session and fetches the
    /// same URL.
    fn same_request(
        &self,
        holder: &Holder,
        request: &Registration<'_>,
    ) -> Result<Option<TaskV1>, Trouble> {
        if holder.session != *request.session {
            return Ok(None);
        }
        let asked: Option<TaskV1> = numbered(
            &self.tables.tasks,
            TASKS,
            &holder.session,
            holder.task.get(),
        )?;
        Ok(asked.filter(|asked| asked.url() == request.spec.url().as_str()))
    }
}

/// A claim as an error may show it: without the URL, which may be signed.
fn shown(claim: &[u8]) -> String {
    let path = claim.split(|byte| *byte == 0).next().unwrap_or(claim);
    if path.is_empty() {
        return "an upload".to_owned();
    }
    String::from_utf8_lossy(path).into_owned()
}
