//! The control API without its transport: what another process may ask of an engine in this one.
//!
//! [`Control`] answers the calls of [`api`], which are described there, with an engine of this process.
//! `longhaul daemon` puts HTTP before it; a test may call it as it is. Whoever puts it on a wire sees
//! to the bytes and to who may come that far: every caller counts as the user of this process.
//!
//! A client is one process for as long as the [`ClientStream`] lives that [`Control::welcome`] gave.
//! What it opens is its own until then, and free the moment after.

mod calls;
mod checked;
mod client;
mod clients;
mod dispatch;
mod events;
mod launching;
mod problems;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longhaul_actors::handle;
use longhaul_actors::local::{self, EngineHandle};
use longhaul_engine::control::{API_VERSION, EngineDocument};

pub use longhaul_engine::control as api;
pub use longhaul_engine::control::{
    ClientEvent, ClientId, EventsQuery, Hello, Method, Problem, SessionEvent,
};
pub use longhaul_engine::id::SessionId;

pub use dispatch::Route;
pub use events::EventStream;
pub use launching::Launch;
pub use stream::ClientStream;

use crate::{Engine, Error};
use client::Client;
use clients::Clients;
use events::{Counted, STREAMS_MAX, Seat};
use launching::Launches;

/// What answers the calls of the control API. Clones answer for the same clients.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

/// What is known of who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its process, when the transport knows it (`SO_PEERCRED`).
    pub pid: Option<u32>,
}

/// How much clients hold at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Clients whose stream is there.
    pub clients: usize,
    /// Sessions that they own.
    pub sessions: usize,
    /// Delegates that they have.
    pub delegates: usize,
    /// Tasks whose ends they wait for.
    pub waits: usize,
    /// Refresh tasks that they have not completed.
    pub refresh_tasks: usize,
    /// Streams of events.
    pub event_streams: usize,
}

/// The answer to a call: the body of a good one, or why there is none.
pub type Answer = Pin<Box<dyn Future<Output = Result<Vec<u8>, Problem>> + Send>>;

/// What all clones share.
struct Inner {
    engine: EngineHandle,
    clients: Clients,
    launches: Launches,
    event_streams: Arc<AtomicUsize>,
}

impl Control {
    /// Answers with this engine. It keeps the engine running as a handle of it does.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the engine is one of another process, which answers by itself.
    pub fn new(engine: &Engine) -> Result<Self, Error> {
        let handle::EngineHandle::Local(engine) = &engine.handle else {
            return Err(Error::Invalid(
                "this engine runs in another process, which answers the control API itself; give one \
                 that was started in this process"
                    .to_owned(),
            ));
        };
        let inner = Inner {
            engine: engine.clone(),
            clients: Clients::default(),
            launches: Launches::default(),
            event_streams: Arc::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Every call that it answers, in the order of the description.
    #[must_use]
    pub fn routes() -> &'static [Route] {
        dispatch::ROUTES
    }

    /// Answers a call. `part` gives a part of the path by the name that stands in braces in
    /// [`Route::path`], still percent-encoded; `query` is what stands after the `?`, which a `GET` is read
    /// from, and `body` what all others are.
    ///
    /// Everything is read and checked before anything is done: with [`Problem::Invalid`] nothing was
    /// changed. The answer must be waited for; when it is dropped before, it is not known whether the
    /// call was done.
    ///
    /// # Errors
    /// A [`Problem`] that says the next step.
    pub fn answer<'a>(
        &self,
        route: &Route,
        part: impl Fn(&str) -> Option<&'a str>,
        query: &str,
        body: &[u8],
        peer: Peer,
    ) -> Answer {
        route.ask(self, &part, dispatch::Question { query, body }, peer)
    }

