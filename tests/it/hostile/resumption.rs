//! The second run after a kill, against servers with every kind of validator and range: what is held
//! is used when it is certain to be of the same file, and never spliced with another one.

use std::time::{Duration, SystemTime};

use longhaul_support::content::Content;
use longhaul_support::hostile;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Framing, Ranges, Reply};

use super::{HELD, PATH, each, leave_part, long_content, serving};
use crate::bench::{Bench, MIB};

/// The content of the first run; the tests name others by another seed.
const FIRST: Content = long_content(41);

/// `Last-Modified` a day ago: long enough before `Date` to be strong (RFC 9110 8.8.2.2).
fn yesterday() -> SystemTime {
    SystemTime::now() - Duration::from_secs(86_400)
}

#[test]
fn a_strong_validator_lets_the_second_run_fetch_only_the_rest() {
    let moment = yesterday();
    let cases = vec![
        (
            "a strong ETag",
            (Resource::new(FIRST), "\"29-50004d\"".to_owned()),
        ),
        (
            "an old Last-Modified",
            (
                Resource::new(FIRST).last_modified_only(moment),
                longhaul_support::date::http_date(moment),
            ),
        ),
    ];
    each(cases, |(resource, condition)| {
        let (server, url) = serving(resource);
        let bench = Bench::new();
        leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
        let ended = bench.run(&[&url, "--json"]);
        let resumed = ended.expect(0).json_event("resumed");
        assert_eq!(
            (&resumed["held_bytes"], &resumed["total_bytes"]),
            (&HELD.into(), &FIRST.len().into())
        );
        let requests = server.requests_for(PATH);
        let last = requests.last().unwrap();
        assert_eq!(
            (last.range(), last.header("if-range")),
            (Some((HELD, None)), Some(&*condition))
        );
        assert_eq!(
            server.bytes_served(PATH),
            FIRST.len(),
            "not a byte twice: {requests:#?}"
        );
        bench.assert_only("a.bin", FIRST);
    });
}

#[test]
fn without_a_usable_validator_the_second_run_begins_again() {
    let now = SystemTime::now();
    let cases = vec![
        ("a weak ETag", Resource::new(FIRST).weak_etag_only("w")),
        (
            "a fresh Last-Modified",
            Resource::new(FIRST).last_modified_only(now),
        ),
        ("nothing", Resource::new(FIRST).without_validators()),
    ];
    each(cases, |resource| {
        let (server, url) = serving(resource);
        let bench = Bench::new();
        leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
        bench.run(&[&url]).expect(0).is_silent();
        let requests = server.requests_for(PATH);
        assert!(
            requests.iter().all(|request| request.range().is_none()),
            "{requests:#?}"
        );
        bench.assert_only("a.bin", FIRST);
    });
}

#[test]
fn a_caller_may_go_on_without_a_validator() {
    let (server, url) = serving(Resource::new(FIRST).without_validators());
    let bench = Bench::new();
    let arguments = [url.as_str(), "--unvalidated-resume"];
    leave_part(&bench, &server, Reply::normal(), HELD, &arguments);
    bench.run(&arguments).expect(0);
    let last = server.requests_for(PATH).pop().unwrap();
    assert_eq!(
        (last.range(), last.header("if-range")),
        (Some((HELD, None)), None)
    );
    assert_eq!(server.bytes_served(PATH), FIRST.len());
    bench.assert_only("a.bin", FIRST);
}

