//! Resumable Uploads for HTTP as a table: what is asked, and what the answers mean
//! (draft-ietf-httpbis-resumable-upload, interop versions 3 and up).
//!
//! Version 3 says `Upload-Incomplete` where later ones say `Upload-Complete`, with the opposite sense.
//! An answer is read in both, for one implementation confuses them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checksum::Algorithm;
use crate::http::head::ResponseHead;
use crate::http::structured::{boolean, integer, integers};
use crate::time::Timestamp;
use crate::upload::operation::{
    Act, Brief, Companions, Form, Heard, Held, Meaning, Piece, common, of_place,
};
use crate::upload::protocol::UploadLimits;

/// The field with the interop version that a request or an interim answer is in.
pub(in crate::upload) const VERSION_FIELD: &str = "upload-draft-interop-version";

/// From this version on a piece has a type of its own.
const PIECE_TYPE_SINCE: u16 = 6;

/// From this version on the answer to an append need not repeat the offset.
const OFFSET_UNSAID_SINCE: u16 = 7;

/// The caller's own request with the whole file, which offers to make it resumable.
pub(in crate::upload) fn offer(version: u16, brief: &Brief<'_>) -> Form {
    Form {
        method: brief.method.to_owned(),
        fields: creation_fields(version, brief, IsComplete::Yes),
        companions: Companions::All,
    }
}

/// The request for `act`.
pub(in crate::upload) fn form(version: u16, act: &Act, brief: &Brief<'_>) -> Form {
    let (method, companions) = match act {
        Act::Create(length) => {
            let is_complete = match *length == brief.length {
                true => IsComplete::Yes,
                false => IsComplete::No,
            };
            return Form {
                method: brief.method.to_owned(),
                fields: creation_fields(version, brief, is_complete),
                companions: Companions::All,
            };
        }
        Act::Append(piece) => {
            let method = if brief.overrides_method {
                "POST"
            } else {
                "PATCH"
            };
            return Form {
                method: method.to_owned(),
                fields: piece_fields(version, piece, brief),
                companions: Companions::OfTheCaller,
            };
        }
        Act::Offset => ("HEAD", Companions::OfTheCaller),
        Act::Terminate => ("DELETE", Companions::OfTheCaller),
    };
    Form {
        method: method.to_owned(),
        fields: vec![(VERSION_FIELD, version.to_string())],
        companions,
    }
}

/// Whether a request brings the last byte.
#[derive(Clone, Copy)]
enum IsComplete {
    Yes,
    No,
}

fn complete_field(version: u16, is_complete: IsComplete) -> (&'static str, String) {
    let (name, value) = match (version, is_complete) {
        (..=3, IsComplete::Yes) => ("upload-incomplete", "?0"),
        (..=3, IsComplete::No) => ("upload-incomplete", "?1"),
        (4.., IsComplete::Yes) => ("upload-complete", "?1"),
        (4.., IsComplete::No) => ("upload-complete", "?0"),
    };
    (name, value.to_owned())
}

fn creation_fields(
    version: u16,
    brief: &Brief<'_>,
    is_complete: IsComplete,
) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        (VERSION_FIELD, version.to_string()),
        complete_field(version, is_complete),
        ("upload-length", brief.length.to_string()),
    ];
    // RFC 9530 section 3: of the whole file, whatever part of it goes along.
    if let Some(digest) = brief.digest
        && let Some(name) = digest_name(digest.algorithm())
    {
        let value = STANDARD.encode(digest.bytes());
        fields.push(("repr-digest", format!("{name}=:{value}:")));
    }
    fields
}

fn piece_fields(version: u16, piece: &Piece, brief: &Brief<'_>) -> Vec<(&'static str, String)> {
    let is_complete = match piece.is_last {
        true => IsComplete::Yes,
        false => IsComplete::No,
    };
    let mut fields = vec![
        (VERSION_FIELD, version.to_string()),
        ("upload-offset", piece.offset.to_string()),
        complete_field(version, is_complete),
    ];
    if version >= PIECE_TYPE_SINCE {
        fields.push(("content-type", "application/partial-upload".to_owned()));
    }
    if brief.overrides_method {
        fields.push(("x-http-method-override", "PATCH".to_owned()));
    }
    fields
}

/// The name of an algorithm in `Repr-Digest`; all but two are deprecated there (RFC 9530 section 5).
pub(in crate::upload) const fn digest_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Sha256 => Some("sha-256"),
        Algorithm::Sha512 => Some("sha-512"),
        Algorithm::Sha1 | Algorithm::Md5 | Algorithm::Blake3 => None,
    }
}

/// What the answer to the caller's own request means.
pub(in crate::upload) fn meaning_of_offer(heard: &Heard<'_>) -> Meaning {
    let held = held(heard.head, heard.now);
    match heard.head.status {
        _ if held.is_complete == Some(true) => Meaning::Final(held),
        200..=299 if held.offset.is_some() || held.is_complete.is_some() => Meaning::Held(held),
        200..=299 => Meaning::Taken,
        409 => Meaning::Conflict(held.offset),
        413 => Meaning::TooLarge,
        423 => Meaning::Locked,
        _ => common(heard.head),
    }
}

/// What the answer to `act` means.
pub(in crate::upload) fn meaning(version: u16, act: &Act, heard: &Heard<'_>) -> Meaning {
    let held = held(heard.head, heard.now);
    match (act, heard.head.status) {
        // The answer of the place that the caller named, whatever its status: all has arrived.
        (Act::Create(_) | Act::Append(_), _) if held.is_complete == Some(true) => {
            Meaning::Final(held)
        }
        (Act::Append(piece), 200..=299)
            if version >= OFFSET_UNSAID_SINCE && heard.sent >= piece.length =>
        {
            let end = piece.offset + piece.length;
            Meaning::Held(Held {
                offset: held.offset.or(Some(end)),
                ..held
            })
        }
        (Act::Create(_) | Act::Offset | Act::Append(_) | Act::Terminate, _) => {
            of_place(act, heard.head, held)
        }
    }
}

/// What an answer, interim ones among them, says of the upload.
pub(in crate::upload) fn held(head: &ResponseHead, now: Timestamp) -> Held {
    let headers = &head.headers;
    let names = [
        "max-size",
        "max-append-size",
        "min-append-size",
        "max-age",
        "expires",
    ];
    let limits = integers(headers, "upload-limit", names);
    let is_incomplete = boolean(headers, "upload-incomplete");
    let after = |seconds| now.after(std::time::Duration::from_secs(seconds));
    Held {
        offset: integer(headers, "upload-offset"),
        length: integer(headers, "upload-length"),
        is_complete: boolean(headers, "upload-complete").or(is_incomplete.map(|it| !it)),
        limits: limits.map(|[size_max, append_max, append_min, ..]| UploadLimits {
            size_max,
            append_max: append_max.filter(|bytes| *bytes > 0),
            append_min,
        }),
        // Interop 6 calls the age what later ones call so.
        expires_at: limits.and_then(|[.., age, expires]| age.or(expires).map(after)),
    }
}

/// The interop version that a head names.
pub(in crate::upload) fn version(head: &ResponseHead) -> Option<u16> {
    u16::try_from(integer(&head.headers, VERSION_FIELD)?).ok()
}

#[cfg(test)]
mod tests;
