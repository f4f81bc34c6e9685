//! Where bodies end, and where they should have ended.

use std::io;

use longhaul_engine::http::framing::Framing;

use super::*;

fn truncated(received: u64, expected: Option<u64>) -> Result<(), NetFailure> {
    Err(NetFailure::Truncated { received, expected })
}

#[test]
fn a_body_ends_as_its_framing_says_or_it_fails() {
    let table: [(&str, &str, Result<(), NetFailure>); 14] = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            Ok(()),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", Ok(())),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", Ok(())),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "",
            Ok(()),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "hello",
            truncated(5, Some(9)),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            "",
            truncated(0, Some(9)),
        ),
        (
            "HTTP/1.1 206 Partial Content\r\nContent-Length: 9\r\n\r\nhel",
            "hel",
            truncated(3, Some(9)),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nT: x\r\n\r\n",
            "hello!",
            Ok(()),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "hello",
            truncated(5, None),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhello",
            "hello",
            truncated(5, None),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            "hello",
            truncated(5, None),
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
            "hello",
            Ok(()),
        ),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello", Ok(())),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "hello",
            truncated(5, Some(9)),
        ),
    ];
    for (answer, body, end) in table {
        let (_, found, ended) = answered(answer.as_bytes()).expect(answer);
        assert_eq!((found.as_str(), ended), (body, end), "{answer}");
    }
}

#[test]
fn framing_that_cannot_be_trusted_is_refused_with_its_head() {
    let table = [
        (
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            NetFailure::ConflictingLength,
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            NetFailure::ConflictingLength,
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            NetFailure::UnsupportedTransferCoding,
        ),
        (
            "Transfer-Encoding: gzip\r\n",
            NetFailure::UnsupportedTransferCoding,
        ),
    ];
    for (fields, expected) in table {
        let found = answered(format!("HTTP/1.1 200 OK\r\n{fields}\r\nhello").as_bytes());
        assert_eq!(found, Err(expected), "{fields}");
    }
    let found = answered(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello");
    assert!(matches!(found, Err(NetFailure::Protocol(_))), "{found:?}");
}

#[test]
fn an_equal_length_sent_twice_is_one_length() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(answered(answer), Ok((200, "hello".into(), Ok(()))));
}

#[test]
fn a_body_longer_than_declared_is_an_error_and_its_connection_is_closed() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nhello",
    ] {
        let server = Pipes::answering(answer, After::Stay);
        let client = server.client();
        let (_, body, end) = virtual_time(fetch(&client, "http://a.test/")).expect("a head");
        let expected = body.len() as u64;
        assert_eq!(end, Err(NetFailure::LongBody { expected }), "{answer}");
        assert_eq!(client.idle_connections(), 0);
    }
}

#[test]
fn a_malformed_chunk_fails_after_the_bytes_before_it() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n";
    let server = Pipes::answering(answer, After::Stay);
    virtual_time(async move {
        let mut response = server
            .client()
            .send(get("http://a.test/"))
            .await
            .expect("a head");
        let (body, end) = read_body(&mut response).await;
        assert!(matches!(end, Err(NetFailure::Protocol(_))), "{end:?}");
        assert!(b"hello".starts_with(&body), "{body:?}");
        let again = response.body.fill(&mut [0; 8], Duration::ZERO).await;
        assert_eq!(again.map(|_| ()), end, "a failure stays");
    });
}

#[test]
fn a_head_request_has_no_body_whatever_the_fields_say() {
    let server = Pipes::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", After::Stay);
    virtual_time(async move {
        let client = server.client();
        let request = Request {
            method: Method::Head,
            ..get("http://a.test/")
        };
        let mut response = client.send(request).await.expect("a head");
        assert_eq!(response.body.framing(), Framing::Empty);
        assert_eq!(response.head.content_length(), Some(5));
        assert_eq!(read_body(&mut response).await, (vec![], Ok(())));
        assert_eq!(client.idle_connections(), 1);
    });
}

/// A pipe that breaks instead of ending: a reset.
struct Breaking(io::Cursor<Vec<u8>>);

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let mut piece = [0; 16];
        let count = io::Read::read(&mut self.0, &mut piece)?;
        buffer.put_slice(&piece[..count]);
        std::task::Poll::Ready(match count {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(()),
        })
    }
}

