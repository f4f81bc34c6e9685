//! The body of a response, read in large blocks straight from the connection.

use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    io,
    rc::{Rc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use longhaul_engine::http::framing::Framing;

use super::{
    alarm::Alarm,
    chunked::ChunkDecoder,
    failure::NetFailure,
    pool::Pool,
    probe::{Account, Probe},
    request::Origin,
    wire::{Glance, Wire},
};

/// Bytes read ahead while a chunked body is decoded, and the chunk from which on its bytes are read
/// past the decoder, straight to the caller.
const CHUNK_READ_BYTES: usize = 64 * 1024;

/// Bytes at once of a body that is dropped.
const DISCARD_READ_BYTES: usize = 16 * 1024;

/// Longest time that dropping a body may take: by then a new connection costs less.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);

/// How the end of the body will be known; what was counted so far.
enum Reader {
    Length { remaining: u64 },
    Chunked(ChunkDecoder),
    UntilClose,
}

enum State {
    /// More may come from the connection.
    Open { wire: Wire, reader: Reader },
    /// Every byte was delivered.
    Ended,
    /// What was delivered is all that comes, and it is not the whole body.
    Failed(NetFailure),
}

/// The connection's way back when the body has ended well.
pub(super) struct Home {
    pub(super) pool: Weak<Pool>,
    pub(super) origin: Origin,
}

/// What happens behind the last byte.
pub(super) struct Last {
    pub(super) home: Option<Home>,
    pub(super) probe: Probe,
}

/// The body of a response. Dropping it before its end closes the connection; at its end the
/// connection is kept for another request where both sides allow it.
pub struct Body {
    state: State,
    framing: Framing,
    account: Account,
    idle: Duration,
    alarm: Alarm,
    home: Option<Home>,
}

impl Body {
    /// The body that follows on `wire`. Without a home the connection is closed at its end.
    pub(super) fn new(wire: Wire, framing: Framing, idle: Duration, last: Last) -> Self {
        let reader = match framing {
            Framing::Length(remaining) => Reader::Length { remaining },
            Framing::Chunked => Reader::Chunked(ChunkDecoder::new()),
            Framing::UntilClose => Reader::UntilClose,
            Framing::Empty => Reader::Length { remaining: 0 },
        };
        let mut body = Self {
            state: State::Open { wire, reader },
            framing,
            account: Account::new(last.probe),
            idle,
            alarm: Alarm::default(),
            home: last.home,
        };
        if matches!(framing, Framing::Length(0) | Framing::Empty) {
            body.end(false);
        }
        body
    }

    /// How the end of the body is known.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Reads body bytes into `buffer`, as many as there are in one go; says how many.
    ///
    /// Returns when the buffer is full, when the body has ended, or when `linger` has passed since
    /// the first byte of this call. The first byte is awaited for the idle timeout at most. `Ok(0)`
    /// means that the body ended as its framing says it must: only then is it whole. The future may
    /// be dropped only together with the body: bytes that it had read would be lost. Who wants to go
    /// on after that uses [`Body::fill_counting`].
    ///
    /// # Errors
    /// [`NetFailure::Truncated`], [`NetFailure::Reset`], [`NetFailure::IdleTimeout`],
    /// [`NetFailure::LongBody`] or [`NetFailure::Protocol`] (malformed chunks). Bytes read before a
    /// failure are returned first; the failure is the result of this and every later call.
    ///
    /// # Panics
    /// When `buffer` is empty, because `Ok(0)` would be ambiguous.
    pub async fn fill(&mut self, buffer: &mut [u8], linger: Duration) -> Result<usize, NetFailure> {
        self.fill_counting(buffer, linger, &Cell::new(0)).await
    }

    /// The same, for callers that may drop the future and go on with the body: `filled`, which must
    /// be zero before, says at any time how many bytes are in `buffer`.
    ///
    /// # Errors
    /// As [`Body::fill`].
    ///
    /// # Panics
    /// As [`Body::fill`].
    pub async fn fill_counting(
        &mut self,
        buffer: &mut [u8],
        linger: Duration,
        filled: &Cell<usize>,
    ) -> Result<usize, NetFailure> {
        assert!(
            !buffer.is_empty(),
            "a body is read into a buffer that has room"
        );
        self.alarm.disarm();
        poll_fn(|context| {
            let mut count = filled.get();
            let polled = self.poll_fill(context, buffer, &mut count, linger);
            filled.set(count);
            polled
        })
        .await;
        match &self.state {
            State::Failed(failure) if filled.get() == 0 => Err(failure.clone()),
            State::Open { .. } | State::Ended | State::Failed(_) => Ok(filled.get()),
        }
    }

    /// Reads and drops at most `limit` bytes, so that the connection can be used again. Closes it
    /// when the body is longer, slow or broken.
    pub async fn discard(mut self, limit: u64) {
        if matches!(self.framing, Framing::Length(length) if length > limit) {
            return;
        }
        let drain = async {
            let mut buffer = vec![0; DISCARD_READ_BYTES];
            while self.account.received <= limit {
                // One byte beyond the limit is asked for, to see the end of a body that just fits.
                let room = usize::try_from(limit - self.account.received).unwrap_or(usize::MAX);
                let room = room.clamp(1, buffer.len());
                if !matches!(
                    self.fill(&mut buffer[..room], Duration::ZERO).await,
                    Ok(1..)
                ) {
                    return;
                }
            }
        };
        // Whether it ended or the time did: dropping the body does the rest.
        let _ = tokio::time::timeout(DISCARD_TIME_MAX, drain).await;
    }

    /// Reads until this call of `fill` is over; what it brought is in `filled` and the state.
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        filled: &mut usize,
        linger: Duration,
    ) -> Poll<()> {
        while *filled < buffer.len() {
            let State::Open { wire, reader } = &mut self.state else {
                return Poll::Ready(());
            };
            match reader.poll_piece(wire, context, &mut buffer[*filled..]) {
                Poll::Ready(Ok(piece)) => {
                    if *filled == 0 {
                        // From here on the alarm stands for the linger, no more for the idle time.
                        self.alarm.disarm();
                    }
                    *filled += piece.count;
                    self.account.received += piece.count as u64;
                    if let Some(end) = piece.end {
                        self.end(end == End::WithExcess);
                    }
                }
                Poll::Ready(Err(stop)) => self.fail(&stop),
                Poll::Pending if *filled == 0 => {
                    ready!(self.alarm.poll_within(self.idle, context));
                    let limit_ms = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
                    self.state = State::Failed(NetFailure::IdleTimeout { limit_ms });
                }
                Poll::Pending if linger.is_zero() => return Poll::Ready(()),
                Poll::Pending => return self.alarm.poll_within(linger.min(self.idle), context),
            }
        }
        Poll::Ready(())
    }

    /// The last byte was read. Keeps the connection if it is fit for another request.
    fn end(&mut self, has_excess: bool) {
        self.account.close();
        let State::Open { mut wire, .. } = std::mem::replace(&mut self.state, State::Ended) else {
            return;
        };
        let glance = match has_excess {
            true => Glance::Bytes,
            false => wire.glance(),
        };
        match (glance, self.framing, self.home.take()) {
            (Glance::Bytes, Framing::Length(expected), _) => {
                self.state = State::Failed(NetFailure::LongBody { expected });
            }
            (Glance::Silence, _, Some(home)) => {
                if let Some(pool) = home.pool.upgrade() {
                    pool.put(home.origin, wire);
                }
            }
            (Glance::Silence | Glance::Bytes | Glance::End, _, _) => {}
        }
    }

    fn fail(&mut self, stop: &Stop) {
        let truncated = NetFailure::Truncated {
            received: self.account.received,
            expected: match self.framing {
                Framing::Length(expected) => Some(expected),
                Framing::Chunked | Framing::UntilClose | Framing::Empty => None,
            },
        };
        self.state = State::Failed(match stop {
            Stop::Closed => truncated,
            // What TLS says when the stream ended without its closing message.
            Stop::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => truncated,
            Stop::Io(error) => NetFailure::broken(error),
            Stop::Malformed(failure) => failure.clone(),
        });
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Open { .. } => "open",
            State::Ended => "ended",
            State::Failed(_) => "failed",
        };
        write!(
            formatter,
            "Body({:?}, {} bytes, {state})",
            self.framing, self.account.received
        )
    }
}

