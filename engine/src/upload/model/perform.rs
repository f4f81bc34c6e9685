//! What the machine says is done, and the network, with the rules that every request must keep.

use super::server::Early;
use super::server::{Kind, field, head, length_of};
use super::trouble::{Deed, deed};
use super::wire::Wire;
use super::world::World;
use crate::checksum::{Digest, blake3};
use crate::download::{Exit, News};
use crate::failure::{Failure, FailureKind};
use crate::http::head::ResponseHead;
use crate::resume_data::ResumeData;
use crate::task::{Desired, Outcome};
use crate::upload::{Action, Ask, Input, RequestId, Unheard, Upload, UploadProtocol};

impl World {
    /// Performs all that the machine says; its exit when it is done.
    pub(super) fn perform_all(&mut self, machine: &mut Upload) -> Option<Exit> {
        while let Some(action) = machine.poll() {
            if let Action::Exit(exit) = action {
                assert!(machine.poll().is_none(), "the exit is the last action");
                return Some(exit);
            }
            self.perform(action);
        }
        None
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Inspect(_) => {
                if self.is_troubled() && self.dice.percent(1) {
                    self.file += 1;
                }
                let found = self.source();
                self.replies.push(Input::Inspected(Ok(found)));
            }
            Action::Digest {
                offset,
                length,
                algorithm,
            } => {
                self.summary.note("digest");
                assert!(offset + length <= self.length);
                let bytes = blake3(&offset.to_be_bytes()).repeat(2);
                let digest = Digest::new(algorithm, bytes[..algorithm.digest_bytes()].to_vec());
                self.replies
                    .push(Input::Digested(Ok(digest.expect("its length"))));
            }
            Action::Record(checkpoint) => {
                assert!(self.record.is_none(), "two records are under way");
                self.record = Some(*checkpoint);
            }
            Action::Ask(ask) => self.begin(ask),
            Action::Proceed(request) => self.proceed(request),
            Action::Remember(capability) => self.remember(capability),
            Action::Stop(_) => self.hang_up(),
            Action::Drain(_) | Action::ReleasePlace => {}
            Action::Receive(_) => self.replies.push(Input::Received(b"ok".to_vec())),
            Action::Seal => {
                self.summary.note("sealed");
                let result = match self.dice.percent(80) {
                    true => Ok(ResumeData::from_bytes(vec![1]).expect("it is short")),
                    false => Err(Failure::new(FailureKind::NoSpace, "full")),
                };
                self.replies.push(Input::Sealed(result));
            }
            Action::Close(outcome) => {
                assert!(self.outcome.is_none(), "it ends once");
                self.check_left(&outcome);
                self.outcome = Some(outcome.clone());
                self.replies.push(Input::Closed(outcome));
            }
            Action::Tell(News::Progress(progress)) => {
                assert!(progress.acknowledged_bytes <= progress.sent_bytes);
                assert!(progress.sent_bytes <= progress.total_bytes.unwrap_or(0));
            }
            Action::Tell(News::Phase(_) | News::Negotiated(_) | News::Resumed(_)) => {}
            Action::Exit(_) => unreachable!("handled by the caller"),
        }
    }

    /// Something is left to the owner: only of a file that is on record, and only when it asked.
    fn check_left(&self, outcome: &Outcome) {
        match outcome {
            Outcome::CancelledResumable(_) => {
                assert_eq!(self.desired, Desired::CancelledResumable);
                assert!(
                    self.recorded_file().is_some(),
                    "of a file that nobody knows"
                );
            }
            Outcome::Failed(failure) if failure.resume_data().is_some() => {
                assert!(self.rules.resume_data_on_failure && self.recorded_file().is_some());
                assert_ne!(failure.kind(), FailureKind::SourceChanged);
            }
            Outcome::Failed(_)
            | Outcome::Cancelled
            | Outcome::Uploaded(_)
            | Outcome::Finished(_)
            | Outcome::Skipped(_) => {}
        }
    }

    fn begin(&mut self, ask: Ask) {
        assert!(self.wire.is_none(), "two requests at once");
        self.check(&ask);
        let deed = match self.is_troubled() {
            true => deed(&ask, &self.server, &mut self.dice),
            false => Deed::Answer,
        };
        let mut wire = Wire {
            goal: goal(&deed, &ask),
            deed,
            file: self.file,
            sent: 0,
            interims: Vec::new(),
            place: None,
            is_held: false,
            ask,
        };
        self.plan_interims(&mut wire);
        self.wire = Some(wire);
    }

    /// What must be true of every request before a byte of it goes.
    fn check(&mut self, ask: &Ask) {
        let is_at_home = ask.url.as_str().starts_with("https://origin.example/");
        let has_secret = ask.headers.iter().any(|(_, value)| value.contains("hush"));
        assert!(is_at_home || !has_secret, "a secret leaves its origin");
        let place = self.stored.as_ref().and_then(|known| known.remote.clone());
        if ask.url != self.spec.url && self.server.place_of(ask).is_none() {
            self.summary.note("redirect");
        }
        if ask.method == "DELETE" {
            self.summary.note("DELETE");
            let is_changed = self.recorded_file() != Some(self.file);
            let is_cancelled = self.desired == Desired::Cancelled;
            assert!(
                is_cancelled || is_changed || self.is_spoilt,
                "it was of use"
            );
            return;
        }
        if field(ask, "x-http-method-override").is_some() {
            self.summary.note("PATCH as POST");
        }
        let Some(body) = ask.body else { return };
        assert_eq!(
            self.recorded_file(),
            Some(self.file),
            "another file is sent"
        );
        let known = self.stored.as_ref().expect("it is recorded");
        if self.server.place_of(ask).is_some() {
            let place = place.expect("bytes flow to a place that is not on record");
            assert_eq!(place.url, ask.url);
            let is_last = body.offset + body.length == self.length;
            assert!(
                !is_last || known.unheard == Unheard::Completion,
                "the end is not recorded"
            );
            return;
        }
        let says_more = field(ask, "upload-complete") == Some("?0")
            || field(ask, "upload-incomplete") == Some("?1");
        let is_creation = says_more || field(ask, "tus-resumable").is_some();
        let is_proven = self.spec.protocol != UploadProtocol::Auto
            || self.server.kind == Kind::Tus
            || (self.server.kind != Kind::Plain && self.server.ways.answers_options);
        assert!(
            !is_creation || is_proven,
            "an empty request to a server that proved nothing"
        );
        let is_repeatable = self.spec.is_repeatable || self.spec.method == "PUT";
        let is_ahead = is_creation || is_repeatable || known.unheard == Unheard::Creation;
        assert!(
            is_ahead,
            "a request that must not be repeated is not on record"
        );
    }

    /// A server of the draft names the place of an upload before its answer.
    fn plan_interims(&mut self, wire: &mut Wire) {
        let Kind::Ietf(version) = self.server.kind else {
            return;
        };
        let is_target = self.server.place_of(&wire.ask).is_none() && wire.ask.body.is_some();
        let is_at_home = wire.ask.url.as_str().starts_with("https://origin.example/");
        if !is_target || !is_at_home {
            return;
        }
        let offered = field(&wire.ask, "upload-draft-interop-version").map(str::to_owned);
        let named = |version: u16, location| {
            let fields = vec![
                ("upload-draft-interop-version", version.to_string()),
                location,
            ];
            head(104, fields)
        };
        match self.server.ways.early {
            Early::Never => {}
            Early::OfAnotherVersion if offered.is_some() => {
                let is_six = offered.as_deref() == Some("6");
                let other = if is_six { 5 } else { 6 };
                let at = named(other, ("location", "/up/999".to_owned()));
                self.summary.note("104 of another version");
                wire.interims.push((0, at));
            }
            Early::BeforeTheBody | Early::AfterTheBody if self.server.is_offered(&wire.ask) => {
                let number = self.server.make_place(&wire.ask);
                wire.place = Some(number);
                let is_late = self.server.ways.early == Early::AfterTheBody;
                let after = if is_late { length_of(&wire.ask) } else { 0 };
                self.summary
                    .note(if is_late { "104 after the body" } else { "104" });
                let location = self.server.location(number);
                wire.interims.push((after, named(version, location)));
            }
            Early::BeforeTheBody | Early::AfterTheBody | Early::OfAnotherVersion => {}
        }
    }

    fn proceed(&mut self, request: RequestId) {
        let Some(wire) = self
            .wire
            .as_mut()
            .filter(|wire| wire.ask.request == request)
        else {
            return;
        };
        assert!(wire.is_held, "nothing waits");
        wire.is_held = false;
        if wire.place.is_some() {
            let known = self.stored.as_ref().expect("it is recorded");
            assert!(
                known.remote.is_some(),
                "bytes flow to a place that is not on record"
            );
        }
    }

    /// The request goes a step on.
    pub(super) fn flow(&mut self, machine: &mut Upload) {
        let Some(wire) = &mut self.wire else { return };
        let request = wire.ask.request;
        if let Some((after, _)) = wire.interims.first()
            && *after <= wire.goal
        {
            wire.sent = wire.sent.max(*after);
            let (_, head) = wire.interims.remove(0);
            wire.is_held = true;
            return machine.handle(self.now, Input::Interim { request, head });
        }
        if wire.sent < wire.goal && self.dice.percent(50) {
            wire.sent += (wire.goal - wire.sent).div_ceil(2);
            let bytes = wire.sent;
            if self.dice.percent(50) {
                machine.handle(self.now, Input::Sent { request, bytes });
            }
            return;
        }
        wire.sent = wire.goal;
        let wire = self.wire.take().expect("it is there");
        let sent = wire.sent;
        let input = match self.end(&wire) {
            Ok(head) => Input::Head {
                request,
                head,
                sent,
            },
            Err(failure) => Input::AskFailed {
                request,
                failure,
                sent,
            },
        };
        machine.handle(self.now, input);
    }

    /// What comes of a request whose bytes have gone as far as they go.
    fn end(&mut self, wire: &Wire) -> Result<ResponseHead, Failure> {
        let broken = || Failure::new(FailureKind::Disconnected, "it broke");
        match &wire.deed {
            Deed::Answer => Ok(self.obey(wire)),
            Deed::LoseAnswer => {
                self.summary.note("lost answer");
                self.obey(wire);
                Err(broken())
            }
            Deed::HideAnswer(status) => {
                self.obey(wire);
                Ok(head(*status, Vec::new()))
            }
            Deed::Refuse(_, head) => {
                self.note_refusal(head.status);
                let is_file = self.server.place_of(&wire.ask).is_none()
                    && field(&wire.ask, "tus-resumable").is_none()
                    && wire.ask.body.is_some_and(|body| body.length == self.length);
                let looks_taken = matches!(head.status, 200..=299 | 303);
                if looks_taken && is_file && wire.is_whole() {
                    self.obey(wire);
                } else {
                    self.cut(wire);
                }
                Ok(head.clone())
            }
            Deed::Cut(_) => {
                self.cut(wire);
                Err(broken())
            }
            Deed::TakeLess(bytes) => {
                self.summary.note("short acknowledgement");
                Ok(self.take_less(wire, *bytes))
            }
            Deed::CompleteShort(_) => {
                if let Some(number) = self.server.place_of(&wire.ask) {
                    self.cut(wire);
                    self.summary.note("complete too early");
                    self.server.places[number].is_complete = true;
                    self.is_spoilt = true;
                }
                Err(broken())
            }
            Deed::Forget => {
                self.summary.note("gone");
                self.is_spoilt = true;
                if let Some(number) = self.server.place_of(&wire.ask) {
                    self.server.places[number].is_gone = true;
                }
                Ok(self.obey(wire))
            }
            Deed::SourceChanges(_) => {
                self.cut(wire);
                self.file += 1;
                Err(Failure::new(FailureKind::SourceChanged, "it changed"))
            }
        }
    }

    fn obey(&mut self, wire: &Wire) -> ResponseHead {
        let head = self.server.answer(&wire.ask, wire.file, wire.place);
        self.note_refusal(head.status);
        head
    }

    fn note_refusal(&mut self, status: u16) {
        match status {
            409 => self.summary.note("409"),
            413 => self.summary.note("413"),
            423 => self.summary.note("423"),
            460 => self.summary.note("460"),
            _ => {}
        }
    }

    /// The server has got a part of a body: it keeps that, or not.
    fn cut(&mut self, wire: &Wire) {
        let Some(number) = self.server.place_of(&wire.ask).or(wire.place) else {
            return;
        };
        let place = &mut self.server.places[number];
        let is_append = matches!(wire.ask.method.as_str(), "PATCH" | "POST" | "PUT");
        let fits = field(&wire.ask, "upload-offset").is_none_or(|at| at == place.held.to_string());
        if !is_append || place.is_complete || place.is_gone || !fits {
            return;
        }
        if self.server.ways.keeps_cuts && !wire.is_whole() {
            self.summary.note("cut and kept");
            place.take(wire.sent, wire.file);
        } else {
            self.summary.note("cut and dropped");
        }
    }

    /// The server takes less than came, and says so.
    fn take_less(&mut self, wire: &Wire, bytes: u64) -> ResponseHead {
        let number = self.server.place_of(&wire.ask).expect("it is at a place");
        let place = &mut self.server.places[number];
        let held = place.held.to_string();
        let fits = field(&wire.ask, "upload-offset") == Some(&held);
        if place.is_gone || place.is_complete || !fits || !self.server.ways.knows_patch {
            return self.obey(wire);
        }
        place.take(bytes, wire.file);
        let held = self.server.places[number].held;
        head(204, vec![("upload-offset", held.to_string())])
    }

    /// The machine hears of every byte that has gone.
    pub(super) fn tell_sent(&self, machine: &mut Upload) {
        if let Some(wire) = &self.wire {
            let (request, bytes) = (wire.ask.request, wire.sent);
            machine.handle(self.now, Input::Sent { request, bytes });
        }
    }

    /// The connection is no more. What was on it arrives, or some of it.
    pub(super) fn hang_up(&mut self) {
        let Some(wire) = self.wire.take() else { return };
        let can_finish = wire.is_whole() && wire.interims.is_empty() && !wire.is_held;
        match &wire.deed {
            Deed::Answer if can_finish && self.dice.percent(50) => {
                self.obey(&wire);
            }
            Deed::Answer
            | Deed::Refuse(_, _)
            | Deed::Cut(_)
            | Deed::LoseAnswer
            | Deed::HideAnswer(_)
            | Deed::TakeLess(_)
            | Deed::CompleteShort(_)
            | Deed::Forget
            | Deed::SourceChanges(_) => self.cut(&wire),
        }
    }
}

impl Wire {
    /// Every byte of the body has gone.
    fn is_whole(&self) -> bool {
        self.sent == length_of(&self.ask)
    }
}

/// How many bytes go before something happens.
fn goal(deed: &Deed, ask: &Ask) -> u64 {
    match deed {
        Deed::Refuse(bytes, _)
        | Deed::Cut(bytes)
        | Deed::CompleteShort(bytes)
        | Deed::SourceChanges(bytes) => *bytes,
        Deed::Answer
        | Deed::LoseAnswer
        | Deed::HideAnswer(_)
        | Deed::TakeLess(_)
        | Deed::Forget => length_of(ask),
    }
}
