//! What the final answer means for an upload: first what is the same in every protocol, then what the
//! table of the one that is spoken makes of it.

use std::time::Duration;

use crate::authorizer::{Applicant, Verdict};
use crate::failure::{Failure, FailureKind};
use crate::http::head::ResponseHead;
use crate::http::retry_after;
use crate::limits::{RESPONSE_BODY_BYTES_MAX, RESPONSE_HEADER_BYTES_MAX};
use crate::resume::status_failure;
use crate::task::{Outcome, Uploaded};
use crate::upload::operation::{Act, Heard, Meaning, Operation};
use crate::upload::{Action, Leave, RequestId, Step, Unheard, Upload};

/// Fields of an answer that are not kept: they are of use to nobody but whoever steals them.
const SECRET_FIELDS: [&str; 3] = ["authentication-info", "set-cookie", "set-cookie2"];

impl Upload {
    /// The table of answers. One that came while the body still flowed has ended it, and is obeyed
    /// like any other.
    pub(super) fn answered(&mut self, request: RequestId, head: &ResponseHead) {
        let is_of_caller = !matches!(
            self.operation,
            Operation::Discover | Operation::Place(_, Act::Terminate)
        );
        match head.status {
            301 | 302 | 303 | 307 | 308 => self.redirected(request, head),
            401 | 407 => self.challenged(request, head),
            status if is_of_caller && self.is_asked_about(status) => {
                self.challenged(request, head);
            }
            417 if self.expects_continue() => {
                // RFC 9110 section 15.5.18: the same again without the expectation.
                self.oddities.refuses_expectations = true;
                self.drain(request);
                self.ask_again();
            }
            status => match self.operation {
                Operation::Discover => {
                    self.drain(request);
                    self.discovered(Some(head));
                }
                Operation::Place(_, Act::Terminate) => self.answered_removal(request, status),
                Operation::Whole { .. }
                | Operation::SeeOther
                | Operation::Place(_, Act::Create(_) | Act::Offset | Act::Append(_)) => {
                    self.meant(request, head);
                }
            },
        }
    }

    fn meant(&mut self, request: RequestId, head: &ResponseHead) {
        let heard = Heard {
            head,
            sent: self.sent,
            now: self.now,
        };
        let meaning = self.operation.meaning(&heard);
        if meaning == Meaning::Refused && self.may_discover_after(head.status) {
            self.drain(request);
            return self.discover_after(head.status);
        }
        if meaning == Meaning::OtherVersion {
            return self.met_tus((request, head));
        }
        self.settle_offer();
        let answer = (request, head);
        match meaning {
            Meaning::Taken => self.taken(answer),
            Meaning::Created(held) => self.created(answer, held),
            Meaning::Held(held) => self.held(answer, held),
            Meaning::Final(held) => self.judge_final(answer, held),
            Meaning::Unsaid => {
                self.note_unheard();
                self.oddities.ended_unsaid = self.unheard == Unheard::Completion;
                self.ask_after(answer);
            }
            Meaning::Conflict(offset) => self.conflicted(answer, offset),
            Meaning::Locked => self.locked(head),
            Meaning::Gone => self.gone(answer),
            Meaning::Mismatched => self.mismatched(answer),
            Meaning::TooLarge => self.too_large(answer),
            Meaning::MethodRefused => self.method_refused(answer),
            Meaning::Later => self.put_off(head),
            Meaning::OtherVersion => self.met_tus(answer),
            Meaning::Refused => self.fail(status_failure(head.status)),
            Meaning::Broken(why) => self.fail(Failure::new(
                FailureKind::Protocol,
                format!(
                    "the server answered an upload with status {}, which can not be obeyed: {why}",
                    head.status
                ),
            )),
        }
    }

    /// A success that says nothing of uploads: the caller's own request was taken.
    fn taken(&mut self, (request, head): (RequestId, &ResponseHead)) {
        if self.is_all_sent() {
            self.remember_taken();
            return self.done((request, head));
        }
        if self.remote.is_some() {
            return self.ask_after((request, head));
        }
        // A success for bytes that the server can not have: it does not say what it means.
        let (sent, length, status) = (self.sent, self.length(), head.status);
        let message =
            format!("the server answered {status} after {sent} of {length} bytes and took no more");
        self.note_unheard();
        self.lose(Failure::new(FailureKind::Protocol, message), None);
    }

