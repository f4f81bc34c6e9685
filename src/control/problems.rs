//! What went wrong in the engine, in the words of the control API.

use longhaul_actors::local::{CallError, RefusedStart};
use longhaul_engine::control::Problem;

use crate::Error;

/// A call that the engine did not answer.
pub(super) fn of_call(error: CallError) -> Problem {
    match error {
        CallError::Stopped { reason } => Problem::Stopped { reason },
        CallError::SessionInUse { session, pid } => Problem::SessionInUse { session, pid },
        CallError::Invalidated(session) => Problem::Invalidated { session },
        CallError::NoSuchSession(session) => Problem::NoSuchSession { session },
        CallError::NoSuchTask(task) => Problem::NoSuchTask { task },
        CallError::RefreshExpired => Problem::RefreshExpired,
        CallError::Refused(detail) => Problem::Invalid { detail },
        CallError::Store(detail) => Problem::Store { detail },
        other => Problem::Stopped {
            reason: Some(other.to_string()),
        },
    }
}

/// A request that the engine did not take.
pub(super) fn of_refusal(refusal: RefusedStart) -> Problem {
    match refusal {
        RefusedStart::TargetInUse { session, task } => Problem::TargetInUse { session, task },
        RefusedStart::Invalidated(session) => Problem::Invalidated { session },
        RefusedStart::Invalid(detail) => Problem::Invalid { detail },
        RefusedStart::ResumeData(reason) => Problem::ResumeData { reason },
        other => Problem::invalid(other.to_string()),
    }
}

/// A document that a builder does not take.
pub(super) fn of_document(error: Error) -> Problem {
    Problem::invalid(error.to_string())
}
