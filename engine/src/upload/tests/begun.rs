//! Uploads that something else has begun.

use super::*;
use crate::upload::protocol::{Evidence, UploadProtocol};
use crate::upload::{Protocol, Unheard};

const PLACE: &str = "https://origin.example/files/1?key=hush";

fn begun(protocol: UploadProtocol, method: &str) -> UploadSpec {
    UploadSpec {
        protocol,
        method: method.to_owned(),
        place: Some(parse_http_url(PLACE).expect("a URL").url),
        ..spec()
    }
}

const PROTOCOLS: [UploadProtocol; 3] = [
    UploadProtocol::Tus,
    UploadProtocol::IETF,
    UploadProtocol::Ietf { interop: 3 },
];

/// What a server of each of them says that has so much.
fn holding(offset: &str) -> ResponseHead {
    head(200, &[("upload-offset", offset), ("upload-length", "1000")])
}

#[test]
fn its_place_is_on_record_before_the_server_is_asked_and_the_rest_goes_there() {
    for protocol in PROTOCOLS {
        let rules = SessionRules::default();
        let spec = begun(protocol, "POST");
        let (mut driver, _) = Driver::start_with(spec, rules, None, Desired::Running);
        let actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
        let known = record(&actions);
        assert_eq!(known.unheard, Unheard::Completion);
        let remote = known.remote.expect("a place");
        assert_eq!((remote.url.as_str(), remote.acknowledged), (PLACE, 0));
        assert_eq!(driver.agreed[0].evidence, Evidence::Recorded);
        assert_eq!(driver.agreed[0].protocol, remote.protocol);

        let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
        assert_eq!((ask.method.as_str(), ask.url.as_str()), ("HEAD", PLACE));
        let actions = driver.answer_after(ask.request, holding("400"), 0);
        let ask = sole_ask(&actions);
        assert_eq!((ask.method.as_str(), ask.url.as_str()), ("PATCH", PLACE));
        let body = ask.body.expect("bytes");
        assert_eq!((body.offset, body.length), (400, 600), "{protocol:?}");
    }
}

#[test]
fn one_that_is_there_already_is_done_without_a_byte() {
    let (mut driver, ask) = Driver::asking(begun(UploadProtocol::Tus, "POST"), LENGTH);
    let actions = driver.answer_after(ask.request, holding("1000"), 0);
    assert_eq!(kinds(&actions), ["drain", "release", "inspect"]);
    let actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
    assert!(matches!(outcome(&actions), Outcome::Uploaded(_)));
}

#[test]
fn one_that_is_gone_may_be_done_and_begins_anew_only_when_it_may_be_sent_twice() {
    let repeatable = |spec| UploadSpec {
        is_repeatable: true,
        ..spec
    };
    let table = [
        (begun(UploadProtocol::Tus, "PUT"), None),
        (begun(UploadProtocol::IETF, "POST"), None),
        (repeatable(begun(UploadProtocol::Tus, "POST")), Some("POST")),
        (begun(UploadProtocol::IETF, "PUT"), Some("PUT")),
    ];
    for (spec, anew) in table {
        for status in [404, 410] {
            let (mut driver, ask) = Driver::asking(spec.clone(), LENGTH);
            let actions = driver.answer_after(ask.request, head(status, &[]), 0);
            let Some(method) = anew else {
                assert_eq!(failed_kind(&actions), FailureKind::OutcomeUnknown);
                continue;
            };
            assert_eq!(record(&actions).remote, None);
            let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
            let asked = (ask.method.as_str(), ask.url.as_str());
            assert_eq!(asked, (method, "https://origin.example/f"));
        }
    }
}

#[test]
fn what_is_gone_after_the_server_had_a_part_of_it_begins_anew() {
    let (mut driver, ask) = Driver::asking(begun(UploadProtocol::Tus, "POST"), LENGTH);
    let ask = sole_ask(&driver.answer_after(ask.request, holding("400"), 0));
    let lost = Input::AskFailed {
        request: ask.request,
        failure: failure(FailureKind::Disconnected),
        sent: 7,
    };
    let known = record(&driver.feed(lost));
    assert_eq!(known.unheard, Unheard::Nothing);
    let spec = begun(UploadProtocol::Tus, "POST");
    let rules = SessionRules::default();
    let (mut driver, _) = Driver::start_with(spec, rules, Some(known), Desired::Running);
    let ask = sole_ask(&driver.feed(Input::Inspected(Ok(source(LENGTH)))));
    assert_eq!(ask.method, "HEAD");
    driver.answer_after(ask.request, head(410, &[]), 0);
    let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
    assert_eq!(ask.method, "POST");
}

#[test]
fn one_of_another_length_is_refused_and_left_to_whoever_began_it() {
    for protocol in PROTOCOLS {
        let (mut driver, ask) = Driver::asking(begun(protocol, "POST"), LENGTH - 1);
        let actions = driver.answer_after(ask.request, holding("400"), 0);
        assert_eq!(failed_kind(&actions), FailureKind::Integrity);

        let (mut driver, ask) = Driver::asking(begun(protocol, "POST"), LENGTH);
        driver.answer_after(ask.request, holding("400"), 0);
        let actions = driver.feed(Input::Want(Desired::Cancelled));
        assert_eq!(outcome(&actions), Outcome::Cancelled, "nothing is removed");
    }
}

#[test]
fn a_place_is_of_no_use_without_the_protocol_that_is_spoken_there() {
    let (driver, ask) = Driver::asking(begun(UploadProtocol::Plain, "PUT"), LENGTH);
    assert_eq!(ask.url.as_str(), "https://origin.example/f");
    assert_eq!(driver.agreed[0].protocol, Protocol::Plain);
}
