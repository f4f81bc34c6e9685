//! When and how fast one task runs, and why it does not: written once for all kinds of tasks.

use longhaul_engine::delayed_request::{DelayedRequest, NewRequest};

use crate::{Error, header};

/// Gives the handle of a task what is said about when and how fast it runs. It has `session()`,
/// `id()` and `snapshot()`.
macro_rules! scheduled_task {
    ($task:ty) => {
        impl $task {
            /// Why it is not done yet: what it does or waits for, with the constraint that does not
            /// hold, the time or the cause of the next attempt, and the rate limit that holds it back.
            ///
            /// # Errors
            /// As [`Self::snapshot`].
            pub async fn why(&self) -> Result<longhaul_engine::why::Why, crate::Error> {
                Ok(self.session().why(self.id()).await?)
            }

            /// Moves it among the waiting tasks: 0 (last) to 1 (first). Recorded when this answers; a
            /// task that runs or has ended goes on as it is.
            ///
            /// # Errors
            /// As [`Self::snapshot`].
            pub async fn set_priority(&self, priority: f32) -> Result<(), crate::Error> {
                let priority = longhaul_engine::task::Priority::new(priority);
                self.adjust(longhaul_engine::task::Adjustment::Priority(priority))
                    .await
            }

            /// Sets the bytes per second for it alone, also while it runs; `None` lifts the limit.
            /// Recorded when this answers.
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::Error::Invalid) when it is zero; else as [`Self::snapshot`].
            pub async fn set_rate_limit(
                &self,
                bytes_per_second: Option<u64>,
            ) -> Result<(), crate::Error> {
                let rate = crate::options::rate(bytes_per_second)?;
                self.adjust(longhaul_engine::task::Adjustment::RateLimit(rate))
                    .await
            }

            /// Says what becomes of it when the time has come that was set with `earliest_begin_date`
            /// and it waits for this word ([`Phase::AwaitingBegin`](crate::Phase::AwaitingBegin)), as
            /// the answer to Foundation's `willBeginDelayedRequest`. Recorded when this answers. A task
            /// that does not wait for it is left as it is; without a delegate a task just begins.
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::Error::Invalid) when a new header can not be sent,
            /// [`Error::TargetInUse`](crate::Error::TargetInUse) when a live task claims what the new
            /// request would; then it goes on waiting. Else as [`Self::snapshot`].
            pub async fn decide_begin(
                &self,
                decision: longhaul_engine::delayed_request::DelayedRequest,
            ) -> Result<(), crate::Error> {
                let decision = crate::task::checked(decision)?;
                Ok(self.session().decide_begin(self.id(), decision).await??)
            }

            async fn adjust(
                &self,
                adjustment: longhaul_engine::task::Adjustment,
            ) -> Result<(), crate::Error> {
                Ok(self.session().adjust(self.id(), adjustment).await?)
            }
        }
    };
}

pub(crate) use scheduled_task;

/// With header fields that can be sent.
pub(crate) fn checked(decision: DelayedRequest) -> Result<DelayedRequest, Error> {
    let DelayedRequest::UseNewRequest(request) = decision else {
        return Ok(decision);
    };
    let headers = header::checked(&request.headers)?;
    let url = request.url;
    Ok(DelayedRequest::UseNewRequest(NewRequest { url, headers }))
}
