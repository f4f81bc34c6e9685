//! Which protocol is spoken, on what evidence, and what a server that proves nothing never gets.

use super::*;
use crate::checksum::Algorithm;
use crate::limits::UPLOAD_PROBE_BYTES_MIN;
use crate::upload::protocol::{Evidence, TusExtensions};
use crate::upload::{Protocol, Unheard, UploadProtocol};

const LONG: u64 = UPLOAD_PROBE_BYTES_MIN;
const IETF: Protocol = Protocol::Ietf { interop: 6 };

fn speaking(protocol: UploadProtocol) -> UploadSpec {
    UploadSpec { protocol, ..spec() }
}

fn auto() -> UploadSpec {
    speaking(UploadProtocol::Auto)
}

fn knowing(spec: UploadSpec, known: Capability, length: u64) -> (Driver, Ask) {
    let rules = SessionRules::default();
    let (mut driver, _) = Driver::start_knowing(spec, rules, None, Desired::Running, Some(known));
    let actions = driver.feed(Input::Inspected(Ok(source(length))));
    let ask = driver.next_ask(actions);
    (driver, ask)
}

fn agreed(driver: &Driver) -> Vec<(Protocol, Evidence)> {
    let agreed = driver.agreed.iter();
    agreed.map(|it| (it.protocol, it.evidence)).collect()
}

fn has(ask: &Ask, name: &str) -> bool {
    ask.headers.iter().any(|(known, _)| known == name)
}

fn extensions(known: &str) -> TusExtensions {
    TusExtensions {
        creation: true,
        creation_with_upload: known.contains("with-upload"),
        checksum: known.contains("checksum").then_some(Algorithm::Sha1),
        size_max: known.contains("size").then_some(5),
        ..TusExtensions::default()
    }
}

#[test]
fn a_small_file_goes_as_it_is_without_a_question() {
    let (driver, ask) = Driver::asking(auto(), LONG - 1);
    assert_eq!((ask.method.as_str(), ask.headers.len()), ("PUT", 0));
    assert_eq!(agreed(&driver), [(Protocol::Plain, Evidence::Small)]);
    let (_, ask) = Driver::asking(auto(), LONG);
    assert_eq!(ask.method, "OPTIONS");
}

#[test]
fn what_is_asked_for_is_spoken_without_a_question_and_plain_brings_nothing_of_ours() {
    let table = [
        (UploadProtocol::Plain, "PUT", Protocol::Plain),
        (UploadProtocol::Tus, "POST", Protocol::Tus),
        (UploadProtocol::IETF, "PUT", IETF),
    ];
    for (asked, method, protocol) in table {
        let (driver, ask) = Driver::asking(speaking(asked), LONG);
        assert_eq!((ask.method.as_str(), &ask.url), (method, &spec().url));
        assert_eq!(agreed(&driver), [(protocol, Evidence::Requested)]);
        assert_eq!(ask.headers.is_empty(), protocol == Protocol::Plain);
        assert!(!has(&ask, "idempotency-key"));
    }
}

#[test]
fn what_was_seen_of_the_origin_lately_needs_no_question() {
    let limits = UploadLimits::default();
    let table = [
        (
            Capability::Plain,
            "PUT",
            Some((Protocol::Plain, Evidence::Remembered)),
        ),
        (
            Capability::Tus(extensions("")),
            "POST",
            Some((Protocol::Tus, Evidence::Remembered)),
        ),
        (
            Capability::Ietf { interop: 6, limits },
            "PUT",
            Some((IETF, Evidence::Remembered)),
        ),
        // A 104 proves itself each time.
        (Capability::IetfInterim { interop: 5 }, "PUT", None),
    ];
    for (known, method, expected) in table {
        for length in [LENGTH, LONG] {
            let (driver, ask) = knowing(auto(), known.clone(), length);
            assert_eq!(ask.method, method, "{known:?}");
            assert_eq!(agreed(&driver), Vec::from_iter(expected), "{known:?}");
        }
    }
    let (_, ask) = knowing(auto(), Capability::IetfInterim { interop: 3 }, LONG);
    let offers = ("upload-incomplete".to_owned(), "?0".to_owned());
    assert!(ask.headers.contains(&offers));
}

