//! Where a redirect leads, whether we follow it, and what goes along (RFC 9110 section 15.4).

use thiserror::Error;
use url::Url;

use crate::http::head::ResponseHead;
use crate::limits::REDIRECTS_MAX;
use crate::safe_url::{HttpUrl, UrlError};

/// What the caller allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectLimits {
    /// How many redirects one request may follow.
    pub redirects_max: u32,
    /// Whether a redirect may lead from `https` to `http`.
    pub allow_downgrade: bool,
}

impl Default for RedirectLimits {
    /// [`REDIRECTS_MAX`], and none to a plain connection.
    fn default() -> Self {
        Self {
            redirects_max: REDIRECTS_MAX,
            allow_downgrade: false,
        }
    }
}

/// The request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Redirectable<'a> {
    /// Where it was sent.
    pub url: &'a HttpUrl,
    /// Its method, in upper case as it was sent.
    pub method: &'a str,
    /// How many redirects led to it.
    pub followed: u32,
    /// What the caller allows.
    pub limits: RedirectLimits,
}

/// The request to send next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where to; without the user name and password that the server may have written there, which
    /// are not the caller's.
    pub url: HttpUrl,
    /// What the caller's fields depend on, see [`keeps_header`].
    pub same_origin: bool,
    /// What becomes of method and body.
    pub method: RedirectMethod,
}

/// What becomes of method and body on a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectMethod {
    /// The same method, and the same body if there was one.
    Same,
    /// A GET without a body, for the answer stands at another place.
    Get,
}

/// A redirect that is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// The limit is reached; most likely a loop.
    #[error("the server redirected more than {redirects_max} times")]
    TooMany {
        /// The limit.
        redirects_max: u32,
    },
    /// No `Location`, so there is nowhere to go.
    #[error("the server redirected without saying where")]
    MissingLocation,
    /// Several `Location` fields that differ.
    #[error("the server redirected to several places at once")]
    ConflictingLocations,
    /// A `Location` that is no URL we can fetch, as one of another scheme.
    #[error("the server redirected to a place that cannot be fetched: {0}")]
    Location(#[from] UrlError),
    /// From `https` to `http`, where everybody on the way can read and change what is sent.
    #[error("the server redirected from https to http, which is not allowed")]
    Downgrade,
}

/// Decides what to do with the answer `head` to `request`: `Ok(None)` when it is no redirect (only
/// 301, 302, 303, 307 and 308 are), else the next request.
///
/// # Errors
/// When the redirect leads nowhere, or where it may not; nothing of it is followed then.
pub fn next(
    request: &Redirectable<'_>,
    head: &ResponseHead,
) -> Result<Option<Redirect>, RedirectError> {
    if !matches!(head.status, 301..=303 | 307 | 308) {
        return Ok(None);
    }
    let redirects_max = request.limits.redirects_max;
    if request.followed >= redirects_max {
        return Err(RedirectError::TooMany { redirects_max });
    }
    let url = request.url.join(location(head)?)?.url;
    if request.url.is_https() && !url.is_https() && !request.limits.allow_downgrade {
        return Err(RedirectError::Downgrade);
    }
    let same_origin = same_origin(request.url.as_url(), url.as_url());
    Ok(Some(Redirect {
        url,
        same_origin,
        method: method_after(head.status, request.method),
    }))
}

/// Says whether a field that the caller gave goes along on a redirect: every one to the same
/// origin, only `User-Agent`, `Accept` and `Accept-*` to another, for any other may hold a secret.
#[must_use]
pub fn keeps_header(name: &str, same_origin: bool) -> bool {
    let name = name.to_ascii_lowercase();
    same_origin || name == "user-agent" || name == "accept" || name.starts_with("accept-")
}

/// True when scheme, host and port are equal (RFC 6454 section 5).
#[must_use]
pub fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn location(head: &ResponseHead) -> Result<&[u8], RedirectError> {
    let mut values = head.headers.get_all("location");
    let first = values.next().ok_or(RedirectError::MissingLocation)?;
    if values.any(|other| other != first) {
        return Err(RedirectError::ConflictingLocations);
    }
    // An empty reference would mean the same URL again (RFC 3986 section 4.4): a loop at best.
    if first.is_empty() {
        Err(RedirectError::MissingLocation)
    } else {
        Ok(first)
    }
}

