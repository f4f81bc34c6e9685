//! What an answer means for a download: the resumption table, as one function.

use std::time::Duration;

use crate::failure::{Failure, FailureKind};
use crate::http::content_range::ContentRange;
use crate::http::framing::{Framing, body_framing};
use crate::http::head::ResponseHead;
use crate::http::retry_after;
use crate::http::validator::Validator;
use crate::time::Timestamp;

/// The status of the whole that a part (206) is of.
pub const STATUS_OK: u16 = 200;

/// The first status that says that the request failed (RFC 9110 15.5).
const STATUS_ERROR_MIN: u16 = 400;

/// What was asked, as far as it bears on the meaning of the answer.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The first byte of the `Range` that was sent; `None` without `Range`.
    pub from: Option<u64>,
    /// One past the last byte of it; `None` for "to the end".
    pub until: Option<u64>,
    /// The length of the representation whose bytes are held, when known.
    pub total: Option<u64>,
    /// Its validator.
    pub validator: &'a Validator,
    /// The caller accepts the bytes of a `Content-Encoding` as they are.
    pub allow_encoded: bool,
    /// The caller accepts the body of an error status as the file.
    pub accept_error_status: bool,
    /// An answer that asks to come back later is followed by another attempt.
    pub may_retry: bool,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The body goes on where the held bytes end.
    Continue {
        /// The length of the whole, which the answer names or confirms.
        total: Option<u64>,
        /// One past the last byte of the range that the answer carries.
        end: u64,
    },
    /// The body is the whole representation, from byte 0; held bytes are not of it.
    Fresh(Fresh),
    /// Nothing of the held bytes may be used: ask again from 0.
    Restart(RestartCause),
    /// Every byte is held already; this is the length of the whole.
    AlreadyComplete(u64),
    /// It points elsewhere.
    Redirect,
    /// It wants credentials.
    Challenge,
    /// Try again, not before this delay when the server named one.
    Later(Option<Duration>, Failure),
    /// No further attempt can help.
    Fail(Failure),
}

/// A whole representation that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Its length, when the server says it.
    pub total: Option<u64>,
    /// How its end is known.
    pub framing: Framing,
    /// What lets a later attempt go on with it.
    pub validator: Validator,
    /// The status that it came with; 200 for a part that is the whole.
    pub status: u16,
}

/// Why held bytes may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartCause {
    /// The representation is another one now, or the server's range is not the one asked for.
    Changed,
    /// The server says that the range lies outside of the representation: tried once again from 0.
    Unsatisfiable,
}

/// Whether a body that came with this status is that of an error, not the resource.
#[must_use]
pub const fn is_error(status: u16) -> bool {
    status >= STATUS_ERROR_MIN
}

/// The decision for one answer (design: resuming a download; RFC 9110 13.1.5, 14, 15.3.7).
#[must_use]
pub fn decide(asked: &Asked<'_>, head: &ResponseHead, now: Timestamp) -> Verdict {
    match head.status {
        200 | 203 => whole(asked, head),
        204 | 205 => fresh(asked, head, Some(0), Framing::Empty),
        206 => part(asked, head),
        301 | 302 | 303 | 307 | 308 => Verdict::Redirect,
        401 | 407 => Verdict::Challenge,
        416 if asked.from.is_some() => unsatisfiable(asked, head),
        408 | 425 | 429 | 500 | 502 | 503 | 504
            if asked.may_retry || !asked.accept_error_status =>
        {
            let delay = retry_after::from_head(head, now.as_unix_secs());
            Verdict::Later(delay, status_failure(head.status))
        }
        400..=599 if asked.accept_error_status => whole(asked, head),
        400..=599 => Verdict::Fail(status_failure(head.status)),
        status => Verdict::Fail(Failure::new(
            FailureKind::Protocol,
            format!(
                "the server answered a download with status {status}, which has no meaning there"
            ),
        )),
    }
}

fn whole(asked: &Asked<'_>, head: &ResponseHead) -> Verdict {
    match body_framing(head) {
        Err(error) => protocol(error.to_string()),
        Ok(Framing::Length(length)) => fresh(asked, head, Some(length), Framing::Length(length)),
        Ok(framing) => fresh(asked, head, None, framing),
    }
}

