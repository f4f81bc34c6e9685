//! One accepted connection: reads request heads and bodies, and can end in a FIN or in a RST.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Weak};

/// Request heads may be this long: four times what longhaul itself accepts in an answer is more
/// than any client under test sends.
const HEAD_BYTES_MAX: usize = 256 * 1024;
/// How much is looked at or drained at once.
const STEP_BYTES: usize = 16 * 1024;

/// A connection whose last request byte stays unread until the answer is done.
///
/// The standard library cannot set `SO_LINGER`. But closing a socket that has unread data makes
/// the kernel send RST instead of FIN (RFC 2525 2.17), so one byte is held back as the means.
pub(crate) struct Connection {
    stream: Arc<TcpStream>,
    is_byte_withheld: bool,
}

/// The head of a request as it was read.
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) is_http10: bool,
    pub(crate) headers: Vec<(String, String)>,
    /// The `Content-Length`; zero without one.
    pub(crate) body_length: u64,
    /// The body is chunked, whatever `body_length` says.
    pub(crate) is_chunked: bool,
}

/// How much of a request's body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// So many bytes.
    Bytes(u64),
    /// So many bytes of a chunk; then, if it is not the last one, another chunk.
    Chunk(u64),
    /// Nothing.
    Nothing,
}

impl Connection {
    /// Takes over `stream`; the caller keeps no other strong reference, or RST becomes impossible.
    pub(crate) fn new(stream: Arc<TcpStream>) -> Self {
        Self {
            stream,
            is_byte_withheld: false,
        }
    }

    /// Reads the head of the next request; `None` when the client has closed.
    pub(crate) fn read_request(&mut self) -> io::Result<Option<Received>> {
        self.take_withheld()?;
        let Some(head) = self.read_head()? else {
            return Ok(None);
        };
        let mut received = parse(&head).ok_or(ErrorKind::InvalidData)?;
        received.headers.shrink_to_fit();
        Ok(Some(received))
    }

    /// Reads `bytes` of the body that follows a head, all but the last byte of it, and adds them to
    /// `body` as they come: what a client sends that goes away is there too.
    pub(crate) fn read_body(&mut self, bytes: u64, body: &mut Vec<u8>) -> io::Result<()> {
        let mut step = vec![0; STEP_BYTES];
        let mut left = bytes;
        while left > 0 {
            let count = self.read_some(left, &mut step)?;
            body.extend_from_slice(&step[..count]);
            left -= count as u64;
        }
        Ok(())
    }

    /// Reads some of what is `coming` of a body into `buffer`, which is not empty; zero bytes are
    /// the end of the body. The last byte of it stays unread.
    pub(crate) fn read_piece(
        &mut self,
        coming: &mut Coming,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        if *coming == Coming::Chunk(0) {
            *coming = self.next_chunk()?;
        }
        match *coming {
            Coming::Nothing | Coming::Bytes(0) => {
                *coming = Coming::Nothing;
                Ok(0)
            }
            Coming::Bytes(left) => {
                let count = self.read_some(left, buffer)?;
                *coming = Coming::Bytes(left - count as u64);
                Ok(count)
            }
            Coming::Chunk(left) => {
                let count = self.read_some(left, buffer)?;
                *coming = Coming::Chunk(left - count as u64);
                if count as u64 == left {
                    self.read_line()?;
                }
                Ok(count)
            }
        }
    }

    /// Waits for the next byte from the client and leaves it unread, so that a RST is possible.
    pub(crate) fn withhold(&mut self) -> io::Result<()> {
        if !self.is_byte_withheld {
            if self.stream.peek(&mut [0])? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.is_byte_withheld = true;
        }
        Ok(())
    }

    /// The socket, for somebody who may want to end it.
    pub(crate) fn handle(&self) -> Weak<TcpStream> {
        Arc::downgrade(&self.stream)
    }

    /// Says that nothing more will be sent, and reads on until the client has ended the connection
    /// too: an answer that came before the end of a body would otherwise be lost in a RST.
    pub(crate) fn linger(self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        let mut step = vec![0; STEP_BYTES];
        while (&*self.stream).read(&mut step)? > 0 {}
        Ok(())
    }

