//! Ranges and conditions: as RFC 9110 says, and spoilt in each way.

use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Ranges, Reply};
use longhaul_support::server::Server;

use crate::client::{Answer, get};

const CONTENT: Content = Content::new(31, 1000);
const ETAG: &str = "\"1f-3e8\"";
const MODIFIED: &str = "Wed, 01 Jan 2025 00:00:00 GMT";

fn spoilt(ranges: Ranges, headers: &[(&str, &str)]) -> Answer {
    let server = Server::start();
    server.serve("/f", Resource::new(CONTENT));
    server.script("/f", [Reply::normal().ranges(ranges)]);
    get(&server, "/f", headers)
}

#[test]
fn ranges_and_conditions_are_honoured() {
    let whole = (200, None, 0..1000);
    let tail = (206, Some("bytes 990-999/1000"), 990..1000);
    for (headers, (status, content_range, bytes)) in [
        (vec![("Range", "bytes=990-")], tail.clone()),
        (vec![("Range", "bytes=990-5000")], tail.clone()),
        (vec![("Range", "bytes=-10")], tail.clone()),
        (
            vec![("Range", "bytes=5-6")],
            (206, Some("bytes 5-6/1000"), 5..7),
        ),
        (
            vec![("Range", "bytes=-5000")],
            (206, Some("bytes 0-999/1000"), 0..1000),
        ),
        (
            vec![("Range", "bytes=990-"), ("If-Range", ETAG)],
            tail.clone(),
        ),
        (vec![("Range", "bytes=990-"), ("If-Range", MODIFIED)], tail),
        (
            vec![("Range", "bytes=990-"), ("If-Range", "\"other\"")],
            whole.clone(),
        ),
        (vec![("Range", "bytes=6-5")], whole.clone()),
        (vec![("Range", "bytes=1-2,4-5")], whole.clone()),
        (vec![("Range", "lines=1-2")], whole),
    ] {
        let answer = spoilt(Ranges::Honour, &headers);
        assert_eq!(answer.status(), status, "{headers:?}");
        assert_eq!(answer.header("content-range"), content_range, "{headers:?}");
        assert_eq!(answer.body, CONTENT.bytes(bytes), "{headers:?}");
    }
}

#[test]
fn a_weak_etag_never_satisfies_if_range() {
    let server = Server::start();
    server.serve("/f", Resource::new(CONTENT).weak_etag_only("w"));
    let answer = get(
        &server,
        "/f",
        &[("Range", "bytes=5-"), ("If-Range", "W/\"w\"")],
    );
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_range_beyond_the_end_is_unsatisfiable() {
    for range in ["bytes=1000-", "bytes=2000-3000", "bytes=-0"] {
        let answer = spoilt(Ranges::Honour, &[("Range", range)]);
        assert_eq!(answer.status(), 416, "{range}");
        assert_eq!(
            answer.header("content-range"),
            Some("bytes */1000"),
            "{range}"
        );
    }
}

#[test]
fn ranges_are_spoilt_as_the_script_says() {
    let told = |claim| (206, Some(claim), CONTENT.bytes(990..1000));
    let refused = b"no such range\n".to_vec();
    for (ranges, (status, content_range, body)) in [
        (Ranges::Ignore, (200, None, CONTENT.bytes(0..1000))),
        (
            Ranges::StartAt(0),
            (206, Some("bytes 0-999/1000"), CONTENT.bytes(0..1000)),
        ),
        (
            Ranges::StartAt(995),
            (206, Some("bytes 995-999/1000"), CONTENT.bytes(995..1000)),
        ),
        (Ranges::ClaimStart(980), told("bytes 980-989/1000")),
        (Ranges::ClaimTotal(2000), told("bytes 990-999/2000")),
        (Ranges::UnknownTotal, told("bytes 990-999/*")),
        (
            Ranges::WithoutContentRange,
            (206, None, CONTENT.bytes(990..1000)),
        ),
        (
            Ranges::Unsatisfiable(Some(990)),
            (416, Some("bytes */990"), refused.clone()),
        ),
        (Ranges::Unsatisfiable(None), (416, None, refused)),
    ] {
        let answer = spoilt(ranges, &[("Range", "bytes=990-")]);
        assert_eq!(answer.status(), status, "{ranges:?}");
        assert_eq!(answer.header("content-range"), content_range, "{ranges:?}");
        assert!(answer.body == body, "{ranges:?}");
    }
    let conditional = [("Range", "bytes=990-"), ("If-Range", "\"old\"")];
    assert_eq!(spoilt(Ranges::IgnoreCondition, &conditional).status(), 206);
}

#[test]
fn a_multipart_answer_has_the_range_as_its_only_part() {
    let answer = spoilt(Ranges::Multipart, &[("Range", "bytes=990-")]);
    assert_eq!(answer.status(), 206);
    let kind = answer.header("content-type").expect("a type");
    assert!(kind.starts_with("multipart/byteranges; boundary="));
    let part = CONTENT.bytes(990..1000);
    assert!(answer.body.windows(part.len()).any(|window| window == part));
    assert!(answer.body.ends_with(b"--longhaul-boundary--\r\n"));
}

#[test]
fn the_log_reads_the_range_of_a_request() {
    let server = Server::start();
    for header in ["bytes=5-", "bytes=5-9", "bytes=-9"] {
        get(&server, "/f", &[("Range", header)]);
    }
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.range())
        .collect();
    assert_eq!(ranges, [Some((5, None)), Some((5, Some(9))), None]);
}
