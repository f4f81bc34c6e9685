//! The heads of requests as bytes, encoded by awc.
//!
//! awc hands out a codec only with a connection, and each codec starts a task that reads the date
//! twice a second, with a timer that wakes the thread through the kernel. So each client has one codec,
//! over a sheet of paper instead of a connection, and its task does not outlive the making. No request
//! needs the date; it is left out (RFC 9110 section 6.6.1 lets a user agent choose).

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_rt::net::{ActixStream, Ready};
use actix_service::{Service as _, fn_service};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::{
    ConnectRequest,
    body::BodySize,
    http::{self, Method as Token},
};
use futures_util::{FutureExt as _, SinkExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::LocalSet,
};

use super::{failure::NetFailure, request::Outgoing};

/// What awc reads where it waits for an answer: it takes no part in reading the real one.
const ANSWER: &[u8] = b"HTTP/1.1 200 \r\n\r\n";

type Encode = dyn FnMut(Token, &Outgoing, BodySize) -> Result<Vec<u8>, String>;

/// Encodes the requests of one client, one after the other.
pub(super) struct Encoder(RefCell<Box<Encode>>);

impl Encoder {
    /// An encoder of this thread.
    ///
    /// # Errors
    /// [`NetFailure::Protocol`] with awc's words, when it takes the paper for no connection.
    pub(super) async fn new() -> Result<Self, NetFailure> {
        let set = LocalSet::new();
        let opened = set.run_until(open(Paper::default())).await;
        // The codec's task ends with the set that it was started in.
        drop(set);
        let encode = opened.map_err(|error| NetFailure::protocol(&error))?;
        Ok(Self(RefCell::new(encode)))
    }

    /// The bytes of a request up to its body, which has this size.
    ///
    /// # Errors
    /// [`NetFailure::Protocol`] with awc's words.
    pub(super) fn encode(
        &self,
        method: Token,
        outgoing: &Outgoing,
        size: BodySize,
    ) -> Result<Vec<u8>, NetFailure> {
        let encoded = self.0.borrow_mut()(method, outgoing, size);
        encoded.map_err(|error| NetFailure::protocol(&error))
    }
}

/// Has awc open a tunnel over the paper, and keeps the codec that it used.
async fn open(paper: Paper) -> Result<Box<Encode>, String> {
    let sheet = paper.clone();
    let service = fn_service(move |info: ConnectInfo<http::Uri>| {
        let connection = Connection::new(info.request().clone(), sheet.clone());
        async move { Ok::<_, ConnectError>(connection) }
    });
    let connector = awc::Connector::new().connector(service).limit(0).finish();
    let connected = connector.call(awc::Connect {
        uri: http::Uri::from_static("http://paper"),
        addr: None,
    });
    let connection = connected.await.map_err(|error| error.to_string())?;
    // awc does not export its head types, but they can be had from a request that holds one.
    let blank = || match ConnectRequest::Tunnel(Default::default(), None) {
        ConnectRequest::Tunnel(head, _) => Some(head),
        ConnectRequest::Client(..) => None,
    };
    let typed = |request| match request {
        ConnectRequest::Tunnel(head, _) => head.into(),
        ConnectRequest::Client(head, _, _) => head,
    };
    let first = blank().ok_or("awc has no head for a tunnel")?;
    let opened = connection.open_tunnel(first).await;
    let (_, mut framed) = opened.map_err(|error| error.to_string())?;
    Ok(Box::new(move |method, outgoing, size| {
        let mut head = blank().ok_or("awc has no head for a tunnel")?;
        head.method = method;
        head.uri = outgoing.target.clone();
        head.headers = outgoing.headers.clone();
        let head = typed(ConnectRequest::Tunnel(head, None));
        paper.0.take();
        let written = framed.send((head, size).into()).now_or_never();
        let written = written.ok_or("awc waits for paper")?;
        written.map_err(|error| error.to_string())?;
        let mut bytes = paper.0.take();
        if !outgoing.headers.contains_key(http::header::DATE) {
            // Nothing moves the date on that awc adds.
            take_line(&mut bytes, b"\r\ndate: ");
        }
        // RFC 9110 section 7.2: it comes first. awc has an order of its own.
        if let Some(host) = take_line(&mut bytes, b"\r\nhost: ")
            && let Some(end) = find(&bytes, b"\r\n")
        {
            bytes.splice(end..end, host);
        }
        Ok(bytes)
    }))
}