    /// Takes in a client. Its stream begins with [`ClientEvent::Welcome`]; it is one until the stream is
    /// dropped.
    ///
    /// # Errors
    /// [`Problem::TooMany`] when there are as many as one engine serves.
    pub fn welcome(&self, hello: Hello, peer: Peer) -> Result<ClientStream, Problem> {
        let inner = &self.inner;
        let client = inner.clients.admit(|| {
            let launch = hello.launch.and_then(|token| inner.launches.take(&token));
            let (launched_for, called) = launch.unzip();
            let id = ClientId(random_id());
            Client::new(id, peer.pid, launched_for, called.flatten())
        })?;
        tracing::debug!(pid = peer.pid, "a client has come");
        Ok(ClientStream::new(Arc::clone(inner), client))
    }

    /// The events of a session, from this moment on and with every fact after
    /// [`EventsQuery::after`] that was not acknowledged. The first is [`SessionEvent::Listening`]. It
    /// ends after [`SessionEvent::Over`]; without that the engine has stopped, or the client has given
    /// the session up.
    ///
    /// The client that owns the session is there by listening, and its app is not called. Anybody else
    /// only looks on.
    ///
    /// # Errors
    /// [`Problem::NoSuchSession`], [`Problem::Invalidated`], [`Problem::NoSuchClient`],
    /// [`Problem::Stopped`], or [`Problem::TooMany`] when there are as many streams as one engine serves.
    pub async fn events(
        &self,
        session: &SessionId,
        query: EventsQuery,
    ) -> Result<EventStream, Problem> {
        let EventsQuery {
            after,
            task,
            client,
        } = query;
        let inner = &self.inner;
        let counted = Counted::new(&inner.event_streams).ok_or_else(|| Problem::TooMany {
            detail: format!(
                "there are {STREAMS_MAX} streams of events already; end some, and try again"
            ),
        })?;
        let client = client.map(|id| inner.clients.get(&id)).transpose()?;
        let observer = inner.observe(session).await?;
        let owned = client.as_ref().and_then(|client| client.owned(session));
        let is_owned = owned.is_some();
        let listener = owned.unwrap_or_else(|| observer.clone());
        let subscribed = listener.subscribe_after(task, after.unwrap_or_default());
        let subscription = subscribed.await.map_err(problems::of_call)?;
        drop(listener);
        let seat = Seat::new(subscription);
        if let (Some(client), true) = (client, is_owned) {
            client.add_stream(session, &seat)?;
        }
        Ok(EventStream::new(seat, observer, task, counted))
    }

    /// How much clients hold now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let clients = self.inner.clients.all();
        let mut counts = Counts {
            clients: clients.len(),
            event_streams: self.inner.event_streams.load(Ordering::Relaxed),
            ..Counts::default()
        };
        for figures in clients.iter().map(|client| client.figures()) {
            counts.sessions += figures.sessions;
            counts.delegates += figures.delegates;
            counts.waits += figures.waits;
            counts.refresh_tasks += figures.refresh_tasks;
        }
        counts
    }
}

impl Inner {
    /// A handle of a session that owns nothing.
    async fn observe(&self, session: &SessionId) -> Result<local::SessionHandle, Problem> {
        let observed = self.engine.observe(session).await;
        observed.map_err(problems::of_call)
    }

    /// The engine that answers.
    fn engine_document(&self) -> EngineDocument {
        EngineDocument {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: API_VERSION,
            pid: local::process_id(),
            state_dir: self.engine.state_dir().to_path_buf(),
            started_at: self.engine.started_at(),
            conditions: self.engine.conditions(),
        }
    }

    /// Forgets a client, and frees what it held.
    fn end_client(&self, client: &Arc<Client>) {
        drop(self.clients.remove(client));
        // Whoever it kept from them may take the calls of its sessions now.
        self.engine.refresh_scopes_changed();
        tracing::debug!(pid = client.pid(), "a client has gone");
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// 128 bits of chance, as 32 hexadecimal digits.
fn random_id() -> String {
    format!("{:032x}", local::random_number())
}
