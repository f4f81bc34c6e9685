//! The IETF draft in all its interop versions: draft-ietf-httpbis-resumable-upload.

use std::io;

use super::answer::Answer;
use super::asked::{Protocol, Step, completeness_field};
use super::behaviour::{AfterEnd, Behaviour, Conflict, Limits};
use super::digests::{Digests, is_represented};
use super::exchange::{Begun, Exchange, Intake, Taken, location};
use super::plain;
use super::store::{Claim, Refusal, Upload};
use crate::wire::Coming;

/// What an append must be from version 6 on.
pub(super) const CONTENT_TYPE: &str = "application/partial-upload";

/// What a request gets, or which upload its body goes into.
pub(super) fn begin<'a>(exchange: &Exchange<'a>, interop: u16) -> io::Result<Begun<'a>> {
    match exchange.step {
        Step::Create => create(exchange, interop),
        Step::Append => append(exchange, interop),
        Step::Status => Ok(Begun::Answered(status(exchange, interop))),
        Step::Cancel => cancel(exchange).map(Begun::Answered),
        Step::Whole if exchange.store.knows(exchange.asked.name()) => {
            let refused = Answer::text(400, "is it complete?");
            Ok(Begun::Answered(refused))
        }
        Step::Discover | Step::Whole => plain::begin(exchange),
    }
}

/// The answer to a body that has come as far as `taken` says.
pub(super) fn end(
    exchange: &Exchange<'_>,
    interop: u16,
    intake: &Intake<'_>,
    taken: Taken,
) -> io::Result<Answer> {
    let (claim, behaviour) = (&intake.claim, exchange.behaviour);
    let upload = claim.upload();
    let is_reached = upload.length_bytes == Some(upload.offset_bytes);
    let is_last = intake.is_last && taken == Taken::Whole;
    if taken == Taken::TooLong || (is_last && upload.length_bytes.is_some() && !is_reached) {
        if interop >= 8 {
            claim.forget(404)?;
        }
        return Ok(inconsistent(interop));
    }
    if !intake.digests.are_right() {
        claim.cut_to(intake.offset)?;
        return Ok(Answer::text(400, "Content-Digest mismatch"));
    }
    let completes_at_length = behaviour.completes_at_length.unwrap_or(interop >= 9);
    let is_complete = is_last || (is_reached && completes_at_length);
    if !is_complete {
        return Ok(acknowledge(exchange, interop, intake, false));
    }
    if !is_represented(upload.field("repr-digest"), &upload.file)? {
        claim.forget(404)?;
        return Ok(Answer::text(400, "Repr-Digest mismatch"));
    }
    claim.complete()?;
    let answer = acknowledge(exchange, interop, intake, true);
    if let Some(status) = behaviour.forgets_finished {
        claim.forget(status)?;
    }
    Ok(answer)
}

/// 409 for an upload that has `offset` bytes.
pub(super) fn conflict(exchange: &Exchange<'_>, interop: u16, offset: u64) -> Answer {
    let by_the_book = if interop >= 6 {
        Conflict::Problem
    } else {
        Conflict::Offset
    };
    let provided = exchange.asked.number("upload-offset").unwrap_or_default();
    let members = [("expected-offset", offset), ("provided-offset", provided)];
    let answer = match exchange.behaviour.conflict.unwrap_or(by_the_book) {
        Conflict::Bare => return Answer::text(409, "ERR_MISMATCHED_OFFSET"),
        Conflict::Offset => Answer::text(409, "mismatched offset"),
        Conflict::Problem => Answer::problem(409, "mismatching-upload-offset", &members),
    };
    incomplete(exchange, interop, answer.with("Upload-Offset", offset))
}

/// `Upload-Limit` as this server tells it.
pub(super) fn limit(behaviour: &Behaviour, interop: u16) -> String {
    behaviour.limits.field(interop, behaviour.expires_in)
}

/// Whether there is nothing to say in `Upload-Limit`.
pub(super) fn is_unlimited(behaviour: &Behaviour) -> bool {
    behaviour.limits == Limits::default() && behaviour.expires_in.is_none()
}

