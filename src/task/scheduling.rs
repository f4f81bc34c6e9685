//! When and how fast one task runs, and why it does not.

use longhaul_engine::delayed_request::{DelayedRequest, NewRequest};
use longhaul_engine::task::{Adjustment, Priority};
use longhaul_engine::why::Why;

use super::DownloadTask;
use crate::{Error, header, options};

impl DownloadTask {
    /// Why it is not done yet: what it does or waits for, with the constraint that does not hold,
    /// the time or the cause of the next attempt, and the rate limit that holds it back.
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn why(&self) -> Result<Why, Error> {
        Ok(self.inner.session.why(self.inner.id).await?)
    }

    /// Moves it among the waiting tasks: 0 (last) to 1 (first). Recorded when this answers; a task
    /// that runs or has ended goes on as it is.
    ///
    /// # Errors
    /// As [`DownloadTask::snapshot`].
    pub async fn set_priority(&self, priority: f32) -> Result<(), Error> {
        self.adjust(Adjustment::Priority(Priority::new(priority)))
            .await
    }

    /// Sets the bytes per second for it alone, also while it runs; `None` lifts the limit. Recorded
    /// when this answers.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero; else as [`DownloadTask::snapshot`].
    pub async fn set_rate_limit(&self, bytes_per_second: Option<u64>) -> Result<(), Error> {
        let rate = options::rate(bytes_per_second)?;
        self.adjust(Adjustment::RateLimit(rate)).await
    }

    /// Says what becomes of it when the time has come that was set with `earliest_begin_date` and it
    /// waits for this word ([`Phase::AwaitingBegin`](crate::Phase::AwaitingBegin)), as the answer to
    /// Foundation's `willBeginDelayedRequest`. Recorded when this answers. A task that does not wait
    /// for it is left as it is; without a delegate a task just begins.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a new header can not be sent, [`Error::TargetInUse`] when a live task
    /// claims what the new request would; then it goes on waiting. Else as
    /// [`DownloadTask::snapshot`].
    pub async fn decide_begin(&self, decision: DelayedRequest) -> Result<(), Error> {
        let decision = checked(decision)?;
        let answer = self.inner.session.decide_begin(self.inner.id, decision);
        Ok(answer.await??)
    }

    async fn adjust(&self, adjustment: Adjustment) -> Result<(), Error> {
        Ok(self.inner.session.adjust(self.inner.id, adjustment).await?)
    }
}

/// With header fields that can be sent.
pub(crate) fn checked(decision: DelayedRequest) -> Result<DelayedRequest, Error> {
    let DelayedRequest::UseNewRequest(request) = decision else {
        return Ok(decision);
    };
    let mut headers = Vec::with_capacity(request.headers.len());
    for (name, value) in &request.headers {
        header::push(&mut headers, name, value)?;
    }
    let url = request.url;
    Ok(DelayedRequest::UseNewRequest(NewRequest { url, headers }))
}
