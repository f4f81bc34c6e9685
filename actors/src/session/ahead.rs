//! What the registry has said of the tasks whose turn comes next: their transfers need not ask.
//!
//! Where many small files wait for places, a question of each transfer would be two messages to
//! other threads and a wait, with the place taken and nothing on the wire. So the session asks for
//! many tasks at once before their turn comes.

use std::collections::HashMap;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use longhaul_engine::id::TaskId;
use longhaul_engine::lifecycle::State;

use super::SessionActor;
use crate::fault;
use crate::registry::{Begin, Begun};

/// Tasks that are asked for until so many are kept, a kilobyte or so each; those that stood by and do
/// not any more are kept beside them.
const AHEAD_MAX: usize = 128;

/// With fewer at hand the next are asked for.
const AHEAD_MIN: usize = AHEAD_MAX / 2;

/// The tasks that have been read ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    begun: HashMap<TaskId, Begun>,
    is_asking: bool,
    /// A task was changed since the registry was asked.
    is_outdated: bool,
}

impl Ahead {
    /// What is known of a task that runs now.
    pub(super) fn take(&mut self, task: TaskId) -> Option<Begun> {
        self.begun.remove(&task)
    }

    /// Whether it is known.
    pub(super) fn knows(&self, task: TaskId) -> bool {
        self.begun.contains_key(&task)
    }

    /// Keeps what was read of a task whose transfer starts soon.
    pub(super) fn put(&mut self, task: TaskId, begun: Option<Begun>) {
        self.begun.extend(begun.map(|begun| (task, begun)));
    }

    /// What was read of the task does not hold any more, or it does not run next.
    pub(super) fn forget(&mut self, task: TaskId) {
        self.begun.remove(&task);
        self.is_outdated |= self.is_asking;
    }
}

impl SessionActor {
    /// Asks for the tasks that run next, when few are at hand.
    pub(super) fn look_ahead(&mut self, context: &mut Context<Self>) {
        if self.ahead.is_asking || self.ahead.begun.len() >= AHEAD_MIN || self.quiesce.is_some() {
            return;
        }
        // Those that stand by come first, and are not at hand any more.
        let mut tasks = self.queue.upcoming(AHEAD_MAX + self.successors.len());
        tasks.retain(|task| !self.ahead.knows(*task));
        self.successors.leave_out(&mut tasks);
        tasks.truncate(AHEAD_MAX - self.ahead.begun.len());
        if tasks.is_empty() {
            return;
        }
        self.ahead.is_asking = true;
        self.ahead.is_outdated = false;
        let registry = self.parts.registry.clone();
        let session = self.parts.id.clone();
        let ask = async move {
            fault::point("session.looking_ahead");
            let make = || Begin {
                session: session.clone(),
                tasks: tasks.clone(),
            };
            let answer = registry.call(make).await;
            (tasks, answer)
        };
        let asked = ask.into_actor(self);
        context.spawn(asked.map(|(tasks, answer), session, context| {
            fault::point("session.looked_ahead");
            session.ahead.is_asking = false;
            // Without an answer the transfers ask for themselves.
            if let (false, Ok(Ok(begun))) = (session.ahead.is_outdated, answer) {
                session.looked_ahead(tasks.into_iter().zip(begun));
                session.let_stand_by(context);
            }
        }));
    }

    /// Keeps what was read of tasks that still wait: the others have asked for themselves.
    fn looked_ahead(&mut self, read: impl Iterator<Item = (TaskId, Begun)>) {
        for (task, begun) in read {
            let state = self.tasks.get(&task).map(|entry| entry.state);
            if state == Some(State::Queued) && matches!(begun, Begun::Live(..)) {
                self.ahead.put(task, Some(begun));
            }
        }
    }
}
