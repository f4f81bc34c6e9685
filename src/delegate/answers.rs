//! What a delegate's answers do to the task that waits for them.

use longhaul_actors::handle::{CallError, SessionHandle};
use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::TaskId;

use crate::challenge::check;
use crate::task::checked;

/// Passes on the answer to a challenge, if what it brings along can be sent: the task waits on
/// otherwise.
pub(super) async fn answer_challenge(
    session: &SessionHandle,
    task: TaskId,
    disposition: Disposition,
) -> Result<(), CallError> {
    if let Err(invalid) = check(&disposition) {
        return Err(CallError::Refused(invalid.to_string()));
    }
    session.answer_challenge(task, disposition).await
}

/// Passes on whether, and with what, a delayed task begins. A new request that can not be made is
/// refused, and the task begins with its own.
pub(super) async fn decide_begin(
    session: &SessionHandle,
    task: TaskId,
    decision: DelayedRequest,
) -> Result<(), CallError> {
    let refused = match checked(decision) {
        Ok(decision) => match session.decide_begin(task, decision).await? {
            Ok(()) => return Ok(()),
            Err(refused) => refused.to_string(),
        },
        Err(invalid) => invalid.to_string(),
    };
    tracing::warn!(%task, refused, "a delayed task begins with its own request");
    let begun = session.decide_begin(task, DelayedRequest::ContinueLoading);
    match begun.await? {
        Ok(()) => Ok(()),
        Err(refused) => Err(CallError::Refused(refused.to_string())),
    }
}
