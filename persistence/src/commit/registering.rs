//! Making a task, or finding the one that does the same.

use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::session::host_key;
use longhaul_engine::task::{Desired, Spec};
use longhaul_engine::time::Timestamp;
use redb::ReadableTable;

use super::{Batch, Step, encoded};
use crate::change::{Effect, Refusal};
use crate::error::Trouble;
use crate::records::{StateV1, TargetV1, TaskV1};
use crate::tables::{NEXT_TASK, TARGETS, TASKS, bad_row, decode_row, number_key, numbered};

/// A request for a task.
pub(super) struct Registration<'a> {
    pub(super) session: &'a SessionId,
    pub(super) spec: &'a Spec,
    pub(super) desired: Desired,
    pub(super) created_at: Timestamp,
    pub(super) adopt: bool,
}

/// The task that claimed a destination last.
struct Holder {
    session: SessionId,
    task: TaskId,
    state: StateV1,
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
            Some(holder) if request.adopt && self.is_for(&holder, request)? => {
                if holder.state.has_failed() && asked.leaves_bytes() {
                    self.inherit(&holder, &asked, request)
                } else {
                    self.adopt(holder, &asked, request)
                }
            }
            Some(Holder {
                session,
                task,
                state: StateV1 { ended: None, .. },
            }) => Err(Refusal::TargetInUse { session, task }.into()),
            Some(_) | None => self.create(&asked, request),
        }
    }

    fn create(&mut self, asked: &TaskV1, request: &Registration<'_>) -> Step {
        let number = self.next_number(NEXT_TASK)?;
        let row = encoded(asked)?;
        let state = encoded(&StateV1 {
            desired: request.desired.into(),
            created_at_ms: request.created_at.as_unix_ms(),
            host: host_key(request.spec.url()),
            ended: None,
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
        Ok(Effect::Registered(TaskId::new(number)))
    }

    /// Makes a task that goes on with what a failed one had fetched; its attempts are its own.
    fn inherit(&mut self, failed: &Holder, asked: &TaskV1, request: &Registration<'_>) -> Step {
        let progress = self.checkpoint(&failed.session, failed.task.get())?;
        let effect = self.create(asked, request)?;
        if let (Some(progress), Effect::Registered(task)) = (progress, &effect) {
            self.record(request.session, *task, &progress.inherited())?;
            self.tables
                .checkpoints
                .remove(number_key(&failed.session, failed.task.get()))?;
        }
        Ok(effect)
    }

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
        if state.ended.is_none() && state.desired != request.desired.into() {
            state.desired = request.desired.into();
            self.put_state(&session, task, &state)?;
        }
        Ok(Effect::Adopted {
            task,
            is_changed: !is_same,
        })
    }

    fn holder(&self, claim: &[u8]) -> Result<Option<Holder>, Trouble> {
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

    /// Whether the holder of the destination is of the same session and fetches the same URL.
    fn is_for(&self, holder: &Holder, request: &Registration<'_>) -> Result<bool, Trouble> {
        if holder.session != *request.session {
            return Ok(false);
        }
        let asked: Option<TaskV1> = numbered(
            &self.tables.tasks,
            TASKS,
            &holder.session,
            holder.task.get(),
        )?;
        Ok(asked.is_some_and(|asked| asked.url() == request.spec.url().as_str()))
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
