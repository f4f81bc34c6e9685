//! Where the body of a response ends (RFC 9112 section 6.3), and if the connection outlives it.

use thiserror::Error;

use crate::http::head::{Headers, HttpVersion, ResponseHead, trim_ows};

/// How the end of a response's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After exactly this many bytes.
    Length(u64),
    /// At the last chunk.
    Chunked,
    /// When the server closes the connection. A cut cannot be told from the end.
    UntilClose,
    /// There is no body, whatever the fields say.
    Empty,
}

/// A response whose end cannot be trusted. Nothing of it may be kept; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FramingError {
    /// A `Content-Length` that is not a decimal number of at most 64 bits (RFC 9110 section 8.6).
    #[error("the server sent a content-length that is not a number")]
    InvalidLength,
    /// Several lengths that differ (RFC 9112 section 6.3, item 5).
    #[error("the server sent conflicting content-lengths ({first} and {second})")]
    ConflictingLengths {
        /// The length that came first.
        first: u64,
        /// A later one that differs.
        second: u64,
    },
    /// Both framings at once, the mark of a smuggled response (RFC 9112 section 6.3, item 3).
    #[error("the server sent both a content-length and a transfer-encoding")]
    LengthWithTransferEncoding,
    /// A transfer coding other than `chunked`; none other is ever asked for (RFC 9112 section 7).
    #[error("the server sent a transfer-encoding other than chunked")]
    UnknownTransferCoding,
    /// `chunked` is there, but is not the one and last coding (RFC 9112 section 6.3, item 4).
    #[error("the server sent a transfer-encoding in which chunked is not the single last coding")]
    ChunkedNotFinal,
    /// A transfer coding under HTTP/1.0, which has none (RFC 9112 section 6.1).
    #[error("the server sent a transfer-encoding in an http/1.0 response")]
    TransferEncodingInHttp10,
}

/// Decides how the body of the response to a GET ends.
///
/// # Errors
/// When the fields contradict themselves, each other or the version; see [`FramingError`].
pub fn body_framing(head: &ResponseHead) -> Result<Framing, FramingError> {
    if matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(Framing::Empty);
    }
    let has_transfer_encoding = head.headers.get_all("transfer-encoding").next().is_some();
    let has_length = head.headers.get_all("content-length").next().is_some();
    match (has_transfer_encoding, has_length) {
        (true, true) => Err(FramingError::LengthWithTransferEncoding),
        (true, false) if head.version == HttpVersion::Http10 => {
            Err(FramingError::TransferEncodingInHttp10)
        }
        (true, false) => transfer_codings(&head.headers),
        (false, _) => {
            Ok(declared_length(&head.headers)?.map_or(Framing::UntilClose, Framing::Length))
        }
    }
}

/// Says whether the connection may carry another request after this response (RFC 9112
/// section 9.3). Never after a body that ends by closing, or whose end cannot be trusted.
#[must_use]
pub fn keep_alive(head: &ResponseHead) -> bool {
    if matches!(body_framing(head), Ok(Framing::UntilClose) | Err(_)) {
        return false;
    }
    let says = |option: &str| {
        head.headers
            .get_all("connection")
            .flat_map(list_members)
            .any(|member| member.eq_ignore_ascii_case(option.as_bytes()))
    };
    match head.version {
        HttpVersion::Http11 => !says("close"),
        HttpVersion::Http10 => says("keep-alive") && !says("close"),
    }
}

/// The one length that all `Content-Length` fields agree on, or `None` when there is no such field.
/// Equal duplicates, also in a comma list, count once (RFC 9110 section 8.6).
pub(crate) fn declared_length(headers: &Headers) -> Result<Option<u64>, FramingError> {
    let mut declared = None;
    for member in headers.get_all("content-length").flat_map(list_members) {
        let second = decimal(member).ok_or(FramingError::InvalidLength)?;
        match declared {
            Some(first) if first != second => {
                return Err(FramingError::ConflictingLengths { first, second });
            }
            Some(_) | None => declared = Some(second),
        }
    }
    Ok(declared)
}

/// A number of one or more ASCII digits and nothing else; `None` when it needs more than 64 bits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

fn transfer_codings(headers: &Headers) -> Result<Framing, FramingError> {
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut members = headers.get_all("transfer-encoding").flat_map(list_members);
    let Some(first) = members.next() else {
        return Err(FramingError::UnknownTransferCoding);
    };
    let rest: Vec<&[u8]> = members.collect();
    match (is_chunked(&first), rest.is_empty()) {
        (true, true) => Ok(Framing::Chunked),
        (true, false) => Err(FramingError::ChunkedNotFinal),
        (false, _) => Err(FramingError::UnknownTransferCoding),
    }
}

fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_ows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Fields<'a> = &'a [(&'a str, &'a str)];

    fn head(version: HttpVersion, status: u16, fields: Fields<'_>) -> ResponseHead {
        ResponseHead {
            version,
            status,
            headers: fields.iter().copied().collect(),
        }
    }

    #[test]
    fn the_end_of_a_body_follows_rfc_9112_section_6_3() {
        const CL: &str = "Content-Length";
        const TE: &str = "Transfer-Encoding";
        let max = u64::MAX.to_string();
        let over = format!("{max}0");
        let table: &[(Fields<'_>, Result<Framing, FramingError>)] = &[
            (&[], Ok(Framing::UntilClose)),
            (&[(CL, "0")], Ok(Framing::Length(0))),
            (&[(CL, "42")], Ok(Framing::Length(42))),
            (&[(CL, " 42 ")], Ok(Framing::Length(42))),
            (&[(CL, &max)], Ok(Framing::Length(u64::MAX))),
            (&[(CL, &over)], Err(FramingError::InvalidLength)),
            (&[(CL, "42, 42")], Ok(Framing::Length(42))),
            (&[(CL, "42"), (CL, "42")], Ok(Framing::Length(42))),
            (
                &[(CL, "42, 43")],
                Err(FramingError::ConflictingLengths {
                    first: 42,
                    second: 43,
                }),
            ),
            (
                &[(CL, "42"), (CL, "7")],
                Err(FramingError::ConflictingLengths {
                    first: 42,
                    second: 7,
                }),
            ),
            (&[(CL, "")], Err(FramingError::InvalidLength)),
            (&[(CL, "42,")], Err(FramingError::InvalidLength)),
            (&[(CL, "-1")], Err(FramingError::InvalidLength)),
            (&[(CL, "+1")], Err(FramingError::InvalidLength)),
            (&[(CL, "1 2")], Err(FramingError::InvalidLength)),
            (&[(CL, "0x10")], Err(FramingError::InvalidLength)),
            (&[(TE, "chunked")], Ok(Framing::Chunked)),
            (&[(TE, "Chunked")], Ok(Framing::Chunked)),
            (
                &[(TE, "chunked"), (CL, "42")],
                Err(FramingError::LengthWithTransferEncoding),
            ),
            (
                &[(TE, "gzip, chunked")],
                Err(FramingError::UnknownTransferCoding),
            ),
            (&[(TE, "gzip")], Err(FramingError::UnknownTransferCoding)),
            (
                &[(TE, "identity")],
                Err(FramingError::UnknownTransferCoding),
            ),
            (&[(TE, "")], Err(FramingError::UnknownTransferCoding)),
            (
                &[(TE, "chunked;q=1")],
                Err(FramingError::UnknownTransferCoding),
            ),
            (&[(TE, "chunked, gzip")], Err(FramingError::ChunkedNotFinal)),
            (
                &[(TE, "chunked, chunked")],
                Err(FramingError::ChunkedNotFinal),
            ),
            (
                &[(TE, "chunked"), (TE, "chunked")],
                Err(FramingError::ChunkedNotFinal),
            ),
        ];
        for (fields, expected) in table {
            let found = body_framing(&head(HttpVersion::Http11, 200, fields));
            assert_eq!(found, *expected, "{fields:?}");
        }
    }

    #[test]
    fn some_statuses_have_no_body_whatever_the_fields_say() {
        for status in [100, 103, 204, 304] {
            let head = head(HttpVersion::Http11, status, &[("Content-Length", "9")]);
            assert_eq!(body_framing(&head), Ok(Framing::Empty), "{status}");
        }
    }

    #[test]
    fn http_1_0_has_no_transfer_codings() {
        let head = head(
            HttpVersion::Http10,
            200,
            &[("Transfer-Encoding", "chunked")],
        );
        assert_eq!(
            body_framing(&head),
            Err(FramingError::TransferEncodingInHttp10)
        );
    }

    #[test]
    fn a_connection_is_kept_by_rfc_9112_section_9_3() {
        const LENGTH: (&str, &str) = ("Content-Length", "1");
        let connection = |value| [LENGTH, ("Connection", value)];
        let table = [
            (HttpVersion::Http11, vec![LENGTH], true),
            (HttpVersion::Http11, connection("close").to_vec(), false),
            (
                HttpVersion::Http11,
                connection("Upgrade, Close").to_vec(),
                false,
            ),
            (HttpVersion::Http11, connection("keep-alive").to_vec(), true),
            (HttpVersion::Http11, vec![], false),
            (
                HttpVersion::Http11,
                vec![LENGTH, ("Content-Length", "2")],
                false,
            ),
            (HttpVersion::Http10, vec![LENGTH], false),
            (HttpVersion::Http10, connection("Keep-Alive").to_vec(), true),
            (
                HttpVersion::Http10,
                connection("keep-alive, close").to_vec(),
                false,
            ),
        ];
        for (version, fields, expected) in table {
            assert_eq!(
                keep_alive(&head(version, 200, &fields)),
                expected,
                "{version:?} {fields:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_the_framing_fields_are_judged_without_a_panic(
            length in proptest::option::of(any::<Vec<u8>>()),
            coding in proptest::option::of(any::<Vec<u8>>()),
        ) {
            let mut headers = Headers::new();
            length.into_iter().for_each(|value| headers.push("content-length", value));
            coding.into_iter().for_each(|value| headers.push("transfer-encoding", value));
            let head = ResponseHead { version: HttpVersion::Http11, status: 200, headers };
            let _ = (body_framing(&head), keep_alive(&head));
        }

        #[test]
        fn every_length_is_read_as_it_was_written(length: u64) {
            let text = length.to_string();
            let head = head(HttpVersion::Http11, 200, &[("Content-Length", &text)]);
            prop_assert_eq!(body_framing(&head), Ok(Framing::Length(length)));
        }
    }
}
