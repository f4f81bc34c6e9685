//! Who is shown what, when the owner is asked, and what each answer leads to.

use super::*;
use crate::authorization_challenge::{Answered, Disposition, Renewal};
use crate::checkpoint::TaskCheckpoint;
use crate::http::authorization::Credentials;
use crate::session::OriginCredentials;
use crate::task::Spec;

const BOTH: &str = "Basic realm=\"b\", Digest realm=\"d\", nonce=\"n\", qop=\"auth\"";

fn field<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    let mut fields = ask.headers.iter();
    fields.find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

/// A transfer of the task as it is on record, at its first request.
fn going_on(spec: &UploadSpec, rules: &SessionRules, known: UploadCheckpoint) -> (Driver, Ask) {
    let (spec, rules) = (spec.clone(), rules.clone());
    let (mut driver, _) = Driver::start_with(spec, rules, Some(known), Desired::Running);
    let ask = sole_ask(&driver.feed(Input::Inspected(Ok(source(LENGTH)))));
    (driver, ask)
}

/// What its owner's answer makes of a task that waits.
fn apply(
    spec: &mut UploadSpec,
    known: UploadCheckpoint,
    disposition: &Disposition,
) -> UploadCheckpoint {
    let (mut whole, mut known) = (Spec::Upload(spec.clone()), TaskCheckpoint::Upload(known));
    assert_eq!(disposition.apply(&mut whole, &mut known), Answered::GoesOn);
    let Spec::Upload(changed) = whole else {
        panic!("it was an upload")
    };
    *spec = changed;
    known.into_upload().expect("an upload")
}

/// The record of a task that has met a 401 with these offers.
fn awaiting(spec: &UploadSpec, offers: &str) -> UploadCheckpoint {
    let (mut driver, ask) = Driver::asking(spec.clone(), LENGTH);
    record(&driver.answer(ask.request, head(401, &[("www-authenticate", offers)])))
}

#[test]
fn a_token_is_sent_unasked_and_a_password_only_when_the_server_asks() {
    let login = Credentials::Login {
        username: "me".into(),
        password: "hush".into(),
    };
    let basic = [("www-authenticate", "Basic realm=\"r\"")];
    for (credentials, unasked) in [(Credentials::Bearer("t".into()), true), (login, false)] {
        let mut spec = spec();
        spec.credentials = Some(credentials);
        let (mut driver, ask) = Driver::asking(spec, LENGTH);
        let has = |ask: &Ask| ask.headers.iter().any(|(name, _)| name == "authorization");
        assert_eq!(has(&ask), unasked);
        let actions = driver.answer_after(ask.request, head(401, &basic), 10);
        if unasked {
            assert_eq!(asked(&actions).scheme, "Basic");
            continue;
        }
        assert_eq!(kinds(&actions), ["drain", "ask"]);
        let again = sole_ask(&actions);
        assert!(has(&again) && again.body.is_some(), "the body goes again");
        let actions = driver.answer(again.request, head(401, &basic));
        assert_eq!(asked(&actions).realm.as_deref(), Some("r"));
        let actions = driver.feed(Input::Recorded(Ok(())));
        assert_eq!(exit(&actions), Exit::NeedsAuthorization);
    }
}

#[test]
fn a_digest_covers_the_method_and_a_stale_nonce_is_answered_again() {
    let mut spec = spec();
    spec.credentials = Some(Credentials::Login {
        username: "me".into(),
        password: "hush".into(),
    });
    let (mut driver, mut ask) = Driver::asking(spec, LENGTH);
    let mut answers = Vec::new();
    for round in 0..6 {
        let stale = if round == 0 { "" } else { ", stale=true" };
        let field = format!("Digest realm=\"r\", nonce=\"n{round}\", qop=\"auth\"{stale}");
        let actions = driver.answer(ask.request, head(401, &[("www-authenticate", &field)]));
        if kinds(&actions).contains(&"record") {
            break;
        }
        ask = sole_ask(&actions);
        let value = ask.headers.iter().find(|(name, _)| name == "authorization");
        answers.push(value.expect("an answer").1.clone());
    }
    assert_eq!(answers.len(), 4, "not for ever");
    for (round, answer) in answers.iter().enumerate() {
        assert!(answer.contains(&format!("nonce=\"n{round}\"")), "{answer}");
        assert!(answer.contains("nc=00000001"), "{answer}");
    }
}

