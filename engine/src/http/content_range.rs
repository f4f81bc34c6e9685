//! Which part of a representation a response carries (RFC 9110 section 14.4).

use std::fmt;

use thiserror::Error;

use crate::http::framing::decimal;
use crate::http::head::ResponseHead;

/// A checked `Content-Range` in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// The body is the part `start..=end_inclusive` (with a 206).
    Bytes {
        /// Offset of the first byte of the body.
        start: u64,
        /// Offset of the last byte of the body; never less than `start`, and less than `total`.
        end_inclusive: u64,
        /// Length of the whole representation in bytes, if the server knows it.
        total: Option<u64>,
    },
    /// No asked part exists (with a 416).
    Unsatisfied {
        /// Length of the whole representation in bytes.
        total: u64,
    },
}

/// A `Content-Range` that nothing may be built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContentRangeError {
    /// Not of the form `bytes first-last/total`, `bytes first-last/*` or `bytes */total`.
    #[error("the server sent a content-range that cannot be read")]
    Malformed,
    /// The unit is not bytes, the only one ever asked for.
    #[error("the server sent a content-range in a unit other than bytes")]
    UnknownUnit,
    /// The last byte lies before the first, at or after the total, or at the end of 64 bits.
    #[error("the server sent a content-range with impossible offsets")]
    Impossible,
    /// Several `Content-Range` fields that differ.
    #[error("the server sent conflicting content-ranges")]
    Conflicting,
}

impl ContentRange {
    /// Reads the value of a `Content-Range` field.
    ///
    /// # Errors
    /// When the value is malformed, has another unit, or contradicts itself.
    pub fn parse(value: &[u8]) -> Result<Self, ContentRangeError> {
        let (unit, rest) = split_once(value, b' ').ok_or(ContentRangeError::Malformed)?;
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return Err(ContentRangeError::UnknownUnit);
        }
        let (range, total) = split_once(rest, b'/').ok_or(ContentRangeError::Malformed)?;
        let number = |digits| decimal(digits).ok_or(ContentRangeError::Malformed);
        if range == b"*" {
            return Ok(Self::Unsatisfied {
                total: number(total)?,
            });
        }
        let (start, end) = split_once(range, b'-').ok_or(ContentRangeError::Malformed)?;
        let (start, end_inclusive) = (number(start)?, number(end)?);
        let total = if total == b"*" {
            None
        } else {
            Some(number(total)?)
        };
        // Without a total the end must still leave room for a length in 64 bits.
        if start > end_inclusive || end_inclusive >= total.unwrap_or(u64::MAX) {
            return Err(ContentRangeError::Impossible);
        }
        Ok(Self::Bytes {
            start,
            end_inclusive,
            total,
        })
    }

    /// Reads the `Content-Range` of a response; `Ok(None)` when it has none, as a multipart answer.
    ///
    /// # Errors
    /// As [`ContentRange::parse`], and when several fields differ.
    pub fn from_head(head: &ResponseHead) -> Result<Option<Self>, ContentRangeError> {
        let mut values = head.headers.get_all("content-range");
        let Some(first) = values.next() else {
            return Ok(None);
        };
        if values.any(|other| other != first) {
            return Err(ContentRangeError::Conflicting);
        }
        Self::parse(first).map(Some)
    }

    /// How many bytes the part has; 0 when unsatisfied.
    #[must_use]
    pub const fn length_bytes(&self) -> u64 {
        match self {
            Self::Bytes {
                start,
                end_inclusive,
                ..
            } => *end_inclusive - *start + 1,
            Self::Unsatisfied { .. } => 0,
        }
    }

    /// The length of the whole representation in bytes, if the server told it.
    #[must_use]
    pub const fn total_bytes(&self) -> Option<u64> {
        match self {
            Self::Bytes { total, .. } => *total,
            Self::Unsatisfied { total } => Some(*total),
        }
    }
}

/// As it stands in a field; [`ContentRange::parse`] reads it back.
impl fmt::Display for ContentRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes {
                start,
                end_inclusive,
                total: Some(total),
            } => {
                write!(formatter, "bytes {start}-{end_inclusive}/{total}")
            }
            Self::Bytes {
                start,
                end_inclusive,
                total: None,
            } => {
                write!(formatter, "bytes {start}-{end_inclusive}/*")
            }
            Self::Unsatisfied { total } => write!(formatter, "bytes */{total}"),
        }
    }
}

