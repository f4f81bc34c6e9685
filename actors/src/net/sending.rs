//! A request with a body: the body is sent while the answer is already read.
//!
//! awc would send the whole body before it looks at an answer, and would take an interim one for the
//! final (measured), so it only encodes the head.

mod duplex;
mod interim;
mod pass;

use std::{future::Future, os::fd::BorrowedFd, time::Duration};

use awc::{
    body::BodySize,
    http::{
        Method as Token,
        header::{EXPECT, HeaderValue},
    },
};

use self::duplex::Exchange;
pub use self::interim::Listener;
use super::{
    client::{Client, Response},
    failure::NetFailure,
    probe::Probe,
    request::{Method, Request},
};

/// Where the bytes of a body come from. They are asked for by offset, so that a body can be sent
/// again.
pub trait Content {
    /// Some bytes of it.
    type Block: AsRef<[u8]>;
    /// Why there are none.
    type Error;

    /// Its length in bytes.
    fn length(&self) -> u64;

    /// The bytes from `offset` on, at least one and at most up to the end. The future may be dropped
    /// when the answer comes first.
    fn block(&mut self, offset: u64) -> impl Future<Output = Result<Self::Block, Self::Error>>;

    /// Gives bytes from `offset` on straight to the socket of a connection without TLS, which takes
    /// what it can without waiting. By default no bytes go this way.
    ///
    /// # Errors
    /// As those of a block.
    fn pass(&mut self, offset: u64, socket: BorrowedFd<'_>) -> Result<Passed, Self::Error> {
        let _ = (offset, socket);
        Ok(Passed::Unable)
    }

    /// So many bytes from the beginning were given to the connection.
    fn sent(&mut self, bytes: u64);
}

/// What became of bytes that were to go straight to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// So many of them went, at least one.
    Bytes(u64),
    /// The socket takes none now.
    Full,
    /// The socket takes no more.
    Broken,
    /// They can not go this way; they are asked for as a block.
    Unable,
}

/// A request that carries a body. `Debug` is not for it: the fields may be secrets.
#[derive(Clone)]
pub struct BodyRequest {
    /// A method for requests with a body: a token, neither `CONNECT` nor `HEAD`.
    pub method: String,
    /// As in [`Request`], and with the same rules.
    pub url: url::Url,
    /// As in [`Request`].
    pub headers: Vec<(String, String)>,
    /// Longest time in which no byte is taken while the body is sent, and without a byte while the
    /// answer's body is read. Time in which the content gives none does not count.
    pub idle_timeout: Duration,
    /// Longest time from the last byte of the body to the answer.
    pub answer_timeout: Duration,
    /// Announce the body (`Expect: 100-continue`) and wait so long for the server's word: any
    /// interim answer, or the final one.
    pub expect_continue: Option<Duration>,
    /// Who hears interim answers.
    pub listener: Listener,
}

/// The answer to a body, and how much of the body it was given for.
#[derive(Debug)]
pub struct Answered {
    /// The final answer.
    pub response: Response,
    /// Bytes of the body that were given to the connection: all of them, unless the answer or the
    /// end of the connection came before.
    pub sent: u64,
}

/// Why a body brought no answer.
#[derive(Debug)]
pub enum SendFailure<E> {
    /// The network.
    Net(NetFailure),
    /// The content had no bytes.
    Content(E),
}

impl<E> From<NetFailure> for SendFailure<E> {
    fn from(failure: NetFailure) -> Self {
        Self::Net(failure)
    }
}

impl Client {
    /// Sends `request` with `content` as its body and waits for the final response head. An answer
    /// other than a success (2xx) ends the body where it is; a success lets it flow to its end.
    ///
    /// A kept connection that turns out closed is replaced once, when nothing of an answer came and
    /// either the method is idempotent or no byte of the body was taken (RFC 9110 section 9.2.2).
    /// `probe` notes what it took.
    ///
    /// # Errors
    /// Every [`NetFailure`] but those that only a response body can have, or the content's own. The
    /// connection is closed then.
    pub async fn send_content<C: Content>(
        &self,
        request: &BodyRequest,
        content: &mut C,
        probe: Probe,
    ) -> Result<Answered, SendFailure<C::Error>> {
        let shared = self.shared();
        let method = token(&request.method)?;
        // A method changes nothing else: answers to all but HEAD and CONNECT end alike.
        let framed_as = Request {
            method: Method::Get,
            url: request.url.clone(),
            headers: request.headers.clone(),
            idle_timeout: request.idle_timeout,
        };
        let mut outgoing = shared.outgoing(&framed_as)?;
        if request.expect_continue.is_some() {
            let announced = HeaderValue::from_static("100-continue");
            outgoing.headers.insert(EXPECT, announced);
        }
        let size = BodySize::Sized(content.length());
        let head = shared
            .encoder()
            .await?
            .encode(method.clone(), &outgoing, size)?;
        let mut reused = false;
        let mut wire = shared.kept(&outgoing);
        loop {
            let wire = match wire.take() {
                Some(wire) => {
                    reused = true;
                    wire
                }
                None => shared.connect(&outgoing.origin, &probe).await?,
            };
            shared.will_use(&wire, reused, &probe);
            let exchange = Exchange::new(wire, request, probe.clone());
            match exchange.run(&head, content).await {
                Ok((answer, sent)) => {
                    let response = shared.respond(answer, outgoing, &framed_as, (reused, probe))?;
                    return Ok(Answered { response, sent });
                }
                Err(broken) if reused && broken.may_repeat(method.as_str(), content.length()) => {
                    reused = false;
                }
                Err(broken) => return Err(broken.failure),
            }
        }
    }
}

fn token(method: &str) -> Result<Token, NetFailure> {
    match Token::from_bytes(method.as_bytes()) {
        Ok(Token::CONNECT | Token::HEAD) | Err(_) => Err(NetFailure::invalid(
            "the method is none that a body can be sent with",
        )),
        Ok(method) => Ok(method),
    }
}
