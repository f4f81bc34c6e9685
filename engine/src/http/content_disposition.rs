//! The file name that a server proposes (RFC 6266, RFC 8187), read as forgivingly as browsers do.

use crate::http::head::{ResponseHead, trim_ows};
use crate::http::percent_decode;

/// Most bytes of the field that are looked at: a name has at most 255, thrice that when encoded,
/// and comes at most twice.
const FIELD_BYTES_MAX: usize = 4096;

/// Most parameters that are looked at: eight are registered.
const PARAMETERS_MAX: usize = 32;

/// The file name in the first `Content-Disposition` of a response, or `None`.
///
/// The name is the server's word and not yet safe: it may hold directories or worse. Only
/// [`FileName`](crate::http::file_name::FileName) may become a path.
#[must_use]
pub fn from_head(head: &ResponseHead) -> Option<String> {
    parse(head.headers.get_all("content-disposition").next()?)
}

/// The file name in the value of a `Content-Disposition` field, or `None`.
///
/// `filename*` goes before `filename`, wherever it stands (RFC 6266 section 4.3). Of several with
/// one name the first that can be read counts. The disposition type is not looked at, for the name
/// of an `inline` body is as good. Tolerated: no type, spaces in a bare name, a missing end quote,
/// a quoted `filename*`, and bytes outside of ASCII (UTF-8, else ISO-8859-1).
#[must_use]
pub fn parse(value: &[u8]) -> Option<String> {
    if value.len() > FIELD_BYTES_MAX {
        return None;
    }
    let (mut plain, mut extended) = (None, None);
    let mut rest = value;
    for _ in 0..PARAMETERS_MAX {
        let Some((parameter, after)) = next_parameter(rest) else {
            break;
        };
        rest = after;
        if parameter.name.eq_ignore_ascii_case(b"filename*") {
            extended = extended.or_else(|| extended_value(&parameter.value));
        } else if parameter.name.eq_ignore_ascii_case(b"filename") {
            plain = plain.or_else(|| Some(text(&parameter.value)).filter(|name| !name.is_empty()));
        }
    }
    extended.or(plain)
}

struct Parameter<'a> {
    name: &'a [u8],
    value: Vec<u8>,
}

/// The next `name=value` and what follows it. A part without `=`, as the type, has an empty value.
fn next_parameter(field: &[u8]) -> Option<(Parameter<'_>, &[u8])> {
    let skipped = field
        .iter()
        .take_while(|byte| matches!(byte, b';' | b' ' | b'\t'))
        .count();
    let field = &field[skipped..];
    if field.is_empty() {
        return None;
    }
    let name_end = field
        .iter()
        .position(|byte| matches!(byte, b'=' | b';'))
        .unwrap_or(field.len());
    let (name, rest) = (trim_ows(&field[..name_end]), &field[name_end..]);
    let Some(rest) = rest.strip_prefix(b"=") else {
        return Some((
            Parameter {
                name,
                value: Vec::new(),
            },
            rest,
        ));
    };
    let start = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    let (value, rest) = match rest[start..].strip_prefix(b"\"") {
        Some(quoted) => quoted_value(quoted),
        None => bare_value(&rest[start..]),
    };
    Some((Parameter { name, value }, rest))
}

/// A value up to the next `;`.
fn bare_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = text
        .iter()
        .position(|&byte| byte == b';')
        .unwrap_or(text.len());
    (trim_ows(&text[..end]).to_vec(), &text[end..])
}

/// A value up to its end quote or, if that is missing, to the end; what stands between the quote
/// and the next `;` is dropped.
fn quoted_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return (value, bare_value(&text[at + 1..]).1),
            b'\\' => value.extend(bytes.next().map(|(_, &escaped)| escaped)),
            _ => value.push(byte),
        }
    }
    (value, &[])
}

