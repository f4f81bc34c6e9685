//! What an answer to `OPTIONS` proves of a server.

use crate::checksum::Algorithm;
use crate::http::head::ResponseHead;
use crate::http::structured::{integer, members};
use crate::upload::operation::{Companions, Form};
use crate::upload::protocol::{
    Capability, INTEROP_DEFAULT, INTEROP_KNOWN, TusExtensions, ietf, tus,
};

/// Digests that a server may check pieces with, the one that is preferred first: those that find
/// attackers before those that find accidents, and fast ones before slow ones.
const PREFERRED: [Algorithm; 5] = [
    Algorithm::Blake3,
    Algorithm::Sha256,
    Algorithm::Sha512,
    Algorithm::Sha1,
    Algorithm::Md5,
];

/// The question. It names an interop version of the IETF draft, without which a server of that may
/// not answer, and no version of tus, which that forbids.
pub(in crate::upload) fn form() -> Form {
    Form {
        method: "OPTIONS".to_owned(),
        fields: vec![(ietf::VERSION_FIELD, INTEROP_DEFAULT.to_string())],
        companions: Companions::OfTheCaller,
    }
}

/// The type of a piece in the draft, which a server that takes such pieces names in `Accept-Patch`: it
/// must from interop version 8 on, where its limits may go unsaid.
const PIECE_TYPE: &[u8] = b"application/partial-upload";

/// What the answer proves; tus before the draft where a server speaks both, for it is stable. Of the
/// draft any of its version, its limits and its type for pieces is proof. `None` when it proves nothing.
pub(in crate::upload) fn capability(head: &ResponseHead) -> Option<Capability> {
    if !(200..300).contains(&head.status) {
        return None;
    }
    if let Some(extensions) = tus_extensions(head)
        && extensions.creation
    {
        return Some(Capability::Tus(extensions));
    }
    let version = ietf::version(head).filter(|version| INTEROP_KNOWN.contains(version));
    let limits = ietf::held(head, crate::time::Timestamp::default()).limits;
    if version.is_none() && limits.is_none() && !takes_pieces(head) {
        return None;
    }
    Some(Capability::Ietf {
        interop: version.unwrap_or(INTEROP_DEFAULT),
        limits: limits.unwrap_or_default(),
    })
}

/// Whether the type of pieces is among those that may be patched with (RFC 5789 section 3.1).
fn takes_pieces(head: &ResponseHead) -> bool {
    let mut types = head.headers.get_all("accept-patch").flat_map(members);
    types.any(|named| {
        let end = named.iter().position(|byte| *byte == b';');
        let named = &named[..end.unwrap_or(named.len())];
        named.trim_ascii().eq_ignore_ascii_case(PIECE_TYPE)
    })
}

