//! A small HTTP server over in-memory pipes: scripted, paced in virtual time, and counting.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::spawn_local;

use super::depot::Depot;
use super::inbox::{Arrival, Inbox};
use crate::net::{Dial, Endpoint, NetFailure, Transport};
use crate::world::MakeDial;

/// Bytes that lie in a pipe unread; the server waits when it is full.
pub(super) const PIPE_BYTES: usize = 16 * 1024;

/// What the server writes at once.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Requests that last shorter are not counted as open.
const MOMENT: Duration = Duration::from_millis(1);

/// What the server does with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The body, or the part of it that was asked for.
    Honest,
    /// So many bytes of it, then the end of the connection.
    Cut(usize),
    /// So many bytes of it, then nothing more until [`Server::release`].
    Stall(usize),
    /// 503 with this `Retry-After`, in seconds.
    Later(u64),
    /// This status, and nothing else.
    Status(u16),
    /// 302 to this place.
    Redirect(&'static str),
    /// 401 with these offers.
    Offer(&'static str),
    /// Another version of the resource from now on, in full or in part.
    Changed(Arc<[u8]>),
}

/// A request as it came, and what was sent for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The first byte and one past the last, as asked.
    pub(super) range: Option<(usize, Option<usize>)>,
    /// What the answer's status was.
    pub(super) status: u16,
    /// What was shown.
    pub(super) authorization: Option<String>,
    /// Bytes of the body that were written.
    pub(super) sent_bytes: usize,
}

/// One resource: what it is, how it is served, and what was asked of it.
struct Resource {
    body: Arc<[u8]>,
    version: u32,
    /// What must be shown.
    token: Option<&'static str>,
    pause: Duration,
    script: VecDeque<Answer>,
    seen: Vec<Seen>,
    open: Level,
    released: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    resources: BTreeMap<String, Resource>,
    /// By host, and by "" for all.
    open: BTreeMap<String, Level>,
}

/// How many there are now, and how many there were at most.
#[derive(Clone, Copy, Default)]
struct Level {
    now: usize,
    max: usize,
}

impl Level {
    fn rise(&mut self) {
        self.now += 1;
        self.max = self.max.max(self.now);
    }
}

/// The server; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>, pub(super) Inbox, pub(super) Depot);

impl Server {
    /// Serves `body` at `http://HOST/PATH`, a chunk of [`CHUNK_BYTES`] after each `pause`.
    pub(super) fn put(&self, at: &str, body: &Arc<[u8]>, pause: Duration, script: &[Answer]) {
        let resource = Resource {
            body: Arc::clone(body),
            version: 1,
            token: None,
            pause,
            script: script.iter().cloned().collect(),
            seen: Vec::new(),
            open: Level::default(),
            released: watch::Sender::new(false),
        };
        self.lock().resources.insert(at.to_owned(), resource);
    }

    /// Serves a resource from now on only to who shows this token.
    pub(super) fn protect(&self, at: &str, token: &'static str) {
        self.with(at, |resource| resource.token = Some(token));
    }

    /// Nothing must be shown any more.
    pub(super) fn unprotect(&self, at: &str) {
        self.with(at, |resource| resource.token = None);
    }

    /// Lets every stalled answer of this resource go on, now and later.
    pub(super) fn release(&self, at: &str) {
        self.with(at, |resource| resource.released.send_replace(true));
    }

    /// What was asked of a resource, in order.
    pub(super) fn seen(&self, at: &str) -> Vec<Seen> {
        self.with(at, |resource| resource.seen.clone())
    }

    /// Bytes of bodies sent for a resource.
    pub(super) fn sent_bytes(&self, at: &str) -> usize {
        self.with(at, |resource| {
            resource.seen.iter().map(|seen| seen.sent_bytes).sum()
        })
    }

    /// The most requests of one resource that were answered at one moment.
    pub(super) fn open_max(&self, at: &str) -> usize {
        self.with(at, |resource| resource.open.max)
    }

    /// The most requests of all resources that were answered at one moment.
    pub(super) fn all_open_max(&self) -> usize {
        self.host_open_max("")
    }

    /// The most requests of one host that were answered at one moment.
    pub(super) fn host_open_max(&self, host: &str) -> usize {
        self.lock().open.get(host).map_or(0, |level| level.max)
    }

