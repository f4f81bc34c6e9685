//! Carries orders out: each is asked until its answer has come, or patience has run out.

use std::rc::Rc;

use longhaul_engine::control::{
    AtClient, AtClientSession, AtRoot, Call, CameToForeground, ClientId, CloseSession,
    ListenForRefresh, Problem, SetConditions, SetDelegate, SetEngineRateLimit,
};
use longhaul_engine::id::SessionId;
use tokio::sync::watch;

use super::backoff::Backoff;
use super::orders::Order;
use super::question::{Question, Unanswered, answer_of};
use super::thread::Client;
use super::turns::{Hold, Turn};
use super::wire::Unheard;

/// Which connection to the daemon there is.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// None, or what was said on an earlier one is being said again.
    Away,
    /// This one.
    Here(Connection),
}

/// One life of this process as a client.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// Who it is.
    pub(super) client: ClientId,
    /// The first has 1.
    pub(super) number: u64,
}

impl Client {
    /// Begins to carry an order out.
    pub(super) fn carry_out(self: &Rc<Self>, order: Order) {
        let turn = self.turns.take();
        match order {
            Order::Ask { question, reply } => self.begin(async move |client| {
                client.turns.come(turn).await;
                // Who asked may have lost interest.
                if !reply.is_closed() {
                    let _ = reply.send(client.answer(&question).await.map(|(body, _)| body));
                }
            }),
            Order::Open {
                session,
                has_delegate,
                question,
                reply,
            } => self.begin(async move |client| {
                client.turns.come(turn).await;
                let _ = reply.send(client.open(&session, has_delegate, &question).await);
            }),
            Order::Close(session) => self.set(turn, async move |client| {
                client.close(session).await;
            }),
            Order::Delegate(session) => self.set(turn, async move |client| {
                client.tell_delegate(&session).await;
            }),
            Order::Wait {
                session,
                task,
                reply,
            } => self.wait_for((session, task), reply, turn),
            Order::ForgetWait { session, task } => self.forget_wait((session, task)),
            Order::Hear(hear) => self.begin(async move |client| {
                client.turns.come(turn).await;
                client.hear(hear).await;
            }),
            Order::Listen => self.set(turn, async |client| {
                let is_listening = client.shared.book().listeners > 0;
                client
                    .say(&ListenForRefresh { is_listening }, at_client)
                    .await;
            }),
            Order::SetConditions(conditions) => self.set(turn, async move |client| {
                if let Some(now) = client.say(&SetConditions { conditions }, |_| AtRoot).await {
                    client.shared.conditions.send_replace(now);
                }
            }),
            Order::SetRateLimit(bytes_per_second) => self.set(turn, async move |client| {
                let call = SetEngineRateLimit { bytes_per_second };
                client.say(&call, |_| AtRoot).await;
            }),
            Order::CameToForeground => self.set(turn, async |client| {
                client.say(&CameToForeground {}, at_client).await;
            }),
            // Who serves the orders ends with it.
            Order::Shutdown => {}
        }
    }

    fn begin(self: &Rc<Self>, work: impl AsyncFnOnce(Rc<Self>) + 'static) {
        let client = Rc::clone(self);
        actix_rt::spawn(async move { work(client).await });
    }

    /// The same, for what has to hold for all orders after it.
    fn set(self: &Rc<Self>, turn: Turn, work: impl AsyncFnOnce(Rc<Self>) + 'static) {
        let hold: Hold = self.turns.hold(turn);
        self.begin(async move |client| {
            client.turns.come(turn).await;
            work(client).await;
            drop(hold);
        });
    }

    /// Says something whose caller does not wait for the answer.
    async fn say<C: Call>(
        &self,
        call: &C,
        at: impl Fn(&ClientId) -> C::At + Send + 'static,
    ) -> Option<C::Answer> {
        let said = async {
            let (body, _) = self.answer(&Question::new(call, at)?).await?;
            answer_of::<C>(&body)
        };
        let answer = said.await;
        if let Err(error) = &answer {
            tracing::warn!(call = C::NAME, %error, "the daemon was not told");
        }
        answer.ok()
    }

    /// Opens a session on the connection of now, also when that changes meanwhile.
    async fn open(
        &self,
        session: &SessionId,
        has_delegate: bool,
        question: &Question,
    ) -> Result<Vec<u8>, Unanswered> {
        loop {
            let (body, on) = self.answer(question).await?;
            {
                let mut book = self.shared.book();
                if let Some(kept) = book.owned.get_mut(session) {
                    kept.told_delegate = has_delegate;
                    kept.opened_on = kept.opened_on.max(Some(on));
                }
            }
            // A connection that was lost since then may have been renewed without it.
            let now = self.connection().await?.number;
            let mut book = self.shared.book();
            let kept = book.owned.get_mut(session);
            if kept.is_none_or(|kept| kept.opened_on >= Some(now)) {
                return Ok(body);
            }
        }
    }

