//! Keeps this process a client: becomes one, says everything again, hears what it is told.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use longhaul_engine::control::{
    API_VERSION, AtClientSession, AtSession, CLIENTS_PATH, ClientEvent, ClientId, EngineDocument,
    GetSession, Hello, ListenForRefresh, Method, OpenSession, Problem,
};
use longhaul_engine::id::SessionId;
use tokio::sync::oneshot;

use super::ConnectError;
use super::backoff::Backoff;
use super::book::End;
use super::calls::{Connection, Reach, at_client};
use super::convert;
use super::question::{Content, Question, Unanswered};
use super::reader::Reader;
use super::refresh::Call;
use super::spawning::{DaemonOptions, Spawned};
use super::thread::Client;
use super::wire::Unheard;

/// Time that the daemon gets to notice the end of a connection: the kernel tells it at once.
const NOTICE_TIME_MAX: Duration = Duration::from_secs(1);

/// Questions that are asked again side by side.
const RENEWALS_AT_ONCE: usize = 16;

/// What the daemon has taken a process for.
struct Welcome {
    client: ClientId,
    engine: EngineDocument,
    stream: Reader,
}

impl Client {
    /// Becomes a client, and again whenever that was lost; gives up when the daemon is one that this
    /// program can not talk to, and says so.
    pub(super) async fn keep(
        &self,
        ready: oneshot::Sender<Result<(), ConnectError>>,
        daemon: Option<DaemonOptions>,
    ) -> String {
        let mut ready = Some(ready);
        let mut spawned = None;
        let mut backoff = Backoff::new();
        let mut number = 0;
        loop {
            match self.become_client().await {
                Ok(welcome) => {
                    number += 1;
                    self.live(welcome, number, &mut ready, &mut backoff).await;
                    self.reach.send_replace(Reach::Away);
                    // They are of the connection that is lost; the apps are called again.
                    self.shared.book().calls.clear();
                }
                Err(error) => {
                    let why = error.to_string();
                    let is_final = matches!(error, ConnectError::OtherVersion(_));
                    let verdict = match ready.is_some() {
                        true => self.try_again(error, daemon.as_ref(), &mut spawned),
                        false if is_final => Err(error),
                        false => Ok(()),
                    };
                    if let Err(error) = verdict {
                        if let Some(ready) = ready.take() {
                            // Who connects may have lost interest.
                            let _ = ready.send(Err(error));
                        }
                        return why;
                    }
                    tracing::debug!(%why, "the daemon is not reachable");
                }
            }
            backoff.pause().await;
        }
    }

    /// Whether the first connection is tried once more: while a daemon is being started for it.
    fn try_again(
        &self,
        error: ConnectError,
        daemon: Option<&DaemonOptions>,
        spawned: &mut Option<Spawned>,
    ) -> Result<(), ConnectError> {
        let (ConnectError::Unreachable(_), Some(daemon)) = (&error, daemon) else {
            return Err(error);
        };
        match spawned {
            Some(spawned) => spawned.go_on(),
            None => {
                *spawned = Some(Spawned::start(daemon, self.wire.socket())?);
                Ok(())
            }
        }
    }

    async fn become_client(&self) -> Result<Welcome, ConnectError> {
        let launch = self.launch.borrow().clone();
        let body = serde_json::to_vec(&Hello { launch });
        let body = body.map_err(|error| ConnectError::Refused(error.to_string()))?;
        let content = Content {
            query: String::new(),
            body: Some(body),
        };
        let stream = self.wire.open(Method::Post, CLIENTS_PATH, &content).await;
        let mut stream = stream.map_err(not_welcome)?;
        let lost = || ConnectError::Unreachable("its stream ended before it began".to_owned());
        let first = stream.next().await.map_err(ConnectError::Unreachable)?;
        match first.ok_or_else(lost)? {
            ClientEvent::Welcome { client, engine } if engine.api == API_VERSION => {
                self.launch.borrow_mut().take();
                Ok(Welcome {
                    client,
                    engine,
                    stream,
                })
            }
            ClientEvent::Welcome { engine, .. } => Err(other_version(Some(&engine))),
            ClientEvent::Ended { .. }
            | ClientEvent::Lost { .. }
            | ClientEvent::RefreshTask { .. }
            | ClientEvent::Conditions(_)
            | ClientEvent::Stopping => Err(ConnectError::Unreachable(
                "it did not say who this client is".to_owned(),
            )),
        }
    }