/// Decodes `charset'language'percent-encoded` (RFC 8187 section 3.2).
fn extended_value(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = percent_decode(encoded);
    let decoded = if charset.eq_ignore_ascii_case(b"utf-8") {
        String::from_utf8(bytes).ok()?
    } else if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        latin_1(&bytes)
    } else {
        return None;
    };
    (!decoded.is_empty()).then_some(decoded)
}

fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| latin_1(bytes), str::to_owned)
}

fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_found_in_right_and_in_broken_fields() {
        let table = [
            // RFC 6266 section 5 and RFC 8187 section 3.2.3.
            ("Attachment; filename=example.html", Some("example.html")),
            (
                "INLINE; FILENAME= \"an example.html\"",
                Some("an example.html"),
            ),
            (
                "attachment; filename*= UTF-8''%e2%82%ac%20rates",
                Some("€ rates"),
            ),
            (
                "attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates",
                Some("€ rates"),
            ),
            (
                "attachment; filename*=UTF-8''first; filename=\"second\"",
                Some("first"),
            ),
            (
                "attachment; filename*=iso-8859-1'en'%A3%20rates",
                Some("£ rates"),
            ),
            (
                "attachment; filename=\"a\\\"b\\\\c.txt\"",
                Some("a\"b\\c.txt"),
            ),
            (
                "attachment; filename=\"a;b=c.txt\"; size=3",
                Some("a;b=c.txt"),
            ),
            ("attachment; size=3; filename=a.txt", Some("a.txt")),
            ("attachment; filename=first; filename=second", Some("first")),
            ("attachment; filename=\"../../x\"", Some("../../x")),
            // What browsers read although no standard allows it.
            ("filename=a.txt", Some("a.txt")),
            ("attachment; filename=a b.txt", Some("a b.txt")),
            ("attachment; filename = a.txt ;", Some("a.txt")),
            ("attachment;;; filename=a.txt", Some("a.txt")),
            ("attachment; filename=\"a.txt", Some("a.txt")),
            ("attachment; filename=\"a.txt\" junk; size=3", Some("a.txt")),
            ("attachment; filename=\"a.txt\\", Some("a.txt")),
            ("attachment; filename*=\"UTF-8''a%20b\"", Some("a b")),
            ("attachment; filename=\"naïve.txt\"", Some("naïve.txt")),
            // An extended name that cannot be read leaves the plain one.
            ("attachment; filename*=UTF-8''%ff; filename=a", Some("a")),
            ("attachment; filename*=koi8-r''x; filename=a", Some("a")),
            ("attachment; filename*=a; filename=b", Some("b")),
            ("attachment; filename*=UTF-8''; filename=a", Some("a")),
            ("attachment", None),
            ("attachment; filename", None),
            ("attachment; filename=", None),
            ("attachment; filename=\"\"", None),
            ("attachment; name=\"filename=x\"", None),
            ("attachment; xfilename=x", None),
            (";", None),
            ("", None),
        ];
        for (value, expected) in table {
            assert_eq!(parse(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_iso_8859_1() {
        assert_eq!(
            parse(b"attachment; filename=\"na\xefve\"").as_deref(),
            Some("naïve")
        );
    }

    #[test]
    fn a_field_over_the_limit_has_no_name() {
        let value = format!("attachment; filename={}", "x".repeat(FIELD_BYTES_MAX));
        assert_eq!(parse(value.as_bytes()), None);
        let value = format!("{}filename=a", "x=y;".repeat(PARAMETERS_MAX));
        assert_eq!(parse(value.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(
            value: Vec<u8>, text in "[filename*=;\"\\\\' %a-f]{0,60}",
        ) {
            let _ = (parse(&value), parse(text.as_bytes()));
        }

        #[test]
        fn a_quoted_name_reads_back_whatever_is_in_it(name in "[^\\x00]{1,40}") {
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            let value = format!("attachment; filename=\"{escaped}\"");
            prop_assert_eq!(parse(value.as_bytes()), Some(name));
        }
    }
}