    /// The way to this server, for every arbiter.
    pub(super) fn make_dial(&self) -> MakeDial {
        let server = self.clone();
        Arc::new(move || Rc::new(Pipes(server.clone())) as Rc<dyn Dial>)
    }

    fn with<T>(&self, at: &str, look: impl FnOnce(&mut Resource) -> T) -> T {
        let mut state = self.lock();
        look(
            state
                .resources
                .get_mut(at)
                .unwrap_or_else(|| panic!("nothing is served at {at}")),
        )
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection, from its first request to its end.
    async fn serve(self, mut stream: DuplexStream) {
        while let Some(request) = read_request(&mut stream).await {
            if request.at.starts_with("mute/") {
                // Nothing is said until the other side has enough.
                let _ = stream.read_u8().await;
                return;
            }
            if self.2.is_open(&request.at) {
                if self.2.meet(&mut stream, &request.at, &request.head).await {
                    continue;
                }
                return;
            }
            if let Some(arrival) = request.upload {
                if self.1.meet(&mut stream, &request.at, arrival).await {
                    continue;
                }
                return;
            }
            let Some(plan) = self.plan(&request) else {
                let nothing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
                if stream.write_all(nothing.as_bytes()).await.is_err() {
                    return;
                }
                continue;
            };
            // Of an asker that is gone already nothing is left a moment later.
            tokio::select! {
                biased;
                _ = stream.read_u8() => return,
                () = tokio::time::sleep(MOMENT) => {}
            }
            let open = Open::new(&self, &request.at);
            let goes_on = self.answer(&mut stream, &request.at, &plan).await;
            drop(open);
            if !goes_on {
                return;
            }
        }
    }

    /// Decides on the answer; `None` when there is no such resource.
    fn plan(&self, request: &Request) -> Option<Plan> {
        let mut state = self.lock();
        let resource = state.resources.get_mut(&request.at)?;
        let shown = request.authorization.as_deref();
        let is_open = resource.token.is_none_or(|token| {
            shown.and_then(|shown| shown.strip_prefix("Bearer ")) == Some(token)
        });
        let answer = match is_open {
            true => resource.script.pop_front().unwrap_or(Answer::Honest),
            false => Answer::Offer("Bearer"),
        };
        if let Answer::Changed(body) = &answer {
            resource.body = Arc::clone(body);
            resource.version += 1;
        }
        let etag = format!("\"v{}\"", resource.version);
        let total = resource.body.len();
        let is_same = request
            .if_range
            .as_ref()
            .is_none_or(|validator| *validator == etag);
        let range = request.range.filter(|_| is_same);
        let (status, from, until) = match (&answer, range) {
            (Answer::Later(_), _) => (503, 0, 0),
            (Answer::Status(status), _) => (*status, 0, 0),
            (Answer::Redirect(_), _) => (302, 0, 0),
            (Answer::Offer(_), _) => (401, 0, 0),
            (_, Some((from, _))) if from >= total => (416, 0, 0),
            (_, Some((from, until))) => (206, from, until.unwrap_or(total).min(total)),
            (_, None) => (200, 0, total),
        };
        let mut head = format!(
            "HTTP/1.1 {status} Answer\r\nContent-Length: {}\r\n",
            until - from
        );
        match (status, &answer) {
            (200, _) => head += &format!("ETag: {etag}\r\nAccept-Ranges: bytes\r\n"),
            (206, _) => {
                let last = until - 1;
                head += &format!("ETag: {etag}\r\nContent-Range: bytes {from}-{last}/{total}\r\n");
            }
            (416, _) => head += &format!("Content-Range: bytes */{total}\r\n"),
            (_, Answer::Redirect(place)) => head += &format!("Location: {place}\r\n"),
            (_, Answer::Offer(offers)) => head += &format!("WWW-Authenticate: {offers}\r\n"),
            (_, Answer::Later(seconds)) => head += &format!("Retry-After: {seconds}\r\n"),
            (_, _) => {}
        }
        resource.seen.push(Seen {
            range: request.range,
            status,
            authorization: request.authorization.clone(),
            sent_bytes: 0,
        });
        Some(Plan {
            number: resource.seen.len() - 1,
            head: head + "\r\n",
            body: Arc::clone(&resource.body),
            from,
            until,
            pause: resource.pause,
            released: resource.released.subscribe(),
            answer,
        })
    }

    /// Sends an answer; `false` when the connection is not to be used again.
    async fn answer(&self, stream: &mut DuplexStream, at: &str, plan: &Plan) -> bool {
        if stream.write_all(plan.head.as_bytes()).await.is_err() {
            return false;
        }
        let (stop_at, is_stall) = match plan.answer {
            Answer::Cut(after) => (plan.from + after, false),
            Answer::Stall(after) => (plan.from + after, true),
            Answer::Honest
            | Answer::Later(_)
            | Answer::Status(_)
            | Answer::Redirect(_)
            | Answer::Offer(_)
            | Answer::Changed(_) => (usize::MAX, false),
        };
        let mut released = plan.released.clone();
        let mut position = plan.from;
        while position < plan.until {
            let end = match position < stop_at {
                true => (position + CHUNK_BYTES).min(plan.until).min(stop_at),
                false => (position + CHUNK_BYTES).min(plan.until),
            };
            if position == stop_at && !is_stall {
                return false;
            }
            let wait = async {
                if position == stop_at {
                    // The resource lives as long as the server.
                    let _ = released.wait_for(|released| *released).await;
                }
                tokio::time::sleep(plan.pause).await;
            };
            tokio::select! {
                biased;
                // The client says nothing more: this is its end.
                _ = stream.read_u8() => return false,
                () = wait => {}
            }
            while position < end {
                let Ok(written) = stream.write(&plan.body[position..end]).await else {
                    return false;
                };
                self.with(at, |resource| {
                    resource.seen[plan.number].sent_bytes += written
                });
                position += written;
            }
        }
        true
    }
}

/// What [`Server::plan`] decided.
struct Plan {
    number: usize,
    head: String,
    body: Arc<[u8]>,
    from: usize,
    until: usize,
    pause: Duration,
    released: watch::Receiver<bool>,
    answer: Answer,
}

/// Counts an answer while it is given.
struct Open<'a>(&'a Server, &'a str);

impl<'a> Open<'a> {
    fn new(server: &'a Server, at: &'a str) -> Self {
        Self::each(server, at, Level::rise);
        Self(server, at)
    }