#[test]
fn another_version_is_never_spliced_with_the_first() {
    let same_length = long_content(42);
    let longer = Content::new(43, FIRST.len() + MIB);
    let shorter = Content::new(44, HELD - MIB);
    let contents = [
        ("as long", same_length),
        ("longer", longer),
        ("shorter", shorter),
    ];
    let manners = [
        Ranges::Honour,
        Ranges::IgnoreCondition,
        Ranges::Ignore,
        Ranges::WithoutContentRange,
    ];
    let cases = contents.iter().flat_map(|(name, content)| {
        manners
            .iter()
            .map(move |ranges| (*name, (*content, *ranges)))
    });
    each(cases.collect(), |(content, ranges)| {
        let (server, url) = serving(Resource::new(FIRST));
        let bench = Bench::new();
        leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
        server.serve(PATH, Resource::new(content));
        server.script(PATH, [Reply::normal().ranges(ranges)]);
        bench.run(&[&url]).expect(0);
        bench.assert_only("a.bin", content);
    });
}

#[test]
fn another_version_of_a_file_that_is_spread_is_never_spliced() {
    // The first request of the second run still gets the old version, the others the new one: as
    // when several servers stand behind one name. Either version is right, a mixture is not.
    let (old, new) = (Content::new(45, 12 * MIB), Content::new(46, 12 * MIB));
    for ranges in [Ranges::Honour, Ranges::IgnoreCondition] {
        let (server, url) = serving(Resource::new(old));
        let bench = Bench::new();
        server.script(PATH, [Reply::normal().bytes_per_second(2 * MIB)]);
        bench.kill_after(&server, PATH, 8 * MIB, &[&url, "-x", "4"]);
        let before = server.requests_for(PATH).len();
        server.serve(PATH, Resource::new(new));
        let changed = Reply::normal().ranges(ranges);
        server.script(
            PATH,
            [
                Reply::of(Resource::new(old)).bytes_per_second(40 * MIB),
                changed,
            ],
        );
        bench.run(&[&url, "-x", "4"]).expect(0);
        assert!(
            server.requests_for(PATH)[before].range().is_some(),
            "the second run goes on"
        );
        let is_old = old.verify_file(&bench.file("a.bin")).is_ok();
        bench.assert_only("a.bin", if is_old { old } else { new });
    }
}

#[test]
fn a_range_that_is_not_the_one_asked_for_is_not_used() {
    let total = FIRST.len();
    let cases = vec![
        ("ignored", Ranges::Ignore),
        ("from elsewhere", Ranges::StartAt(HELD - 10)),
        ("from the start", Ranges::StartAt(0)),
        ("said to be from elsewhere", Ranges::ClaimStart(HELD + 1)),
        ("of another total", Ranges::ClaimTotal(total + 1)),
        ("of an unknown total", Ranges::UnknownTotal),
        ("without a word", Ranges::WithoutContentRange),
        ("in several parts", Ranges::Multipart),
        ("416 of the same total", Ranges::Unsatisfiable(Some(total))),
        ("416 of another total", Ranges::Unsatisfiable(Some(HELD))),
        ("416 without a total", Ranges::Unsatisfiable(None)),
    ];
    each(cases, |ranges| {
        let (server, url) = serving(Resource::new(FIRST));
        let bench = Bench::new();
        leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
        let before = server.requests_for(PATH).len();
        server.script(PATH, [Reply::normal().ranges(ranges)]);
        bench.run(&[&url]).expect(0);
        let asked: Vec<_> = server.requests_for(PATH)[before..]
            .iter()
            .map(|r| r.range())
            .collect();
        assert_eq!(
            asked[0],
            Some((HELD, None)),
            "the second run tries to go on"
        );
        assert!(
            asked.len() <= 2 && asked[1..].iter().all(Option::is_none),
            "{asked:?}"
        );
        bench.assert_only("a.bin", FIRST);
    });
}

#[test]
fn a_416_is_the_end_when_every_byte_is_held() {
    // The total is unknown until then: the body came in chunks and was cut before the last one.
    let (server, url) = serving(Resource::new(FIRST));
    let bench = Bench::new();
    let chunked = Reply::normal().framing(Framing::Chunked);
    leave_part(&bench, &server, chunked, FIRST.len(), &[&url]);
    bench.run(&[&url]).expect(0);
    let last = server.requests_for(PATH).pop().unwrap();
    assert_eq!(
        (last.range(), last.status),
        (Some((FIRST.len(), None)), Some(416))
    );
    assert_eq!(
        server.bytes_served(PATH),
        FIRST.len() + "no such range\n".len() as u64
    );
    bench.assert_only("a.bin", FIRST);
}