    /// Writes all of `bytes`.
    pub(crate) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.stream).write_all(bytes)
    }

    /// Writes some of `bytes`; how many.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.stream).write(bytes)
    }

    /// Ends the connection with a FIN.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.take_withheld()?;
        self.stream.shutdown(Shutdown::Write)
    }

    /// Ends the connection with a RST.
    pub(crate) fn reset(self) {
        assert!(
            self.is_byte_withheld,
            "without an unread byte the kernel would send FIN"
        );
    }

    /// Reads some of the next `left` bytes, of which there is one at least; the last of them stays
    /// unread.
    fn read_some(&mut self, left: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.take_withheld()?;
        if left == 1 {
            self.withhold()?;
            let count = self.stream.peek(&mut buffer[..1])?;
            debug_assert_eq!(count, 1, "it was seen a moment ago");
            return Ok(1);
        }
        let limit = usize::try_from(left - 1).map_or(buffer.len(), |left| left.min(buffer.len()));
        match (&*self.stream).read(&mut buffer[..limit])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }

    /// Reads the size of the next chunk; after the last one also the trailer section.
    fn next_chunk(&mut self) -> io::Result<Coming> {
        let line = self.read_line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| ErrorKind::InvalidData)?;
        if size > 0 {
            return Ok(Coming::Chunk(size));
        }
        while !self.read_line()?.is_empty() {}
        Ok(Coming::Nothing)
    }

    /// Reads a line and returns it without its CRLF; the last byte of that stays unread.
    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        loop {
            self.take_withheld()?;
            self.withhold()?;
            let mut byte = [0];
            self.stream.peek(&mut byte)?;
            line.push(byte[0]);
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                break;
            }
            if line.len() > STEP_BYTES {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        String::from_utf8(line).map_err(|_| ErrorKind::InvalidData.into())
    }

    fn take_withheld(&mut self) -> io::Result<()> {
        if self.is_byte_withheld {
            self.is_byte_withheld = false;
            (&*self.stream).read_exact(&mut [0])?;
        }
        Ok(())
    }

    /// Reads up to the blank line that ends a head, leaving its last byte unread. It looks before
    /// it reads, since what follows the head belongs to the body or to the next request.
    fn read_head(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut head = Vec::new();
        let mut step = vec![0; STEP_BYTES];
        loop {
            let seen = self.stream.peek(&mut step)?;
            if seen == 0 {
                return Ok(None);
            }
            let known = head.len();
            head.extend_from_slice(&step[..seen]);
            let from = known.saturating_sub(3);
            let end = head[from..]
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            let consumed = match end {
                Some(position) => from + position + 3 - known,
                None => seen,
            };
            (&*self.stream).read_exact(&mut step[..consumed])?;
            if let Some(position) = end {
                head.truncate(from + position + 4);
                self.is_byte_withheld = true;
                return Ok(Some(head));
            }
            if head.len() > HEAD_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }
}

/// Parses a complete request head; `None` when it is none.
fn parse(head: &[u8]) -> Option<Received> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let header = |wanted: &str| {
        let mut fields = headers.iter();
        let field = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        field.map(|(_, value)| value.as_str())
    };
    let body_length = match header("content-length") {
        Some(value) => value.parse().ok()?,
        None => 0,
    };
    let is_chunked = header("transfer-encoding").is_some_and(|value| value == "chunked");
    Some(Received {
        method: method.to_owned(),
        target: target.to_owned(),
        is_http10: version == "HTTP/1.0",
        headers,
        body_length,
        is_chunked,
    })
}

/// Path and query of a request target, which may also be a whole URL (as sent to a proxy).
pub(crate) fn split_target(target: &str) -> (String, Option<String>) {
    let local = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    match local.split_once('?') {
        Some((path, query)) => (path.into(), Some(query.into())),
        None => (local.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, split_target};

    #[test]
    fn a_head_is_taken_apart() {
        let head = b"PUT /a?b HTTP/1.0\r\nHost:  x \r\ncontent-length: 12\r\n\r\n";
        let received = parse(head).expect("a good head");
        assert_eq!(
            (received.method.as_str(), received.target.as_str()),
            ("PUT", "/a?b")
        );
        assert!(received.is_http10);
        assert_eq!(received.headers[0], ("Host".to_owned(), "x".to_owned()));
        assert_eq!(received.body_length, 12);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for head in [
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\nnocolon\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(parse(head.as_bytes()).is_none(), "{head:?}");
        }
    }

    #[test]
    fn targets_are_split_into_path_and_query() {
        for (target, path, query) in [
            ("/a", "/a", None),
            ("/a?b=c?d", "/a", Some("b=c?d")),
            ("http://h:1/a?b", "/a", Some("b")),
            ("http://h:1", "/", None),
        ] {
            assert_eq!(
                split_target(target),
                (path.to_owned(), query.map(str::to_owned))
            );
        }
    }
}
