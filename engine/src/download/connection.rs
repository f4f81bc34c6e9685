//! The connections of a download: which span each fetches, what it asks, what its loss means.

use std::time::Duration;

use crate::download::{Action, Ask, ConnId, Download, Leave, Step, Stream};
use crate::failure::{Failure, FailureKind};
use crate::http::redirect;
use crate::limits::SPLIT_BYTES_MIN;
use crate::retry;
use crate::safe_url::HttpUrl;
use crate::span::{Span, SpanId};

/// A running span is split again only when both halves are worth a request, and when the cut lies
/// well beyond what its stream may have read since it last told: two blocks of a mebibyte.
const RESPLIT_BYTES_MIN: u64 = 4 * SPLIT_BYTES_MIN;

/// One connection, from its request to the end of its body.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) id: ConnId,
    /// The span that it fetches; `None` until the answer to a request for the whole has come.
    pub(super) span: Option<SpanId>,
    /// The first byte of the `Range` sent, if one was sent.
    pub(super) from: Option<u64>,
    /// One past the last byte of it.
    pub(super) until: Option<u64>,
    pub(super) url: HttpUrl,
    pub(super) redirects: u32,
    /// Every hop so far had the origin that the caller named.
    pub(super) is_same_origin: bool,
    /// Requests that the credentials went with.
    pub(super) answers: u32,
    pub(super) is_streaming: bool,
}

impl Download {
    /// Brings bytes, or goes on to finish when none is missing.
    pub(super) fn fetch(&mut self) {
        self.step = Step::Fetching;
        if self.spans.is_complete() {
            self.tell_resumed();
            return self.finish();
        }
        if self.is_overdue() {
            // Nothing is asked any more; what must be true after every input ends it.
            return;
        }
        if self.spans.is_empty() {
            self.open(None);
        } else {
            self.fill_connections();
        }
    }

    /// Opens connections for spans that nobody fetches, splitting when there are too few.
    pub(super) fn fill_connections(&mut self) {
        while self.connections.len() < self.connections_wanted {
            let Some(span) = self.idle_span().or_else(|| self.split_longest()) else {
                return;
            };
            self.open(Some(span));
        }
    }

    fn idle_span(&self) -> Option<SpanId> {
        let is_taken = |id| self.connections.iter().any(|c| c.span == Some(id));
        self.spans
            .iter()
            .find(|span| !span.is_complete() && !is_taken(span.id()))
            .map(|s| s.id())
    }

    /// Cuts the span with most missing in two; the answer is the new half.
    fn split_longest(&mut self) -> Option<SpanId> {
        if self.validator.if_range().is_none() || self.part.is_none() {
            return None;
        }
        let longest = self.spans.iter().max_by_key(|span| span.missing())?;
        let (id, received, missing) = (longest.id(), longest.received(), longest.missing()?);
        if missing < RESPLIT_BYTES_MIN {
            return None;
        }
        let middle = received + missing / 2;
        self.cut(id, middle - middle % SPLIT_BYTES_MIN)
    }

    fn cut(&mut self, id: SpanId, at: u64) -> Option<SpanId> {
        let rest = self.spans.split(id, at)?;
        if let Some(connection) = self.connections.iter().find(|c| c.span == Some(id)) {
            let conn = connection.id;
            if connection.is_streaming {
                self.act(Action::Limit { conn, until: at });
            }
        }
        Some(rest)
    }

    /// Spreads a file that has just begun over the wanted connections, in equal parts.
    pub(super) fn spread(&mut self) {
        let (Some(total), true) = (self.total, self.connections_wanted > 1) else {
            return;
        };
        if self.validator.if_range().is_none() || self.spans.len() > 1 {
            return;
        }
        let Some(first) = self.spans.iter().next() else {
            return;
        };
        let (mut id, received) = (first.id(), first.received());
        let wanted = u64::try_from(self.connections_wanted).unwrap_or(1);
        let parts = wanted.min(total / SPLIT_BYTES_MIN);
        for part in 1..parts {
            let at = total * part / parts;
            let at = at - at % 4096;
            if at <= received + RESPLIT_BYTES_MIN / 2 {
                continue;
            }
            let Some(rest) = self.cut(id, at) else { break };
            id = rest;
        }
        self.fill_connections();
    }

