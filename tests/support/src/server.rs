//! The scripted server: raw HTTP/1.1 on a loopback socket, a thread for each connection.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::exchange::{After, Exchange};
use crate::gate::Gate;
use crate::listener::{Listener, Service};
use crate::locks::lock;
use crate::log::{Log, PATIENCE, Request};
use crate::resource::Resource;
use crate::script::Reply;
use crate::wire::{Connection, Received, split_target};

/// A running server. Dropping it ends every connection and joins every thread.
#[derive(Debug)]
pub struct Server {
    listener: Listener<Scripts>,
}

/// What the paths of a server do, and what was asked of them.
#[derive(Debug, Default)]
struct Scripts {
    routes: Mutex<HashMap<String, Route>>,
    log: Log,
    /// Never opened; abandoned when the server stops. Stalled replies wait here.
    stop: Gate,
    /// Every gate of every script, also of replaced ones that still hold somebody.
    gates: Mutex<Vec<Gate>>,
}

/// What a path does.
#[derive(Debug, Default)]
struct Route {
    resource: Option<Resource>,
    replies: Vec<Arc<Reply>>,
    /// How many replies of the script were given.
    given: usize,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no loopback socket can be opened.
    pub fn start() -> Self {
        Self::start_on(0).expect("a loopback port can be opened")
    }

    /// Starts a server on this port of 127.0.0.1, for a server that comes back after an outage.
    pub fn start_on(port: u16) -> io::Result<Self> {
        let listener = Listener::open(port, Scripts::default())?;
        Ok(Self { listener })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The URL of `path` (with leading slash, and query if any).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Serves `resource` under `path` from now on; a script of the path goes on.
    pub fn serve(&self, path: &str, resource: Resource) {
        lock(&self.scripts().routes)
            .entry(path.into())
            .or_default()
            .resource = Some(resource);
    }

    /// Answers the next requests for `path` with `replies`, one each; the last one repeats. It
    /// replaces an earlier script; an empty one means [`Reply::normal`].
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies: Vec<_> = replies.into_iter().map(Arc::new).collect();
        let gates = replies.iter().flat_map(|reply| reply.gates()).cloned();
        lock(&self.scripts().gates).extend(gates);
        let mut routes = lock(&self.scripts().routes);
        let route = routes.entry(path.into()).or_default();
        route.replies = replies;
        route.given = 0;
    }

    /// All requests so far, in the order their heads were complete.
    pub fn requests(&self) -> Vec<Request> {
        self.scripts().log.snapshot()
    }

    /// The requests for `path` so far.
    pub fn requests_for(&self, path: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.path == path);
        requests
    }

    /// Body bytes sent for `path`, over all requests.
    pub fn bytes_served(&self, path: &str) -> u64 {
        self.scripts().log.read(|requests| {
            let of_path = requests.iter().filter(|request| request.path == path);
            of_path.map(|request| request.body_sent).sum()
        })
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> u64 {
        self.listener.accepted()
    }

    /// Blocks until `reached` holds for the log, and returns the log of that moment. It is asked
    /// again whenever a request comes, bytes are sent, or a request is finished.
    ///
    /// # Panics
    /// After [`PATIENCE`], with the log.
    pub fn wait_for(&self, reached: impl FnMut(&[Request]) -> bool) -> Vec<Request> {
        self.scripts()
            .log
            .wait_for(PATIENCE, reached)
            .unwrap_or_else(|requests| {
                panic!(
                    "what the test waits for has not come in {PATIENCE:?}; requests: {requests:#?}"
                )
            })
    }

    /// Cuts every open connection at once, as a failing network would; the server goes on.
    pub fn drop_connections(&self) {
        self.listener.drop_connections();
    }

    fn scripts(&self) -> &Scripts {
        self.listener.service()
    }
}

impl Service for Scripts {
    fn converse(&self, mut connection: Connection, number: u64) -> io::Result<()> {
        let mut position = 0;
        while let Some(received) = connection.read_request()? {
            match self.answer(&mut connection, received, (number, position))? {
                After::KeepAlive => position += 1,
                After::Fin => return connection.finish(),
                After::Reset => {
                    connection.reset();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn stop(&self) {
        self.stop.abandon();
        lock(&self.gates).iter().for_each(Gate::abandon);
    }
}

impl Scripts {
    /// The reply that is due for `path`, and what the path serves.
    fn take_reply(&self, path: &str) -> (Arc<Reply>, Option<Resource>) {
        let mut routes = lock(&self.routes);
        let Some(route) = routes.get_mut(path) else {
            return (Arc::new(Reply::normal()), None);
        };
        let due = route
            .replies
            .get(route.given)
            .or_else(|| route.replies.last());
        let reply = due.map_or_else(|| Arc::new(Reply::normal()), Arc::clone);
        route.given += 1;
        (reply, route.resource.clone())
    }

    /// Logs a request, with its connection's number and its position there, and answers it.
    fn answer(
        &self,
        connection: &mut Connection,
        received: Received,
        (number, position): (u64, u64),
    ) -> io::Result<After> {
        let (path, query) = split_target(&received.target);
        let (reply, resource) = self.take_reply(&path);
        let target = received.target;
        let is_last = received.is_http10
            || received.headers.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
            });
        let request = Request::new(
            (number, position),
            &received.method,
            (&path, query.as_deref()),
            &received.headers,
        );
        let ticket = self.log.add(request.clone());
        let length = received.body_length;
        let taken = reply.takes.map_or(length, |takes| takes.min(length));
        let mut body = Vec::new();
        let read = connection.read_body(taken, &mut body);
        self.log.update(ticket, |entry| {
            entry.body_received = body.len() as u64;
            entry.body = Arc::new(body);
            entry.is_cut = read.is_err();
            entry.is_finished = entry.is_cut;
        });
        read?;
        let (log, stop, reply) = (&self.log, &self.stop, &*reply);
        let exchange = Exchange {
            connection,
            log,
            ticket,
            stop,
            reply,
            is_last,
        };
        let after = exchange.perform(&request, &target, resource.as_ref());
        self.log.update(ticket, |entry| entry.is_finished = true);
        match after {
            // What follows would be taken for a request.
            Ok(After::KeepAlive) if taken < length => Ok(After::Fin),
            after => after,
        }
    }
}
