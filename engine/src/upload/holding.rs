//! The place of an upload at its server: where it is, how much is there, and when it is gone.

use crate::download::News;
use crate::failure::{Failure, FailureKind};
use crate::http::head::ResponseHead;
use crate::http::redirect;
use crate::limits::RESTARTS_MAX;
use crate::resume::status_failure;
use crate::safe_url::HttpUrl;
use crate::upload::appending::nothing_acknowledged;
use crate::upload::lost::outcome_unknown;
use crate::upload::operation::{Act, Dialect, Held, Operation};
use crate::upload::protocol::{Evidence, TusExtensions};
use crate::upload::{Action, Remote, RequestId, Unheard, Upload};

/// An answer and the request that it is to.
pub(super) type Answer<'a> = (RequestId, &'a ResponseHead);

impl Upload {
    /// The server has made a place.
    pub(super) fn created(&mut self, answer: Answer<'_>, held: Held) {
        let Operation::Place(dialect, Act::Create(brought)) = self.operation else {
            // No other answer means that a place was made.
            return;
        };
        if let Err(failure) = self.adopt(dialect, answer.1) {
            return self.fail(failure);
        }
        self.note_terms(&held);
        if held.offset.is_none() && brought > 0 {
            return self.ask_after(answer);
        }
        let offset = Some(held.offset.unwrap_or(0));
        self.held(answer, Held { offset, ..held });
    }

    /// The server says how much it has.
    pub(super) fn held(&mut self, answer: Answer<'_>, held: Held) {
        if self.remote.is_none() {
            return self.held_without_place(answer, held);
        }
        self.note_terms(&held);
        if let Err(failure) = self.learn(&held) {
            return self.fail(failure);
        }
        let (before, reached) = (self.body(), self.acknowledged());
        let is_question = matches!(self.operation, Operation::Place(_, Act::Offset));
        if reached == self.length() && self.is_completed(&held) {
            return self.done(answer);
        }
        if is_question {
            // Nothing was completed there: so says the server.
            self.unheard = Unheard::Nothing;
            self.tell_resumed();
        }
        if matches!(self.operation, Operation::Whole { .. }) && held.offset.is_none() {
            return self.ask_after(answer);
        }
        let is_append = matches!(self.operation, Operation::Place(_, Act::Append(_)));
        if is_append && reached <= before.0 && self.is_conflict_too_many() {
            return self.fail(nothing_acknowledged());
        }
        self.lengthen_pieces();
        self.drain(answer.0);
        self.append();
    }

    /// The answer to the caller's own request says how much the server has, and no 104 said where.
    fn held_without_place(&mut self, answer: Answer<'_>, held: Held) {
        if let Err(failure) = self.check(&held) {
            return self.fail(failure);
        }
        let is_whole = held.offset.is_none_or(|offset| offset == self.length());
        if is_whole && held.is_complete != Some(false) && self.is_all_sent() {
            return self.done(answer);
        }
        let Operation::Whole {
            offer: Some(version),
        } = self.operation
        else {
            return;
        };
        if self.adopt(Dialect::Ietf(version), answer.1).is_err() {
            return self.fail(Failure::new(
                FailureKind::Protocol,
                "the server has a part of the file and does not say where the rest may go",
            ));
        }
        let remote = self.remote.as_ref();
        if let Some(remote) = remote {
            self.agree(remote.protocol, Evidence::Interim);
        }
        self.held(answer, held);
    }

    /// The server takes the upload to be complete, and has said its last word on it.
    pub(super) fn judge_final(&mut self, answer: Answer<'_>, held: Held) {
        let (offset, length) = self.body();
        if !(200..300).contains(&answer.1.status) {
            return self.fail(status_failure(answer.1.status));
        }
        if let Operation::Place(dialect, Act::Create(_)) = self.operation {
            // It is to be removed below. Where it is not said, it can not be.
            let _ = self.adopt(dialect, answer.1);
        }
        let reached = held.offset.unwrap_or(offset + self.sent.min(length));
        let held = Held {
            offset: Some(reached),
            ..held
        };
        match self.check(&held) {
            Ok(()) => {
                self.note_acknowledged(reached);
                self.done(answer);
            }
            Err(failure) => self.fail(failure),
        }
    }

    /// Takes in how much the server has.
    ///
    /// # Errors
    /// When that can not be, or when it has lost too much.
    pub(super) fn learn(&mut self, held: &Held) -> Result<(), Failure> {
        self.check(held)?;
        let Some(offset) = held.offset else {
            return Ok(());
        };
        let (start, _) = self.body();
        let is_question = matches!(self.operation, Operation::Place(_, Act::Offset));
        let is_tus = matches!(self.operation, Operation::Place(Dialect::Tus, _));
        if is_tus && !is_question && offset > start + self.sent {
            return Err(Failure::new(
                FailureKind::Protocol,
                "the server acknowledged bytes that were not sent",
            ));
        }
        if offset < self.acknowledged() {
            let is_too_much = self.oddities.went_back || self.restarts >= RESTARTS_MAX;
            self.oddities.went_back = true;
            self.restarts = self.restarts.saturating_add(1);
            if is_too_much {
                return Err(Failure::new(
                    FailureKind::Protocol,
                    "the server lost bytes that it had acknowledged, more than once",
                ));
            }
        }
        self.note_acknowledged(offset);
        Ok(())
    }

