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

/// What the answer proves; tus before the draft where a server speaks both, for it is stable. `None`
/// when it proves nothing.
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
    if version.is_none() && limits.is_none() {
        return None;
    }
    Some(Capability::Ietf {
        interop: version.unwrap_or(INTEROP_DEFAULT),
        limits: limits.unwrap_or_default(),
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
        expiration: has("expiration"),
        checksum: PREFERRED
            .into_iter()
            .find(|algorithm| has("checksum") && checks(algorithm)),
        size_max: integer(&head.headers, "tus-max-size"),
    })
}
