//! Tests of the rules for answers to challenges.

use proptest::prelude::*;

use crate::http::challenge;

use super::*;

fn login(username: &str, password: &str) -> Credentials {
    Credentials::Login {
        username: username.to_owned(),
        password: password.to_owned(),
    }
}

fn context<'a>(uri: &'a str, cnonce: &'a str) -> AnswerContext<'a> {
    AnswerContext {
        method: "GET",
        uri,
        nonce_count: 1,
        cnonce,
    }
}

fn answered(credentials: &Credentials, field: &str) -> Option<String> {
    answer(
        credentials,
        &challenge::parse(field.as_bytes()),
        &context("/f?x=1", "c0ffee"),
    )
}

/// The value of a parameter, quoted or not.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let start = value.find(&format!(" {name}="))? + name.len() + 2;
    value[start..]
        .split(", ")
        .next()
        .map(|text| text.trim_matches('"'))
}

#[test]
fn the_answers_of_rfc_7616_section_3_9_1_and_rfc_2617_section_3_5_are_ours() {
    let rfc_7616 = |algorithm: &str| {
        format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
             algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    };
    let rfc_2617 = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let table = [
        (
            rfc_7616("MD5"),
            cnonce,
            "Circle of Life",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            rfc_7616("SHA-256"),
            cnonce,
            "Circle of Life",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (
            rfc_2617.to_owned(),
            "0a4f113b",
            "Circle Of Life",
            "6629fae49393a05397450978507c4ef1",
        ),
    ];
    for (field, cnonce, password, response) in table {
        let challenges = challenge::parse(field.as_bytes());
        let context = context("/dir/index.html", cnonce);
        let value = answer(&login("Mufasa", password), &challenges, &context).expect("an answer");
        assert_eq!(parameter(&value, "response"), Some(response), "{field}");
        assert_eq!(parameter(&value, "username"), Some("Mufasa"));
        assert_eq!(parameter(&value, "uri"), Some("/dir/index.html"));
        assert_eq!(parameter(&value, "cnonce"), Some(cnonce));
        assert_eq!(parameter(&value, "nc"), Some("00000001"));
        assert_eq!(parameter(&value, "qop"), Some("auth"));
        assert!(parameter(&value, "opaque").is_some_and(|opaque| opaque.len() > 20));
    }
}

#[test]
fn the_variants_of_digest_are_hashed_as_their_rules_say() {
    // The responses were computed by hand with another program.
    let table = [
        ("", "8d1f0972e9a7eaec984d3f598efe7f47"),
        (
            ", algorithm=MD5-sess, qop=auth",
            "72eff9fe25ca463fd92f5ea220ba625b",
        ),
        (
            ", algorithm=SHA-256-sess, qop=auth",
            "532c2ba8c8575faba63d366401c2413e2450c647d19d315038b45074cf314430",
        ),
        (", algorithm=MD5-sess", "70bea6b4a6be3b56bf3bc36c40d5b2b0"),
    ];
    for (more, response) in table {
        let value = answered(&login("u", "p"), &format!("Digest realm=r, nonce=n{more}"))
            .expect("an answer");
        assert_eq!(parameter(&value, "response"), Some(response), "{more}");
        assert_eq!(parameter(&value, "qop").is_some(), more.contains("qop"));
        assert_eq!(parameter(&value, "cnonce").is_some(), !more.is_empty());
    }
}

#[test]
fn a_user_name_is_hashed_encoded_or_escaped_as_needed() {
    let challenge = "Digest realm=r, nonce=n, algorithm=SHA-256";
    let name = |name, challenge: &str| answered(&login(name, "p"), challenge).expect("an answer");
    let hashed = name("Jäsøn Doe", &format!("{challenge}, userhash=true"));
    assert_eq!(
        parameter(&hashed, "username"),
        Some("91e702702279fa375d7b8ba1a48d59cb25af8f489363b01bcb9f50fe050aebef")
    );
    assert_eq!(parameter(&hashed, "userhash"), Some("true"));
    let encoded = name("Jäsøn Doe", challenge);
    assert_eq!(
        parameter(&encoded, "username*"),
        Some("UTF-8''J%C3%A4s%C3%B8n%20Doe")
    );
    assert!(name("a\"b\\c", challenge).contains("username=\"a\\\"b\\\\c\""));
}

#[test]
fn the_strongest_challenge_that_fits_is_answered() {
    let user = login("Aladdin", "open sesame");
    let token = Credentials::Bearer("t0ken".to_owned());
    let basic = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); // RFC 7617 section 2
    let (md5, sha) = (
        "Digest realm=r, nonce=m",
        "Digest realm=r, nonce=s, algorithm=SHA-256",
    );
    let table = [
        (&user, "Basic realm=x".to_owned(), basic),
        (&user, "Negotiate, Basic realm=x, Bearer".to_owned(), basic),
        (
            &user,
            "Digest realm=r, nonce=n, qop=auth-int, Basic".to_owned(),
            basic,
        ),
        (&user, "Bearer, Negotiate".to_owned(), None),
        (&user, String::new(), None),
        (
            &token,
            "Basic realm=x, Bearer realm=y".to_owned(),
            Some("Bearer t0ken"),
        ),
        (&token, format!("{md5}, Basic realm=x"), None),
    ];
    for (credentials, field, expected) in table {
        assert_eq!(
            answered(credentials, &field).as_deref(),
            expected,
            "{field}"
        );
    }
    for (field, nonce) in [
        (format!("Basic realm=x, {md5}, {sha}"), "s"),
        (format!("{sha}, {md5}"), "s"),
        (format!("Basic realm=x, {md5}"), "m"),
    ] {
        let value = answered(&user, &field).expect("an answer");
        assert_eq!(parameter(&value, "nonce"), Some(nonce), "{field}");
    }
}

#[test]
fn what_no_field_may_carry_is_not_sent() {
    let colon = login("a:b", "c");
    assert_eq!(unasked(&colon), None);
    assert!(answered(&colon, "Digest realm=r, nonce=n").is_some());
    for username in ["a\r\nb", "a\0b"] {
        assert_eq!(unasked(&login(username, "c")), None);
        assert_eq!(
            answered(&login(username, "c"), "Digest realm=r, nonce=n, Basic"),
            None
        );
    }
    for token in ["", "a b", "a\nb", "ä"] {
        assert_eq!(unasked(&Credentials::Bearer(token.to_owned())), None);
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!(
        "{:?} {:?}",
        login("hush", "hush"),
        Credentials::Bearer("hush".into())
    );
    assert!(!shown.contains("hush"), "{shown}");
}

proptest! {
    #[test]
    fn every_answer_to_any_challenge_is_one_line(
        username: String, password: String, realm: Vec<u8>, basic: bool,
    ) {
        let start = if basic { "Basic realm=\"" } else { "Digest nonce=n, realm=\"" };
        let mut field = start.as_bytes().to_vec();
        field.extend(realm);
        let challenges = challenge::parse(&field);
        let value = answer(&login(&username, &password), &challenges, &context("/", "c"));
        prop_assert!(value.is_none_or(|value| !has_control(&value)));
    }
}
