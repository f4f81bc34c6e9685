//! Opens the transport below everything else: the seam that tests replace, and TCP behind it.

use std::{fmt, future::Future, io, net::SocketAddr, time::Duration};

use futures_util::{
    future::LocalBoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{failure::NetFailure, probe::Probe};

/// Time an address has before the next one is tried beside it (RFC 8305 section 8 recommends it).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Most addresses of one name that are tried; the connect timeout would not reach more.
const ADDRESSES_MAX: usize = 16;

/// A host (a name or an address, without brackets) and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A DNS name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

/// A two-way byte stream. Reads go straight into the caller's buffer, as many bytes as are there.
pub trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// The address at the other end, if it has one.
    fn remote(&self) -> Option<SocketAddr> {
        None
    }

    /// The socket below, if bytes go to it unchanged: a file may then be sent by the kernel.
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

impl Transport for TcpStream {
    fn remote(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }

    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

/// An in-memory pipe, for tests under virtual time.
impl Transport for DuplexStream {}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn remote(&self) -> Option<SocketAddr> {
        (**self).remote()
    }

    fn socket(&self) -> Option<&TcpStream> {
        (**self).socket()
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    fn remote(&self) -> Option<SocketAddr> {
        self.get_ref().0.remote()
    }
}

/// Opens transports. The client puts proxies, TLS and HTTP above what it returns, and bounds the
/// time; dropping the future gives the attempt up.
pub trait Dial {
    /// Connects to `to`.
    fn dial(
        &self,
        to: &Endpoint,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Transport>, NetFailure>>;

    /// Connects to `to` and tells `probe` when the name was looked up and when the connection was
    /// begun. What resolves no names itself has only the latter to tell, as here.
    fn dial_probed(
        &self,
        to: &Endpoint,
        probe: Probe,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Transport>, NetFailure>> {
        probe.connect_started();
        self.dial(to)
    }
}

/// Dials TCP: resolves the name with the system's resolver and races the addresses as RFC 8305
/// says, families alternating. Sets `TCP_NODELAY`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

impl Dial for TcpDial {
    fn dial(
        &self,
        to: &Endpoint,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Transport>, NetFailure>> {
        self.dial_probed(to, Probe::default())
    }

    fn dial_probed(
        &self,
        to: &Endpoint,
        probe: Probe,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Transport>, NetFailure>> {
        let to = to.clone();
        Box::pin(async move {
            probe.lookup_started();
            let found = tokio::net::lookup_host((to.host.as_str(), to.port)).await;
            let addresses = interleaved(found.map(Iterator::collect).unwrap_or_default());
            if addresses.is_empty() {
                return Err(NetFailure::Dns { host: to.host });
            }
            probe.lookup_ended();
            probe.connect_started();
            let raced = race(addresses, |address| async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            });
            match raced.await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Transport>),
                Err(error) => Err(NetFailure::Connect {
                    to: to.to_string(),
                    kind: error.kind(),
                }),
            }
        })
    }
}

/// The families in turn, beginning with the one that the resolver put first (RFC 8305 section 4).
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let prefers_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == prefers_ipv6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] || mixed.len() >= ADDRESSES_MAX {
            mixed.truncate(ADDRESSES_MAX);
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

/// Starts the attempts one after the other, the next when one failed or [`ATTEMPT_DELAY`] passed;
/// the first to succeed wins. The error is that of the attempt that failed first.
async fn race<T, Attempt>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> Attempt,
) -> io::Result<T>
where
    Attempt: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        running.extend(waiting.next().map(&connect));
        let finished = if waiting.len() > 0 {
            match tokio::time::timeout(ATTEMPT_DELAY, running.next()).await {
                Ok(finished) => finished,
                Err(_) => continue,
            }
        } else {
            running.next().await
        };
        match finished {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(error)) => {
                first_error.get_or_insert(error);
            }
            None => {
                return Err(first_error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::{Instant, sleep};

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let parsed = texts.iter().map(|text| text.parse().expect("an address"));
        parsed.collect()
    }

    #[test]
    fn families_alternate_from_the_one_that_came_first() {
        let found = interleaved(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        assert_eq!(
            found,
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
        );
        let many = addresses(&["1.1.1.1:1"; 40]);
        assert_eq!(interleaved(many).len(), ADDRESSES_MAX);
        assert!(interleaved(Vec::new()).is_empty());
    }

    #[test]
    fn an_endpoint_is_written_with_brackets_where_they_are_needed() {
        let written = |host: &str| {
            Endpoint {
                host: host.to_owned(),
                port: 7,
            }
            .to_string()
        };
        assert_eq!(
            (written("a.test"), written("::1")),
            ("a.test:7".into(), "[::1]:7".into())
        );
    }

    /// Races attempts that take `(milliseconds, success)` each; who won, when, and the start times.
    async fn raced(plan: &[(u64, bool)]) -> (io::Result<u16>, u128, Vec<u128>) {
        let begun = Instant::now();
        let started = RefCell::new(Vec::new());
        let list = (0..plan.len()).map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16)));
        let winner = race(list.collect(), |address| {
            started.borrow_mut().push(begun.elapsed().as_millis());
            let (takes_ms, succeeds) = plan[usize::from(address.port())];
            async move {
                sleep(Duration::from_millis(takes_ms)).await;
                match succeeds {
                    true => Ok(address.port()),
                    false => Err(io::ErrorKind::ConnectionRefused.into()),
                }
            }
        });
        let winner = winner.await;
        (winner, begun.elapsed().as_millis(), started.into_inner())
    }

    /// The plan, the winner, when it won, when each attempt was started.
    type Race<'a> = (&'a [(u64, bool)], Option<u16>, u128, &'a [u128]);

    #[tokio::test(start_paused = true)]
    async fn addresses_are_raced_as_rfc_8305_says() {
        let table: [Race<'_>; 5] = [
            (&[(10, true), (1, true)], Some(0), 10, &[0]),
            (&[(9999, true), (10, true)], Some(1), 260, &[0, 250]),
            (
                &[(5, false), (5, false), (5, true)],
                Some(2),
                15,
                &[0, 5, 10],
            ),
            (
                &[(300, true), (9999, true), (1, true)],
                Some(0),
                300,
                &[0, 250],
            ),
            (&[(5, false), (700, false)], None, 705, &[0, 5]),
        ];
        for (plan, winner, at_ms, starts) in table {
            let (found, took_ms, started) = raced(plan).await;
            assert_eq!(
                (found.ok(), took_ms, &started[..]),
                (winner, at_ms, starts),
                "{plan:?}"
            );
        }
    }
}
