//! Tests of the rules for URLs from outside.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> ParsedUrl {
    parse_http_url(text).expect("a url")
}

fn login(username: &str, password: &str) -> Credentials {
    Credentials::Login {
        username: username.to_owned(),
        password: password.to_owned(),
    }
}

#[test]
fn urls_are_taken_as_people_write_them() {
    let table = [
        ("http://h", "http://h/"),
        (" https://H:443/a \n", "https://h/a"),
        ("https://h:8443/a?b=c", "https://h:8443/a?b=c"),
        (
            "http://h/a b/ü?q=ü x#part",
            "http://h/a%20b/%C3%BC?q=%C3%BC%20x",
        ),
        ("http://h/a%20b", "http://h/a%20b"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[::1]:80/x", "http://[::1]/x"),
        ("HTTP://h/a/../b", "http://h/b"),
    ];
    for (text, expected) in table {
        let found = parsed(text);
        assert_eq!(
            (found.url.as_str(), found.credentials),
            (expected, None),
            "{text}"
        );
    }
}

#[test]
fn urls_that_cannot_be_fetched_say_what_to_do() {
    let long = format!("http://h/{}", "x".repeat(URL_BYTES_MAX));
    let long_when_encoded = format!("http://h/{}", " ".repeat(URL_BYTES_MAX / 2) + "x");
    let table = [
        ("", UrlError::Empty),
        (" \t", UrlError::Empty),
        ("example.com/file", UrlError::NotHttp),
        ("localhost:8080/file", UrlError::NotHttp),
        ("/file", UrlError::NotHttp),
        ("ftp://h/file", UrlError::NotHttp),
        ("file:///etc/passwd", UrlError::NotHttp),
        ("data:text/plain,x", UrlError::NotHttp),
        ("http://", UrlError::InvalidHost),
        ("http://a b/", UrlError::InvalidHost),
        ("http://[::1/", UrlError::InvalidHost),
        ("http://h:99999/", UrlError::InvalidPort),
        ("http://h:x/", UrlError::InvalidPort),
        ("http://h:0/", UrlError::InvalidPort),
        ("http://%ff@h/", UrlError::InvalidCredentials),
        (long.as_str(), UrlError::TooLong),
        (long_when_encoded.as_str(), UrlError::TooLong),
    ];
    for (text, expected) in table {
        assert_eq!(parse_http_url(text), Err(expected), "{text:.60}");
        assert!(
            expected.to_string().contains(';'),
            "{expected} names no next step"
        );
    }
}

#[test]
fn user_name_and_password_are_split_off_and_decoded() {
    let table = [
        ("http://u:p@h/x", Some(login("u", "p"))),
        ("http://u@h/x", Some(login("u", ""))),
        ("http://:p@h/x", Some(login("", "p"))),
        ("http://a%40b:c%3Ad%2F@h/x", Some(login("a@b", "c:d/"))),
        ("http://ü:ö@h/x", Some(login("ü", "ö"))),
        ("http://@h/x", None),
    ];
    for (text, expected) in table {
        let found = parsed(text);
        assert_eq!(
            (found.url.as_str(), found.credentials),
            ("http://h/x", expected)
        );
    }
}

#[test]
fn the_parts_that_a_request_needs_are_there() {
    let url = parsed("https://u:p@h/a/b?c=d#e").url;
    assert_eq!((url.host(), url.port(), url.is_https()), ("h", 443, true));
    assert_eq!(url.request_target(), "/a/b?c=d");
    let url = parsed("http://[::1]:81").url;
    assert_eq!(
        (url.host(), url.port(), url.is_https()),
        ("[::1]", 81, false)
    );
    assert_eq!(url.request_target(), "/");
    let joined = url.join(b" ../\xfc?x=\xc3\xbc#y ").expect("a url");
    assert_eq!(joined.url.as_str(), "http://[::1]:81/%FC?x=%C3%BC");
}

#[test]
fn a_shown_url_keeps_names_and_hides_values() {
    let table = [
        (
            "https://user:hush@h:8443/a/b.txt?X-Sig=hush&id=hush#hush",
            "https://h:8443/a/b.txt?X-Sig=…&id=…",
        ),
        ("https://h/a?hush", "https://h/a?…"),
        ("https://h/a?", "https://h/a?…"),
        ("https://h/a?b=hush=hush", "https://h/a?b=…"),
        ("data:text/plain,hush", "data:…"),
        ("mailto:hush@h", "mailto:…"),
    ];
    for (text, expected) in table {
        let url = Url::parse(text).expect("a url");
        assert_eq!(SafeUrl(&url).to_string(), expected);
        assert_eq!(format!("{:?}", SafeUrl(&url)), expected);
    }
    let url = parsed("http://u:hush@h/?k=hush");
    assert!(!format!("{url:?} {}", url.url).contains("hush"));
}

#[test]
fn a_shown_url_has_a_limited_length() {
    let names: String = (0..100).map(|index| format!("n{index}=v&")).collect();
    let (path, name) = ("p".repeat(1000), "n".repeat(1000));
    let url = Url::parse(&format!("http://h/{path}/end?{name}=v&{names}")).expect("a url");
    let shown = SafeUrl(&url).to_string();
    assert!(
        shown.starts_with("http://h/…pp") && shown.contains("/end?…&n0=…&"),
        "{shown}"
    );
    assert!(shown.ends_with("&n14=…&…") && shown.len() < 600, "{shown}");
}

proptest! {
    #[test]
    fn every_url_that_is_taken_can_stand_in_a_request(
        text in "\\PC{0,60}", tail in "[ -~éß字]{0,60}", reference: Vec<u8>,
    ) {
        let _ = parse_http_url(&text);
        let Ok(ParsedUrl { url, .. }) = parse_http_url(&format!("http://h/{tail}")) else {
            return Ok(());
        };
        prop_assert!(url.request_target().bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert!(url.request_target().starts_with('/'));
        prop_assert_eq!(parse_http_url(url.as_str()).map(|parsed| parsed.url), Ok(url.clone()));
        let _ = url.join(&reference);
    }
}
