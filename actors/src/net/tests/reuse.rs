//! Connections that carry more than one request, and those that must not.

use std::cell::Cell;

use super::*;
use crate::net::pool::{IDLE_MAX, IDLE_PER_ORIGIN_MAX, IDLE_TOTAL_MAX};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_connection_is_used_again_after_every_framing_that_has_an_end() {
    for answer in [
        OK,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let server = Pipes::answering(answer, After::Stay);
        virtual_time(async {
            let client = server.client();
            for number in 0..5 {
                let mut response = client.send(get("http://a.test/")).await.expect("a head");
                assert_eq!(response.facts.reused, number > 0, "{answer}");
                assert_eq!(read_body(&mut response).await.1, Ok(()));
            }
        });
        assert_eq!(server.dialled(), ["a.test:80"], "{answer}");
    }
}

#[test]
fn a_connection_whose_state_is_in_doubt_is_never_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 2",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let server = Pipes::answering(answer, After::Stay);
        virtual_time(async {
            let client = server.client();
            for _ in 0..2 {
                let (_, _, end) = fetch(&client, "http://a.test/").await.expect("a head");
                assert_eq!(end, Ok(()), "{answer}");
            }
            assert_eq!(client.idle_connections(), 0);
        });
        assert_eq!(server.dialled().len(), 2, "{answer}");
    }
}

#[test]
fn a_body_dropped_before_its_end_closes_its_connection() {
    let closed = Rc::new(Cell::new(0));
    let count = Rc::clone(&closed);
    let server = Pipes::new(move |_, mut stream| {
        let count = Rc::clone(&count);
        async move {
            while read_head(&mut stream).await.is_some() {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
                    .await;
            }
            count.set(count.get() + 1);
        }
    });
    virtual_time(async {
        let client = server.client();
        for expected in 1..=2 {
            let mut response = client.send(get("http://a.test/")).await.expect("a head");
            let _ = response.body.fill(&mut [0; 1], Duration::ZERO).await;
            drop(response);
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!((closed.get(), client.idle_connections()), (expected, 0));
        }
    });
}

#[test]
fn discarding_a_short_body_saves_its_connection_and_a_long_or_slow_one_is_closed() {
    let chunked =
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let slow = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n";
    let table = [
        (OK, 2, 1),
        (OK, 1, 0),
        (chunked, 5, 1),
        (chunked, 3, 0),
        (slow, 99, 0),
    ];
    for (answer, limit, kept) in table {
        let server = Pipes::answering(answer, After::Stay);
        virtual_time(async {
            let client = server.client();
            let response = client.send(get("http://a.test/")).await.expect("a head");
            let begun = tokio::time::Instant::now();
            response.body.discard(limit).await;
            assert!(begun.elapsed() <= Duration::from_secs(3), "{answer}");
            assert_eq!(client.idle_connections(), kept, "{answer} {limit}");
        });
    }
}

/// A server that answers one request per connection, then reads another and closes without a word.
fn forgetful() -> Rc<Pipes> {
    Pipes::new(|number, mut stream| async move {
        let _ = read_head(&mut stream).await;
        let _ = stream.write_all(OK.as_bytes()).await;
        if number == 0 {
            let _ = read_head(&mut stream).await;
        } else {
            std::future::pending::<()>().await;
        }
    })
}

#[test]
fn a_kept_connection_that_closes_without_an_answer_is_replaced_once() {
    let server = forgetful();
    virtual_time(async {
        let client = server.client();
        for reused in [false, false] {
            let mut response = client.send(get("http://a.test/")).await.expect("a head");
            assert_eq!(response.facts.reused, reused);
            assert_eq!(read_body(&mut response).await.1, Ok(()));
        }
    });
    assert_eq!(server.dialled().len(), 2);
}

#[test]
fn a_new_connection_that_closes_without_an_answer_is_an_error() {
    let server = Pipes::answering("", After::Close);
    let found = virtual_time(async { fetch(&server.client(), "http://a.test/").await });
    assert!(matches!(found, Err(NetFailure::Reset { .. })), "{found:?}");
    assert_eq!(server.dialled().len(), 1);
}

#[test]
fn a_kept_connection_that_ended_or_spoke_meanwhile_is_not_used() {
    for after in [
        "",
        "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
    ] {
        let server = Pipes::new(move |_, mut stream| async move {
            let _ = read_head(&mut stream).await;
            let _ = stream.write_all(OK.as_bytes()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = stream.write_all(after.as_bytes()).await;
        });
        virtual_time(async {
            let client = server.client();
            for _ in 0..2 {
                let found = fetch(&client, "http://a.test/").await;
                assert_eq!(found, Ok((200, "ok".to_owned(), Ok(()))));
                assert_eq!(client.idle_connections(), 1);
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        });
        assert_eq!(server.dialled().len(), 2);
    }
}

#[test]
fn a_connection_waits_a_limited_time_and_serves_its_own_origin_only() {
    let server = Pipes::answering(OK, After::Stay);
    virtual_time(async {
        let client = server.client();
        for url in [
            "http://a.test/",
            "http://a.test:81/",
            "http://b.test/",
            "http://a.test/",
        ] {
            fetch(&client, url)
                .await
                .expect("a head")
                .2
                .expect("a body");
        }
        assert_eq!((server.dialled().len(), client.idle_connections()), (3, 3));
        tokio::time::sleep(IDLE_MAX + Duration::from_secs(1)).await;
        fetch(&client, "http://a.test/")
            .await
            .expect("a head")
            .2
            .expect("a body");
        assert_eq!((server.dialled().len(), client.idle_connections()), (4, 1));
    });
}

#[test]
fn only_so_many_connections_wait_for_one_origin() {
    let server = Pipes::answering(OK, After::Stay);
    virtual_time(async {
        let client = server.client();
        let all = (0..IDLE_PER_ORIGIN_MAX + 4).map(|_| fetch(&client, "http://a.test/"));
        // All are sent before the first body is read, so that each needs a connection.
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(server.dialled().len(), IDLE_PER_ORIGIN_MAX + 4);
        assert_eq!(client.idle_connections(), IDLE_PER_ORIGIN_MAX);
    });
}

#[test]
fn only_so_many_connections_wait_altogether() {
    let server = Pipes::answering(OK, After::Stay);
    virtual_time(async {
        let client = server.client();
        for port in 1..=IDLE_TOTAL_MAX + 4 {
            let found = fetch(&client, &format!("http://a.test:{port}/")).await;
            assert_eq!(found, Ok((200, "ok".to_owned(), Ok(()))));
            assert_eq!(client.idle_connections(), port.min(IDLE_TOTAL_MAX));
        }
    });
}

#[test]
fn a_client_may_be_gone_before_the_body_ends() {
    let server = Pipes::answering(OK, After::Stay);
    virtual_time(async {
        let client = server.client();
        let mut response = client.send(get("http://a.test/")).await.expect("a head");
        drop(client);
        assert_eq!(read_body(&mut response).await, (b"ok".to_vec(), Ok(())));
    });
}
