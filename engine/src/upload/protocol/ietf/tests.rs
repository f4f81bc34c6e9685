//! Every request and every answer of the draft, with the deviations of its servers.

use super::*;
use crate::http::head::HttpVersion;

const PART: Act = Act::Append(Piece {
    offset: 5,
    length: 10,
    is_last: false,
});
const LAST: Act = Act::Append(Piece {
    offset: 15,
    length: 10,
    is_last: true,
});

fn brief() -> Brief<'static> {
    Brief {
        method: "PUT",
        metadata: &[],
        length: 25,
        digest: None,
        overrides_method: false,
    }
}

fn heard(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    ResponseHead {
        version: HttpVersion::Http11,
        status,
        headers: fields.iter().copied().collect(),
    }
}

fn meaning_of(version: u16, act: Act, sent: u64, head: &ResponseHead) -> Meaning {
    let now = Timestamp::default();
    meaning(version, &act, &Heard { head, sent, now })
}

#[test]
fn each_version_says_in_its_way_whether_more_is_to_come() {
    let table = [
        (3, "upload-incomplete", "?1", "?0", false),
        (4, "upload-complete", "?0", "?1", false),
        (5, "upload-complete", "?0", "?1", false),
        (6, "upload-complete", "?0", "?1", true),
        (8, "upload-complete", "?0", "?1", true),
    ];
    for (version, name, more, end, has_type) in table {
        let says = |form: &Form, value: &str| {
            assert!(form.fields.contains(&(VERSION_FIELD, version.to_string())));
            form.fields.contains(&(name, value.to_owned()))
        };
        assert!(
            says(&form(version, &Act::Create(0), &brief()), more),
            "{version}"
        );
        assert!(says(&form(version, &PART, &brief()), more), "{version}");
        assert!(says(&form(version, &LAST, &brief()), end), "{version}");
        assert!(says(&offer(version, &brief()), end), "{version}");
        let last = form(version, &LAST, &brief());
        let kind = ("content-type", "application/partial-upload".to_owned());
        assert_eq!(last.fields.contains(&kind), has_type, "{version}");
        // Versions up to 4 forbid more than its own in a question.
        let question = form(version, &Act::Offset, &brief());
        assert_eq!(question.fields.len(), 1, "{version}");
    }
}

#[test]
fn the_place_is_made_by_the_callers_method_and_used_by_the_drafts() {
    let table = [
        (Act::Create(0), "PUT", Companions::All),
        (Act::Offset, "HEAD", Companions::OfTheCaller),
        (LAST, "PATCH", Companions::OfTheCaller),
        (Act::Terminate, "DELETE", Companions::OfTheCaller),
    ];
    for (act, method, companions) in table {
        let form = form(6, &act, &brief());
        assert_eq!(
            (form.method.as_str(), form.companions),
            (method, companions)
        );
    }
    let digest = crate::checksum::Digest::new(Algorithm::Sha256, vec![0; 32]);
    let brief = Brief {
        digest: digest.as_ref(),
        ..brief()
    };
    let sum = format!("sha-256=:{}=:", "A".repeat(43));
    let made = form(6, &Act::Create(0), &brief);
    assert!(made.fields.contains(&("repr-digest", sum)));
}

type Row<'a> = (Act, u16, &'a [(&'a str, &'a str)], Meaning);