/// Takes out the first line that begins so, with the end of the line before it.
fn take_line(bytes: &mut Vec<u8>, beginning: &[u8]) -> Option<Vec<u8>> {
    let start = find(bytes, beginning)?;
    let length = 2 + find(&bytes[start + 2..], b"\r\n")?;
    Some(bytes.drain(start..start + length).collect())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let mut windows = bytes.windows(what.len());
    windows.position(|window| window == what)
}

/// What awc takes for a connection: it keeps what is written.
#[derive(Clone, Debug, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl AsyncRead for Paper {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = ANSWER.len().min(buffer.remaining());
        buffer.put_slice(&ANSWER[..length]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paper {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// awc asks for the trait, but never for readiness.
impl ActixStream for Paper {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::READABLE))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::WRITABLE))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longhaul_engine::limits::URL_BYTES_MAX;
    use url::Url;

    use super::super::request::Method;
    use super::*;
    use crate::net::Request;

    fn outgoing(url: &str, headers: &[(&str, &str)]) -> Outgoing {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let request = Request {
            method: Method::Get,
            url: Url::parse(url).expect("a url"),
            headers: headers.iter().map(owned).collect(),
            idle_timeout: Duration::from_secs(60),
        };
        Outgoing::new(&request, "agent/1", None).expect("usable")
    }

    #[actix_rt::test]
    async fn each_request_is_encoded_alone_whatever_came_before() {
        let encoder = Encoder::new().await.expect("an encoder");
        let long = format!("/{}", "a".repeat(URL_BYTES_MAX / 2));
        let table = [
            ("GET", "/a?b=c", BodySize::None, vec![("range", "bytes=5-")]),
            ("HEAD", "/x", BodySize::None, vec![]),
            ("PUT", "/x", BodySize::Sized(5_000_000_000), vec![]),
            ("OPTIONS", "/x", BodySize::None, vec![]),
            ("OWN", "/x", BodySize::Sized(0), vec![("date", "now")]),
            ("DELETE", "/x", BodySize::None, vec![]),
            ("GET", "/dated", BodySize::None, vec![("date", "then")]),
            ("GET", long.as_str(), BodySize::None, vec![]),
            ("GET", "/", BodySize::None, vec![]),
        ];
        for (method, target, size, headers) in table {
            let url = format!("http://a.test{target}");
            let token = Token::from_bytes(method.as_bytes()).expect("a token");
            let bytes = encoder.encode(token, &outgoing(&url, &headers), size);
            let text = String::from_utf8(bytes.expect("encoded")).expect("text");
            let (line, fields) = text.split_once("\r\n").expect("lines");
            assert_eq!(line, format!("{method} {target} HTTP/1.1"));
            assert!(fields.starts_with("host: a.test\r\n"), "{fields}");
            let (fields, rest) = fields.split_once("\r\n\r\n").expect("an end");
            assert_eq!(rest, "");
            let mut fields: Vec<_> = fields
                .to_ascii_lowercase()
                .lines()
                .map(str::to_owned)
                .collect();
            fields.sort();
            let mut expected = vec![
                "accept-encoding: identity".to_owned(),
                "accept: */*".to_owned(),
                "host: a.test".to_owned(),
                "user-agent: agent/1".to_owned(),
            ];
            let length = match size {
                BodySize::Sized(length) => Some(format!("content-length: {length}")),
                BodySize::None | BodySize::Stream => None,
            };
            expected.extend(length);
            let theirs = headers.iter();
            expected.extend(theirs.map(|(name, value)| format!("{name}: {value}")));
            expected.sort();
            assert_eq!(fields, expected, "{target}");
        }
    }
}
