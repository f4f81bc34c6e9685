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
pub(crate) struct Intake(Arc<Mutex<Vec<Write>>>, #[cfg(test)] Arc<Hold>);

impl Intake {
    /// Puts writes in, and wakes the registry when nothing waited before.
    pub(crate) fn put(
        &self,
        writes: impl IntoIterator<Item = Write>,
        registry: &SlotRef<RegistryActor>,
    ) {
        #[cfg(test)]
        self.1
            .registry
            .lock()
            .expect("no panic")
            .replace(registry.clone());
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
        #[cfg(test)]
        if self.1.is_held() {
            return Vec::new();
        }
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether what waits is kept from the registry, so that a test sees what goes on without its commit.
#[cfg(test)]
#[derive(Debug, Default)]
struct Hold {
    is_held: std::sync::atomic::AtomicBool,
    registry: Mutex<Option<SlotRef<RegistryActor>>>,
}

#[cfg(test)]
impl Hold {
    fn is_held(&self) -> bool {
        self.is_held.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Intake {
    /// Nothing is committed from now on that a transfer writes.
    pub(crate) fn hold(&self) {
        self.1
            .is_held
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Everything is again.
    pub(crate) fn release(&self) {
        self.1
            .is_held
            .store(false, std::sync::atomic::Ordering::Relaxed);
        let registry = self.1.registry.lock().expect("no panic");
        if let Some(registry) = registry.as_ref().and_then(SlotRef::current) {
            registry.do_send(Collect);
        }
    }
}

/// Something waits in the intake.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Collect;
