//! Answers to challenges.

use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::id::TaskId;

use super::{CallError, SessionHandle};
use crate::session::AnswerChallenge;

impl SessionHandle {
    /// Answers the challenge that a task waits with; answers after the commit, so that it survives a
    /// crash. Harmless to repeat: an answer to a task that waits for none changes nothing.
    ///
    /// # Errors
    /// When there is none of this number, when the store refuses the request that the answer makes
    /// (it is too large, or another task writes to the same target), when the engine has stopped, or
    /// the store fails.
    pub async fn answer_challenge(
        &self,
        task: TaskId,
        disposition: Disposition,
    ) -> Result<(), CallError> {
        let make = || AnswerChallenge {
            task,
            disposition: disposition.clone(),
        };
        self.ask(make).await
    }
}
