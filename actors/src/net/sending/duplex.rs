//! One request with a body on its connection: both directions are polled by one task.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use longhaul_engine::http::head::ResponseHead;

use super::super::{
    alarm::Alarm, exchange::Answer, failure::NetFailure, head::HeadScanner, inbox::HEAD_READ_BYTES,
    probe::Probe, wire::Wire,
};
use super::{BodyRequest, Content, SendFailure};

/// Methods that may be sent twice without a word (RFC 9110 section 9.2.2).
const IDEMPOTENT: [&str; 4] = ["PUT", "DELETE", "OPTIONS", "TRACE"];

/// The status of the interim answer that lets an announced body flow.
const CONTINUE: u16 = 100;

/// An exchange that brought no answer.
pub(super) struct Broken<E> {
    pub(super) failure: SendFailure<E>,
    /// Not one byte of an answer came.
    was_silent: bool,
    /// A byte of the body was given to the connection.
    has_flowed: bool,
}

impl<E> Broken<E> {
    /// Whether the server can not have acted, or may act twice.
    pub(super) fn may_repeat(&self, method: &str, length: u64) -> bool {
        let is_reset = matches!(self.failure, SendFailure::Net(NetFailure::Reset { .. }));
        let cannot_act = length > 0 && !self.has_flowed;
        is_reset && self.was_silent && (cannot_act || IDEMPOTENT.contains(&method))
    }
}

