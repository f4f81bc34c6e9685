//! What is told to one client, for as long as it is one.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use longhaul_actors::local::{CallError, RefreshTask};
use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::ClientEvent;
use longhaul_engine::task::Outcome;

use super::client::{Client, Wait};
use super::{Inner, problems};

/// What is told to one client, as [`Control::welcome`](super::Control::welcome) gives it. Dropping it
/// ends the client: its sessions are free at once, and whatever it waited for is forgotten.
///
/// Nothing piles up for a client that does not read: it holds its waits, whose number is limited, and
/// what it is told of conditions and calls is what holds when it reads.
pub struct ClientStream {
    control: Arc<Inner>,
    client: Arc<Client>,
    stage: Stage,
    stopped: Pin<Box<dyn Future<Output = Option<String>> + Send>>,
    conditions: NextConditions,
    listener: Option<NextCall>,
    waits: FuturesUnordered<Wait>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was told.
    New,
    /// It is told what concerns it.
    Telling,
    /// Nothing follows.
    Over,
}

type NextCall = Pin<Box<dyn Future<Output = Option<RefreshTask>> + Send>>;

type NextConditions = Pin<Box<dyn Future<Output = Option<Conditions>> + Send>>;

impl ClientStream {
    pub(super) fn new(control: Arc<Inner>, client: Arc<Client>) -> Self {
        let engine = control.engine.clone();
        let stopped = Box::pin(async move { engine.stopped().await });
        let conditions = control.conditions_after(control.engine.conditions());
        Self {
            control,
            client,
            stage: Stage::New,
            stopped,
            conditions,
            listener: None,
            waits: FuturesUnordered::new(),
        }
    }

    /// The next call of its app, if it listens.
    fn poll_calls(&mut self, context: &mut Context<'_>) -> Option<ClientEvent> {
        if let Some(event) = self.client.take_call().and_then(|task| self.call(task)) {
            return Some(event);
        }
        if !self.client.is_listening() {
            self.listener = None;
            return None;
        }
        loop {
            let next = || -> NextCall { Box::pin(self.control.next_call_of(&self.client)) };
            let listener = self.listener.get_or_insert_with(next);
            let Poll::Ready(task) = listener.as_mut().poll(context) else {
                return None;
            };
            self.listener = None;
            // Without one the engine has stopped, which is told otherwise.
            if let Some(event) = self.call(task?) {
                return Some(event);
            }
        }
    }

    /// What network and power are like, if it is something else than was told.
    fn poll_conditions(&mut self, context: &mut Context<'_>) -> Option<ClientEvent> {
        let Poll::Ready(now) = self.conditions.as_mut().poll(context) else {
            return None;
        };
        self.conditions = match now {
            Some(now) => self.control.conditions_after(now),
            // The engine has stopped, which is told otherwise.
            None => Box::pin(pending()),
        };
        now.map(ClientEvent::Conditions)
    }

    fn call(&self, task: RefreshTask) -> Option<ClientEvent> {
        let session = task.session_identifier().clone();
        let (reason, expires_at) = (task.reason(), task.expires_at());
        let number = self.client.hold_call(task)?;
        Some(ClientEvent::RefreshTask {
            number,
            session,
            reason,
            expires_at,
        })
    }

    /// The next end of a task that it waits for.
    fn poll_waits(&mut self, context: &mut Context<'_>) -> Option<ClientEvent> {
        self.waits.extend(self.client.take_new_waits());
        while let Poll::Ready(Some(ended)) = self.waits.poll_next_unpin(context) {
            let Ok((wait, ended)) = ended else {
                // It was forgotten.
                continue;
            };
            if let Some(event) = end_of(wait, ended) {
                self.client.forget(wait);
                return Some(event);
            }
        }
        None
    }
}

/// What is told of a wait. That the engine stops is told otherwise, and the wait is said again then.
fn end_of(wait: u64, ended: Result<Outcome, CallError>) -> Option<ClientEvent> {
    match ended {
        Ok(outcome) => Some(ClientEvent::Ended { wait, outcome }),
        Err(CallError::Stopped { .. }) => None,
        Err(error) => Some(ClientEvent::Lost {
            wait,
            problem: problems::of_call(error),
        }),
    }
}

impl Inner {
    fn conditions_after(&self, known: Conditions) -> NextConditions {
        let engine = self.engine.clone();
        Box::pin(async move { engine.conditions_changed(known).await })
    }
}

impl Stream for ClientStream {
    type Item = ClientEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        let this = &mut *self;
        match this.stage {
            Stage::New => {
                this.stage = Stage::Telling;
                let engine = this.control.engine_document();
                this.conditions = this.control.conditions_after(engine.conditions);
                return Poll::Ready(Some(ClientEvent::Welcome {
                    client: this.client.id().clone(),
                    engine,
                }));
            }
            Stage::Telling => {}
            Stage::Over => return Poll::Ready(None),
        }
        // What changes from here on wakes this task again.
        this.client.set_waker(context.waker());
        if this.stopped.as_mut().poll(context).is_ready() {
            this.stage = Stage::Over;
            return Poll::Ready(Some(ClientEvent::Stopping));
        }
        let event = this
            .poll_calls(context)
            .or_else(|| this.poll_conditions(context))
            .or_else(|| this.poll_waits(context));
        match event {
            Some(event) => Poll::Ready(Some(event)),
            None => Poll::Pending,
        }
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.listener = None;
        self.control.end_client(&self.client);
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream")
            .field("client", &self.client)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
