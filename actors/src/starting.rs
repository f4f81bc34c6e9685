//! Requests for tasks: as changes of the store, and what its answers mean.

use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::task::{Desired, Spec};
use longhaul_engine::time::Timestamp;
use longhaul_persistence::{Change, Effect, Refusal};

use crate::local::{CallError, RefusedStart};
use crate::registry::{Answer, NotStored};
use crate::time::entropy;

/// A task to be started.
#[derive(Clone, Debug)]
pub struct StartRequest {
    /// What to transfer.
    pub spec: Spec,
    /// Take over the session's task of the same URL and destination, if it has one: its bytes are
    /// kept, its options become those of `spec`. One that has ended is taken over when its end is the
    /// one that `spec` would have had; otherwise the task is a new one.
    pub adopts: bool,
    /// Whether it runs at once or waits, suspended.
    pub desired: Desired,
}

/// One answer for each request: the task, or why there is none.
pub type Starts = Vec<Result<TaskId, RefusedStart>>;

/// The task that the store has for a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Started {
    /// It was made just now.
    New(TaskId),
    /// It was there.
    Adopted {
        task: TaskId,
        /// Its options are others now.
        is_changed: bool,
    },
}

impl Started {
    pub(crate) const fn task(self) -> TaskId {
        match self {
            Self::New(task) | Self::Adopted { task, .. } => task,
        }
    }
}

/// Makes requests harmless to repeat: what an earlier try has made is taken over.
pub(crate) fn adopt_all(requests: &mut [StartRequest]) {
    for request in requests {
        request.adopts = true;
    }
}

/// Gives each request to upload that has none its name, by which an earlier try is found when it is
/// repeated.
pub(crate) fn name_all(requests: &mut [StartRequest]) {
    for request in requests {
        if let Spec::Upload(upload) = &mut request.spec
            && upload.request_id == 0
        {
            upload.request_id = u128::from(entropy()) << 64 | u128::from(entropy()) | 1;
        }
    }
}

/// The change that makes a task, or finds it, and lets it run.
pub(crate) fn change_of(request: StartRequest, session: &SessionId, now: Timestamp) -> Change {
    Change::Register {
        session: session.clone(),
        spec: Box::new(request.spec),
        desired: request.desired,
        created_at: now,
        adopt: request.adopts,
    }
}

/// What the answer to such a change means.
///
/// # Errors
/// When the store has failed, so that it is not known what became of any request.
pub(crate) fn started(answer: Answer) -> Result<Result<Started, RefusedStart>, CallError> {
    match answer {
        Ok(Effect::Registered(task)) => Ok(Ok(Started::New(task))),
        Ok(Effect::Adopted { task, is_changed }) => Ok(Ok(Started::Adopted { task, is_changed })),
        Err(NotStored::Refused(Refusal::TargetInUse { session, task })) => {
            Ok(Err(RefusedStart::TargetInUse { session, task }))
        }
        Err(NotStored::Refused(Refusal::Invalidated(session))) => {
            Ok(Err(RefusedStart::Invalidated(session)))
        }
        Err(NotStored::Refused(refusal)) => Ok(Err(RefusedStart::Invalid(refusal.to_string()))),
        Ok(
            Effect::Done
            | Effect::Closed(_)
            | Effect::Invalidated(_)
            | Effect::Challenged(_)
            | Effect::Answered { .. }
            | Effect::Forgotten(_),
        )
        | Err(NotStored::Fenced) => Err(CallError::Store(
            "the store gave an answer to another question".to_owned(),
        )),
        Err(NotStored::Failed(why)) => Err(CallError::Store(why)),
    }
}
