//! One request to a server for uploads, from its head to the answer and what it did to an upload.

use std::io::{self, ErrorKind};

use super::answer::{Answer, Style, head};
use super::asked::{Asked, Protocol, Step, completeness_field};
use super::behaviour::{Behaviour, CutAppends, Interim, InterimVersion, Location, Rejection};
use super::digests::Digests;
use super::fault::{Act, End};
use super::store::{Claim, Refusal, Store, Upload};
use super::{discovery, ietf, plain, tus};
use crate::gate::{Gate, Passage};
use crate::log::Log;
use crate::reasons::reason;
use crate::wire::{Coming, Connection};

/// How much of a body is read at once: the log is that fine.
const PIECE_BYTES: usize = 64 * 1024;
/// How much of each body the log keeps. The upload has the rest.
const LOGGED_BYTES_MAX: usize = 64 * 1024;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request may come.
    KeepAlive,
    /// End it with a FIN, and with a RST to whatever still comes.
    Fin,
    /// End it with a RST.
    Reset,
    /// End it with a FIN when the client has ended it.
    Linger,
}

/// What a request is served with.
pub(super) struct Exchange<'a> {
    pub(super) store: &'a Store,
    pub(super) behaviour: &'a Behaviour,
    pub(super) connection: &'a mut Connection,
    pub(super) log: &'a Log,
    /// The log's entry of the request.
    pub(super) ticket: usize,
    pub(super) asked: &'a Asked,
    pub(super) step: Step,
    pub(super) act: Option<Act>,
    /// What must stand in `Authorization`.
    pub(super) credentials: Option<&'a str>,
}

/// What a protocol makes of a head.
pub(super) enum Begun<'a> {
    /// An answer; a body is not wanted.
    Answered(Answer),
    /// The body belongs to an upload.
    Taking(Intake<'a>),
}

/// A body on its way into an upload.
pub(super) struct Intake<'a> {
    pub(super) claim: Claim<'a>,
    /// Where it begins.
    pub(super) offset: u64,
    /// The upload may not get longer.
    pub(super) length_max: Option<u64>,
    /// It ends the upload.
    pub(super) is_last: bool,
    pub(super) digests: Digests,
    /// Where the new upload is, for creates.
    pub(super) location: Option<String>,
}

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// To its end.
    Whole,
    /// To the end of the upload, and it went on.
    TooLong,
    /// As far as the server wanted.
    Part,
}

/// What has ended the reading of a body.
enum Flow {
    Taken(Taken),
    Cut(End),
}

impl<'a> Exchange<'a> {
    /// Serves the request. An error is a client that went away.
    pub(super) fn perform(mut self) -> io::Result<After> {
        if let Some(answer) = self.interfere()? {
            return self.reject(&answer);
        }
        if let Some(Act::Raw(bytes)) = &self.act {
            self.connection.write_all(bytes)?;
            return Ok(After::Fin);
        }
        if self.step == Step::Discover {
            return self.reject(&discovery::answer(self.behaviour, self.asked));
        }
        let begun = match self.asked.protocol {
            Protocol::Tus => tus::begin(&self)?,
            Protocol::Ietf(interop) => ietf::begin(&self, interop)?,
            Protocol::Plain => plain::begin(&self)?,
        };
        match begun {
            Begun::Answered(answer) => self.reject(&answer),
            Begun::Taking(intake) => self.take(intake),
        }
    }

    /// What happens before anybody looks at the request; an answer ends it.
    fn interfere(&self) -> io::Result<Option<Answer>> {
        match &self.act {
            Some(Act::HoldHead(gate)) => pass(gate)?,
            Some(Act::Forget(status)) => self.store.forget(Some(self.asked.name()), *status),
            Some(Act::Regress(offset)) => self.store.regress(self.asked.name(), *offset)?,
            Some(Act::Answer(answer)) => return Ok(Some(self.stamp(answer.clone()))),
            Some(Act::Conflict) => {
                let offset = self.store.offset(self.asked.name());
                return Ok(Some(match self.asked.protocol {
                    Protocol::Ietf(interop) => ietf::conflict(self, interop, offset),
                    Protocol::Tus => tus::conflict(self, offset),
                    Protocol::Plain => Answer::text(409, "a conflict"),
                }));
            }
            _ => {}
        }
        let Some(credentials) = self.credentials else {
            return Ok(None);
        };
        if self.asked.field("authorization") == Some(credentials) {
            return Ok(None);
        }
        let scheme = credentials.split(' ').next().unwrap_or_default();
        let refused = Answer::text(401, "who are you?")
            .with("WWW-Authenticate", format!("{scheme} realm=\"uploads\""));
        Ok(Some(self.stamp(refused)))
    }

