//! Uploads over real sockets, where the kernel sends the file: what of it the server sees.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use longhaul_engine::failure::FailureKind;
use longhaul_engine::safe_url::parse_http_url;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Outcome, UploadSpec};

use super::bench::{Bench, content, real_time, session_with, start_one};
use super::matrix::silence_ordered_panics;
use crate::fault::{self, Plan};

/// Long enough for several pieces, short enough to need no word of the server ahead.
const LENGTH: usize = 6 << 20;

/// A server that takes bodies and tells what came of each request.
fn listen() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.expect("a connection"), &tell);
        }
    });
    (address, told)
}

/// Takes one request; who asks for more of the test than it waits for is gone.
fn serve(mut stream: TcpStream, tell: &Sender<Vec<u8>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => return,
        }
    }
    let head = String::from_utf8(head).expect("a request head is ascii");
    let declared: u64 = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .expect("a length");
    let mut body = Vec::new();
    let _ = (&mut stream).take(declared).read_to_end(&mut body);
    let is_whole = body.len() as u64 == declared;
    let _ = tell.send(body);
    if is_whole {
        let answer = b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 4\r\n\r\ngot!";
        let _ = stream.write_all(answer);
    }
}

/// How an upload of `body` ends under these rules, what came of each request, and the fault points.
fn upload(
    body: &Arc<[u8]>,
    rules: SessionRules,
    plan: Plan,
) -> (Outcome, Vec<Vec<u8>>, Vec<&'static str>) {
    silence_ordered_panics();
    let (address, told) = listen();
    let outcome = real_time(async {
        let bench = Bench::new();
        bench.put_source("f", body);
        let engine = bench.engine_over_sockets().await;
        let session = session_with(&engine, "s", rules).await;
        fault::arm(plan);
        let url = parse_http_url(&format!("http://{address}/f")).expect("a url");
        let spec = UploadSpec {
            url: url.url,
            ..bench.upload("a/f")
        };
        let task = start_one(&session, spec).await;
        let outcome = session.outcome(task).await.expect("an outcome");
        fault::disarm();
        engine.shutdown().await;
        outcome
    });
    let hits = fault::hits();
    let requests = hits.iter().filter(|hit| **hit == "upload.asking").count();
    let came = told.iter().take(requests);
    (outcome, came.collect(), hits)
}

fn is_uploaded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Uploaded(done) if done.bytes == LENGTH as u64)
}

#[test]
fn a_file_goes_to_a_plain_connection_without_being_read() {
    let body = content(LENGTH, 5);
    let (outcome, came, hits) = upload(&body, SessionRules::default(), Plan::default());
    assert!(is_uploaded(&outcome), "{outcome:?}");
    assert!(came.len() == 1 && came[0] == *body);
    let count = |name| hits.iter().filter(|hit| **hit == name).count();
    assert!(count("upload.pass") >= LENGTH >> 20);
    assert_eq!(
        count("upload.block"),
        1,
        "the last bytes are proven before they go"
    );
}

#[test]
fn under_a_limit_the_file_is_read_and_the_limit_holds() {
    let body = content(LENGTH, 6);
    let rules = SessionRules {
        rate_limit_bytes: Some(8 << 20),
        ..SessionRules::default()
    };
    let begun = std::time::Instant::now();
    let (outcome, came, hits) = upload(&body, rules, Plan::default());
    assert!(is_uploaded(&outcome) && came[0] == *body, "{outcome:?}");
    assert!(!hits.contains(&"upload.pass"));
    let count = |name| hits.iter().filter(|hit| **hit == name).count();
    let (blocks, told) = (count("upload.block"), count("upload.sent"));
    assert!(
        blocks > 300 && told < blocks / 4,
        "{told} messages for {blocks} blocks"
    );
    let least = LENGTH as f64 / f64::from(8 << 20) * 0.8;
    assert!(
        begun.elapsed().as_secs_f64() >= least,
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_crash_while_the_kernel_sends_begins_the_request_again() {
    let body = content(LENGTH, 7);
    let plan = Plan {
        panic_once: vec!["upload.pass", "upload.block"],
        ..Plan::default()
    };
    let (outcome, came, hits) = upload(&body, SessionRules::default(), plan);
    assert!(is_uploaded(&outcome), "{outcome:?}");
    assert!(hits.contains(&"upload.pass") && hits.contains(&"upload.block"));
    assert_eq!(came.len(), 3);
    assert!(came[0].is_empty(), "it crashed before the first byte");
    assert!(came[1].len() < LENGTH && body.starts_with(&came[1]));
    assert!(came[2] == *body);
}

#[test]
fn a_file_that_somebody_writes_to_while_the_kernel_sends_it_is_not_sent_to_its_end() {
    let (address, told) = listen();
    let body = content(LENGTH, 8);
    real_time(async {
        let bench = Bench::new();
        let path = bench.put_source("f", &body);
        let engine = bench.engine_over_sockets().await;
        let session = session_with(&engine, "s", SessionRules::default()).await;
        let url = parse_http_url(&format!("http://{address}/f")).expect("a url");
        let spec = UploadSpec {
            url: url.url,
            ..bench.upload("a/f")
        };
        // Slow at first, so that the change falls between the first byte and the last.
        let slow = session.set_rate_limit(Some(1 << 20)).await;
        slow.expect("an answer");
        let task = start_one(&session, spec).await;
        while session
            .view(task)
            .await
            .expect("a view")
            .progress
            .sent_bytes
            == 0
        {
            tokio::task::yield_now().await;
        }
        let opened = std::fs::File::options().write(true).open(path);
        let mut file = opened.expect("the file");
        file.write_all(b"other").expect("written");
        // The clock of a file system may be too coarse to tell two writes of one moment apart.
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
        file.set_modified(later).expect("a time");
        let fast = session.set_rate_limit(None).await;
        fast.expect("an answer");
        match session.outcome(task).await {
            Ok(Outcome::Failed(failure)) => {
                assert_eq!(failure.kind(), FailureKind::SourceChanged);
            }
            other => panic!("{other:?}"),
        }
        engine.shutdown().await;
    });
    let came = told.recv().expect("a request");
    assert!(came.len() < LENGTH && body.starts_with(&came));
}
