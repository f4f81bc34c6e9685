//! What the head of an answer means for the machine that asked.

use crate::checkpoint::Part;
use crate::download::cadence::Marks;
use crate::download::connection::Connection;
use crate::download::{Action, ConnId, Download, Leave, News, PartPlan, PartUse, Step, Stream};
use crate::failure::{Failure, FailureKind};
use crate::http::content_disposition;
use crate::http::file_name::FileName;
use crate::http::framing::Framing;
use crate::http::head::ResponseHead;
use crate::http::redirect::{self, RedirectLimits, Redirectable};
use crate::http::repr_digest;
use crate::limits::RESTARTS_MAX;
use crate::resume::{self, Asked, Fresh, Verdict};
use crate::retry;
use crate::span::Spans;
use crate::task::Destination;

impl Download {
    pub(super) fn answered(&mut self, conn: ConnId, head: &ResponseHead) {
        let Some(connection) = self.connections.iter().find(|c| c.id == conn) else {
            return;
        };
        if self.step != Step::Fetching {
            return;
        }
        if self.is_asked_about(head.status) {
            return self.challenged(conn, head);
        }
        let asked = Asked {
            from: connection.from,
            until: connection.until,
            total: self.total,
            validator: &self.validator,
            allow_encoded: self.spec.allow_encoded,
            // While another connection may bring the file, an error of this one is not final.
            accept_error_status: self.spec.accept_error_status && self.connections.len() == 1,
            may_retry: retry::is_allowed(&self.rules, self.attempts_failed.saturating_add(1)),
        };
        match resume::decide(&asked, head, self.now) {
            Verdict::Continue { total, end } => self.go_on(conn, total, end),
            Verdict::Fresh(fresh) => self.start_fresh(conn, &fresh, head),
            Verdict::Restart(cause) => self.start_over(cause),
            Verdict::AlreadyComplete(total) => self.already_complete(conn, total),
            Verdict::Redirect => self.redirected(conn, head),
            Verdict::Challenge => self.challenged(conn, head),
            Verdict::Later(delay, failure) => {
                self.act(Action::Drain { conn });
                self.lose(conn, failure, delay);
            }
            Verdict::Fail(failure) => {
                self.act(Action::Drain { conn });
                self.lose(conn, failure, None);
            }
        }
    }

    fn go_on(&mut self, conn: ConnId, total: Option<u64>, end: u64) {
        if let (None, Some(total)) = (self.total, total) {
            self.total = Some(total);
            self.spans.set_total(total);
        }
        let Some(span) = self
            .connections
            .iter()
            .find(|c| c.id == conn)
            .and_then(|c| c.span)
        else {
            return;
        };
        let Some(held) = self.spans.get(span) else {
            return;
        };
        // Nobody knows what a body has beyond the range that it names.
        let (from, until) = (
            held.received(),
            held.end().map_or(end, |last| last.min(end)),
        );
        self.tell_resumed();
        self.stream(Stream {
            conn,
            from,
            until: Some(until),
            part: PartUse::Existing,
            is_last: false,
        });
        self.fill_connections();
    }

    pub(super) fn tell_resumed(&mut self) {
        let progress = self.progress();
        if progress.received_bytes > 0 && !std::mem::replace(&mut self.was_resumed, true) {
            self.act(Action::Tell(News::Resumed(progress)));
        }
    }

    /// What is held is about to be let go.
    pub(super) fn note_loss(&mut self) {
        self.has_lost_bytes |= self.progress().received_bytes > 0;
    }

    /// Tells that an attempt to go on begins at zero: what was held was of no use to the server.
    fn tell_loss(&mut self) {
        if std::mem::take(&mut self.has_lost_bytes) {
            self.act(Action::Tell(News::Resumed(self.progress())));
        }
    }

    fn start_fresh(&mut self, conn: ConnId, fresh: &Fresh, head: &ResponseHead) {
        let was_ranged = self
            .connections
            .iter()
            .any(|c| c.id == conn && c.from.is_some());
        let is_same = self.validator.same_as(&fresh.validator);
        if was_ranged && is_same {
            // The server ignores ranges: one stream shall bring everything.
            self.connections_wanted = 1;
            if self.streams_whole() {
                self.act(Action::Stop { conn });
                self.connections.retain(|c| c.id != conn);
                return self.fall_back_to_one();
            }
        } else if was_ranged && !resume::is_error(fresh.status) {
            self.restarts += 1;
            if self.restarts > RESTARTS_MAX {
                return self.give_up_unstable();
            }
            if self.restarts > 1 {
                // Perhaps each connection leads to another of several servers.
                self.connections_wanted = 1;
            }
        }
        if let (Some(expected), Some(total)) = (self.spec.length, fresh.total)
            && expected != total
        {
            return self.leave(Leave::FailAndDiscard(Failure::new(
                FailureKind::Integrity,
                format!("the server's file has {total} bytes, not the expected {expected}"),
            )));
        }
        let others: Vec<ConnId> = self
            .connections
            .iter()
            .map(|c| c.id)
            .filter(|other| *other != conn)
            .collect();
        for other in others {
            self.act(Action::Stop { conn: other });
        }
        self.connections.retain(|c| c.id == conn);
        self.adopt(fresh, head);
        self.tell_loss();
        let span = self.spans.iter().next().map(|span| span.id());
        if let Some(connection) = self.connections.first_mut() {
            connection.span = span;
            connection.from = None;
        }
        let plan = PartPlan {
            target: self.target(),
            collision: self.spec.collision,
            length: fresh.total,
            replaces: self.leftover.clone(),
        };
        let part = PartUse::Create(plan);
        self.stream_anew(Stream {
            conn,
            from: 0,
            until: fresh.total,
            part,
            is_last: false,
        });
    }