#[test]
fn a_server_that_proves_nothing_gets_the_callers_own_request_with_an_offer() {
    let nothing = [
        head(200, &[("allow", "PUT")]),
        head(404, &[]),
        head(405, &[]),
        head(501, &[]),
        head(500, &[]),
        head(303, &[("location", "/page")]),
        head(307, &[]),
    ];
    for answer in nothing {
        let mut spec = auto();
        spec.headers = vec![("x-own".into(), "1".into())];
        let (mut driver, question) = Driver::asking(spec, LONG);
        let actions = driver.answer_after(question.request, answer, 0);
        let ask = driver.next_ask(actions);
        assert_eq!(
            (ask.method.as_str(), ask.body.map(|it| it.length)),
            ("PUT", Some(LONG))
        );
        let fields = [
            "x-own",
            "upload-draft-interop-version",
            "upload-length",
            "idempotency-key",
        ];
        assert!(fields.iter().all(|name| has(&ask, name)));
        assert!(
            ask.headers
                .contains(&("upload-complete".into(), "?1".into()))
        );
        assert!(driver.agreed.is_empty(), "nothing is known yet");
        let actions = driver.answer_after(ask.request, head(201, &[]), LONG);
        assert_eq!(agreed(&driver), [(Protocol::Plain, Evidence::Nothing)]);
        assert_eq!(actions[0], Action::Remember(Capability::Plain));
        assert_eq!(kinds(&actions[1..]), ["receive"]);
    }
}

#[test]
fn a_question_that_breaks_the_connection_proves_nothing_and_one_that_reaches_nobody_waits() {
    for (kind, waits) in [
        (FailureKind::Disconnected, false),
        (FailureKind::TimedOut, false),
        (FailureKind::Connect, true),
        (FailureKind::Resolve, true),
    ] {
        let (mut driver, question) = Driver::asking(auto(), LONG);
        let actions = driver.feed(Input::AskFailed {
            request: question.request,
            failure: failure(kind),
            sent: 0,
        });
        assert_eq!(kinds(&actions).contains(&"record"), waits, "{kind:?}");
        assert_eq!(kinds(&actions).contains(&"ask"), !waits, "{kind:?}");
    }
}

#[test]
fn a_question_is_answered_with_credentials_or_by_the_owner() {
    let wants = head(401, &[("www-authenticate", "Basic realm=\"r\"")]);
    let mut known = auto();
    known.credentials = Some(crate::http::authorization::Credentials::login("me", "hush"));
    let (mut driver, question) = Driver::asking(known, LONG);
    let again = sole_ask(&driver.answer_after(question.request, wants.clone(), 0));
    assert_eq!(again.method, "OPTIONS");
    assert!(has(&again, "authorization"));
    let (mut driver, question) = Driver::asking(auto(), LONG);
    let actions = driver.answer_after(question.request, wants, 0);
    assert_eq!(asked(&actions).scheme, "Basic");
}

#[test]
fn a_key_of_the_callers_own_is_kept_and_ours_is_the_same_for_the_same_file_only() {
    let key = |spec: UploadSpec, length| {
        let (mut driver, question) = Driver::asking(spec, length);
        let actions = driver.answer_after(question.request, head(404, &[]), 0);
        let ask = driver.next_ask(actions);
        let mut keys = ask
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
        let first = keys.next().map(|(_, value)| value.clone());
        assert!(keys.next().is_none(), "one key");
        first
    };
    let own = UploadSpec {
        headers: vec![("Idempotency-Key".into(), "mine".into())],
        ..auto()
    };
    assert_eq!(key(own, LONG).as_deref(), Some("mine"));
    assert_eq!(key(auto(), LONG), key(auto(), LONG));
    assert_ne!(key(auto(), LONG), key(auto(), LONG + 1));
    let unnamed = UploadSpec {
        request_id: 0,
        ..auto()
    };
    assert_eq!(key(unnamed, LONG), None);
}

