//! tus 1.0.0 as its specification has it, with creation, creation-with-upload, deferred lengths,
//! checksums, expiration and termination.

use std::io;
use std::time::SystemTime;

use super::answer::Answer;
use super::asked::{Asked, Protocol, Step};
use super::behaviour::{AfterEnd, Behaviour, Conflict, Extension};
use super::digests::Digests;
use super::exchange::{Begun, Exchange, Intake, Taken, location};
use super::plain;
use super::store::{Claim, Refusal, Upload};
use crate::date::http_date;
use crate::wire::Coming;

const CONTENT_TYPE: &str = "application/offset+octet-stream";

/// What a request gets, or which upload its body goes into.
pub(super) fn begin<'a>(exchange: &Exchange<'a>) -> io::Result<Begun<'a>> {
    let begun = match exchange.step {
        Step::Create => create(exchange)?,
        Step::Append => append(exchange)?,
        Step::Status => Begun::Answered(status(exchange)),
        Step::Cancel => Begun::Answered(cancel(exchange)?),
        Step::Discover | Step::Whole => return plain::begin(exchange),
    };
    Ok(match begun {
        Begun::Answered(answer) => Begun::Answered(stamp(answer)),
        taking @ Begun::Taking(_) => taking,
    })
}

/// The answer to a body that has come as far as `taken` says.
pub(super) fn end(
    exchange: &Exchange<'_>,
    intake: &Intake<'_>,
    taken: Taken,
) -> io::Result<Answer> {
    let claim = &intake.claim;
    if !intake.digests.are_right() {
        claim.cut_to(intake.offset)?;
        return Ok(stamp(Answer::text(460, "checksum mismatch")));
    }
    if taken == Taken::TooLong {
        return Ok(stamp(Answer::text(413, "longer than its Upload-Length")));
    }
    let upload = claim.upload();
    let is_complete = upload.length_bytes == Some(upload.offset_bytes);
    if is_complete {
        claim.complete()?;
    }
    let mut answer = match &intake.location {
        Some(location) => Answer::new(201).with("Location", location),
        None => Answer::new(204),
    };
    if intake.location.is_none() || upload.offset_bytes > 0 {
        answer = answer.with("Upload-Offset", upload.offset_bytes);
    }
    if !is_complete {
        answer = expiring(exchange.behaviour, answer);
    } else if let Some(status) = exchange.behaviour.forgets_finished {
        claim.forget(status)?;
    }
    Ok(stamp(answer))
}

/// The fields of an answer to OPTIONS.
pub(super) fn describe(behaviour: &Behaviour, answer: Answer) -> Answer {
    let offered = behaviour.tus.as_deref().unwrap_or_default();
    let names: Vec<_> = offered.iter().map(|extension| extension.name()).collect();
    let mut answer = stamp(answer).with("Tus-Version", "1.0.0");
    if !names.is_empty() {
        answer = answer.with("Tus-Extension", names.join(","));
    }
    if behaviour.offers(Extension::Checksum) {
        answer = answer.with("Tus-Checksum-Algorithm", "sha1,sha256");
    }
    match behaviour.limits.size_max {
        Some(bytes) => answer.with("Tus-Max-Size", bytes),
        None => answer,
    }
}

/// The answer to a request of another version, or of none.
pub(super) fn unsupported() -> Answer {
    stamp(Answer::text(412, "ERR_UNSUPPORTED_VERSION")).with("Tus-Version", "1.0.0")
}

/// An answer with the version, which every answer has.
pub(super) fn stamp(answer: Answer) -> Answer {
    answer.with("Tus-Resumable", "1.0.0")
}

/// 409 for an upload that has `offset` bytes.
pub(super) fn conflict(exchange: &Exchange<'_>, offset: u64) -> Answer {
    let answer = stamp(Answer::text(409, "Upload-Offset conflict"));
    match exchange.behaviour.conflict {
        None | Some(Conflict::Bare) => answer,
        Some(Conflict::Offset | Conflict::Problem) => answer.with("Upload-Offset", offset),
    }
}

fn create<'a>(exchange: &Exchange<'a>) -> io::Result<Begun<'a>> {
    let (asked, behaviour) = (exchange.asked, exchange.behaviour);
    let refused = |status, text| Ok(Begun::Answered(Answer::text(status, text)));
    if !behaviour.offers(Extension::Creation) {
        return refused(405, "no creation");
    }
    let length = asked.number("upload-length");
    let is_deferred = asked.field("upload-defer-length") == Some("1")
        && behaviour.offers(Extension::CreationDeferLength);
    if length.is_some() == is_deferred {
        return refused(400, "Upload-Length or Upload-Defer-Length");
    }
    if is_over(behaviour, length) {
        return refused(413, "maximum size exceeded");
    }
    let has_body = asked.coming != Coming::Nothing;
    if has_body && !behaviour.offers(Extension::CreationWithUpload) {
        return refused(400, "a create has no body here");
    }
    if has_body && asked.field("content-type") != Some(CONTENT_TYPE) {
        return refused(415, "another Content-Type");
    }
    let Some(digests) = checksum(behaviour, asked) else {
        return refused(400, "an unknown checksum algorithm");
    };
    let claim = exchange.store.create(
        (Protocol::Tus, &asked.path),
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
        length_max: length.or(behaviour.limits.size_max),
        is_last: false,
        digests,
        location: Some(location),
    }))
}

