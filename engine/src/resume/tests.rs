//! The table of answers, row by row.

use super::*;
use crate::http::head::HttpVersion;
use crate::http::validator::EntityTag;

fn head(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    ResponseHead {
        version: HttpVersion::Http11,
        status,
        headers: fields.iter().copied().collect(),
    }
}

fn tag(text: &str) -> Validator {
    Validator::Tag(EntityTag::parse(text).expect("a tag"))
}

fn kind(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Continue { .. } => "continue",
        Verdict::Fresh(_) => "fresh",
        Verdict::Restart(RestartCause::Changed) => "changed",
        Verdict::Restart(RestartCause::Unsatisfiable) => "unsatisfiable",
        Verdict::AlreadyComplete(_) => "complete",
        Verdict::Redirect => "redirect",
        Verdict::Challenge => "challenge",
        Verdict::Later(..) => "later",
        Verdict::Fail(failure) => failure.kind().code(),
    }
}

/// A status, its fields, and the kind of verdict that they get.
type Row<'a> = (u16, &'a [(&'a str, &'a str)], &'a str);

const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000_000_000);

#[test]
fn an_answer_to_a_request_for_the_whole() {
    let none = Validator::None;
    let asked = Asked {
        from: None,
        until: None,
        total: None,
        validator: &none,
        allow_encoded: false,
        accept_error_status: false,
        may_retry: true,
    };
    let table: [Row<'_>; 17] = [
        (200, &[("content-length", "10")], "fresh"),
        (200, &[("transfer-encoding", "chunked")], "fresh"),
        (200, &[], "fresh"),
        (204, &[], "fresh"),
        (
            206,
            &[("content-length", "10"), ("content-range", "bytes 0-9/10")],
            "fresh",
        ),
        (
            206,
            &[("content-length", "5"), ("content-range", "bytes 0-4/10")],
            "protocol",
        ),
        (206, &[("content-length", "5")], "protocol"),
        (
            200,
            &[("content-length", "1"), ("content-length", "2")],
            "protocol",
        ),
        (200, &[("transfer-encoding", "gzip, chunked")], "protocol"),
        (
            200,
            &[("content-length", "10"), ("content-encoding", "gzip")],
            "encoded",
        ),
        (
            200,
            &[("content-length", "10"), ("content-encoding", "identity")],
            "fresh",
        ),
        (302, &[("location", "/x")], "redirect"),
        (401, &[], "challenge"),
        (404, &[], "status"),
        (416, &[], "status"),
        (503, &[("retry-after", "3")], "later"),
        (304, &[], "protocol"),
    ];
    for (status, fields, expected) in table {
        let verdict = decide(&asked, &head(status, fields), NOW);
        assert_eq!(kind(&verdict), expected, "{status} {fields:?}");
    }
}

#[test]
fn an_answer_to_a_request_for_the_rest() {
    let validator = tag("\"a\"");
    let asked = Asked {
        from: Some(4),
        until: None,
        total: Some(10),
        validator: &validator,
        allow_encoded: false,
        accept_error_status: false,
        may_retry: true,
    };
    let same = ("etag", "\"a\"");
    let table: [Row<'_>; 14] = [
        (
            206,
            &[
                same,
                ("content-range", "bytes 4-9/10"),
                ("content-length", "6"),
            ],
            "continue",
        ),
        (
            206,
            &[("content-range", "bytes 4-9/10"), ("content-length", "6")],
            "changed",
        ),
        (206, &[same, ("content-range", "bytes 4-9/10")], "continue"),
        (
            206,
            &[
                same,
                ("content-range", "bytes 5-9/10"),
                ("content-length", "5"),
            ],
            "changed",
        ),
        (
            206,
            &[
                same,
                ("content-range", "bytes 4-10/11"),
                ("content-length", "7"),
            ],
            "changed",
        ),
        (
            206,
            &[
                same,
                ("content-range", "bytes 4-9/10"),
                ("content-length", "5"),
            ],
            "protocol",
        ),
        (
            206,
            &[
                ("etag", "\"b\""),
                ("content-range", "bytes 4-9/10"),
                ("content-length", "6"),
            ],
            "changed",
        ),
        (
            206,
            &[same, ("content-type", "multipart/byteranges; boundary=x")],
            "changed",
        ),
        (
            206,
            &[
                same,
                ("content-range", "bytes 4-9/*"),
                ("content-length", "6"),
            ],
            "changed",
        ),
        (200, &[same, ("content-length", "10")], "fresh"),
        (416, &[("content-range", "bytes */4")], "unsatisfiable"),
        (416, &[("content-range", "bytes */10")], "unsatisfiable"),
        (416, &[], "unsatisfiable"),
        (401, &[], "challenge"),
    ];
    for (status, fields, expected) in table {
        let verdict = decide(&asked, &head(status, fields), NOW);
        assert_eq!(kind(&verdict), expected, "{status} {fields:?}");
    }
}

