//! A task that waits for an answer, and the answer.

use longhaul_engine::authorization_challenge::{Answered, Challenge, Disposition};
use longhaul_engine::checkpoint::{Stage, TaskCheckpoint};
use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::session::host_key;
use longhaul_engine::task::{Desired, Spec};
use longhaul_engine::upload::UploadStage;

use super::{Batch, Step, encoded};
use crate::change::{Effect, Refusal};
use crate::records::{CheckpointV1, FactV1, TargetV1, TaskV1, Unusable};
use crate::tables::{TASKS, bad_row, next_fact, number_key, numbered};

impl Batch<'_> {
    /// Records that a task waits for an answer, with the fact that says so. One that waits already
    /// keeps its fact: a challenge is told once.
    pub(super) fn challenge(
        &mut self,
        session: &SessionId,
        task: TaskId,
        checkpoint: &TaskCheckpoint,
        challenge: &Challenge,
    ) -> Step {
        let known = self.checkpoint(session, task.get())?;
        let counter = next_fact(session);
        let sequence = self.next_number(&counter)?;
        let fact = Fact::Challenged {
            task,
            challenge: challenge.clone(),
        };
        let row = encoded(&FactV1::from(&fact))?;
        self.put_checkpoint(session, task, checkpoint)?;
        if known.is_some_and(|known| known.awaits_authorization()) {
            return Ok(Effect::Done);
        }
        self.use_number(counter, sequence);
        self.tables
            .events
            .insert(number_key(session, sequence), row.as_slice())?;
        Ok(Effect::Challenged(NumberedFact {
            sequence: Sequence::new(sequence),
            fact,
        }))
    }

    /// A task that waits for an answer asks its server again without one.
    pub(super) fn ask_again(&mut self, session: &SessionId, task: TaskId) -> Step<()> {
        let Some(mut checkpoint) = self.checkpoint(session, task.get())? else {
            return Ok(());
        };
        if checkpoint.awaits_authorization() {
            match &mut checkpoint {
                TaskCheckpoint::Download(known) => known.stage = Stage::Transferring,
                TaskCheckpoint::Upload(known) => known.stage = UploadStage::Transferring,
            }
            self.put_checkpoint(session, task, &checkpoint)?;
        }
        Ok(())
    }

    pub(super) fn renew(
        &mut self,
        session: &SessionId,
        task: TaskId,
        disposition: &Disposition,
    ) -> Step {
        let mut state = self.live_state(session, task)?;
        let mut checkpoint = self
            .checkpoint(session, task.get())?
            .and_then(TaskCheckpoint::into_download)
            .ok_or(Refusal::NotAsked)?;
        let old = self.asked(session, task)?;
        let mut spec = old.clone();
        match disposition.apply(&mut spec, &mut checkpoint) {
            Answered::NotAsked => return Err(Refusal::NotAsked.into()),
            Answered::Cancelled => state.desired = Desired::Cancelled.into(),
            Answered::GoesOn => state.host = host_key(spec.url()),
        }
        let (old, new) = (TaskV1::from(&old), TaskV1::from(&spec));
        let asked_row = encoded(&new)?;
        let progress_row = encoded(&CheckpointV1::from(&checkpoint))?;
        let state_row = encoded(&state)?;
        self.move_claim(session, task, (&old, &new))?;

        let key = number_key(session, task.get());
        self.tables.tasks.insert(key, asked_row.as_slice())?;
        self.tables
            .checkpoints
            .insert(key, progress_row.as_slice())?;
        self.tables.states.insert(key, state_row.as_slice())?;
        Ok(Effect::Answered {
            desired: state.desired.into(),
            host: state.host,
        })
    }

    pub(super) fn asked(&self, session: &SessionId, task: TaskId) -> Step<Spec> {
        let unusable =
            |Unusable(what)| bad_row(TASKS, format!("{session}/{task}"), what.to_owned());
        let row: Option<TaskV1> = numbered(&self.tables.tasks, TASKS, session, task.get())?;
        let row = row.ok_or_else(|| unusable(Unusable("the row is missing")))?;
        Ok(Spec::try_from(row).map_err(unusable)?)
    }

    /// Another URL may mean another claim; a live task holds its own. Refused, with nothing written,
    /// when another live task holds the new one.
    pub(super) fn move_claim(
        &mut self,
        session: &SessionId,
        task: TaskId,
        (old, new): (&TaskV1, &TaskV1),
    ) -> Step<()> {
        let (Some(old), Some(new)) = (old.claim(), new.claim()) else {
            return Ok(());
        };
        if old == new {
            return Ok(());
        }
        self.check_claim(&new)?;
        let target = encoded(&TargetV1 {
            session: session.as_str().to_owned(),
            task: task.get(),
        })?;
        self.tables.targets.remove(old.as_slice())?;
        self.tables
            .targets
            .insert(new.as_slice(), target.as_slice())?;
        Ok(())
    }
}
