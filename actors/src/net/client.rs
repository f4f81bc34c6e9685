//! The client: finds or opens a connection, sends the request on it, hands out the body.

use std::{fmt, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use awc::body::BodySize;
use longhaul_engine::http::{
    framing::{Framing, body_framing, keep_alive},
    head::ResponseHead,
};
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;

use super::{
    body::{Body, Home, Last},
    dial::{Dial, Endpoint, Transport},
    encoder::Encoder,
    exchange::{Answer, exchange},
    failure::NetFailure,
    pool::Pool,
    probe::{ConnectionFacts, Probe},
    proxy::Proxy,
    request::{Method, Origin, Outgoing, Request, field_value},
    tls::{self, Roots},
    wire::Wire,
};

/// What all requests of a client have in common.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The `User-Agent` of requests that state none.
    pub user_agent: String,
    /// Longest time for name, TCP, proxy and TLS together.
    pub connect_timeout: Duration,
    /// Which certificate authorities are trusted.
    pub roots: Roots,
    /// The proxy of every connection, if any.
    pub proxy: Option<Proxy>,
}

impl Default for ClientConfig {
    /// `longhaul/VERSION`, 30 s, the system's roots, no proxy.
    fn default() -> Self {
        Self {
            user_agent: concat!("longhaul/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(30),
            roots: Roots::System,
            proxy: None,
        }
    }
}

/// A response: its head is here, its body is read from [`Response::body`].
#[derive(Debug)]
pub struct Response {
    /// The final head; redirects and errors are answers like any other.
    pub head: ResponseHead,
    /// What follows it.
    pub body: Body,
    /// How it came.
    pub facts: Facts,
}

/// What is known about the exchange beside the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// True when the connection had carried a request before.
    pub reused: bool,
    /// The address at the other end, the proxy's if there is one.
    pub remote: Option<SocketAddr>,
    /// The status codes of the interim (1xx) responses that came first, at most 32.
    pub interim: Vec<u16>,
    /// True when the bytes came through TLS.
    pub tls: bool,
}

/// Sends requests over HTTP/1.1 and keeps connections for reuse.
///
/// It belongs to one thread and must be used on an actix arbiter (or a tokio `LocalSet`), because
/// its timers start a local task. Clones share the connections. Nothing is retried, except that a
/// request whose kept connection turns out closed is sent once more on a new one. Redirects are not
/// followed, cookies not kept, bodies not decompressed.
#[derive(Clone)]
pub struct Client {
    shared: Rc<Shared>,
}

/// What the clones of a client share.
pub(super) struct Shared {
    user_agent: String,
    connect_timeout: Duration,
    proxy: Option<Proxy>,
    extra_roots: Vec<CertificateDer<'static>>,
    /// Built when the first https request comes, because the system's roots take time to read.
    tls: OnceCell<Arc<rustls::ClientConfig>>,
    encoder: OnceCell<Encoder>,
    dial: Rc<dyn Dial>,
    pool: Rc<Pool>,
}

impl Client {
    /// A client that opens its connections through `dial`.
    ///
    /// # Errors
    /// [`NetFailure::InvalidInput`] when the user agent or the PEM text of the roots is malformed.
    pub fn new(config: &ClientConfig, dial: Rc<dyn Dial>) -> Result<Self, NetFailure> {
        field_value("user-agent", &config.user_agent)?;
        let shared = Shared {
            user_agent: config.user_agent.clone(),
            connect_timeout: config.connect_timeout,
            proxy: config.proxy.clone(),
            extra_roots: tls::extra_roots(&config.roots)?,
            tls: OnceCell::new(),
            encoder: OnceCell::new(),
            dial,
            pool: Rc::default(),
        };
        Ok(Self {
            shared: Rc::new(shared),
        })
    }

    /// Sends `request` and waits for the final response head.
    ///
    /// # Errors
    /// Every [`NetFailure`] but those that only a body can have. Nothing of the response is kept.
    pub async fn send(&self, request: Request) -> Result<Response, NetFailure> {
        self.send_probed(request, Probe::default()).await
    }

