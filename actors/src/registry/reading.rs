//! What the registry is asked without changing anything.

use actix::{Handler, Message};
use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::event::NumberedFact;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::launch::LaunchLog;
use longhaul_engine::session::{SessionRules, SessionState};
use longhaul_engine::task::Task;
use longhaul_persistence::TaskSummary;

use super::{NotStored, RegistryActor};
use crate::fault;

/// One task with its progress.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<(Task, Option<TaskCheckpoint>)>, NotStored>")]
pub(crate) struct ReadTask {
    pub(crate) session: SessionId,
    pub(crate) task: TaskId,
}

impl Handler<ReadTask> for RegistryActor {
    type Result = Result<Option<(Task, Option<TaskCheckpoint>)>, NotStored>;

    fn handle(&mut self, message: ReadTask, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_task");
        let found = self.store.task(&message.session, message.task);
        self.read(found, context)
    }
}

/// All sessions that the store knows, with the configurations that they were opened with last.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<(SessionId, SessionRules)>, NotStored>")]
pub(crate) struct ReadSessions;

impl Handler<ReadSessions> for RegistryActor {
    type Result = Result<Vec<(SessionId, SessionRules)>, NotStored>;

    fn handle(&mut self, _: ReadSessions, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_sessions");
        let read = || {
            let mut found = Vec::new();
            for id in self.store.sessions()? {
                if let Some(rules) = self.store.session(&id)? {
                    found.push((id, rules));
                }
            }
            Ok(found)
        };
        self.read(read(), context)
    }
}

/// Where a session is in its life; `None` when the store does not know it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<SessionState>, NotStored>")]
pub(crate) struct ReadState(pub(crate) SessionId);

impl Handler<ReadState> for RegistryActor {
    type Result = Result<Option<SessionState>, NotStored>;

    fn handle(&mut self, ReadState(id): ReadState, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_state");
        let found = self.store.session_state(&id);
        self.read(found, context)
    }
}

/// Where sessions are in their lives and how their apps were called; `None` for each that the store
/// does not know. Answered in the same order.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<Option<Lives>>, NotStored>")]
pub(crate) struct ReadLives(pub(crate) Vec<SessionId>);

/// What the store knows of a session's life.
#[derive(Debug)]
pub(crate) struct Lives {
    pub(crate) state: SessionState,
    pub(crate) launches: LaunchLog,
}

impl Handler<ReadLives> for RegistryActor {
    type Result = Result<Vec<Option<Lives>>, NotStored>;

    fn handle(&mut self, ReadLives(ids): ReadLives, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_lives");
        let read = |id: &SessionId| {
            let Some(state) = self.store.session_state(id)? else {
                return Ok(None);
            };
            let launches = self.store.launches(id)?;
            Ok(Some(Lives { state, launches }))
        };
        let found = ids.iter().map(read).collect();
        self.read(found, context)
    }
}

/// A page of a session's tasks with all that is known of each, as they were at one moment.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<(Task, Option<TaskCheckpoint>)>, NotStored>")]
pub(crate) struct ReadTasks {
    pub(crate) session: SessionId,
    pub(crate) after: Option<TaskId>,
    pub(crate) limit: usize,
}

impl Handler<ReadTasks> for RegistryActor {
    type Result = Result<Vec<(Task, Option<TaskCheckpoint>)>, NotStored>;

    fn handle(&mut self, message: ReadTasks, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_tasks");
        let found = self
            .store
            .full_tasks(&message.session, message.after, message.limit);
        self.read(found, context)
    }
}

/// A page of a session's tasks, each as its queue needs it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<TaskSummary>, NotStored>")]
pub(crate) struct ListTasks {
    pub(crate) session: SessionId,
    pub(crate) after: Option<TaskId>,
    pub(crate) limit: usize,
}

impl Handler<ListTasks> for RegistryActor {
    type Result = Result<Vec<TaskSummary>, NotStored>;

    fn handle(&mut self, message: ListTasks, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.list");
        let found = self
            .store
            .tasks(&message.session, message.after, message.limit);
        self.read(found, context)
    }
}

/// Facts that nobody has acknowledged.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<NumberedFact>, NotStored>")]
pub(crate) struct ReadFacts {
    pub(crate) session: SessionId,
    pub(crate) after: Sequence,
    pub(crate) limit: usize,
}

impl Handler<ReadFacts> for RegistryActor {
    type Result = Result<Vec<NumberedFact>, NotStored>;

    fn handle(&mut self, message: ReadFacts, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_facts");
        let found = self
            .store
            .facts(&message.session, message.after, message.limit);
        self.read(found, context)
    }
}

/// The number of a session's last fact, acknowledged or not.
#[derive(Debug, Message)]
#[rtype(result = "Result<Sequence, NotStored>")]
pub(crate) struct ReadLastFact(pub(crate) SessionId);

impl Handler<ReadLastFact> for RegistryActor {
    type Result = Result<Sequence, NotStored>;

    fn handle(&mut self, message: ReadLastFact, context: &mut Self::Context) -> Self::Result {
        fault::point("registry.read_last_fact");
        let found = self.store.last_fact(&message.0);
        self.read(found, context)
    }
}
