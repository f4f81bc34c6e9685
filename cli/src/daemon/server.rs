//! HTTP over the Unix socket: who asks, what is asked, and the answer of the engine.

use std::any::Any;
use std::io;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use actix_web::body::BodyStream;
use actix_web::dev::{Extensions, Server};
use actix_web::http::header::ORIGIN;
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use futures_util::stream::Stream;
use longhaul::control::api::{AtSession, Place as _};
use longhaul::control::{Control, EventsQuery, Hello, Method, Peer, Problem};
use longhaul::{Engine, Error};
use tokio::net::UnixStream;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::body::{self, Body, Budget};
use super::metrics::{self, Connected, Metrics};
use super::problems::{allowed, begin, document, problem};
use super::routes::{Found, Parts, Routes, Target};
use super::streams;

/// Connections at once, unless the descriptors are fewer: every client has one, each of its streams
/// and waiting calls another.
const CONNECTIONS_MAX: usize = 8192;

/// Connections that are only told that there are too many; more wait in the queue of the kernel.
const REFUSED_MAX: usize = 64;

/// A head comes in one piece from the same machine; half of one holds its connection this long.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a connection without a question is kept for the next one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Whole seconds that the server gives answers which are being written when it stops; whoever
/// stops it waits less.
const ANSWERS_TIME_MAX_S: u64 = 1;

/// What every request is answered with.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) engine: Engine,
    pub(super) control: Control,
    pub(super) metrics: Metrics,
    routes: Routes,
    bodies: Budget,
}

/// One connection, as every request on it sees it.
#[derive(Debug)]
struct Connection {
    standing: Standing,
    peer: Peer,
    _held: Connected,
}

/// Whether a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Served,
    /// Its process belongs to another user, or nobody knows to whom.
    Stranger,
    /// There are so many others.
    Surplus(usize),
}

impl Site {
    pub(super) fn new(engine: Engine) -> Result<Self, Error> {
        Ok(Self {
            control: Control::new(&engine)?,
            engine,
            metrics: Metrics::new(),
            routes: Routes::all(),
            bodies: Budget::default(),
        })
    }
}

/// Serves the API on this socket, on a thread of its own. `descriptors_max` is what the process may
/// have open; the server leaves half of them to the transfers.
pub(super) fn serve(
    listener: UnixListener,
    site: Data<Site>,
    descriptors_max: usize,
) -> io::Result<Server> {
    let connections_max = CONNECTIONS_MAX.min(descriptors_max / 2);
    let metrics = site.metrics.clone();
    let ours = rustix::process::geteuid().as_raw();
    let connect = move |io: &dyn Any, data: &mut Extensions| {
        data.insert(Connection::of(io, ours, &metrics, connections_max));
    };
    let app = move || {
        App::new()
            .app_data(site.clone())
            .default_service(web::to(handle))
    };
    listener.set_nonblocking(true)?;
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .max_connections(connections_max + REFUSED_MAX)
        .client_request_timeout(HEAD_TIME_MAX)
        .keep_alive(KEEP_ALIVE)
        // Who closes is gone: its sessions are free at once.
        .h1_allow_half_closed(false)
        .shutdown_timeout(ANSWERS_TIME_MAX_S)
        .on_connect(connect)
        .listen_uds(listener)?;
    Ok(server.run())
}

impl Connection {
    fn of(io: &dyn Any, ours: u32, metrics: &Metrics, connections_max: usize) -> Self {
        let stream = io.downcast_ref::<UnixStream>();
        // The kernel noted this when the other end connected (unix(7), SO_PEERCRED).
        let cred = stream.and_then(|stream| stream.peer_cred().ok());
        let (held, connections) = metrics.connected();
        let standing = match &cred {
            Some(cred) if cred.uid() == ours && connections > connections_max => {
                Standing::Surplus(connections_max)
            }
            Some(cred) if cred.uid() == ours => Standing::Served,
            Some(_) | None => Standing::Stranger,
        };
        let pid = cred.and_then(|cred| cred.pid());
        Self {
            standing,
            peer: Peer {
                pid: pid.and_then(|pid| u32::try_from(pid).ok()),
            },
            _held: held,
        }
    }
}

