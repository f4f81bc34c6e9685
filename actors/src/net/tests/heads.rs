//! Response heads: interim ones, hostile ones, slow ones; and the request as the server sees it.

use std::io;

use super::*;

#[test]
fn interim_heads_are_cut_out_and_reported() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let server = Pipes::answering(answer, After::Stay);
    virtual_time(async move {
        let mut response = server
            .client()
            .send(get("http://a.test/"))
            .await
            .expect("a head");
        assert_eq!(
            (response.head.status, &response.facts.interim[..]),
            (200, &[100, 103][..])
        );
        assert_eq!(read_body(&mut response).await, (b"hello".to_vec(), Ok(())));
    });
}

#[test]
fn an_answer_that_is_no_proper_head_is_refused() {
    let eof = NetFailure::Reset {
        kind: io::ErrorKind::UnexpectedEof,
    };
    let large = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(70_000));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(33);
    let table: [(&str, NetFailure); 6] = [
        ("<html>a page of HTTP/0.9</html>", NetFailure::Http09),
        ("SSH-2.0-OpenSSH_9\r\n", NetFailure::Http09),
        ("", eof.clone()),
        ("HTTP/1.1 200 OK\r\nContent-Le", eof),
        (&large, NetFailure::HeadTooLarge),
        (&interim, NetFailure::TooManyInterim),
    ];
    for (answer, expected) in table {
        assert_eq!(
            answered(answer.as_bytes()),
            Err(expected),
            "{}",
            &answer[..answer.len().min(40)]
        );
    }
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://b.test/\r\nContent-Length: 0\r\n\r\n";
    let server = Pipes::answering(answer, After::Stay);
    virtual_time(async move {
        let response = server
            .client()
            .send(get("http://a.test/"))
            .await
            .expect("a head");
        assert_eq!(
            response.head.headers.get("location"),
            Some("http://b.test/")
        );
        assert_eq!(server.dialled(), ["a.test:80"]);
    });
}

#[test]
fn a_head_may_have_more_fields_than_awc_would_take_and_arrive_byte_by_byte() {
    let server = Pipes::new(|_, mut stream| async move {
        let _ = read_head(&mut stream).await;
        let fields: String = (0..200).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        for byte in answer.bytes() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = stream.write_u8(byte).await;
        }
    });
    virtual_time(async move {
        let mut response = server
            .client()
            .send(get("http://a.test/"))
            .await
            .expect("a head");
        assert_eq!(response.head.headers.get("x-199"), Some("199"));
        assert_eq!(read_body(&mut response).await, (b"ok".to_vec(), Ok(())));
    });
}

#[test]
fn a_silent_server_fails_the_request_after_the_idle_timeout() {
    for said in ["", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"] {
        let server = Pipes::answering(said, After::Stay);
        virtual_time(async move {
            let begun = tokio::time::Instant::now();
            let found = fetch(&server.client(), "http://a.test/").await;
            assert_eq!(found, Err(NetFailure::IdleTimeout { limit_ms: 60_000 }));
            assert_eq!(begun.elapsed().as_secs(), 60);
        });
    }
}

#[test]
fn a_server_that_reads_nothing_fails_the_request_after_the_idle_timeout() {
    let server = Pipes::new(|_, stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    });
    virtual_time(async move {
        let mut request = get("http://a.test/");
        request.headers = (0..20)
            .map(|n| (format!("x-{n}"), "y".repeat(8000)))
            .collect();
        let found = server
            .client()
            .send(request)
            .await
            .map(|response| response.head.status);
        assert_eq!(found, Err(NetFailure::IdleTimeout { limit_ms: 60_000 }));
    });
}

/// The request head that a server gets for `request`, as sorted lines below the first.
fn seen(request: Request) -> (String, Vec<String>) {
    let (report, heads) = tokio::sync::oneshot::channel();
    let report = RefCell::new(Some(report));
    let report = Rc::new(report);
    let server = Pipes::new(move |_, mut stream| {
        let report = Rc::clone(&report);
        async move {
            let head = read_head(&mut stream).await.expect("a request");
            let report = report.borrow_mut().take().expect("one request");
            report.send(head).expect("the test waits");
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    let head = virtual_time(async move {
        server.client().send(request).await.expect("a head");
        heads.await.expect("a request")
    });
    let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
    let first = lines.next().expect("a request line");
    let mut fields: Vec<_> = lines.filter(|line| !line.starts_with("date: ")).collect();
    fields.sort();
    (first, fields)
}

#[test]
fn the_server_sees_our_fields_and_the_callers_and_no_length() {
    let mut request = get("http://u:p@a.test:8080/a b/ü?q=ü {x}#f");
    request.headers = vec![("Range".into(), "bytes=5-".into())];
    let (first, fields) = seen(request);
    assert_eq!(first, "GET /a%20b/%C3%BC?q=%C3%BC%20{x} HTTP/1.1");
    let agent = format!("user-agent: longhaul/{}", env!("CARGO_PKG_VERSION"));
    let expected = [
        "accept-encoding: identity",
        "accept: */*",
        "authorization: Basic dTpw",
        "host: a.test:8080",
        "range: bytes=5-",
        &agent,
    ];
    assert_eq!(fields, expected);
    let (first, _) = seen(Request {
        method: Method::Head,
        ..get("http://a.test")
    });
    assert_eq!(first, "HEAD / HTTP/1.1");
}

#[test]
fn a_request_without_a_body_says_its_method_and_hears_what_that_allows() {
    // What the server answers to each method, and the body that is heard.
    let table = [
        (
            Method::Head,
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            "",
        ),
        (
            Method::Head,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nUpload-Offset: 7\r\n\r\n",
            "",
        ),
        (
            Method::Options,
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall",
            "all",
        ),
        (Method::Delete, "HTTP/1.1 204 Gone\r\n\r\n", ""),
        (
            Method::Delete,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "ok",
        ),
    ];
    for (method, answer, heard) in table {
        let server = Pipes::new(move |_, mut stream| async move {
            while let Some(head) = read_head(&mut stream).await {
                let line = head.lines().next().expect("a line");
                let name = line.split(' ').next().expect("a method");
                assert_eq!(Method::from_name(name), Some(method), "{line}");
                assert!(!head.contains("content-length"), "{head}");
                stream.write_all(answer.as_bytes()).await.expect("a client");
            }
        });
        virtual_time(async {
            let client = server.client();
            for number in 0..2 {
                let request = Request {
                    method,
                    ..get("http://a.test/u")
                };
                let mut response = client.send(request).await.expect("a head");
                assert_eq!(response.facts.reused, number > 0, "{answer}");
                let (body, end) = read_body(&mut response).await;
                assert_eq!((&body[..], end), (heard.as_bytes(), Ok(())), "{answer}");
            }
        });
    }
    for name in ["get", "POST", "CONNECT", ""] {
        assert_eq!(Method::from_name(name), None);
    }
}
