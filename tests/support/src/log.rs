//! What the scripted server has seen and sent: the log that tests wait on and count bytes in.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::locks::lock;

/// How long [`crate::server::Server::wait_for`] waits: far more than any test on a loaded machine
/// needs, and far less than the limits of a test runner.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One request and what was sent for it so far. `Debug` and `Display` leave header values out,
/// since they may be credentials.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The connection it came on, counted from 0 in the order they were accepted.
    pub connection: u64,
    /// How many requests came before it on the same connection.
    pub position: u64,
    /// The method as sent.
    pub method: String,
    /// The path of the target, without query and without authority.
    pub path: String,
    /// The query of the target, if there is one.
    pub query: Option<String>,
    /// Header fields in the order sent; names as sent, values without surrounding blanks.
    pub headers: Vec<(String, String)>,
    /// Bytes of the request body that were received.
    pub body_received: u64,
    /// The request body as far as it was received; long ones are kept in part by some servers.
    pub body: Arc<Vec<u8>>,
    /// The connection ended before the body did.
    pub is_cut: bool,
    /// The final status sent; `None` until then, and for answers that are not HTTP.
    pub status: Option<u16>,
    /// Body bytes that the kernel has taken for sending, without framing. On loopback up to a few
    /// MiB of these may still lie in socket buffers when the client dies.
    pub body_sent: u64,
    /// The server has done all it wanted for this request.
    pub is_finished: bool,
}

impl Request {
    /// A request of which nothing but the head is known: its connection's number and its position
    /// there, its method, its path and query, its header fields.
    pub(crate) fn new(
        (connection, position): (u64, u64),
        method: &str,
        (path, query): (&str, Option<&str>),
        headers: &[(String, String)],
    ) -> Self {
        Self {
            connection,
            position,
            method: method.into(),
            path: path.into(),
            query: query.map(Into::into),
            headers: headers.to_vec(),
            body_received: 0,
            body: Arc::default(),
            is_cut: false,
            status: None,
            body_sent: 0,
            is_finished: false,
        }
    }

    /// The first value of the header `name`, compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.as_str())
    }

    /// The first and (if given) last offset of a `Range: bytes=FIRST-[LAST]` header; `None` without
    /// one and for other shapes.
    pub fn range(&self) -> Option<(u64, Option<u64>)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let last = if last.is_empty() {
            None
        } else {
            Some(last.parse().ok()?)
        };
        Some((first.parse().ok()?, last))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "[{}.{}] {} ",
            self.connection, self.position, self.method
        )?;
        write!(formatter, "{} range={:?} ", self.path, self.header("range"))?;
        write!(
            formatter,
            "status={:?} body_sent={}",
            self.status, self.body_sent
        )?;
        write!(formatter, " finished={}", self.is_finished)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The requests of one server; an entry's index is its ticket.
#[derive(Debug, Default)]
pub(crate) struct Log {
    requests: Mutex<Vec<Request>>,
    changed: Condvar,
}

impl Log {
    /// Adds a request and returns its ticket.
    pub(crate) fn add(&self, request: Request) -> usize {
        let mut requests = lock(&self.requests);
        requests.push(request);
        self.changed.notify_all();
        requests.len() - 1
    }

    /// Changes the entry of `ticket` and wakes everybody who waits.
    pub(crate) fn update(&self, ticket: usize, change: impl FnOnce(&mut Request)) {
        change(&mut lock(&self.requests)[ticket]);
        self.changed.notify_all();
    }

    /// A copy of all entries.
    pub(crate) fn snapshot(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// Calls `probe` with all entries.
    pub(crate) fn read<T>(&self, probe: impl FnOnce(&[Request]) -> T) -> T {
        probe(&lock(&self.requests))
    }

    /// Blocks until `reached` holds; the entries at that moment, or those at the deadline.
    pub(crate) fn wait_for(
        &self,
        patience: Duration,
        mut reached: impl FnMut(&[Request]) -> bool,
    ) -> Result<Vec<Request>, Vec<Request>> {
        let deadline = Instant::now() + patience;
        let mut requests = lock(&self.requests);
        loop {
            if reached(&requests) {
                return Ok(requests.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(requests.clone());
            }
            let waited = self.changed.wait_timeout(requests, left);
            requests = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