fn create<'a>(exchange: &Exchange<'a>, interop: u16) -> io::Result<Begun<'a>> {
    let (asked, behaviour) = (exchange.asked, exchange.behaviour);
    let is_last = asked.completeness(interop) == Some(true);
    let Ok(length) = length(exchange, interop, 0, None) else {
        return Ok(Begun::Answered(inconsistent(interop)));
    };
    let limits = behaviour.limits;
    if length.is_some_and(|length| length > limits.size_max.unwrap_or(u64::MAX)) {
        return Ok(Begun::Answered(limited(exchange, interop, 413)));
    }
    if length.is_some_and(|length| length < limits.size_min.unwrap_or_default()) {
        return Ok(Begun::Answered(limited(exchange, interop, 400)));
    }
    let claim = exchange.store.create(
        (Protocol::Ietf(interop), &asked.path),
        &asked.fields,
        exchange.connection.handle(),
    )?;
    if let Some(length) = length {
        claim.set_length(length)?;
    }
    let location = location(exchange, &claim.upload().name);
    Ok(Begun::Taking(Intake {
        claim,
        offset: 0,
        length_max: length.or(limits.size_max),
        is_last,
        digests: Digests::of_content(asked.field("content-digest")),
        location: Some(location),
    }))
}

fn append<'a>(exchange: &Exchange<'a>, interop: u16) -> io::Result<Begun<'a>> {
    let (asked, behaviour) = (exchange.asked, exchange.behaviour);
    let answered = |answer| Ok(Begun::Answered(answer));
    if interop >= 6 && asked.field("content-type") != Some(CONTENT_TYPE) {
        return answered(Answer::text(415, "another Content-Type"));
    }
    let Some(offset) = asked.number("upload-offset") else {
        return answered(Answer::text(400, "no Upload-Offset"));
    };
    let (claim, upload) = match claim(exchange) {
        Ok(claimed) => claimed,
        Err(answer) => return answered(answer),
    };
    if upload.is_complete
        && let Some(answer) = after_end(exchange, interop, &claim)?
    {
        return answered(answer);
    }
    if offset != upload.offset_bytes {
        return answered(conflict(exchange, interop, upload.offset_bytes));
    }
    let Ok(length) = length(exchange, interop, offset, upload.length_bytes) else {
        return answered(inconsistent(interop));
    };
    let is_last = asked.completeness(interop) == Some(true);
    if let Coming::Bytes(bytes) = asked.coming {
        let limits = behaviour.limits;
        if bytes > limits.append_max.unwrap_or(u64::MAX) {
            return answered(limited(exchange, interop, 413));
        }
        if !is_last && bytes < limits.append_min.unwrap_or_default() {
            return answered(limited(exchange, interop, 400));
        }
    }
    if let Some(length) = length {
        claim.set_length(length)?;
    }
    Ok(Begun::Taking(Intake {
        claim,
        offset,
        length_max: length.or(behaviour.limits.size_max),
        is_last,
        digests: Digests::of_content(asked.field("content-digest")),
        location: None,
    }))
}

/// What an append to a finished upload gets; `None` if it is taken.
fn after_end(
    exchange: &Exchange<'_>,
    interop: u16,
    claim: &Claim<'_>,
) -> io::Result<Option<Answer>> {
    let is_empty = exchange.asked.coming == Coming::Nothing;
    Ok(match exchange.behaviour.after_end {
        AfterEnd::Tolerated if is_empty => None,
        AfterEnd::Tolerated | AfterEnd::Refused if interop >= 8 && !is_empty => {
            Some(inconsistent(interop))
        }
        AfterEnd::Tolerated | AfterEnd::Refused => {
            Some(Answer::problem(400, "completed-upload", &[]))
        }
        AfterEnd::Destroys => {
            claim.forget(404)?;
            Some(Answer::text(400, "the upload was complete"))
        }
    })
}

fn status(exchange: &Exchange<'_>, interop: u16) -> Answer {
    let (name, complete) = completeness_field(interop);
    let asked = exchange.asked;
    if interop <= 5 && (asked.field("upload-offset").is_some() || asked.field(name).is_some()) {
        return Answer::text(400, "a question has no answer in it");
    }
    let (_claim, upload) = match claim(exchange) {
        Ok(claimed) => claimed,
        Err(answer) => return answer,
    };
    let value = if upload.is_complete {
        complete
    } else {
        negated(complete)
    };
    let answer = Answer::new(204)
        .with("Upload-Offset", upload.offset_bytes)
        .with(name, value)
        .with("Cache-Control", "no-store");
    if interop <= 5 {
        return answer;
    }
    let answer = match upload.length_bytes {
        Some(length) => answer.with("Upload-Length", length),
        None => answer,
    };
    answer.with("Upload-Limit", limit(exchange.behaviour, interop))
}

