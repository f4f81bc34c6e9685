//! Finds and parses the response head in a stream of bytes, past any interim responses.

use longhaul_engine::http::head::{Headers, HttpVersion, ResponseHead};

use super::{failure::NetFailure, inbox::Inbox};

/// Most bytes of one head block: eight times what common servers allow for requests.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most fields of one head: far above what servers send, and it bounds the parser's table.
const FIELDS_MAX: usize = 256;

/// Most interim (1xx) heads before the final one, unless the time that passed is worth more; a server
/// that sends more is stalling.
pub(super) const INTERIM_HEADS_MAX: usize = 32;

/// How every HTTP/1 response begins. HTTP/0.9 has no head at all.
const MAGIC: &[u8] = b"HTTP/";

/// A head that was taken out of the stream.
#[derive(Debug)]
pub(super) enum Found {
    /// An interim one (1xx); others follow.
    Interim(ResponseHead),
    /// The final one.
    Final(ResponseHead),
}

/// Looks for response heads, up to the final one.
#[derive(Debug)]
pub(super) struct HeadScanner {
    /// Bytes of the current block in which no end was found, so that no byte is searched twice.
    searched: usize,
    /// The status codes of the interim responses, the first [`INTERIM_HEADS_MAX`] of them.
    pub(super) interim: Vec<u16>,
    /// Interim responses that may still come.
    allowance: usize,
    /// Bytes of all heads that were taken out.
    pub(super) consumed: u64,
}

impl HeadScanner {
    /// Takes interim heads and then the final head out of `inbox`; leaves what follows it.
    /// `Ok(None)` means that more bytes are needed.
    ///
    /// # Errors
    /// As [`HeadScanner::next`].
    pub(super) fn scan(&mut self, inbox: &mut Inbox) -> Result<Option<ResponseHead>, NetFailure> {
        loop {
            match self.next(inbox)? {
                Some(Found::Interim(_)) => {}
                Some(Found::Final(head)) => return Ok(Some(head)),
                None => return Ok(None),
            }
        }
    }

    /// Takes the next head out of `inbox`; leaves what follows it. `Ok(None)` means that more bytes
    /// are needed.
    ///
    /// # Errors
    /// [`NetFailure::Http09`], [`NetFailure::HeadTooLarge`], [`NetFailure::TooManyInterim`] or
    /// [`NetFailure::Protocol`].
    pub(super) fn next(&mut self, inbox: &mut Inbox) -> Result<Option<Found>, NetFailure> {
        let block = inbox.unread();
        let known = block.len().min(MAGIC.len());
        if block[..known] != MAGIC[..known] {
            return Err(NetFailure::Http09);
        }
        let end = end_of_block(block, self.searched);
        if end.unwrap_or(block.len()) > HEAD_BYTES_MAX {
            return Err(NetFailure::HeadTooLarge);
        }
        let Some(end) = end else {
            // The end may begin in the last two bytes (`LF CR`), so they are searched again.
            self.searched = block.len().saturating_sub(2);
            return Ok(None);
        };
        let head = parse(&block[..end])?;
        inbox.consume(end);
        self.consumed += end as u64;
        self.searched = 0;
        match head.status {
            101 => Err(NetFailure::protocol("101 without a request to switch")),
            100..=199 if self.allowance == 0 => Err(NetFailure::TooManyInterim),
            100..=199 => {
                self.allowance -= 1;
                if self.interim.len() < INTERIM_HEADS_MAX {
                    self.interim.push(head.status);
                }
                Ok(Some(Found::Interim(head)))
            }
            200..=599 => Ok(Some(Found::Final(head))),
            status => Err(NetFailure::protocol(&format!("status {status}"))),
        }
    }

    /// So many more interim heads may come.
    pub(super) const fn allow(&mut self, count: usize) {
        self.allowance = self.allowance.saturating_add(count);
    }
}

impl Default for HeadScanner {
    fn default() -> Self {
        Self {
            searched: 0,
            interim: Vec::new(),
            allowance: INTERIM_HEADS_MAX,
            consumed: 0,
        }
    }
}

