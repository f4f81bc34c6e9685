//! The handle of a session in another process.

mod asking;

use std::fmt;
use std::sync::Arc;

use longhaul_engine::control::{
    Acknowledge, AtSession, AtTask, Call, GetSession, Problem, SessionDocument, StartTasks,
};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::task::Outcome;
use tokio::sync::oneshot;

use super::book::{Attachment, End, Fate};
use super::convert;
use super::handle::prepare;
use super::link::Link;
use super::orders::Order;
use super::question::{Question, Unanswered};
use crate::local::{CallError, StartRequest, Starts};

/// A session in another process. All handles of it that own it, and of its tasks and subscriptions,
/// are one owner: with the last of them it is free.
#[derive(Clone)]
pub struct SessionHandle {
    link: Arc<Link>,
    id: SessionId,
    fate: Arc<Fate>,
    /// `None` for one who only looks on.
    owner: Option<Arc<Owner>>,
}

/// What all owning handles of one session share.
pub(super) struct Owner {
    link: Arc<Link>,
    id: SessionId,
    fate: Arc<Fate>,
}

/// Somebody waits for the end of a task.
struct Waiting<'a> {
    session: &'a SessionHandle,
    task: TaskId,
}

/// An acknowledgement is on its way.
struct Acknowledging<'a>(&'a SessionHandle);

impl SessionHandle {
    pub(super) fn owned(owner: Arc<Owner>) -> Self {
        Self {
            link: Arc::clone(&owner.link),
            id: owner.id.clone(),
            fate: Arc::clone(&owner.fate),
            owner: Some(owner),
        }
    }

    pub(super) const fn observer(link: Arc<Link>, id: SessionId, fate: Arc<Fate>) -> Self {
        Self {
            link,
            id,
            fate,
            owner: None,
        }
    }

    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        &self.id
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(super) const fn fate(&self) -> &Arc<Fate> {
        &self.fate
    }

    /// Whether it keeps others from opening the session.
    #[must_use]
    pub const fn is_owner(&self) -> bool {
        self.owner.is_some()
    }

    /// Says that a delegate of this session is there, for as long as the answer lives.
    pub fn attach(&self) -> Attachment {
        Attachment::new(&self.link, &self.id)
    }

    /// Makes and starts tasks, all in one transaction; answers after the commit.
    ///
    /// # Errors
    /// When the daemon is not reachable, or its engine fails; then it is not known which were started.
    pub async fn start(&self, mut requests: Vec<StartRequest>) -> Result<Starts, CallError> {
        self.check()?;
        prepare(&self.link, &mut requests);
        let mut call = StartTasks {
            requests: convert::documents(requests),
            is_repeated: false,
        };
        let started = async {
            let question = Question::new(&call, self.here())?;
            call.is_repeated = true;
            let question = question.again(&call)?;
            self.link.ask_question::<StartTasks>(question).await
        };
        let started = started.await.map_err(|why| self.failed(&why))?;
        Ok(convert::starts(started))
    }

