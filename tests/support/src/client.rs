//! A client that hides nothing: requests to the byte, every interim head, and cuts where told.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::log::PATIENCE;

/// Interim heads before a final one; no server of the kit sends nearly as many.
const INTERIM_MAX: usize = 1000;
/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 256 * 1024;
/// How much is read at once.
const STEP_BYTES: usize = 64 * 1024;

/// A request on a connection of its own.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// use longhaul_support::client::Call;
///
/// let answer = Call::new("PUT", "http://127.0.0.1:8080/f").send(b"hello")?;
/// assert_eq!(answer.head.status, 201);
///
/// // The same, but the connection ends in the middle of the body.
/// let mut talk = Call::new("PUT", "http://127.0.0.1:8080/f").length(5).open()?;
/// talk.write(b"he")?;
/// talk.cut()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    method: String,
    url: String,
    fields: Vec<(String, String)>,
    framing: Framing,
}

/// How the end of a request's body is made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// By the length of what [`Call::send`] sends; no body in [`Call::open`].
    Implied,
    Declared(u64),
    Chunked,
}

/// A connection on which the head of a request was sent.
#[derive(Debug)]
pub struct Talk {
    stream: TcpStream,
    is_head: bool,
    is_chunked: bool,
    /// What came and was not yet taken.
    read: Vec<u8>,
}

/// A status line and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// Names as sent, values without surrounding blanks.
    pub fields: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The interim heads (1xx) that came since the last look, in their order.
    pub interim: Vec<Head>,
    /// The final head.
    pub head: Head,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Call {
    /// A request for `url`, which must be `http://HOST:PORT/...`.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            fields: Vec::new(),
            framing: Framing::Implied,
        }
    }

    /// With one more field.
    pub fn field(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push((name.into(), value.to_string()));
        self
    }

    /// With this `Content-Length`, whatever is sent.
    pub fn length(mut self, bytes: u64) -> Self {
        self.framing = Framing::Declared(bytes);
        self
    }

    /// With a chunked body.
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Sends the request with this body and reads the answer. An answer that comes before the body
    /// is out is an answer too.
    pub fn send(mut self, body: &[u8]) -> io::Result<Answer> {
        if self.framing == Framing::Implied && !body.is_empty() {
            self.framing = Framing::Declared(body.len() as u64);
        }
        let mut talk = self.open()?;
        // A server that wants no more of it has said why; that is read below.
        let _refused = talk.write(body).and_then(|()| talk.end());
        talk.answer()
    }

    /// Sends the head alone.
    pub fn open(self) -> io::Result<Talk> {
        let (authority, _) = split(&self.url)?;
        let stream = TcpStream::connect(authority)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut talk = Talk {
            stream,
            is_head: false,
            is_chunked: false,
            read: Vec::new(),
        };
        talk.ask(&self)?;
        Ok(talk)
    }

    /// The head as it goes over the wire.
    fn head(&self) -> io::Result<String> {
        let (authority, target) = split(&self.url)?;
        let mut head = format!("{} {target} HTTP/1.1\r\nHost: {authority}\r\n", self.method);
        match self.framing {
            Framing::Implied => {}
            Framing::Declared(bytes) => head.push_str(&format!("Content-Length: {bytes}\r\n")),
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Ok(head)
    }
}

impl Talk {
    /// Sends the head of another request on the same connection, after the answer to the one
    /// before.
    pub fn ask(&mut self, call: &Call) -> io::Result<()> {
        self.is_head = call.method == "HEAD";
        self.is_chunked = call.framing == Framing::Chunked;
        self.stream.write_all(call.head()?.as_bytes())
    }

