//! Garbage, halves and too much of it: a clear answer, nothing else happens, and the daemon goes on.

use std::io::Write as _;

use longhaul_engine::control::{AtClientSession, AtRoot, AtSession, BODY_BYTES_MAX, ListSessions};
use longhaul_engine::control::{Call as _, OpenSession, Place as _};
use serde_json::json;

use super::http::{Client, ask, call, connect, raw, read_to_end};
use super::stage::{Stage, open, session};

/// The status of an answer that was read as it is.
#[track_caller]
fn status(answer: &str) -> u16 {
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
        .parse()
        .unwrap()
}

#[test]
fn what_is_no_http_is_answered_with_a_400_or_not_at_all() {
    let stage = Stage::new();
    let daemon = stage.start();
    let table: [(&[u8], u16); 7] = [
        // Without a host (RFC 9112 section 3.2).
        (b"GET /v1 HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /v1 HTTP/9.9\r\n\r\n", 400),
        (
            b"GET /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
            400,
        ),
        (
            b"GET /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        (
            b"POST /v1/shutdown HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            400,
        ),
    ];
    for (bytes, expected) in table {
        let answer = raw(&daemon.socket, bytes);
        assert_eq!(status(&answer), expected, "{answer:?}");
    }
    daemon.is_well();
}

#[test]
fn half_a_request_does_nothing() {
    let stage = Stage::new();
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    let at = AtClientSession(client.id.clone(), session("s"));
    let path = at.fill(OpenSession::PATH);
    let whole = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{{\"rules\":{{}}        }}"
    );
    for length in [1, 5, 30, 60, whole.len() - 20, whole.len() - 1] {
        let mut stream = connect(&daemon.socket);
        stream.write_all(&whole.as_bytes()[..length]).unwrap();
        drop(stream);
    }
    // What was closed is seen before what comes later is answered: both are one thread's.
    daemon.until(|daemon| daemon.metric("longhaul_connections") == 2);
    daemon.is_well();
    let answer = raw(
        &daemon.socket,
        whole
            .replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n")
            .as_bytes(),
    );
    assert_eq!(status(&answer), 200, "{answer}");
    let sessions = call(&daemon.socket, AtRoot, &ListSessions {});
    assert_eq!(sessions.len(), 1, "the whole of it is understood");
}

#[test]
fn half_a_head_is_given_up() {
    let stage = Stage::new();
    let daemon = stage.start();
    let answer = raw(&daemon.socket, b"GET /v1 HTTP/1.1\r\nHost:");
    assert_eq!(status(&answer), 408, "{answer:?}");
    daemon.is_well();
}

#[test]
fn half_a_body_is_given_up() {
    let stage = Stage::new();
    let daemon = stage.start();
    let head = "POST /v1/clients HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let halves = [
        "Content-Length: 20\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ];
    let asked = halves.map(|half| {
        let mut stream = connect(&daemon.socket);
        stream
            .write_all(format!("{head}{half}").as_bytes())
            .unwrap();
        stream
    });
    for stream in asked {
        let answer = read_to_end(stream);
        assert_eq!(status(&answer), 408, "{answer:?}");
        assert!(answer.contains("\"code\":\"too_slow\""), "{answer:?}");
    }
    daemon.is_well();
}

#[test]
fn a_huge_head_and_a_huge_body_are_refused() {
    let stage = Stage::new();
    let daemon = stage.start();
    let before = daemon.resident_bytes();
    let huge = "x".repeat(1024 * 1024);
    for head in [
        format!("GET /v1/{huge} HTTP/1.1\r\n\r\n"),
        format!("GET /v1 HTTP/1.1\r\nHost: x\r\nX: {huge}\r\n\r\n"),
    ] {
        assert_eq!(status(&raw(&daemon.socket, head.as_bytes())), 431);
    }
    let announced = format!(
        "PUT /v1/rate-limit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        BODY_BYTES_MAX + 1
    );
    let answer = raw(&daemon.socket, announced.as_bytes());
    assert_eq!(status(&answer), 413);
    assert!(
        answer.contains("\"code\":\"too_long\"") && answer.contains("67108864"),
        "{answer}"
    );
    // The same without saying so before: it is read as far as the limit, and no further.
    let mut stream = connect(&daemon.socket);
    stream
        .write_all(b"PUT /v1/rate-limit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let mut chunk = format!("{:x}\r\n", huge.len());
    chunk += &huge;
    chunk += "\r\n";
    let sent = (0..80)
        .take_while(|_| stream.write_all(chunk.as_bytes()).is_ok())
        .count();
    assert!(sent >= 64, "{sent} MiB");
    // The connection ends with the answer, though the body never does.
    assert_eq!(status(&read_to_end(stream)), 413);
    daemon.is_well();
    let grown = daemon.resident_bytes().saturating_sub(before);
    assert!(grown < 2 * BODY_BYTES_MAX as u64, "{grown} bytes more");
}

#[test]
fn wrong_paths_methods_kinds_and_json_are_problems() {
    let stage = Stage::new();
    let daemon = stage.start();
    let socket = &daemon.socket;
    for path in ["/", "/v2", "/v1/", "/v1/nowhere", "*", "/v1/sessions/a/b/c"] {
        ask(socket, "GET", path, None).is_problem(404, "no_such_path");
    }
    for (method, path, allowed) in [
        ("DELETE", "/v1", "GET"),
        ("POST", "/v1/conditions", "GET, PUT"),
        ("HEAD", "/v1/clients", "POST"),
        ("BREW", "/metrics", "GET"),
    ] {
        let answer = ask(socket, method, path, None);
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allowed)),
            "{method} {path}"
        );
        if method != "HEAD" {
            answer.is_problem(405, "method_not_allowed");
        }
    }
    for body in [
        json!([]),
        json!({"bytes_per_second": "x"}),
        json!({"bytes_per_second": 0}),
        json!(7),
    ] {
        ask(socket, "PUT", "/v1/rate-limit", Some(&body)).is_problem(400, "invalid");
    }
    for bytes in ["{", "\u{0}", "{\"bytes_per_second\": 1}x"] {
        let answer = raw(socket, format!(
            "PUT /v1/rate-limit HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{bytes}", bytes.len()
        ).as_bytes());
        assert_eq!(status(&answer), 400, "{answer}");
        assert!(answer.contains("\"code\":\"invalid\""), "{answer}");
    }
    for kind in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
    ] {
        let answer = raw(socket, format!(
            "PUT /v1/rate-limit HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: 26\r\n\r\n{{\"bytes_per_second\": null}}"
        ).as_bytes());
        assert_eq!(status(&answer), 415, "{answer}");
        assert!(answer.contains("application/json"), "{answer}");
    }
    for query in ["after=x", "task=-1"] {
        let path = format!("/v1/sessions/s/events?{query}");
        ask(socket, "GET", &path, None).is_problem(400, "invalid");
    }
    daemon.is_well();
}