    /// Not now: 408, 425, 429 and the errors of servers that may pass.
    fn put_off(&mut self, head: &ResponseHead) {
        let failure = status_failure(head.status);
        let is_refusal = matches!(head.status, 425 | 429 | 503);
        let has_flowed = self.sent > 0 || self.body().1 == 0;
        let is_of_caller = self.remote.is_none()
            && !self.is_repeatable()
            && match self.operation {
                Operation::SeeOther => true,
                Operation::Whole { .. } => !is_refusal && has_flowed,
                Operation::Discover | Operation::Place(_, _) => false,
            };
        // The server, or what is before it, may have given up after it had acted.
        if is_of_caller || !is_refusal {
            self.note_unheard();
        }
        if is_of_caller {
            return self.fail(failure);
        }
        self.lose(failure, self.asked_delay(head));
    }

    pub(super) fn asked_delay(&self, head: &ResponseHead) -> Option<Duration> {
        retry_after::from_head(head, self.now.as_unix_secs())
    }

    /// The server has acknowledged every byte, and this is its last word.
    pub(super) fn done(&mut self, (request, head): (RequestId, &ResponseHead)) {
        self.answer = Some(Uploaded {
            status: head.status,
            bytes: self.length(),
            headers: kept_fields(head),
            response: Vec::new(),
        });
        match self.operation {
            // The answer to a question about the upload is none to the upload.
            Operation::Place(_, Act::Offset) => {
                self.drain(request);
                self.act(Action::ReleasePlace);
                self.confirm();
            }
            Operation::Discover
            | Operation::Whole { .. }
            | Operation::SeeOther
            | Operation::Place(_, Act::Create(_) | Act::Append(_) | Act::Terminate) => {
                self.step = Step::Receiving;
                self.act(Action::Receive(request));
            }
        }
    }

    pub(super) fn received(&mut self, mut response: Vec<u8>) {
        if self.step != Step::Receiving {
            return;
        }
        response.truncate(RESPONSE_BODY_BYTES_MAX);
        if let Some(answer) = &mut self.answer {
            answer.response = response;
        }
        self.act(Action::ReleasePlace);
        self.confirm();
    }

    /// Looks at the file once more: what the server has shall be what it is.
    fn confirm(&mut self) {
        self.step = Step::Confirming;
        let path = self.spec.source.clone();
        self.act(Action::Inspect(path));
    }

    pub(super) fn finish(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.close(Outcome::Uploaded(answer));
        }
    }

    /// An answer wants credentials, or its status is one that the owner is asked about.
    fn challenged(&mut self, request: RequestId, head: &ResponseHead) {
        let applicant = Applicant::of_upload(&self.spec, &self.rules, &self.answers);
        let asked = (applicant, self.hop.petition());
        let verdict = self.authorizer.challenged(head, asked, &mut self.jitter);
        self.drain(request);
        match verdict {
            Verdict::Show => self.ask_again(),
            Verdict::Ask(_) if self.termination.is_some() => self.removed(),
            Verdict::Ask(asked) => self.leave(Leave::Authorization(asked)),
            Verdict::Fail(failure) => self.fail(failure),
        }
    }

    /// The same again, unless a place was named meanwhile: what is there is not to come twice.
    fn ask_again(&mut self) {
        let makes_place = matches!(
            self.operation,
            Operation::Whole { .. } | Operation::Place(_, Act::Create(_))
        );
        match makes_place && self.remote.is_some() {
            true => self.ask_place(),
            false => self.ask(),
        }
    }

    fn is_asked_about(&self, status: u16) -> bool {
        Applicant::of_upload(&self.spec, &self.rules, &self.answers).is_asked_about(status)
    }
}

/// The fields of an answer that its owner gets: text, in the order received, without secrets, as many
/// as fit.
fn kept_fields(head: &ResponseHead) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    let mut bytes = 0;
    for (name, value) in head.headers.iter() {
        let Ok(value) = std::str::from_utf8(value) else {
            continue;
        };
        if SECRET_FIELDS.contains(&name) {
            continue;
        }
        bytes += name.len() + value.len();
        if bytes > RESPONSE_HEADER_BYTES_MAX {
            break;
        }
        kept.push((name.to_owned(), value.to_owned()));
    }
    kept
}
