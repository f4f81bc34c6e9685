//! The handle of an engine in another process.

use std::fmt;
use std::sync::Arc;

use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::{
    AtClientSession, AtRoot, AtSession, ClientId, GetSession, ListSessions, OpenSession,
    SessionDocument, Shutdown,
};
use longhaul_engine::id::SessionId;
use longhaul_engine::session::SessionRules;
use tokio::sync::oneshot;

use super::book::{Attachment, Fate, Kept};
use super::convert;
use super::link::Link;
use super::orders::Order;
use super::question::{Question, Unanswered, answer_of};
use super::session::{Owner, SessionHandle};
use super::subscription::Subscription;
use super::thread;
use super::{ConnectError, ConnectOptions};
use crate::local::{CallError, StartRequest, Starts};
use crate::starting::name_all;

/// An engine in another process, which this one is connected to. Cloning it gives another handle of
/// the same client; when the last one is dropped, and every session's too, the client is closed.
#[derive(Clone)]
pub struct EngineHandle {
    link: Arc<Link>,
}

/// A session that was opened with requests.
#[derive(Debug)]
pub struct OpenedSession {
    /// The session.
    pub session: SessionHandle,
    /// Every fact that was not acknowledged, then all events.
    pub events: Subscription,
    /// What became of the requests, in their order.
    pub started: Starts,
}