#[test]
fn a_challenge_that_nobody_can_answer_waits_for_the_owner() {
    let table: [(u16, &str, &str, &str, Option<&str>); 6] = [
        (
            401,
            "www-authenticate",
            "Basic realm=\"r\"",
            "Basic",
            Some("r"),
        ),
        (401, "www-authenticate", "Negotiate", "negotiate", None),
        (401, "www-authenticate", BOTH, "Digest", Some("d")),
        (401, "x-nothing", "x", "", None),
        (
            407,
            "proxy-authenticate",
            "Basic realm=\"p\"",
            "Basic",
            Some("p"),
        ),
        (407, "www-authenticate", "Basic realm=\"p\"", "", None),
    ];
    for (status, name, value, scheme, realm) in table {
        // Early or late, the answer is obeyed.
        for sent in [0, 10, LENGTH] {
            let (mut driver, ask) = Driver::asking(spec(), LENGTH);
            let actions = driver.answer_after(ask.request, head(status, &[(name, value)]), sent);
            let expected = Challenge {
                host: "origin.example:443".to_owned(),
                status,
                scheme: scheme.to_owned(),
                realm: realm.map(str::to_owned),
                previous_failures: 0,
            };
            assert_eq!(asked(&actions), expected, "{status} {value}");
            let actions = driver.feed(Input::Recorded(Ok(())));
            assert_eq!(exit(&actions), Exit::NeedsAuthorization);
        }
    }
}

#[test]
fn a_transfer_that_begins_while_its_task_waits_asks_nobody() {
    let known = Some(awaiting(&spec(), BOTH));
    let rules = SessionRules::default;
    let start = |desired| Driver::start_with(spec(), rules(), known.clone(), desired);
    let (driver, actions) = start(Desired::Running);
    assert_eq!(actions, [Action::Exit(Exit::NeedsAuthorization)]);
    assert_eq!(driver.machine.poll_timeout(), None);
    let cancelled = [Action::Close(Outcome::Cancelled)];
    assert_eq!(start(Desired::Cancelled).1, cancelled);
    assert_eq!(start(Desired::CancelledResumable).1, [Action::Seal]);
}

#[test]
fn a_new_token_sends_the_file_again_and_answers_that_did_not_help_are_counted() {
    let (mut spec, rules) = (spec(), SessionRules::default());
    let mut known = awaiting(&spec, "Bearer");
    let token = |text: &str| {
        let credentials = Credentials::bearer(text);
        Disposition::UseCredential(Renewal::default().with_credentials(credentials))
    };
    for refused in 1..4 {
        known = apply(&mut spec, known, &token("wrong"));
        let (mut driver, ask) = going_on(&spec, &rules, known);
        assert_eq!(field(&ask, "authorization"), Some("Bearer wrong"));
        // A break on the way is no proof that the server took the answer.
        let broke = Input::AskFailed {
            request: ask.request,
            failure: failure(FailureKind::Disconnected),
            sent: LENGTH,
        };
        let (mut driver, ask) = going_on(&spec, &rules, record(&driver.feed(broke)));
        let again = head(401, &[("www-authenticate", "Bearer")]);
        let actions = driver.answer(ask.request, again);
        assert_eq!(asked(&actions).previous_failures, refused);
        known = record(&actions);
    }
    known = apply(&mut spec, known, &token("right"));
    let (mut driver, ask) = going_on(&spec, &rules, known);
    assert_eq!(field(&ask, "authorization"), Some("Bearer right"));
    assert_eq!(ask.body.map(|body| body.length), Some(LENGTH));
    let actions = driver.answer(ask.request, head(200, &[]));
    assert_eq!(kinds(&actions), ["receive"]);
}

#[test]
fn a_status_that_the_owner_wants_to_be_asked_about_is_a_challenge() {
    for (status, is_asked) in [(403, true), (410, true), (404, false)] {
        let mut spec = spec();
        spec.options.challenge_statuses = vec![403, 410];
        let (mut driver, ask) = Driver::asking(spec.clone(), LENGTH);
        let actions = driver.answer_after(ask.request, head(status, &[]), 10);
        if !is_asked {
            assert_eq!(failed_kind(&actions), FailureKind::Status(status));
            continue;
        }
        let challenge = asked(&actions);
        assert_eq!((challenge.status, challenge.scheme.as_str()), (status, ""));
        let signed = Renewal::default().with_url("https://origin.example/f?new");
        let signed = Disposition::UseCredential(signed.expect("a URL"));
        let known = apply(&mut spec, record(&actions), &signed);
        let (_, ask) = going_on(&spec, &SessionRules::default(), known);
        assert_eq!(ask.url.as_str(), "https://origin.example/f?new");
    }
}