    /// One connection, from its welcome until it is lost.
    async fn live(
        &self,
        welcome: Welcome,
        number: u64,
        ready: &mut Option<oneshot::Sender<Result<(), ConnectError>>>,
        backoff: &mut Backoff,
    ) {
        let Welcome {
            client,
            engine,
            stream,
        } = welcome;
        self.shared.conditions.send_replace(engine.conditions);
        let connection = Connection { client, number };
        let renewing = async {
            self.renew(&connection).await?;
            *backoff = Backoff::new();
            self.reach.send_replace(Reach::Here(connection.clone()));
            if let Some(ready) = ready.take() {
                // Who connects may have lost interest; then the last handle is gone.
                let _ = ready.send(Ok(()));
            }
            // Until somebody gives it up.
            let mut reach = self.reach.subscribe();
            let _ = reach.wait_for(|reach| matches!(reach, Reach::Away)).await;
            Ok::<(), Unheard>(())
        };
        // What is said again may be answered on the stream before all is said.
        tokio::select! {
            why = self.attend(stream, number) => tracing::debug!(%why, "the daemon is lost"),
            lost = renewing => tracing::debug!(?lost, "the daemon does not go on with this client"),
        }
    }

    /// Hears what this client is told, until nothing comes; why that is.
    async fn attend(&self, mut stream: Reader, connection: u64) -> String {
        loop {
            match stream.next().await {
                Ok(Some(event)) => self.attend_to(event, connection),
                Ok(None) => return "its stream has ended".to_owned(),
                Err(why) => return why,
            }
        }
    }

    fn attend_to(&self, event: ClientEvent, connection: u64) {
        match event {
            ClientEvent::Ended { wait, outcome } => {
                self.waits.borrow_mut().resolve_number(wait, &Ok(outcome));
            }
            // The daemon has forgotten the wait, and tells no more of it.
            ClientEvent::Lost { wait, problem } => {
                let error = convert::call_error(&Unanswered::Problem(problem));
                self.waits.borrow_mut().resolve_number(wait, &Err(error));
            }
            ClientEvent::RefreshTask {
                number,
                session,
                reason,
                expires_at,
            } => {
                let call = Call {
                    number,
                    session,
                    reason,
                    expires_at,
                    connection,
                };
                self.shared.book().calls.push_back(call);
                self.shared.called.notify_waiters();
            }
            ClientEvent::Conditions(conditions) => {
                self.shared.conditions.send_replace(conditions);
            }
            // The welcome is over, and the end of the stream says what is to be known of a stop.
            ClientEvent::Welcome { .. } | ClientEvent::Stopping => {}
        }
    }

    /// Says everything again that an earlier connection was told.
    async fn renew(&self, connection: &Connection) -> Result<(), Unheard> {
        let sessions = self.shared.book().opened();
        let opening = sessions
            .into_iter()
            .map(|it| self.renew_session(it, connection));
        all(opening).await?;
        let is_listening = self.shared.book().listeners > 0;
        if is_listening
            && let Ok(question) = Question::new(&ListenForRefresh { is_listening }, at_client)
        {
            self.ask_once(&question, connection, false).await?;
        }
        let waits = self.waits.borrow().known();
        all(waits.into_iter().map(|it| self.renew_wait(it, connection))).await
    }