    /// As [`Client::send`], and notes what it took, to the end of the body.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_probed(
        &self,
        request: Request,
        probe: Probe,
    ) -> Result<Response, NetFailure> {
        let shared = &*self.shared;
        let outgoing = shared.outgoing(&request)?;
        let encoder = shared.encoder().await?;
        let bytes = encoder.encode(request.method.token(), &outgoing, BodySize::None)?;
        if let Some(wire) = shared.pool.take(&outgoing.origin) {
            shared.will_use(&wire, true, &probe);
            match exchange(wire, &bytes, request.idle_timeout, &probe).await {
                Ok(answer) => return shared.respond(answer, outgoing, &request, (true, probe)),
                // The server had closed it meanwhile. All methods may be sent twice.
                Err(broken)
                    if broken.was_silent && matches!(broken.failure, NetFailure::Reset { .. }) => {}
                Err(broken) => return Err(broken.failure),
            }
        }
        let wire = shared.connect(&outgoing.origin, &probe).await?;
        shared.will_use(&wire, false, &probe);
        match exchange(wire, &bytes, request.idle_timeout, &probe).await {
            Ok(answer) => shared.respond(answer, outgoing, &request, (false, probe)),
            Err(broken) => Err(broken.failure),
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// How many connections wait for another request.
    #[cfg(test)]
    pub(super) fn idle_connections(&self) -> usize {
        self.shared.pool.len()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("user_agent", &self.shared.user_agent)
            .field("connect_timeout", &self.shared.connect_timeout)
            .field("proxy", &self.shared.proxy)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The request as it goes over the wire.
    pub(super) fn outgoing(&self, request: &Request) -> Result<Outgoing, NetFailure> {
        Outgoing::new(request, &self.user_agent, self.proxy.as_ref())
    }

    pub(super) async fn encoder(&self) -> Result<&Encoder, NetFailure> {
        self.encoder.get_or_try_init(Encoder::new).await
    }

    /// A connection that was kept for the place that `outgoing` goes to.
    pub(super) fn kept(&self, outgoing: &Outgoing) -> Option<Wire> {
        self.pool.take(&outgoing.origin)
    }

    pub(super) async fn connect(&self, origin: &Origin, probe: &Probe) -> Result<Wire, NetFailure> {
        let limit = self.connect_timeout;
        match tokio::time::timeout(limit, self.establish(origin, probe)).await {
            Ok(established) => established.inspect(|_| probe.connected()),
            Err(_) => Err(NetFailure::ConnectTimeout {
                to: origin.endpoint.to_string(),
                limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    /// Everything below HTTP, from the bottom up.
    async fn establish(&self, origin: &Origin, probe: &Probe) -> Result<Wire, NetFailure> {
        let transport = match &self.proxy {
            Some(proxy) => self.through(proxy, origin, probe).await?,
            None => {
                let dialling = self.dial.dial_probed(&origin.endpoint, probe.clone());
                dialling.await?
            }
        };
        if !origin.is_tls {
            return Ok(Wire::new(transport, false));
        }
        let config = self.tls.get_or_try_init(|| self.load_tls()).await?;
        probe.secure_started();
        let transport = tls::handshake(Arc::clone(config), &origin.endpoint, transport).await?;
        probe.secure_ended();
        Ok(Wire::new(transport, true))
    }

    async fn through(
        &self,
        proxy: &Proxy,
        origin: &Origin,
        probe: &Probe,
    ) -> Result<Box<dyn Transport>, NetFailure> {
        let to: &Endpoint = proxy.endpoint();
        let mut transport = self.dial.dial_probed(to, probe.clone()).await?;
        if origin.is_tls || !proxy.takes_requests() {
            let opened = proxy.open(&mut *transport, &origin.endpoint, &self.user_agent);
            opened.await?;
        }
        Ok(transport)
    }

    /// Off the thread, because it reads a few hundred files.
    async fn load_tls(&self) -> Result<Arc<rustls::ClientConfig>, NetFailure> {
        let extra = self.extra_roots.clone();
        let loading = tokio::task::spawn_blocking(move || tls::configure(extra));
        let stopped = |_| NetFailure::invalid("tls setup: the runtime is stopping");
        loading.await.map_err(stopped)?
    }

    pub(super) fn will_use(&self, wire: &Wire, is_reused: bool, probe: &Probe) {
        probe.uses(&ConnectionFacts {
            is_reused,
            is_proxy: self.proxy.is_some(),
            is_secure: wire.is_tls,
            remote: wire.remote,
        });
    }

    pub(super) fn respond(
        &self,
        answer: Answer,
        outgoing: Outgoing,
        request: &Request,
        (reused, probe): (bool, Probe),
    ) -> Result<Response, NetFailure> {
        let framing = match request.method {
            Method::Get | Method::Options | Method::Delete => body_framing(&answer.head)?,
            Method::Head => Framing::Empty,
        };
        let may_stay = answer.was_sent && keep_alive(&answer.head);
        let home = may_stay.then(|| Home::new(&self.pool, outgoing.origin));
        let last = Last { home, probe };
        let facts = Facts {
            reused,
            remote: answer.wire.remote,
            interim: answer.interim,
            tls: answer.wire.is_tls,
        };
        Ok(Response {
            body: Body::new(answer.wire, framing, request.idle_timeout, last),
            head: answer.head,
            facts,
        })
    }
}
