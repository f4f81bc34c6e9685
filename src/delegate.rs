//! What an app hears of its session by method calls, in the manner of `URLSessionDelegate`.

mod answers;
mod dispatcher;
mod guard;

use longhaul_engine::authorization_challenge::{Challenge, Disposition};
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::TaskId;
use longhaul_engine::metrics::TaskMetrics;
use longhaul_engine::task::{Finished, Outcome, Progress};

pub use guard::DelegateGuard;

/// Hears what happens in a session; set by [`Session::set_delegate`](crate::Session::set_delegate).
/// Every method does nothing by default but answer as Foundation does without a delegate.
///
/// # Order
/// The methods are called one after the other on a thread of the delegate's own (Foundation's
/// `delegateQueue`). For each task they come in this order: `did_receive_challenge` and
/// `will_begin_delayed_request` whenever there is something to decide; `did_resume_at_offset`,
/// `did_write_data` and `did_send_body_data` while bytes flow; then `did_finish_downloading`,
/// `did_finish_collecting_metrics`, and `did_complete`, which is the last (NSURLSession.h, at
/// `URLSession:task:didCompleteWithError:`).
///
/// # What is certain
/// The end of a task, a challenge, [`did_become_invalid`](Self::did_become_invalid) and
/// [`state_lost`](Self::state_lost) are facts: committed before they are told, told in the order of
/// their commits, and acknowledged once the last method for them has *returned*. When the process
/// dies before that, they are told again to the next delegate, be it in another process: so a method
/// may be called twice for one end, always with the same outcome, and must bear it. Acknowledging
/// forgets the task. Progress is news: at most ten times a second for each task, only the latest
/// when the delegate is slow, never after the end, and none at all for a quick transfer.
///
/// # Panics
/// A method that panics harms neither the engine nor the app: the panic is logged, and the other
/// methods are called as if it had returned its default, only that a challenge stays unanswered.
/// When it was called for a fact, this delegate's facts are not acknowledged any more from then on,
/// so that the next one, after `set_delegate` was called again, hears the one that was not taken care
/// of once more, with those after it. An app that can not get past one of them acknowledges it by
/// [`Session::acknowledge`](crate::Session::acknowledge).
///
/// # Blocking
/// A method may block, for example on futures of this crate: only later calls of the same session's
/// delegate wait for it.
pub trait Delegate: Send + Sync + 'static {
    /// A server wants credentials, or another URL, before it lets a task go on. The task waits, with
    /// its bytes, for what this returns. The default is
    /// [`Disposition::PerformDefaultHandling`] (`URLSession:task:didReceiveChallenge:`).
    fn did_receive_challenge(&self, task: TaskId, challenge: &Challenge) -> Disposition {
        let _ = (task, challenge);
        Disposition::PerformDefaultHandling
    }

    /// The time that a task was not to begin before has come
    /// ([`DownloadRequest::earliest_begin_date`](crate::DownloadRequest::earliest_begin_date)), and
    /// everything else that it waits for is there. It begins when the answer is recorded, and is not
    /// asked about again then; a kill before that has the next delegate asked. The default is
    /// [`DelayedRequest::ContinueLoading`] (`URLSession:task:willBeginDelayedRequest:`).
    ///
    /// A new request that can not be made, because a header can not be sent or another task claims the
    /// same target, is refused: a warning is logged and the task begins with its own. Tasks whose time
    /// comes while there is no delegate just begin; see [`Engine::session_with_delegate`] for those
    /// whose time came while the app was away.
    ///
    /// [`Engine::session_with_delegate`]: crate::Engine::session_with_delegate
    fn will_begin_delayed_request(&self, task: TaskId) -> DelayedRequest {
        let _ = task;
        DelayedRequest::ContinueLoading
    }

    /// An attempt goes on at this offset with the bytes of an earlier one; at zero when they were of
    /// no use, because the resource has changed perhaps. The length of the whole is `None` when no
    /// server has named it
    /// (`URLSession:downloadTask:didResumeAtOffset:expectedTotalBytes:`).
    fn did_resume_at_offset(&self, task: TaskId, offset: u64, total_bytes: Option<u64>) {
        let _ = (task, offset, total_bytes);
    }

    /// How far a download is
    /// (`URLSession:downloadTask:didWriteData:totalBytesWritten:totalBytesExpectedToWrite:`).
    fn did_write_data(&self, task: TaskId, progress: Progress) {
        let _ = (task, progress);
    }

    /// How far an upload is: [`Progress::sent_bytes`] were given to the network, and the next attempt goes
    /// on at [`Progress::acknowledged_bytes`]. Only its end says that the server has them all
    /// (`URLSession:task:didSendBodyData:totalBytesSent:totalBytesExpectedToSend:`).
    fn did_send_body_data(&self, task: TaskId, progress: Progress) {
        let _ = (task, progress);
    }

    /// Every byte of a download is under its final name. Unlike Foundation's temporary file it stays
    /// there (`URLSession:downloadTask:didFinishDownloadingToURL:`). It is not called for
    /// [`Outcome::Skipped`], which fetched nothing.
    fn did_finish_downloading(&self, task: TaskId, file: &Finished) {
        let _ = (task, file);
    }

    /// What a task took; not called for one that ended without a transfer
    /// (`URLSession:task:didFinishCollectingMetrics:`).
    fn did_finish_collecting_metrics(&self, task: TaskId, metrics: &TaskMetrics) {
        let _ = (task, metrics);
    }

    /// A task has ended, well or not: its last message. When this has returned, the end is
    /// acknowledged and the task forgotten (`URLSession:task:didCompleteWithError:`). What a server
    /// answered to an upload is in [`Outcome::Uploaded`].
    fn did_complete(&self, task: TaskId, outcome: &Outcome) {
        let _ = (task, outcome);
    }

    /// Everything was told and no task is left that could still end: once for each time that the
    /// session runs empty (`URLSessionDidFinishEventsForBackgroundURLSession:`). A task that is
    /// suspended or waits is left. An app that comes back after everything had ended hears the ends,
    /// and then this; the last end is acknowledged after it has returned, so a kill between the two
    /// makes it come again. When every end was acknowledged before, there is nothing to finish.
    fn session_finished_events(&self) {}

    /// The session is no more: its last message. The delegate is let go when this has returned
    /// (`URLSession:didBecomeInvalidWithError:`).
    fn did_become_invalid(&self) {}

    /// The store was damaged and made anew: what the session knew before is lost. It is the first
    /// message of the new one, and Foundation has none like it; its model is `state_lost` of
    /// Chromium's download service.
    fn state_lost(&self) {}
}
