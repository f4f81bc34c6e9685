//! What the handle of a session can do, wherever its engine runs.

use std::path::PathBuf;

use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::session::{Invalidation, SessionState};
use longhaul_engine::task::{Adjustment, Desired, NotificationTitles, Outcome};
use longhaul_engine::why::Why;

use super::{
    Attachment, CallError, RefusedStart, ResumeOptions, ResumedTask, SessionHandle, StartRequest,
    Starts, Subscription, TaskView, either,
};

impl SessionHandle {
    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        either!(self, Self, session => session.id())
    }

    /// Says that a delegate of this session is there, for as long as the answer lives. A session
    /// without one belongs to an app that is away.
    pub fn attach(&self) -> Attachment {
        match self {
            Self::Local(session) => Attachment::Local(session.attach()),
            Self::Remote(session) => Attachment::Remote(session.attach()),
        }
    }

    /// Makes and starts tasks, all in one transaction; answers after the commit.
    ///
    /// # Errors
    /// When the engine has stopped, is not reachable or the store fails; then it is not known which
    /// were started.
    pub async fn start(&self, requests: Vec<StartRequest>) -> Result<Starts, CallError> {
        either!(self, Self, session => session.start(requests).await)
    }

    /// Makes tasks as [`SessionHandle::start`] does, and leaves them suspended until they are wanted
    /// to run. One that is adopted is suspended too.
    ///
    /// # Errors
    /// As [`SessionHandle::start`].
    pub async fn create(&self, mut requests: Vec<StartRequest>) -> Result<Starts, CallError> {
        for request in &mut requests {
            request.desired = Desired::Suspended;
        }
        self.start(requests).await
    }

    /// All tasks that are not forgotten, in the order of their numbers.
    ///
    /// # Errors
    /// When the engine has stopped, is not reachable or the store fails.
    pub async fn tasks(&self) -> Result<Vec<TaskView>, CallError> {
        either!(self, Self, session => session.tasks().await)
    }

    /// One task.
    ///
    /// # Errors
    /// When there is none of this number, or as [`SessionHandle::tasks`].
    pub async fn view(&self, task: TaskId) -> Result<TaskView, CallError> {
        either!(self, Self, session => session.view(task).await)
    }

    /// Why a task is not done yet.
    ///
    /// # Errors
    /// As [`SessionHandle::view`].
    pub async fn why(&self, task: TaskId) -> Result<Why, CallError> {
        let view = self.view(task).await?;
        Ok(Why::new(view.phase, view.slowed_by))
    }

    /// Sets what the owner wants of a task; answers after the commit. Harmless to repeat; a task
    /// that has ended is left as it is.
    ///
    /// # Errors
    /// As [`SessionHandle::view`].
    pub async fn want(&self, task: TaskId, desired: Desired) -> Result<(), CallError> {
        either!(self, Self, session => session.want(task, desired).await)
    }

    /// Waits until a task has ended; answers at once when it has. The wait goes on while an engine in
    /// another process is started again, however long that takes.
    ///
    /// # Errors
    /// As [`SessionHandle::view`].
    pub async fn outcome(&self, task: TaskId) -> Result<Outcome, CallError> {
        either!(self, Self, session => session.outcome(task).await)
    }

    /// Changes an option of a task, which counts at once also for one that runs; answers after the
    /// commit. A task that has ended is left as it is.
    ///
    /// # Errors
    /// As [`SessionHandle::view`].
    pub async fn adjust(&self, task: TaskId, adjustment: Adjustment) -> Result<(), CallError> {
        either!(self, Self, session => session.adjust(task, adjustment).await)
    }

    /// Answers the challenge that a task waits with; answers after the commit. Harmless to repeat: an
    /// answer to a task that waits for none changes nothing.
    ///
    /// # Errors
    /// As [`SessionHandle::view`], and when the store refuses the request that the answer makes.
    pub async fn answer_challenge(
        &self,
        task: TaskId,
        disposition: Disposition,
    ) -> Result<(), CallError> {
        either!(self, Self, session => session.answer_challenge(task, disposition).await)
    }

    /// Says what becomes of a delayed task whose time has come and that waits for this word; answers
    /// after the commit. Any other task is left as it is. With a new request that claims what another
    /// task claims it goes on waiting.
    ///
    /// # Errors
    /// As [`SessionHandle::view`].
    pub async fn decide_begin(
        &self,
        task: TaskId,
        decision: DelayedRequest,
    ) -> Result<Result<(), RefusedStart>, CallError> {
        either!(self, Self, session => session.decide_begin(task, decision).await)
    }

    /// The first task after this number that waits for [`SessionHandle::decide_begin`].
    ///
    /// # Errors
    /// As [`SessionHandle::tasks`].
    pub async fn next_awaiting_begin(&self, after: TaskId) -> Result<Option<TaskId>, CallError> {
        either!(self, Self, session => session.next_awaiting_begin(after).await)
    }

    /// Events from now on, and every fact that was not acknowledged; of one task or of all.
    ///
    /// # Errors
    /// When the end of the session was acknowledged, or the engine has stopped or is not reachable.
    pub async fn subscribe(&self, task: Option<TaskId>) -> Result<Subscription, CallError> {
        match self {
            Self::Local(session) => session.subscribe(task).await.map(Subscription::Local),
            Self::Remote(session) => session.subscribe(task).await.map(Subscription::Remote),
        }
    }

    /// Acknowledges facts up to and including this one: they are not told again, and tasks whose
    /// terminal fact is among them are forgotten; with the last fact of an invalidated session the
    /// session is, and its name is free. Answers after the commit.
    ///
    /// # Errors
    /// As [`SessionHandle::tasks`].
    pub async fn acknowledge(&self, up_to: Sequence) -> Result<(), CallError> {
        either!(self, Self, session => session.acknowledge(up_to).await)
    }

    /// Whether no task is live and every fact of the session is at or before this one: who has
    /// heard that far has heard everything (`urlSessionDidFinishEvents`). A task that is made at the
    /// same moment may or may not be seen.
    ///
    /// # Errors
    /// As [`SessionHandle::tasks`].
    pub async fn is_drained(&self, heard: Sequence) -> Result<bool, CallError> {
        either!(self, Self, session => session.is_drained(heard).await)
    }

    /// Lets the session take no new tasks and end with the last that it has. Answers after the
    /// commit: it survives a restart from then on. Harmless to repeat.
    ///
    /// # Errors
    /// When its end was acknowledged already, or as [`SessionHandle::tasks`].
    pub async fn invalidate(&self, how: Invalidation) -> Result<(), CallError> {
        either!(self, Self, session => session.invalidate(how).await)
    }

    /// Where it is in its life.
    ///
    /// # Errors
    /// As [`SessionHandle::invalidate`].
    pub async fn state(&self) -> Result<SessionState, CallError> {
        either!(self, Self, session => session.state().await)
    }

    /// Sets the bytes per second of all tasks of the session together, from now on; `None` lifts the
    /// limit. When the engine starts again, the configuration counts.
    ///
    /// # Errors
    /// As [`SessionHandle::tasks`].
    pub async fn set_rate_limit(&self, bytes_per_second: Option<u64>) -> Result<(), CallError> {
        either!(self, Self, session => session.set_rate_limit(bytes_per_second).await)
    }

    /// Makes and starts a task that goes on with what another one left, whose file goes to
    /// `destination`, an absolute path; answers after the commit. The resume data is used up then.
    ///
    /// # Errors
    /// As [`SessionHandle::tasks`]; the inner error says why it was refused, and that nothing was
    /// changed.
    pub async fn resume_download(
        &self,
        data: ResumeData,
        destination: PathBuf,
        options: ResumeOptions,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        either!(self, Self, session => session.resume_download(data, destination, options).await)
    }

    /// Makes and starts a task that sends the file which another one was about to send, from its first
    /// byte; answers after the commit. The resume data is used up then. The notification of its end has
    /// these titles, or those of the first task.
    ///
    /// # Errors
    /// As [`SessionHandle::resume_download`].
    pub async fn resume_upload(
        &self,
        data: ResumeData,
        titles: Option<NotificationTitles>,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        either!(self, Self, session => session.resume_upload(data, titles).await)
    }

    /// Cancels a task, waits for its end, and gives what it left; `None` when there is nothing to go
    /// on with, or it ended before. The wish is harmless to repeat and gives the same again.
    ///
    /// # Errors
    /// As [`SessionHandle::view`].
    pub async fn cancel_for_resume_data(
        &self,
        task: TaskId,
    ) -> Result<Option<ResumeData>, CallError> {
        // The wait begins before the wish: whoever acknowledges the end at once does not take it away.
        let outcome = self.outcome(task);
        let wanted = self.want(task, Desired::CancelledResumable);
        let (outcome, ()) = futures_util::future::try_join(outcome, wanted).await?;
        Ok(outcome.resume_data().cloned())
    }

    /// Removes the files that resume data stands for; nothing is left to go on with. Harmless to repeat.
    ///
    /// # Errors
    /// As [`SessionHandle::tasks`]; the inner error says why it was refused.
    pub async fn discard_resume_data(
        &self,
        data: ResumeData,
    ) -> Result<Result<(), ResumeDataError>, CallError> {
        either!(self, Self, session => session.discard_resume_data(data).await)
    }
}
