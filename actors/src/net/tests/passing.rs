//! Bodies that the kernel sends from their file to a real socket.

use std::{
    cell::Cell,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::BorrowedFd,
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use longhaul_engine::failure::{Failure, FailureKind};

use super::{
    sockets::{listen, read_request, tcp_client},
    tls::{authority, trusting},
    *,
};
use crate::{
    file::source::SourceFile,
    net::{Answered, BodyRequest, Content, Listener, Passed, Probe, SendFailure, TcpDial},
};

/// More than the buffers of two sockets hold.
const LENGTH: usize = 48 << 20;

/// What the kernel sends at once, and what is kept back for a block.
const PIECE: usize = 1 << 20;
const LAST: usize = 1000;

const CREATED: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";

/// A file as a body.
struct Passing {
    file: SourceFile,
    path: PathBuf,
    passed: u64,
    blocks: u64,
    /// Somebody writes to the file when so much went.
    changes_at: Option<u64>,
    told: Rc<Cell<u64>>,
    /// Becomes true when the socket takes nothing.
    full: Option<&'static AtomicBool>,
    _directory: tempfile::TempDir,
}

impl Passing {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("f");
        std::fs::write(&path, bytes()).expect("a file");
        let (file, _) = SourceFile::inspect(&path).expect("a file");
        Self {
            file,
            path,
            passed: 0,
            blocks: 0,
            changes_at: None,
            told: Rc::default(),
            full: None,
            _directory: directory,
        }
    }
}

/// Writes to a file without changing its length.
fn write_into(path: &std::path::Path) {
    let opened = std::fs::File::options().write(true).open(path);
    let mut file = opened.expect("the file");
    file.write_all(b"other").expect("written");
    // The clock of a file system may be too coarse to tell two writes of one moment apart.
    let later = std::time::SystemTime::now() + Duration::from_secs(1);
    file.set_modified(later).expect("a time");
}

fn bytes() -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251) as u8).collect()
}

impl Content for Passing {
    type Block = Vec<u8>;
    type Error = Failure;

    fn length(&self) -> u64 {
        LENGTH as u64
    }

    async fn block(&mut self, offset: u64) -> Result<Vec<u8>, Failure> {
        self.blocks += 1;
        let mut block = vec![0; LENGTH - usize::try_from(offset).expect("an offset")];
        self.file.read_at(&mut block, offset)?;
        Ok(block)
    }

    fn pass(&mut self, offset: u64, socket: BorrowedFd<'_>) -> Result<Passed, Failure> {
        if self.changes_at.is_some_and(|at| offset >= at) {
            write_into(&self.path);
        }
        let rest = LENGTH - LAST - usize::try_from(offset).expect("an offset");
        if rest == 0 {
            return Ok(Passed::Unable);
        }
        let passed = self.file.send_at(socket, offset, rest.min(PIECE))?;
        match (passed, self.full) {
            (Passed::Bytes(count), _) => self.passed += count,
            (Passed::Full, Some(full)) => full.store(true, Ordering::Release),
            (_, _) => {}
        }
        Ok(passed)
    }

    fn sent(&mut self, bytes: u64) {
        assert!(bytes > self.told.get(), "it only grows");
        self.told.set(bytes);
    }
}

fn put(address: std::net::SocketAddr) -> BodyRequest {
    BodyRequest {
        method: "PUT".to_owned(),
        url: Url::parse(&format!("http://{address}/f")).expect("a url"),
        headers: Vec::new(),
        idle_timeout: IDLE,
        answer_timeout: IDLE,
        expect_continue: None,
        listener: Listener::default(),
    }
}

type Sent = Result<Answered, SendFailure<Failure>>;

async fn send(request: &BodyRequest, content: &mut Passing) -> Sent {
    tcp_client()
        .send_content(request, content, Probe::default())
        .await
}

fn read_exact(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the bytes");
    body
}

#[test]
fn a_file_goes_through_the_kernel_whole_and_in_order_however_slowly_it_is_taken() {
    static IS_FULL: AtomicBool = AtomicBool::new(false);
    let address = listen(|_, mut stream| {
        assert!(read_request(&mut stream));
        // It takes a little, then nothing until the sender's buffers are full, then the rest.
        let mut body = read_exact(&mut stream, 10_000);
        while !IS_FULL.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        body.append(&mut read_exact(&mut stream, LENGTH - 10_000));
        assert!(body == bytes());
        stream.write_all(CREATED).expect("a client");
        let mut end = [0];
        let _ = stream.read(&mut end);
    });
    real_time(async {
        let mut content = Passing::new();
        content.full = Some(&IS_FULL);
        let sent = send(&put(address), &mut content).await;
        let answered = sent.expect("an answer");
        assert_eq!(
            (answered.response.head.status, answered.sent),
            (201, LENGTH as u64)
        );
        assert_eq!(content.passed, (LENGTH - LAST) as u64);
        assert_eq!((content.blocks, content.told.get()), (1, LENGTH as u64));
    });
}

