//! The scripted server: raw HTTP/1.1 on a loopback socket, a thread for each connection.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};

use crate::exchange::{After, Exchange};
use crate::gate::Gate;
use crate::locks::lock;
use crate::log::{Log, PATIENCE, Request};
use crate::resource::Resource;
use crate::script::Reply;
use crate::wire::{Connection, Received};

/// A running server. Dropping it ends every connection and joins every thread.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    routes: Mutex<HashMap<String, Route>>,
    log: Log,
    /// Never opened; abandoned when the server stops. Stalled replies wait here.
    stop: Gate,
    is_stopping: AtomicBool,
    /// Every gate of every script, also of replaced ones that still hold somebody.
    gates: Mutex<Vec<Gate>>,
    accepted: AtomicU64,
    /// Weak, since a socket must have one owner to be closed with a RST.
    connections: Mutex<Vec<Weak<TcpStream>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let acceptor = {
            let shared = Arc::clone(&shared);
            spawn("scripted-accept", move || accept(&shared, &listener))?
        };
        Ok(Self {
            shared,
            address,
            acceptor: Some(acceptor),
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path` (with leading slash, and query if any).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Serves `resource` under `path` from now on; a script of the path goes on.
    pub fn serve(&self, path: &str, resource: Resource) {
        lock(&self.shared.routes)
            .entry(path.into())
            .or_default()
            .resource = Some(resource);
    }

    /// Answers the next requests for `path` with `replies`, one each; the last one repeats. It
    /// replaces an earlier script; an empty one means [`Reply::normal`].
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let replies: Vec<_> = replies.into_iter().map(Arc::new).collect();
        let gates = replies.iter().flat_map(|reply| reply.gates()).cloned();
        lock(&self.shared.gates).extend(gates);
        let mut routes = lock(&self.shared.routes);
        let route = routes.entry(path.into()).or_default();
        route.replies = replies;
        route.given = 0;
    }

    /// All requests so far, in the order their heads were complete.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.snapshot()
    }

    /// The requests for `path` so far.
    pub fn requests_for(&self, path: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.path == path);
        requests
    }

    /// Body bytes sent for `path`, over all requests.
    pub fn bytes_served(&self, path: &str) -> u64 {
        self.shared.log.read(|requests| {
            let of_path = requests.iter().filter(|request| request.path == path);
            of_path.map(|request| request.body_sent).sum()
        })
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Blocks until `reached` holds for the log, and returns the log of that moment. It is asked
    /// again whenever a request comes, bytes are sent, or a request is finished.
    ///
    /// # Panics
    /// After [`PATIENCE`], with the log.
    pub fn wait_for(&self, reached: impl FnMut(&[Request]) -> bool) -> Vec<Request> {
        self.shared
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
        self.shared.drop_connections();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop();
        // The acceptor sees the end with its next connection, so it gets one.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(acceptor) = self.acceptor.take()
            && woken
        {
            let _ended = acceptor.join();
        }
        // Connections accepted while the flag was being set.
        self.shared.drop_connections();
        let workers = std::mem::take(&mut *lock(&self.shared.workers));
        for worker in workers {
            let _ended = worker.join();
        }
    }
}

impl Shared {
    fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.stop.abandon();
        lock(&self.gates).iter().for_each(Gate::abandon);
        self.drop_connections();
    }

    fn drop_connections(&self) {
        for connection in lock(&self.connections).iter().filter_map(Weak::upgrade) {
            // It fails when the client has closed already, which is as good.
            let _closed = connection.shutdown(Shutdown::Both);
        }
    }

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

    /// Serves one connection until either side ends it.
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
        let request = Request {
            connection: number,
            position,
            method: received.method,
            path,
            query,
            headers: received.headers,
            body_received: 0,
            body: Arc::default(),
            status: None,
            body_sent: 0,
            is_finished: false,
        };
        let ticket = self.log.add(request.clone());
        let length = received.body_length;
        let taken = reply.takes.map_or(length, |takes| takes.min(length));
        let mut body = Vec::new();
        let read = connection.read_body(taken, &mut body);
        self.log.update(ticket, |entry| {
            entry.body_received = body.len() as u64;
            entry.body = Arc::new(body);
            entry.is_finished = read.is_err();
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

/// Accepts connections until the server stops.
fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for stream in listener.incoming() {
        if shared.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        // An accept that failed (out of descriptors, or gone again) is the client's to notice.
        let Ok(stream) = stream else {
            thread::yield_now();
            continue;
        };
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        // Without it Nagle's algorithm would merge what a script sends apart.
        let _refused = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        {
            let mut connections = lock(&shared.connections);
            connections.retain(|connection| connection.strong_count() > 0);
            connections.push(Arc::downgrade(&stream));
        }
        let worker = {
            let shared = Arc::clone(shared);
            spawn("scripted-connection", move || {
                // Errors here are clients that went away, or the end of the server.
                let _ended = shared.converse(Connection::new(stream), number);
            })
        };
        let mut workers = lock(&shared.workers);
        workers.retain(|worker| !worker.is_finished());
        workers.extend(worker);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work)
}

/// Path and query of a request target, which may also be a whole URL (as sent to a proxy).
fn split_target(target: &str) -> (String, Option<String>) {
    let local = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    match local.split_once('?') {
        Some((path, query)) => (path.into(), Some(query.into())),
        None => (local.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::split_target;

    #[test]
    fn targets_are_split_into_path_and_query() {
        for (target, path, query) in [
            ("/a", "/a", None),
            ("/a?b=c?d", "/a", Some("b=c?d")),
            ("http://h:1/a?b", "/a", Some("b")),
            ("http://h:1", "/", None),
        ] {
            assert_eq!(
                split_target(target),
                (path.to_owned(), query.map(str::to_owned))
            );
        }
    }
}