#[test]
fn a_small_file_that_is_refused_as_a_server_of_tus_does_is_asked_about_once() {
    for status in [404, 405, 412, 501] {
        let (mut driver, ask) = Driver::asking(auto(), LENGTH);
        let actions = driver.answer(ask.request, head(status, &[]));
        let question = driver.next_ask(actions);
        assert_eq!(question.method, "OPTIONS", "{status}");
        let proof = [("tus-version", "1.0.0"), ("tus-extension", "creation")];
        let actions = driver.answer_after(question.request, head(204, &proof), 0);
        let made = driver.next_ask(actions);
        assert_eq!(
            (made.method.as_str(), has(&made, "tus-resumable")),
            ("POST", true)
        );
        let expected = [
            (Protocol::Plain, Evidence::Small),
            (Protocol::Tus, Evidence::Options),
        ];
        assert_eq!(agreed(&driver), expected);
        // One that proves nothing has meant what it said.
        let (mut driver, ask) = Driver::asking(auto(), LENGTH);
        let actions = driver.answer(ask.request, head(status, &[]));
        let question = driver.next_ask(actions);
        let actions = driver.answer_after(question.request, head(405, &[]), 0);
        assert_eq!(failed_kind(&actions), FailureKind::Status(status));
    }
}

#[test]
fn a_refusal_that_names_tus_is_proof_enough() {
    let says = head(412, &[("tus-resumable", "1.0.0")]);
    let (mut driver, question) = Driver::asking(auto(), LONG);
    let actions = driver.answer_after(question.request, head(405, &[]), 0);
    let ask = driver.next_ask(actions);
    let actions = driver.answer_after(ask.request, says.clone(), 10);
    let made = driver.next_ask(actions);
    assert_eq!(
        (made.method.as_str(), has(&made, "tus-resumable")),
        ("POST", true)
    );
    assert_eq!(agreed(&driver), [(Protocol::Tus, Evidence::Refusal)]);
    // Who asked for the draft in a version gets that, or nothing.
    let (mut driver, ask) = Driver::asking(speaking(UploadProtocol::Ietf { interop: 8 }), LONG);
    let actions = driver.answer_after(ask.request, says, 0);
    assert_eq!(failed_kind(&actions), FailureKind::Protocol);
}

#[test]
fn what_is_remembered_and_turns_out_wrong_is_asked_again() {
    let (mut driver, ask) = knowing(auto(), Capability::Tus(extensions("")), LONG);
    assert_eq!(ask.method, "POST");
    let actions = driver.answer_after(ask.request, head(404, &[]), 0);
    let question = driver.next_ask(actions);
    assert_eq!(question.method, "OPTIONS");
    let actions = driver.answer_after(question.request, head(405, &[]), 0);
    assert_eq!(
        driver.next_ask(actions).method,
        "PUT",
        "it is an ordinary one now"
    );
}

#[test]
fn a_file_that_is_too_long_for_the_server_is_not_sent() {
    let (mut driver, question) = Driver::asking(auto(), LONG);
    let limit = head(200, &[("upload-limit", "max-size=1048575")]);
    let actions = driver.answer_after(question.request, limit, 0);
    assert_eq!(failed_kind(&actions), FailureKind::Status(413));
    let rules = SessionRules::default();
    let known = Some(Capability::Tus(extensions("size")));
    let (mut driver, _) = Driver::start_knowing(auto(), rules, None, Desired::Running, known);
    let actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
    assert_eq!(failed_kind(&actions), FailureKind::Status(413));
}

