//! Requests with a body: the answer is heard while the body flows, and obeyed.

use std::cell::Cell;

use super::*;
use crate::net::{Answered, BodyRequest, Content, Listener, Probe, SendFailure};

pub(super) const CREATED: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";

/// More than the pipe and the client hold.
pub(super) const LARGE: usize = 1 << 20;

/// A body out of memory.
pub(super) struct Bytes {
    pub(super) bytes: Vec<u8>,
    block: usize,
    /// Fails when it is asked for this offset.
    broken_at: Option<u64>,
    told: u64,
}

impl Bytes {
    pub(super) fn new(length: usize) -> Self {
        Self {
            bytes: (0..length).map(|at| (at % 251) as u8).collect(),
            block: 10_000,
            broken_at: None,
            told: 0,
        }
    }
}

impl Content for Bytes {
    type Block = Vec<u8>;
    type Error = &'static str;

    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn block(&mut self, offset: u64) -> Result<Vec<u8>, &'static str> {
        tokio::task::yield_now().await;
        if self.broken_at.is_some_and(|at| offset >= at) {
            return Err("the content broke");
        }
        let start = usize::try_from(offset).expect("it is small");
        let end = (start + self.block).min(self.bytes.len());
        Ok(self.bytes[start..end].to_vec())
    }

    fn sent(&mut self, bytes: u64) {
        assert!(bytes > self.told, "it only grows");
        self.told = bytes;
    }
}

pub(super) fn put(method: &str) -> BodyRequest {
    BodyRequest {
        method: method.to_owned(),
        url: Url::parse("http://a.test/f?q").expect("a url"),
        headers: vec![("Content-Type".to_owned(), "a/b".to_owned())],
        idle_timeout: IDLE,
        answer_timeout: 5 * IDLE,
        expect_continue: None,
        listener: Listener::default(),
    }
}

/// Reads the body that the head declares.
pub(super) async fn read_request_body(stream: &mut DuplexStream, head: &str) -> Vec<u8> {
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("a whole body");
    body
}

pub(super) type Sent = Result<Answered, SendFailure<&'static str>>;

pub(super) fn status(sent: &Sent) -> (u16, u64) {
    let answered = sent.as_ref().expect("an answer");
    (answered.response.head.status, answered.sent)
}