#[test]
fn an_error_status_is_a_file_only_for_who_accepts_it_when_no_attempt_follows() {
    let validator = tag("\"a\"");
    let fields = [("etag", "\"a\""), ("content-length", "10")];
    // Status, then what it is: not accepted; accepted; accepted by the last attempt.
    let table = [
        (400, ["status", "fresh", "fresh"]),
        (401, ["challenge"; 3]),
        (404, ["status", "fresh", "fresh"]),
        (407, ["challenge"; 3]),
        (416, ["unsatisfiable"; 3]),
        (429, ["later", "later", "fresh"]),
        (501, ["status", "fresh", "fresh"]),
        (503, ["later", "later", "fresh"]),
        (600, ["protocol"; 3]),
    ];
    for (status, expected) in table {
        let ways = [(false, true), (true, true), (true, false)];
        for ((accept_error_status, may_retry), expected) in ways.into_iter().zip(expected) {
            let asked = Asked {
                from: Some(4),
                until: None,
                total: Some(10),
                validator: &validator,
                allow_encoded: false,
                accept_error_status,
                may_retry,
            };
            let verdict = decide(&asked, &head(status, &fields), NOW);
            assert_eq!(kind(&verdict), expected, "{status} {accept_error_status}");
            if let Verdict::Fresh(fresh) = verdict {
                let known = (fresh.status, fresh.validator, fresh.total);
                assert_eq!(
                    known,
                    (status, Validator::None, Some(10)),
                    "never continued"
                );
            }
        }
    }
}

#[test]
fn the_status_of_a_file_is_that_of_the_whole() {
    let none = Validator::None;
    let asked = Asked {
        from: None,
        until: None,
        total: None,
        validator: &none,
        allow_encoded: false,
        accept_error_status: false,
        may_retry: true,
    };
    let whole = [("content-length", "10"), ("content-range", "bytes 0-9/10")];
    for (status, expected) in [(200, 200), (203, 203), (204, 204), (206, STATUS_OK)] {
        let Verdict::Fresh(fresh) = decide(&asked, &head(status, &whole), NOW) else {
            panic!("{status} is not fresh")
        };
        assert_eq!(fresh.status, expected);
    }
}

#[test]
fn everything_held_and_416_with_that_length_is_complete() {
    let validator = tag("\"a\"");
    for total in [None, Some(10)] {
        let asked = Asked {
            from: Some(10),
            until: None,
            total,
            validator: &validator,
            allow_encoded: false,
            accept_error_status: false,
            may_retry: true,
        };
        let verdict = decide(&asked, &head(416, &[("content-range", "bytes */10")]), NOW);
        assert_eq!(verdict, Verdict::AlreadyComplete(10), "{total:?}");
        let other = [("content-range", "bytes */10"), ("etag", "\"b\"")];
        let verdict = decide(&asked, &head(416, &other), NOW);
        assert_eq!(
            kind(&verdict),
            "unsatisfiable",
            "another representation of that length"
        );
    }
}

#[test]
fn a_range_with_an_end_may_not_be_answered_beyond_it() {
    let validator = tag("\"a\"");
    let asked = Asked {
        from: Some(4),
        until: Some(8),
        total: Some(10),
        validator: &validator,
        allow_encoded: false,
        accept_error_status: false,
        may_retry: true,
    };
    for (range, expected) in [
        ("bytes 4-7/10", "continue"),
        ("bytes 4-6/10", "continue"),
        ("bytes 4-9/10", "changed"),
    ] {
        let fields = [("etag", "\"a\""), ("content-range", range)];
        assert_eq!(
            kind(&decide(&asked, &head(206, &fields), NOW)),
            expected,
            "{range}"
        );
    }
}

#[test]
fn a_body_without_length_or_chunks_can_not_be_resumed() {
    let none = Validator::None;
    let asked = Asked {
        from: None,
        until: None,
        total: None,
        validator: &none,
        allow_encoded: true,
        accept_error_status: false,
        may_retry: true,
    };
    for fields in [
        vec![("etag", "\"a\"")],
        vec![
            ("etag", "\"a\""),
            ("content-length", "3"),
            ("content-encoding", "gzip"),
        ],
    ] {
        let Verdict::Fresh(fresh) = decide(&asked, &head(200, &fields), NOW) else {
            panic!("not fresh: {fields:?}");
        };
        assert_eq!(fresh.validator, Validator::None, "{fields:?}");
    }
}

#[test]
fn a_wish_to_wait_is_obeyed_and_bounded() {
    let none = Validator::None;
    let asked = Asked {
        from: None,
        until: None,
        total: None,
        validator: &none,
        allow_encoded: false,
        accept_error_status: false,
        may_retry: true,
    };
    for (value, expected_s) in [("7", Some(7)), ("999999999", Some(86400)), ("soon", None)] {
        let verdict = decide(&asked, &head(429, &[("retry-after", value)]), NOW);
        let Verdict::Later(delay, failure) = verdict else {
            panic!("not later")
        };
        assert_eq!(delay, expected_s.map(Duration::from_secs), "{value}");
        assert_eq!(failure.kind(), FailureKind::Status(429));
    }
}
