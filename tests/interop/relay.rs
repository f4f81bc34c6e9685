//! A relay between the command and a server: it counts what goes through, holds, cuts, and outlives
//! the server, so that a test can wait for bytes and the server can come back under the same address.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::bench::PATIENCE;

/// How much is passed on at once: little enough that counts are fine.
const PIECE_BYTES: usize = 64 * 1024;

/// How much of what goes either way over one connection is kept to be looked at: far more than the
/// heads of a few requests.
const KEPT_BYTES: usize = 64 * 1024;

/// The start of the field that [`Relay::hide_etags`] makes another one of, and that one.
const ETAG: &[u8] = b"\r\nETag: ";
const HIDDEN: &[u8] = b"\r\nXTag: ";

/// A relay on 127.0.0.1. Dropping it ends every connection and joins every thread.
#[derive(Debug)]
pub(crate) struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Bytes went through, or a connection has ended or goes on.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The port of the server on 127.0.0.1.
    server_port: u16,
    /// Bytes that the kernel of the client has taken, heads and TLS records included.
    down_bytes: u64,
    /// The connection over which byte number so many goes is cut there.
    cuts_at: Option<u64>,
    hides_etags: bool,
    /// Byte number so many goes up as another one.
    damages_at: Option<u64>,
    /// Bytes that the kernel of the server has taken, heads and TLS records included.
    up_bytes: u64,
    /// Nothing goes up beyond so many bytes.
    holds_at: Option<u64>,
    /// The beginning of what the client has sent, connection by connection.
    up: Vec<Vec<u8>>,
    /// The beginning of what the server has sent, connection by connection.
    down: Vec<Vec<u8>>,
    /// Directions of connections that have not ended.
    open: usize,
    streams: Vec<TcpStream>,
    workers: Vec<JoinHandle<()>>,
    is_stopping: bool,
}

