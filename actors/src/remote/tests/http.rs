//! Questions as they come over a connection, and the pieces of answers.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

/// One question.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    /// The parts of the path after `/v1`, decoded.
    pub(super) parts: Vec<String>,
    pub(super) query: String,
    pub(super) body: Vec<u8>,
}

/// Reads the next question; `None` at the end of the connection.
pub(super) fn read(stream: &mut UnixStream) -> io::Result<Option<Asked>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a head is text");
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let length = lines
        .filter_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .next()
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parts = path.trim_start_matches("/v1").split('/').skip(1);
    Ok(Some(Asked {
        method: method.to_owned(),
        parts: parts.map(decoded).collect(),
        query: query.to_owned(),
        body,
    }))
}

fn decoded(part: &str) -> String {
    let decoded = serde_urlencoded::from_str::<Vec<(String, String)>>(&format!("part={part}"));
    decoded.expect("it is encoded").remove(0).1
}

/// A whole answer.
pub(super) fn answer(stream: &mut UnixStream, status: u16, body: &[u8]) -> io::Result<()> {
    let kind = if status < 300 {
        "application/json"
    } else {
        "application/problem+json"
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())
}

/// The head of a stream.
pub(super) fn begin_stream(stream: &mut UnixStream) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )
}

/// The next bytes of a stream.
pub(super) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let length = format!("{:x}\r\n", bytes.len());
    [length.as_bytes(), bytes, b"\r\n"].concat()
}