/// Body bytes that were put into the caller's buffer, and whether they are the last.
struct Piece {
    count: usize,
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Exact,
    /// Bytes behind the end were read too, and dropped.
    WithExcess,
}

/// Why no more bytes come.
enum Stop {
    /// The stream ended, but the body did not.
    Closed,
    Io(io::Error),
    Malformed(NetFailure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NetFailure> for Stop {
    fn from(failure: NetFailure) -> Self {
        Self::Malformed(failure)
    }
}

impl Reader {
    /// Brings at least one byte into `buffer`, or the end.
    fn poll_piece(
        &mut self,
        wire: &mut Wire,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<Piece, Stop>> {
        match self {
            Self::Length { remaining } => poll_counted(remaining, wire, context, buffer),
            Self::Chunked(decoder) => poll_chunked(decoder, wire, context, buffer),
            Self::UntilClose => {
                let count = ready!(poll_some(wire, context, buffer, u64::MAX))?;
                let end = (count == 0).then_some(End::Exact);
                Poll::Ready(Ok(Piece { count, end }))
            }
        }
    }
}

/// Bytes read ahead come first; then the kernel writes straight into `buffer`.
fn poll_some(
    wire: &mut Wire,
    context: &mut Context<'_>,
    buffer: &mut [u8],
    most: u64,
) -> Poll<io::Result<usize>> {
    if wire.inbox.is_empty() {
        return wire.poll_read(context, buffer);
    }
    let count = wire.inbox.take(buffer, most);
    wire.inbox.release();
    Poll::Ready(Ok(count))
}

fn poll_counted(
    remaining: &mut u64,
    wire: &mut Wire,
    context: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<Result<Piece, Stop>> {
    // The read is not cut at the end of the body: bytes behind it are found without another call.
    let count = ready!(poll_some(wire, context, buffer, *remaining))?;
    if count == 0 {
        return Poll::Ready(Err(Stop::Closed));
    }
    let wanted = usize::try_from(*remaining).unwrap_or(usize::MAX);
    let end = match count.cmp(&wanted) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(End::Exact),
        std::cmp::Ordering::Greater => Some(End::WithExcess),
    };
    let count = count.min(wanted);
    *remaining -= count as u64;
    Poll::Ready(Ok(Piece { count, end }))
}

fn poll_chunked(
    decoder: &mut ChunkDecoder,
    wire: &mut Wire,
    context: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<Result<Piece, Stop>> {
    loop {
        let step = decoder.decode(wire.inbox.unread(), buffer)?;
        wire.inbox.consume(step.consumed);
        let end = decoder.is_done().then_some(End::Exact);
        if step.produced > 0 || end.is_some() {
            let count = step.produced;
            return Poll::Ready(Ok(Piece { count, end }));
        }
        let in_chunk = usize::try_from(decoder.data_remaining()).unwrap_or(usize::MAX);
        if in_chunk >= CHUNK_READ_BYTES {
            let most = buffer.len().min(in_chunk);
            let count = ready!(wire.poll_read(context, &mut buffer[..most]))?;
            if count == 0 {
                return Poll::Ready(Err(Stop::Closed));
            }
            decoder.advance_data(count);
            return Poll::Ready(Ok(Piece { count, end: None }));
        }
        if ready!(wire.poll_refill(context, CHUNK_READ_BYTES))? == 0 {
            return Poll::Ready(Err(Stop::Closed));
        }
    }
}

impl Home {
    /// The way back into `pool`, which may be gone by then.
    pub(super) fn new(pool: &Rc<Pool>, origin: Origin) -> Self {
        Self {
            pool: Rc::downgrade(pool),
            origin,
        }
    }
}