fn fresh(asked: &Asked<'_>, head: &ResponseHead, total: Option<u64>, framing: Framing) -> Verdict {
    let is_encoded = is_encoded(head);
    if is_encoded && !asked.allow_encoded {
        return encoded();
    }
    // Coded bytes are made anew for each answer, and a body that ends with the connection can not
    // be told from a cut one: nothing of either is ever continued. Nor is the body of an error, which
    // may be gone with the next answer.
    let resumable = !is_encoded && framing != Framing::UntilClose && !is_error(head.status);
    let validator = if resumable {
        Validator::from_head(head)
    } else {
        Validator::None
    };
    let status = match head.status {
        206 => STATUS_OK,
        status => status,
    };
    Verdict::Fresh(Fresh {
        total,
        framing,
        validator,
        status,
    })
}

fn part(asked: &Asked<'_>, head: &ResponseHead) -> Verdict {
    let framing = match body_framing(head) {
        Ok(framing) => framing,
        Err(error) => return protocol(error.to_string()),
    };
    let range = match ContentRange::from_head(head) {
        Ok(Some(ContentRange::Bytes {
            start,
            end_inclusive,
            total,
        })) => (start, end_inclusive, total),
        // multipart/byteranges has no Content-Range of its own; a broken one proves nothing.
        Ok(Some(ContentRange::Unsatisfied { .. }) | None) | Err(_) => {
            return match asked.from {
                Some(_) => Verdict::Restart(RestartCause::Changed),
                None => protocol("a partial answer (206) to a request for the whole".to_owned()),
            };
        }
    };
    let (start, end_inclusive, total) = range;
    if let Framing::Length(length) = framing
        && length != end_inclusive - start + 1
    {
        return protocol("the Content-Length of a part is not the length of its range".to_owned());
    }
    let Some(from) = asked.from else {
        return match total {
            Some(total) if start == 0 && end_inclusive + 1 == total => {
                fresh(asked, head, Some(total), framing)
            }
            Some(_) | None => {
                protocol("a partial answer (206) to a request for the whole".to_owned())
            }
        };
    };
    if is_encoded(head) && !asked.allow_encoded {
        return encoded();
    }
    let is_asked_start = start == from;
    let is_same_total = asked.total.is_none() || asked.total == total;
    let end = end_inclusive + 1;
    let is_within = asked.until.is_none_or(|until| end <= until);
    let is_same = confirms(asked.validator, &Validator::from_head(head));
    if is_asked_start && is_same_total && is_within && is_same {
        Verdict::Continue { total, end }
    } else {
        Verdict::Restart(RestartCause::Changed)
    }
}

/// Whether a 206 is of the representation that `held` names. A server that gave an entity tag gives
/// it again (RFC 9110 15.3.7), and one that does not may have ignored `If-Range`; `Last-Modified`
/// it may leave out.
fn confirms(held: &Validator, answer: &Validator) -> bool {
    match held {
        Validator::Tag(_) => held.same_as(answer),
        Validator::Date { .. } | Validator::None => !held.is_contradicted_by(answer),
    }
}

fn unsatisfiable(asked: &Asked<'_>, head: &ResponseHead) -> Verdict {
    let Ok(Some(ContentRange::Unsatisfied { total })) = ContentRange::from_head(head) else {
        return Verdict::Restart(RestartCause::Unsatisfiable);
    };
    let is_all_held = asked.from == Some(total) && asked.total.is_none_or(|known| known == total);
    if is_all_held
        && !asked
            .validator
            .is_contradicted_by(&Validator::from_head(head))
    {
        Verdict::AlreadyComplete(total)
    } else {
        Verdict::Restart(RestartCause::Unsatisfiable)
    }
}

fn is_encoded(head: &ResponseHead) -> bool {
    head.headers
        .get_all("content-encoding")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

fn encoded() -> Verdict {
    Verdict::Fail(Failure::new(
        FailureKind::Encoded,
        "the server sent a coded body (Content-Encoding) although none was accepted; \
         allow it to keep the coded bytes as they are",
    ))
}

fn protocol(message: String) -> Verdict {
    Verdict::Fail(Failure::new(FailureKind::Protocol, message))
}

/// The failure of an answer with an error status.
pub(crate) fn status_failure(status: u16) -> Failure {
    let meaning = match status {
        400 => "bad request",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        408 => "request timeout",
        409 => "conflict",
        410 => "gone",
        412 => "precondition failed",
        413 => "content too large",
        415 => "unsupported media type",
        416 => "range not satisfiable",
        423 => "locked",
        425 => "too early",
        429 => "too many requests",
        460 => "checksum mismatch",
        500 => "internal server error",
        502 => "bad gateway",
        503 => "service unavailable",
        504 => "gateway timeout",
        _ => "error",
    };
    Failure::new(
        FailureKind::Status(status),
        format!("the server answered {status} ({meaning})"),
    )
}

#[cfg(test)]
mod tests;