impl EngineHandle {
    /// Connects to the daemon at a socket, on a thread of its own.
    ///
    /// # Errors
    /// When nobody answers there, or not in this version's words; it is tried once.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        thread::start(options).await
    }

    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Closes the client, when what it was told to set was said: its sessions are free, and their
    /// transfers go on in the daemon.
    pub async fn shutdown(&self) {
        self.link.order(Order::Shutdown);
        self.stopped().await;
    }

    /// Waits until the client is closed; `Some` reason when it gave up by itself, because the daemon
    /// is one now that this program can not talk to.
    pub async fn stopped(&self) -> Option<String> {
        self.link.stopped().await
    }

    /// Says that a delegate of this session is there, also before it is opened.
    pub fn attach(&self, session: &SessionId) -> Attachment {
        Attachment::new(&self.link, session)
    }

    /// Opens a session, making it when it does not exist.
    ///
    /// # Errors
    /// [`CallError::SessionInUse`] while anybody else has it, [`CallError::Unreachable`], and whatever
    /// the daemon's engine fails with.
    pub async fn open_session(
        &self,
        id: SessionId,
        rules: SessionRules,
    ) -> Result<SessionHandle, CallError> {
        let (session, _) = self.open(id, rules, Vec::new()).await?;
        Ok(session)
    }

    /// The same, and makes and starts tasks in it before any of its transfers goes on.
    ///
    /// # Errors
    /// As [`EngineHandle::open_session`]; then it is not known what was started.
    pub async fn open_session_with(
        &self,
        id: SessionId,
        rules: SessionRules,
        requests: Vec<StartRequest>,
    ) -> Result<OpenedSession, CallError> {
        let (session, started) = self.open(id, rules, requests).await?;
        let events = session.subscribe(None).await?;
        Ok(OpenedSession {
            session,
            events,
            started,
        })
    }

    async fn open(
        &self,
        id: SessionId,
        rules: SessionRules,
        mut requests: Vec<StartRequest>,
    ) -> Result<(SessionHandle, Starts), CallError> {
        prepare(&self.link, &mut requests);
        let owner = self.claim(&id, &rules).await?;
        let opened = async {
            let has_delegate = {
                let book = self.link.shared().book();
                book.owned.get(&id).is_some_and(|kept| kept.told_delegate)
            };
            let at = id.clone();
            let at = move |client: &ClientId| AtClientSession(client.clone(), at.clone());
            let mut call = OpenSession {
                rules,
                requests: convert::documents(requests),
                has_delegate,
                is_repeated: false,
            };
            let question = Question::new(&call, at)?;
            call.is_repeated = true;
            let question = question.again(&call)?;
            let (reply, answer) = oneshot::channel();
            self.link.order(Order::Open {
                session: id.clone(),
                question,
                reply,
            });
            match answer.await {
                Ok(body) => answer_of::<OpenSession>(&body?),
                Err(_) => Err(self.link.gone().await),
            }
        };
        let opened: Result<_, Unanswered> = opened.await;
        let started = opened.map_err(|why| convert::call_error(&why))?;
        // A delegate may have come or gone since the question was written.
        self.link.order(Order::Delegate(id));
        Ok((SessionHandle::owned(owner), convert::starts(started)))
    }

    /// Takes a session's name within this process.
    async fn claim(&self, id: &SessionId, rules: &SessionRules) -> Result<Arc<Owner>, CallError> {
        let ours = || CallError::SessionInUse {
            session: id.clone(),
            pid: Some(std::process::id()),
        };
        loop {
            let earlier = {
                let mut book = self.link.shared().book();
                match book.owned.get(id) {
                    // The daemon may not have heard of it yet, and would say that there is none.
                    Some(kept) if kept.opened_on.is_none() => return Err(ours()),
                    Some(kept) => Arc::clone(&kept.fate),
                    None => {
                        let fate = Fate::new();
                        let told_delegate = book.is_attached(id);
                        let kept = Kept {
                            fate: Arc::clone(&fate),
                            rules: rules.clone(),
                            opened_on: None,
                            told_delegate,
                            acknowledging: 0,
                        };
                        book.owned.insert(id.clone(), kept);
                        let link = Arc::clone(&self.link);
                        return Ok(Owner::new(link, id.clone(), fate));
                    }
                }
            };
            // The handles that are there may be of a session that is no more.
            let session = SessionHandle::observer(Arc::clone(&self.link), id.clone(), earlier);
            if session.is_there().await? {
                return Err(ours());
            }
        }
    }

    /// A handle that owns nothing: nobody is kept from opening the session, and nobody counts as
    /// listening to it.
    ///
    /// # Errors
    /// [`CallError::NoSuchSession`] when the daemon does not know it.
    pub async fn observe(&self, id: &SessionId) -> Result<SessionHandle, CallError> {
        let at = id.clone();
        let asked = self
            .link
            .ask(&GetSession {}, move |_| AtSession(at.clone()));
        asked.await.map_err(|why| convert::call_error(&why))?;
        let link = Arc::clone(&self.link);
        Ok(SessionHandle::observer(link, id.clone(), Fate::new()))
    }

    /// Stops the daemon in good order, and closes the client. Answers when it has stopped.
    ///
    /// # Errors
    /// Whatever the daemon's engine fails with.
    pub async fn stop_daemon(&self) -> Result<(), CallError> {
        match self.link.ask(&Shutdown {}, |_| AtRoot).await {
            // One that stops may be gone before its answer.
            Ok(()) | Err(Unanswered::Unreachable(_)) => {}
            Err(why) => return Err(convert::call_error(&why)),
        }
        self.shutdown().await;
        Ok(())
    }

    /// All sessions of the daemon, in the order of their identifiers.
    ///
    /// # Errors
    /// [`CallError::Unreachable`], and whatever the daemon's engine fails with.
    pub async fn sessions(&self) -> Result<Vec<SessionDocument>, CallError> {
        let asked = self.link.ask(&ListSessions {}, |_| AtRoot);
        asked.await.map_err(|why| convert::call_error(&why))
    }

    /// What is started from now on, with any handle of this client, is discretionary, or is not any
    /// more. Nobody else's tasks are.
    pub fn set_background(&self, is_background: bool) {
        self.link.shared().book().is_background = is_background;
    }

    /// A person brought the app to the foreground: its next call has no delay of its own.
    pub fn app_came_to_foreground(&self) {
        self.link.order(Order::CameToForeground);
    }

    /// Sets by hand what network and power are like, for all of the daemon's tasks.
    pub fn set_conditions(&self, conditions: Conditions) {
        // The daemon says what holds; until then this is known.
        let known = &self.link.shared().conditions;
        known.send_modify(|known| *known = conditions.or(*known));
        self.link.order(Order::SetConditions(conditions));
    }

    /// What the daemon told last of network and power.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        *self.link.shared().conditions.borrow()
    }

    /// The same, as soon as it is something else than `known`; `None` when the client is closed.
    pub async fn conditions_changed(&self, known: Conditions) -> Option<Conditions> {
        let mut changes = self.link.shared().conditions.subscribe();
        tokio::select! {
            biased;
            _ = self.stopped() => None,
            now = changes.wait_for(|now| *now != known) => now.ok().map(|now| *now),
        }
    }

    /// Sets the bytes per second of all tasks of the daemon together; `None` lifts the limit.
    pub fn set_rate_limit(&self, bytes_per_second: Option<u64>) {
        self.link.order(Order::SetRateLimit(bytes_per_second));
    }
}

/// Makes requests ready to be sent, and sent again: names uploads, by which they are found when the
/// answer is lost, and marks what is started in the background.
pub(super) fn prepare(link: &Link, requests: &mut [StartRequest]) {
    name_all(requests);
    let is_background = link.shared().book().is_background;
    for StartRequest { spec, .. } in requests {
        spec.options_mut().is_discretionary |= is_background;
    }
}

impl fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineHandle")
            .field("link", &self.link)
            .finish()
    }
}
