//! Percent-encoding (RFC 3986 section 2.1), for the few places that have bytes and no URL.

/// Replaces every `%` with two hexadecimal digits by the byte they name. A `%` without them stays
/// as it is, which is what every browser does.
pub(crate) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let byte = if first == b'%' {
            byte_named_by(tail)
        } else {
            None
        };
        decoded.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

/// `bytes` as ASCII text in which every byte outside of ASCII is percent-encoded; nothing else is
/// touched, so a text that is encoded already stays as it is.
pub(crate) fn percent_encode_non_ascii(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// `text` as one segment of a path or one value of a query: every byte but the unreserved ones of
/// RFC 3986 section 2.3 is percent-encoded.
pub(crate) fn percent_encode_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn byte_named_by(text: &[u8]) -> Option<u8> {
    let high = char::from(*text.first()?).to_digit(16)?;
    let low = char::from(*text.get(1)?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_escapes_are_decoded() {
        let table = [
            ("", ""),
            ("a%20b", "a b"),
            ("%2F%2f", "//"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%%41", "%A"),
            ("a+b", "a+b"),
        ];
        for (text, expected) in table {
            assert_eq!(
                percent_decode(text.as_bytes()),
                expected.as_bytes(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_segment_keeps_only_unreserved_characters() {
        let table = [
            ("com.example-sync_1~", "com.example-sync_1~"),
            ("a/b?c#d%e", "a%2Fb%3Fc%23d%25e"),
            (" +&=é", "%20%2B%26%3D%C3%A9"),
        ];
        for (text, expected) in table {
            assert_eq!(percent_encode_segment(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_segment_survives_both_ways(text in ".{0,40}") {
            let encoded = percent_encode_segment(&text);
            prop_assert_eq!(percent_decode(encoded.as_bytes()), text.as_bytes());
        }

        #[test]
        fn bytes_outside_of_ascii_survive_both_ways(text in "[^%]{0,40}") {
            let encoded = percent_encode_non_ascii(text.as_bytes());
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(percent_decode(encoded.as_bytes()), text.as_bytes());
        }
    }
}
