//! A request as the caller states it, checked and turned into what goes over the wire.

use std::{fmt, time::Duration};

use awc::http::{
    Method as Token, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue,
        PROXY_AUTHORIZATION, USER_AGENT,
    },
    uri::{Parts, PathAndQuery},
};
use longhaul_engine::http::head::is_sensitive;
use longhaul_engine::limits::URL_BYTES_MAX;
use url::Url;

use super::{credentials::Credentials, dial::Endpoint, failure::NetFailure, proxy::Proxy};

/// Fields that only the wire may set: they frame the message or rule the connection.
const OWN_FIELDS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is asked of a resource without a body. Every one of these methods is idempotent (RFC 9110
/// section 9.2.2), so a request may be sent again on another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The representation.
    Get,
    /// Its head only; the response has no body, whatever its fields say.
    Head,
    /// What may be done with it.
    Options,
    /// Its removal.
    Delete,
}

impl Method {
    /// The method of this name (RFC 9110 section 9.1: in this case); `None` for any other.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "GET" => Some(Self::Get),
            "HEAD" => Some(Self::Head),
            "OPTIONS" => Some(Self::Options),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    pub(super) const fn token(self) -> Token {
        match self {
            Self::Get => Token::GET,
            Self::Head => Token::HEAD,
            Self::Options => Token::OPTIONS,
            Self::Delete => Token::DELETE,
        }
    }
}

/// One request. `Debug` shows neither the path nor the value of a field that may be a secret.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// An http or https URL. A fragment is not sent; user and password become a Basic
    /// `Authorization`, unless `headers` has one.
    pub url: Url,
    /// Fields beside `Host`, `User-Agent`, `Accept` and `Accept-Encoding: identity`; one of these
    /// names replaces ours. Fields that rule the connection are refused.
    pub headers: Vec<(String, String)>,
    /// Longest time without a byte, while the request is sent, while the head is awaited, and
    /// while the body is read; not while the caller does something else.
    pub idle_timeout: Duration,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): &(String, String)| match is_sensitive(name) {
            true => format!("{name}: <redacted>"),
            false => format!("{name}: {value}"),
        };
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("origin", &self.url.origin().ascii_serialization())
            .field(
                "headers",
                &self.headers.iter().map(shown).collect::<Vec<_>>(),
            )
            .field("idle_timeout", &self.idle_timeout)
            .finish()
    }
}

/// Where a request goes; connections are shared by requests of one origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) is_tls: bool,
    pub(super) endpoint: Endpoint,
}

/// A request that can be encoded as it is, whatever its method.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) origin: Origin,
    /// The request target; absolute form for a proxy that takes requests.
    pub(super) target: Uri,
    pub(super) headers: HeaderMap,
}

impl Outgoing {
    /// Checks `request`.
    ///
    /// # Errors
    /// [`NetFailure::InvalidInput`], which names the field or the part of the URL, not its value.
    pub(super) fn new(
        request: &Request,
        user_agent: &str,
        proxy: Option<&Proxy>,
    ) -> Result<Self, NetFailure> {
        let origin = origin(&request.url)?;
        let forwarder = proxy.filter(|proxy| proxy.takes_requests() && !origin.is_tls);
        let mut headers = HeaderMap::with_capacity(request.headers.len() + 8);
        for (name, value) in &request.headers {
            let (name, value) = field(name, value)?;
            headers.append(name, value);
        }
        let credentials = Credentials::of(&request.url).map(|found| found.basic());
        let forwarding = forwarder.and_then(Proxy::authorization);
        let authority = authority(&request.url);
        let defaults = [
            (HOST, Some(authority.as_str())),
            (USER_AGENT, Some(user_agent)),
            (ACCEPT, Some("*/*")),
            (ACCEPT_ENCODING, Some("identity")),
            (AUTHORIZATION, credentials.as_deref()),
            (PROXY_AUTHORIZATION, forwarding.as_deref()),
        ];
        for (name, value) in defaults {
            if let Some(value) = value.filter(|_| !headers.contains_key(&name)) {
                headers.insert(name.clone(), field_value(name.as_str(), value)?);
            }
        }
        Ok(Self {
            target: target(&request.url, forwarder.is_some())?,
            origin,
            headers,
        })
    }
}

/// Checks that `value` can stand in a field.
pub(super) fn field_value(name: &str, value: &str) -> Result<HeaderValue, NetFailure> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| NetFailure::invalid(format!("the value of the field {name} is malformed")))
}

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), NetFailure> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| NetFailure::invalid("a field has a malformed name"))?;
    if OWN_FIELDS.contains(&parsed.as_str()) {
        return Err(NetFailure::invalid(format!(
            "the field {parsed} is not the caller's"
        )));
    }
    let value = field_value(parsed.as_str(), value)?;
    Ok((parsed, value))
}

