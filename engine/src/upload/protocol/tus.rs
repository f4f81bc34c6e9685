//! tus 1.0.0 as a table: what is asked, and what the answers mean (its protocol text of 2016-03-25,
//! with what servers do beyond it).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checksum::{Algorithm, Digest};
use crate::http::head::ResponseHead;
use crate::http::structured::integer;
use crate::http::validator::parse_http_date;
use crate::time::Timestamp;
use crate::upload::operation::{Act, Brief, Companions, Form, Heard, Held, Meaning, Piece, common};

/// The version that we speak.
pub(in crate::upload) const VERSION: &str = "1.0.0";

/// The type of the bytes of a piece.
const PIECE_TYPE: &str = "application/offset+octet-stream";

/// The request for `act`.
pub(in crate::upload) fn form(act: &Act, brief: &Brief<'_>) -> Form {
    let mut fields = vec![("tus-resumable", VERSION.to_owned())];
    let (method, companions) = match act {
        Act::Create(length) => {
            fields.push(("upload-length", brief.length.to_string()));
            if !brief.metadata.is_empty() {
                fields.push(("upload-metadata", metadata(brief.metadata)));
            }
            if *length > 0 {
                fields.push(("content-type", PIECE_TYPE.to_owned()));
            }
            ("POST", Companions::AllButContent)
        }
        Act::Offset => ("HEAD", Companions::OfTheCaller),
        Act::Append(piece) => {
            fields.extend(piece_fields(piece, brief));
            let method = if brief.overrides_method {
                "POST"
            } else {
                "PATCH"
            };
            (method, Companions::OfTheCaller)
        }
        Act::Terminate => ("DELETE", Companions::OfTheCaller),
    };
    let method = method.to_owned();
    Form {
        method,
        fields,
        companions,
    }
}

fn piece_fields(piece: &Piece, brief: &Brief<'_>) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("upload-offset", piece.offset.to_string()),
        ("content-type", PIECE_TYPE.to_owned()),
    ];
    if brief.overrides_method {
        fields.push(("x-http-method-override", "PATCH".to_owned()));
    }
    if let Some(digest) = brief.digest {
        fields.push(("upload-checksum", checksum(digest)));
    }
    fields
}

/// What the answer to `act` means.
pub(in crate::upload) fn meaning(act: &Act, heard: &Heard<'_>) -> Meaning {
    let head = heard.head;
    let held = held(head);
    let has_offset = held.offset.is_some();
    match (act, head.status) {
        (Act::Create(_), 200..=299) => Meaning::Created(held),
        (Act::Offset, 200..=299) if has_offset => Meaning::Held(held),
        (Act::Offset, 200..=299) => Meaning::Broken("it does not say how much it has"),
        (Act::Append(_), 200..=299) if has_offset => Meaning::Held(held),
        (Act::Append(_), 200..=299) => Meaning::Unsaid,
        // A finished upload takes nothing more, and some servers say it so.
        (Act::Append(_), 403) => Meaning::Conflict(None),
        (Act::Append(_), 409) => Meaning::Conflict(held.offset),
        (Act::Append(_), 413) => Meaning::TooLarge,
        (Act::Append(_), 460) => Meaning::Mismatched,
        (Act::Append(_), 405 | 501) => Meaning::MethodRefused,
        (Act::Append(_) | Act::Offset, 404 | 410) => Meaning::Gone,
        (Act::Append(_) | Act::Offset | Act::Create(_), 423) => Meaning::Locked,
        (Act::Terminate, 200..=299) => Meaning::Taken,
        (Act::Terminate, 404 | 410) => Meaning::Gone,
        (Act::Create(_) | Act::Offset | Act::Append(_) | Act::Terminate, _) => common(head),
    }
}

fn held(head: &ResponseHead) -> Held {
    let expires = head.headers.get_all("upload-expires").next();
    Held {
        offset: integer(&head.headers, "upload-offset"),
        length: integer(&head.headers, "upload-length"),
        is_complete: None,
        limits: None,
        expires_at: expires
            .and_then(parse_http_date)
            .map(|seconds| Timestamp::from_unix_ms(seconds.saturating_mul(1000))),
    }
}

/// The value of `Upload-Metadata`: keys, and values in Base64.
fn metadata(pairs: &[(String, String)]) -> String {
    let pair = |(key, value): &(String, String)| match value.as_str() {
        "" => key.clone(),
        value => format!("{key} {}", STANDARD.encode(value)),
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join(",")
}

/// The value of `Upload-Checksum`.
fn checksum(digest: &Digest) -> String {
    let name = algorithm_name(digest.algorithm());
    format!("{name} {}", STANDARD.encode(digest.bytes()))
}

/// The name of an algorithm in `Tus-Checksum-Algorithm` and `Upload-Checksum`.
const fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha256 => "sha256",
        Algorithm::Sha512 => "sha512",
        Algorithm::Sha1 => "sha1",
        Algorithm::Md5 => "md5",
        Algorithm::Blake3 => "blake3",
    }
}
