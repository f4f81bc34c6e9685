//! Basic, Digest (SHA-256) and Bearer authentication as a server checks it, for protected resources.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::base64;
use crate::content::hex;
use crate::log::Request;

/// The realm of every challenge of the scripted server.
pub const REALM: &str = "longhaul test";
/// The `opaque` value of every Digest challenge; a client must send it back as it is.
const OPAQUE: &str = "5ccc069c403ebaf9f0171e9517f40e41";

/// What a client must present. `Debug` shows the scheme only.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    scheme: Scheme,
    username: String,
    password: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// RFC 7617.
    Basic,
    /// RFC 7616 with `algorithm=SHA-256` and `qop=auth`.
    DigestSha256,
    /// RFC 6750.
    Bearer,
}

impl Auth {
    /// Basic credentials (RFC 7617).
    pub fn basic(username: &str, password: &str) -> Self {
        Self {
            scheme: Scheme::Basic,
            username: username.into(),
            password: password.into(),
        }
    }

    /// Digest credentials (RFC 7616, SHA-256, `qop=auth`); the client's response is recomputed.
    pub fn digest_sha256(username: &str, password: &str) -> Self {
        Self {
            scheme: Scheme::DigestSha256,
            username: username.into(),
            password: password.into(),
        }
    }

    /// A token (RFC 6750).
    pub fn bearer(token: &str) -> Self {
        Self {
            scheme: Scheme::Bearer,
            username: String::new(),
            password: token.into(),
        }
    }

    /// The value of `WWW-Authenticate` that asks for these credentials.
    pub(crate) fn challenge(&self) -> String {
        match self.scheme {
            Scheme::Basic => format!("Basic realm=\"{REALM}\", charset=\"UTF-8\""),
            Scheme::DigestSha256 => format!(
                "Digest realm=\"{REALM}\", qop=\"auth\", algorithm=SHA-256, nonce=\"{}\", \
                 opaque=\"{OPAQUE}\"",
                self.nonce()
            ),
            Scheme::Bearer => "Bearer".to_owned(),
        }
    }

    /// Whether `request` presents these credentials; `target` is its target as sent.
    pub(crate) fn is_satisfied_by(&self, request: &Request, target: &str) -> bool {
        let Some((scheme, answer)) = request
            .header("authorization")
            .and_then(|value| value.split_once(' '))
        else {
            return false;
        };
        match self.scheme {
            Scheme::Basic => {
                let plain = format!("{}:{}", self.username, self.password);
                scheme.eq_ignore_ascii_case("basic")
                    && answer.trim() == base64::encode(plain.as_bytes())
            }
            Scheme::Bearer => {
                scheme.eq_ignore_ascii_case("bearer") && answer.trim() == self.password
            }
            Scheme::DigestSha256 => {
                scheme.eq_ignore_ascii_case("digest")
                    && self.accepts_digest(&parameters(answer), &request.method, target)
            }
        }
    }

    /// RFC 7616 3.4.1: recomputes the response from what the client claims and what we know.
    fn accepts_digest(
        &self,
        claimed: &HashMap<String, String>,
        method: &str,
        target: &str,
    ) -> bool {
        let value = |name: &str| claimed.get(name).map_or("", String::as_str);
        let counter = value("nc");
        let expected = [
            ("username", self.username.as_str()),
            ("realm", REALM),
            ("nonce", &self.nonce()),
            ("opaque", OPAQUE),
            ("algorithm", "SHA-256"),
            ("qop", "auth"),
            ("uri", target),
        ];
        if expected.iter().any(|(name, wanted)| value(name) != *wanted)
            || value("cnonce").is_empty()
            || counter.len() != 8
            || !u32::from_str_radix(counter, 16).is_ok_and(|counter| counter > 0)
        {
            return false;
        }
        let secret = sha256(&format!("{}:{REALM}:{}", self.username, self.password));
        let action = sha256(&format!("{method}:{target}"));
        let nonce = self.nonce();
        let response = sha256(&format!(
            "{secret}:{nonce}:{counter}:{}:auth:{action}",
            value("cnonce")
        ));
        value("response") == response
    }

    /// One nonce for all requests; it depends on nothing that is secret.
    fn nonce(&self) -> String {
        sha256(&format!("nonce for {}", self.username))
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Auth")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// `name=value` pairs separated by commas; values are tokens or quoted strings without escapes,
/// which no value of ours needs. Names come out in lower case.
fn parameters(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches(|mark: char| mark == ',' || mark.is_whitespace());
        let (value, tail) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        rest = tail;
    }
    found
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Auth, parameters};

    #[test]
    fn parameters_may_be_quoted_or_not() {
        let found = parameters("username=\"a, b\", nc=00000001,qop=auth , uri=\"/x?y=1\"");
        let value = |name: &str| found.get(name).map(String::as_str);
        assert_eq!(value("username"), Some("a, b"));
        assert_eq!(value("nc"), Some("00000001"));
        assert_eq!(value("qop"), Some("auth"));
        assert_eq!(value("uri"), Some("/x?y=1"));
    }

    #[test]
    fn a_password_is_never_printed() {
        assert!(!format!("{:?}", Auth::basic("user", "geheim")).contains("geheim"));
    }
}
