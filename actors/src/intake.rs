//! What transfers want written, until the registry takes it at its next commit.

use std::sync::{Arc, Mutex, PoisonError};

use actix::Message;
use longhaul_engine::id::{Generation, TaskId};
use longhaul_persistence::Change;
use tokio::sync::oneshot;

use crate::registry::{Answer, RegistryActor};
use crate::slot::SlotRef;
use crate::world::Worker;

/// A transfer writes about its own task: a checkpoint or the end. Refused unless it is of the
/// generation that was begun last. Answered after the commit; when the registry dies before, the
/// answer is that nobody will answer.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) task: TaskId,
    pub(crate) generation: Generation,
    pub(crate) change: Change,
    /// Where the answer is waited for: those of one worker travel together.
    pub(crate) worker: Worker,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// Writes that wait for the next commit, shared by the transfers, which put them in, and the
/// registry. It outlives the registry, so that the next one finds what its predecessor left.
///
/// It is no mailbox, because a mailbox wakes its actor for every message, and many small files make
/// thousands of writes a second that can only wait for the commit anyway. It holds at most a few
/// writes of each running transfer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intake(Arc<Mutex<Vec<Write>>>);

impl Intake {
    /// Puts writes in, and wakes the registry when nothing waited before.
    pub(crate) fn put(
        &self,
        writes: impl IntoIterator<Item = Write>,
        registry: &SlotRef<RegistryActor>,
    ) {
        let is_first = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = waiting.is_empty();
            waiting.extend(writes);
            was_empty && !waiting.is_empty()
        };
        // A registry that is being restarted looks by itself when it starts.
        if is_first && let Some(registry) = registry.current() {
            registry.do_send(Collect);
        }
    }

    /// Everything that waits.
    pub(crate) fn take(&self) -> Vec<Write> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Something waits in the intake.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Collect;
