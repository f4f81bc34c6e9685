//! One request and its response head over one connection, encoded by awc.
//!
//! awc is given the connection on loan. It writes the request; of the response it is told no more
//! than the status, because it would take an interim head for the final one, refuse equal lengths
//! sent twice, and keep body bytes. The head is parsed here, from our own copy, and the body never
//! passes through awc.

use std::{
    cell::RefCell,
    fmt, io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_rt::net::{ActixStream, Ready};
use actix_service::{Service as _, fn_service};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::{ConnectRequest, http};
use longhaul_engine::http::head::ResponseHead;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    alarm::Alarm, failure::NetFailure, head::HeadScanner, inbox::HEAD_READ_BYTES, probe::Probe,
    request::Outgoing, wire::Wire,
};

/// A response whose head has come, and the connection that its body will come from.
pub(super) struct Answer {
    pub(super) wire: Wire,
    pub(super) head: ResponseHead,
    pub(super) interim: Vec<u16>,
    /// True when the whole request was taken before the answer came. If not, the connection cannot
    /// carry another one.
    pub(super) was_sent: bool,
}

/// An exchange that brought no response head.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) failure: NetFailure,
    /// True when not one byte of an answer came.
    pub(super) was_silent: bool,
}

/// Sends `outgoing` and waits for the final response head; no byte may take longer than `idle`.
///
/// # Errors
/// Any failure but those of connecting. The connection is closed then.
pub(super) async fn exchange(
    wire: Wire,
    outgoing: Outgoing,
    idle: Duration,
    probe: &Probe,
) -> Result<Answer, Broken> {
    let loan = Loan(Rc::new(RefCell::new(Some(Exchange {
        wire,
        scanner: HeadScanner::default(),
        alarm: Alarm::default(),
        idle,
        head: None,
        failure: None,
        was_silent: true,
        was_sent: true,
        was_told: false,
        probe: probe.clone(),
    }))));
    let tunnel = tunnel(loan.clone(), outgoing).await;
    // awc is done: its half of the loan is dropped, so the connection is ours again.
    let taken = loan.0.borrow_mut().take();
    let done = taken.expect("only this function takes the exchange out of the loan");
    match (done.head, done.failure, tunnel) {
        (Some(head), None, Ok(())) => {
            probe.answered(head.status, done.scanner.consumed);
            Ok(Answer {
                wire: done.wire,
                head,
                interim: done.scanner.interim,
                was_sent: done.was_sent,
            })
        }
        (_, Some(failure), _) => Err(Broken {
            failure,
            was_silent: done.was_silent,
        }),
        (_, None, tunnel) => Err(Broken {
            failure: NetFailure::protocol(&tunnel.err().unwrap_or_default()),
            was_silent: done.was_silent,
        }),
    }
}

/// Lends the connection to awc for one request. The connector is made anew each time: it is a few
/// small allocations, and nothing of awc's pool outlives the request.
async fn tunnel(loan: Loan, outgoing: Outgoing) -> Result<(), String> {
    let service = fn_service(move |info: ConnectInfo<http::Uri>| {
        let connection = Connection::new(info.request().clone(), loan.clone());
        async move { Ok::<_, ConnectError>(connection) }
    });
    let connector = awc::Connector::new().connector(service).limit(0).finish();
    let connected = connector.call(awc::Connect {
        uri: http::Uri::from_static("http://wire"),
        addr: None,
    });
    let connection = connected.await.map_err(|error| error.to_string())?;
    // awc does not export its head type, but it can be had from a variant that holds one.
    let ConnectRequest::Tunnel(mut head, _) = ConnectRequest::Tunnel(Default::default(), None)
    else {
        return Err("not a tunnel request".to_owned());
    };
    head.method = outgoing.method.token();
    head.uri = outgoing.target;
    head.headers = outgoing.headers;
    let opened = connection.open_tunnel(head).await;
    opened.map(drop).map_err(|error| error.to_string())
}