    /// The upload of the path.
    pub(super) fn claim(&self) -> Result<(Claim<'a>, Upload), Refusal> {
        let (name, connection) = (self.asked.name(), self.connection.handle());
        let concurrency = self.behaviour.concurrency;
        let claim = self.store.claim(name, connection, concurrency)?;
        let upload = claim.upload();
        Ok((claim, upload))
    }

    /// Reads the body into its upload and answers.
    fn take(&mut self, mut intake: Intake<'a>) -> io::Result<After> {
        self.announce(&intake)?;
        let taken = match self.read_into(&mut intake) {
            Ok(Flow::Taken(taken)) => taken,
            Ok(Flow::Cut(end)) => {
                self.settle_cut(&intake)?;
                return Ok(after(end));
            }
            Err(error) => {
                self.settle_cut(&intake)?;
                return Err(error);
            }
        };
        if matches!(self.behaviour.interim, Interim::AfterBody | Interim::Nginx) {
            self.say_location(&intake)?;
        }
        let answer = match self.asked.protocol {
            Protocol::Tus => tus::end(self, &intake, taken)?,
            Protocol::Ietf(interop) => ietf::end(self, interop, &intake, taken)?,
            Protocol::Plain => plain::end(self, &intake)?,
        };
        // Whoever sees the answer may claim the upload, and whoever waits may look at it.
        drop(intake);
        self.log.update(self.ticket, |_| ());
        self.answer(&self.falsify(answer), taken)
    }

    /// Reads pieces until the body ends, may not go on, or a fault is due.
    fn read_into(&mut self, intake: &mut Intake<'a>) -> io::Result<Flow> {
        let mut coming = self.asked.coming;
        let mut buffer = vec![0; PIECE_BYTES];
        let mut read = 0;
        let mut told = 0;
        loop {
            let mut limit = buffer.len() as u64;
            match &self.act {
                Some(Act::Cut(bytes, end)) if read == *bytes => {
                    if *end == End::Reset {
                        self.connection.withhold()?;
                    }
                    return Ok(Flow::Cut(*end));
                }
                Some(Act::Acknowledge(bytes)) if read == *bytes => {
                    return Ok(Flow::Taken(Taken::Part));
                }
                Some(Act::HoldAt(bytes, gate)) if read == *bytes => {
                    intake.claim.park(true)?;
                    pass(gate)?;
                    intake.claim.park(false)?;
                }
                Some(Act::Cut(bytes, _) | Act::Acknowledge(bytes) | Act::HoldAt(bytes, _))
                    if read < *bytes =>
                {
                    limit = limit.min(bytes - read);
                }
                _ => {}
            }
            let left = intake.length_max.map(|max| max - (intake.offset + read));
            if left == Some(0) {
                // Nothing more fits; is there more?
                return Ok(Flow::Taken(
                    match self.connection.read_piece(&mut coming, &mut buffer[..1])? {
                        0 => Taken::Whole,
                        _ => Taken::TooLong,
                    },
                ));
            }
            let limit = limit.min(left.unwrap_or(u64::MAX)) as usize;
            let count = self
                .connection
                .read_piece(&mut coming, &mut buffer[..limit])?;
            if count == 0 {
                return Ok(Flow::Taken(Taken::Whole));
            }
            if read == 0 && matches!(self.act, Some(Act::Damage)) {
                buffer[0] ^= 0xff;
            }
            intake.digests.update(&buffer[..count]);
            intake.claim.append(&buffer[..count])?;
            read += count as u64;
            self.note(&buffer[..count]);
            told = self.tell_progress(intake.offset, read, told)?;
        }
    }