    /// # Errors
    /// When what the server has can not be a part of this file.
    fn check(&self, held: &Held) -> Result<(), Failure> {
        let length = self.length();
        let has_other_length = held.length.is_some_and(|other| other != length);
        let is_beyond = held.offset.is_some_and(|offset| offset > length);
        let is_short =
            held.is_complete == Some(true) && held.offset.is_some_and(|offset| offset != length);
        match has_other_length || is_beyond || is_short {
            true => Err(Failure::new(
                FailureKind::Integrity,
                "the server has another length of the file than it was told",
            )),
            false => Ok(()),
        }
    }

    pub(super) fn note_acknowledged(&mut self, offset: u64) {
        let Some(remote) = &mut self.remote else {
            return;
        };
        let has_grown = offset > remote.acknowledged;
        remote.acknowledged = offset;
        if has_grown {
            self.advanced();
        }
    }

    /// More of the file is acknowledged than ever: what went wrong before is over.
    pub(super) const fn advanced(&mut self) {
        self.attempts_failed = 0;
        self.oddities.conflicts = 0;
        self.oddities.mismatches = 0;
        self.oddities.lock_wait = None;
    }

    /// Whether an upload of which the server has every byte is complete there.
    fn is_completed(&self, held: &Held) -> bool {
        match self.operation {
            Operation::Place(Dialect::Tus, _) => true,
            Operation::Place(Dialect::Ietf(_), Act::Append(piece)) => {
                held.is_complete.unwrap_or(piece.is_last)
            }
            Operation::Whole { .. } => held.is_complete.unwrap_or(self.is_all_sent()),
            Operation::Place(Dialect::Ietf(_), _) | Operation::Discover | Operation::SeeOther => {
                held.is_complete == Some(true)
            }
        }
    }

    /// Takes the place that an answer names for that of this upload.
    ///
    /// # Errors
    /// When it names none, or one where it may not be.
    pub(super) fn adopt(&mut self, dialect: Dialect, head: &ResponseHead) -> Result<(), Failure> {
        if self.remote.is_some() {
            return Ok(());
        }
        let url = self.place_named(head)?;
        let extensions = self.negotiation.extensions;
        let checks = extensions.and_then(|known| known.checksum);
        let terminates = |known: TusExtensions| known.termination;
        let is_tus = dialect == Dialect::Tus;
        self.remote = Some(Remote {
            protocol: dialect.protocol(),
            url,
            acknowledged: 0,
            limits: self.negotiation.limits,
            expires_at: None,
            can_terminate: !is_tus || extensions.is_none_or(terminates),
            checksum: self.spec.checksum.and(checks).filter(|_| is_tus),
            piece_max: None,
        });
        Ok(())
    }

    fn place_named(&self, head: &ResponseHead) -> Result<HttpUrl, Failure> {
        let refused = |why: &str| {
            let message = format!("the server made a place for the upload, {why}");
            Failure::new(FailureKind::Redirect, message)
        };
        let mut places = head.headers.get_all("location");
        let place = places.next().filter(|place| !place.is_empty());
        let place = place.ok_or_else(|| refused("and does not say where it is"))?;
        if places.any(|other| other != place) {
            return Err(refused("and says that it is at several"));
        }
        let url = self.hop.url.join(place);
        let url = url.map_err(|error| refused(&error.to_string()))?.url;
        if self.hop.url.is_https() && !url.is_https() && !self.spec.allow_downgrade {
            return Err(refused(
                "where everybody on the way can read and change it (http)",
            ));
        }
        // Whoever was asked on the way may be anybody, and what is sent to the caller's own origin
        // goes with the caller's secrets.
        let is_home = redirect::same_origin(self.spec.url.as_url(), url.as_url());
        match is_home && !self.hop.is_same_origin {
            true => Err(refused("at an origin that it does not speak for")),
            false => Ok(url),
        }
    }

    /// What a server allows, and until when.
    pub(super) fn note_terms(&mut self, held: &Held) {
        let Some(remote) = &mut self.remote else {
            return;
        };
        if let Some(limits) = held.limits {
            // What was found out by a refusal is not told.
            let found = remote.limits.append_max;
            remote.limits = limits;
            remote.limits.append_max = match (found, limits.append_max) {
                (Some(found), Some(told)) => Some(found.min(told)),
                (found, told) => found.or(told),
            };
        }
        remote.expires_at = held.expires_at.or(remote.expires_at);
    }

    /// There is no such upload any more.
    pub(super) fn gone(&mut self, (request, head): Answer<'_>) {
        let is_tus = matches!(self.operation, Operation::Place(Dialect::Tus, _));
        let may_begin_again = match is_tus {
            true => self.unheard != Unheard::Completion || self.is_declared_repeatable(),
            false => self.is_repeatable(),
        };
        // It would be so with the next one too.
        let is_ended = self.oddities.ended_unsaid;
        if is_ended || (!may_begin_again && self.unheard == Unheard::Completion) {
            return self.fail(outcome_unknown());
        }
        if !may_begin_again || self.restarts >= RESTARTS_MAX {
            return self.fail(status_failure(head.status));
        }
        self.restarts += 1;
        self.remote = None;
        self.unheard = Unheard::Nothing;
        self.drain(request);
        // What was there counts no more: it begins at the first byte.
        self.begin_request(Operation::Whole { offer: None });
        let progress = self.progress();
        self.act(Action::Tell(News::Resumed(progress)));
        self.negotiate();
    }

    /// Tells once that it goes on with what an earlier transfer has sent.
    fn tell_resumed(&mut self) {
        if self.negotiation.is_recorded() && !self.negotiation.is_resumed {
            self.negotiation.is_resumed = true;
            let progress = self.progress();
            self.act(Action::Tell(News::Resumed(progress)));
        }
    }
}