#[test]
fn a_refusal_is_heard_while_the_kernel_sends_even_when_a_reset_follows_it() {
    for closes in [true, false] {
        let address = listen(move |_, mut stream| {
            assert!(read_request(&mut stream));
            read_exact(&mut stream, 100_000);
            let refusal = b"HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig";
            stream.write_all(refusal).expect("a client");
            if closes {
                // What it has not read makes the end of the connection a reset.
                return;
            }
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        });
        real_time(async {
            let mut content = Passing::new();
            let sent = send(&put(address), &mut content).await;
            let mut answered = sent.expect("an answer");
            assert_eq!(answered.response.head.status, 413);
            assert!(answered.sent < LENGTH as u64);
            let (body, _) = read_body(&mut answered.response).await;
            assert_eq!(body, b"big");
        });
    }
}

#[test]
fn an_interim_answer_stops_the_kernel_until_it_was_dealt_with() {
    let (tell_given, given) = mpsc::channel();
    let (tell_drained, mut drained) = tokio::sync::mpsc::unbounded_channel();
    let address = listen_once(move |mut stream| {
        let mut body = read_exact(&mut stream, 100_000);
        let interim = b"HTTP/1.1 104 U\r\n\r\n";
        stream.write_all(interim).expect("a client");
        // It takes all that was given by then, so that there is room for more.
        let given: usize = given.recv().expect("a number");
        body.append(&mut read_exact(&mut stream, given - 100_000));
        tell_drained.send(()).expect("a test");
        body.append(&mut read_exact(&mut stream, LENGTH - given));
        assert!(body == bytes());
        stream.write_all(CREATED).expect("a client");
        let mut end = [0];
        let _ = stream.read(&mut end);
    });
    real_time(async {
        let mut content = Passing::new();
        let told = Rc::clone(&content.told);
        let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let listener = Listener::new(move |head| tell.send(head.status).expect("a listener"));
        let request = BodyRequest {
            listener: listener.clone(),
            ..put(address)
        };
        let hear = async {
            assert_eq!(heard.recv().await, Some(104));
            let before = told.get();
            let given = usize::try_from(before).expect("a length");
            tell_given.send(given).expect("a server");
            drained.recv().await.expect("a server");
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(told.get(), before, "not a byte more");
            assert!(before < LENGTH as u64);
            listener.proceed();
        };
        let (sent, ()) = tokio::join!(send(&request, &mut content), hear);
        let answered = sent.expect("an answer");
        assert_eq!(answered.response.head.status, 201);
    });
}

#[test]
fn a_file_that_changes_while_the_kernel_sends_it_ends_the_request() {
    let (tell, arrived) = mpsc::channel();
    let address = listen_once(move |mut stream| {
        let mut body = Vec::new();
        let _ = stream.read_to_end(&mut body);
        tell.send(body.len()).expect("a test");
    });
    real_time(async {
        let mut content = Passing::new();
        content.changes_at = Some(8 << 20);
        match send(&put(address), &mut content).await {
            Err(SendFailure::Content(why)) => assert_eq!(why.kind(), FailureKind::SourceChanged),
            other => panic!("{other:?}"),
        }
    });
    let arrived = arrived.recv().expect("a server");
    assert!(arrived < LENGTH, "the request never ends: {arrived}");
}

/// A server of one request, whose head it has read.
fn listen_once(serve: impl FnOnce(TcpStream) + Send + 'static) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        assert!(read_request(&mut stream));
        serve(stream);
    });
    address
}

#[test]
fn a_server_that_takes_nothing_more_is_left_after_the_idle_timeout() {
    let address = listen(|_, mut stream| {
        assert!(read_request(&mut stream));
        read_exact(&mut stream, 100_000);
        // The connection stays open as long as the process.
        std::mem::forget(stream);
    });
    real_time(async {
        let request = BodyRequest {
            idle_timeout: Duration::from_millis(200),
            ..put(address)
        };
        let mut content = Passing::new();
        match send(&request, &mut content).await {
            Err(SendFailure::Net(NetFailure::IdleTimeout { .. })) => {}
            other => panic!("{other:?}"),
        }
        assert!(content.told.get() > 0 && content.told.get() < LENGTH as u64);
    });
}

#[test]
fn a_body_that_is_encrypted_never_goes_past_us() {
    let authority = authority();
    real_time(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = authority.acceptor.clone();
        let served = spawn_local(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut stream = acceptor.accept(stream).await.expect("tls");
            read_head(&mut stream).await.expect("a head");
            let mut body = vec![0; LENGTH];
            stream.read_exact(&mut body).await.expect("a whole body");
            stream.write_all(CREATED).await.expect("a client");
            stream.flush().await.expect("a client");
            body == bytes()
        });
        let client = Client::new(&trusting(&authority), Rc::new(TcpDial)).expect("a client");
        let request = BodyRequest {
            url: Url::parse(&format!("https://{address}/f")).expect("a url"),
            ..put(address)
        };
        let mut content = Passing::new();
        let sent = client
            .send_content(&request, &mut content, Probe::default())
            .await;
        assert_eq!(sent.expect("an answer").response.head.status, 201);
        assert!(served.await.expect("a server"), "other bytes came");
        assert_eq!((content.passed, content.blocks), (0, 1));
    });
}