#[test]
fn parts_of_paths_that_are_none_are_refused() {
    let stage = Stage::new();
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    open(&daemon.socket, &client, "s");
    for path in [
        "/v1/sessions/s/tasks/x",
        "/v1/sessions/s/tasks/-1",
        "/v1/sessions/s/tasks/99999999999999999999",
        "/v1/sessions/%FF/tasks",
        "/v1/sessions//tasks",
    ] {
        ask(&daemon.socket, "GET", path, None).is_problem(400, "invalid");
    }
    ask(&daemon.socket, "GET", "/v1/sessions/s/tasks/9", None).is_problem(404, "no_such_task");
    let nobody = "/v1/clients/00000000000000000000000000000000/foreground";
    ask(&daemon.socket, "POST", nobody, Some(&json!({}))).is_problem(404, "no_such_client");
    let path = AtSession(session("t")).fill("/v1/sessions/{session}/tasks");
    ask(&daemon.socket, "GET", &path, None).is_problem(404, "no_such_session");
}

#[test]
fn what_comes_from_a_web_page_is_refused() {
    let stage = Stage::new();
    let daemon = stage.start();
    let request = "GET /v1 HTTP/1.1\r\nHost: localhost\r\nOrigin: http://example.com\r\n\r\n";
    let answer = raw(&daemon.socket, request.as_bytes());
    assert_eq!(status(&answer), 403, "{answer}");
    assert!(answer.contains("\"code\":\"forbidden\""), "{answer}");
    daemon.is_well();
}
