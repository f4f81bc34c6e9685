//! Tests of the rules for validators.

use proptest::prelude::*;

use crate::http::head::{Headers, HttpVersion};

use super::*;

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const MODIFIED_S: u64 = 784_111_777;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn validator(fields: Fields<'_>) -> Validator {
    let headers: Headers = fields.iter().copied().collect();
    Validator::from_head(&ResponseHead {
        version: HttpVersion::Http11,
        status: 200,
        headers,
    })
}

#[test]
fn entity_tags_are_read_as_rfc_9110_section_8_8_3_writes_them() {
    let long = format!("\"{}\"", "x".repeat(ENTITY_TAG_BYTES_MAX));
    let longer = format!("\"{}\"", "x".repeat(ENTITY_TAG_BYTES_MAX + 1));
    let table = [
        ("\"abc\"", Some(false)),
        ("W/\"abc\"", Some(true)),
        ("\"\"", Some(false)),
        ("\"a!#~\\\"", Some(false)),
        (long.as_str(), Some(false)),
        (longer.as_str(), None),
        ("abc", None),
        ("\"", None),
        ("\"abc", None),
        ("abc\"", None),
        ("w/\"abc\"", None),
        ("W/ \"abc\"", None),
        ("\"a\"b\"", None),
        ("\"a b\"", None),
        ("\"ä\"", None),
        ("", None),
    ];
    for (value, weak) in table {
        assert_eq!(
            EntityTag::parse(value).map(|tag| tag.is_weak()),
            weak,
            "{value}"
        );
    }
}

#[test]
fn if_range_is_sent_only_with_a_strong_validator() {
    let minute = "Sun, 06 Nov 1994 08:50:37 GMT";
    let table: [(Fields<'_>, Option<&str>); 12] = [
        (&[("ETag", "\"a\"")], Some("\"a\"")),
        (
            &[("ETag", "\"a\""), ("Last-Modified", MODIFIED)],
            Some("\"a\""),
        ),
        (&[("ETag", "\"a\""), ("ETag", "\"a\"")], Some("\"a\"")),
        (&[("ETag", "\"a\""), ("ETag", "\"b\"")], None),
        (&[("ETag", "W/\"a\"")], None),
        // RFC 9110 section 13.1.5: no date where there is a tag, even a weak one.
        (
            &[
                ("ETag", "W/\"a\""),
                ("Last-Modified", MODIFIED),
                ("Date", minute),
            ],
            None,
        ),
        (
            &[
                ("ETag", "bare"),
                ("Last-Modified", MODIFIED),
                ("Date", minute),
            ],
            Some(MODIFIED),
        ),
        (
            &[("Last-Modified", MODIFIED), ("Date", minute)],
            Some(MODIFIED),
        ),
        (
            &[
                ("Last-Modified", MODIFIED),
                ("Date", "Sun, 06 Nov 1994 08:50:36 GMT"),
            ],
            None,
        ),
        (&[("Last-Modified", MODIFIED)], None),
        (&[("Last-Modified", minute), ("Date", MODIFIED)], None),
        (&[], None),
    ];
    for (fields, expected) in table {
        assert_eq!(
            validator(fields).if_range().as_deref(),
            expected,
            "{fields:?}"
        );
    }
}

#[test]
fn all_three_forms_of_a_date_are_one_time_and_are_sent_in_the_current_form() {
    for form in [
        MODIFIED,
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        let found = validator(&[
            ("Last-Modified", form),
            ("Date", "Mon, 07 Nov 1994 00:00:00 GMT"),
        ]);
        assert_eq!(
            found,
            Validator::Date {
                last_modified_s: MODIFIED_S,
                strong: true
            },
            "{form}"
        );
        assert_eq!(found.if_range().as_deref(), Some(MODIFIED));
    }
    assert_eq!(
        validator(&[("Last-Modified", "yesterday")]),
        Validator::None
    );
    let far = Validator::Date {
        last_modified_s: u64::MAX,
        strong: true,
    };
    assert_eq!(far.if_range(), None);
}

#[test]
fn strong_comparison_and_contradiction_are_not_each_others_opposite() {
    let strong = || validator(&[("ETag", "\"a\"")]);
    let other = || validator(&[("ETag", "\"b\"")]);
    let weak = || validator(&[("ETag", "W/\"a\"")]);
    let date = |last_modified_s, strong| Validator::Date {
        last_modified_s,
        strong,
    };
    let table = [
        (strong(), strong(), true, false),
        (strong(), other(), false, true),
        (strong(), weak(), false, true),
        (weak(), weak(), false, false),
        (strong(), Validator::None, false, false),
        (strong(), date(1, true), false, false),
        (date(1, true), date(1, true), true, false),
        (date(1, true), date(1, false), false, false),
        (date(1, true), date(2, true), false, true),
        (date(1, true), Validator::None, false, false),
        (Validator::None, strong(), false, false),
        (Validator::None, Validator::None, false, false),
    ];
    for (mine, answer, same, contradicted) in table {
        assert_eq!(mine.same_as(&answer), same, "{mine:?} {answer:?}");
        assert_eq!(
            mine.is_contradicted_by(&answer),
            contradicted,
            "{mine:?} {answer:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_in_the_validator_fields_are_judged_without_a_panic(
        etag: Vec<u8>, last_modified: Vec<u8>, date: Vec<u8>,
    ) {
        let fields = [("etag", etag), ("last-modified", last_modified), ("date", date)];
        let headers: Headers = fields.into_iter().collect();
        let head = ResponseHead { version: HttpVersion::Http11, status: 200, headers };
        let _ = Validator::from_head(&head).if_range();
    }

    #[test]
    fn an_entity_tag_reads_back_as_it_was_printed(weak: bool, tag in "[!#-~]{0,40}") {
        let tag = EntityTag { weak, tag };
        prop_assert_eq!(EntityTag::parse(&tag.to_string()), Some(tag));
    }

    #[test]
    fn a_date_is_sent_as_the_second_it_was_read(last_modified_s in 0..=HTTP_DATE_S_MAX) {
        let sent = Validator::Date { last_modified_s, strong: true }.if_range();
        let read = sent.and_then(|date| parse_http_date(date.as_bytes()));
        prop_assert_eq!(read, Some(last_modified_s));
    }
}
