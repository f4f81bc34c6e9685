//! Header fields of a caller, checked before they come near a request.

use longhaul_engine::limits::{REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MAX};

use crate::Error;

/// Fields that the engine sets itself or whose meaning would break a resumption: the connection's
/// own, and the conditional ones of RFC 9110 section 13.
const RESERVED: [&str; 17] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// These fields as they are sent, checked as [`push`] does.
pub(crate) fn checked<'a>(
    fields: impl IntoIterator<Item = &'a (String, String)>,
) -> Result<Vec<(String, String)>, Error> {
    let mut headers = Vec::new();
    for (name, value) in fields {
        push(&mut headers, name, value)?;
    }
    Ok(headers)
}

/// Adds a field to `headers` after checking it, RFC 9110 sections 5.1 and 5.5. The value is not
/// repeated in an error: it may be a secret.
pub(crate) fn push(
    headers: &mut Vec<(String, String)>,
    name: &str,
    value: &str,
) -> Result<(), Error> {
    let value = value.trim_matches([' ', '\t']);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Error::Invalid(
            "a header's name may only hold letters, digits and !#$%&'*+-.^_`|~; \
             give it as in \"Accept: text/html\""
                .to_owned(),
        ));
    }
    if RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(name))
    {
        return Err(Error::Invalid(format!(
            "the header {name} is set by the engine itself; leave it out"
        )));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Error::Invalid(format!(
            "the value of the header {name} holds a control character; give it on one line"
        )));
    }
    let held: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let is_full = headers.len() >= REQUEST_HEADERS_MAX
        || held + name.len() + value.len() > REQUEST_HEADER_BYTES_MAX;
    if is_full {
        return Err(Error::Invalid(format!(
            "there are more than {REQUEST_HEADERS_MAX} headers or {REQUEST_HEADER_BYTES_MAX} bytes \
             of them; give fewer"
        )));
    }
    headers.push((name.to_owned(), value.to_owned()));
    Ok(())
}

/// `tchar` of RFC 9110 section 5.6.2.
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_taken_or_refused_with_the_next_step() {
        let table = [
            ("Accept", "text/html", true),
            ("X-Empty", "", true),
            ("X-Tab", "a\tb", true),
            ("X-Latin", "fü", true),
            ("", "x", false),
            ("A B", "x", false),
            ("A:", "x", false),
            ("Ä", "x", false),
            ("X", "a\r\nY: b", false),
            ("X", "a\0", false),
            ("Range", "bytes=0-", false),
            ("if-none-match", "\"x\"", false),
        ];
        for (name, value, is_good) in table {
            let result = push(&mut Vec::new(), name, value);
            assert_eq!(result.is_ok(), is_good, "{name}: {value:?}");
            if let Err(error) = result {
                assert!(
                    error.to_string().contains(';'),
                    "{error} names no next step"
                );
            }
        }
    }

    #[test]
    fn a_value_loses_the_space_around_it() {
        let mut headers = Vec::new();
        push(&mut headers, "Accept", " \ta b ").unwrap();
        assert_eq!(headers, [("Accept".to_owned(), "a b".to_owned())]);
    }

    #[test]
    fn headers_are_limited_in_number_and_in_bytes() {
        let mut headers = Vec::new();
        for index in 0..REQUEST_HEADERS_MAX {
            push(&mut headers, &format!("X-{index}"), "v").unwrap();
        }
        assert!(push(&mut headers, "X-More", "v").is_err());
        assert!(push(&mut Vec::new(), "X", &"v".repeat(REQUEST_HEADER_BYTES_MAX)).is_err());
    }

    #[test]
    fn an_error_never_repeats_a_value() {
        let error = push(&mut Vec::new(), "Authorization", "hush\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
}
