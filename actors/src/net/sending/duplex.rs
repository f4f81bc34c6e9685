//! One request with a body on its connection: both directions are polled by one task.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use longhaul_engine::http::head::ResponseHead;
use tokio::time::Instant;

use super::super::{
    alarm::Alarm,
    exchange::Answer,
    failure::NetFailure,
    head::{Found, HeadScanner},
    inbox::HEAD_READ_BYTES,
    probe::Probe,
    wire::Wire,
};
use super::{BodyRequest, Content, SendFailure};

/// Methods that may be sent twice without a word (RFC 9110 section 9.2.2).
const IDEMPOTENT: [&str; 4] = ["PUT", "DELETE", "OPTIONS", "TRACE"];

/// The interim answer that lets an announced body flow. It says nothing else, so nobody is told.
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
    pub(super) wire: Wire,
    pub(super) request: &'a BodyRequest,
    scanner: HeadScanner,
    pub(super) alarm: Alarm,
    /// The final head, once it has come.
    head: Option<ResponseHead>,
    was_silent: bool,
    /// Bytes of the body that were given to the connection.
    pub(super) sent: u64,
    /// Those of them that the content was told of: they have left us.
    told: u64,
    /// What is written now belongs to the body.
    is_in_body: bool,
    /// The connection takes no more bytes. A server may answer and close before it has read all.
    pub(super) is_deaf: bool,
    /// Bytes came that belong to an answer, interim or not, whose end has not come.
    is_answering: bool,
    /// The time until here has allowed the server its interim answers: one a second.
    allowed_until: Instant,
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
            sent: 0,
            told: 0,
            is_in_body: false,
            is_deaf: false,
            is_answering: false,
            allowed_until: Instant::now(),
            probe,
        }
    }

    pub(super) async fn run<C: Content>(
        mut self,
        head: &[u8],
        content: &mut C,
    ) -> Result<(Answer, u64), Broken<C::Error>> {
        match self.converse(head, content).await {
            Ok(head) => {
                self.probe.answered(head.status, self.scanner.consumed);
                let answer = Answer {
                    wire: self.wire,
                    head,
                    interim: self.scanner.interim,
                    was_sent: self.sent == content.length() && !self.is_deaf,
                };
                Ok((answer, self.told))
            }
            Err(failure) => {
                // Whether the server may have acted depends on every byte.
                self.tell_sent(content);
                Err(Broken {
                    failure,
                    was_silent: self.was_silent,
                    has_flowed: self.sent > 0,
                })
            }
        }
    }

    async fn converse<C: Content>(
        &mut self,
        head: &[u8],
        content: &mut C,
    ) -> Result<ResponseHead, SendFailure<C::Error>> {
        self.probe.sending();
        self.write(head).await?;
        if let Some(wait) = self.request.expect_continue {
            self.flush().await?;
            self.await_word(wait).await?;
        }
        let length = content.length();
        self.is_in_body = true;
        while self.sent < length && self.goes_on() {
            self.send_some(content).await?;
        }
        if length == 0 {
            self.flush().await?;
        }
        let is_all_sent = self.sent == length && !self.is_deaf;
        if is_all_sent {
            self.probe.sent();
        }
        Ok(self.await_head(is_all_sent).await?)
    }

    /// Sends the next bytes of the body.
    async fn send_some<C: Content>(
        &mut self,
        content: &mut C,
    ) -> Result<(), SendFailure<C::Error>> {
        if !self.pass(content).await? {
            let Some(block) = self.next_block(content, self.sent).await? else {
                return Ok(());
            };
            self.write(block.as_ref()).await?;
        }
        if self.sent == content.length() {
            self.flush().await?;
        }
        // Of what was given to a connection that takes no more, nobody knows how much has left us; the
        // answer can not be to the last of it.
        if !self.is_deaf {
            self.tell_sent(content);
        }
        Ok(())
    }

    fn tell_sent<C: Content>(&mut self, content: &mut C) {
        if self.sent > self.told {
            self.told = self.sent;
            self.probe.body_sent(self.sent);
            content.sent(self.sent);
        }
    }

    /// Whether bytes of the body are still of use.
    pub(super) fn goes_on(&self) -> bool {
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
            while written < bytes.len() && ready!(self.poll_wanted(context))? {
                match self.wire.poll_write(context, &bytes[written..]) {
                    Poll::Ready(Ok(count @ 1..)) => {
                        written += count;
                        if self.is_in_body {
                            self.sent += count as u64;
                        }
                        self.alarm.disarm();
                    }
                    Poll::Ready(Ok(0) | Err(_)) => self.is_deaf = true,
                    Poll::Pending => return self.poll_idle(self.request.idle_timeout, context),
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Hears what the server says; then tells whether bytes are still of use. Not ready while an
    /// interim answer is being dealt with.
    pub(super) fn poll_wanted(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<bool, NetFailure>> {
        if let Poll::Ready(Err(failure)) = self.poll_head(context) {
            return Poll::Ready(Err(failure));
        }
        ready!(self.poll_proceed(context));
        Poll::Ready(Ok(self.goes_on()))
    }

    /// Waits until an interim answer was dealt with. That time is ours, not the server's.
    fn poll_proceed(&mut self, context: &Context<'_>) -> Poll<()> {
        let polled = self.request.listener.poll_proceed(context);
        if polled.is_pending() {
            self.alarm.disarm();
        }
        polled
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
            if ready!(self.poll_wanted(context))? {
                self.poll_idle(self.request.idle_timeout, context)
            } else {
                self.is_deaf = true;
                Poll::Ready(Ok(()))
            }
        })
        .await
    }

    /// Waits for the server's word on an announced body: an interim answer, the final one, or
    /// nothing for a while, after which the body may flow all the same (RFC 9110 section 10.1.1).
    async fn await_word(&mut self, wait: Duration) -> Result<(), NetFailure> {
        let word = poll_fn(|context| match self.poll_head(context) {
            Poll::Pending if !self.scanner.interim.is_empty() => Poll::Ready(Ok(())),
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
            Poll::Pending => {
                ready!(self.poll_proceed(context));
                self.poll_idle(limit, context)
            }
            polled => polled,
        })
        .await?;
        let none = || NetFailure::protocol("no head came");
        self.head.take().ok_or_else(none)
    }

    /// Reads until the final head is there; what follows it stays where it is. An interim head is
    /// told, and nothing is read before it was dealt with.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<(), NetFailure>> {
        while self.head.is_none() {
            ready!(self.poll_proceed(context));
            if let Some(found) = self.scanner.next(&mut self.wire.inbox)? {
                // What is left is the beginning of another head, or there is nothing.
                self.is_answering = !self.wire.inbox.is_empty();
                match found {
                    Found::Interim(head) if head.status == CONTINUE => {}
                    Found::Interim(head) => self.request.listener.hear(head),
                    Found::Final(head) => self.head = Some(head),
                }
                continue;
            }
            match ready!(self.wire.poll_refill(context, HEAD_READ_BYTES)) {
                Ok(0) => {
                    let kind = io::ErrorKind::UnexpectedEof;
                    return Poll::Ready(Err(NetFailure::Reset { kind }));
                }
                Ok(_) => self.heard_something(),
                Err(error) => return Poll::Ready(Err(NetFailure::broken(&error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn heard_something(&mut self) {
        self.was_silent = false;
        if !std::mem::replace(&mut self.is_answering, true) {
            self.probe.answering();
        }
        self.alarm.disarm();
        // An upload may take days, and a server may say each second how far it is.
        let seconds = self.allowed_until.elapsed().as_secs();
        self.allowed_until += Duration::from_secs(seconds);
        let heads = usize::try_from(seconds).unwrap_or(usize::MAX);
        self.scanner.allow(heads);
    }

    pub(super) fn poll_idle<T>(
        &mut self,
        limit: Duration,
        context: &Context<'_>,
    ) -> Poll<Result<T, NetFailure>> {
        ready!(self.alarm.poll_within(limit, context));
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Poll::Ready(Err(NetFailure::IdleTimeout { limit_ms }))
    }
}