fn append<'a>(exchange: &Exchange<'a>) -> io::Result<Begun<'a>> {
    let (asked, behaviour) = (exchange.asked, exchange.behaviour);
    let refused = |status, text| Ok(Begun::Answered(Answer::text(status, text)));
    if asked.field("content-type") != Some(CONTENT_TYPE) {
        return refused(415, "another Content-Type");
    }
    let Some(offset) = asked.number("upload-offset") else {
        return refused(400, "no Upload-Offset");
    };
    let Some(digests) = checksum(behaviour, asked) else {
        return refused(400, "an unknown checksum algorithm");
    };
    let (claim, upload) = match claim(exchange) {
        Ok(claimed) => claimed,
        Err(answer) => return Ok(Begun::Answered(answer)),
    };
    if upload.is_complete {
        match behaviour.after_end {
            AfterEnd::Refused => return refused(403, "the upload is finished"),
            AfterEnd::Tolerated if asked.coming == Coming::Nothing => {}
            AfterEnd::Tolerated => return refused(403, "the upload is finished"),
            AfterEnd::Destroys => {
                claim.forget(404)?;
                return refused(400, "the upload was finished");
            }
        }
    }
    if offset != upload.offset_bytes {
        return Ok(Begun::Answered(conflict(exchange, upload.offset_bytes)));
    }
    let told = asked.number("upload-length");
    let length = upload.length_bytes.or(told);
    if told.is_some() && told != length || length.is_some_and(|length| length < offset) {
        return refused(400, "another Upload-Length");
    }
    if is_over(behaviour, length) {
        return refused(413, "maximum size exceeded");
    }
    if let Some(length) = length {
        claim.set_length(length)?;
    }
    Ok(Begun::Taking(Intake {
        claim,
        offset,
        length_max: length.or(behaviour.limits.size_max),
        is_last: false,
        digests,
        location: None,
    }))
}

fn status(exchange: &Exchange<'_>) -> Answer {
    let (_claim, upload) = match claim(exchange) {
        Ok(claimed) => claimed,
        Err(answer) => return answer,
    };
    let mut answer = Answer::new(200)
        .with("Upload-Offset", upload.offset_bytes)
        .with("Cache-Control", "no-store");
    answer = match upload.length_bytes {
        Some(length) => answer.with("Upload-Length", length),
        None => answer.with("Upload-Defer-Length", 1),
    };
    if let Some(metadata) = upload.field("upload-metadata") {
        answer = answer.with("Upload-Metadata", metadata);
    }
    if upload.is_complete {
        answer
    } else {
        expiring(exchange.behaviour, answer)
    }
}

fn cancel(exchange: &Exchange<'_>) -> io::Result<Answer> {
    if !exchange.behaviour.offers(Extension::Termination) {
        return Ok(Answer::text(405, "no termination"));
    }
    match claim(exchange) {
        Ok((claim, _)) => {
            claim.forget(404)?;
            Ok(Answer::new(204))
        }
        Err(answer) => Ok(answer),
    }
}

fn claim<'a>(exchange: &Exchange<'a>) -> Result<(Claim<'a>, Upload), Answer> {
    exchange.claim().map_err(|refusal| match refusal {
        Refusal::Unknown => Answer::text(404, "no such upload"),
        Refusal::Gone(status) => Answer::text(status, "the upload is gone"),
        Refusal::Locked => Answer::text(423, "another request is about it"),
    })
}

/// The digests of a body; `None` for an algorithm that is not offered.
fn checksum(behaviour: &Behaviour, asked: &Asked) -> Option<Digests> {
    if !behaviour.offers(Extension::Checksum) {
        return Some(Digests::default());
    }
    Digests::of_checksum(asked.field("upload-checksum"))
}

fn is_over(behaviour: &Behaviour, length: Option<u64>) -> bool {
    let max = behaviour.limits.size_max.unwrap_or(u64::MAX);
    length.is_some_and(|length| length > max)
}

/// An answer about an unfinished upload.
fn expiring(behaviour: &Behaviour, answer: Answer) -> Answer {
    match behaviour.expires_in {
        Some(duration) if behaviour.offers(Extension::Expiration) => {
            answer.with("Upload-Expires", http_date(SystemTime::now() + duration))
        }
        Some(_) | None => answer,
    }
}