    /// What a cut leaves of the upload.
    fn settle_cut(&self, intake: &Intake<'_>) -> io::Result<()> {
        match self.behaviour.cut_appends {
            _ if self.asked.protocol == Protocol::Plain => intake.claim.discard()?,
            CutAppends::Dropped => intake.claim.cut_to(intake.offset)?,
            CutAppends::Completed if intake.is_last => intake.claim.complete()?,
            CutAppends::Completed | CutAppends::Kept => {}
        }
        self.log.update(self.ticket, |entry| entry.is_cut = true);
        Ok(())
    }

    /// Says what is to be said before the body is read.
    fn announce(&self, intake: &Intake<'_>) -> io::Result<()> {
        let expects = self.asked.field("expect");
        if expects.is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            let head = head("HTTP/1.1", 100, reason(100), &[]);
            self.connection.write_all(&head)?;
        }
        match self.behaviour.interim {
            Interim::BeforeBody | Interim::Progress { .. } => self.say_location(intake),
            Interim::Never | Interim::AfterBody | Interim::Nginx => Ok(()),
        }
    }

    /// Says 104 with the URL of a new upload.
    fn say_location(&self, intake: &Intake<'_>) -> io::Result<()> {
        let (Protocol::Ietf(interop), Some(location)) = (self.asked.protocol, &intake.location)
        else {
            return Ok(());
        };
        let mut fields = vec![("Location".to_owned(), location.clone())];
        if interop >= 6 {
            fields.push(("Upload-Limit".into(), ietf::limit(self.behaviour, interop)));
        }
        if self.behaviour.interim == Interim::Nginx {
            fields.push(("Server".into(), "nginx".into()));
            fields.push(("Connection".into(), "keep-alive".into()));
        }
        self.say_interim(interop, fields)
    }

    /// Says 104 with the offset, if enough has come since `told`; up to where it is told.
    fn tell_progress(&self, offset: u64, read: u64, told: u64) -> io::Result<u64> {
        let (Protocol::Ietf(interop), Interim::Progress { every_bytes }) =
            (self.asked.protocol, self.behaviour.interim)
        else {
            return Ok(told);
        };
        if read - told < every_bytes {
            return Ok(told);
        }
        let field = ("Upload-Offset".to_owned(), (offset + read).to_string());
        self.say_interim(interop, vec![field])?;
        Ok(read)
    }

    fn say_interim(&self, interop: u16, mut fields: Vec<(String, String)>) -> io::Result<()> {
        let version = match self.behaviour.interim_version {
            InterimVersion::Echoed => Some(interop),
            InterimVersion::Other(version) => Some(version),
            InterimVersion::Missing => None,
        };
        fields.extend(version.map(|version| {
            (
                "Upload-Draft-Interop-Version".to_owned(),
                version.to_string(),
            )
        }));
        let head = head("HTTP/1.1", 104, reason(104), &fields);
        if !self.behaviour.is_interim_split {
            return self.connection.write_all(&head);
        }
        head.chunks(1)
            .try_for_each(|byte| self.connection.write_all(byte))
    }

    /// The answer as the server falsifies it.
    fn falsify(&self, answer: Answer) -> Answer {
        match (&self.act, self.asked.protocol) {
            (Some(Act::ClaimOffset(offset)), _) => {
                answer.set("Upload-Offset", Some(offset.to_string()))
            }
            (Some(Act::ClaimComplete), Protocol::Ietf(interop)) => {
                let (name, complete) = completeness_field(interop);
                answer.set(name, Some(complete.into()))
            }
            (Some(Act::ClaimComplete), Protocol::Tus) => {
                let offset = answer
                    .fields
                    .iter()
                    .find(|(name, _)| name == "Upload-Offset");
                let offset = offset.map(|(_, value)| value.clone());
                answer.set("Upload-Length", offset)
            }
            (Some(_) | None, _) => answer,
        }
    }

    /// Answers a request of whose body as much was read as was wanted.
    fn answer(&self, answer: &Answer, taken: Taken) -> io::Result<After> {
        match &self.act {
            // A cut is still due when there was no body to cut.
            Some(Act::Withhold(end) | Act::Cut(0, end)) => return Ok(after(*end)),
            Some(Act::HoldAnswer(gate)) => pass(gate)?,
            _ => {}
        }
        // What nginx has taken the 104 for has no end but that of the connection.
        let is_nginx = self.step == Step::Create
            && self.behaviour.interim == Interim::Nginx
            && matches!(self.asked.protocol, Protocol::Ietf(_));
        let is_http10 = is_nginx || self.asked.is_http10;
        let is_last = is_nginx || self.asked.is_last || taken != Taken::Whole;
        self.send(
            answer,
            Style {
                version: if is_http10 { "HTTP/1.0" } else { "HTTP/1.1" },
                is_last,
                is_head: self.asked.method == "HEAD",
            },
        )?;
        Ok(match taken {
            Taken::Whole if is_last => After::Fin,
            Taken::Whole => After::KeepAlive,
            Taken::TooLong | Taken::Part => After::Linger,
        })
    }

    /// Answers a request whose body, if it has one, is not wanted.
    fn reject(&mut self, answer: &Answer) -> io::Result<After> {
        let answer = self.falsify(answer.clone());
        let has_body = self.asked.coming != Coming::Nothing;
        if !has_body {
            return self.answer(&answer, Taken::Whole);
        }
        if self.behaviour.rejection == Rejection::AfterBody {
            self.drain()?;
            return self.answer(&answer, Taken::Whole);
        }
        let after = self.answer(&answer, Taken::Part)?;
        Ok(match (after, self.behaviour.rejection) {
            (After::Linger, Rejection::Abrupt) => After::Fin,
            (after, Rejection::AtOnce | Rejection::Abrupt | Rejection::AfterBody) => after,
        })
    }

    /// Reads a body that goes nowhere.
    fn drain(&mut self) -> io::Result<()> {
        let mut coming = self.asked.coming;
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            match self.connection.read_piece(&mut coming, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.note(&buffer[..count]),
                Err(error) => {
                    self.log.update(self.ticket, |entry| entry.is_cut = true);
                    return Err(error);
                }
            }
        }
    }

    fn send(&self, answer: &Answer, style: Style) -> io::Result<()> {
        // First: whoever has the answer may look into the log.
        self.log.update(self.ticket, |entry| {
            entry.status = Some(answer.status);
            entry.body_sent = answer.body.len() as u64;
        });
        self.connection.write_all(&answer.bytes(style))
    }

    /// Adds a piece of the body to the log.
    fn note(&self, piece: &[u8]) {
        self.log.update(self.ticket, |entry| {
            let room = LOGGED_BYTES_MAX.saturating_sub(entry.body.len());
            let logged = &piece[..piece.len().min(room)];
            std::sync::Arc::make_mut(&mut entry.body).extend_from_slice(logged);
            entry.body_received += piece.len() as u64;
        });
    }

    /// An answer with what its protocol wants in every answer.
    fn stamp(&self, answer: Answer) -> Answer {
        if self.asked.protocol == Protocol::Tus {
            tus::stamp(answer)
        } else {
            answer
        }
    }
}

/// The URL of the upload `name`, as the server writes it. Its host is the one that was asked for: a
/// proxy's, if there is one.
pub(super) fn location(exchange: &Exchange<'_>, name: &str) -> String {
    let asked = exchange.asked;
    let scheme = asked.field("x-forwarded-proto").unwrap_or("http");
    let host = asked.field("host").unwrap_or_default();
    let path = format!("/uploads/{name}");
    match &exchange.behaviour.location {
        Location::Absolute => format!("{scheme}://{host}{path}"),
        Location::Path => path,
        Location::Network => format!("//{host}{path}"),
        Location::Under(prefix) => format!("{prefix}{path}"),
    }
}

fn after(end: End) -> After {
    match end {
        End::Fin => After::Fin,
        End::Reset => After::Reset,
    }
}

/// Waits at `gate`; an error when the server stops meanwhile.
fn pass(gate: &Gate) -> io::Result<()> {
    match gate.pass(None) {
        Passage::Opened => Ok(()),
        Passage::Abandoned | Passage::TimedOut => Err(ErrorKind::Interrupted.into()),
    }
}
