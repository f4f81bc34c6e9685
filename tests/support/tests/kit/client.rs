//! A client that hides nothing: it sends what it is told and keeps every byte of the answer.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use longhaul_support::server::Server;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

/// Everything that came on a connection: heads, the body as framed, and the end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        let word = self.head.split(' ').nth(1).expect("a status line");
        word.parse().expect("a numeric status")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Sends a request that ends the connection, and reads to the end.
pub(crate) fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(server, "GET", path, headers)
}

/// As [`get`], with another method.
pub(crate) fn request(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut stream = connect(server);
    send(
        &mut stream,
        method,
        path,
        &[headers, &[("Connection", "close")]].concat(),
    );
    read_to_end(stream)
}

pub(crate) fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).expect("the server accepts")
}

pub(crate) fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &[(&str, &str)]) {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream
        .write_all(head.as_bytes())
        .expect("the request is sent");
}

/// Reads until the connection ends and parts the first head from the rest.
pub(crate) fn read_to_end(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let end = match stream.read_to_end(&mut bytes) {
        Ok(_) => End::Fin,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
        Err(error) => panic!("unexpected end: {error}"),
    };
    let position = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let split = position.map_or(bytes.len(), |position| position + 4);
    let body = bytes.split_off(split);
    Answer {
        head: String::from_utf8_lossy(&bytes).into_owned(),
        body,
        end,
    }
}

/// Reads one head and the `Content-Length` bytes after it, on a connection that stays open.
pub(crate) fn read_one(stream: &mut TcpStream) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the head goes on");
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut answer = Answer {
        head,
        body: Vec::new(),
        end: End::Fin,
    };
    let length = answer.header("content-length").expect("a declared length");
    answer.body = vec![0; length.parse().expect("a numeric length")];
    stream
        .read_exact(&mut answer.body)
        .expect("the body is complete");
    answer
}

/// The chunks of a chunked body and what follows the last one; `None` for a missing last chunk.
pub(crate) fn unchunk(mut framed: &[u8]) -> (Vec<u8>, Option<String>) {
    let mut body = Vec::new();
    loop {
        let Some(line_end) = framed.windows(2).position(|window| window == b"\r\n") else {
            return (body, None);
        };
        let line = String::from_utf8_lossy(&framed[..line_end]).into_owned();
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        framed = &framed[line_end + 2..];
        if size == 0 {
            return (body, Some(String::from_utf8_lossy(framed).into_owned()));
        }
        body.extend_from_slice(&framed[..size]);
        framed = &framed[size + 2..];
    }
}
