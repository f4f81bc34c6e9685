//! What a delegate's answers do to the task that waits for them.

use longhaul_actors::handle::{CallError, SessionHandle};
use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::TaskId;
use longhaul_engine::task::Desired;

/// Passes on the answer to a challenge.
pub(super) async fn answer_challenge(
    session: &SessionHandle,
    task: TaskId,
    disposition: Disposition,
) -> Result<(), CallError> {
    session.answer_challenge(task, disposition).await
}

/// Passes on whether, and with what, a delayed task begins.
pub(super) async fn decide_begin(
    session: &SessionHandle,
    task: TaskId,
    decision: DelayedRequest,
) -> Result<(), CallError> {
    match decision {
        DelayedRequest::Cancel => session.want(task, Desired::Cancelled).await,
        DelayedRequest::ContinueLoading | DelayedRequest::UseNewRequest(_) => {
            session.want(task, Desired::Running).await
        }
    }
}
