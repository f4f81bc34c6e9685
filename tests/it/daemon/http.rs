//! A small HTTP client over a Unix socket, which can also be rude.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use longhaul_engine::control::{AtSession, Method};
use longhaul_engine::control::{
    CLIENTS_PATH, Call, ClientEvent, ClientId, EVENTS_PATH, Hello, Place as _, SessionEvent,
};
use longhaul_engine::id::SessionId;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bench::PATIENCE;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A stream of server-sent events.
#[derive(Debug)]
pub(crate) struct Events {
    reader: BufReader<UnixStream>,
    /// What was read of the body and not of an event yet.
    text: String,
}

/// A client of the daemon: itself and its stream.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) events: Events,
}

/// A connection to the socket that is given up after a while.
pub(crate) fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends these bytes and reads until the daemon closes.
pub(crate) fn raw(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = connect(socket);
    // It may have heard enough before the end.
    let _ = stream.write_all(bytes);
    read_to_end(stream)
}

/// What is answered until the other side ends the connection.
pub(crate) fn read_to_end(mut stream: UnixStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("no end of the answer: {error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Asks with a JSON body, or without any.
pub(crate) fn ask(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    if !body.is_empty() {
        head += &format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
    }
    let mut stream = connect(socket);
    stream
        .write_all(format!("{head}\r\n{body}").as_bytes())
        .unwrap();
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader);
    if method == "HEAD" {
        // Its length is that of the body which a GET would have.
        let (status, body) = (status(&head), Vec::new());
        return Answer { status, head, body };
    }
    rest(&mut reader, head)
}

/// Asks, and expects a good answer.
#[track_caller]
pub(crate) fn call<C: Call>(socket: &Path, at: C::At, question: &C) -> C::Answer {
    let answer = try_call(socket, at, question);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.parsed()
}

/// Asks, whatever the answer.
pub(crate) fn try_call<C: Call>(socket: &Path, at: C::At, question: &C) -> Answer {
    let mut path = at.fill(C::PATH);
    let mut body = None;
    match C::METHOD {
        Method::Get => {
            let query = serde_json::to_value(question).unwrap();
            let members = query.as_object().unwrap().iter();
            let query: Vec<String> = members
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            if !query.is_empty() {
                path = format!("{path}?{}", query.join("&"));
            }
        }
        Method::Delete => {}
        Method::Put | Method::Post | Method::Patch => {
            body = Some(serde_json::to_value(question).unwrap());
        }
    }
    ask(socket, C::METHOD.as_str(), &path, body.as_ref())
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn parsed<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields
            .find(|(its, _)| its.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// Checks that it is a problem with this status and code, and a text for people.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string(), "{problem}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{problem}"
        );
        problem
    }
}

impl Events {
    /// Opens a stream; an answer that is none is given back.
    pub(crate) fn open(
        socket: &Path,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Self, Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = connect(socket);
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader);
        if status(&head) != 200 {
            return Err(rest(&mut reader, head));
        }
        let events = Self {
            reader,
            text: String::new(),
        };
        let lower = head.to_lowercase();
        assert!(
            lower.contains("text/event-stream") && lower.contains("no-store"),
            "{head}"
        );
        Ok(events)
    }

    /// The events of a session.
    pub(crate) fn of(socket: &Path, session: &SessionId, query: &str) -> Self {
        let path = AtSession(session.clone()).fill(EVENTS_PATH);
        let opened = Self::open(socket, "GET", &format!("{path}{query}"), "");
        opened.unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    /// The next event with its number; `None` at the end of the stream. Comments are passed over.
    pub(crate) fn next(&mut self) -> Option<(Option<u64>, Value)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let mut id = None;
                let mut data = None;
                for line in event.lines() {
                    match line.split_once(':').unwrap() {
                        ("id", number) => id = Some(number.trim().parse().unwrap()),
                        ("data", json) => data = Some(serde_json::from_str(json).unwrap()),
                        ("", _) => {}
                        other => panic!("no field of ours: {other:?}"),
                    }
                }
                if let Some(data) = data {
                    return Some((id, data));
                }
            }
            let chunk = chunk(&mut self.reader)?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of a session.
    pub(crate) fn told(&mut self) -> Option<SessionEvent> {
        let (_, event) = self.next()?;
        Some(serde_json::from_value(event).unwrap())
    }
}

impl Client {
    /// Becomes one.
    pub(crate) fn new(socket: &Path) -> Self {
        let hello = serde_json::to_string(&Hello::default()).unwrap();
        let mut events = Events::open(socket, "POST", CLIENTS_PATH, &hello)
            .unwrap_or_else(|answer| panic!("{answer:?}"));
        let (_, first) = events.next().expect("a welcome");
        match serde_json::from_value(first).unwrap() {
            ClientEvent::Welcome { client, .. } => Self { id: client, events },
            other => panic!("{other:?}"),
        }
    }

    /// The next thing that it is told.
    pub(crate) fn told(&mut self) -> Option<ClientEvent> {
        let (_, event) = self.events.next()?;
        Some(serde_json::from_value(event).unwrap())
    }
}

fn read_head(reader: &mut BufReader<UnixStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = reader.read_line(&mut head).unwrap();
        assert!(read > 0, "the answer broke off: {head:?}");
    }
    head
}

fn rest(reader: &mut BufReader<UnixStream>, head: String) -> Answer {
    let mut answer = Answer {
        status: status(&head),
        head,
        body: Vec::new(),
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        while let Some(chunk) = chunk(reader) {
            answer.body.extend(chunk);
        }
        return answer;
    }
    let length = answer
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    answer.body.resize(length, 0);
    reader.read_exact(&mut answer.body).unwrap();
    answer
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The next chunk (RFC 9112 section 7.1); `None` after the last one, or when the daemon has gone.
fn chunk(reader: &mut BufReader<UnixStream>) -> Option<Vec<u8>> {
    let mut line = String::new();
    let read = match reader.read_line(&mut line) {
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
        Err(error) => panic!("nothing came: {error}"),
    };
    if read == 0 {
        return None;
    }
    let length = usize::from_str_radix(line.trim(), 16).unwrap();
    let mut bytes = vec![0; length + 2];
    reader.read_exact(&mut bytes).ok()?;
    bytes.truncate(length);
    (length > 0).then_some(bytes)
}