#[test]
fn bytes_go_with_the_creation_only_when_it_may_be_repeated_and_the_server_says_that_it_can() {
    let table = [
        ("with-upload", true, LENGTH, LENGTH),
        ("with-upload", false, LENGTH, 0),
        ("", true, LENGTH, 0),
        ("with-upload", true, LONG + 1, 0),
    ];
    for (known, is_repeatable, length, expected) in table {
        let mut spec = auto();
        spec.is_repeatable = is_repeatable;
        let (mut driver, ask) = knowing(spec, Capability::Tus(extensions(known)), length);
        assert_eq!(
            ask.body.map(|body| body.length),
            Some(expected),
            "{known} {length}"
        );
        if expected > 0 {
            let made = head(201, &[("location", "/up/1"), ("upload-offset", "400")]);
            let actions = driver.answer_after(ask.request, made, expected);
            let rest = driver.next_ask(actions).body.expect("the rest");
            assert_eq!((rest.offset, rest.length), (400, LENGTH - 400));
        }
    }
}

#[test]
fn a_server_of_tus_is_asked_whether_it_checks_digests_before_it_is_sent_any() {
    let mut wants = speaking(UploadProtocol::Tus);
    wants.checksum = Some(Algorithm::Sha256);
    let (mut driver, question) = Driver::asking(wants.clone(), LENGTH);
    assert_eq!(question.method, "OPTIONS");
    let actions = driver.answer_after(question.request, head(404, &[]), 0);
    let made = driver.next_ask(actions);
    assert_eq!(made.method, "POST", "it is spoken all the same");
    let (mut driver, ask) = knowing(wants, Capability::Tus(extensions("checksum")), LENGTH);
    let made = head(201, &[("location", "/up/1")]);
    let actions = driver.answer_after(ask.request, made, 0);
    assert_eq!(
        record(&actions).remote.expect("a place").checksum,
        Some(Algorithm::Sha1)
    );
}

#[test]
fn the_digest_of_the_file_goes_with_the_request_that_makes_its_place_in_the_draft() {
    let mut spec = speaking(UploadProtocol::IETF);
    spec.checksum = Some(Algorithm::Sha512);
    let (mut driver, _) = Driver::start(spec);
    driver.feed(Input::Inspected(Ok(source(LENGTH))));
    let actions = driver.feed(Input::Recorded(Ok(())));
    let wanted = Action::Digest {
        offset: 0,
        length: LENGTH,
        algorithm: Algorithm::Sha512,
    };
    assert_eq!(actions, [wanted]);
    let digest = crate::checksum::Digest::new(Algorithm::Sha512, vec![7; 64]).expect("its length");
    let ask = sole_ask(&driver.feed(Input::Digested(Ok(digest))));
    assert!(has(&ask, "repr-digest"));
    let (mut driver, _) = Driver::start(speaking(UploadProtocol::IETF));
    driver.feed(Input::Inspected(Ok(source(LENGTH))));
    let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
    assert!(!has(&ask, "repr-digest"));
}

#[test]
fn a_file_that_changes_while_it_is_digested_ends_the_upload() {
    let mut spec = speaking(UploadProtocol::IETF);
    spec.checksum = Some(Algorithm::Sha256);
    let (mut driver, _) = Driver::start(spec);
    driver.feed(Input::Inspected(Ok(source(LENGTH))));
    driver.feed(Input::Recorded(Ok(())));
    let actions = driver.feed(Input::Digested(Err(failure(FailureKind::SourceChanged))));
    assert_eq!(failed_kind(&actions), FailureKind::SourceChanged);
}

#[test]
fn an_empty_creation_that_was_lost_is_simply_made_again() {
    for protocol in [UploadProtocol::Tus, UploadProtocol::IETF] {
        let mut spec = speaking(protocol);
        spec.method = "POST".to_owned();
        let (mut driver, ask) = Driver::asking(spec.clone(), LENGTH);
        let known = record(&driver.feed(Input::AskFailed {
            request: ask.request,
            failure: failure(FailureKind::Disconnected),
            sent: 0,
        }));
        assert_eq!(
            (known.unheard, known.remote.is_none()),
            (Unheard::Nothing, true)
        );
        let (_, again) = Driver::going_on(spec, known);
        assert_eq!((again.method, again.headers), (ask.method, ask.headers));
    }
}
