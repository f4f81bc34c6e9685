//! Who is shown what, when the owner is asked, and what each answer leads to.

use super::*;
use crate::authorization_challenge::{Answered, Challenge, Disposition, Renewal};
use crate::checkpoint::TaskCheckpoint;
use crate::http::authorization::Credentials;
use crate::session::OriginCredentials;
use crate::task::Spec;

const BASIC: &str = "Basic realm=\"b\"";
const BOTH: &str = "Basic realm=\"b\", Digest realm=\"d\", nonce=\"n\", qop=\"auth\"";

fn login() -> Credentials {
    Credentials::login("user", "pass")
}

fn asked(saved: &Checkpoint) -> &Challenge {
    match &saved.stage {
        Stage::AwaitingAuthorization(challenge) => challenge,
        other => panic!("nobody is asked: {other:?}"),
    }
}

/// A request that goes on at byte 400, as the record says, and its machine.
fn going_on(spec: DownloadSpec, saved: Checkpoint) -> (Driver, Ask) {
    let (driver, actions) = Driver::recovered(spec, saved, found(1));
    let ask = sole_ask(&actions);
    assert_eq!(field(&ask, "range"), Some("bytes=400-"));
    assert_eq!(field(&ask, "if-range"), Some("\"a\""));
    (driver, ask)
}

/// What the server's 401 leads to.
fn unauthorized(driver: &mut Driver, ask: &Ask, offers: &str) -> Vec<Action> {
    driver.head(ask.conn, 401, &[("www-authenticate", offers)])
}

/// The record of a task that holds 400 bytes when a 401 with these offers comes.
fn awaiting(spec: &DownloadSpec, offers: &str) -> Checkpoint {
    let (mut driver, ask) = going_on(spec.clone(), checkpoint());
    record(&unauthorized(&mut driver, &ask, offers))
}

/// The answered task: what it asks next.
fn answer(spec: &mut DownloadSpec, saved: Checkpoint, disposition: &Disposition) -> (Driver, Ask) {
    let saved = apply(spec, saved, disposition);
    going_on(spec.clone(), saved)
}

fn apply(spec: &mut DownloadSpec, saved: Checkpoint, disposition: &Disposition) -> Checkpoint {
    let (mut whole, mut known) = (
        Spec::Download(spec.clone()),
        TaskCheckpoint::Download(saved),
    );
    assert_eq!(disposition.apply(&mut whole, &mut known), Answered::GoesOn);
    let Spec::Download(changed) = whole else {
        panic!("it was a download")
    };
    *spec = changed;
    known.into_download().expect("a download")
}

#[test]
fn a_login_is_shown_once_and_a_refusal_keeps_the_bytes() {
    let basic = "Basic realm=\"r\"";
    let digest = "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\"";
    for (challenge, scheme) in [(basic, "Basic "), (digest, "Digest ")] {
        let mut spec = spec();
        spec.credentials = Some(login());
        let (mut driver, actions) = Driver::recovered(spec, checkpoint(), found(1));
        let ask = sole_ask(&actions);
        assert_eq!(
            field(&ask, "authorization"),
            None,
            "a password is not sent unasked"
        );
        let actions = driver.head(ask.conn, 401, &[("www-authenticate", challenge)]);
        assert_eq!(kinds(&actions), ["drain", "ask"], "{scheme}");
        let ask = sole_ask(&actions);
        assert!(field(&ask, "authorization").is_some_and(|value| value.starts_with(scheme)));
        assert_eq!(field(&ask, "range"), Some("bytes=400-"), "{scheme}");
        let actions = driver.head(ask.conn, 401, &[("www-authenticate", challenge)]);
        assert_eq!(kinds(&actions), ["drain", "record"], "{scheme}");
        let saved = record(&actions);
        assert_eq!(asked(&saved).scheme, scheme.trim(), "{scheme}");
        assert_eq!(saved.spans[0].written, 400);
        assert_eq!(exit(&driver.recorded()), Exit::NeedsAuthorization);
    }
}

#[test]
fn a_server_with_a_new_nonce_for_every_answer_is_not_asked_for_ever() {
    let mut spec = spec();
    spec.credentials = Some(login());
    let (mut driver, ask) = Driver::fresh(spec);
    for nonce in 0..20 {
        let value = format!("Digest realm=\"r\", nonce=\"n{nonce}\", qop=\"auth\", stale=true");
        let actions = driver.head(ask.conn, 401, &[("www-authenticate", &value)]);
        if kinds(&actions) == ["drain", "record"] {
            assert!(nonce > 1, "a nonce may grow old on the way");
            return;
        }
    }
    panic!("still asking");
}