fn origin(url: &Url) -> Result<Origin, NetFailure> {
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(NetFailure::invalid("the url is too long"));
    }
    let is_tls = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(NetFailure::invalid("the url is neither http nor https")),
    };
    let host = match url.host() {
        Some(url::Host::Domain(name)) => name.to_owned(),
        Some(url::Host::Ipv4(address)) => address.to_string(),
        Some(url::Host::Ipv6(address)) => address.to_string(),
        None => return Err(NetFailure::invalid("the url has no host")),
    };
    let port = url
        .port_or_known_default()
        .ok_or_else(|| NetFailure::invalid("the url has no port"))?;
    Ok(Origin {
        is_tls,
        endpoint: Endpoint { host, port },
    })
}

/// Host and port as the `Host` field states them: no default port (RFC 9110 section 4.2.3).
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn target(url: &Url, is_absolute: bool) -> Result<Uri, NetFailure> {
    let mut text = match is_absolute {
        true => format!("http://{}{}", authority(url), url.path()),
        false => url.path().to_owned(),
    };
    if let Some(query) = url.query() {
        text.push('?');
        text.push_str(query);
    }
    let unusable = || NetFailure::invalid("the path of the url is malformed");
    let mut parts = Parts::default();
    // The encoder writes this part as it stands, so it may hold an absolute form too.
    parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(|_| unusable())?);
    Uri::from_parts(parts).map_err(|_| unusable())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, headers: &[(&str, &str)]) -> Request {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Request {
            method: Method::Get,
            url: Url::parse(url).expect("a url"),
            headers: headers.iter().map(owned).collect(),
            idle_timeout: Duration::from_secs(60),
        }
    }

    fn outgoing(url: &str, headers: &[(&str, &str)]) -> Result<Outgoing, NetFailure> {
        Outgoing::new(&request(url, headers), "agent/1", None)
    }

    #[test]
    fn the_target_is_encoded_and_the_host_names_only_an_unusual_port() {
        let table = [
            ("http://a.test", "/", "a.test"),
            ("http://a.test:80/x?", "/x?", "a.test"),
            ("https://a.test:443/", "/", "a.test"),
            ("https://a.test:80/", "/", "a.test:80"),
            (
                "http://[::1]:8080/a b/ü?q=ü \"<>#frag",
                "/a%20b/%C3%BC?q=%C3%BC%20%22%3C%3E",
                "[::1]:8080",
            ),
            (
                "http://bücher.test/{a}|[b]^`?q={a}|[b]^`\\",
                "",
                "xn--bcher-kva.test",
            ),
        ];
        for (url, target, host) in table {
            let made = outgoing(url, &[]).expect("usable");
            let sent = made.target.path_and_query().expect("a target").as_str();
            assert!(target.is_empty() || sent == target, "{url}: {sent}");
            assert_eq!(made.headers.get(HOST).expect("a host"), host);
        }
    }

    #[test]
    fn our_fields_are_set_unless_the_caller_sets_them() {
        let made = outgoing("http://u:p@a.test/", &[]).expect("usable");
        let sent = |name: HeaderName| made.headers.get(name).cloned().expect("set");
        assert_eq!(sent(USER_AGENT), "agent/1");
        assert_eq!(sent(ACCEPT_ENCODING), "identity");
        assert_eq!(sent(AUTHORIZATION), "Basic dTpw");
        let theirs = [
            ("AUTHORIZATION", "Bearer t"),
            ("user-agent", "x"),
            ("X-A", "1"),
            ("x-a", "2"),
        ];
        let made = outgoing("http://u:p@a.test/", &theirs).expect("usable");
        let all = |name: &str| made.headers.get_all(name).cloned().collect::<Vec<_>>();
        assert_eq!(all("authorization"), ["Bearer t"]);
        assert_eq!(all("user-agent"), ["x"]);
        assert_eq!(all("x-a"), ["1", "2"]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_repeating_values() {
        let long = format!("http://a.test/{}", "a".repeat(URL_BYTES_MAX));
        let table: [(&str, &[(&str, &str)]); 7] = [
            ("ftp://a.test/hush", &[]),
            ("data:hush", &[]),
            (&long, &[]),
            ("http://a.test", &[("x y", "hush")]),
            ("http://a.test", &[("x", "hush\r\nb: c")]),
            ("http://a.test", &[("Transfer-Encoding", "hush")]),
            ("http://a.test", &[("Connection", "hush")]),
        ];
        for (url, headers) in table {
            let Err(NetFailure::InvalidInput { reason }) = outgoing(url, headers) else {
                panic!("{url} {headers:?} was accepted");
            };
            assert!(!reason.contains("hush"), "{reason}");
        }
    }

    #[test]
    fn debug_shows_no_path_and_no_secret() {
        let headers = [("Authorization", "Bearer hush"), ("Range", "bytes=5-")];
        let shown = format!("{:?}", request("https://u:hush@a.test/hush?hush", &headers));
        assert!(
            shown.contains("https://a.test") && shown.contains("bytes=5-"),
            "{shown}"
        );
        assert!(!shown.contains("hush"), "{shown}");
    }
}
