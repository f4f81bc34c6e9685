//! Carries orders out: each is asked until its answer has come, or patience has run out.

use std::pin::Pin;
use std::rc::Rc;

use longhaul_engine::control::{
    AtClient, AtClientSession, AtRoot, Call, CameToForeground, ClientId, CloseSession,
    ListenForRefresh, Problem, SetConditions, SetDelegate, SetEngineRateLimit,
};
use longhaul_engine::id::SessionId;
use tokio::sync::watch;
use tokio::time::Sleep;

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

/// How long somebody waits for the daemon yet.
pub(super) type Patience = Pin<Box<Sleep>>;

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
            Order::Ask { question, reply } => {
                self.begin(turn, async move |client, mut patience| {
                    // Who asked may have lost interest.
                    if !reply.is_closed() {
                        let answer = client.answer(&question, &mut patience).await;
                        let _ = reply.send(answer.map(|(body, _)| body));
                    }
                })
            }
            Order::Open {
                session,
                question,
                reply,
            } => self.begin(turn, async move |client, mut patience| {
                if !reply.is_closed() {
                    let _ = reply.send(client.open(&session, &question, &mut patience).await);
                }
            }),
            // On a connection that is new it was never opened, and that is what is asked.
            Order::Close(session) => self.set(turn, async move |client, mut patience| {
                let at = move |client: &ClientId| AtClientSession(client.clone(), session.clone());
                client.say(&CloseSession {}, at, &mut patience).await;
            }),
            Order::Delegate(session) => self.set(turn, async move |client, mut patience| {
                client.tell_delegate(&session, &mut patience).await;
            }),
            Order::Wait {
                session,
                task,
                reply,
            } => self.wait_for((session, task), reply, turn),
            Order::ForgetWait { session, task } => self.forget_wait((session, task), turn),
            Order::Hear(hear) => self.begin(turn, async move |client, mut patience| {
                client.hear(hear, &mut patience).await;
            }),
            Order::Listen => self.set(turn, async |client, mut patience| {
                let is_listening = client.shared.book().listeners > 0;
                let call = ListenForRefresh { is_listening };
                client.say(&call, at_client, &mut patience).await;
            }),
            Order::SetConditions(conditions) => {
                self.set(turn, async move |client, mut patience| {
                    let call = SetConditions { conditions };
                    if let Some(now) = client.say(&call, |_| AtRoot, &mut patience).await {
                        client.shared.conditions.send_replace(now);
                    }
                })
            }
            Order::SetRateLimit(bytes_per_second) => {
                self.set(turn, async move |client, mut patience| {
                    let call = SetEngineRateLimit { bytes_per_second };
                    client.say(&call, |_| AtRoot, &mut patience).await;
                })
            }
            Order::CameToForeground => self.set(turn, async |client, mut patience| {
                client
                    .say(&CameToForeground {}, at_client, &mut patience)
                    .await;
            }),
            // Who serves the orders ends with it.
            Order::Shutdown => {}
        }
    }

    /// Does what was ordered when its turn comes. Its patience begins now, and that of all before it
    /// has begun: nothing that was ordered together waits for longer than one patience.
    pub(super) fn begin(
        self: &Rc<Self>,
        turn: Turn,
        work: impl AsyncFnOnce(Rc<Self>, Patience) + 'static,
    ) {
        let client = Rc::clone(self);
        let patience = self.patience();
        actix_rt::spawn(async move {
            client.turns.come(turn).await;
            work(client, patience).await;
        });
    }

    /// The same, for what has to hold for all orders after it.
    fn set(self: &Rc<Self>, turn: Turn, work: impl AsyncFnOnce(Rc<Self>, Patience) + 'static) {
        let hold: Hold = self.turns.hold(turn);
        self.begin(turn, async move |client, patience| {
            work(client, patience).await;
            drop(hold);
        });
    }

    /// The patience of somebody who begins to wait.
    pub(super) fn patience(&self) -> Patience {
        Box::pin(tokio::time::sleep(self.patience))
    }

    /// Says something whose caller does not wait for the answer.
    pub(super) async fn say<C: Call>(
        &self,
        call: &C,
        at: impl Fn(&ClientId) -> C::At + Send + 'static,
        patience: &mut Patience,
    ) -> Option<C::Answer> {
        let said = async {
            let (body, _) = self.answer(&Question::new(call, at)?, patience).await?;
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
        self: &Rc<Self>,
        session: &SessionId,
        question: &Question,
        patience: &mut Patience,
    ) -> Result<Vec<u8>, Unanswered> {
        let (body, on) = self.answer(question, patience).await?;
        match self.shared.book().owned.get_mut(session) {
            Some(kept) => kept.opened_on = kept.opened_on.max(Some(on)),
            // Nobody wants it any more, and the daemon may have heard that before it was open.
            None => {
                self.carry_out(Order::Close(session.clone()));
                return Ok(body);
            }
        }
        // A connection that was lost since then may have been renewed without it.
        let now = self
            .connection_while(patience, "its connection is lost")
            .await?;
        let is_behind = {
            let book = self.shared.book();
            let kept = book.owned.get(session);
            kept.is_some_and(|kept| kept.opened_on < Some(now.number))
        };
        if is_behind && self.renew_session(session.clone(), &now).await.is_err() {
            self.give_up(&now);
        }
        Ok(body)
    }

    /// Tells whether a delegate is there, when the daemon knows otherwise. Before the session is open
    /// nobody has to know.
    async fn tell_delegate(&self, session: &SessionId, patience: &mut Patience) {
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
        self.say(&SetDelegate { is_there }, at, patience).await;
    }

    /// Asks until there is an answer; tells on which connection it came.
    ///
    /// # Errors
    /// As [`Unanswered`] says.
    pub(super) async fn answer(
        &self,
        question: &Question,
        patience: &mut Patience,
    ) -> Result<(Vec<u8>, u64), Unanswered> {
        let mut backoff = Backoff::new();
        let mut may_be_heard = false;
        let mut why = "its connection is lost".to_owned();
        loop {
            let connection = self.connection_while(patience, &why).await?;
            if question
                .only_on
                .is_some_and(|only| only != connection.number)
            {
                return Err(Unanswered::Problem(Problem::RefreshExpired));
            }
            match self.ask_once(question, &connection, may_be_heard).await {
                Ok(body) => return Ok((body, connection.number)),
                Err(Unheard::Refused(Problem::NoSuchClient)) => self.give_up(&connection),
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
                () = &mut *patience => return Err(Unanswered::Unreachable(why)),
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

    /// The same, as long as patience lasts.
    ///
    /// # Errors
    /// When it has ended, or the client has stopped.
    async fn connection_while(
        &self,
        patience: &mut Patience,
        why: &str,
    ) -> Result<Connection, Unanswered> {
        tokio::select! {
            biased;
            connection = self.connection() => connection,
            () = patience => Err(Unanswered::Unreachable(why.to_owned())),
        }
    }

    /// Goes on with another connection, on which everything is said again: the daemon does not know
    /// this client, because its stream has ended and this side has not noticed, or does not take
    /// something that it has to know.
    pub(super) fn give_up(&self, connection: &Connection) {
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