/// Answers one request, whatever it is.
async fn handle(request: HttpRequest, mut payload: Payload, site: Data<Site>) -> HttpResponse {
    let found = look(&request, &site);
    let name = found
        .as_ref()
        .map_or("none", |(_, target, _)| target.name());
    let span = tracing::info_span!("request", call = name, status = Empty);
    let response = async {
        let answered = match found {
            Ok((peer, target, parts)) => {
                let asked = Asked {
                    request: &request,
                    parts,
                    peer,
                };
                asked.answer(target, &mut payload, &site).await
            }
            Err(problem) => Err(problem),
        };
        answered.unwrap_or_else(|reason| {
            tracing::info!(%reason, "refused");
            body::refusing(problem(&reason), payload)
        })
    };
    let mut response = response.instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("status", status);
    span.in_scope(|| tracing::debug!("answered"));
    site.metrics.answered(name, status);
    if status == StatusCode::FORBIDDEN || is_surplus(&request) {
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    response
}

/// Who asks what; nothing is read or done before it is known.
fn look<'r>(request: &'r HttpRequest, site: &Site) -> Result<(Peer, Target, Parts<'r>), Problem> {
    let connection = request.conn_data::<Connection>();
    let connection = connection.ok_or_else(stranger)?;
    match connection.standing {
        Standing::Served => {}
        Standing::Stranger => return Err(stranger()),
        Standing::Surplus(most) => {
            return Err(Problem::TooMany {
                detail: format!("there are {most} connections already; close some, and try again"),
            });
        }
    }
    if request.headers().contains_key(ORIGIN) {
        return Err(Problem::Forbidden {
            detail: "requests of web pages are not answered; ask without an Origin field"
                .to_owned(),
        });
    }
    match site.routes.find(method(request), request.uri().path()) {
        Found::Target(target, parts) => Ok((connection.peer, target, parts)),
        Found::OtherMethods(methods) => Err(allowed(&methods)),
        Found::Nothing => Err(Problem::NoSuchPath),
    }
}

fn stranger() -> Problem {
    Problem::Forbidden {
        detail: "this engine serves another user; start one of your own with `longhaul daemon`"
            .to_owned(),
    }
}

fn is_surplus(request: &HttpRequest) -> bool {
    let connection = request.conn_data::<Connection>();
    connection.is_some_and(|it| matches!(it.standing, Standing::Surplus(_)))
}

fn method(request: &HttpRequest) -> Option<Method> {
    let all = [
        Method::Get,
        Method::Put,
        Method::Post,
        Method::Patch,
        Method::Delete,
    ];
    let name = request.method().as_str();
    all.into_iter().find(|method| method.as_str() == name)
}

/// A request that may be answered.
struct Asked<'r> {
    request: &'r HttpRequest,
    parts: Parts<'r>,
    peer: Peer,
}

impl Asked<'_> {
    async fn answer(
        &self,
        target: Target,
        payload: &mut Payload,
        site: &Site,
    ) -> Result<HttpResponse, Problem> {
        match target {
            Target::Call(route) => {
                let body = Body::read(self.request, payload, &site.bodies).await?;
                let query = self.request.query_string();
                let part = |name: &str| self.parts.get(name);
                let answer = site
                    .control
                    .answer(route, part, query, &body.bytes, self.peer);
                Ok(document(answer.await?))
            }
            Target::Client => {
                let body = Body::read(self.request, payload, &site.bodies).await?;
                let hello = hello(&body.bytes)?;
                Ok(stream(site.control.welcome(hello, self.peer)?))
            }
            Target::Events => {
                let AtSession(session) = AtSession::read(|name| self.parts.get(name))?;
                let query = web::Query::<EventsQuery>::from_query(self.request.query_string());
                let query = query.map_err(|error| {
                    Problem::invalid(format!("the query can not be used: {error}"))
                })?;
                let events = site.control.events(&session, query.into_inner());
                Ok(stream(events.await?))
            }
            Target::Metrics => {
                let text = site.metrics.text(&site.engine, &site.control).await?;
                let mut response = begin(StatusCode::OK);
                Ok(response.content_type(metrics::CONTENT_TYPE).body(text))
            }
        }
    }
}

/// What a process says to become a client; with an empty body it says nothing.
fn hello(body: &[u8]) -> Result<Hello, Problem> {
    if body.is_empty() {
        return Ok(Hello::default());
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::invalid(format!("the body can not be used: {error}")))
}

/// A stream of events, and the end of its connection with it.
fn stream<S>(events: S) -> HttpResponse
where
    S: Stream<Item: streams::Told> + Unpin + 'static,
{
    let mut response = begin(StatusCode::OK);
    response.content_type("text/event-stream").force_close();
    response.body(BodyStream::new(streams::Body::new(events)))
}
