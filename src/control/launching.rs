//! Who is called: the client that is there for it, or the launch command of the session.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul_actors::local::{RefreshScope, RefreshTask};
use longhaul_engine::id::SessionId;
use longhaul_engine::launch::LaunchCommand;
use longhaul_engine::time::Timestamp;

use super::client::Client;
use super::{Control, Inner, random_id};

/// A launch command that is to be run now. `Debug` does not show the token.
#[derive(Clone)]
#[non_exhaustive]
pub struct Launch {
    /// The session whose app is called.
    pub session: SessionId,
    /// What is to be run.
    pub command: LaunchCommand,
    /// What the app says to be known as the answer, in [`Hello::launch`](super::Hello::launch): the
    /// refresh task is its own then. It stands for the last launch of the session.
    pub token: String,
    /// When the refresh task expires: an app that has not completed it until then is called again.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("session", &self.session)
            .field("command", &self.command)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The last launch of each session.
#[derive(Default)]
pub(super) struct Launches(Mutex<HashMap<SessionId, Launched>>);

struct Launched {
    token: String,
    /// Until its app takes it.
    task: Option<RefreshTask>,
}

impl Launches {
    /// What a token stands for: the session, and its refresh task when nobody has taken it.
    pub(super) fn take(&self, token: &str) -> Option<(SessionId, Option<RefreshTask>)> {
        let mut launches = self.lock();
        let mut launches = launches.iter_mut();
        let (session, launched) = launches.find(|(_, launched)| launched.token == token)?;
        Some((session.clone(), launched.task.take()))
    }

    /// Keeps the launch of a session in place of the one before, and forgets those of sessions that are
    /// no more.
    fn put(&self, launch: &Launch, task: RefreshTask, is_known: impl Fn(&SessionId) -> bool) {
        let launched = Launched {
            token: launch.token.clone(),
            task: Some(task),
        };
        let mut launches = self.lock();
        let old = launches.insert(launch.session.clone(), launched);
        let sessions = launches.keys().filter(|session| !is_known(session));
        let gone: Vec<SessionId> = sessions.cloned().collect();
        let gone: Vec<Option<Launched>> = gone.iter().map(|it| launches.remove(it)).collect();
        drop(launches);
        drop((old, gone));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Launched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// Waits for the next launch: a session that has a launch command is to be called, and no client
    /// takes its calls. `None` when the engine has stopped. While nobody waits here no command is due,
    /// and the wish for a call is kept.
    ///
    /// The budget of the session is spent when this answers. When the app does not complete the
    /// refresh task in time it is due again, as the budget allows.
    pub async fn next_launch(&self) -> Option<Launch> {
        let inner = &self.inner;
        loop {
            let task = inner.engine.next_refresh_task_of(inner.launch_scope());
            let task = task.await?;
            let session = task.session_identifier().clone();
            // Without its command, which it had a moment ago, the call expires and is made again.
            let Some(command) = inner.engine.launch_command(&session) else {
                continue;
            };
            let launch = Launch {
                session,
                command,
                token: random_id(),
                expires_at: task.expires_at(),
            };
            let is_known = |session: &SessionId| inner.engine.has_launch_command(session);
            inner.launches.put(&launch, task, is_known);
            return Some(launch);
        }
    }
}

impl Inner {
    /// The next call that this client takes.
    pub(super) fn next_call_of(
        self: &Arc<Self>,
        client: &Arc<Client>,
    ) -> impl Future<Output = Option<RefreshTask>> + Send + use<> {
        let (inner, client) = (Arc::clone(self), Arc::clone(client));
        let engine = self.engine.clone();
        let scope: RefreshScope =
            Arc::new(move |session: &SessionId| inner.takes(&client, session));
        async move { engine.next_refresh_task_of(scope).await }
    }

    /// Sessions with a command whose calls no client takes.
    fn launch_scope(self: &Arc<Self>) -> RefreshScope {
        let inner = Arc::clone(self);
        Arc::new(move |session: &SessionId| {
            inner.engine.has_launch_command(session) && !inner.clients.is_app_there(session)
        })
    }

    /// Whether a client that listens takes the calls of this session: it is its app, or the session has
    /// no command and is nobody else's.
    fn takes(&self, client: &Arc<Client>, session: &SessionId) -> bool {
        if client.is_app_of(session) {
            return true;
        }
        let is_others = |owner: &Arc<Client>| !Arc::ptr_eq(owner, client);
        !self.engine.has_launch_command(session)
            && !self.clients.owner(session).as_ref().is_some_and(is_others)
    }
}
