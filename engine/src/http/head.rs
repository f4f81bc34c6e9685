//! The head of a response (status line and fields), as the wire hands it to the rules.

use std::fmt;

use crate::http::framing::{self, Framing};

/// Fields whose values never appear in a log: they carry credentials, sessions or signed URLs.
const SENSITIVE_NAMES: [&str; 12] = [
    "authentication-info",
    "authorization",
    "content-location",
    "cookie",
    "link",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "refresh",
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
];

/// Most bytes of one field value that `Debug` prints: a log line shall stay a line.
const DEBUG_VALUE_BYTES_MAX: usize = 256;

/// Says whether the value of the field `name` may hold a secret and must not be shown to anybody.
/// The case of `name` does not matter.
#[must_use]
pub fn is_sensitive(name: &str) -> bool {
    let listed = SENSITIVE_NAMES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name));
    // Nobody can list every vendor's field for a key (`X-Api-Key`, `X-Amz-Security-Token`).
    let lower = name.to_ascii_lowercase();
    listed
        || ["token", "secret", "key", "auth"]
            .iter()
            .any(|word| lower.contains(word))
}

/// The fields of a message in the order received, a repeated name as often as it came.
///
/// Header names are stored lower-case; values as the bytes received, trimmed of OWS (space and
/// tab, RFC 9110 section 5.5). `Debug` prints the names and hides the values that
/// [`is_sensitive`] names.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers {
    fields: Vec<(String, Vec<u8>)>,
}

impl Headers {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// Adds a field at the end; one of the same name stays.
    pub fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let mut value = value.into();
        let kept = trim_ows(&value).len();
        let skipped = value.iter().take_while(|&&byte| is_ows(byte)).count();
        value.drain(..skipped);
        value.truncate(kept);
        self.fields.push((name.to_ascii_lowercase(), value));
    }

    /// The first value of the field `name` (in any case), if it is valid UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name)
            .next()
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Every value of the field `name` (in any case), in the order received.
    pub fn get_all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// Every field, the name in lower case, in the order received.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// How many fields there are, a repeated name counted as often as it came.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// True when there is no field.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl<N: AsRef<str>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            headers.push(name.as_ref(), value);
        }
        headers
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = formatter.debug_map();
        for (name, value) in self.iter() {
            if is_sensitive(name) {
                map.entry(&name, &"<redacted>");
            } else {
                let shown = &value[..value.len().min(DEBUG_VALUE_BYTES_MAX)];
                map.entry(&name, &String::from_utf8_lossy(shown));
            }
        }
        map.finish()
    }
}

/// The version of HTTP that a peer speaks on one connection. HTTP/0.9 is refused by the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpVersion {
    /// HTTP/1.0: a connection ends with its response unless both sides say otherwise.
    Http10,
    /// HTTP/1.1: a connection stays unless one side says otherwise.
    Http11,
}

/// The status line and the fields of one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The version in the status line.
    pub version: HttpVersion,
    /// The status code, 100 to 599.
    pub status: u16,
    /// The fields.
    pub headers: Headers,
}

impl ResponseHead {
    /// The length in bytes that a valid `Content-Length` declares; `None` when there is none, or
    /// when [`body_framing`](framing::body_framing) would refuse it.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        framing::declared_length(&self.headers).ok().flatten()
    }

    /// True when the body comes in chunks, by [`body_framing`](framing::body_framing).
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        framing::body_framing(self) == Ok(Framing::Chunked)
    }
}

/// `value` without the spaces and tabs around it.
pub(crate) fn trim_ows(value: &[u8]) -> &[u8] {
    let start = value
        .iter()
        .position(|&byte| !is_ows(byte))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|&byte| !is_ows(byte))
        .map_or(start, |last| last + 1);
    &value[start..end]
}

const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_values_lose_the_space_around_them() {
        let headers: Headers = [("ETag", " \t\"a b\"\t "), ("X-Empty", " \t ")]
            .into_iter()
            .collect();
        let fields: Vec<_> = headers.iter().collect();
        assert_eq!(fields, [("etag", &b"\"a b\""[..]), ("x-empty", &b""[..])]);
        assert_eq!(headers.get("ETAG"), Some("\"a b\""));
        assert_eq!((headers.len(), headers.is_empty()), (2, false));
    }

    #[test]
    fn a_repeated_name_keeps_every_value_in_order() {
        let headers: Headers = [("A", "1"), ("B", "2"), ("a", "3")].into_iter().collect();
        assert_eq!(headers.get("a"), Some("1"));
        assert_eq!(headers.get_all("A").collect::<Vec<_>>(), [b"1", b"3"]);
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_kept_as_bytes_only() {
        let mut headers = Headers::new();
        headers.push("Server", vec![0xff, 0xfe]);
        assert_eq!(headers.get("server"), None);
        assert_eq!(headers.get_all("server").next(), Some(&[0xff, 0xfe][..]));
    }

    #[test]
    fn debug_shows_names_and_hides_the_values_that_may_hold_a_secret() {
        let headers: Headers = [
            ("Content-Type", "text/plain"),
            ("Location", "https://a/b?Signature=hush"),
            ("Set-Cookie", "id=hush"),
            ("X-Amz-Security-Token", "hush"),
        ]
        .into_iter()
        .collect();
        let shown = format!("{headers:?}");
        assert!(
            shown.contains("text/plain") && shown.contains("set-cookie"),
            "{shown}"
        );
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_head_tells_its_length_and_its_chunking() {
        let head = |fields: &[(&str, &str)]| ResponseHead {
            version: HttpVersion::Http11,
            status: 200,
            headers: fields.iter().copied().collect(),
        };
        assert_eq!(head(&[("Content-Length", "7")]).content_length(), Some(7));
        assert_eq!(head(&[("Content-Length", "seven")]).content_length(), None);
        assert!(head(&[("Transfer-Encoding", "chunked")]).is_chunked());
        assert!(!head(&[("Content-Length", "7")]).is_chunked());
    }
}