fn split_once(value: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = value.iter().position(|&byte| byte == separator)?;
    Some((&value[..at], &value[at + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::http::head::HttpVersion;

    use super::*;

    #[test]
    fn ranges_are_read_and_checked_as_rfc_9110_section_14_4_says() {
        use ContentRangeError::{Impossible, Malformed, UnknownUnit};
        let part = |start, end_inclusive, total| {
            Ok(ContentRange::Bytes {
                start,
                end_inclusive,
                total,
            })
        };
        let table = [
            ("bytes 0-499/1234", part(0, 499, Some(1234))),
            ("Bytes 0-0/1", part(0, 0, Some(1))),
            ("bytes 500-999/*", part(500, 999, None)),
            (
                "bytes */1234",
                Ok(ContentRange::Unsatisfied { total: 1234 }),
            ),
            ("bytes */0", Ok(ContentRange::Unsatisfied { total: 0 })),
            ("bytes 5-4/10", Err(Impossible)),
            ("bytes 0-10/10", Err(Impossible)),
            ("bytes 0-0/0", Err(Impossible)),
            ("bytes 0-18446744073709551615/*", Err(Impossible)),
            ("bytes 0-18446744073709551616/*", Err(Malformed)),
            ("bytes */*", Err(Malformed)),
            ("bytes 0-/10", Err(Malformed)),
            ("bytes -5/10", Err(Malformed)),
            ("bytes 0-4", Err(Malformed)),
            ("bytes=0-4/10", Err(Malformed)),
            ("bytes  0-4/10", Err(Malformed)),
            ("bytes 0-4/10/2", Err(Malformed)),
            ("bytes 0 - 4/10", Err(Malformed)),
            ("bytes +0-4/10", Err(Malformed)),
            ("bytes", Err(Malformed)),
            ("", Err(Malformed)),
            ("items 0-4/10", Err(UnknownUnit)),
        ];
        for (value, expected) in table {
            assert_eq!(ContentRange::parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn a_head_has_no_range_or_one_or_an_error() {
        let range = |values: &[&str]| {
            let headers = values
                .iter()
                .map(|&value| ("Content-Range", value))
                .collect();
            ContentRange::from_head(&ResponseHead {
                version: HttpVersion::Http11,
                status: 206,
                headers,
            })
        };
        let part = ContentRange::Bytes {
            start: 2,
            end_inclusive: 4,
            total: Some(9),
        };
        assert_eq!((part.length_bytes(), part.total_bytes()), (3, Some(9)));
        let none = ContentRange::Unsatisfied { total: 9 };
        assert_eq!((none.length_bytes(), none.total_bytes()), (0, Some(9)));
        assert_eq!(range(&[]), Ok(None));
        assert_eq!(range(&["bytes 2-4/9", "bytes 2-4/9"]), Ok(Some(part)));
        assert_eq!(
            range(&["bytes 2-4/9", "bytes 2-4/8"]),
            Err(ContentRangeError::Conflicting)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(value: Vec<u8>, tail in "[0-9*/-]{0,60}") {
            let _ = ContentRange::parse(&value);
            if let Ok(range) = ContentRange::parse(format!("bytes {tail}").as_bytes()) {
                let _ = range.length_bytes();
            }
        }

        #[test]
        fn a_range_reads_back_as_it_was_printed(
            start: u64, more: u64, rest in 1..=u64::MAX, known: bool,
        ) {
            let end_inclusive = start.saturating_add(more).min(u64::MAX - 1);
            let start = start.min(end_inclusive);
            let total = known.then(|| end_inclusive.saturating_add(rest));
            let range = ContentRange::Bytes { start, end_inclusive, total };
            prop_assert_eq!(ContentRange::parse(range.to_string().as_bytes()), Ok(range));
            let none = ContentRange::Unsatisfied { total: start };
            prop_assert_eq!(ContentRange::parse(none.to_string().as_bytes()), Ok(none));
        }
    }
}
