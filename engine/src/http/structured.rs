//! The structured field values that we read (RFC 9651): integers, booleans, and dictionaries of them.
//!
//! What can not be read is absent, as that standard has it: the field is ignored as a whole.

use crate::http::framing::decimal;
use crate::http::head::{Headers, trim_ows};

/// Most members of one dictionary that are looked at: those that we know are fewer than ten.
const MEMBERS_MAX: usize = 32;

/// A field that is one Integer (section 3.3.1) and not negative.
///
/// A number of more than 15 digits is read too: fields that are older than the standard have them.
pub(crate) fn integer(headers: &Headers, name: &str) -> Option<u64> {
    decimal(bare(sole(headers, name)?))
}

/// A field that is one Boolean (section 3.3.6).
pub(crate) fn boolean(headers: &Headers, name: &str) -> Option<bool> {
    match bare(sole(headers, name)?) {
        b"?1" => Some(true),
        b"?0" => Some(false),
        _ => None,
    }
}

/// What the members of `names` in a dictionary (section 3.2) say, in that order; of several with one
/// key the last counts. `None` when there is no such field, or when one of them is no integer.
pub(crate) fn integers<const N: usize>(
    headers: &Headers,
    name: &str,
    names: [&str; N],
) -> Option<[Option<u64>; N]> {
    let mut found = [None; N];
    let mut is_there = false;
    for member in headers.get_all(name).flat_map(members).take(MEMBERS_MAX) {
        is_there = true;
        let end = member.iter().position(|byte| matches!(byte, b'=' | b';'));
        let (key, value) = member.split_at(end.unwrap_or(member.len()));
        let known = names.iter().position(|known| known.as_bytes() == key);
        if let Some(place) = known {
            found[place] = Some(decimal(bare(value.strip_prefix(b"=")?))?);
        }
    }
    is_there.then_some(found)
}

/// The parts of a list or dictionary between the commas, where a comma inside a string or an inner
/// list is none.
pub(crate) fn members(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut in_string, mut escaped, mut in_list) = (false, false, false);
    field
        .split(move |&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'(' if !in_string => in_list = true,
                b')' if !in_string => in_list = false,
                _ => return byte == b',' && !in_string && !in_list,
            }
            false
        })
        .map(trim_ows)
}

/// The value of a field that may come once only.
fn sole<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// An item without its parameters.
fn bare(item: &[u8]) -> &[u8] {
    let end = item.iter().position(|&byte| byte == b';');
    trim_ows(&item[..end.unwrap_or(item.len())])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> Headers {
        values.iter().map(|&value| ("X", value)).collect()
    }

    #[test]
    fn integers_and_booleans_are_read_as_the_standard_has_them() {
        let table: [(&[&str], Option<u64>, Option<bool>); 14] = [
            (&["0"], Some(0), None),
            (&["123456789"], Some(123_456_789), None),
            (&["042"], Some(42), None),
            (&["7;a=b"], Some(7), None),
            (&["7", "7"], None, None),
            (&["7, 8"], None, None),
            (&["-1"], None, None),
            (&["1.5"], None, None),
            (&["\"1\""], None, None),
            (&[""], None, None),
            (&["99999999999999999999999"], None, None),
            (&["?1"], None, Some(true)),
            (&["?0;x"], None, Some(false)),
            (&["?2"], None, None),
        ];
        for (values, number, truth) in table {
            let headers = headers(values);
            let found = (integer(&headers, "x"), boolean(&headers, "X"));
            assert_eq!(found, (number, truth), "{values:?}");
        }
        assert_eq!(integer(&Headers::new(), "x"), None);
    }

    #[test]
    fn a_dictionary_is_read_by_its_keys_and_ignored_when_a_known_one_has_another_type() {
        type Row<'a> = (&'a [&'a str], Option<[Option<u64>; 2]>);
        let table: [Row<'_>; 10] = [
            (&["a=1, b=2"], Some([Some(1), Some(2)])),
            (&["b=2;x=y", "a=1"], Some([Some(1), Some(2)])),
            (&["a=1, a=3"], Some([Some(3), None])),
            (&["c=\"a=1,b\", b=2"], Some([None, Some(2)])),
            (&["c"], Some([None, None])),
            (&["c=(1 2), d=:AAAA:, e=?0"], Some([None, None])),
            (&["a=x"], None),
            (&["a"], None),
            (&["a=-1"], None),
            (&[], None),
        ];
        for (values, expected) in table {
            let found = integers(&headers(values), "x", ["a", "b"]);
            assert_eq!(found, expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(values: Vec<Vec<u8>>) {
            let headers: Headers = values.into_iter().map(|value| ("x", value)).collect();
            let _ = (integer(&headers, "x"), boolean(&headers, "x"), integers(&headers, "x", ["a"]));
        }
    }
}