pub(super) fn net_failure(sent: Sent) -> NetFailure {
    match sent {
        Err(SendFailure::Net(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_arrives_whole_and_its_connection_is_used_again() {
    for length in [0, 1, 10_000, 25_001, LARGE] {
        let server = Pipes::new(move |_, mut stream| async move {
            while let Some(head) = read_head(&mut stream).await {
                assert!(
                    head.starts_with("PUT /f?q HTTP/1.1\r\nhost: a.test\r\n"),
                    "{head}"
                );
                assert!(head.contains("\r\ncontent-type: a/b\r\n"), "{head}");
                assert!(!head.contains("expect"), "{head}");
                let body = read_request_body(&mut stream, &head).await;
                assert!(body == Bytes::new(length).bytes);
                stream.write_all(CREATED).await.expect("a client");
            }
        });
        virtual_time(async {
            let client = server.client();
            for number in 0..3 {
                let mut content = Bytes::new(length);
                let sent = client
                    .send_content(&put("PUT"), &mut content, Probe::default())
                    .await;
                assert_eq!(status(&sent), (201, length as u64));
                assert_eq!(content.told, length as u64);
                let mut response = sent.expect("an answer").response;
                assert_eq!(response.facts.reused, number > 0);
                assert_eq!(read_body(&mut response).await, (b"ok".to_vec(), Ok(())));
            }
        });
        assert_eq!(server.dialled().len(), 1, "{length}");
    }
}

#[test]
fn an_early_refusal_ends_the_body_at_once_and_the_connection_with_it() {
    for (code, closes) in [(413, false), (413, true), (401, false), (307, false)] {
        let server = Pipes::new(move |_, mut stream| async move {
            read_head(&mut stream).await.expect("a head");
            let mut some = vec![0; 20_000];
            stream.read_exact(&mut some).await.expect("some bytes");
            let answer = format!("HTTP/1.1 {code} No\r\nContent-Length: 3\r\n\r\nbig");
            stream.write_all(answer.as_bytes()).await.expect("a client");
            if !closes {
                std::future::pending::<()>().await;
            }
        });
        virtual_time(async {
            let client = server.client();
            let started = tokio::time::Instant::now();
            let sent = client
                .send_content(&put("POST"), &mut Bytes::new(LARGE), Probe::default())
                .await;
            let (found, bytes) = status(&sent);
            assert_eq!(found, code);
            assert!(bytes < LARGE as u64, "{bytes}");
            assert!(started.elapsed() < Duration::from_secs(1));
            let mut response = sent.expect("an answer").response;
            assert_eq!(read_body(&mut response).await, (b"big".to_vec(), Ok(())));
            assert_eq!(client.idle_connections(), 0, "half a body lies in it");
        });
    }
}

#[test]
fn an_early_success_lets_the_body_flow_to_its_end() {
    let server = Pipes::new(move |_, mut stream| async move {
        let head = read_head(&mut stream).await.expect("a head");
        stream.write_all(CREATED).await.expect("a client");
        read_request_body(&mut stream, &head).await;
    });
    virtual_time(async {
        let client = server.client();
        let sent = client
            .send_content(&put("POST"), &mut Bytes::new(LARGE), Probe::default())
            .await;
        assert_eq!(status(&sent), (201, LARGE as u64));
    });
    // And one that is given to a body that is not taken says how much of it there was.
    let server = Pipes::new(move |_, mut stream| async move {
        read_head(&mut stream).await.expect("a head");
        stream.write_all(CREATED).await.expect("a client");
    });
    virtual_time(async {
        let client = server.client();
        let sent = client
            .send_content(&put("POST"), &mut Bytes::new(LARGE), Probe::default())
            .await;
        let (code, bytes) = status(&sent);
        assert!(code == 201 && bytes < LARGE as u64, "{bytes}");
    });
}

#[test]
fn an_announced_body_waits_for_the_servers_word_but_not_for_ever() {
    const WAIT: Duration = Duration::from_millis(500);
    // What the server says to the head, the answer, and how long the client may wait for it.
    let table: [(&[u8], u16, bool); 3] = [
        (b"HTTP/1.1 100 Continue\r\n\r\n", 201, false),
        (b"", 201, true),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", 401, false),
    ];
    for (word, code, waits) in table {
        let server = Pipes::new(move |_, mut stream| async move {
            let head = read_head(&mut stream).await.expect("a head");
            assert!(head.contains("\r\nexpect: 100-continue\r\n"), "{head}");
            stream.write_all(word).await.expect("a client");
            if code == 201 {
                read_request_body(&mut stream, &head).await;
                stream.write_all(CREATED).await.expect("a client");
            }
            std::future::pending::<()>().await;
        });
        virtual_time(async {
            let request = BodyRequest {
                expect_continue: Some(WAIT),
                ..put("PUT")
            };
            let started = tokio::time::Instant::now();
            let sent = server
                .client()
                .send_content(&request, &mut Bytes::new(LARGE), Probe::default())
                .await;
            let expected = if code == 201 { LARGE as u64 } else { 0 };
            assert_eq!(status(&sent), (code, expected));
            assert_eq!(started.elapsed() >= WAIT, waits, "{code}");
        });
    }
}

#[test]
fn a_kept_connection_that_is_dead_is_replaced_only_where_nothing_can_happen_twice() {
    // Each connection answers once, takes this much of the second body, and goes.
    for (method, taken, repeats) in [
        ("PUT", 50_000, true),
        ("POST", 50_000, false),
        ("POST", 0, true),
    ] {
        let requests = Rc::new(Cell::new(0));
        let count = Rc::clone(&requests);
        let server = Pipes::new(move |_, mut stream| {
            let count = Rc::clone(&count);
            async move {
                let head = read_head(&mut stream).await.expect("a head");
                count.set(count.get() + 1);
                read_request_body(&mut stream, &head).await;
                stream.write_all(CREATED).await.expect("a client");
                if read_head(&mut stream).await.is_some() {
                    let mut some = vec![0; taken];
                    let _ = stream.read_exact(&mut some).await;
                }
            }
        });
        virtual_time(async {
            let client = server.client();
            let request = BodyRequest {
                // Then the body waits for a word that does not come, and nothing of it has flowed.
                expect_continue: (taken == 0).then_some(IDLE),
                ..put(method)
            };
            let sent = client
                .send_content(&put("PUT"), &mut Bytes::new(10), Probe::default())
                .await;
            read_body(&mut sent.expect("an answer").response)
                .await
                .1
                .expect("an end");
            let mut content = Bytes::new(LARGE);
            content.told = 0;
            let second = client
                .send_content(&request, &mut Restarting(content), Probe::default())
                .await;
            if repeats {
                assert_eq!(status(&second), (201, LARGE as u64), "{method} {taken}");
            } else {
                let failure = net_failure(second);
                assert!(matches!(failure, NetFailure::Reset { .. }), "{failure:?}");
            }
        });
        assert_eq!(requests.get(), 1 + u32::from(repeats), "{method} {taken}");
    }
}

/// A body that may begin again.
struct Restarting(Bytes);

impl Content for Restarting {
    type Block = Vec<u8>;
    type Error = &'static str;

    fn length(&self) -> u64 {
        self.0.length()
    }

    async fn block(&mut self, offset: u64) -> Result<Vec<u8>, &'static str> {
        if offset == 0 {
            self.0.told = 0;
        }
        self.0.block(offset).await
    }

    fn sent(&mut self, bytes: u64) {
        self.0.sent(bytes);
    }
}

#[test]
fn a_server_that_takes_nothing_or_says_nothing_is_left_after_its_time() {
    for reads in [false, true] {
        let server = Pipes::new(move |_, mut stream| async move {
            let head = read_head(&mut stream).await.expect("a head");
            if reads {
                read_request_body(&mut stream, &head).await;
            }
            std::future::pending::<()>().await;
        });
        virtual_time(async {
            let started = tokio::time::Instant::now();
            let client = server.client();
            let sent = client
                .send_content(&put("PUT"), &mut Bytes::new(LARGE), Probe::default())
                .await;
            assert!(matches!(net_failure(sent), NetFailure::IdleTimeout { .. }));
            let limit = if reads { 5 * IDLE } else { IDLE };
            let elapsed = started.elapsed();
            assert!(
                elapsed >= limit && elapsed < limit + IDLE / 2,
                "{elapsed:?}"
            );
        });
    }
}

#[test]
fn a_connection_that_ends_without_an_answer_is_a_failure() {
    let server = Pipes::new(move |_, mut stream| async move {
        let head = read_head(&mut stream).await.expect("a head");
        read_request_body(&mut stream, &head).await;
    });
    virtual_time(async {
        let client = server.client();
        let sent = client
            .send_content(&put("PUT"), &mut Bytes::new(10), Probe::default())
            .await;
        let failure = net_failure(sent);
        assert!(matches!(failure, NetFailure::Reset { .. }), "{failure:?}");
    });
}

#[test]
fn content_that_breaks_ends_the_request_without_its_last_byte() {
    let server = Pipes::new(move |_, mut stream| async move {
        read_head(&mut stream).await.expect("a head");
        let mut body = Vec::new();
        let _ = stream.read_to_end(&mut body).await;
        assert_eq!(body.len(), 20_000);
    });
    virtual_time(async {
        let mut content = Bytes::new(30_000);
        content.broken_at = Some(20_000);
        let client = server.client();
        match client
            .send_content(&put("PUT"), &mut content, Probe::default())
            .await
        {
            Err(SendFailure::Content(why)) => assert_eq!(why, "the content broke"),
            other => panic!("{other:?}"),
        }
        assert_eq!(client.idle_connections(), 0);
    });
}

#[test]
fn a_method_that_carries_no_body_is_refused_before_a_connection_is_made() {
    let server = Pipes::answering(CREATED, After::Stay);
    virtual_time(async {
        for method in ["HEAD", "CONNECT", "", "A B", "A\r\nB: c"] {
            let sent = server
                .client()
                .send_content(&put(method), &mut Bytes::new(1), Probe::default())
                .await;
            let failure = net_failure(sent);
            assert!(
                matches!(failure, NetFailure::InvalidInput { .. }),
                "{method:?}"
            );
        }
    });
    assert!(server.dialled().is_empty());
}