    fn open(&mut self, span: Option<SpanId>) {
        let id = ConnId(self.next_connection);
        self.next_connection += 1;
        let (from, until) = self.range_of(span);
        self.connections.push(Connection {
            id,
            span,
            from,
            until,
            url: self.spec.url.clone(),
            redirects: 0,
            is_same_origin: true,
            answers: 0,
            is_streaming: false,
        });
        self.ask(id);
    }

    /// The first byte to ask for and one past the last; no first one asks for the whole.
    fn range_of(&self, span: Option<SpanId>) -> (Option<u64>, Option<u64>) {
        let held = span.and_then(|id| self.spans.get(id));
        let is_last = held.is_none_or(|span| span.end() == self.total);
        let from = held
            .map(|span| span.received())
            .filter(|from| *from > 0 || !is_last);
        (from, held.and_then(|span| span.end()).filter(|_| !is_last))
    }

    /// Sends the request of a connection, the first time or again elsewhere or with credentials.
    pub(super) fn ask(&mut self, id: ConnId) {
        let Some(index) = self.connections.iter().position(|c| c.id == id) else {
            return;
        };
        let mut connection = self.connections[index].clone();
        if connection.from.is_some() {
            // Its span may have been cut since it asked last.
            (connection.from, connection.until) = self.range_of(connection.span);
        }
        let mut headers = Vec::new();
        for (name, value) in self.rules.headers_with(&self.spec.headers) {
            if redirect::keeps_header(name, connection.is_same_origin) {
                headers.push((name.clone(), value.clone()));
            }
        }
        if let Some(from) = connection.from {
            let last = connection
                .until
                .map_or(String::new(), |until| (until - 1).to_string());
            headers.push(("range".to_owned(), format!("bytes={from}-{last}")));
            if let Some(validator) = self.validator.if_range() {
                headers.push(("if-range".to_owned(), validator));
            }
        }
        if let Some(value) = self.authorization(&connection) {
            connection.answers += 1;
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            headers.push(("authorization".to_owned(), value));
        }
        let url = connection.url.clone();
        self.connections[index] = connection;
        self.counts.requests = self.counts.requests.saturating_add(1);
        self.act(Action::Ask(Ask {
            conn: id,
            url,
            headers,
        }));
    }

    pub(super) fn stream(&mut self, mut stream: Stream) {
        stream.is_last = self.brings_the_last(&stream);
        if let Some(connection) = self.connections.iter_mut().find(|c| c.id == stream.conn) {
            connection.is_streaming = true;
        }
        self.act(Action::Stream(stream));
    }

    /// Whether nothing is missing when this stream has come, and nobody else is asked meanwhile.
    fn brings_the_last(&self, stream: &Stream) -> bool {
        let own = self.span_of(stream.conn);
        let will_be_there = |span: &Span| {
            let until = match Some(span.id()) == own {
                true => stream.until,
                false => Some(span.received()),
            };
            until.is_some() && until == span.end()
        };
        self.connections_wanted == 1
            && self.connections.len() == 1
            && self.spans.iter().all(will_be_there)
    }

    pub(super) fn wrote(&mut self, conn: ConnId, received: u64, written: u64) {
        let Some(span) = self.span_of(conn) else {
            return;
        };
        let before = self.spans.written_bytes();
        // A stream that was limited while it ran may have gone on into the next span: those bytes
        // are right, but they are the next stream's to tell of.
        let end = self.spans.get(span).and_then(Span::end).unwrap_or(u64::MAX);
        self.spans.receive(span, received.min(end));
        self.spans.write(span, written.min(end));
        if self.spans.written_bytes() > before {
            self.attempts_failed = 0;
            self.answers.prove();
        }
    }