fn cancel(exchange: &Exchange<'_>) -> io::Result<Answer> {
    match claim(exchange) {
        Ok((claim, _)) => {
            claim.forget(404)?;
            Ok(Answer::new(204))
        }
        Err(answer) => Ok(answer),
    }
}

fn claim<'a>(exchange: &Exchange<'a>) -> Result<(Claim<'a>, Upload), Answer> {
    let destroys = exchange.behaviour.after_end == AfterEnd::Destroys;
    exchange.claim().map_err(|refusal| match refusal {
        Refusal::Unknown => Answer::text(404, "no such upload"),
        Refusal::Gone(_) if destroys && exchange.step == Step::Append => {
            Answer::text(400, "the upload was complete")
        }
        Refusal::Gone(status) => Answer::text(status, "the upload is gone"),
        Refusal::Locked => Answer::text(423, "another request is about it"),
    })
}

/// How long the upload will be by all that has been said of it: by `known`, by `Upload-Length`, and
/// by a last body of known length that begins at `offset`. An error when these differ.
fn length(
    exchange: &Exchange<'_>,
    interop: u16,
    offset: u64,
    known: Option<u64>,
) -> Result<Option<u64>, ()> {
    let asked = exchange.asked;
    let body = match asked.coming {
        Coming::Nothing => Some(0),
        Coming::Bytes(bytes) => Some(bytes),
        Coming::Chunk(_) => None,
    };
    let is_last = asked.completeness(interop) == Some(true);
    let implied = body.filter(|_| is_last).map(|bytes| offset + bytes);
    let told = [known, asked.number("upload-length"), implied];
    let mut told = told.into_iter().flatten();
    let Some(length) = told.next() else {
        return Ok(None);
    };
    // A body over the end is seen before it is read.
    let fits = body.is_none_or(|bytes| offset + bytes <= length);
    if fits && told.all(|other| other == length) {
        Ok(Some(length))
    } else {
        Err(())
    }
}

/// The answer to a body that has come as it should.
fn acknowledge(
    exchange: &Exchange<'_>,
    interop: u16,
    intake: &Intake<'_>,
    is_complete: bool,
) -> Answer {
    let behaviour = exchange.behaviour;
    let is_create = intake.location.is_some();
    let mut answer = match behaviour.tells_completion {
        Some(true) | None if is_complete => plain::outcome(exchange),
        _ if is_create || interop <= 5 => Answer::new(201),
        _ => Answer::new(204),
    };
    // Where the draft leaves it open, its examples are followed.
    let tells_completion = match behaviour.tells_completion {
        Some(tells) => tells,
        None if is_complete => interop >= 9 || (interop >= 6 && !is_create),
        None => true,
    };
    if let Some(location) = &intake.location
        && !(is_complete && tells_completion)
    {
        answer = answer.with("Location", location);
        if interop >= 6 {
            answer = answer.with("Upload-Limit", limit(behaviour, interop));
        }
    }
    if interop <= 6 || behaviour.tells_offset {
        answer = answer.with("Upload-Offset", intake.claim.upload().offset_bytes);
    }
    let (name, complete) = completeness_field(interop);
    match (tells_completion, is_complete) {
        (true, true) => answer.with(name, complete),
        (true, false) => answer.with(name, negated(complete)),
        (false, _) => answer,
    }
}

/// An answer to an append that has changed nothing.
fn incomplete(exchange: &Exchange<'_>, interop: u16, answer: Answer) -> Answer {
    let (name, complete) = completeness_field(interop);
    if interop >= 6 && exchange.behaviour.tells_completion != Some(false) {
        answer.with(name, negated(complete))
    } else {
        answer
    }
}

/// A refusal by a limit, which it tells.
fn limited(exchange: &Exchange<'_>, interop: u16, status: u16) -> Answer {
    let answer = Answer::text(status, "a limit");
    if interop >= 6 {
        answer.with("Upload-Limit", limit(exchange.behaviour, interop))
    } else {
        answer
    }
}

fn inconsistent(interop: u16) -> Answer {
    if interop >= 7 {
        Answer::problem(400, "inconsistent-upload-length", &[])
    } else {
        Answer::text(400, "inconsistent length")
    }
}

fn negated(boolean: &str) -> &'static str {
    if boolean == "?1" { "?0" } else { "?1" }
}
