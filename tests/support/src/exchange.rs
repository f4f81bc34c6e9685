//! Performs one reply of a script on a connection, to the byte.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant, SystemTime};

use crate::date::http_date;
use crate::gate::{Gate, Passage};
use crate::log::{Log, Request};
use crate::reasons::reason;
use crate::resource::{Answer, Part, Resource};
use crate::script::{Closing, Cut, Edit, Framing, Pace, Reply, Source};
use crate::wire::Connection;

/// The largest single write: large enough to be fast, small enough for an up-to-date log.
const PIECE_BYTES: u64 = 128 * 1024;
/// A throttled body is written in about so many pieces a second.
const THROTTLE_PIECES_PER_SECOND: u64 = 50;

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request may come.
    KeepAlive,
    /// End it with a FIN.
    Fin,
    /// End it with a RST.
    Reset,
}

/// What a reply is performed with.
pub(crate) struct Exchange<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) log: &'a Log,
    /// The log's entry of the request.
    pub(crate) ticket: usize,
    /// Never opened; abandoned when the server stops.
    pub(crate) stop: &'a Gate,
    pub(crate) reply: &'a Reply,
    /// The client asked for the end of the connection.
    pub(crate) is_last: bool,
}

/// How far the body has gone.
struct Progress {
    started: Instant,
    sent: u64,
    /// The first cut not yet reached.
    next_cut: usize,
}

