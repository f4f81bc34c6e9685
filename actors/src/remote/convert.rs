//! The documents of the control API as the words of the handles, and back.

use longhaul_engine::control::{
    Problem, RequestDocument, ResumedDocument, StartDocument, TaskDocument,
};
use longhaul_engine::resume_data::ResumeDataError;

use super::question::Unanswered;
use crate::local::{CallError, RefusedStart, ResumedTask, StartRequest, Starts, TaskView};

/// Why a call failed.
pub(super) fn call_error(why: &Unanswered) -> CallError {
    match why {
        Unanswered::Problem(problem) => problem_error(problem.clone()),
        Unanswered::Unreachable(why) => CallError::Unreachable(why.clone()),
        Unanswered::Stopped { reason } => CallError::Stopped {
            reason: reason.clone(),
        },
    }
}

fn problem_error(problem: Problem) -> CallError {
    match problem {
        Problem::SessionInUse { session, pid } => CallError::SessionInUse { session, pid },
        Problem::Invalidated { session } => CallError::Invalidated(session),
        Problem::NoSuchSession { session } => CallError::NoSuchSession(session),
        Problem::NoSuchTask { task } => CallError::NoSuchTask(task),
        Problem::RefreshExpired => CallError::RefreshExpired,
        Problem::Store { detail } => CallError::Store(detail),
        Problem::Stopped { reason } => CallError::Stopped { reason },
        // A daemon of this version says more only where the caller is told below.
        other => CallError::Refused(other.to_string()),
    }
}

/// Why one task was not made.
///
/// # Errors
/// The problem, when it is no refusal of the task.
pub(super) fn refused(problem: Problem) -> Result<RefusedStart, Problem> {
    match problem {
        Problem::TargetInUse { session, task } => Ok(RefusedStart::TargetInUse { session, task }),
        Problem::Invalidated { session } => Ok(RefusedStart::Invalidated(session)),
        Problem::Invalid { detail } => Ok(RefusedStart::Invalid(detail)),
        Problem::ResumeData { reason } => Ok(RefusedStart::ResumeData(reason)),
        other => Err(other),
    }
}

/// Why resume data is of no use; else why the whole call failed.
///
/// # Errors
/// When it is not about the resume data.
pub(super) fn useless(why: &Unanswered) -> Result<ResumeDataError, CallError> {
    match why {
        Unanswered::Problem(Problem::ResumeData { reason }) => Ok(reason.clone()),
        other => Err(call_error(other)),
    }
}

/// Whether it will be otherwise in a moment, when the daemon was started again.
pub(super) const fn is_passing(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::NoSuchClient | Problem::Stopped { .. } | Problem::Store { .. }
    )
}

/// Requests as documents.
pub(super) fn documents(requests: Vec<StartRequest>) -> Vec<RequestDocument> {
    let document = |request| {
        let StartRequest {
            spec,
            adopts,
            desired,
        } = request;
        RequestDocument {
            request: spec,
            adopts,
            desired,
        }
    };
    requests.into_iter().map(document).collect()
}

/// What became of requests.
pub(super) fn starts(documents: Vec<StartDocument>) -> Starts {
    let start = |document| match document {
        StartDocument::Task(task) => Ok(task),
        StartDocument::Problem(problem) => {
            Err(refused(problem).unwrap_or_else(|error| RefusedStart::Invalid(error.to_string())))
        }
    };
    documents.into_iter().map(start).collect()
}

/// A task as its session sees it.
pub(super) fn view(document: TaskDocument) -> TaskView {
    let TaskDocument {
        task,
        request,
        state,
        phase,
        progress,
        outcome,
        slowed_by,
    } = document;
    TaskView {
        id: task,
        spec: Box::new(request),
        state,
        phase,
        progress,
        outcome,
        slowed_by,
    }
}

/// A task that was made of resume data.
pub(super) fn resumed(document: ResumedDocument) -> ResumedTask {
    let ResumedDocument { task, url, file } = document;
    ResumedTask { task, url, file }
}
