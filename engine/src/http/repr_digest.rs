//! Digests of the whole representation that a server offers (RFC 9530 section 3).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::checksum::{Algorithm, Digest};
use crate::http::head::{ResponseHead, trim_ows};
use crate::http::structured::members;

/// Most members of the dictionary that are looked at: there are two algorithms that we believe, and
/// eight registered.
const MEMBERS_MAX: usize = 32;

/// Structured fields tell parsers to accept missing padding and loose end bits (RFC 9651
/// section 4.2.7).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads every `Repr-Digest` of a response.
///
/// Only `sha-256` and `sha-512` count: the registry calls all others deprecated (RFC 9530
/// section 5). What cannot be read is no digest, not an error, for a server need not send any. Of
/// several for one algorithm the last counts, as in every dictionary (RFC 9651 section 4.2.2).
///
/// A `Repr-Digest` covers the whole representation, so it holds for a 206 as for a 200. The
/// `Content-Digest` of a part says nothing about the file and is not read.
#[must_use]
pub fn from_head(head: &ResponseHead) -> Vec<Digest> {
    let mut digests: Vec<Digest> = Vec::new();
    let members = head.headers.get_all("repr-digest").flat_map(members);
    for digest in members.take(MEMBERS_MAX).filter_map(digest) {
        digests.retain(|known| known.algorithm() != digest.algorithm());
        digests.push(digest);
    }
    digests
}

/// A member of the form `key=:base64:`, with parameters after it or not.
fn digest(member: &[u8]) -> Option<Digest> {
    let equals = member.iter().position(|&byte| byte == b'=')?;
    let algorithm = match &member[..equals] {
        b"sha-256" => Algorithm::Sha256,
        b"sha-512" => Algorithm::Sha512,
        _ => return None,
    };
    let encoded = member[equals + 1..].strip_prefix(b":")?;
    let end = encoded.iter().position(|&byte| byte == b':')?;
    let parameters = trim_ows(&encoded[end + 1..]);
    if !parameters.is_empty() && !parameters.starts_with(b";") {
        return None;
    }
    Digest::new(algorithm, BASE64.decode(&encoded[..end]).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::http::head::{Headers, HttpVersion};

    use super::*;

    fn digests(values: &[&[u8]]) -> Vec<String> {
        let headers: Headers = values.iter().map(|&value| ("Repr-Digest", value)).collect();
        let head = ResponseHead {
            version: HttpVersion::Http11,
            status: 200,
            headers,
        };
        from_head(&head).iter().map(Digest::to_string).collect()
    }

    /// `{"hello": "world"}` and a line feed, from RFC 9530 appendix B.1.
    const HELLO: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    const HELLO_HEX: &str =
        "sha-256=44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38";

    #[test]
    fn the_digest_of_the_standard_is_read_in_every_company() {
        let unpadded = HELLO
            .replace("=:", ":")
            .replacen("sha-256:", "sha-256=:", 1);
        for value in [
            HELLO.to_owned(),
            unpadded,
            format!("{HELLO};q=1"),
            format!("md5=:AAAAAAAAAAAAAAAAAAAAAA==:, {HELLO}"),
            format!("x=\"a, \\\" sha-512=:AAAA:,\",\t{HELLO} , y=(1 2, 3), z"),
        ] {
            assert_eq!(digests(&[value.as_bytes()]), [HELLO_HEX], "{value}");
        }
    }

    #[test]
    fn both_algorithms_may_come_and_the_last_of_one_counts() {
        let zero = format!("sha-256=:{}=:", "A".repeat(43));
        let long = format!("sha-512=:{}==:", "A".repeat(86));
        let found = digests(&[zero.as_bytes(), long.as_bytes(), HELLO.as_bytes()]);
        assert_eq!(
            found,
            [format!("sha-512={}", "0".repeat(128)), HELLO_HEX.to_owned()]
        );
    }

    #[test]
    fn what_cannot_be_read_is_no_digest() {
        for value in [
            "",
            "sha-256",
            "sha-256=abc",
            "sha-256=:AAAA:",
            "sha-256=:!!!!:",
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=",
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:x",
            "SHA-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
            "sha=:AAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
        ] {
            assert_eq!(
                digests(&[value.as_bytes()]),
                Vec::<String>::new(),
                "{value}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(
            value: Vec<u8>, text in "sha-(256|512)=:[A-Za-z0-9+/=:;, \"\\\\()]{0,100}",
        ) {
            let _ = digests(&[&value, text.as_bytes()]);
        }
    }
}