#[test]
fn default_handling_uses_what_the_session_has_and_fails_when_that_is_not_taken() {
    for (origin, status, shown, kind) in [
        (
            "https://origin.example",
            401,
            "Bearer shared",
            FailureKind::Authentication,
        ),
        (
            "https://other.example",
            401,
            "Bearer own",
            FailureKind::Authentication,
        ),
        (
            "https://origin.example",
            403,
            "Bearer shared",
            FailureKind::Status(403),
        ),
    ] {
        let rules = SessionRules {
            credentials: vec![OriginCredentials {
                origin: origin.to_owned(),
                credentials: Credentials::bearer("shared"),
            }],
            ..SessionRules::default()
        };
        let mut spec = spec();
        spec.credentials = Some(Credentials::bearer("own"));
        spec.options.challenge_statuses = vec![403];
        let (mut driver, ask) = Driver::asking_with(spec.clone(), rules.clone(), LENGTH);
        assert_eq!(field(&ask, "authorization"), Some("Bearer own"));
        let known = record(&driver.answer(ask.request, head(status, &[])));
        let known = apply(&mut spec, known, &Disposition::PerformDefaultHandling);
        let (mut driver, ask) = going_on(&spec, &rules, known);
        assert_eq!(field(&ask, "authorization"), Some(shown), "{origin}");
        let actions = driver.answer(ask.request, head(status, &[]));
        assert_eq!(failed_kind(&actions), kind, "{origin} {status}");
    }
}

#[test]
fn a_session_shows_its_credentials_to_the_origin_that_the_task_names() {
    let rules = SessionRules {
        credentials: vec![OriginCredentials {
            origin: "https://origin.example".to_owned(),
            credentials: Credentials::login("me", "hush"),
        }],
        ..SessionRules::default()
    };
    let (mut driver, ask) = Driver::asking_with(spec(), rules, LENGTH);
    let basic = head(401, &[("www-authenticate", "Basic realm=\"r\"")]);
    let ask = sole_ask(&driver.answer_after(ask.request, basic.clone(), 0));
    assert!(field(&ask, "authorization").is_some_and(|value| value.starts_with("Basic ")));
    let there = head(308, &[("location", "https://other.example/g")]);
    let ask = sole_ask(&driver.answer(ask.request, there));
    assert_eq!(field(&ask, "authorization"), None);
    let actions = driver.answer(ask.request, basic);
    assert_eq!(asked(&actions).host, "other.example:443");
}

#[test]
fn a_rejected_scheme_gives_way_to_the_next_one_until_none_is_left() {
    let (mut bare, rules) = (spec(), SessionRules::default());
    let mut known = awaiting(&bare, BOTH);
    let both = || head(401, &[("www-authenticate", BOTH)]);
    for scheme in ["Digest", "Basic"] {
        let UploadStage::AwaitingAuthorization(challenge) = &known.stage else {
            panic!("nobody is asked")
        };
        assert_eq!(challenge.scheme, scheme);
        known = apply(&mut bare, known, &Disposition::RejectProtectionSpace);
        let (mut driver, ask) = going_on(&bare, &rules, known.clone());
        let actions = driver.answer(ask.request, both());
        if scheme == "Basic" {
            assert_eq!(failed_kind(&actions), FailureKind::Authentication);
            return;
        }
        known = record(&actions);
    }
}

#[test]
fn requests_and_redirects_are_counted_across_transfers() {
    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    let on = || head(307, &[("location", "/on")]);
    let ask = sole_ask(&driver.answer(ask.request, on()));
    let known = record(&driver.answer(ask.request, head(503, &[])));
    assert_eq!((known.counts.requests, known.counts.redirects), (2, 1));
    let (mut driver, ask) = going_on(&spec(), &SessionRules::default(), known);
    driver.answer(ask.request, on());
    let counts = driver.machine.counts();
    assert_eq!((counts.requests, counts.redirects), (4, 2));
}