#[test]
fn a_challenge_that_nobody_can_answer_waits_for_the_owner() {
    type Row = (
        u16,
        &'static str,
        &'static str,
        &'static str,
        Option<&'static str>,
    );
    let table: [Row; 7] = [
        (
            401,
            "www-authenticate",
            "Basic realm=\"r\"",
            "Basic",
            Some("r"),
        ),
        (401, "www-authenticate", "Basic realm=\"\"", "Basic", None),
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
        let (mut driver, ask) = Driver::fresh(spec());
        let saved = record(&driver.head(ask.conn, status, &[(name, value)]));
        let expected = Challenge {
            host: "origin.example:443".to_owned(),
            status,
            scheme: scheme.to_owned(),
            realm: realm.map(str::to_owned),
            previous_failures: 0,
        };
        assert_eq!(*asked(&saved), expected, "{status} {value}");
        assert_eq!(exit(&driver.recorded()), Exit::NeedsAuthorization);
    }
}

#[test]
fn a_new_token_goes_on_where_the_old_one_ended() {
    let mut spec = spec();
    spec.credentials = Some(Credentials::bearer("old"));
    let (mut driver, ask) = going_on(spec.clone(), checkpoint());
    assert_eq!(field(&ask, "authorization"), Some("Bearer old"));
    let saved = record(&unauthorized(&mut driver, &ask, "Bearer"));
    let renewed = Renewal::default().with_credentials(Credentials::bearer("new"));
    let (_, ask) = answer(&mut spec, saved, &Disposition::UseCredential(renewed));
    assert_eq!(field(&ask, "authorization"), Some("Bearer new"));
}

#[test]
fn answers_that_did_not_help_are_counted_until_a_byte_comes() {
    let mut spec = spec();
    let mut saved = awaiting(&spec, "Bearer");
    let token = |text: &str| {
        let credentials = Credentials::bearer(text);
        Disposition::UseCredential(Renewal::default().with_credentials(credentials))
    };
    for refused in 0..3 {
        assert_eq!(asked(&saved).previous_failures, refused);
        let (mut driver, ask) = answer(&mut spec, saved, &token("wrong"));
        saved = record(&unauthorized(&mut driver, &ask, "Bearer"));
    }
    let (mut driver, ask) = answer(&mut spec, saved, &token("right"));
    let part = [ETAG, ("content-range", "bytes 400-999/1000")];
    driver.head(ask.conn, 206, &part);
    driver.wrote(ask.conn, 500);
    let saved = record(&driver.broke(ask.conn));
    assert_eq!(saved.answers.unproven, 0);
}

#[test]
fn a_status_that_the_owner_wants_to_be_asked_about_is_a_challenge() {
    for (status, is_asked) in [(403, true), (410, true), (404, false)] {
        let mut spec = spec();
        spec.options.challenge_statuses = vec![403, 410];
        // Asking comes before delivering; what is not asked about fails here.
        spec.accept_error_status = is_asked;
        let (mut driver, ask) = going_on(spec.clone(), checkpoint());
        let saved = record(&driver.head(ask.conn, status, &[]));
        assert_eq!(saved.spans[0].written, 400, "{status}");
        if is_asked {
            assert_eq!(
                (asked(&saved).status, asked(&saved).scheme.as_str()),
                (status, "")
            );
            let signed = Renewal::default().with_url("https://origin.example/f?new");
            let signed = Disposition::UseCredential(signed.expect("a URL"));
            let (_, ask) = answer(&mut spec, saved, &signed);
            assert_eq!(ask.url.as_str(), "https://origin.example/f?new");
        } else {
            assert_eq!(failed(&driver.recorded()), FailureKind::Status(status));
        }
    }
}

#[test]
fn default_handling_uses_what_the_session_has_and_fails_when_that_is_not_taken() {
    let shared = |origin: &str| SessionRules {
        credentials: vec![OriginCredentials {
            origin: origin.to_owned(),
            credentials: Credentials::bearer("shared"),
        }],
        ..SessionRules::default()
    };
    let table = [
        (
            "https://origin.example",
            401,
            Some("Bearer shared"),
            FailureKind::Authentication,
        ),
        (
            "https://other.example",
            401,
            Some("Bearer own"),
            FailureKind::Authentication,
        ),
        (
            "https://origin.example",
            403,
            Some("Bearer shared"),
            FailureKind::Status(403),
        ),
    ];
    for (origin, status, shown, kind) in table {
        let mut spec = spec();
        spec.credentials = Some(Credentials::bearer("own"));
        spec.options.challenge_statuses = vec![403];
        let (mut driver, ask) = going_on(spec.clone(), checkpoint());
        assert_eq!(field(&ask, "authorization"), Some("Bearer own"));
        let saved = record(&driver.head(ask.conn, status, &[]));
        let saved = apply(&mut spec, saved, &Disposition::PerformDefaultHandling);
        let (mut driver, _) = Driver::start(spec, shared(origin), Some(saved));
        let ask = sole_ask(&driver.feed(Input::Recovered(found(1))));
        assert_eq!(field(&ask, "authorization"), shown, "{origin}");
        let saved = record(&driver.head(ask.conn, status, &[]));
        assert_eq!(saved.spans[0].written, 400, "a failed task keeps its bytes");
        assert_eq!(failed(&driver.recorded()), kind, "{origin} {status}");
    }
}