    async fn close(&self, session: SessionId) {
        let at = move |client: &ClientId| AtClientSession(client.clone(), session.clone());
        let Ok(question) = Question::new(&CloseSession {}, at) else {
            return;
        };
        // On a connection that is new it was never opened, and that is what was asked.
        if let Err(error) = self.answer(&question).await {
            tracing::debug!(%error, "a session was not closed");
        }
    }

    /// Tells whether a delegate is there, when the daemon knows otherwise. Before the session is open
    /// nobody has to know.
    pub(super) async fn tell_delegate(&self, session: &SessionId) {
        let is_there = {
            let mut book = self.shared.book();
            let is_there = book.is_attached(session);
            let kept = book.owned.get_mut(session);
            let Some(kept) = kept.filter(|kept| kept.opened_on.is_some()) else {
                return;
            };
            if std::mem::replace(&mut kept.told_delegate, is_there) == is_there {
                return;
            }
            is_there
        };
        let at = session.clone();
        let at = move |client: &ClientId| AtClientSession(client.clone(), at.clone());
        self.say(&SetDelegate { is_there }, at).await;
    }

    /// Asks until there is an answer; tells on which connection it came.
    ///
    /// # Errors
    /// As [`Unanswered`] says.
    pub(super) async fn answer(&self, question: &Question) -> Result<(Vec<u8>, u64), Unanswered> {
        let mut backoff = Backoff::new();
        let mut may_be_heard = false;
        let mut why = "its connection is lost".to_owned();
        let mut patience = std::pin::pin!(tokio::time::sleep(self.patience));
        loop {
            let connection = tokio::select! {
                biased;
                connection = self.connection() => connection?,
                () = &mut patience => return Err(Unanswered::Unreachable(why)),
            };
            if question
                .only_on
                .is_some_and(|only| only != connection.number)
            {
                return Err(Unanswered::Problem(Problem::RefreshExpired));
            }
            match self.ask_once(question, &connection, may_be_heard).await {
                Ok(body) => return Ok((body, connection.number)),
                Err(Unheard::Refused(Problem::NoSuchClient)) => self.is_unknown(&connection),
                // It is being stopped; there is another one soon, or none.
                Err(Unheard::Refused(Problem::Stopped { .. })) => {}
                Err(Unheard::Refused(problem)) => return Err(Unanswered::Problem(problem)),
                Err(Unheard::NotThere(reason)) => why = reason,
                Err(Unheard::Lost(reason)) => {
                    may_be_heard = true;
                    why = reason;
                }
            }
            tokio::select! {
                () = backoff.pause() => {}
                () = &mut patience => return Err(Unanswered::Unreachable(why)),
            }
        }
    }

    /// Asks one time, as soon as few enough others do.
    pub(super) async fn ask_once(
        &self,
        question: &Question,
        connection: &Connection,
        may_be_heard: bool,
    ) -> Result<Vec<u8>, Unheard> {
        let _place = self.questions.acquire().await;
        let path = question.path(&connection.client);
        let content = question.content(may_be_heard);
        self.wire.ask(question.method, &path, content).await
    }

    /// The connection of now, or the next one.
    ///
    /// # Errors
    /// When the client has stopped.
    pub(super) async fn connection(&self) -> Result<Connection, Unanswered> {
        let mut reach: watch::Receiver<Reach> = self.reach.subscribe();
        let here = reach
            .wait_for(|reach| matches!(reach, Reach::Here(_)))
            .await;
        match here.as_deref() {
            Ok(Reach::Here(connection)) => Ok(connection.clone()),
            Ok(Reach::Away) | Err(_) => Err(Unanswered::Stopped { reason: None }),
        }
    }

    /// The daemon does not know this client: its stream has ended, and this side has not noticed.
    pub(super) fn is_unknown(&self, connection: &Connection) {
        self.reach.send_if_modified(|reach| {
            let is_now = matches!(reach, Reach::Here(now) if now.number == connection.number);
            if is_now {
                *reach = Reach::Away;
            }
            is_now
        });
    }
}

/// The client itself.
pub(super) fn at_client(client: &ClientId) -> AtClient {
    AtClient(client.clone())
}