    /// Opens a session again that was open on an earlier connection.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn renew_session(
        &self,
        id: SessionId,
        connection: &Connection,
    ) -> Result<(), Unheard> {
        let (call, fate, may_be_over) = {
            let mut book = self.shared.book();
            let has_delegate = book.is_attached(&id);
            let Some(kept) = book.owned.get_mut(&id) else {
                return Ok(());
            };
            kept.told_delegate = has_delegate;
            let call = OpenSession {
                rules: kept.rules.clone(),
                requests: Vec::new(),
                has_delegate,
                is_repeated: true,
            };
            (call, Arc::clone(&kept.fate), kept.acknowledging > 0)
        };
        let end = |end| {
            self.shared.book().end(&id, &fate, end);
            Ok(())
        };
        // Opening it would make another one of its name.
        if may_be_over && self.is_gone(&id, connection).await? {
            return end(End::Over);
        }
        let at = id.clone();
        let at = move |client: &ClientId| AtClientSession(client.clone(), at.clone());
        let Ok(question) = Question::new(&call, at) else {
            return Ok(());
        };
        match self.open_again(&question, connection).await {
            Ok(_) => {
                let mut book = self.shared.book();
                if let Some(kept) = book.kept(&id, &fate) {
                    kept.opened_on = Some(connection.number);
                }
                Ok(())
            }
            Err(Unheard::Refused(Problem::SessionInUse { pid, .. })) => end(End::Taken { pid }),
            Err(Unheard::Refused(Problem::Invalidated { .. })) => end(End::Over),
            Err(Unheard::Refused(problem)) if !convert::is_passing(&problem) => {
                tracing::warn!(session = %id, %problem, "a session was not opened again");
                Ok(())
            }
            Err(lost) => Err(lost),
        }
    }

    /// Asks for a session that was this client's. The daemon may take it for that of the connection
    /// before for a moment, until it has noticed that this is gone.
    async fn open_again(
        &self,
        question: &Question,
        connection: &Connection,
    ) -> Result<Vec<u8>, Unheard> {
        let mut backoff = Backoff::new();
        let mut noticed = std::pin::pin!(tokio::time::sleep(NOTICE_TIME_MAX));
        loop {
            let answer = self.ask_once(question, connection, false).await;
            if !matches!(answer, Err(Unheard::Refused(Problem::SessionInUse { .. }))) {
                return answer;
            }
            tokio::select! {
                () = &mut noticed => return answer,
                () = backoff.pause() => {}
            }
        }
    }

    async fn is_gone(&self, id: &SessionId, connection: &Connection) -> Result<bool, Unheard> {
        let at = id.clone();
        let Ok(question) = Question::new(&GetSession {}, move |_| AtSession(at.clone())) else {
            return Ok(false);
        };
        match self.ask_once(&question, connection, false).await {
            Ok(_) => Ok(false),
            Err(Unheard::Refused(Problem::NoSuchSession { .. })) => Ok(true),
            Err(lost) => Err(lost),
        }
    }
}

/// Does all of them, some at a time; the first loss ends it.
async fn all(
    renewals: impl Iterator<Item = impl Future<Output = Result<(), Unheard>>>,
) -> Result<(), Unheard> {
    let mut renewing = stream::iter(renewals).buffer_unordered(RENEWALS_AT_ONCE);
    while let Some(renewed) = renewing.next().await {
        renewed?;
    }
    Ok(())
}

fn not_welcome(why: Unheard) -> ConnectError {
    match why {
        Unheard::Refused(Problem::NoSuchPath) => other_version(None),
        Unheard::Refused(problem) => ConnectError::Refused(problem.to_string()),
        Unheard::NotThere(why) | Unheard::Lost(why) => ConnectError::Unreachable(why),
    }
}

fn other_version(engine: Option<&EngineDocument>) -> ConnectError {
    let theirs = engine.map_or_else(
        || "does not speak this version".to_owned(),
        |engine| format!("is {} and speaks version {}", engine.version, engine.api),
    );
    ConnectError::OtherVersion(format!(
        "the daemon {theirs} of the control API, and this program speaks version {API_VERSION}; run \
         the daemon and the program in releases that fit"
    ))
}