/// 307 and 308 keep everything; 303 asks for a GET; 301 and 302 do so for a POST only, by long
/// custom (RFC 9110 sections 15.4.2 to 15.4.4).
fn method_after(status: u16, method: &str) -> RedirectMethod {
    match (status, method) {
        (303, "GET" | "HEAD") => RedirectMethod::Same,
        (303, _) | (301 | 302, "POST") => RedirectMethod::Get,
        _ => RedirectMethod::Same,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::http::head::{Headers, HttpVersion};
    use crate::safe_url::parse_http_url;

    use super::*;

    fn head(status: u16, locations: &[&str]) -> ResponseHead {
        let headers = locations
            .iter()
            .map(|&location| ("Location", location))
            .collect();
        ResponseHead {
            version: HttpVersion::Http11,
            status,
            headers,
        }
    }

    fn url(text: &str) -> HttpUrl {
        parse_http_url(text).expect("a url").url
    }

    fn request<'a>(url: &'a HttpUrl, method: &'a str) -> Redirectable<'a> {
        Redirectable {
            url,
            method,
            followed: 0,
            limits: RedirectLimits::default(),
        }
    }

    #[test]
    fn a_location_is_resolved_and_its_origin_compared() {
        let table = [
            ("https://h/new", "https://h/new", true),
            ("https://H:443/new", "https://h/new", true),
            ("/new?x=y#z", "https://h/new?x=y", true),
            ("new", "https://h/dir/new", true),
            ("?x", "https://h/dir/old?x", true),
            ("../new", "https://h/new", true),
            ("//h/new", "https://h/new", true),
            ("//g/new", "https://g/new", false),
            ("https://h:444/new", "https://h:444/new", false),
            ("https://g.h/new", "https://g.h/new", false),
            ("https://u:p@g/new", "https://g/new", false),
            ("/ü b", "https://h/%C3%BC%20b", true),
        ];
        let old = url("https://h/dir/old?q=1");
        for (location, expected, same_origin) in table {
            let redirect = next(&request(&old, "GET"), &head(302, &[location]))
                .expect("followed")
                .expect("followed");
            assert_eq!(
                (redirect.url.as_str(), redirect.same_origin),
                (expected, same_origin)
            );
        }
    }

    #[test]
    fn a_redirect_that_leads_nowhere_or_to_a_forbidden_place_is_an_error() {
        let table: [(&[&str], RedirectError); 9] = [
            (&[], RedirectError::MissingLocation),
            (&[""], RedirectError::MissingLocation),
            (&["/a", "/b"], RedirectError::ConflictingLocations),
            (&["http://h/"], RedirectError::Downgrade),
            (&["ftp://h/"], RedirectError::Location(UrlError::NotHttp)),
            (
                &["file:///etc/passwd"],
                RedirectError::Location(UrlError::NotHttp),
            ),
            (
                &["javascript:x"],
                RedirectError::Location(UrlError::NotHttp),
            ),
            (
                &["https://"],
                RedirectError::Location(UrlError::InvalidHost),
            ),
            (
                &["https://h:x/"],
                RedirectError::Location(UrlError::InvalidPort),
            ),
        ];
        let old = url("https://h/old");
        for (locations, expected) in table {
            assert_eq!(
                next(&request(&old, "GET"), &head(302, locations)),
                Err(expected)
            );
        }
        assert!(
            next(&request(&old, "GET"), &head(302, &["/a", "/a"]))
                .expect("followed")
                .is_some()
        );
    }

    #[test]
    fn a_downgrade_needs_permission_and_an_upgrade_does_not() {
        let (secure, plain) = (url("https://h/"), url("http://h/"));
        let limits = RedirectLimits {
            allow_downgrade: true,
            ..RedirectLimits::default()
        };
        let allowed = Redirectable {
            limits,
            ..request(&secure, "GET")
        };
        let down = next(&allowed, &head(302, &["http://h/"]))
            .expect("followed")
            .expect("a redirect");
        let up = next(&request(&plain, "GET"), &head(302, &["https://h/"]))
            .expect("followed")
            .expect("followed");
        assert!(!down.same_origin && !up.same_origin);
    }

    #[test]
    fn the_limit_counts_the_redirects_that_were_followed() {
        let old = url("http://h/");
        let after = |followed| {
            next(
                &Redirectable {
                    followed,
                    ..request(&old, "GET")
                },
                &head(301, &["/"]),
            )
        };
        assert!(after(19).expect("followed").is_some());
        assert_eq!(after(20), Err(RedirectError::TooMany { redirects_max: 20 }));
    }

    #[test]
    fn method_and_body_follow_the_status() {
        use RedirectMethod::{Get, Same};
        let table = [
            (301, "GET", Some(Same)),
            (301, "POST", Some(Get)),
            (301, "PUT", Some(Same)),
            (302, "POST", Some(Get)),
            (303, "PUT", Some(Get)),
            (303, "HEAD", Some(Same)),
            (307, "POST", Some(Same)),
            (308, "PATCH", Some(Same)),
            (200, "GET", None),
            (300, "GET", None),
            (304, "GET", None),
            (305, "GET", None),
            (404, "GET", None),
        ];
        let old = url("http://h/");
        for (status, method, expected) in table {
            let found = next(&request(&old, method), &head(status, &["/new"])).expect("followed");
            assert_eq!(
                found.map(|redirect| redirect.method),
                expected,
                "{status} {method}"
            );
        }
    }

    #[test]
    fn across_origins_only_harmless_fields_go_along() {
        for name in ["User-Agent", "ACCEPT", "accept-language", "Accept-Encoding"] {
            assert!(
                keeps_header(name, false) && keeps_header(name, true),
                "{name}"
            );
        }
        for name in [
            "Authorization",
            "Cookie",
            "Proxy-Authorization",
            "X-Api-Key",
            "Acceptor",
            "Referer",
        ] {
            assert!(
                !keeps_header(name, false) && keeps_header(name, true),
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_location_is_judged_without_a_panic_and_never_leaves_http(
            location: Vec<u8>, tail in "[ -~]{0,40}",
        ) {
            let old = url("https://h/dir/old");
            let absolute = format!("http://{tail}");
            for location in [location, tail.into_bytes(), absolute.into_bytes()] {
                let headers: Headers = [("location", location)].into_iter().collect();
                let head = ResponseHead { version: HttpVersion::Http11, status: 307, headers };
                if let Ok(redirect) = next(&request(&old, "GET"), &head) {
                    prop_assert!(redirect.is_some_and(|redirect| redirect.url.is_https()));
                }
            }
        }
    }
}
