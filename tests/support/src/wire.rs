//! One accepted connection: reads request heads, and can end in a FIN or in a RST.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

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
        if bytes == 0 {
            return Ok(());
        }
        self.take_withheld()?;
        let before = body.len() as u64;
        (&*self.stream).take(bytes - 1).read_to_end(body)?;
        let mut last = [0; 1];
        if body.len() as u64 - before < bytes - 1 || self.stream.peek(&mut last)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        body.extend_from_slice(&last);
        self.is_byte_withheld = true;
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
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let body_length = match length {
        Some((_, value)) => value.parse().ok()?,
        None => 0,
    };
    Some(Received {
        method: method.to_owned(),
        target: target.to_owned(),
        is_http10: version == "HTTP/1.0",
        headers,
        body_length,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

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
}