#[test]
fn a_416_to_everything_fails_and_a_later_run_succeeds() {
    let (server, url) = serving(Resource::new(FIRST));
    let bench = Bench::new();
    leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
    server.script(PATH, [Reply::status(416)]);
    let before = server.requests_for(PATH).len();
    let ended = bench.run(&[&url]);
    ended.expect(8).says("416");
    assert_eq!(
        server.requests_for(PATH).len(),
        before + 2,
        "once with a range, once without"
    );
    bench.assert_resumable_or_nothing(&ended);
    server.script(PATH, []);
    bench.run(&[&url]).expect(0);
    bench.assert_only("a.bin", FIRST);
}

#[test]
fn a_final_error_of_the_second_run_is_told_and_a_later_run_succeeds() {
    let cases = vec![
        ("gone", (Reply::status(410), 8)),
        ("forbidden", (Reply::status(403), 8)),
        ("coded", (hostile::content_encoding_gzip(), 7)),
        (
            "two lengths",
            (Reply::normal().add_header("Content-Length", "7"), 7),
        ),
    ];
    each(cases, |(reply, code)| {
        let (server, url) = serving(Resource::new(FIRST));
        let bench = Bench::new();
        leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
        server.script(PATH, [reply]);
        let ended = bench.run(&[&url]);
        ended.expect(code);
        bench.assert_resumable_or_nothing(&ended);
        server.script(PATH, []);
        bench.run(&[&url]).expect(0);
        bench.assert_only("a.bin", FIRST);
    });
}

#[test]
fn a_second_run_that_must_wait_keeps_what_the_first_one_left() {
    let (server, url) = serving(Resource::new(FIRST));
    let bench = Bench::new();
    leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
    server.script(PATH, [Reply::status(503)]);
    bench
        .run(&[&url, "--retry", "0"])
        .expect(8)
        .says("run the same command again to resume");
    server.script(PATH, []);
    bench.run(&[&url]).expect(0);
    assert_eq!(
        server.requests_for(PATH).last().unwrap().range(),
        Some((HELD, None))
    );
    bench.assert_only("a.bin", FIRST);
}

#[test]
fn a_part_file_that_somebody_changed_is_not_believed() {
    let cases = vec![("its last bytes", true), ("all of it is gone", false)];
    each(cases, |is_changed| {
        let (server, url) = serving(Resource::new(FIRST));
        let bench = Bench::new();
        leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
        let part = bench.file(&bench.names()[0]);
        if is_changed {
            let mut bytes = std::fs::read(&part).unwrap();
            bytes[HELD as usize - 100] ^= 1;
            std::fs::write(&part, bytes).unwrap();
        } else {
            std::fs::remove_file(part).unwrap();
        }
        bench.run(&[&url]).expect(0);
        bench.assert_only("a.bin", FIRST);
    });
}

#[test]
fn the_second_run_goes_on_with_its_own_options() {
    let content = Content::new(47, 20 * MIB);
    let (server, url) = serving(Resource::new(content));
    let bench = Bench::new();
    leave_part(
        &bench,
        &server,
        Reply::normal(),
        HELD,
        &[&url, "-H", "X-Run: 1"],
    );
    let before = server.requests_for(PATH).len();
    server.script(PATH, [Reply::normal().bytes_per_second(20 * MIB)]);
    bench.run(&[&url, "-H", "X-Run: 2", "-x", "4"]).expect(0);
    let requests = server.requests_for(PATH).split_off(before);
    assert!(requests.len() >= 4, "-x 4 is of this run: {requests:#?}");
    assert_eq!(requests.last().unwrap().header("x-run"), Some("2"));
    bench.assert_only("a.bin", content);
}
