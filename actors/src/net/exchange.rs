//! One request and its response head over one connection.
//!
//! The head is parsed here and not by awc, which would take an interim head for the final one, refuse
//! equal lengths sent twice, and keep body bytes.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
    time::Duration,
};

use longhaul_engine::http::head::ResponseHead;

use super::{
    alarm::Alarm, failure::NetFailure, head::HeadScanner, inbox::HEAD_READ_BYTES, probe::Probe,
    wire::Wire,
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

/// Sends the bytes of `request` and waits for the final response head; no byte may take longer than
/// `idle`.
///
/// # Errors
/// Any failure but those of connecting. The connection is closed then.
pub(super) async fn exchange(
    wire: Wire,
    request: &[u8],
    idle: Duration,
    probe: &Probe,
) -> Result<Answer, Broken> {
    let mut exchange = Exchange {
        wire,
        scanner: HeadScanner::default(),
        alarm: Alarm::default(),
        idle,
        sending: Sending::At(0),
        was_silent: true,
        probe,
    };
    match poll_fn(|context| exchange.poll(request, context)).await {
        Ok(head) => {
            probe.answered(head.status, exchange.scanner.consumed);
            Ok(Answer {
                wire: exchange.wire,
                head,
                interim: exchange.scanner.interim,
                was_sent: matches!(exchange.sending, Sending::Done),
            })
        }
        Err(failure) => Err(Broken {
            failure,
            was_silent: exchange.was_silent,
        }),
    }
}

struct Exchange<'a> {
    wire: Wire,
    scanner: HeadScanner,
    alarm: Alarm,
    idle: Duration,
    sending: Sending,
    was_silent: bool,
    probe: &'a Probe,
}

/// How much of the request was sent.
#[derive(Clone, Copy)]
enum Sending {
    /// So many bytes were taken.
    At(usize),
    /// All of them were taken, and the transport may hold some.
    Flushing,
    /// Everything is on its way.
    Done,
    /// The connection takes no more. A server may answer, and close, before it has read the request:
    /// the answer is read all the same.
    Broken,
}

impl Exchange<'_> {
    /// Sends what can be sent, and reads until the final head is there. It may come first.
    fn poll(
        &mut self,
        request: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, NetFailure>> {
        while let Some(next) = self.poll_send(request, context) {
            self.alarm.disarm();
            self.sending = next;
        }
        self.poll_head(context)
    }

    /// One step of sending; `None` when there is none to be made now.
    fn poll_send(&mut self, request: &[u8], context: &mut Context<'_>) -> Option<Sending> {
        match self.sending {
            Sending::At(start) => {
                self.probe.sending();
                Some(match self.wire.poll_write(context, &request[start..]) {
                    Poll::Ready(Ok(0) | Err(_)) => Sending::Broken,
                    Poll::Ready(Ok(taken)) if start + taken < request.len() => {
                        Sending::At(start + taken)
                    }
                    Poll::Ready(Ok(_)) => Sending::Flushing,
                    Poll::Pending => return None,
                })
            }
            Sending::Flushing => Some(match self.wire.poll_flush(context) {
                Poll::Ready(Ok(())) => {
                    self.probe.sent();
                    Sending::Done
                }
                Poll::Ready(Err(_)) => Sending::Broken,
                Poll::Pending => return None,
            }),
            Sending::Done | Sending::Broken => None,
        }
    }

    /// Reads until the final head is there.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<ResponseHead, NetFailure>> {
        loop {
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
                    if let Some(head) = self.scanner.scan(&mut self.wire.inbox)? {
                        return Poll::Ready(Ok(head));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(NetFailure::broken(&error))),
                Poll::Pending => {
                    ready!(self.alarm.poll_within(self.idle, context));
                    let limit_ms = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
                    return Poll::Ready(Err(NetFailure::IdleTimeout { limit_ms }));
                }
            }
        }
    }
}
