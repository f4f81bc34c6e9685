//! Interim answers to a body: told at once, one at a time, while the body waits.

use std::cell::Cell;

use tokio::time::{Instant, advance, sleep};

use super::{
    sending::{Bytes, CREATED, LARGE, Sent, net_failure, put, read_request_body, status},
    *,
};
use crate::net::{BodyRequest, Listener, Probe};

const SUPPORTED: &[u8] = b"HTTP/1.1 104 Upload Resumption Supported\r\nLocation: /u\r\n\r\n";

/// Who is told, with when; goes on after `takes`, or never.
#[derive(Clone, Default)]
struct Told {
    statuses: Rc<RefCell<Vec<u16>>>,
    /// Answers that were told and not dealt with.
    open: Rc<Cell<u32>>,
}

impl Told {
    fn listener(&self, takes: Duration) -> Listener {
        let told = self.clone();
        let itself: Rc<RefCell<Option<Listener>>> = Rc::default();
        let handle = Rc::clone(&itself);
        let listener = Listener::new(move |head| {
            told.open.set(told.open.get() + 1);
            assert_eq!(told.open.get(), 1, "one at a time");
            told.statuses.borrow_mut().push(head.status);
            let (told, handle) = (told.clone(), Rc::clone(&handle));
            spawn_local(async move {
                sleep(takes).await;
                told.open.set(0);
                if let Some(listener) = &*handle.borrow() {
                    listener.proceed();
                }
            });
        });
        itself.replace(Some(listener.clone()));
        listener
    }

    fn statuses(&self) -> Vec<u16> {
        self.statuses.borrow().clone()
    }
}

async fn send(server: &Rc<Pipes>, request: &BodyRequest) -> Sent {
    let mut content = Bytes::new(LARGE);
    let client = server.client();
    client
        .send_content(request, &mut content, Probe::default())
        .await
}

fn put_with(listener: Listener) -> BodyRequest {
    BodyRequest {
        listener,
        ..put("POST")
    }
}

#[test]
fn a_body_stops_from_an_interim_answer_until_it_was_dealt_with() {
    let told = Told::default();
    let seen = told.clone();
    // Longer than every timeout: that time is not the server's.
    let takes = 20 * IDLE;
    let server = Pipes::new(move |_, mut stream| {
        let told = seen.clone();
        async move {
            let head = read_head(&mut stream).await.expect("a head");
            let mut body = vec![0; 100_000];
            stream.read_exact(&mut body).await.expect("some bytes");
            stream.write_all(SUPPORTED).await.expect("a client");
            // What lay in the pipe by then still comes, and not a byte more.
            let mut rest = Vec::new();
            let arriving = stream.read_to_end(&mut rest);
            let arrived = tokio::time::timeout(takes / 2, arriving).await;
            assert!(arrived.is_err(), "the connection stays");
            assert!(
                told.open.get() == 1 && rest.len() <= 2 * 64 * 1024,
                "{}",
                rest.len()
            );
            body.append(&mut rest);
            let mut rest = vec![0; LARGE - body.len()];
            stream.read_exact(&mut rest).await.expect("the rest");
            assert_eq!(told.open.get(), 0);
            body.append(&mut rest);
            assert!(head.starts_with("POST") && body == Bytes::new(LARGE).bytes);
            stream.write_all(CREATED).await.expect("a client");
        }
    });
    virtual_time(async {
        let sent = send(&server, &put_with(told.listener(takes))).await;
        assert_eq!(status(&sent), (201, LARGE as u64));
        assert_eq!(sent.expect("an answer").response.facts.interim, [104]);
    });
    assert_eq!(told.statuses(), [104]);
}

#[test]
fn interim_answers_are_told_one_by_one_and_before_the_final_one() {
    let told = Told::default();
    let server = Pipes::new(move |_, mut stream| async move {
        let head = read_head(&mut stream).await.expect("a head");
        let early = [
            b"HTTP/1.1 100 Continue\r\n\r\n",
            SUPPORTED,
            b"HTTP/1.1 103 Early Hints\r\n\r\n",
        ];
        stream.write_all(&early.concat()).await.expect("a client");
        read_request_body(&mut stream, &head).await;
        let late = [b"HTTP/1.1 102 Processing\r\n\r\n", CREATED].concat();
        stream.write_all(&late).await.expect("a client");
        std::future::pending::<()>().await;
    });
    virtual_time(async {
        let takes = Duration::from_secs(7);
        let started = Instant::now();
        let sent = send(&server, &put_with(told.listener(takes))).await;
        assert_eq!(status(&sent), (201, LARGE as u64));
        assert_eq!(started.elapsed(), 3 * takes);
    });
    assert_eq!(told.statuses(), [104, 103, 102], "100 says nothing else");
}