    fn each(server: &Server, at: &str, change: impl Fn(&mut Level)) {
        let mut state = server.lock();
        let host = at.split('/').next().unwrap_or_default();
        for name in ["", host] {
            change(state.open.entry(name.to_owned()).or_default());
        }
        if let Some(resource) = state.resources.get_mut(at) {
            change(&mut resource.open);
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        Self::each(self.0, self.1, |level| level.now -= 1);
    }
}

/// What the server needs of a request's head.
struct Request {
    /// `HOST/PATH`.
    at: String,
    /// All of it.
    head: String,
    range: Option<(usize, Option<usize>)>,
    if_range: Option<String>,
    authorization: Option<String>,
    /// It has a body, which follows.
    upload: Option<Arrival>,
}

async fn read_request(stream: &mut DuplexStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("a request head is ascii");
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let path = head.split(' ').nth(1).expect("a request line has a target");
    let range = field("range").map(|text| {
        let (from, last) = text
            .strip_prefix("bytes=")
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        let last = last.parse::<usize>().ok();
        (from.parse().expect("a number"), last.map(|last| last + 1))
    });
    let at = format!("{}{path}", field("host").expect("a host"));
    let length = field("content-length").and_then(|length| length.parse().ok());
    let upload = length.map(|declared| Arrival {
        method: head.split(' ').next().unwrap_or_default().to_owned(),
        declared,
        bytes: Vec::new(),
        status: None,
        authorization: field("authorization"),
    });
    Some(Request {
        at,
        range,
        if_range: field("if-range"),
        authorization: field("authorization"),
        upload,
        head,
    })
}

/// Dials the server.
struct Pipes(Server);

impl Dial for Pipes {
    fn dial(
        &self,
        _: &Endpoint,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Transport>, NetFailure>> {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        spawn_local(self.0.clone().serve(far));
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Transport>) })
    }
}