fn tus_extensions(head: &ResponseHead) -> Option<TusExtensions> {
    let lists = |name, wanted: &str| {
        let mut values = head.headers.get_all(name).flat_map(members);
        values.any(|value| value.eq_ignore_ascii_case(wanted.as_bytes()))
    };
    if !lists("tus-version", tus::VERSION) {
        return None;
    }
    let has = |extension| lists("tus-extension", extension);
    let checks = |algorithm: &Algorithm| {
        let mut values = head
            .headers
            .get_all("tus-checksum-algorithm")
            .flat_map(members);
        values.any(|value| {
            let name = std::str::from_utf8(value).ok();
            name.and_then(Algorithm::from_name) == Some(*algorithm)
        })
    };
    Some(TusExtensions {
        creation: has("creation"),
        creation_with_upload: has("creation-with-upload"),
        termination: has("termination"),
        checksum: PREFERRED
            .into_iter()
            .find(|algorithm| has("checksum") && checks(algorithm)),
        size_max: integer(&head.headers, "tus-max-size"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::HttpVersion;
    use crate::upload::protocol::UploadLimits;

    fn found(status: u16, fields: &[(&str, &str)]) -> Option<Capability> {
        capability(&ResponseHead {
            version: HttpVersion::Http11,
            status,
            headers: fields.iter().copied().collect(),
        })
    }

    #[test]
    fn a_server_is_what_its_answer_proves_and_nothing_else() {
        const VERSION: (&str, &str) = ("tus-version", "1.0.0, 0.2.2");
        const LIMIT: (&str, &str) = ("upload-limit", "max-size=7");
        let makes = ("tus-extension", "creation");
        let tus = Some(Capability::Tus(TusExtensions {
            creation: true,
            ..TusExtensions::default()
        }));
        let ietf = |interop, size_max| {
            let limits = UploadLimits {
                size_max,
                ..UploadLimits::default()
            };
            Some(Capability::Ietf { interop, limits })
        };
        let spoken = |version| ("upload-draft-interop-version", version);
        type Row<'a> = (u16, &'a [(&'a str, &'a str)], Option<Capability>);
        let table: [Row<'_>; 14] = [
            (204, &[VERSION, makes], tus.clone()),
            (200, &[VERSION, makes, LIMIT], tus),
            (200, &[VERSION], None),
            (200, &[("tus-version", "2.0.0"), makes], None),
            (200, &[("tus-resumable", "1.0.0")], None),
            (200, &[VERSION, LIMIT], ietf(6, Some(7))),
            (200, &[LIMIT], ietf(6, Some(7))),
            (200, &[spoken("5")], ietf(5, None)),
            (200, &[spoken("3"), LIMIT], ietf(3, Some(7))),
            (200, &[spoken("9")], None),
            (200, &[("upload-limit", "max-size=x")], None),
            (404, &[VERSION, makes], None),
            (405, &[LIMIT], None),
            (200, &[("allow", "PUT")], None),
        ];
        for (status, fields, expected) in table {
            assert_eq!(found(status, fields), expected, "{status} {fields:?}");
        }
    }

    #[test]
    fn the_extensions_that_matter_are_read_with_the_best_digest_that_we_know() {
        let all = found(
            204,
            &[
                ("tus-version", "1.0.0"),
                ("tus-extension", "creation,creation-with-upload,termination"),
                ("tus-extension", "expiration,checksum,concatenation"),
                ("tus-checksum-algorithm", "md5,crc32,sha256,sha1"),
                ("tus-max-size", "1073741824"),
            ],
        );
        let expected = TusExtensions {
            creation: true,
            creation_with_upload: true,
            termination: true,
            checksum: Some(Algorithm::Sha256),
            size_max: Some(1 << 30),
        };
        assert_eq!(all, Some(Capability::Tus(expected)));
    }

    #[test]
    fn the_type_of_pieces_is_proof_of_the_draft_like_its_limits_and_its_version() {
        const PIECES: (&str, &str) = ("accept-patch", "application/partial-upload");
        let ietf = |interop, size_max| {
            let limits = UploadLimits {
                size_max,
                ..UploadLimits::default()
            };
            Some(Capability::Ietf { interop, limits })
        };
        let named = |types| [("accept-patch", types)];
        let spoken = |version| ("upload-draft-interop-version", version);
        let makes = [("tus-version", "1.0.0"), ("tus-extension", "creation")];
        assert!(matches!(
            found(200, &[makes[0], makes[1], PIECES]),
            Some(Capability::Tus(_))
        ));
        let table: [(&[(&str, &str)], _); 14] = [
            (&[PIECES], ietf(6, None)),
            (&[spoken("5"), PIECES], ietf(5, None)),
            // A version that nobody asked for.
            (&[spoken("99"), PIECES], ietf(6, None)),
            (&[("upload-limit", "max-size=7"), PIECES], ietf(6, Some(7))),
            (&[("upload-limit", "max-size=x"), PIECES], ietf(6, None)),
            (&[named("application/json")[0], PIECES], ietf(6, None)),
            (&[makes[0], PIECES], ietf(6, None)),
            (&named("a/b, Application/Partial-Upload"), ietf(6, None)),
            (
                &named("a/b;x=\"1,2\", application/partial-upload ;y=1"),
                ietf(6, None),
            ),
            (&named("a/b;x=\"application/partial-upload\""), None),
            (&named("application/partial-upload-2"), None),
            (&named("application/partial"), None),
            (&named("application/json"), None),
            (&named(""), None),
        ];
        for (fields, expected) in table {
            assert_eq!(found(200, fields), expected, "{fields:?}");
            assert_eq!(found(405, fields), None, "{fields:?}");
        }
    }
}