    /// Waits until a task has ended; answers at once when it has. It goes on waiting while the daemon
    /// is away.
    ///
    /// # Errors
    /// When there is none of this number, the daemon is not reachable when it is first asked, or the
    /// client is closed.
    pub async fn outcome(&self, task: TaskId) -> Result<Outcome, CallError> {
        self.check()?;
        let (reply, answer) = oneshot::channel();
        self.link.order(Order::Wait {
            session: self.id.clone(),
            task,
            reply,
        });
        let waiting = Waiting {
            session: self,
            task,
        };
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            end = self.fate.ended() => return Err(end.error(&self.id)),
        };
        drop(waiting);
        match answer {
            Ok(Err(CallError::NoSuchSession(_))) => Err(self.failed_without_session()),
            Ok(end) => end,
            Err(_) => Err(convert::call_error(&self.link.gone().await)),
        }
    }

    /// Acknowledges facts up to and including this one; answers after the commit.
    ///
    /// # Errors
    /// When the daemon is not reachable, or its store fails.
    pub async fn acknowledge(&self, up_to: Sequence) -> Result<(), CallError> {
        if self.fate.known() == Some(End::Over) {
            // Everything of it was acknowledged, and the name may be another session's by now.
            return Ok(());
        }
        self.check()?;
        let acknowledging = Acknowledging::new(self);
        let answer = self.link.ask(&Acknowledge { up_to }, self.here()).await;
        drop(acknowledging);
        match answer {
            Ok(()) if self.fate.is_over_with(up_to) => self.end(),
            Ok(()) => {}
            // It was gone before: the answer to an earlier asking was lost.
            Err(Unanswered::Problem(
                Problem::NoSuchSession { .. } | Problem::Invalidated { .. },
            )) => self.end(),
            Err(why) => return Err(self.failed(&why)),
        }
        Ok(())
    }

    /// Whether the daemon still knows the session; the handles are told when it does not.
    pub(super) async fn is_there(&self) -> Result<bool, CallError> {
        if self.fate.known().is_some() {
            self.end();
            return Ok(false);
        }
        match self.summary().await {
            Ok(_) => Ok(true),
            Err(CallError::NoSuchSession(_) | CallError::Invalidated(_)) => {
                self.end();
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The session at one moment: its state, its owner, its tasks counted.
    ///
    /// # Errors
    /// When the daemon is not reachable, or its engine fails.
    pub async fn summary(&self) -> Result<SessionDocument, CallError> {
        self.ask(&GetSession {}).await
    }

    /// Asks something about the session.
    async fn ask<C: Call<At = AtSession>>(&self, call: &C) -> Result<C::Answer, CallError> {
        self.check()?;
        let answer = self.link.ask(call, self.here()).await;
        answer.map_err(|why| self.failed(&why))
    }

    /// Asks something about a task.
    async fn ask_task<C: Call<At = AtTask>>(
        &self,
        task: TaskId,
        call: &C,
    ) -> Result<C::Answer, Unanswered> {
        let id = self.id.clone();
        self.link.ask(call, move |_| AtTask(id.clone(), task)).await
    }

    fn here<T>(&self) -> impl Fn(&T) -> AtSession + Send + use<T> {
        let id = self.id.clone();
        move |_| AtSession(id.clone())
    }

    /// Whether the handle is still of use.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn check(&self) -> Result<(), CallError> {
        let end = self.fate.known();
        end.map_or(Ok(()), |end| Err(end.error(&self.id)))
    }

    /// Why a call failed. A session that its owner does not find was invalidated.
    pub(super) fn failed(&self, why: &Unanswered) -> CallError {
        match convert::call_error(why) {
            CallError::NoSuchSession(_) => self.failed_without_session(),
            error => error,
        }
    }

    fn failed_without_session(&self) -> CallError {
        match self.is_owner() {
            true => {
                self.end();
                CallError::Invalidated(self.id.clone())
            }
            false => CallError::NoSuchSession(self.id.clone()),
        }
    }

    /// The session is no more.
    fn end(&self) {
        self.link
            .shared()
            .book()
            .end(&self.id, &self.fate, End::Over);
    }
}

impl Owner {
    pub(super) fn new(link: Arc<Link>, id: SessionId, fate: Arc<Fate>) -> Arc<Self> {
        Arc::new(Self { link, id, fate })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut book = self.link.shared().book();
        // It may be another owner's entry by now.
        if book.kept(&self.id, &self.fate).is_some() {
            book.owned.remove(&self.id);
            // Whoever opens it next orders that after this.
            self.link.order(Order::Close(self.id.clone()));
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.session.link.order(Order::ForgetWait {
            session: self.session.id.clone(),
            task: self.task,
        });
    }
}

impl<'a> Acknowledging<'a> {
    fn new(session: &'a SessionHandle) -> Self {
        let mut book = session.link.shared().book();
        if let Some(kept) = book.kept(&session.id, &session.fate) {
            kept.acknowledging += 1;
        }
        Self(session)
    }
}

impl Drop for Acknowledging<'_> {
    fn drop(&mut self) {
        let mut book = self.0.link.shared().book();
        if let Some(kept) = book.kept(&self.0.id, &self.0.fate) {
            kept.acknowledging -= 1;
        }
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