impl Exchange<'_> {
    /// Answers `request` for `target` (as sent); `resource` is what the path serves.
    pub(crate) fn perform(
        self,
        request: &Request,
        target: &str,
        resource: Option<&Resource>,
    ) -> io::Result<After> {
        if let Some(gate) = &self.reply.head_gate {
            pass(gate)?;
        }
        let answer = match (&self.reply.source, resource) {
            (Source::Raw(bytes), _) => {
                self.connection.write_all(bytes)?;
                return Ok(After::Fin);
            }
            (Source::HangUp, _) => return Ok(After::Fin),
            (Source::Reset, _) => return Ok(After::Reset),
            (Source::Resource(resource), _) | (Source::Path, Some(resource)) => {
                resource.answer(request, target, self.reply.ranges)
            }
            (Source::Path, None) => fixed(404, b"nothing is served here\n"),
            (Source::Fixed(status, body), _) => fixed(*status, body),
        };
        self.send_heads(&answer)?;
        let status = answer.status;
        self.log
            .update(self.ticket, |entry| entry.status = Some(status));
        if request.method == "HEAD" || matches!(status, 204 | 304) {
            return Ok(self.after(&answer));
        }
        match self.send_body(&answer)? {
            Some(after) => Ok(after),
            None => Ok(self.after(&answer)),
        }
    }

    fn send_heads(&self, answer: &Answer) -> io::Result<()> {
        let mut head = String::new();
        for status in &self.reply.interim {
            head.push_str(&format!(
                "HTTP/1.1 {status} {}\r\nX-Interim: yes\r\n\r\n",
                reason(*status)
            ));
        }
        let status = answer.status;
        head.push_str(&format!(
            "{} {status} {}\r\n",
            self.reply.version,
            reason(status)
        ));
        for (name, value) in self.header_fields(answer) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.connection.write_all(head.as_bytes())
    }

    fn header_fields(&self, answer: &Answer) -> Vec<(String, String)> {
        let mut fields = vec![("Date".to_owned(), http_date(SystemTime::now()))];
        fields.extend(answer.headers.iter().cloned());
        let has_body = !matches!(answer.status, 204 | 304);
        match self.reply.framing {
            Framing::Length if has_body => {
                fields.push(("Content-Length".into(), answer.body_len().to_string()));
            }
            Framing::Declared(length) => fields.push(("Content-Length".into(), length.to_string())),
            Framing::Chunked => fields.push(("Transfer-Encoding".into(), "chunked".into())),
            Framing::ChunkedWithExtras => {
                fields.push(("Transfer-Encoding".into(), "chunked".into()));
                fields.push(("Trailer".into(), "X-Trailer".into()));
            }
            Framing::Length | Framing::Close => {}
        }
        if self.reply.closing == Closing::Announced || self.is_last {
            fields.push(("Connection".into(), "close".into()));
        }
        for edit in &self.reply.edits {
            match edit {
                Edit::Remove(name) => fields.retain(|(key, _)| !key.eq_ignore_ascii_case(name)),
                Edit::Add(name, value) => fields.push((name.clone(), value.clone())),
            }
        }
        fields
    }

    /// Sends the body; `Some` when a cut has ended the response before its end.
    fn send_body(&self, answer: &Answer) -> io::Result<Option<After>> {
        let mut progress = Progress {
            started: Instant::now(),
            sent: 0,
            next_cut: 0,
        };
        let mut buffer = vec![0; self.piece_bytes().min(answer.body_len()) as usize];
        for part in &answer.body {
            let mut offset = 0;
            while offset < part.len() {
                if let Some(after) = self.reach_cuts(&mut progress)? {
                    return Ok(Some(after));
                }
                let count = self.next_piece(&progress, part.len() - offset);
                let piece = &mut buffer[..count as usize];
                self.send_piece(part, offset, piece, &mut progress)?;
                offset += count;
            }
        }
        if let Some(after) = self.reach_cuts(&mut progress)? {
            return Ok(Some(after));
        }
        match self.reply.framing {
            Framing::Chunked => self.connection.write_all(b"0\r\n\r\n")?,
            Framing::ChunkedWithExtras => {
                self.connection
                    .write_all(b"0;last\r\nX-Trailer: the end\r\n\r\n")?;
            }
            Framing::Length | Framing::Declared(_) | Framing::Close => {}
        }
        self.connection.write_all(&self.reply.surplus)?;
        Ok(None)
    }

    /// Does what is planned for the bytes sent so far; `Some` when that ends the response.
    fn reach_cuts(&self, progress: &mut Progress) -> io::Result<Option<After>> {
        while let Some((offset, cut)) = self.reply.cuts.get(progress.next_cut) {
            if *offset > progress.sent {
                break;
            }
            progress.next_cut += 1;
            match cut {
                Cut::Fin => return Ok(Some(After::Fin)),
                Cut::Reset => return Ok(Some(After::Reset)),
                Cut::Stall => pass(self.stop)?,
                Cut::Hold(gate) => pass(gate)?,
            }
        }
        Ok(None)
    }

    /// The length of the next write, of which at most `left` bytes are there.
    fn next_piece(&self, progress: &Progress, left: u64) -> u64 {
        let cut = self.reply.cuts.get(progress.next_cut);
        let to_cut = cut.map_or(u64::MAX, |(offset, _)| offset - progress.sent);
        left.min(to_cut).min(self.piece_bytes())
    }

    fn piece_bytes(&self) -> u64 {
        match self.reply.pace {
            Pace::Free => PIECE_BYTES,
            Pace::Drip(bytes) => bytes as u64,
            Pace::BytesPerSecond(rate) => (rate / THROTTLE_PIECES_PER_SECOND).clamp(1, PIECE_BYTES),
        }
    }

    /// Fills `piece` from `offset` of `part`, sends it in its framing, and waits out the pace.
    fn send_piece(
        &self,
        part: &Part,
        offset: u64,
        piece: &mut [u8],
        progress: &mut Progress,
    ) -> io::Result<()> {
        part.fill(offset, piece);
        match self.reply.framing {
            Framing::Chunked => self.send_chunk(piece, "")?,
            Framing::ChunkedWithExtras => self.send_chunk(piece, ";name=\"value\"")?,
            Framing::Length | Framing::Declared(_) | Framing::Close => self.send_plain(piece)?,
        }
        progress.sent += piece.len() as u64;
        if let Pace::BytesPerSecond(rate) = self.reply.pace {
            let due = Duration::from_secs_f64(progress.sent as f64 / rate as f64);
            match self.stop.pass(Some(progress.started + due)) {
                Passage::TimedOut => {}
                Passage::Opened | Passage::Abandoned => return Err(ErrorKind::Interrupted.into()),
            }
        }
        Ok(())
    }

    fn send_plain(&self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            let written = self.connection.write(piece)?;
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.count(written);
            piece = &piece[written..];
        }
        Ok(())
    }

    fn send_chunk(&self, piece: &[u8], extension: &str) -> io::Result<()> {
        let mut chunk = format!("{:x}{extension}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        self.connection.write_all(&chunk)?;
        self.count(piece.len());
        Ok(())
    }

    fn count(&self, written: usize) {
        self.log
            .update(self.ticket, |entry| entry.body_sent += written as u64);
    }

    /// What follows a complete response.
    fn after(&self, answer: &Answer) -> After {
        let is_short = match self.reply.framing {
            Framing::Declared(length) => length > answer.body_len(),
            Framing::Close => true,
            Framing::Length | Framing::Chunked | Framing::ChunkedWithExtras => false,
        };
        let is_over = is_short
            || self.is_last
            || self.reply.version == "HTTP/1.0"
            || self.reply.closing != Closing::ByProtocol;
        if is_over {
            After::Fin
        } else {
            After::KeepAlive
        }
    }
}

/// Waits at `gate`; an error when the server stops meanwhile.
fn pass(gate: &Gate) -> io::Result<()> {
    match gate.pass(None) {
        Passage::Opened => Ok(()),
        Passage::Abandoned | Passage::TimedOut => Err(ErrorKind::Interrupted.into()),
    }
}

fn fixed(status: u16, body: &[u8]) -> Answer {
    let kind = ("Content-Type".to_owned(), "text/plain".to_owned());
    Answer {
        status,
        headers: vec![kind],
        body: vec![Part::Bytes(body.to_vec())],
    }
}
