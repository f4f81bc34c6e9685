//! What is asked of a session in another process, one question each.

use std::path::PathBuf;

use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::control::{
    AdjustTask, AnswerChallenge, AskedAnew, AtRoot, DecideBegin, DiscardResumeData, GetTask,
    InvalidateSession, IsDrained, ListTasks, NextAwaitingBegin, ResumeTask, SetDesired,
    SetSessionRateLimit,
};
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::{Sequence, TaskId};
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::session::{Invalidation, SessionState};
use longhaul_engine::task::{Adjustment, Desired, NotificationTitles};

use super::SessionHandle;
use crate::local::{CallError, RefusedStart, ResumeOptions, ResumedTask, TaskView};
use crate::remote::convert;
use crate::remote::question::{Question, Unanswered};

/// Each answers and fails as that of the engine itself, and fails with [`CallError::Unreachable`]
/// when the daemon is away for longer than patience lasts.
impl SessionHandle {
    /// All tasks that are not forgotten, in the order of their numbers.
    pub async fn tasks(&self) -> Result<Vec<TaskView>, CallError> {
        let tasks = self.ask(&ListTasks {}).await?;
        Ok(tasks.into_iter().map(convert::view).collect())
    }

    /// One task.
    pub async fn view(&self, task: TaskId) -> Result<TaskView, CallError> {
        self.check()?;
        let answer = self.ask_task(task, &GetTask {}).await;
        answer.map(convert::view).map_err(|why| self.failed(&why))
    }

    /// Sets what the owner wants of a task; answers after the commit.
    pub async fn want(&self, task: TaskId, desired: Desired) -> Result<(), CallError> {
        self.check()?;
        let answer = self.ask_task(task, &SetDesired { desired }).await;
        answer.map_err(|why| self.failed(&why))
    }

    /// Changes an option of a task; answers after the commit.
    pub async fn adjust(&self, task: TaskId, adjustment: Adjustment) -> Result<(), CallError> {
        self.check()?;
        let answer = self.ask_task(task, &AdjustTask { adjustment }).await;
        answer.map_err(|why| self.failed(&why))
    }

    /// Answers the challenge that a task waits with; answers after the commit.
    pub async fn answer_challenge(
        &self,
        task: TaskId,
        disposition: Disposition,
    ) -> Result<(), CallError> {
        self.check()?;
        let answer = self.ask_task(task, &AnswerChallenge { disposition }).await;
        answer.map_err(|why| self.failed(&why))
    }

    /// Says what becomes of a delayed task whose time has come; answers after the commit.
    pub async fn decide_begin(
        &self,
        task: TaskId,
        decision: DelayedRequest,
    ) -> Result<Result<(), RefusedStart>, CallError> {
        self.check()?;
        match self.ask_task(task, &DecideBegin { decision }).await {
            Ok(()) => Ok(Ok(())),
            Err(why) => self.refused(why).map(Err),
        }
    }

    /// The first task after this number that waits for [`SessionHandle::decide_begin`].
    pub async fn next_awaiting_begin(&self, after: TaskId) -> Result<Option<TaskId>, CallError> {
        self.ask(&NextAwaitingBegin { after }).await
    }

    /// Whether no task is live and every fact of the session is at or before this one.
    pub async fn is_drained(&self, heard: Sequence) -> Result<bool, CallError> {
        self.ask(&IsDrained { heard }).await
    }

    /// Lets the session take no new tasks and end with the last that it has; answers after the commit.
    pub async fn invalidate(&self, how: Invalidation) -> Result<(), CallError> {
        self.ask(&InvalidateSession { how }).await
    }

    /// Where it is in its life.
    pub async fn state(&self) -> Result<SessionState, CallError> {
        Ok(self.summary().await?.state)
    }

    /// Sets the bytes per second of all tasks of the session together.
    pub async fn set_rate_limit(&self, bytes_per_second: Option<u64>) -> Result<(), CallError> {
        self.ask(&SetSessionRateLimit { bytes_per_second }).await
    }

    /// Makes and starts a task that goes on with what another one left; answers after the commit.
    pub async fn resume_download(
        &self,
        data: ResumeData,
        destination: PathBuf,
        options: ResumeOptions,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        let ResumeOptions {
            collision,
            notify_on_finished,
        } = options;
        let anew = AskedAnew::Download {
            destination,
            collision,
            notify_on_finished,
        };
        self.resume_as(data, anew).await
    }

    /// The same for an upload.
    pub async fn resume_upload(
        &self,
        data: ResumeData,
        notify_on_finished: Option<NotificationTitles>,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        let anew = AskedAnew::Upload { notify_on_finished };
        self.resume_as(data, anew).await
    }

    async fn resume_as(
        &self,
        data: ResumeData,
        anew: AskedAnew,
    ) -> Result<Result<ResumedTask, RefusedStart>, CallError> {
        self.check()?;
        let mut call = ResumeTask {
            data,
            anew,
            is_discretionary: self.link().shared().book().is_background,
            is_repeated: false,
        };
        let asked = async {
            let question = Question::new(&call, self.here())?;
            call.is_repeated = true;
            let question = question.again(&call)?;
            self.link().ask_question::<ResumeTask>(question).await
        };
        match asked.await {
            Ok(resumed) => Ok(Ok(convert::resumed(resumed))),
            Err(why) => self.refused(why).map(Err),
        }
    }

    /// Removes the files that resume data stands for.
    pub async fn discard_resume_data(
        &self,
        data: ResumeData,
    ) -> Result<Result<(), ResumeDataError>, CallError> {
        match self
            .link()
            .ask(&DiscardResumeData { data }, |_| AtRoot)
            .await
        {
            Ok(()) => Ok(Ok(())),
            Err(why) => convert::useless(&why).map(Err),
        }
    }

    /// Why a task was not made, or why the call failed.
    fn refused(&self, why: Unanswered) -> Result<RefusedStart, CallError> {
        match why {
            Unanswered::Problem(problem) => convert::refused(problem)
                .map_err(|problem| self.failed(&Unanswered::Problem(problem))),
            Unanswered::Unreachable(_) | Unanswered::Stopped { .. } => Err(self.failed(&why)),
        }
    }
}
