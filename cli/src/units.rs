//! Times and sizes as people type them.

use std::time::Duration;

/// Reads `90`, `90s`, `500ms`, `5m`, `2h` or `7d`; a number alone is seconds, and may have a
/// fraction.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let unit_s = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(duration_help()),
    };
    let number: f64 = number.parse().map_err(|_| duration_help())?;
    Duration::try_from_secs_f64(number * unit_s).map_err(|_| duration_help())
}

/// Reads `500`, `200K`, `1.5M` or `2G`: bytes, with units of 1024 as curl and wget have them.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    /// Beyond this a double no longer counts single bytes; no rate comes near it.
    const BYTES_MAX: f64 = 9_007_199_254_740_992.0;
    let (number, unit) = split(text);
    let unit_bytes: u32 = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(bytes_help()),
    };
    let number: f64 = number.parse().map_err(|_| bytes_help())?;
    let bytes = number * f64::from(unit_bytes);
    if !(1.0..=BYTES_MAX).contains(&bytes) {
        return Err(bytes_help());
    }
    // In the range that was just checked the conversion is exact but for the fraction of a byte.
    Ok(bytes as u64)
}

/// A duration as people say it: its two largest units.
pub(crate) fn shown(duration: Duration) -> String {
    let s = duration.as_secs();
    let (minutes, hours, days) = (s / 60, s / 3600, s / 86_400);
    let (large, small) = match (days, hours, minutes) {
        (0, 0, 0) => return format!("{s} s"),
        (0, 0, _) => ((minutes, "min"), (s % 60, "s")),
        (0, _, _) => ((hours, "h"), (minutes % 60, "min")),
        (_, _, _) => ((days, "d"), (hours % 24, "h")),
    };
    match small.0 {
        0 => format!("{} {}", large.0, large.1),
        _ => format!("{} {} {} {}", large.0, large.1, small.0, small.1),
    }
}

/// The digits, and what stands after them.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    text.split_at(end)
}

fn duration_help() -> String {
    "not a time; write it as 90, 90s, 500ms, 5m, 2h or 7d".to_owned()
}

fn bytes_help() -> String {
    "not a number of bytes; write it as 500, 200K, 1.5M or 2G".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        let table = [
            ("90", Some(90_000)),
            ("1.5", Some(1_500)),
            ("500ms", Some(500)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("7d", Some(604_800_000)),
            ("0", Some(0)),
            ("", None),
            ("x", None),
            ("-1", None),
            ("1w", None),
            ("1 2", None),
            ("1e400", None),
            ("99999999999999999999999d", None),
        ];
        for (text, ms) in table {
            assert_eq!(duration(text).ok(), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_by_their_two_largest_units() {
        let table = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (7265, "2 h 1 min"),
            (86_400 * 3 + 3600 * 5 + 59, "3 d 5 h"),
        ];
        for (s, text) in table {
            assert_eq!(shown(Duration::from_secs(s)), text);
        }
    }

    #[test]
    fn sizes_are_read_with_units_of_1024() {
        let table = [
            ("500", Some(500)),
            ("200K", Some(204_800)),
            ("1.5m", Some(1_572_864)),
            ("2GiB", Some(2_147_483_648)),
            ("0", None),
            ("0.5", None),
            ("", None),
            ("1T", None),
            ("-5", None),
            ("99999999999999999999G", None),
        ];
        for (text, expected) in table {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
    }
}
