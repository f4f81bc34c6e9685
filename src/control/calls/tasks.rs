//! What is asked of tasks.

use longhaul_actors::local::{ResumeAs, ResumeOptions, ResumedTask, Resuming, TaskView};
use longhaul_engine::control::{
    AdjustTask, AnswerChallenge, AskedAnew, AtSession, AtTask, DecideBegin, GetTask, ListTasks,
    NextAwaitingBegin, Problem, ResumeTask, ResumedDocument, SetDesired, StartDocument, StartTasks,
    TaskDocument,
};
use longhaul_engine::id::TaskId;

use super::{requests, started};
use crate::Error;
use crate::control::dispatch::Answered;
use crate::control::{Control, checked, problems};

impl Answered for ListTasks {
    async fn answer(
        self,
        control: Control,
        AtSession(session): AtSession,
    ) -> Result<Vec<TaskDocument>, Problem> {
        let tasks = control.inner.observe(&session).await?.tasks().await;
        let tasks = tasks.map_err(problems::of_call)?;
        Ok(tasks.into_iter().map(document).collect())
    }
}

impl Answered for StartTasks {
    async fn answer(
        self,
        control: Control,
        AtSession(session): AtSession,
    ) -> Result<Vec<StartDocument>, Problem> {
        let requests = requests(self.requests, self.is_repeated)?;
        let session = control.inner.observe(&session).await?;
        let starts = session.start(requests).await.map_err(problems::of_call)?;
        Ok(started(starts))
    }
}

impl Answered for ResumeTask {
    async fn answer(
        self,
        control: Control,
        AtSession(session): AtSession,
    ) -> Result<ResumedDocument, Problem> {
        let asked = Resuming {
            data: self.data,
            anew: anew(self.anew).map_err(problems::of_document)?,
            is_discretionary: self.is_discretionary,
            is_repeated: self.is_repeated,
        };
        let session = control.inner.observe(&session).await?;
        let resumed = session.resume_task(asked).await;
        let resumed = resumed.map_err(problems::of_call)?;
        let ResumedTask { task, url, file } = resumed.map_err(problems::of_refusal)?;
        Ok(ResumedDocument { task, url, file })
    }
}

impl Answered for NextAwaitingBegin {
    async fn answer(
        self,
        control: Control,
        AtSession(session): AtSession,
    ) -> Result<Option<TaskId>, Problem> {
        let session = control.inner.observe(&session).await?;
        let next = session.next_awaiting_begin(self.after).await;
        next.map_err(problems::of_call)
    }
}

impl Answered for GetTask {
    async fn answer(
        self,
        control: Control,
        AtTask(session, task): AtTask,
    ) -> Result<TaskDocument, Problem> {
        let view = control.inner.observe(&session).await?.view(task).await;
        Ok(document(view.map_err(problems::of_call)?))
    }
}

impl Answered for AdjustTask {
    async fn answer(self, control: Control, AtTask(session, task): AtTask) -> Result<(), Problem> {
        let adjustment = checked::adjustment(self.adjustment).map_err(problems::of_document)?;
        let session = control.inner.observe(&session).await?;
        let adjusted = session.adjust(task, adjustment).await;
        adjusted.map_err(problems::of_call)
    }
}

impl Answered for SetDesired {
    async fn answer(self, control: Control, AtTask(session, task): AtTask) -> Result<(), Problem> {
        let session = control.inner.observe(&session).await?;
        let wanted = session.want(task, self.desired).await;
        wanted.map_err(problems::of_call)
    }
}

impl Answered for AnswerChallenge {
    async fn answer(self, control: Control, AtTask(session, task): AtTask) -> Result<(), Problem> {
        let disposition = checked::disposition(self.disposition).map_err(problems::of_document)?;
        let session = control.inner.observe(&session).await?;
        let answered = session.answer_challenge(task, disposition).await;
        answered.map_err(problems::of_call)
    }
}

impl Answered for DecideBegin {
    async fn answer(self, control: Control, AtTask(session, task): AtTask) -> Result<(), Problem> {
        let decision = checked::decision(self.decision).map_err(problems::of_document)?;
        let session = control.inner.observe(&session).await?;
        let decided = session.decide_begin(task, decision).await;
        decided
            .map_err(problems::of_call)?
            .map_err(problems::of_refusal)
    }
}

/// A task, without what is secret in its request.
fn document(view: TaskView) -> TaskDocument {
    TaskDocument {
        task: view.id,
        request: TaskDocument::shown(*view.spec),
        state: view.state,
        phase: view.phase,
        progress: view.progress,
        outcome: view.outcome,
        slowed_by: view.slowed_by,
    }
}

fn anew(anew: AskedAnew) -> Result<ResumeAs, Error> {
    Ok(match anew {
        AskedAnew::Download {
            destination,
            collision,
            notify_on_finished,
        } => ResumeAs::Download {
            destination: checked::file(&destination)?,
            options: ResumeOptions {
                collision,
                notify_on_finished: checked::titles(notify_on_finished)?,
            },
        },
        AskedAnew::Upload { notify_on_finished } => ResumeAs::Upload {
            notify_on_finished: checked::titles(notify_on_finished)?,
        },
    })
}
