//! Serves one subscription: a stream of its own, which is read as fast as the app takes the events.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use longhaul_engine::control::{
    AtSession, EVENTS_PATH, EventsQuery, Method, Place as _, Problem, SessionEvent,
};
use longhaul_engine::event::{Event, Fact, NumberedFact};

use super::backoff::Backoff;
use super::calls::{Connection, Patience};
use super::convert;
use super::orders::Hear;
use super::question::{Content, Unanswered};
use super::reader::Reader;
use super::thread::Client;
use super::wire::Unheard;

impl Client {
    /// Serves a subscription to its end. What it has heard is not told again after a connection was
    /// lost, and what happened meanwhile is: facts have numbers.
    pub(super) async fn hear(&self, hear: Hear, patience: &mut Patience) {
        let (events, fate) = (hear.events.clone(), Arc::clone(&hear.fate));
        tokio::select! {
            () = self.hear_all(hear, patience) => {}
            () = events.closed() => {}
            _ = fate.ended() => {}
        }
    }

    async fn hear_all(&self, mut hear: Hear, patience: &mut Patience) {
        let mut backoff = Backoff::new();
        let mut why = "its connection is lost".to_owned();
        // A client that has stopped drops the subscription, and who waits for it knows.
        while let Ok(connection) = tokio::select! {
            biased;
            connection = self.connection() => connection,
            () = &mut *patience, if hear.heard.is_some() => Err(Unanswered::Unreachable(why.clone())),
        } {
            match self.listen(&hear, &connection).await {
                Ok(reader) => {
                    match hear.heard.take() {
                        // Who asked may have lost interest; then this ends.
                        Some(heard) => drop(heard.send(Ok(()))),
                        None => hear.has_missed_news.store(true, Ordering::Release),
                    }
                    backoff = Backoff::new();
                    if self.follow(reader, &mut hear).await.is_break() {
                        return;
                    }
                }
                Err(Unheard::Refused(Problem::NoSuchClient)) => self.give_up(&connection),
                Err(Unheard::Refused(problem)) if is_final(&problem, &hear) => {
                    return hear.refuse(problem);
                }
                Err(Unheard::Refused(problem)) => why = problem.to_string(),
                Err(Unheard::NotThere(reason) | Unheard::Lost(reason)) => why = reason,
            }
            backoff.pause().await;
        }
        if let Some(heard) = hear.heard.take() {
            let _ = heard.send(Err(Unanswered::Unreachable(why)));
        }
    }

    /// Opens the stream and waits until the daemon listens.
    async fn listen(&self, hear: &Hear, connection: &Connection) -> Result<Reader, Unheard> {
        let query = EventsQuery {
            after: Some(hear.after),
            task: hear.task,
            client: hear.is_owner.then(|| connection.client.clone()),
        };
        let query = serde_urlencoded::to_string(&query);
        let query = query.map_err(|error| Unheard::Refused(Problem::invalid(error.to_string())))?;
        let path = AtSession(hear.session.clone()).fill(EVENTS_PATH);
        let content = Content { query, body: None };
        let mut reader = self.wire.open(Method::Get, &path, &content).await?;
        match reader.next().await.map_err(Unheard::Lost)? {
            Some(SessionEvent::Listening) => Ok(reader),
            Some(SessionEvent::Over | SessionEvent::Told { .. } | SessionEvent::MissedNews) => {
                Err(Unheard::Lost("it did not say that it listens".to_owned()))
            }
            None => Err(Unheard::Lost("its stream ended before it began".to_owned())),
        }
    }

    /// Reads a stream; goes on with the next when it was cut off.
    async fn follow(&self, mut reader: Reader, hear: &mut Hear) -> ControlFlow<()> {
        loop {
            match reader.next().await {
                Ok(Some(SessionEvent::Told { told })) => self.tell(told, hear).await?,
                Ok(Some(SessionEvent::MissedNews)) => {
                    hear.has_missed_news.store(true, Ordering::Release);
                }
                Ok(Some(SessionEvent::Listening)) => {}
                Ok(Some(SessionEvent::Over)) => return ControlFlow::Break(()),
                Ok(None) => return ControlFlow::Continue(()),
                Err(error) => {
                    tracing::debug!(%error, "a stream of events is lost");
                    return ControlFlow::Continue(());
                }
            }
        }
    }

    /// Hands an event over, when there is room for it and it was not heard before.
    async fn tell(&self, told: Event, hear: &mut Hear) -> ControlFlow<()> {
        if let Event::Fact(NumberedFact { sequence, fact }) = &told {
            // The daemon had to make its store anew, and counts from the beginning.
            let is_new_count = matches!(fact, Fact::StateLost);
            if *sequence <= hear.after && !is_new_count {
                return ControlFlow::Continue(());
            }
            hear.after = *sequence;
            match fact {
                // The app may acknowledge it at once, and nobody could be told of the end after that.
                Fact::Completed { task, outcome, .. } => {
                    let key = (hear.session.clone(), *task);
                    self.waits.borrow_mut().resolve(&key, &Ok(outcome.clone()));
                }
                Fact::BecameInvalid => hear.fate.becomes_invalid(*sequence),
                Fact::Challenged { .. } | Fact::StateLost => {}
            }
        }
        match hear.events.send(told).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Hear {
    fn refuse(self, problem: Problem) {
        match self.heard {
            Some(heard) => drop(heard.send(Err(Unanswered::Problem(problem)))),
            None => {
                let session = &self.session;
                tracing::warn!(%session, %problem, "the daemon tells no more of a session");
            }
        }
    }
}

/// Whether it is of no use to try again. A subscription that was heard once goes on until there is
/// nothing to be heard any more.
fn is_final(problem: &Problem, hear: &Hear) -> bool {
    let is_full = matches!(problem, Problem::TooMany { .. });
    !convert::is_passing(problem) && (hear.heard.is_some() || !is_full)
}
