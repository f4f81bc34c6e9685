//! The same edge over real loopback sockets, which fail in ways that pipes do not.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use longhaul_engine::metrics::{Counts, TransactionLog};

use super::*;
use crate::{
    net::{Probe, TcpDial},
    time::{Anchor, Clock},
};

/// Serves each connection on a thread of its own; `serve` is told the connection's number.
pub(super) fn listen(
    serve: impl Fn(usize, TcpStream) + Send + Sync + Copy + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let stream = stream.expect("a connection");
            thread::spawn(move || serve(number, stream));
        }
    });
    address
}

/// Reads one request head; false when the client has gone.
pub(super) fn read_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

pub(super) fn tcp_client() -> Client {
    Client::new(&ClientConfig::default(), Rc::new(TcpDial)).expect("a client")
}

#[test]
fn a_large_body_is_read_in_full_blocks_and_its_connection_is_kept() {
    const BLOCK: usize = 1 << 20;
    const BLOCKS: usize = 64;
    let address = listen(|_, mut stream| {
        let block = vec![7; BLOCK];
        while read_request(&mut stream) {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                BLOCK * BLOCKS
            );
            let _ = stream.write_all(head.as_bytes());
            for _ in 0..BLOCKS {
                let _ = stream.write_all(&block);
            }
        }
    });
    real_time(async {
        let client = tcp_client();
        for reused in [false, true] {
            let mut response = client
                .send(get(&format!("http://{address}/")))
                .await
                .expect("a head");
            assert_eq!(
                (response.facts.reused, response.facts.remote),
                (reused, Some(address))
            );
            let mut buffer = vec![0; BLOCK];
            for _ in 0..BLOCKS {
                // A block is full unless the server stalls for the whole minute.
                assert_eq!(response.body.fill(&mut buffer, IDLE).await, Ok(BLOCK));
                assert!(buffer.iter().all(|&byte| byte == 7));
            }
            assert_eq!(response.body.fill(&mut buffer, IDLE).await, Ok(0));
        }
    });
}

#[test]
fn a_reset_in_the_middle_of_a_body_comes_after_the_bytes_before_it() {
    let address = listen(|_, mut stream| {
        // Closing with an unread request makes the kernel send a reset.
        let _ = stream.read(&mut [0; 1]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    });
    real_time(async {
        let found = fetch(&tcp_client(), &format!("http://{address}/")).await;
        let (status, body, end) = found.expect("a head");
        assert_eq!((status, body.as_str()), (200, "hello"));
        assert!(matches!(end, Err(NetFailure::Reset { .. })), "{end:?}");
    });
}

#[test]
fn a_kept_connection_that_the_server_closes_costs_nothing() {
    let address = listen(|number, mut stream| {
        let _ = read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if number == 0 {
            // Another request is read and dropped, as by a server that is just closing.
            let _ = read_request(&mut stream);
        }
    });
    real_time(async {
        let client = tcp_client();
        for _ in 0..3 {
            let found = fetch(&client, &format!("http://{address}/")).await;
            assert_eq!(found, Ok((200, "ok".to_owned(), Ok(()))));
        }
    });
}

#[test]
fn what_cannot_be_reached_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    real_time(async {
        let refused = fetch(&tcp_client(), &format!("http://{address}/")).await;
        let expected = NetFailure::Connect {
            to: address.to_string(),
            kind: std::io::ErrorKind::ConnectionRefused,
        };
        assert_eq!(refused, Err(expected));
        let unknown = fetch(&tcp_client(), "http://no-such-host.invalid/").await;
        let host = "no-such-host.invalid".to_owned();
        assert_eq!(unknown, Err(NetFailure::Dns { host }));
    });
}

#[test]
fn a_name_with_two_families_is_reached_over_the_one_that_listens() {
    let address = listen(|_, mut stream| {
        let _ = read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    });
    real_time(async {
        let url = format!("http://localhost:{}/", address.port());
        let found = fetch(&tcp_client(), &url).await;
        assert_eq!(found, Ok((204, String::new(), Ok(()))));
    });
}

#[test]
fn the_times_of_a_request_over_real_sockets_are_in_order() {
    let address = listen(|_, mut stream| {
        while read_request(&mut stream) {
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    real_time(async {
        let (client, log) = (tcp_client(), Rc::<RefCell<TransactionLog>>::default());
        let anchor = Anchor::new(Clock::System);
        for _ in 0..2 {
            let probe = Probe::new(&log, anchor);
            let request = get(&format!("http://localhost:{}/", address.port()));
            let mut response = client.send_probed(request, probe).await.expect("a head");
            assert_eq!(read_body(&mut response).await, (b"hello".to_vec(), Ok(())));
        }
        let refused = listen_nowhere();
        let probe = Probe::new(&log, anchor);
        let answer = client.send_probed(get(&format!("http://{refused}/")), probe);
        assert!(answer.await.is_err());
        let counts = Counts {
            requests: 3,
            redirects: 0,
        };
        let told = log
            .borrow()
            .summary(counts, anchor.now(), anchor.now())
            .expect("it was asked");
        let [first, second, third] = &told.transactions[..] else {
            panic!("three requests: {told:?}")
        };
        let ordered = [
            Some(first.fetch_start),
            first.domain_lookup_start,
            first.domain_lookup_end,
            first.connect_start,
            first.connect_end,
            first.request_start,
            first.request_end,
            first.response_start,
            first.response_end,
        ];
        assert!(!ordered.contains(&None) && ordered.is_sorted(), "{first:?}");
        let head = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for told in [first, second] {
            assert_eq!(told.status, Some(200));
            assert_eq!(told.response_header_bytes, head.len() as u64);
            assert_eq!(told.response_body_bytes, 5);
            let remote = Some(address.to_string());
            assert_eq!(told.remote_address, remote);
        }
        assert!(second.is_reused_connection && !first.is_reused_connection);
        let of_second = [
            second.domain_lookup_start,
            second.connect_start,
            second.connect_end,
            second.secure_connection_start,
        ];
        assert_eq!(of_second, [None; 4], "a kept connection is not made");
        assert!(third.connect_start.is_some(), "{third:?}");
        let of_third = [third.connect_end, third.request_start, third.response_end];
        assert_eq!(of_third, [None; 3], "{third:?}");
    });
}

/// An address at which nobody listens any more.
fn listen_nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}