impl Relay {
    /// A relay to the server of `url`.
    pub(crate) fn to(url: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        shared.lock().server_port = port(url);
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&shared, &listener))
        };
        Self {
            shared,
            address,
            acceptor: Some(acceptor),
        }
    }

    /// `url` with the port of the relay in place of its own.
    pub(crate) fn url(&self, url: &str) -> String {
        let theirs = format!(":{}/", port(url));
        url.replacen(&theirs, &format!(":{}/", self.address.port()), 1)
    }

    /// Sends new connections to the server of `url` from now on.
    pub(crate) fn redirect_to(&self, url: &str) {
        self.shared.lock().server_port = port(url);
    }

    /// Ends the connection that carries byte number `bytes` right after that byte: FIN without a
    /// word, so over TLS without `close_notify`. It happens once.
    pub(crate) fn cut_at(&self, bytes: u64) {
        self.shared.lock().cuts_at = Some(bytes);
    }

    /// Makes the client see no `ETag` from now on.
    pub(crate) fn hide_etags(&self) {
        self.shared.lock().hides_etags = true;
    }

    /// How many bytes went to the client so far.
    pub(crate) fn down_bytes(&self) -> u64 {
        self.shared.lock().down_bytes
    }

    /// Blocks until so many bytes went to the client.
    pub(crate) fn wait_for(&self, bytes: u64) {
        let is_reached = self.wait(|state| state.down_bytes >= bytes);
        assert!(is_reached, "{} of {bytes} bytes came", self.down_bytes());
    }

    /// Blocks until `is_reached` holds; false when it does not in [`PATIENCE`].
    fn wait(&self, is_reached: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        while !is_reached(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// How many bytes went to the server so far.
    pub(crate) fn up_bytes(&self) -> u64 {
        self.shared.lock().up_bytes
    }

    /// Lets so many bytes go to the server, all connections together, and holds the rest back until
    /// [`Relay::go_on`] or [`Relay::cut`].
    pub(crate) fn hold_at(&self, bytes: u64) {
        self.hold(Some(bytes));
    }

    /// Blocks until [`Relay::hold_at`] holds the rest back; false when it has not come to that.
    pub(crate) fn wait_until_held(&self) -> bool {
        self.wait(State::is_holding)
    }

    /// Holds nothing back any more.
    pub(crate) fn go_on(&self) {
        self.hold(None);
    }

    fn hold(&self, at: Option<u64>) {
        self.shared.lock().holds_at = at;
        self.shared.changed.notify_all();
    }

    /// Ends every connection at once, and holds nothing back any more. What was held is lost.
    pub(crate) fn cut(&self) {
        {
            let mut state = self.shared.lock();
            std::mem::take(&mut state.streams).iter().for_each(end);
        }
        self.go_on();
    }

    /// Blocks until every connection has ended or is held.
    pub(crate) fn wait_until_idle(&self) {
        let is_idle = self.wait(|state| state.open == 0 || state.is_holding());
        assert!(is_idle, "connections are open");
    }

    /// Lets byte number `bytes` of what goes to the server arrive as another one. It happens once.
    pub(crate) fn damage_at(&self, bytes: u64) {
        self.shared.lock().damages_at = Some(bytes);
    }

    /// Blocks until the server has answered with this status; without TLS.
    pub(crate) fn wait_for_status(&self, status: u16) {
        let is_answered = self.wait(|state| count(&state.down, status) > 0);
        assert!(is_answered, "nothing was answered with {status}");
    }

    /// How many answers so far had this status; without TLS.
    pub(crate) fn answers(&self, status: u16) -> usize {
        count(&self.shared.lock().down, status)
    }

    /// The values of one field in all requests so far; for requests without TLS.
    pub(crate) fn requested(&self, field: &str) -> Vec<String> {
        values(&self.shared.lock().up, field)
    }

    /// The values of one field in all answers so far; for answers without TLS.
    pub(crate) fn answered(&self, field: &str) -> Vec<String> {
        values(&self.shared.lock().down, field)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        // The acceptor sees the end with its next connection, so it gets one.
        let is_woken = TcpStream::connect(self.address).is_ok();
        if let Some(acceptor) = self.acceptor.take()
            && is_woken
        {
            let _ended = acceptor.join();
        }
        let (streams, workers) = {
            let mut state = self.shared.lock();
            (
                std::mem::take(&mut state.streams),
                std::mem::take(&mut state.workers),
            )
        };
        streams.iter().for_each(end);
        self.shared.changed.notify_all();
        for worker in workers {
            let _ended = worker.join();
        }
    }
}

impl State {
    fn is_holding(&self) -> bool {
        self.holds_at.is_some_and(|at| self.up_bytes >= at)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes may go up next, at least one; blocks while they are held back.
    fn room(&self) -> usize {
        let mut state = self.lock();
        loop {
            let left = state.holds_at.map(|at| at.saturating_sub(state.up_bytes));
            match left {
                Some(0) if !state.is_stopping => {
                    let waited = self.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
                Some(left @ 1..) => {
                    return usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
                }
                Some(0) | None => return PIECE_BYTES,
            }
        }
    }

    /// One direction of a connection has ended, and takes the other along.
    fn end(&self, streams: &(TcpStream, TcpStream)) {
        end(&streams.0);
        end(&streams.1);
        self.lock().open -= 1;
        self.changed.notify_all();
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for client in listener.incoming().flatten() {
        let server_port = {
            let state = shared.lock();
            if state.is_stopping {
                return;
            }
            state.server_port
        };
        // When the server is away, the client sees its connection end without an answer.
        if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)) {
            connect(shared, client, server).unwrap();
        }
    }
}

/// Starts to pass bytes between the two, both ways.
fn connect(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (up, down) = ((client.try_clone()?, server.try_clone()?), (server, client));
    let mut state = shared.lock();
    let number = state.up.len();
    state.up.push(Vec::new());
    state.down.push(Vec::new());
    state.open += 2;
    state.streams.extend([up.0.try_clone()?, up.1.try_clone()?]);
    let theirs = Arc::clone(shared);
    state.workers.push(thread::spawn(move || {
        pass_up(&theirs, &up, number);
        theirs.end(&up);
    }));
    let theirs = Arc::clone(shared);
    state.workers.push(thread::spawn(move || {
        pass_down(&theirs, &down, number);
        theirs.end(&down);
    }));
    Ok(())
}

/// From the client to the server.
fn pass_up(shared: &Shared, (client, server): &(TcpStream, TcpStream), number: usize) {
    let (mut client, mut server) = (client, server);
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let room = shared.room();
        let Ok(count @ 1..) = client.read(&mut buffer[..room]) else {
            return;
        };
        {
            let mut state = shared.lock();
            keep(&mut state.up[number], &buffer[..count]);
            let (begin, end) = (state.up_bytes, state.up_bytes + count as u64);
            if let Some(at) = state.damages_at.filter(|at| (begin..end).contains(at)) {
                state.damages_at = None;
                buffer[usize::try_from(at - begin).unwrap()] ^= 1;
            }
        }
        if server.write_all(&buffer[..count]).is_err() {
            return;
        }
        shared.lock().up_bytes += count as u64;
        shared.changed.notify_all();
    }
}

/// From the server to the client.
fn pass_down(shared: &Shared, (server, client): &(TcpStream, TcpStream), number: usize) {
    let (mut server, mut client) = (server, client);
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        let (piece, is_last) = {
            let mut state = shared.lock();
            keep(&mut state.down[number], &buffer[..count]);
            let left = state.cuts_at.map(|at| at.saturating_sub(state.down_bytes));
            match left.map(|left| usize::try_from(left).unwrap_or(usize::MAX)) {
                Some(left) if left <= count => {
                    state.cuts_at = None;
                    (&mut buffer[..left], true)
                }
                Some(_) | None => (&mut buffer[..count], false),
            }
        };
        if shared.lock().hides_etags
            && let Some(at) = piece.windows(ETAG.len()).position(|window| window == ETAG)
        {
            piece[at..at + ETAG.len()].copy_from_slice(HIDDEN);
        }
        if client.write_all(piece).is_err() {
            return;
        }
        shared.lock().down_bytes += piece.len() as u64;
        shared.changed.notify_all();
        if is_last {
            return;
        }
    }
}

/// Keeps the beginning of what goes one way.
fn keep(kept: &mut Vec<u8>, piece: &[u8]) {
    let room = KEPT_BYTES.saturating_sub(kept.len()).min(piece.len());
    kept.extend_from_slice(&piece[..room]);
}

/// The heads among answers that have this status.
fn count(kept: &[Vec<u8>], status: u16) -> usize {
    let line = format!("HTTP/1.1 {status} ").into_bytes();
    let answers = kept.iter().flat_map(|bytes| bytes.windows(line.len()));
    answers.filter(|window| *window == line).count()
}

/// The values of one field in all heads.
fn values(kept: &[Vec<u8>], field: &str) -> Vec<String> {
    let texts = kept.iter().map(|bytes| String::from_utf8_lossy(bytes));
    let lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let fields = lines.iter().filter_map(|line| line.split_once(": "));
    let ours = fields.filter(|(name, _)| name.eq_ignore_ascii_case(field));
    ours.map(|(_, value)| value.to_owned()).collect()
}

/// Ends both directions. It fails only for a connection that has ended already.
fn end(stream: &TcpStream) {
    let _ended = stream.shutdown(Shutdown::Both);
}

/// The port that a URL of the kit names.
fn port(url: &str) -> u16 {
    let authority = url.split('/').nth(2).unwrap();
    authority.rsplit_once(':').unwrap().1.parse().unwrap()
}
