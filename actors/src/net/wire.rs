//! One connection: its transport and the bytes read from it that nobody has used yet.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::TcpStream,
};

use super::{dial::Transport, inbox::Inbox};

/// A connection that carries one exchange at a time.
pub(super) struct Wire {
    transport: Box<dyn Transport>,
    /// Bytes read ahead of their use.
    pub(super) inbox: Inbox,
    /// The address at the other end: the proxy's, if there is one.
    pub(super) remote: Option<SocketAddr>,
    /// True when TLS lies between HTTP and the transport.
    pub(super) is_tls: bool,
}

impl Wire {
    /// A connection on which nothing was sent yet.
    pub(super) fn new(transport: Box<dyn Transport>, is_tls: bool) -> Self {
        Self {
            remote: transport.remote(),
            transport,
            inbox: Inbox::default(),
            is_tls,
        }
    }

    /// Reads straight into `buffer`; `Ok(0)` when the other side has ended its stream.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(buffer);
        Pin::new(&mut self.transport)
            .poll_read(context, &mut read)
            .map_ok(|()| read.filled().len())
    }

    /// Reads up to `bytes` bytes or more into the inbox; `Ok(0)` as above.
    pub(super) fn poll_refill(
        &mut self,
        context: &mut Context<'_>,
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(self.inbox.space(bytes));
        let polled = Pin::new(&mut self.transport).poll_read(context, &mut read);
        let count = read.filled().len();
        self.inbox.filled(count);
        polled.map_ok(|()| count)
    }

    /// Writes some of `bytes`.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    /// The socket, if what is written goes to it as it is.
    pub(super) fn socket(&self) -> Option<&TcpStream> {
        self.transport.socket()
    }

    /// Passes on what the transport still holds (TLS records).
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    /// Looks, without waiting, whether anything happens on a connection that should be silent.
    pub(super) fn glance(&mut self) -> Glance {
        if !self.inbox.is_empty() {
            return Glance::Bytes;
        }
        // No waker: whoever reads next registers its own.
        let mut context = Context::from_waker(Waker::noop());
        match self.poll_read(&mut context, &mut [0; 1]) {
            Poll::Pending => Glance::Silence,
            Poll::Ready(Ok(1..)) => Glance::Bytes,
            Poll::Ready(Ok(0) | Err(_)) => Glance::End,
        }
    }
}

/// What [`Wire::glance`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glance {
    /// Nothing: the connection can be used.
    Silence,
    /// Bytes that nobody asked for. The first may be lost: the connection must be closed.
    Bytes,
    /// The connection has ended or failed.
    End,
}