struct Exchange {
    wire: Wire,
    scanner: HeadScanner,
    alarm: Alarm,
    idle: Duration,
    /// The final head, once it has come.
    head: Option<ResponseHead>,
    failure: Option<NetFailure>,
    was_silent: bool,
    was_sent: bool,
    /// True once awc was told the status.
    was_told: bool,
    probe: Probe,
}

impl Exchange {
    /// Reads until the final head is there.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<u16, NetFailure>> {
        loop {
            if let Some(head) = &self.head {
                return Poll::Ready(Ok(head.status));
            }
            match self.wire.poll_refill(context, HEAD_READ_BYTES) {
                Poll::Ready(Ok(0)) => {
                    let kind = io::ErrorKind::UnexpectedEof;
                    return Poll::Ready(Err(NetFailure::Reset { kind }));
                }
                Poll::Ready(Ok(_)) => {
                    if std::mem::replace(&mut self.was_silent, false) {
                        self.probe.answering();
                    }
                    self.alarm.disarm();
                    self.head = self.scanner.scan(&mut self.wire.inbox)?;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(NetFailure::broken(&error))),
                Poll::Pending => return self.poll_idle(context).map(Err),
            }
        }
    }

    fn poll_idle(&mut self, context: &Context<'_>) -> Poll<NetFailure> {
        let limit_ms = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
        self.alarm
            .poll_within(self.idle, context)
            .map(|()| NetFailure::IdleTimeout { limit_ms })
    }

    /// Passes the result of sending on to awc. A server may answer, and close, before it has read
    /// the request: then the rest of the request counts as sent, and the answer is read.
    fn poll_sent<T>(
        &mut self,
        sent: Poll<io::Result<T>>,
        all: T,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match sent {
            Poll::Ready(Ok(sent)) => {
                self.alarm.disarm();
                Poll::Ready(Ok(sent))
            }
            Poll::Ready(Err(_)) => {
                self.was_sent = false;
                Poll::Ready(Ok(all))
            }
            Poll::Pending => match self.poll_head(context) {
                Poll::Ready(Ok(_)) => {
                    self.was_sent = false;
                    Poll::Ready(Ok(all))
                }
                Poll::Ready(Err(failure)) => Poll::Ready(Err(self.fail(failure))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    /// Notes the failure for ourselves, and stops awc.
    fn fail(&mut self, failure: NetFailure) -> io::Error {
        self.failure.get_or_insert(failure);
        io::ErrorKind::ConnectionAborted.into()
    }
}

/// The handle through which awc uses the connection. It ends when the exchange is taken out.
#[derive(Clone)]
struct Loan(Rc<RefCell<Option<Exchange>>>);

impl Loan {
    fn with<T>(
        &self,
        act: impl FnOnce(&mut Exchange) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match self.0.borrow_mut().as_mut() {
            Some(exchange) => act(exchange),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Loan {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|exchange| match exchange.poll_head(context) {
            Poll::Ready(Ok(status)) => {
                if !std::mem::replace(&mut exchange.was_told, true) {
                    buffer.put_slice(format!("HTTP/1.1 {status} \r\n\r\n").as_bytes());
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(failure)) => Poll::Ready(Err(exchange.fail(failure))),
            Poll::Pending => Poll::Pending,
        })
    }
}

impl AsyncWrite for Loan {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|exchange| {
            exchange.probe.sending();
            let sent = match exchange.was_sent {
                true => exchange.wire.poll_write(context, bytes),
                false => Poll::Ready(Ok(bytes.len())),
            };
            exchange.poll_sent(sent, bytes.len(), context)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|exchange| {
            let sent = match exchange.was_sent {
                true => exchange.wire.poll_flush(context),
                false => Poll::Ready(Ok(())),
            };
            if exchange.was_sent && matches!(sent, Poll::Ready(Ok(()))) {
                exchange.probe.sent();
            }
            exchange.poll_sent(sent, (), context)
        })
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// awc asks for the trait, but never for readiness.
impl ActixStream for Loan {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::READABLE))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::WRITABLE))
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Loan")
    }
}
