//! Tests of the rules for challenges.

use proptest::prelude::*;

use crate::http::head::HttpVersion;

use super::*;

fn basic(realm: &str) -> Challenge {
    Challenge::Basic {
        realm: realm.to_owned(),
    }
}

fn other(name: &str) -> Challenge {
    Challenge::Other(name.to_owned())
}

fn plain_digest() -> DigestChallenge {
    DigestChallenge {
        realm: "r".to_owned(),
        nonce: "n".to_owned(),
        opaque: None,
        algorithm: DigestAlgorithm::Md5,
        qop: DigestQop::Unnamed,
        stale: false,
        userhash: false,
    }
}

#[test]
fn challenges_are_told_apart_in_right_and_in_broken_fields() {
    let table = [
        ("Basic realm=\"a\"", vec![basic("a")]),
        ("basic REALM = a", vec![basic("a")]),
        (
            "Basic realm=\"a, \\\"Digest\\\" b\"",
            vec![basic("a, \"Digest\" b")],
        ),
        ("Basic", vec![basic("")]),
        ("Basic, Bearer", vec![basic(""), Challenge::Bearer]),
        (
            "Basic realm=\"a\", charset=\"UTF-8\", Bearer",
            vec![basic("a"), Challenge::Bearer],
        ),
        (
            "Negotiate, NTLM, Basic realm=a",
            vec![other("negotiate"), other("ntlm"), basic("a")],
        ),
        (
            "Negotiate a8/+==, Basic realm=a",
            vec![other("negotiate"), basic("a")],
        ),
        (
            "Newauth realm=\"apps\", type=1, title=\"Login \\\"apps\\\"\", Basic realm=\"simple\"",
            vec![other("newauth"), basic("simple")],
        ),
        (" , ,Basic realm=a, ,", vec![basic("a")]),
        ("Basic realm=\"a", vec![basic("a")]),
        ("Basic realm=\"a\\", vec![basic("a")]),
        ("\"x, Bearer\" junk, Basic realm=a", vec![basic("a")]),
        ("realm=a", vec![]),
        ("", vec![]),
        (
            "Digest realm=r, nonce=n",
            vec![Challenge::Digest(plain_digest())],
        ),
        // No commas between the parameters.
        (
            "Digest realm=\"r\" nonce=\"n\"",
            vec![Challenge::Digest(plain_digest())],
        ),
        ("Digest realm=r", vec![other("digest")]),
        ("Digest nonce=n", vec![other("digest")]),
        (
            "Digest realm=r, nonce=n, algorithm=SHA-512-256",
            vec![other("digest")],
        ),
        ("Digest realm=r, nonce=n, qop=magic", vec![other("digest")]),
    ];
    for (value, expected) in table {
        assert_eq!(parse(value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn every_parameter_of_a_digest_challenge_is_read() {
    let value = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm=sha-256-SESS, nonce=\"7ypf/xlj==\", opaque=\"FQhe/qaU\", \
                 stale=TRUE, userhash=true, domain=\"/a /b\"";
    let expected = DigestChallenge {
        realm: "http-auth@example.org".to_owned(),
        nonce: "7ypf/xlj==".to_owned(),
        opaque: Some("FQhe/qaU".to_owned()),
        algorithm: DigestAlgorithm::Sha256Sess,
        qop: DigestQop::Auth,
        stale: true,
        userhash: true,
    };
    assert_eq!(parse(value.as_bytes()), [Challenge::Digest(expected)]);
    let whole_body = DigestChallenge {
        qop: DigestQop::AuthIntOnly,
        ..plain_digest()
    };
    let found = parse(b"Digest realm=r, nonce=n, qop=auth-int");
    assert_eq!(found, [Challenge::Digest(whole_body)]);
}

#[test]
fn challenges_come_in_one_field_or_in_several_and_the_proxys_are_its_own() {
    let headers = [
        ("WWW-Authenticate", "Digest realm=r, nonce=n"),
        ("Proxy-Authenticate", "Bearer"),
        ("WWW-Authenticate", "Basic realm=a, Bearer"),
    ];
    let headers = headers.into_iter().collect();
    let head = ResponseHead {
        version: HttpVersion::Http11,
        status: 401,
        headers,
    };
    let expected = [
        Challenge::Digest(plain_digest()),
        basic("a"),
        Challenge::Bearer,
    ];
    assert_eq!(of_server(&head), expected);
    assert_eq!(of_proxy(&head), [Challenge::Bearer]);
}

#[test]
fn numbers_and_lengths_have_limits() {
    assert_eq!(
        parse("Bearer,".repeat(100).as_bytes()).len(),
        CHALLENGES_MAX
    );
    let many = format!("Basic {}realm=a", "x=y,".repeat(PARAMETERS_MAX));
    assert_eq!(parse(many.as_bytes()), [basic("")]);
    let long = format!(
        "Digest realm={}, nonce=n",
        "x".repeat(PARAMETER_BYTES_MAX + 1)
    );
    assert_eq!(parse(long.as_bytes()), [other("digest")]);
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(value: Vec<u8>, text in "[Bbasic,= \"\\\\/é]{0,60}") {
        let _ = (parse(&value), parse(text.as_bytes()));
    }
}