#[test]
fn each_answer_means_what_the_draft_and_its_servers_mean_by_it() {
    let held = |offset, is_complete| Held {
        offset,
        is_complete,
        ..Held::default()
    };
    let (none, yes, no): (&[(&str, &str)], _, _) = (
        &[],
        &[("upload-complete", "?1")],
        &[("upload-complete", "?0")],
    );
    let ten: &[(&str, &str)] = &[("upload-offset", "10")];
    let short: &[(&str, &str)] = &[("upload-offset", "10"), ("upload-complete", "?1")];
    // One implementation answers in the field of version 3, whatever it was asked in.
    let swapped: &[(&str, &str)] = &[("upload-incomplete", "?0")];
    let table: [Row<'_>; 29] = [
        (
            Act::Create(0),
            201,
            none,
            Meaning::Created(held(None, None)),
        ),
        (
            Act::Create(0),
            200,
            no,
            Meaning::Created(held(None, Some(false))),
        ),
        (
            Act::Create(0),
            201,
            yes,
            Meaning::Final(held(None, Some(true))),
        ),
        (Act::Create(0), 404, none, Meaning::Refused),
        (Act::Create(0), 409, none, Meaning::Refused),
        (Act::Create(0), 423, none, Meaning::Locked),
        (Act::Create(0), 502, none, Meaning::Later),
        (Act::Offset, 204, ten, Meaning::Held(held(Some(10), None))),
        (
            Act::Offset,
            200,
            short,
            Meaning::Held(held(Some(10), Some(true))),
        ),
        (
            Act::Offset,
            204,
            yes,
            Meaning::Broken("it does not say how much it has"),
        ),
        (Act::Offset, 404, none, Meaning::Gone),
        (Act::Offset, 400, none, Meaning::Refused),
        (LAST, 204, ten, Meaning::Held(held(Some(10), None))),
        (LAST, 204, none, Meaning::Unsaid),
        (LAST, 200, yes, Meaning::Final(held(None, Some(true)))),
        (LAST, 200, swapped, Meaning::Final(held(None, Some(true)))),
        (LAST, 422, yes, Meaning::Final(held(None, Some(true)))),
        (LAST, 500, yes, Meaning::Final(held(None, Some(true)))),
        (LAST, 200, short, Meaning::Final(held(Some(10), Some(true)))),
        (LAST, 409, none, Meaning::Conflict(None)),
        (LAST, 409, ten, Meaning::Conflict(Some(10))),
        (LAST, 410, none, Meaning::Gone),
        (LAST, 413, none, Meaning::TooLarge),
        (LAST, 423, none, Meaning::Locked),
        (LAST, 400, none, Meaning::Refused),
        (LAST, 415, none, Meaning::Refused),
        (LAST, 405, none, Meaning::MethodRefused),
        (LAST, 504, none, Meaning::Later),
        (Act::Terminate, 404, none, Meaning::Gone),
    ];
    for (act, status, fields, expected) in table {
        let found = meaning_of(6, act, 10, &heard(status, fields));
        assert_eq!(found, expected, "{act:?} {status} {fields:?}");
    }
}

#[test]
fn from_version_7_on_a_success_acknowledges_the_whole_append() {
    let reached = Held {
        offset: Some(25),
        ..Held::default()
    };
    let table = [
        (6, 10, Meaning::Unsaid),
        (7, 10, Meaning::Held(reached)),
        (8, 10, Meaning::Held(reached)),
        (8, 9, Meaning::Unsaid),
    ];
    for (version, sent, expected) in table {
        let found = meaning_of(version, LAST, sent, &heard(204, &[]));
        assert_eq!(found, expected, "{version} {sent}");
    }
}

#[test]
fn the_answer_to_an_offer_may_be_one_to_an_upload_or_an_ordinary_one() {
    let of = |status, fields: &[(&str, &str)]| {
        meaning_of_offer(&Heard {
            head: &heard(status, fields),
            sent: 25,
            now: Timestamp::default(),
        })
    };
    assert_eq!(of(201, &[]), Meaning::Taken);
    assert!(matches!(
        of(201, &[("upload-offset", "25")]),
        Meaning::Held(_)
    ));
    assert!(matches!(
        of(201, &[("upload-complete", "?0")]),
        Meaning::Held(_)
    ));
    assert!(matches!(
        of(422, &[("upload-complete", "?1")]),
        Meaning::Final(_)
    ));
    assert_eq!(
        of(412, &[("tus-resumable", "1.0.0")]),
        Meaning::OtherVersion
    );
    assert_eq!(of(412, &[]), Meaning::Refused);
    assert_eq!(of(503, &[]), Meaning::Later);
}

#[test]
fn limits_and_age_are_read_and_a_field_of_another_form_is_none() {
    let now = Timestamp::from_unix_ms(1000);
    let of = |value: &str| held(&heard(104, &[("upload-limit", value)]), now);
    let all = of("max-size=9, min-size=1, max-append-size=5, min-append-size=2, max-age=3600");
    let limits = UploadLimits {
        size_max: Some(9),
        append_max: Some(5),
        append_min: Some(2),
    };
    assert_eq!(all.limits, Some(limits));
    assert_eq!(all.expires_at, Some(Timestamp::from_unix_ms(3_601_000)));
    assert_eq!(
        of("expires=1").expires_at,
        Some(Timestamp::from_unix_ms(2000))
    );
    assert_eq!(of("x=9").limits, Some(UploadLimits::default()));
    let nothing = of("max-append-size=0").limits.expect("limits");
    assert_eq!(nothing.append_max, None, "nobody can obey that");
    for value in ["max-size=x", "max-size", "max-size=-1"] {
        assert_eq!(of(value).limits, None, "{value}");
    }
}