    /// Sends a piece of the body; as one chunk if the body is chunked.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if !self.is_chunked {
            return self.stream.write_all(piece);
        }
        if piece.is_empty() {
            // It would be the last chunk.
            return Ok(());
        }
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        self.stream.write_all(&chunk)
    }

    /// Ends the body: with the last chunk, if it is chunked.
    pub fn end(&mut self) -> io::Result<()> {
        if self.is_chunked {
            self.stream.write_all(b"0\r\n\r\n")?;
        }
        Ok(())
    }

    /// Reads the next head, interim or final.
    pub fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                let rest = self.read.split_off(end + 4);
                let head = std::mem::replace(&mut self.read, rest);
                return parse(&head).ok_or_else(|| invalid("what came is no head"));
            }
            if self.read.len() > HEAD_BYTES_MAX {
                return Err(invalid("the head has no end"));
            }
            if self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads the final head, with the interim ones before it, and the body.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.head()?;
            if !(100..200).contains(&head.status) {
                break head;
            }
            if interim.len() == INTERIM_MAX {
                return Err(invalid("interim heads without end"));
            }
            interim.push(head);
        };
        let body = self.body(&head)?;
        Ok(Answer {
            interim,
            head,
            body,
        })
    }

    /// Ends the connection after what was sent, and returns when the server has ended it too: it
    /// knows of the cut then.
    pub fn cut(mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        loop {
            match self.more() {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The connection's own end comes with `Err` or an empty rest, after what is left of the
    /// answer.
    fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        if self.is_head || matches!(head.status, 204 | 304) {
            return Ok(Vec::new());
        }
        let is_chunked = |value: &str| value.eq_ignore_ascii_case("chunked");
        if head.field("transfer-encoding").is_some_and(is_chunked) {
            return self.unchunk();
        }
        if let Some(length) = head.field("content-length") {
            let length = length
                .parse()
                .map_err(|_| invalid("a length that is no number"))?;
            return self.take(length);
        }
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.read))
    }

    fn unchunk(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| invalid("no chunk size"))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            self.line()?;
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n") {
                let line = self.take(end + 2)?;
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < bytes {
            if self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.read.split_off(bytes);
        Ok(std::mem::replace(&mut self.read, rest))
    }

    /// Waits for more and keeps it; how much.
    fn more(&mut self) -> io::Result<usize> {
        let mut step = vec![0; STEP_BYTES];
        let count = self.stream.read(&mut step)?;
        self.read.extend_from_slice(&step[..count]);
        Ok(count)
    }
}

impl Head {
    /// The first value of the field `name`, compared without regard to case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// [`Head::field`] as a number; `None` also when it is none.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }
}

/// The absolute URL that `location` means in an answer to a request for `base` (RFC 3986 5.2, for
/// the forms that servers send): absolute, with an authority only, or with a path only.
pub fn resolve(base: &str, location: &str) -> String {
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base));
    let authority = rest.split('/').next().unwrap_or_default();
    if location.contains("://") {
        location.into()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let path = &rest[authority.len()..];
        let directory = path.rfind('/').map_or("/", |slash| &path[..=slash]);
        format!("{scheme}://{authority}{directory}{location}")
    }
}

/// Authority and target of a plain URL.
fn split(url: &str) -> io::Result<(&str, &str)> {
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            format!("{url} is no plain URL"),
        ));
    };
    let slash = rest.find('/').unwrap_or(rest.len());
    let target = if slash == rest.len() {
        "/"
    } else {
        &rest[slash..]
    };
    Ok((&rest[..slash], target))
}

fn parse(head: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.splitn(3, ' ');
    let version = words
        .next()
        .filter(|version| version.starts_with("HTTP/"))?;
    let status = words.next()?.parse().ok()?;
    let reason = words.next().unwrap_or_default();
    let mut fields = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        fields.push((name.into(), value.trim().into()));
    }
    Some(Head {
        version: version.into(),
        status,
        reason: reason.into(),
        fields,
    })
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::{parse, resolve, split};

    #[test]
    fn a_location_is_resolved_in_every_form_that_servers_send() {
        let base = "http://h:1/files/a";
        for (location, url) in [
            ("https://i/b", "https://i/b"),
            ("//i:2/b", "http://i:2/b"),
            ("/b/c", "http://h:1/b/c"),
            ("b", "http://h:1/files/b"),
        ] {
            assert_eq!(resolve(base, location), url);
        }
        assert_eq!(resolve("http://h:1", "b"), "http://h:1/b");
    }

    #[test]
    fn a_url_is_split_and_other_schemes_are_refused() {
        assert_eq!(split("http://h:1/a?b").expect("plain"), ("h:1", "/a?b"));
        assert_eq!(split("http://h:1").expect("plain"), ("h:1", "/"));
        assert!(split("https://h/").is_err());
    }

    #[test]
    fn a_head_is_taken_apart() {
        let head = b"HTTP/1.1 104 status code 104\r\nA:  b \r\na: c\r\n\r\n";
        let head = parse(head).expect("a good head");
        assert_eq!(
            (head.status, head.reason.as_str()),
            (104, "status code 104")
        );
        assert_eq!((head.field("A"), head.number("a")), (Some("b"), None));
        assert!(parse(b"ICY 200 OK\r\n\r\n").is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nnocolon\r\n\r\n").is_none());
    }
}