#[test]
fn a_session_shows_its_credentials_only_to_the_origin_that_the_task_names() {
    let rules = SessionRules {
        credentials: vec![OriginCredentials {
            origin: "https://origin.example".to_owned(),
            credentials: Credentials::bearer("shared"),
        }],
        ..SessionRules::default()
    };
    let (mut driver, ask) = Driver::fresh_with(spec(), rules.clone());
    assert_eq!(field(&ask, "authorization"), Some("Bearer shared"));
    for place in ["https://cdn.example/f", "https://origin.example/back"] {
        let actions = driver.head(ask.conn, 302, &[("location", place)]);
        assert_eq!(field(&sole_ask(&actions), "authorization"), None, "{place}");
    }
    for url in [
        "http://origin.example/f",
        "https://origin.example:444/f",
        "https://o.example/f",
    ] {
        let mut spec = spec();
        spec.url = parse_http_url(url).expect("a URL").url;
        let (_, ask) = Driver::fresh_with(spec, rules.clone());
        assert_eq!(field(&ask, "authorization"), None, "{url}");
    }
    let mut own = spec();
    own.credentials = Some(Credentials::bearer("own"));
    let (_, ask) = Driver::fresh_with(own, rules);
    assert_eq!(field(&ask, "authorization"), Some("Bearer own"));
}

#[test]
fn a_rejected_scheme_gives_way_to_the_next_one_until_none_is_left() {
    // The owner has a password that it does not want to show in this way.
    let mut with_login = spec();
    with_login.credentials = Some(login());
    let (mut driver, ask) = going_on(with_login.clone(), checkpoint());
    let digest = sole_ask(&unauthorized(&mut driver, &ask, BOTH));
    assert!(field(&digest, "authorization").is_some_and(|value| value.starts_with("Digest ")));
    let saved = record(&unauthorized(&mut driver, &digest, BOTH));
    assert_eq!(asked(&saved).scheme, "Digest");
    let reject = Disposition::RejectProtectionSpace;
    let (mut driver, ask) = answer(&mut with_login, saved, &reject);
    let basic = sole_ask(&unauthorized(&mut driver, &ask, BOTH));
    assert!(field(&basic, "authorization").is_some_and(|value| value.starts_with("Basic ")));

    // Without one each way is a challenge of its own.
    let mut bare = spec();
    let saved = awaiting(&bare, BOTH);
    assert_eq!(asked(&saved).scheme, "Digest");
    let (mut driver, ask) = answer(&mut bare, saved, &reject);
    let saved = record(&unauthorized(&mut driver, &ask, BOTH));
    assert_eq!(asked(&saved).scheme, "Basic");
    let (mut driver, ask) = answer(&mut bare, saved, &reject);
    assert_eq!(
        record(&unauthorized(&mut driver, &ask, BOTH)).spans[0].written,
        400
    );
    assert_eq!(failed(&driver.recorded()), FailureKind::Authentication);
}

#[test]
fn a_rejected_challenge_of_one_way_fails_the_task() {
    for (status, offers, kind) in [
        (401, BASIC, FailureKind::Authentication),
        (401, "", FailureKind::Authentication),
        (407, BASIC, FailureKind::Authentication),
        (403, "", FailureKind::Status(403)),
    ] {
        let mut spec = spec();
        spec.options.challenge_statuses = vec![403];
        let (mut driver, ask) = going_on(spec.clone(), checkpoint());
        let fields = [("www-authenticate", offers), ("proxy-authenticate", offers)];
        let saved = record(&driver.head(ask.conn, status, &fields));
        let reject = Disposition::RejectProtectionSpace;
        let (mut driver, ask) = answer(&mut spec, saved, &reject);
        driver.head(ask.conn, status, &fields);
        assert_eq!(failed(&driver.recorded()), kind, "{status} {offers}");
    }
}

#[test]
fn a_transfer_that_begins_while_its_task_waits_asks_nobody() {
    let saved = awaiting(&spec(), BASIC);
    let (driver, actions) = Driver::start(spec(), SessionRules::default(), Some(saved.clone()));
    assert_eq!(exit(&actions), Exit::NeedsAuthorization);
    assert_eq!(
        (kinds(&actions), driver.machine.poll_timeout()),
        (vec!["exit"], None)
    );
    let cancelled = Driver::start_wanting(
        spec(),
        SessionRules::default(),
        Some(saved),
        Desired::Cancelled,
    );
    assert_eq!(kinds(&cancelled.1), ["discard"]);
}

#[test]
fn requests_and_redirects_are_counted_across_transfers() {
    let (mut driver, ask) = Driver::fresh(spec());
    driver.head(ask.conn, 302, &[("location", "/on")]);
    let saved = record(&driver.head(ask.conn, 503, &[]));
    assert_eq!((saved.counts.requests, saved.counts.redirects), (2, 1));
    let (mut driver, _) = Driver::start(spec(), SessionRules::default(), Some(saved));
    let ask = sole_ask(&driver.feed(Input::Recovered(Found::Nothing)));
    driver.head(ask.conn, 302, &[("location", "/on")]);
    let counts = driver.machine.counts();
    assert_eq!((counts.requests, counts.redirects), (4, 2));
}
