//! Reads the address of a proxy.

use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::safe_url::parse_http_url;
use longhaul_engine::session::{ProxyKind, ProxyUrl};

use crate::Error;

/// The port of RFC 1928, section 3.
const SOCKS5_PORT: u16 = 1080;

/// Reads `http://[user:password@]host[:port]`, `socks5://…` or `socks5h://…`. Names are resolved by
/// the proxy in all three. No error repeats the text: it may hold a password.
pub(crate) fn parse(text: &str) -> Result<ProxyUrl, Error> {
    let (scheme, rest) = text.trim().split_once("://").ok_or_else(not_understood)?;
    let kind = match scheme.to_ascii_lowercase().as_str() {
        "http" => ProxyKind::Http,
        "socks5" | "socks5h" => ProxyKind::Socks5,
        "https" => {
            return Err(Error::Invalid(
                "a proxy that is reached over TLS is not offered; use its http:// address"
                    .to_owned(),
            ));
        }
        _ => return Err(not_understood()),
    };
    let parsed = parse_http_url(&format!("http://{rest}")).map_err(|_| not_understood())?;
    if parsed.url.request_target() != "/" {
        return Err(not_understood());
    }
    let port = match kind {
        ProxyKind::Socks5 if !names_port(rest) => SOCKS5_PORT,
        ProxyKind::Socks5 | ProxyKind::Http => parsed.url.port(),
    };
    let login = match parsed.credentials {
        Some(Credentials::Login { username, password }) => Some((username, password)),
        Some(Credentials::Bearer(_)) | None => None,
    };
    let host = parsed.url.host().trim_matches(['[', ']']).to_owned();
    Ok(ProxyUrl {
        kind,
        host,
        port,
        login,
    })
}

pub(crate) fn not_understood() -> Error {
    Error::Invalid(
        "the proxy is not understood; write it as http://host:port or socks5://host:port, with \
         user:password@ before the host when it asks for them"
            .to_owned(),
    )
}

/// Whether an authority ends in a port: `url` drops one that is the scheme's own.
fn names_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let after_colon = authority.rsplit_once(':').map(|(_, port)| port);
    after_colon.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_with_their_own_default_ports() {
        let table = [
            ("http://p", ProxyKind::Http, "p", 80),
            ("http://p:3128/", ProxyKind::Http, "p", 3128),
            ("socks5://p", ProxyKind::Socks5, "p", 1080),
            ("SOCKS5H://p:80", ProxyKind::Socks5, "p", 80),
            ("socks5://[::1]:9050", ProxyKind::Socks5, "::1", 9050),
        ];
        for (text, kind, host, port) in table {
            let proxy = parse(text).unwrap();
            assert_eq!(
                (proxy.kind, proxy.host.as_str(), proxy.port),
                (kind, host, port),
                "{text}"
            );
            assert_eq!(proxy.login, None);
        }
    }

    #[test]
    fn a_login_is_split_off_and_decoded() {
        let proxy = parse("socks5://u:p%40@h").unwrap();
        assert_eq!(proxy.login, Some(("u".to_owned(), "p@".to_owned())));
        assert_eq!((proxy.host.as_str(), proxy.port), ("h", 1080));
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_repeating_it() {
        for text in [
            "",
            "p:80",
            "ftp://p",
            "https://u:hush@p",
            "http://u:hush@",
            "http://p/path",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.contains(';') && !error.contains("hush"),
                "{text}: {error}"
            );
        }
    }
}