/// One request on its connection.
pub(super) struct Exchange<'a> {
    wire: Wire,
    request: &'a BodyRequest,
    scanner: HeadScanner,
    alarm: Alarm,
    /// The final head, once it has come.
    head: Option<ResponseHead>,
    was_silent: bool,
    /// What is written now belongs to the body.
    is_in_body: bool,
    has_flowed: bool,
    /// The connection takes no more bytes. A server may answer and close before it has read all.
    is_deaf: bool,
    /// Bytes came that belong to an answer, interim or not, whose end has not come.
    is_answering: bool,
    probe: Probe,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(wire: Wire, request: &'a BodyRequest, probe: Probe) -> Self {
        Self {
            wire,
            request,
            scanner: HeadScanner::default(),
            alarm: Alarm::default(),
            head: None,
            was_silent: true,
            is_in_body: false,
            has_flowed: false,
            is_deaf: false,
            is_answering: false,
            probe,
        }
    }

    pub(super) async fn run<C: Content>(
        mut self,
        head: &[u8],
        content: &mut C,
    ) -> Result<(Answer, u64), Broken<C::Error>> {
        match self.converse(head, content).await {
            Ok((head, sent)) => {
                self.probe.answered(head.status, self.scanner.consumed);
                let answer = Answer {
                    wire: self.wire,
                    head,
                    interim: self.scanner.interim,
                    was_sent: sent == content.length() && !self.is_deaf,
                };
                Ok((answer, sent))
            }
            Err(failure) => Err(Broken {
                failure,
                was_silent: self.was_silent,
                has_flowed: self.has_flowed,
            }),
        }
    }

    async fn converse<C: Content>(
        &mut self,
        head: &[u8],
        content: &mut C,
    ) -> Result<(ResponseHead, u64), SendFailure<C::Error>> {
        self.probe.sending();
        self.write(head).await?;
        if let Some(wait) = self.request.expect_continue {
            self.flush().await?;
            self.await_continue(wait).await?;
        }
        let length = content.length();
        let mut sent = 0;
        self.is_in_body = true;
        while sent < length && self.goes_on() {
            let Some(block) = self.next_block(content, sent).await? else {
                break;
            };
            let bytes = block.as_ref();
            let until = sent + bytes.len() as u64;
            self.write(bytes).await?;
            // The last byte counts when it has left us: only then can an answer be to all of them.
            if until == length {
                self.flush().await?;
            }
            if self.is_deaf || (until < length && !self.goes_on()) {
                break;
            }
            sent = until;
            self.probe.body_sent(sent);
            content.sent(sent);
        }
        if length == 0 {
            self.flush().await?;
        }
        if sent == length && !self.is_deaf {
            self.probe.sent();
        }
        Ok((self.await_head(sent == length).await?, sent))
    }

    /// Whether bytes of the body are still of use.
    fn goes_on(&self) -> bool {
        let is_refused = |head: &ResponseHead| !(200..300).contains(&head.status);
        !self.is_deaf && !self.head.as_ref().is_some_and(is_refused)
    }

    /// The next bytes of the content; `None` when the answer came first and wants none.
    async fn next_block<C: Content>(
        &mut self,
        content: &mut C,
        offset: u64,
    ) -> Result<Option<C::Block>, SendFailure<C::Error>> {
        let mut block = pin!(content.block(offset));
        let next = poll_fn(|context| {
            if let Poll::Ready(Err(failure)) = self.poll_head(context) {
                return Poll::Ready(Err(SendFailure::Net(failure)));
            }
            if !self.goes_on() {
                return Poll::Ready(Ok(None));
            }
            block
                .as_mut()
                .poll(context)
                .map(|block| block.map(Some).map_err(SendFailure::Content))
        });
        next.await
    }

    /// Gives bytes to the connection, as long as they are of use.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), NetFailure> {
        self.alarm.disarm();
        let mut written = 0;
        poll_fn(|context| {
            while written < bytes.len() {
                if let Poll::Ready(Err(failure)) = self.poll_head(context) {
                    return Poll::Ready(Err(failure));
                }
                if !self.goes_on() {
                    break;
                }
                match self.wire.poll_write(context, &bytes[written..]) {
                    Poll::Ready(Ok(count @ 1..)) => {
                        written += count;
                        self.has_flowed |= self.is_in_body;
                        self.alarm.disarm();
                    }
                    Poll::Ready(Ok(0) | Err(_)) => self.is_deaf = true,
                    Poll::Pending => return self.poll_idle(self.request.idle_timeout, context),
                }
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        Ok(())
    }

    /// Sees to it that what was given to the connection has left it.
    async fn flush(&mut self) -> Result<(), NetFailure> {
        self.alarm.disarm();
        poll_fn(|context| {
            if self.is_deaf {
                return Poll::Ready(Ok(()));
            }
            match self.wire.poll_flush(context) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(_)) => {
                    self.is_deaf = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {}
            }
            if let Poll::Ready(Err(failure)) = self.poll_head(context) {
                return Poll::Ready(Err(failure));
            }
            if self.goes_on() {
                self.poll_idle(self.request.idle_timeout, context)
            } else {
                self.is_deaf = true;
                Poll::Ready(Ok(()))
            }
        })
        .await
    }

    /// Waits for the server's word on an announced body: 100, the final answer, or nothing for a
    /// while, after which the body may flow all the same (RFC 9110 section 10.1.1).
    async fn await_continue(&mut self, wait: Duration) -> Result<(), NetFailure> {
        let word = poll_fn(|context| match self.poll_head(context) {
            Poll::Pending if self.scanner.interim.contains(&CONTINUE) => Poll::Ready(Ok(())),
            polled => polled,
        });
        tokio::time::timeout(wait, word).await.unwrap_or(Ok(()))
    }

    /// Waits for the final head.
    async fn await_head(&mut self, is_all_sent: bool) -> Result<ResponseHead, NetFailure> {
        let limit = if is_all_sent {
            self.request.answer_timeout
        } else {
            self.request.idle_timeout
        };
        self.alarm.disarm();
        poll_fn(|context| match self.poll_head(context) {
            Poll::Pending => self.poll_idle(limit, context),
            polled => polled,
        })
        .await?;
        let none = || NetFailure::protocol("no head came");
        self.head.take().ok_or_else(none)
    }

    /// Reads until the final head is there; what follows it stays where it is.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<(), NetFailure>> {
        while self.head.is_none() {
            match ready!(self.wire.poll_refill(context, HEAD_READ_BYTES)) {
                Ok(0) => {
                    let kind = io::ErrorKind::UnexpectedEof;
                    return Poll::Ready(Err(NetFailure::Reset { kind }));
                }
                Ok(_) => {
                    self.was_silent = false;
                    if !std::mem::replace(&mut self.is_answering, true) {
                        self.probe.answering();
                    }
                    self.alarm.disarm();
                    self.head = self.scanner.scan(&mut self.wire.inbox)?;
                    // What is left is the beginning of another head, or there is nothing.
                    self.is_answering = !self.wire.inbox.unread().is_empty();
                }
                Err(error) => return Poll::Ready(Err(NetFailure::broken(&error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_idle(
        &mut self,
        limit: Duration,
        context: &Context<'_>,
    ) -> Poll<Result<(), NetFailure>> {
        ready!(self.alarm.poll_within(limit, context));
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Poll::Ready(Err(NetFailure::IdleTimeout { limit_ms }))
    }
}
