//! How long a server asks us to wait (RFC 9110 section 10.2.3).

use std::time::Duration;

use crate::http::framing::decimal;
use crate::http::head::ResponseHead;
use crate::http::validator::parse_http_date;

/// The longest wait that a server may impose: longer, and a wrong clock or a hostile number would
/// end a transfer in effect.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the value of a `Retry-After` field, in seconds or as a date, at `now_unix_s` (whole
/// seconds of Unix time).
///
/// The delay is cut to [`RETRY_AFTER_MAX`]; a date in the past is no delay. Anything else is
/// `None`, and the caller's own backoff applies.
#[must_use]
pub fn delay(value: &[u8], now_unix_s: u64) -> Option<Duration> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let delay_s = if is_number {
        // A number too large for 64 bits is still a number, and over the limit.
        decimal(value).unwrap_or(u64::MAX)
    } else {
        parse_http_date(value)?.saturating_sub(now_unix_s)
    };
    Some(Duration::from_secs(delay_s).min(RETRY_AFTER_MAX))
}

/// Reads the first `Retry-After` of a response, as [`delay`] does.
#[must_use]
pub fn from_head(head: &ResponseHead, now_unix_s: u64) -> Option<Duration> {
    delay(head.headers.get_all("retry-after").next()?, now_unix_s)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::http::head::HttpVersion;

    use super::*;

    const NOW_UNIX_S: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT

    #[test]
    fn both_forms_are_obeyed_up_to_a_day_and_garbage_is_not() {
        let day_s = RETRY_AFTER_MAX.as_secs();
        let table = [
            ("0", Some(0)),
            ("120", Some(120)),
            ("86400", Some(day_s)),
            ("86401", Some(day_s)),
            ("99999999999999999999999", Some(day_s)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(day_s)),
            ("-1", None),
            ("1.5", None),
            ("1s", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in table {
            let found = delay(value.as_bytes(), NOW_UNIX_S).map(|delay| delay.as_secs());
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn the_first_field_of_a_head_counts() {
        let head = |fields: &[(&str, &str)]| ResponseHead {
            version: HttpVersion::Http11,
            status: 503,
            headers: fields.iter().copied().collect(),
        };
        assert_eq!(from_head(&head(&[]), NOW_UNIX_S), None);
        let twice = head(&[("Retry-After", "3"), ("Retry-After", "4")]);
        assert_eq!(from_head(&twice, NOW_UNIX_S), Some(Duration::from_secs(3)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic_and_within_the_limit(value: Vec<u8>, now: u64) {
            prop_assert!(delay(&value, now).is_none_or(|delay| delay <= RETRY_AFTER_MAX));
        }
    }
}
