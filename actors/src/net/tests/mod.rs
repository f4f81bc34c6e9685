//! The edge as a whole: what every test needs, and the tests by subject.

mod framing;
mod heads;
mod interim;
mod passing;
mod proxies;
mod reuse;
mod sending;
mod sockets;
mod tls;

use std::{cell::RefCell, future::Future, rc::Rc, time::Duration};

use futures_util::future::LocalBoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    runtime::Builder,
    task::{LocalSet, spawn_local},
};
use url::Url;

use super::{
    Client, ClientConfig, Dial, Endpoint, Method, NetFailure, Request, Response, Transport,
};

/// The idle timeout of every request here.
const IDLE: Duration = Duration::from_secs(60);

/// Runs `test` under virtual time. Only in-memory pipes may be open.
fn virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), test)
}

/// Runs `test` under the real clock, as sockets need it.
fn real_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), test)
}

type Server = dyn Fn(usize, DuplexStream) -> LocalBoxFuture<'static, ()>;

/// Dials in-memory pipes; the server at the other end is told the connection's number.
struct Pipes {
    server: Box<Server>,
    dialled: RefCell<Vec<Endpoint>>,
}

impl Pipes {
    fn new<F>(server: impl Fn(usize, DuplexStream) -> F + 'static) -> Rc<Self>
    where
        F: Future<Output = ()> + 'static,
    {
        Rc::new(Self {
            server: Box::new(move |number, stream| Box::pin(server(number, stream))),
            dialled: RefCell::default(),
        })
    }

    /// A server that answers every request with `answer` and goes on or closes.
    fn answering(answer: impl AsRef<[u8]>, after: After) -> Rc<Self> {
        let answer: Rc<[u8]> = answer.as_ref().into();
        Self::new(move |_, mut stream| {
            let answer = Rc::clone(&answer);
            async move {
                while read_head(&mut stream).await.is_some() {
                    let _ = stream.write_all(&answer).await;
                    if after == After::Close {
                        return;
                    }
                }
            }
        })
    }

    fn client(self: &Rc<Self>) -> Client {
        self.client_with(&ClientConfig::default())
    }

    fn client_with(self: &Rc<Self>, config: &ClientConfig) -> Client {
        Client::new(config, Rc::clone(self) as Rc<dyn Dial>).expect("a client")
    }

    /// Every endpoint dialled so far.
    fn dialled(&self) -> Vec<String> {
        self.dialled
            .borrow()
            .iter()
            .map(Endpoint::to_string)
            .collect()
    }
}

impl Dial for Pipes {
    fn dial(
        &self,
        to: &Endpoint,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Transport>, NetFailure>> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let number = self.dialled.borrow().len();
        self.dialled.borrow_mut().push(to.clone());
        spawn_local((self.server)(number, far));
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Transport>) })
    }
}

/// What a server does when it has answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Close,
    Stay,
}

/// The next request head; `None` when the stream ends first.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("a request head is ascii"))
}

fn get(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: Url::parse(url).expect("a url"),
        headers: Vec::new(),
        idle_timeout: IDLE,
    }
}

/// Reads the body to its end or its failure.
async fn read_body(response: &mut Response) -> (Vec<u8>, Result<(), NetFailure>) {
    let mut body = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        match response.body.fill(&mut buffer, Duration::ZERO).await {
            Ok(0) => return (body, Ok(())),
            Ok(count) => body.extend_from_slice(&buffer[..count]),
            Err(failure) => return (body, Err(failure)),
        }
    }
}

/// The status, the body, and how it ended; or the failure that came before.
type Fetched = Result<(u16, String, Result<(), NetFailure>), NetFailure>;

/// Sends a GET and reads the body.
async fn fetch(client: &Client, url: &str) -> Fetched {
    let mut response = client.send(get(url)).await?;
    let (body, end) = read_body(&mut response).await;
    let body = String::from_utf8(body).expect("a body of text");
    Ok((response.head.status, body, end))
}

/// What a client makes of `answer`, when the server closes behind it.
fn answered(answer: &[u8]) -> Fetched {
    let server = Pipes::answering(answer, After::Close);
    virtual_time(async move { fetch(&server.client(), "http://a.test/").await })
}