#[test]
fn any_interim_answer_is_the_word_that_an_announced_body_waits_for() {
    for word in [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], SUPPORTED] {
        let told = Told::default();
        let server = Pipes::new(move |_, mut stream| async move {
            let head = read_head(&mut stream).await.expect("a head");
            stream.write_all(word).await.expect("a client");
            read_request_body(&mut stream, &head).await;
            stream.write_all(CREATED).await.expect("a client");
        });
        virtual_time(async {
            let request = BodyRequest {
                expect_continue: Some(IDLE),
                ..put_with(told.listener(Duration::from_secs(1)))
            };
            let started = Instant::now();
            let sent = send(&server, &request).await;
            assert_eq!(status(&sent), (201, LARGE as u64));
            assert!(started.elapsed() < IDLE / 2, "it did not wait any longer");
        });
    }
}

#[test]
fn a_refusal_behind_an_interim_answer_ends_the_body() {
    let told = Told::default();
    let server = Pipes::new(move |_, mut stream| async move {
        read_head(&mut stream).await.expect("a head");
        let refusal = b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n";
        let both = [SUPPORTED, refusal].concat();
        stream.write_all(&both).await.expect("a client");
        std::future::pending::<()>().await;
    });
    virtual_time(async {
        let sent = send(&server, &put_with(told.listener(IDLE))).await;
        let (code, bytes) = status(&sent);
        assert!(code == 413 && bytes < LARGE as u64 / 2, "{bytes}");
    });
    assert_eq!(told.statuses(), [104]);
}

#[test]
fn the_answer_of_a_proxy_that_takes_an_interim_one_for_final_is_read_to_its_end() {
    // nginx in front of a server that sends 104: it adds its own fields to that and closes.
    let told = Told::default();
    let server = Pipes::new(move |_, mut stream| async move {
        let head = read_head(&mut stream).await.expect("a head");
        read_request_body(&mut stream, &head).await;
        let answer =
            b"HTTP/1.1 104 \r\nServer: nginx\r\nConnection: keep-alive\r\nLocation: /u\r\n\r\n\
            HTTP/1.0 201 Created\r\nLocation: /u\r\n\r\nmade";
        stream.write_all(answer).await.expect("a client");
    });
    virtual_time(async {
        let client = server.client();
        for _ in 0..2 {
            let mut content = Bytes::new(10_000);
            let request = put_with(told.listener(Duration::ZERO));
            let sent = client
                .send_content(&request, &mut content, Probe::default())
                .await;
            assert_eq!(status(&sent), (201, 10_000));
            let mut response = sent.expect("an answer").response;
            assert_eq!(response.head.headers.get("location"), Some("/u"));
            assert_eq!(read_body(&mut response).await, (b"made".to_vec(), Ok(())));
            assert!(!response.facts.reused);
        }
        assert_eq!(client.idle_connections(), 0);
    });
    assert_eq!(told.statuses(), [104, 104]);
}

#[test]
fn interim_answers_are_limited_in_number_and_size_but_not_over_days() {
    let progress = b"HTTP/1.1 104 U\r\nUpload-Offset: 1\r\n\r\n";
    let large = format!("HTTP/1.1 104 U\r\nA: {}\r\n\r\n", "a".repeat(70_000));
    let table = [
        (progress.repeat(33), NetFailure::TooManyInterim),
        (large.into_bytes(), NetFailure::HeadTooLarge),
    ];
    for (flood, expected) in table {
        let server = Pipes::new(move |_, mut stream| {
            let flood = flood.clone();
            async move {
                read_head(&mut stream).await.expect("a head");
                // The client may have had enough before all of it is there.
                let _ = stream.write_all(&flood).await;
                std::future::pending::<()>().await;
            }
        });
        virtual_time(async {
            let told = Told::default();
            let request = put_with(told.listener(Duration::ZERO));
            assert_eq!(net_failure(send(&server, &request).await), expected);
            assert!(told.statuses().len() <= 32);
        });
    }
    let server = Pipes::new(move |_, mut stream| async move {
        let head = read_head(&mut stream).await.expect("a head");
        read_request_body(&mut stream, &head).await;
        for _ in 0..1000 {
            stream.write_all(progress).await.expect("a client");
            advance(Duration::from_secs(1)).await;
        }
        stream.write_all(CREATED).await.expect("a client");
    });
    virtual_time(async {
        let told = Told::default();
        let sent = send(&server, &put_with(told.listener(Duration::ZERO))).await;
        assert_eq!(status(&sent), (201, LARGE as u64));
        assert_eq!(told.statuses().len(), 1000);
        let kept = sent.expect("an answer").response.facts.interim;
        assert_eq!(kept.len(), 32, "the first ones are enough to know");
    });
}
