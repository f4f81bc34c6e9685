//! Which transfer may still write about a task.

use std::collections::HashMap;

use longhaul_engine::id::{Generation, TaskId};
use longhaul_persistence::{Change, Effect};

use super::Answer;
use crate::intake::Write;

/// One fence for each task that a transfer was begun for.
#[derive(Debug, Default)]
pub(super) struct Fences(HashMap<TaskId, Fence>);

#[derive(Debug)]
struct Fence {
    /// The transfer that was begun last.
    generation: Generation,
    /// The task was given other options since then: that transfer may record how far it is, but its
    /// end is not the one that is wanted.
    is_outdated: bool,
}

impl Fences {
    /// From now on only this transfer may write.
    pub(super) fn raise(&mut self, task: TaskId, generation: Generation) {
        let fence = Fence {
            generation,
            is_outdated: false,
        };
        self.0.insert(task, fence);
    }

    /// The task has ended: nobody writes about it any more.
    pub(super) fn lower(&mut self, task: TaskId) {
        self.0.remove(&task);
    }

    /// Tasks were given other options: a transfer that began with those of before must not end them.
    pub(super) fn outdate(&mut self, answers: &[Answer]) {
        for answer in answers {
            if let Ok(Effect::Adopted {
                task,
                is_changed: true,
            }) = answer
                && let Some(fence) = self.0.get_mut(task)
            {
                fence.is_outdated = true;
            }
        }
    }

    /// Whether a transfer may write this.
    pub(super) fn lets(&self, write: &Write) -> bool {
        let is_end = matches!(write.change, Change::Close { .. });
        self.0.get(&write.task).is_some_and(|fence| {
            fence.generation == write.generation && !(is_end && fence.is_outdated)
        })
    }

    /// Whether this transfer may end its task, and leave resume data of it.
    pub(super) fn lets_end(&self, task: TaskId, generation: Generation) -> bool {
        let fence = self.0.get(&task);
        fence.is_some_and(|fence| fence.generation == generation && !fence.is_outdated)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