    /// Begins a new part file when the store claims nothing of an older one: the new one may get the
    /// old one's inode number, and then a crash would make the old claims true of it.
    fn stream_anew(&mut self, stream: Stream) {
        if !self.has_claims {
            return self.stream(stream);
        }
        self.pending = Some(stream);
        if !self.cadence.is_recording() {
            self.record_progress();
        }
    }

    /// A record ended while a new part file waits for the store to forget the older one.
    pub(super) fn try_pending(&mut self) {
        if self.has_claims {
            return self.record_progress();
        }
        if let Some(stream) = self.pending.take() {
            self.stream(stream);
        }
    }

    /// Takes on a representation of which nothing is held yet.
    fn adopt(&mut self, fresh: &Fresh, head: &ResponseHead) {
        self.note_loss();
        self.spans = Spans::empty(fresh.total);
        self.total = fresh.total;
        self.validator = fresh.validator.clone();
        self.status = Some(fresh.status);
        self.length_unverified = fresh.framing == Framing::UntilClose;
        self.offered_digests = repr_digest::from_head(head);
        if let Some(part) = self.part.take() {
            self.leftover = Some(part);
        }
        self.cadence.start(self.now, Marks::default());
        if self.file_name.is_none() && matches!(self.spec.destination, Destination::Directory(_)) {
            let disposition = content_disposition::from_head(head);
            let name = FileName::choose(disposition.as_deref(), self.spec.url.as_url());
            self.file_name = Some(name.as_str().to_owned());
        }
    }

    fn streams_whole(&self) -> bool {
        self.connections
            .iter()
            .any(|c| c.is_streaming && c.from.is_none())
    }

    fn fall_back_to_one(&mut self) {
        self.connections_wanted = 1;
        let whole = self
            .connections
            .iter()
            .find(|c| c.is_streaming && c.from.is_none());
        let Some((conn, Some(span))) = whole.map(|c| (c.id, c.span)) else {
            return;
        };
        if let Some(until) = self.spans.absorb_following(span) {
            self.act(Action::Limit { conn, until });
        }
        // A stream that another server answered with a part may go on.
        let (kept, useless): (Vec<Connection>, Vec<Connection>) =
            std::mem::take(&mut self.connections)
                .into_iter()
                .partition(|c| {
                    c.is_streaming && c.span.is_some_and(|span| self.spans.get(span).is_some())
                });
        self.connections = kept;
        for connection in useless {
            self.act(Action::Stop {
                conn: connection.id,
            });
        }
    }

    pub(super) fn part_ready(&mut self, part: Part) {
        self.part = Some(part);
        self.leftover = None;
        if self.step == Step::Fetching {
            self.spread();
        }
    }

    fn already_complete(&mut self, conn: ConnId, total: u64) {
        self.act(Action::Drain { conn });
        self.connections.retain(|c| c.id != conn);
        if self.total.is_none() {
            self.total = Some(total);
            self.spans.set_total(total);
        }
        self.fetch();
    }

    fn redirected(&mut self, conn: ConnId, head: &ResponseHead) {
        let Some(index) = self.connections.iter().position(|c| c.id == conn) else {
            return;
        };
        let connection = &self.connections[index];
        let request = Redirectable {
            url: &connection.url,
            method: "GET",
            followed: connection.redirects,
            limits: RedirectLimits {
                redirects_max: self.rules.redirects_max,
                allow_downgrade: self.spec.allow_downgrade,
            },
        };
        let next = redirect::next(&request, head);
        self.act(Action::Drain { conn });
        match next {
            Ok(None) => {
                let message = format!("a redirect with status {} leads nowhere", head.status);
                self.lose(conn, Failure::new(FailureKind::Redirect, message), None);
            }
            Ok(Some(next)) => {
                let connection = &mut self.connections[index];
                connection.is_same_origin &= next.same_origin;
                connection.redirects += 1;
                connection.url = next.url;
                self.counts.redirects = self.counts.redirects.saturating_add(1);
                self.ask(conn);
            }
            Err(error) => {
                self.lose(
                    conn,
                    Failure::new(FailureKind::Redirect, error.to_string()),
                    None,
                );
            }
        }
    }
}