    pub(super) fn ended(&mut self, conn: ConnId, result: Result<(), Failure>) {
        let Some(span) = self.span_of(conn) else {
            return;
        };
        if self.step != Step::Fetching {
            self.forget(conn);
            return self.stopped_if_quiet();
        }
        let Some(held) = self.spans.get(span) else {
            // It was complete, and a sync joined it with the next one.
            self.forget(conn);
            return self.advance();
        };
        let (written, end) = (held.written(), held.end());
        let is_part = self
            .connections
            .iter()
            .any(|c| c.id == conn && c.from.is_some());
        match (result, end) {
            (Ok(()), None) if is_part => {
                // A server may send fewer bytes than asked for (RFC 9110 15.3.7), and without a
                // total only the next request shows whether these were the last.
                let message = format!("the answer ended at byte {written} of an unknown length");
                self.lose(conn, Failure::new(FailureKind::Disconnected, message), None);
            }
            (Ok(()), None) => {
                self.spans.set_total(written);
                self.total = Some(written);
                self.forget(conn);
                self.advance();
            }
            (Err(failure), Some(end))
                if written == end && failure.kind() == FailureKind::Protocol =>
            {
                // More came than was declared: nobody knows which of it is the file.
                self.forget(conn);
                self.leave(Leave::FailAndDiscard(failure));
            }
            (_, Some(end)) if written == end => {
                self.forget(conn);
                self.spans.join_complete();
                self.advance();
            }
            (Ok(()), Some(end)) => {
                let message = format!("the body ended at byte {written} of {end}");
                self.lose(conn, Failure::new(FailureKind::Disconnected, message), None);
            }
            (Err(failure), _) => self.lose(conn, failure, None),
        }
    }

    fn advance(&mut self) {
        if self.spans.is_complete() {
            self.finish();
        } else {
            self.fill_connections();
            if self.connections.is_empty() {
                self.fetch();
            }
        }
    }

    /// A connection is gone before its time.
    pub(super) fn lose(&mut self, conn: ConnId, failure: Failure, asked: Option<Duration>) {
        if !self.connections.iter().any(|c| c.id == conn) {
            return;
        }
        self.forget(conn);
        if self.step != Step::Fetching {
            return self.stopped_if_quiet();
        }
        let is_local = matches!(failure.kind(), FailureKind::File | FailureKind::NoSpace);
        if is_local {
            return self.fail(failure);
        }
        if self.connections.iter().any(|c| c.is_streaming) {
            // The others go on. One fewer is tried: this server may not want so many.
            self.connections_wanted = self.connections_wanted.saturating_sub(1).max(1);
            let delay = retry::delay(&self.rules, 1, asked, &mut self.jitter);
            self.reopen_at = Some(self.now.after(delay));
        } else if !self.connections.is_empty() {
            // Another request is still under way; its answer decides.
        } else if failure.is_transient() {
            self.retry(failure, asked);
        } else {
            self.fail(failure);
        }
    }

    pub(super) fn reopen_if_due(&mut self) {
        if self.reopen_at.is_some_and(|at| at <= self.now) {
            self.reopen_at = None;
            self.fill_connections();
        }
    }

    fn forget(&mut self, conn: ConnId) {
        if let Some(span) = self.span_of(conn) {
            self.spans.forget_unwritten(span);
        }
        self.connections.retain(|connection| connection.id != conn);
        if self
            .pending
            .as_ref()
            .is_some_and(|stream| stream.conn == conn)
        {
            self.pending = None;
        }
    }

    /// Ends every connection; what they still write goes to a file that is not used any more.
    pub(super) fn drop_connections(&mut self) {
        for connection in std::mem::take(&mut self.connections) {
            self.act(Action::Stop {
                conn: connection.id,
            });
        }
        self.reopen_at = None;
        self.pending = None;
    }

    fn span_of(&self, conn: ConnId) -> Option<SpanId> {
        self.connections.iter().find(|c| c.id == conn)?.span
    }
}
