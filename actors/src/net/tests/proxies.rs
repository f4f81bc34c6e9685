//! Ways through proxies, each spoken by a small proxy at the other end of a pipe.

use super::*;
use crate::net::Proxy;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn client(server: &Rc<Pipes>, proxy: &str) -> Client {
    server.client_with(&ClientConfig {
        proxy: Some(Proxy::parse(proxy).expect("usable")),
        ..ClientConfig::default()
    })
}

#[test]
fn a_plain_request_goes_to_an_http_proxy_in_absolute_form() {
    let server = Pipes::new(|_, mut stream| async move {
        while let Some(head) = read_head(&mut stream).await {
            assert!(
                head.starts_with("GET http://a.test:81/x%20y?q HTTP/1.1\r\n"),
                "{head}"
            );
            assert!(head.contains("\r\nhost: a.test:81\r\n"), "{head}");
            assert!(
                head.contains("\r\nproxy-authorization: Basic dTpw\r\n"),
                "{head}"
            );
            let _ = stream.write_all(OK).await;
        }
    });
    virtual_time(async {
        let client = client(&server, "http://u:p@p.test:3128");
        for _ in 0..2 {
            let found = fetch(&client, "http://a.test:81/x y?q").await;
            assert_eq!(found, Ok((200, "ok".to_owned(), Ok(()))));
        }
    });
    assert_eq!(server.dialled(), ["p.test:3128"]);
}

#[test]
fn an_https_request_asks_an_http_proxy_for_a_tunnel_and_reports_its_refusal() {
    let table = [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            Some(407),
            false,
        ),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", Some(502), true),
        ("HTTP/1.1 200 OK\r\n\r\nearly", None, false),
        ("", None, false),
    ];
    for (answer, status, retryable) in table {
        let server = Pipes::new(move |_, mut stream| async move {
            let head = read_head(&mut stream).await.expect("a request");
            assert!(
                head.starts_with("CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\n"),
                "{head}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        virtual_time(async {
            let client = client(&server, "http://p.test");
            let failure = fetch(&client, "https://a.test/").await.expect_err(answer);
            assert!(
                matches!(&failure, NetFailure::Proxy { status: found, .. } if *found == status),
                "{failure:?}"
            );
            assert_eq!(failure.retryable(), retryable, "{answer}");
        });
    }
}

/// What a proxy must be sent, and what it answers.
type Turn = (&'static [u8], &'static [u8]);

/// Speaks SOCKS5 up to the reply `reply`, checks what it is sent, then serves one HTTP request.
fn socks(script: &'static [Turn]) -> Rc<Pipes> {
    Pipes::new(move |_, mut stream| async move {
        for (expected, reply) in script {
            let mut found = vec![0; expected.len()];
            stream
                .read_exact(&mut found)
                .await
                .expect("the client speaks");
            assert_eq!(&found, expected);
            let _ = stream.write_all(reply).await;
        }
        if read_head(&mut stream).await.is_some() {
            let _ = stream.write_all(OK).await;
        }
    })
}

#[test]
fn a_socks5_proxy_is_asked_by_name_with_and_without_credentials() {
    let request: &'static [u8] = b"\x05\x01\x00\x03\x06a.test\x00\x50";
    let bound: &[u8] = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    let bound_name: &[u8] = b"\x05\x00\x00\x03\x02ab\x00\x01";
    let bound_ipv6: &[u8] = b"\x05\x00\x00\x04................\x00\x01";
    let scripts: [(&str, Vec<Turn>); 4] = [
        (
            "socks5://p.test",
            vec![(b"\x05\x01\x00", b"\x05\x00"), (request, bound)],
        ),
        (
            "socks5h://p.test",
            vec![(b"\x05\x01\x00", b"\x05\x00"), (request, bound_name)],
        ),
        (
            "socks5://u:pw@p.test",
            vec![
                (b"\x05\x02\x00\x02", b"\x05\x02"),
                (b"\x01\x01u\x02pw", b"\x01\x00"),
                (request, bound_ipv6),
            ],
        ),
        (
            "socks5://u:pw@p.test",
            vec![(b"\x05\x02\x00\x02", b"\x05\x00"), (request, bound)],
        ),
    ];
    for (proxy, script) in scripts {
        let server = socks(script.leak());
        virtual_time(async {
            let found = fetch(&client(&server, proxy), "http://a.test/").await;
            assert_eq!(found, Ok((200, "ok".to_owned(), Ok(()))));
        });
        assert_eq!(server.dialled(), ["p.test:1080"]);
    }
}

#[test]
fn a_socks5_proxy_that_refuses_is_reported_in_words() {
    let request: &'static [u8] = b"\x05\x01\x00\x03\x06a.test\x00\x50";
    let hello: Turn = (b"\x05\x01\x00", b"\x05\x00");
    let scripts: [(Vec<Turn>, &str); 4] = [
        (
            vec![(b"\x05\x01\x00", b"\x05\xff")],
            "no common way to authenticate",
        ),
        (vec![(b"\x05\x01\x00", b"HT")], "it does not speak socks5"),
        (
            vec![hello, (request, b"\x05\x05\x00\x01")],
            "connection refused",
        ),
        (
            vec![hello, (request, b"\x05\x00\x00\x09")],
            "it does not speak socks5",
        ),
    ];
    for (script, expected) in scripts {
        let server = socks(script.leak());
        virtual_time(async {
            let found = fetch(&client(&server, "socks5://p.test"), "http://a.test/").await;
            assert_eq!(found, Err(NetFailure::proxy(expected, None)));
        });
    }
}

#[test]
fn a_proxy_that_says_nothing_ends_with_the_connect_timeout() {
    for url in ["http://a.test/", "https://a.test/"] {
        let server = Pipes::new(|_, stream| async move {
            let _open = stream;
            std::future::pending::<()>().await;
        });
        virtual_time(async {
            let proxy = if url.starts_with("https") {
                "http://p.test"
            } else {
                "socks5://p.test"
            };
            let found = fetch(&client(&server, proxy), url).await;
            let failure = found.expect_err("nothing came");
            assert!(
                matches!(
                    failure,
                    NetFailure::ConnectTimeout {
                        limit_ms: 30_000,
                        ..
                    }
                ),
                "{failure:?}"
            );
        });
    }
}