/// The position behind the empty line that ends a head, searching from `searched` on.
fn end_of_block(block: &[u8], searched: usize) -> Option<usize> {
    let mut from = searched;
    while let Some(at) = block[from..].iter().position(|&byte| byte == b'\n') {
        let next = from + at + 1;
        match block[next..] {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

fn parse(block: &[u8]) -> Result<ResponseHead, NetFailure> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let mut config = httparse::ParserConfig::default();
    // RFC 9112 section 5.2: folded lines of a response are accepted and unfolded.
    config.allow_obsolete_multiline_headers_in_responses(true);
    match config.parse_response(&mut response, block) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(NetFailure::protocol("an incomplete head")),
        Err(httparse::Error::TooManyHeaders) => return Err(NetFailure::HeadTooLarge),
        Err(error) => return Err(NetFailure::protocol(&error.to_string())),
    }
    let mut headers = Headers::new();
    for field in response.headers.iter() {
        headers.push(field.name, unfolded(field.value));
    }
    Ok(ResponseHead {
        version: match response.version {
            Some(0) => HttpVersion::Http10,
            Some(_) | None => HttpVersion::Http11,
        },
        status: response.code.unwrap_or(0),
        headers,
    })
}

fn unfolded(value: &[u8]) -> Vec<u8> {
    let space = |&byte: &u8| {
        if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            byte
        }
    };
    value.iter().map(space).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The final head, the interim codes and the rest.
    type Scanned = (Option<ResponseHead>, Vec<u16>, Vec<u8>);

    /// Feeds `wire` in pieces of `piece` bytes.
    fn scan(wire: &[u8], piece: usize) -> Result<Scanned, NetFailure> {
        let (mut scanner, mut inbox) = (HeadScanner::default(), Inbox::default());
        let mut found = None;
        for bytes in wire.chunks(piece) {
            inbox.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
            inbox.filled(bytes.len());
            if found.is_none() {
                found = scanner.scan(&mut inbox)?;
            }
        }
        Ok((found, scanner.interim, inbox.unread().to_vec()))
    }

    #[test]
    fn the_final_head_is_found_however_the_stream_is_cut() {
        let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
            HTTP/1.0 206 Partial Content\r\nETag: \"x\"\r\nX-Folded: a\r\n b\r\n\r\nbody\n\n";
        for piece in 1..=wire.len() {
            let (head, interim, rest) = scan(wire, piece).expect("well formed");
            let head = head.expect("a final head");
            assert_eq!((head.version, head.status), (HttpVersion::Http10, 206));
            assert_eq!(head.headers.get("etag"), Some("\"x\""));
            assert_eq!(head.headers.get("x-folded"), Some("a   b"));
            assert_eq!(
                (interim, rest),
                (vec![100, 103], b"body\n\n".to_vec()),
                "{piece}"
            );
        }
    }

    #[test]
    fn a_head_may_end_its_lines_without_cr_and_have_no_reason() {
        for wire in [
            &b"HTTP/1.1 200\nA: b\n\nx"[..],
            b"HTTP/1.1 200 \nA: b\n\r\nx",
        ] {
            let (head, _, rest) = scan(wire, 1).expect("well formed");
            let head = head.expect("a final head");
            assert_eq!((head.headers.get("a"), &rest[..]), (Some("b"), &b"x"[..]));
        }
    }

    #[test]
    fn what_is_no_http_1_response_is_refused() {
        let table: [(&[u8], NetFailure); 5] = [
            (b"<html>", NetFailure::Http09),
            (b"H", NetFailure::Http09),
            (b"ICY 200 OK\r\n\r\n", NetFailure::Http09),
            (b"\r\nHTTP/1.1 200 OK\r\n\r\n", NetFailure::Http09),
            (
                b"HTTP/1.1 101 Switching\r\n\r\n",
                NetFailure::protocol("101 without a request to switch"),
            ),
        ];
        for (wire, expected) in table {
            let wire = if wire == b"H" { &b"Hello"[..] } else { wire };
            assert_eq!(scan(wire, 1).map(|_| ()), Err(expected));
        }
        for wire in [
            &b"HTTP/2 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 099 x\r\n\r\n",
            b"HTTP/1.1 700 x\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        ] {
            let found = scan(wire, 1);
            assert!(
                matches!(found, Err(NetFailure::Protocol(_))),
                "{wire:?} {found:?}"
            );
        }
    }

    #[test]
    fn heads_have_limits() {
        let interim = |count| {
            format!(
                "{}HTTP/1.1 200 OK\r\n\r\n",
                "HTTP/1.1 100 C\r\n\r\n".repeat(count)
            )
        };
        assert!(scan(interim(INTERIM_HEADS_MAX).as_bytes(), 50).is_ok());
        let found = scan(interim(INTERIM_HEADS_MAX + 1).as_bytes(), 50).map(|_| ());
        assert_eq!(found, Err(NetFailure::TooManyInterim));

        let long = |size: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(size - 24));
        assert!(scan(long(HEAD_BYTES_MAX).as_bytes(), 1000).is_ok());
        for piece in [1000, usize::MAX] {
            let found = scan(long(HEAD_BYTES_MAX + 1).as_bytes(), piece).map(|_| ());
            assert_eq!(found, Err(NetFailure::HeadTooLarge));
        }
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "A: b\r\n".repeat(FIELDS_MAX + 1)
        );
        assert_eq!(
            scan(many.as_bytes(), 1000).map(|_| ()),
            Err(NetFailure::HeadTooLarge)
        );
    }
}