impl tokio::io::AsyncWrite for Breaking {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::task::Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

impl Transport for Breaking {}

struct BreakingDial(&'static str);

impl Dial for BreakingDial {
    fn dial(
        &self,
        _: &Endpoint,
    ) -> LocalBoxFuture<'static, Result<Box<dyn Transport>, NetFailure>> {
        let wire = io::Cursor::new(self.0.as_bytes().to_vec());
        Box::pin(async move { Ok(Box::new(Breaking(wire)) as Box<dyn Transport>) })
    }
}

fn over_a_breaking_pipe(answer: &'static str) -> Fetched {
    let dial = Rc::new(BreakingDial(answer));
    let client = Client::new(&ClientConfig::default(), dial).expect("a client");
    virtual_time(async move { fetch(&client, "http://a.test/").await })
}

/// The request cannot be written either: the server answered early and closed.
#[test]
fn bytes_before_a_reset_are_delivered_and_then_the_reset() {
    let reset = || NetFailure::Reset {
        kind: io::ErrorKind::ConnectionReset,
    };
    for framing in [
        "Content-Length: 99",
        "Transfer-Encoding: chunked",
        "Connection: close",
    ] {
        let body = "5\r\nhello\r\n";
        let answer = format!("HTTP/1.1 413 Too Large\r\n{framing}\r\n\r\n{body}").leak();
        let (status, found, end) = over_a_breaking_pipe(answer).expect("a head");
        let decoded = if framing.contains("chunked") {
            "hello"
        } else {
            body
        };
        assert_eq!(
            (status, found.as_str(), end),
            (413, decoded, Err(reset())),
            "{framing}"
        );
    }
    assert_eq!(over_a_breaking_pipe("HTTP/1.1 200 O"), Err(reset()));
}

#[test]
fn an_answer_that_comes_before_the_request_is_read_counts() {
    let server = Pipes::new(|_, mut stream| async move {
        let answer = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nslow";
        let _ = stream.write_all(answer).await;
        // Never reads, and stays open: a big request cannot be written to its end.
        std::future::pending::<()>().await;
    });
    virtual_time(async move {
        let client = server.client();
        let mut request = get("http://a.test/");
        request.headers = (0..20)
            .map(|n| (format!("x-{n}"), "y".repeat(8000)))
            .collect();
        let mut response = client.send(request).await.expect("a head");
        assert_eq!(response.head.status, 408);
        assert_eq!(read_body(&mut response).await, (b"slow".to_vec(), Ok(())));
        assert_eq!(
            client.idle_connections(),
            0,
            "half a request was sent on it"
        );
    });
}

#[test]
fn chunks_of_every_size_are_read_whole() {
    // Sizes around the one from which chunks are read past the decoder.
    let sizes = [1, 1000, 65_535, 65_536, 65_537, 300_000, 7];
    let mut expected = Vec::new();
    let mut wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for (number, size) in sizes.into_iter().enumerate() {
        let data: Vec<u8> = (0..size).map(|at| (at * 7 + number) as u8).collect();
        wire.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        wire.extend_from_slice(&data);
        wire.extend_from_slice(b"\r\n");
        expected.extend_from_slice(&data);
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    let server = Pipes::answering(wire, After::Stay);
    virtual_time(async move {
        let client = server.client();
        for room in [999, 50_000, 1 << 20] {
            let mut response = client.send(get("http://a.test/")).await.expect("a head");
            let (mut body, mut buffer) = (Vec::new(), vec![0; room]);
            while let count @ 1.. = response
                .body
                .fill(&mut buffer, IDLE)
                .await
                .expect("well formed")
            {
                body.extend_from_slice(&buffer[..count]);
            }
            assert!(body == expected, "room {room}: {} bytes", body.len());
        }
        assert_eq!(server.dialled().len(), 1);
    });
}

/// Sends the head at once, then `hello` in two pieces, 100 ms and 60 s later, and then nothing.
fn dripping() -> Rc<Pipes> {
    Pipes::new(|_, mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            .await;
        for (wait_ms, piece) in [(59_999, "he"), (100, "ll"), (59_999, "o")] {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            let _ = stream.write_all(piece.as_bytes()).await;
        }
        std::future::pending::<()>().await;
    })
}

#[test]
fn filling_waits_for_the_first_byte_and_then_for_the_linger_only() {
    virtual_time(async {
        let mut response = dripping()
            .client()
            .send(get("http://a.test/"))
            .await
            .expect("a head");
        let mut buffer = [0; 100];
        let begun = tokio::time::Instant::now();
        let mut fill = async |linger_ms| {
            let linger = Duration::from_millis(linger_ms);
            let filled = response.body.fill(&mut buffer, linger).await;
            (filled, begun.elapsed().as_millis() as u64)
        };
        assert_eq!(
            fill(50).await,
            (Ok(2), 60_049),
            "linger shorter than the gap"
        );
        assert_eq!(fill(0).await, (Ok(2), 60_099));
        assert_eq!(fill(0).await, (Ok(1), 120_098));
        let idle = NetFailure::IdleTimeout { limit_ms: 60_000 };
        assert_eq!(fill(0).await, (Err(idle), 180_098));
    });
}

#[test]
fn a_long_linger_gathers_pieces_and_ends_with_the_idle_time() {
    virtual_time(async {
        let mut response = dripping()
            .client()
            .send(get("http://a.test/"))
            .await
            .expect("a head");
        let mut buffer = [0; 100];
        let filled = response.body.fill(&mut buffer, IDLE * 10).await;
        assert_eq!(
            filled,
            Ok(4),
            "the pieces that came within the idle time of the first"
        );
    });
}
