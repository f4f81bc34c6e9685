//! tus 1.0.0 as a table: what is asked, and what the answers mean (its protocol text of 2016-03-25,
//! with what servers do beyond it).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checksum::Digest;
use crate::http::head::ResponseHead;
use crate::http::structured::integer;
use crate::http::validator::parse_http_date;
use crate::time::Timestamp;
use crate::upload::operation::{
    Act, Brief, Companions, Form, Heard, Held, Meaning, Piece, of_place,
};

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
    match (act, heard.head.status) {
        // A finished upload takes nothing more, and some servers say it so.
        (Act::Append(_), 403) => Meaning::Conflict(None),
        (Act::Create(_) | Act::Offset | Act::Append(_) | Act::Terminate, _) => {
            of_place(act, heard.head, held(heard.head))
        }
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

/// The value of `Upload-Checksum`: names have no hyphen there.
fn checksum(digest: &Digest) -> String {
    let name = digest.algorithm().name().replace('-', "");
    format!("{name} {}", STANDARD.encode(digest.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Algorithm;
    use crate::http::head::HttpVersion;
    use crate::upload::operation::Operation;

    const LAST: Act = Act::Append(Piece {
        offset: 5_000_000_000,
        length: 10,
        is_last: true,
    });

    fn brief() -> Brief<'static> {
        Brief {
            method: "PUT",
            metadata: &[],
            length: 5_000_000_010,
            digest: None,
            overrides_method: false,
        }
    }

    fn meaning_of(act: Act, status: u16, fields: &[(&str, &str)]) -> Meaning {
        let head = ResponseHead {
            version: HttpVersion::Http11,
            status,
            headers: fields.iter().copied().collect(),
        };
        let heard = Heard {
            head: &head,
            sent: 10,
            now: Timestamp::default(),
        };
        meaning(&act, &heard)
    }

    #[test]
    fn each_request_has_its_method_and_its_fields() {
        let version = ("tus-resumable", "1.0.0".to_owned());
        let length = ("upload-length", "5000000010".to_owned());
        let offset = ("upload-offset", "5000000000".to_owned());
        let kind = ("content-type", PIECE_TYPE.to_owned());
        let table = [
            (
                Act::Create(0),
                "POST",
                vec![version.clone(), length.clone()],
            ),
            (
                Act::Create(7),
                "POST",
                vec![version.clone(), length, kind.clone()],
            ),
            (Act::Offset, "HEAD", vec![version.clone()]),
            (LAST, "PATCH", vec![version.clone(), offset, kind]),
            (Act::Terminate, "DELETE", vec![version]),
        ];
        for (act, method, fields) in table {
            let form = form(&act, &brief());
            assert_eq!(
                (form.method.as_str(), form.fields),
                (method, fields),
                "{act:?}"
            );
        }
    }

    #[test]
    fn metadata_digests_and_another_name_for_patch_are_sent_as_the_protocol_has_them() {
        let metadata = [
            ("filename".to_owned(), "a b".to_owned()),
            ("is_secret".to_owned(), String::new()),
        ];
        let digest = Digest::new(Algorithm::Sha1, vec![0; 20]).expect("its length");
        let brief = Brief {
            metadata: &metadata,
            digest: Some(&digest),
            overrides_method: true,
            ..brief()
        };
        let fields = form(&Act::Create(0), &brief).fields;
        let expected = "filename YSBi,is_secret".to_owned();
        assert!(fields.contains(&("upload-metadata", expected)));
        let append = form(&LAST, &brief);
        assert_eq!(append.method, "POST");
        let expected = ("x-http-method-override", "PATCH".to_owned());
        assert!(append.fields.contains(&expected));
        let sum = format!("sha1 {}=", "A".repeat(27));
        assert!(append.fields.contains(&("upload-checksum", sum)));
    }

    #[test]
    fn each_answer_means_what_the_protocol_and_its_servers_mean_by_it() {
        let held = |offset| Held {
            offset,
            ..Held::default()
        };
        let five: &[(&str, &str)] = &[("upload-offset", "5")];
        let none: &[(&str, &str)] = &[];
        let create = Act::Create(0);
        let table = [
            (create, 201, none, Meaning::Created(held(None))),
            (create, 201, five, Meaning::Created(held(Some(5)))),
            (create, 413, none, Meaning::Refused),
            (create, 423, none, Meaning::Locked),
            (create, 409, none, Meaning::Refused),
            (
                create,
                412,
                &[("tus-version", "0.2")],
                Meaning::OtherVersion,
            ),
            (create, 412, none, Meaning::Refused),
            (create, 500, none, Meaning::Later),
            (Act::Offset, 200, five, Meaning::Held(held(Some(5)))),
            (Act::Offset, 204, five, Meaning::Held(held(Some(5)))),
            (
                Act::Offset,
                200,
                none,
                Meaning::Broken("it does not say how much it has"),
            ),
            (Act::Offset, 404, none, Meaning::Gone),
            (Act::Offset, 410, none, Meaning::Gone),
            (Act::Offset, 403, none, Meaning::Refused),
            (Act::Offset, 423, none, Meaning::Locked),
            (Act::Offset, 503, none, Meaning::Later),
            (LAST, 204, five, Meaning::Held(held(Some(5)))),
            (LAST, 204, none, Meaning::Unsaid),
            (LAST, 204, &[("upload-offset", "x")], Meaning::Unsaid),
            (LAST, 400, none, Meaning::Refused),
            (LAST, 403, none, Meaning::Conflict(None)),
            (LAST, 409, none, Meaning::Conflict(None)),
            (LAST, 409, five, Meaning::Conflict(Some(5))),
            (LAST, 404, none, Meaning::Gone),
            (LAST, 410, none, Meaning::Gone),
            (LAST, 413, none, Meaning::TooLarge),
            (LAST, 415, none, Meaning::Refused),
            (LAST, 423, none, Meaning::Locked),
            (LAST, 460, none, Meaning::Mismatched),
            (LAST, 405, none, Meaning::MethodRefused),
            (LAST, 501, none, Meaning::MethodRefused),
            (LAST, 429, none, Meaning::Later),
            (
                LAST,
                300,
                none,
                Meaning::Broken("the status has no meaning there"),
            ),
            (Act::Terminate, 204, none, Meaning::Taken),
            (Act::Terminate, 410, none, Meaning::Gone),
            (Act::Terminate, 405, none, Meaning::Refused),
        ];
        for (act, status, fields, expected) in table {
            assert_eq!(
                meaning_of(act, status, fields),
                expected,
                "{act:?} {status}"
            );
        }
    }

    #[test]
    fn an_upload_says_when_it_expires() {
        let fields = [("upload-expires", "Sun, 06 Nov 1994 08:49:37 GMT")];
        let Meaning::Created(held) = meaning_of(Act::Create(0), 201, &fields) else {
            panic!("it was made")
        };
        assert_eq!(
            held.expires_at,
            Some(Timestamp::from_unix_ms(784_111_777_000))
        );
    }

    #[test]
    fn an_operation_sends_the_bytes_that_it_is_about() {
        let at = |act| Operation::Place(crate::upload::operation::Dialect::Tus, act);
        assert_eq!(at(LAST).body(7), Some((5_000_000_000, 10)));
        assert_eq!(at(Act::Create(0)).body(7), Some((0, 0)));
        assert_eq!(at(Act::Offset).body(7), None);
        assert_eq!(Operation::Whole { offer: None }.body(7), Some((0, 7)));
    }
}
